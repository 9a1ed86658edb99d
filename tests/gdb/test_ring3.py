# SPDX-License-Identifier: LGPL-2.1-or-later
"""A debugger beside a guest that is in ring 3, or on its way there or back."""

import re

import pytest

from lib.assemble import NOTED_TRAPS, assemble
from lib.debuggers import Transcript, gdb_batch
from lib.hostile import RING3
from lib.runner import RUNNERS

AMD64 = pytest.mark.parametrize("runner", [name for name in RUNNERS if name.startswith("amd64-")], indirect=True)
# kvm_pvm does not leave ring 3 by a syscall, and has no hardware breakpoints where ring 3 runs under its own trap flag
# (docs/hosts.md).
NOT_PVM = pytest.mark.parametrize("runner", ["amd64-soft", "amd64-rig"], indirect=True)
USER = 0x200000000000


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("ring3")


def session(runner, guest, commands):
    """gdb's answers to commands where the user's page is there, and how the guest ended."""
    with runner.serve(guest, options=["--core", "none", "--timeout", "60"]) as served:
        said = gdb_batch([f"target remote {served.address}", "tbreak leave", "continue", *commands, "kill"], guest)
        result = served.process.wait(60)
    return Transcript(said[3:-1]), result


def to_ring3(prepared, user):
    """A guest that makes its preparations and goes to ring 3. The user's text has 64 bytes."""
    return RING3.replace("test: ", f"test: {prepared}\n", 1) + user + "\n.skip 64"


@AMD64
def test_memory_of_the_supervisor_is_read_and_written_while_the_cpu_is_in_ring_3(runner, directory):
    guest = assemble(directory, runner.arch, to_ring3("", "nop\nnop\nud2"))
    said, _ = session(runner, guest, [
        f"hbreak *{USER + 1:#x}", "continue", "print/x $cs", "x/4xb leave", "x/i leave",
        "print/x *(long *)&place = 0x1122334455667788", "maintenance flush dcache", "print/x *(long *)&place",
        "set var *(char *)leave = 0x90", "maintenance flush dcache", "x/2xb leave", "monitor walk leave"])
    assert said[2].endswith("= 0x2b"), said.text
    assert said[3].split(":")[1].split()[:2] == ["0x48", "0xcf"] and "iretq" in said[4]
    assert said[7].endswith("= 0x1122334455667788")
    # Nor does it matter that nobody may write to it.
    assert said[10].split(":")[1].split() == ["0x90", "0xcf"]


# syscall goes to on_syscall, with ring 0's cs and ss at 8 and 0x10, and sysret back to 0x2b and 0x23 (SDM vol. 3A,
# 5.8.8).
SYSCALL = r"""
	mov ecx, 0xc0000080 /* EFER.SCE */
	rdmsr
	or eax, 1
	wrmsr
	mov ecx, 0xc0000081 /* STAR */
	xor eax, eax
	mov edx, 0x001b0008
	wrmsr
	mov ecx, 0xc0000082 /* LSTAR */
	lea eax, [on_syscall]
	xor edx, edx
	wrmsr
	mov ecx, 0xc0000084 /* FMASK */
	mov eax, 0x300
	wrmsr
"""
ON_SYSCALL = r"""
.section .text
on_syscall: cmp eax, 7
	je end
back:	sysretq
end:	mov eax, 7
	out HS_PORT_EXIT, eax
.section .rodata
"""


@NOT_PVM
def test_step_over_syscall_goes_to_its_handler_and_back_and_leaves_no_trap_flag(runner, directory):
    text = to_ring3(SYSCALL, "xor eax, eax\nsyscall\nmov eax, 7\nsyscall").replace("user: ", ON_SYSCALL + "user: ", 1)
    guest = assemble(directory, runner.arch, text)
    alone = runner.run(guest, options=["--core", "none"])
    assert alone.rc == 7, alone
    flags = ["print (int)$eflags & 0x100", "print (int)$r11 & 0x100"]
    said, ended = session(runner, guest, [
        f"tbreak *{USER + 2:#x}", "continue", "stepi", "info symbol $pc", "print/x $cs", *flags, "stepi 2",
        "info symbol $pc", "stepi", "print/x (long)$pc", "print/x $cs", *flags, "continue"])
    assert said[3].startswith("on_syscall in"), said.text
    assert said[4].endswith("= 0x8") and said[8].startswith("back in"), said.text
    assert said[10].endswith(f"= {USER + 4:#x}") and said[11].endswith("= 0x2b"), said.text
    assert [said[index].split()[-1] for index in (5, 6, 12, 13)] == ["0"] * 4, said.text
    assert "exited with code 07" in said[14] and ended.rc == 7, said.text


# The user sets its trap flag; a #UD is the end.
USERS_FLAG = NOTED_TRAPS + "on_ud2:\tEND_WITH_TRAPS\n"
SETS_FLAG = """pushfq
or dword ptr [rsp], 0x100
popfq
nop
xor eax, eax
push rax
pop rax
pushfq
and dword ptr [rsp], ~0x100
popfq
nop
ud2"""
FIRST = 9
"""Where the first instruction under the flag begins."""
GATES = "OWN_IDT\n\tGATE_ON_ITS_STACK 1, on_db\n\tGATE_ON_ITS_STACK 6, on_ud2"


def assert_traps_are_kept(runner, directory, commands):
    guest = assemble(directory, runner.arch, USERS_FLAG + to_ring3(GATES, SETS_FLAG))
    alone = runner.run(guest, options=["--core", "none"])
    assert re.fullmatch("[a-p]{6}[A-P]", alone.stdout) and alone.rc == 7, alone
    said, ended = session(runner, guest, [*commands, "continue"])
    assert "exited with code 07" in said[-1], said.text
    assert (ended.rc, ended.stdout) == (7, alone.stdout), said.text


@AMD64
@pytest.mark.parametrize("commands", [
    [],
    [f"break *{USER + FIRST:#x}", f"break *{USER + FIRST + 3:#x}", "continue", "continue"],
    ["break on_db", "continue", "continue", "delete"],
    [f"tbreak *{USER + FIRST:#x}", "continue", "stepi", "info symbol $pc", "stepi 5", "tbreak on_ud2", "continue"],
], ids=["none", "planted", "handler", "steps"])
def test_trap_flag_of_a_user_is_kept_whatever_the_debugger_does(runner, directory, commands):
    assert_traps_are_kept(runner, directory, commands)


@NOT_PVM
def test_trap_flag_of_a_user_is_kept_by_a_hardware_breakpoint(runner, directory):
    assert_traps_are_kept(runner, directory, [f"hbreak *{USER + FIRST:#x}", "continue"])
