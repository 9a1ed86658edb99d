# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ways in which the programs of guest/programs crash, and what there is to see of each crash in its core.

The numbers are Linux's: signals (signal(7)), si_code (sigaction(2)), and what its x86 traps send for which exception.
"""

import pathlib
import signal
from dataclasses import dataclass, replace

from lib.elf import symbol

PROGRAMS = pathlib.Path(__file__).resolve().parent.parent.parent / "guest" / "programs"

SI_USER, SI_KERNEL = 0, 0x80
SEGV_MAPERR, SEGV_ACCERR, FPE_INTDIV, ILL_ILLOPC, ILL_ILLOPN, BUS_ADRERR = 1, 2, 1, 1, 2, 2
TIMEOUT_STATUS = 124


@dataclass(frozen=True)
class Crash:
    name: str
    guest: str
    signal: int
    code: int
    address: object
    """The fault address: a number, the name of a symbol, "pc", or None where only the reason tells it."""
    instruction: str
    """What is at pc, as gdb has it: a regular expression."""
    frames: tuple
    """The functions of the backtrace from the innermost on, inlined ones included; "??" is none."""
    where: str
    """Text of the line of the program's source where it crashed; of the first frame that is in that file."""
    reason: str
    """What happened, in words: a regular expression."""
    kind: str = "exception"
    lines_below: int = 0
    words: tuple = ()
    options: tuple = ()
    status: int = 0
    only: str = ""
    native: bool = True

    @property
    def source(self):
        return PROGRAMS / f"{self.guest}.c"

    @property
    def line(self):
        """The number of the line in the source."""
        lines = self.source.read_text(encoding="utf-8").splitlines()
        found = [number for number, text in enumerate(lines, 1) if self.where in text]
        assert len(found) == 1, f"{self.source}: {self.where!r} is in lines {found}"
        return found[0] + self.lines_below

    @property
    def exit_status(self):
        return self.status or 128 + self.signal

    def address_in(self, image, pc):
        """The fault address as a number, or None."""
        if self.address == "pc":
            return pc
        return symbol(image, self.address) if isinstance(self.address, str) else self.address


def _crash(name, number, code, address, instruction, frames, where, reason, **more):
    guest = more.pop("guest", name)
    return Crash(name, guest, int(number), code, address, instruction, frames, where, reason, **more)


_STACK_OVERFLOW = _crash(
    "stack_overflow", signal.SIGSEGV, SEGV_MAPERR, None, r"mov +%e\w+,-0x\w+\(%[er]bp\)",
    ("descend", "descend", "descend"), "local[0] = *depth + 1;",
    r"page fault \(#PF\): write to 0x[0-9a-f]+, not mapped: stack overflow", only="amd64")

