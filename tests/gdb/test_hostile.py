# SPDX-License-Identifier: LGPL-2.1-or-later
"""gdb against guests that make a debugger's life hard: instructions that are awkward to step, exceptions that the guest
handles itself, code that changes under a breakpoint, ring 3."""

import pytest

from lib.assemble import OWN_IDT, assemble
from lib.debuggers import Transcript, gdb_batch
from lib.hostile import RING3
from lib.runner import RUNNERS

# Each label is where a step is expected to end, unless it is named in SKIPPED.
AWKWARD = r"""
test:	lea SI, [text]
	lea DI, [copy]
	mov edx, HS_PORT_UART + 5
begin:	nop
s_out:	out HS_PORT_READY, eax
s_in:	in al, dx
s_in_32:	in eax, HS_PORT_DEBUGCON
s_pushf:	PUSHF
s_pop:	pop AX
s_test: test ah, 1
s_seen: setnz [flag_seen]
s_push:	push AX
s_popf:	POPF
s_sti:	sti
s_cli:	cli
s_ss:	mov eax, ss
s_mov_ss: mov ss, eax
s_after_ss: nop
s_cpuid: cpuid
s_rdtsc: rdtsc
s_none:	xor ecx, ecx
s_rep_none: rep movsb
s_dx:	mov edx, HS_PORT_DEBUGCON
s_outsb: outsb
s_dx_2:	mov edx, HS_PORT_UART + 5
s_three: mov ecx, 3
s_insb: rep insb
s_nop:	nop
s_call:	call s_callee
s_done:	nop
	EXIT 5
s_callee: ret
.section .data
text: .ascii "X"
.section .bss
copy: .skip 16
flag_seen: .skip 1
"""
# An interrupt shadow (sti, mov ss) hides the next instruction from a step on CPUs, not in KVM's emulator.
SKIPPED = {"s_cli", "s_after_ss"}

# Step until the guest is at s_done, and print the labels in order, each once.
STEP_TO_THE_END = """python
seen = []
while not seen or (seen[-1] != 's_done' and len(seen) < 90):
    gdb.execute('stepi', to_string=True)
    seen.append(gdb.execute('info symbol $pc', to_string=True).split()[0])
    if int(gdb.parse_and_eval('(int)$eflags')) & 0x100: seen.append('TF')
print('seen:', *dict.fromkeys(seen))
"""


def in_one_line(script):
    return "python exec({!r})".format("\n".join(script.splitlines()[1:]))


@pytest.fixture(scope="session")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


def session(runner, directory, name, text, commands):
    """gdb's answers to commands given to a guest made of text, and how the guest ended."""
    guest = assemble(directory, runner.arch, text, name)
    with runner.serve(guest, options=["--core", "none", "--timeout", "60"]) as served:
        said = gdb_batch([f"target remote {served.address}", *commands, "kill"], guest)
        result = served.process.wait(60)
    return Transcript(said[1:-1]), result


def test_awkward_instructions_are_stepped_one_by_one(runner, directory):
    said, result = session(runner, directory, "awkward", AWKWARD,
                           ["tbreak begin", "continue", in_one_line(STEP_TO_THE_END), "x/4xb &copy",
                            "print (int)*(char *)&flag_seen", "continue"])
    labels = [line.split(":")[0] for line in AWKWARD.splitlines() if line.startswith("s_")]
    wanted = [label for label in labels if label not in SKIPPED and label not in ("s_callee", "s_done")]
    seen = next(line for line in said[2].splitlines() if line.startswith("seen:")).split()[1:]
    assert [label for label in seen if label not in SKIPPED] == [*wanted, "s_callee", "s_done"]
    assert said[3].split(":")[1].split() == ["0x60", "0x60", "0x60", "0x00"]  # insb got all its bytes
    assert said[4].endswith("= 0")  # pushf did not see the step
    assert "exited with code 05" in said[5]
    assert result.stdout == "X"


HANDLED = OWN_IDT + r"""
on_ud2:	add WORD_PTR [SP], 2
in_handler: nop
	IRET
on_int3: nop
	IRET
test:	OWN_IDT
	GATE 3, on_int3
	GATE 6, on_ud2
begin:	nop
p_ud2:	ud2
	nop
p_int3:	int3
	nop
	EXIT 6
"""


