# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that crash, one for each fault: reason, signal, faulting address and instruction on standard error, exit
status 128 + signal, and a core with the registers of the fault that gdb, readelf and eu-readelf take without complaint.

Addresses come from the symbols of the guest, not from what the command said once.
"""

import re
import signal
from dataclasses import dataclass

import pytest

from lib import elf, report
from lib.debuggers import gdb_batch
from lib.runner import RUNNERS

MACHINE = {"amd64": elf.EM_X86_64, "i686": elf.EM_386}
PROGRAM_COUNTER = {"amd64": "$rip", "i686": "$eip"}


@dataclass
class Case:
    guest: str
    signal: int
    text: str
    """Regular expression for the whole reason; {NAME} is the address of a symbol."""
    place: str
    """Where the instruction is: in this function, in this variable, at this label or at this address."""
    instruction: str
    words: str = ""
    archs: str = "amd64 i686"
    function: str | None = None
    """Where the place is no function: the one around it."""
    stdout: str | None = ""
    """All that the guest prints before; None when another test looks at it."""

    def __str__(self):
        return "-".join([self.guest, *self.words.split()])


PF = r"page fault \(#PF\): "
GP = r"general protection fault \(#GP\): "
CASES = (
    Case("divide", signal.SIGFPE, r"divide error \(#DE\)", "divide", "idiv ", stdout="about to divide\n"),
    Case("undefined", signal.SIGILL, r"invalid opcode \(#UD\)", "execute_undefined", "ud2"),
    Case("protection", signal.SIGSEGV, GP + "selector 0xfff8", "load_selector", "mov gs, "),
    Case("protection", signal.SIGSEGV, GP + "read of 0xdead000000000000, not a canonical address", "read_from", "mov ",
         words="address", archs="amd64"),
    Case("page_read", signal.SIGSEGV, PF + "read of 0xdead0008, not mapped", "read_from", "mov "),
    Case("page_write", signal.SIGSEGV, PF + "write to 0xdead0000, not mapped", "write_to", "mov "),
    Case("page_write", signal.SIGSEGV, PF + "write to {constant}, mapped read-only", "write_to", "mov ",
         words="constant"),
    Case("page_fetch", signal.SIGSEGV, PF + "fetch from 0xdead0000, not mapped", "0xdead0000", r"\(unreadable\)"),
    Case("page_fetch", signal.SIGSEGV, PF + "fetch from {data}, mapped without execute permission", "data", "ret",
         words="data", archs="amd64"),
    Case("stack_overflow", signal.SIGSEGV, PF + "write to 0x[0-9a-f]+, not mapped: stack overflow", "descend", ".",
         archs="amd64"),
    Case("stack_overflow", signal.SIGSEGV, r"double fault \(#DF\): a push to 0x[0-9a-f]+, not mapped: stack overflow",
         "descend", ".", archs="i686"),
    Case("abort", signal.SIGABRT, "abort: the guest gave up", "hs_abort", "out "),
    Case("abort", signal.SIGABRT, "abort: what happened", "hs_abort", "out ", words="what happened"),
    Case("unknown_port", signal.SIGSYS, r"unknown port: 32-bit out to port 0x4242 \(16962\)", "use_port", "out dx, "),
    Case("unknown_port", signal.SIGSYS, r"unknown port: 8-bit in from port 0x4242 \(16962\)", "use_port", "in al, dx",
         words="in"),
    Case("bare_fault", signal.SIGSEGV, PF + "write to 0xdead0000, not mapped", "bare_fault_instruction", "mov ",
         function="_start"),
    Case("higher_half", signal.SIGSEGV, PF + "write to {main}, mapped read-only", "write_to", "mov ", words="crash",
         stdout=None),
    Case("handlers", signal.SIGSEGV, PF + "read of 0xdeacf000, not mapped", "read_through", "mov ", words="decline",
         stdout=None),
    Case("handlers", signal.SIGSEGV, PF + "read of 0xdead0000, not mapped", "read_through", "mov ", words="remove",
         stdout=None),
    Case("heap", signal.SIGABRT, "abort: heap: the block is free already", "hs_abort", "out ", words="twice",
         stdout=None),
)
# What is at these addresses is no function with lines.
NOT_IN_CODE = (("page_fetch.elf", ""), ("page_fetch.elf", "data"))
RUNS = [pytest.param(runner, case, id=f"{runner}-{case}")
        for runner in RUNNERS for case in CASES if runner.split("-")[0] in case.archs.split()]


def with_symbols(pattern, path):
    return re.sub(r"\{(\w+)\}", lambda match: hex(elf.symbol(path, match[1])), pattern)


def assert_within(address, place, path):
    if place.startswith("0x"):
        assert address == int(place, 16)
        return
    start, length = elf.symbol_range(path, place)
    assert start <= address < start + max(length, 1), f"{address:#x} is not in {place}"


@pytest.mark.parametrize("runner, case", RUNS, indirect=["runner"])
def test_crash_says_what_and_where_and_leaves_a_core(runner, case):
    path = runner.guest(case.guest)
    result = runner.run(case.guest, *case.words.split())
    assert result.rc == 128 + case.signal, str(result)
    assert case.stdout is None or result.stdout == case.stdout
    said = report.parse(result.stderr)
    assert said.image == path.name
    assert re.fullmatch(with_symbols(case.text, path), said.text)
    assert (said.signal, said.signal_name) == (case.signal, signal.Signals(case.signal).name)
    assert_within(said.address, case.place, path)
    assert re.match(case.instruction, said.instruction)
    if (path.name, case.words) not in NOT_IN_CODE:
        assert (said.function, said.line) == (case.function or case.place, elf.line_of(path, said.address))
    assert_core_agrees(runner.arch, path, result, said)


def assert_core_agrees(arch, path, result, said):
    """The one file that was left is the core that was announced, and independent readers see the same fault in it."""
    ((name, core),) = result.files.items()
    assert said.core in (name, f"./{name}")
    assert re.fullmatch(rf"{path.name}\.\d+\.\d+\.core", name)
    image = elf.Image(core)
    assert (image.get("type"), image.get("machine")) == (elf.ET_CORE, MACHINE[arch])
    elf.readelf(core, "-a")
    notes = elf.eu_readelf(core, "-n")
    assert re.search(rf"cursig: {said.signal}\b", notes)
    seen = gdb_batch([f'printf "%lx", {PROGRAM_COUNTER[arch]}', 'printf "%d", $_siginfo.si_signo'], path, core)
    assert int(seen[0], 16) == said.address
    assert int(seen[1]) == said.signal


def test_own_int3_is_a_trap_behind_the_instruction(runner):
    """As a process has it: SIGTRAP, with the instruction pointer behind the byte."""
    result = runner.run("breakpoint")
    said = report.parse(result.stderr)
    assert (result.rc, result.stdout) == (128 + signal.SIGTRAP, "")
    assert (said.text, said.signal, said.function) == ("breakpoint (#BP)", signal.SIGTRAP, "execute_int3")
    byte = gdb_batch([f"x/1xb {said.address - 1:#x}"], runner.guest("breakpoint"))[0]
    assert byte.endswith("0xcc")


def test_triple_fault_has_the_state_where_the_cpu_keeps_it(runner):
    result = runner.run("triple_fault")
    said = report.parse(result.stderr)
    assert result.rc == 128 + signal.SIGSEGV
    assert len(result.files) == 1
    if runner.facts["state-at-shutdown"] == "kept":
        assert (said.text, said.instruction) == ("triple fault", "ud2")
        assert_within(said.address, "trap_without_idt", runner.guest("triple_fault"))
    else:
        assert (said.text, said.address) == ("triple fault (the CPU has reset the registers)", None)


def test_bare_fault_has_every_register_in_its_core(runner):
    """The fault of a guest without an IDT goes through the provided one, and nothing of that may show."""
    result = runner.run("bare_fault")
    (core,) = result.files.values()
    prefix = {"amd64": "r", "i686": "e"}[runner.arch]
    names = ("ax", "bx", "cx", "dx", "si", "di")
    seen = gdb_batch([f'printf "%x", ${prefix}{name}' for name in names], runner.guest("bare_fault"), core)
    assert list(seen) == ["dead0000", "11111111", "22222222", "33333333", "44444444", "55555555"]


def test_core_none_leaves_no_core(runner):
    result = runner.run("page_read", options=["--core", "none"])
    assert result.rc == 128 + signal.SIGSEGV
    assert report.parse(result.stderr).core is None
    assert result.files == {}


def shell(runner, script, *command, **kwargs):
    """Run a shell script whose "$@" is a command."""
    return runner.place.run(["sh", "-c", script, "sh", *command], **kwargs)


def test_core_directory_receives_the_core(runner):
    result = shell(runner, 'mkdir cores && exec "$@"', *runner.command("page_read", options=["--core", "cores"]))
    assert result.rc == 128 + signal.SIGSEGV
    assert [name.partition("/")[0] for name in result.files] == ["cores"]
    assert report.parse(result.stderr).core.startswith("cores/")