CRASHES = {crash.name: crash for crash in (
    _crash("divide", signal.SIGFPE, FPE_INTDIV, "pc", r"idivl? ", ("divide", "main"), "return dividend / *divisor;",
           r"divide error \(#DE\)"),
    _crash("undefined", signal.SIGILL, ILL_ILLOPN, "pc", r"ud2", ("execute_undefined", "main"),
           "ud2", r"invalid opcode \(#UD\)"),
    _crash("protection", signal.SIGSEGV, SI_KERNEL, "pc", r"mov +%\w+,%gs", ("load_selector", "main"), "%%gs",
           r"general protection fault \(#GP\): selector 0xfff8"),
    _crash("protection-address", signal.SIGSEGV, SI_KERNEL, 0xDEAD << 48, r"mov +\(%\w+\),%e\w+",
           ("read_from", "main"), "return *where;",
           r"general protection fault \(#GP\): read of 0xdead000000000000, not a canonical address",
           guest="protection", words=("address",), only="amd64"),
    _crash("page_read", signal.SIGSEGV, SEGV_MAPERR, 0xDEAD0008, r"mov +\(%\w+\),%e\w+", ("read_from", "main"),
           "return *where;", r"page fault \(#PF\): read of 0xdead0008, not mapped"),
    _crash("page_write", signal.SIGSEGV, SEGV_MAPERR, 0xDEAD0000, r"movl +\$0x2a,\(%\w+\)", ("write_to", "main"),
           "*where = 42;", r"page fault \(#PF\): write to 0xdead0000, not mapped"),
    # Ring 0 of kvm_pvm has wide registers and cannot load them: tests/gdb/test_vectors.py.
    _crash("vectors", signal.SIGSEGV, SEGV_MAPERR, 0xDEAD0000, r"movl +\$0x2a,\(%\w+\)", ("write_to", "main"),
           "*where = 42;", r"page fault \(#PF\): write to 0xdead0000, not mapped", only="rig"),
    _crash("page_write-constant", signal.SIGSEGV, SEGV_ACCERR, "constant", r"movl +\$0x2a,\(%\w+\)",
           ("write_to", "main"), "*where = 42;",
           r"page fault \(#PF\): write to 0x[0-9a-f]+, mapped read-only", guest="page_write",
           words=("constant",)),
    _crash("page_fetch", signal.SIGSEGV, SEGV_MAPERR, 0xDEAD0000, r"Cannot access memory at address 0xdead0000",
           ("??", "call", "main"), "((void (*)(void))where)();",
           r"page fault \(#PF\): fetch from 0xdead0000, not mapped"),
    _crash("page_fetch-data", signal.SIGSEGV, SEGV_ACCERR, "data", r"ret", ("data", "call", "main"),
           "((void (*)(void))where)();",
           r"page fault \(#PF\): fetch from 0x[0-9a-f]+, mapped without execute permission", guest="page_fetch",
           words=("data",), only="amd64"),
    _STACK_OVERFLOW,
    replace(_STACK_OVERFLOW, only="i686", code=SI_KERNEL, name="stack_overflow-i686",
            reason=r"double fault \(#DF\): a push to 0x[0-9a-f]+, not mapped: stack overflow"),
    _crash("abort", signal.SIGABRT, SI_USER, "pc", r"out +%eax,\$0x66", ("hs_out32", "hs_abort", "give_up", "main"),
           "hs_abort(why);", r"abort: the guest gave up", kind="abort"),
    _crash("unknown_port", signal.SIGSYS, SI_KERNEL, "pc", r"out +%eax,\(%dx\)", ("hs_out32", "use_port", "main"),
           "hs_out32(PORT, 7);", r"unknown port: 32-bit out to port 0x4242 \(16962\)", kind="unknown-port"),
    _crash("unknown_port-in", signal.SIGSYS, SI_KERNEL, "pc", r"in +\(%dx\),%al", ("hs_in8", "use_port", "main"),
           "hs_in8(PORT);", r"unknown port: 8-bit in from port 0x4242 \(16962\)", kind="unknown-port",
           guest="unknown_port", words=("in",)),
    _crash("hang", signal.SIGXCPU, SI_KERNEL, "pc", r"jmp ", ("loop", "main"), "for (;;) {",
           r"time limit: the guest had not ended after 0\.5 s", kind="hang", options=("--timeout", "0.5"),
           status=TIMEOUT_STATUS),
    # A trap, not a fault: pc is behind the instruction, as on Linux.
    _crash("breakpoint", signal.SIGTRAP, SI_KERNEL, "pc", r"ret", ("execute_int3", "main"),
           "volatile(\"int3\")", r"breakpoint \(#BP\)", lines_below=1),
    _crash("bare_fault", signal.SIGSEGV, SEGV_MAPERR, 0xDEAD0000, r"movl +\$0x7,\(%[er]ax\)", ("_start",),
           "bare_fault_instruction:", r"page fault \(#PF\): write to 0xdead0000, not mapped", native=False),
    _crash("debugme", signal.SIGSEGV, SEGV_MAPERR, 0, r"mov +%e\w+,\(%\w+\)",
           ("store_price", "raise_price", "process", "run", "main"), "*where = price;",
           r"page fault \(#PF\): write to 0x0, not mapped", words=("crash",)),
    _crash("nowhere", signal.SIGBUS, BUS_ADRERR, None, r"mov[sz]bl +\(%\w+\),%e\w+", ("main",),
           "*(const volatile char *)",
           r"bus error: read of 0x[0-9a-f]+, which is guest-physical 0x70000000: no memory is there", kind="unmapped",
           words=("page", "touch")),
    # What a KVM cannot do that executes ring 0 by an emulator.
    _crash("fp_sse", signal.SIGILL, ILL_ILLOPC, "pc", r"xorpd +%xmm7,%xmm7", ("main",), "fldz",
           r"this host's KVM cannot execute the instruction", kind="backend", words=("start",), only="amd64-kvm"),
    # Where the CPU keeps its registers.
    _crash("triple_fault", signal.SIGSEGV, SI_KERNEL, "pc", r"ud2", ("trap_without_idt", "main"), "lidt",
           "triple fault", kind="triple-fault"),
)}