@pytest.mark.parametrize("place, handler", [("p_ud2", "in_handler"), ("p_int3", "on_int3")])
def test_breakpoint_in_a_handler_is_hit_from_a_step_and_from_a_breakpoint(runner, directory, place, handler):
    """Some hosts execute the handler as part of a step. The step's trap flag must not stay behind in the frame, or the
    handler's iret would bring a debug exception that nobody asked for."""
    for go in ("stepi", "continue"):
        said, result = session(runner, directory, "handled", HANDLED,
                               [f"tbreak {place}", "continue", f"tbreak {handler}", go, "info symbol $pc", "continue",
                                "continue"])
        if handler not in said[4]:
            # A step may also end within the handler, before the breakpoint.
            assert go == "stepi" and "on_ud2" in said[4]
            assert f"in {handler} ()" in said[5]
        assert "exited with code 06" in said[5] + said[6], said
        assert "SIGTRAP" not in said.text
        assert result.rc == 6


def test_handled_exceptions_are_stepped_through_and_run_on(runner, directory):
    said, result = session(runner, directory, "handled", HANDLED, ["tbreak begin", "continue", *["stepi"] * 4,
                                                                   "continue"])
    assert "exited with code 06" in said[6]
    assert result.rc == 6


# Three rounds over `target`, whose first byte the guest changes after each: mov al, mov cl, mov dl, each with 7.
SELF_MODIFYING = r"""
.section .changing, "awx", @progbits
target: .byte 0xb0, 7
	ret
.section .text
test:	lea BX, [target]
	xor eax, eax
	call BX
	mov byte ptr [BX], 0xb1
	xor ecx, ecx
	call BX
	mov byte ptr [BX], 0xb2
	xor edx, edx
changed: nop
	call BX
	add eax, ecx
	add eax, edx
	out HS_PORT_EXIT, eax
"""


def test_code_that_the_guest_changes_under_a_breakpoint_is_the_guests(runner, directory):
    said, result = session(runner, directory, "changing", SELF_MODIFYING,
                           ["break *target", "continue", "x/1xb target", "break changed", "continue", "x/1xb target",
                            "continue", "x/1xb target", "delete", "continue"])
    assert "Breakpoint 1, " in said[1] and said[2].endswith("0xb0")
    if runner.facts.get("breakpoints") == "compared":
        assert "Breakpoint 1, " in said[4] and said[5].endswith("0xb1")
        assert "in changed ()" in said[6] and said[7].endswith("0xb2")
    else:
        # What the guest writes over the planted byte is executed and stays; the breakpoint is back at the next stop.
        assert "in changed ()" in said[4] and said[5].endswith("0xb2")
        assert "Breakpoint 1, " in said[6] and said[7].endswith("0xb2")
    assert "exited with code 025" in said[9]
    assert result.rc == 3 * 7


def test_watchpoint_is_not_hit_by_a_write_that_faults(runner, directory):
    text = OWN_IDT + r"""
on_fault: add SP, W
	add WORD_PTR [SP], 2
	IRET
test:	OWN_IDT
	GATE 14, on_fault
	lea BX, [test]
	xor eax, eax
begin:	nop
p_write: mov [BX], al /* the code is not writable; two bytes */
	nop
	EXIT 8
"""
    said, result = session(runner, directory, "no_write", text,
                           ["tbreak begin", "continue", "awatch *(char *)test", "continue"])
    assert "Hardware access (read/write) watchpoint" in said[2]
    assert "exited with code 010" in said[3]
    assert result.rc == 8


@pytest.mark.parametrize("runner", [name for name in RUNNERS if name.startswith("amd64-")], indirect=True)
def test_breakpoint_in_ring_3_is_hit_where_it_is(runner, directory):
    said, _ = session(runner, directory, "user", RING3 + "nop\nnop\nnop\nud2\n.skip 64",
                      ["tbreak leave", "continue", "break *0x200000000002", "continue", "print/x (long)$pc",
                       "print/x $cs",
                       "delete", "continue", "print/x (long)$pc"])
    assert "Breakpoint 2, 0x0000200000000002" in said[3]
    assert said[4].endswith("= 0x200000000002")
    assert said[5].endswith("= 0x2b")
    assert "received signal SIGILL" in said[7]
    assert said[8].endswith("= 0x200000000003")
