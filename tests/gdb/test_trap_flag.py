# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that sets the trap flag itself gets each of its debug exceptions, whatever a debugger does meanwhile."""

import re

import pytest
from lib.assemble import NOTED_TRAPS, assemble
from lib.debuggers import gdb_batch

# The flag is set by popf, then by iret, over some instructions each time: the label of each one that a trap follows
# begins with t_ (the flag counts where an instruction begins: SDM vol. 3B 17.3.1.4).
OWN = NOTED_TRAPS + r"""
.macro SET_FLAG
	PUSHF
	or WORD_PTR [SP], 0x100
.endm
test:	OWN_IDT
	GATE 1, on_db
	xor eax, eax
begin:	nop
	SET_FLAG
	POPF
t_nop:	nop
t_push:	push AX
t_pop:	pop AX
t_call:	call callee
t_pushf: PUSHF
t_and:	and WORD_PTR [SP], ~0x100
t_popf:	POPF
free:	nop
#ifdef __x86_64__
	mov rbx, rsp
	mov ecx, ss
	push rcx
	push rbx
#endif
	SET_FLAG
	mov ecx, cs
	push CX
	lea CX, [t_back]
	push CX
	IRET
t_back:	nop
t_mov:	mov dword ptr [place], 7
	PUSHF
	and WORD_PTR [SP], ~0x100
	POPF
done:	nop
	END_WITH_TRAPS
callee:	ret
.section .bss
place: .skip 4
"""
TRAPS = 13

# Where each step ends, to the end.
STEPS = """python
def walk():
    for _ in range(300):
        gdb.execute("stepi", to_string=True)
        place = gdb.execute("info symbol $pc", to_string=True).split(" in section")[0]
        print("AT", place.replace(" ", ""))
        if place == "done":
            break
walk()
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("trap-flag")


@pytest.fixture
def watched(runner, directory):
    """gdb's answers to commands, behind which the guest has ended as it does alone."""
    guest = assemble(directory, runner.arch, OWN, "own")
    alone = runner.run(guest, options=["--core", "none"])
    assert alone.rc == TRAPS and len(alone.stdout) == TRAPS, alone

    def run(commands):
        script = directory / "walk.gdb"
        script.write_text(STEPS)
        with runner.serve(guest, options=["--core", "none", "--timeout", "60"]) as served:
            said = gdb_batch([f"target remote {served.address}",
                              *(command.format(script=script) for command in commands), "kill"], guest)
            result = served.process.wait(60)
        assert (result.rc, result.stdout) == (TRAPS, alone.stdout), said
        return said[1:-1]

    return run


@pytest.mark.parametrize("commands", [
    ["continue"],
    ["break begin", "continue", "delete", "continue"],
    ["break t_nop", "break t_popf", "break free", "break t_back", *["continue"] * 5],
    ["hbreak t_push", "hbreak done", *["continue"] * 3],
    ["break on_db", *["continue"] * 3, "delete", "continue"],
], ids=["none", "before", "between", "hardware", "handler"])
def test_trap_flag_of_the_guest_is_kept_by_breakpoints(watched, commands):
    said = watched(commands)
    assert f"exited with code {TRAPS:03o}" in said[-1]
    assert len([text for text in said if "reakpoint" in text and " in " in text]) == \
        sum(command == "continue" for command in commands) - 1


def test_trap_flag_of_the_guest_is_kept_by_steps_which_end_in_its_handler(watched):
    said = watched(["break begin", "continue", "source {script}", "continue"])
    walked = re.findall(r"^AT (\S+)$", said[2], re.M)
    assert walked[-1] == "done" and walked.count("on_db") == TRAPS
    for before, after in zip(walked, walked[1:]):
        assert after == "on_db" or not before.startswith("t_") or "+" in before, (before, after)


def test_trap_flag_of_the_guest_is_seen_and_outlives_a_write_of_registers(watched):
    said = watched(["break begin", "continue", "stepi 4", "info symbol $pc", "print (int)$eflags & 0x100",
                    "set $ax = 1", "stepi", "print (int)$eflags & 0x100", "break t_pop", "continue", "set $ax = 2",
                    "print (int)$eflags & 0x100", "delete", "continue"])
    assert said[3].startswith("t_nop ")
    assert [said[index].split()[-1] for index in (4, 7, 11)] == ["256", "0", "256"]


def test_trap_flag_of_the_guest_does_not_hide_a_watchpoint(watched):
    said = watched(["watch *(int *)&place", "continue", "delete", "continue"])
    assert "New value = 7" in said[1]
