# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that do what no guest should, as assembly for lib/assemble.py, and how each may end."""

import re
from dataclasses import dataclass

LIMIT = 124
SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS = 4, 5, 6, 7, 8, 11, 31
SIGNALS = {
    SIGILL: "SIGILL",
    SIGTRAP: "SIGTRAP",
    SIGABRT: "SIGABRT",
    SIGBUS: "SIGBUS",
    SIGFPE: "SIGFPE",
    SIGSEGV: "SIGSEGV",
    SIGSYS: "SIGSYS",
}

# Physical memory that is not there: far behind the snapshot region and far below the scratch region.
HOLE = "MAP 0x40000000\n"


@dataclass
class Ends:
    """One way to end: by a signal with a text in the first line (a regex), or with a status and an output."""

    signal: int = 0
    text: str = ""
    status: int = 0
    output: str = ""

    def fits(self, ended):
        if self.signal == 0:
            return ended.rc == self.status and ended.out == self.output and ended.err == ""
        lines = ended.err.splitlines()
        return (
            ended.rc == 128 + self.signal
            and sum(line.startswith("hindsight: ") for line in lines) == 1
            and re.search(self.text, lines[0]) is not None
            and lines[1] == f"signal: {SIGNALS[self.signal]} ({self.signal})"
        )


@dataclass
class Ended:
    rc: int
    out: str
    err: str


@dataclass
class Case:
    text: str
    ends: list
    """What hosts differ in, docs/hosts.md: any of these."""
    arches: tuple = ("amd64", "i686")


CASES = {}


def case(name, text, *ends, arches=("amd64", "i686")):
    CASES[name] = Case(text, list(ends), arches)


def hole(name, text, access, gva, gpa, insn):
    case(
        f"hole_{name}",
        f"test:\n{HOLE}{text}\nEXIT 1\nfar_away: EXIT 2",
        Ends(
            SIGBUS,
            rf"bus error: {access} 0x[24]0*{gva}, which is guest-physical 0x{gpa}: no memory is there, "
            rf"at 0x[0-9a-f]+ here\+0x0: {insn}",
        ),
    )


def unknown_port(name, text, access, insn):
    case(
        f"port_{name}",
        f"test:\nmov edx, 0x7777\n{text}\nEXIT 1",
        Ends(SIGSYS, rf"unknown port: {access} port 0x7777 \(30583\), at 0x[0-9a-f]+ here\+0x0: {insn}"),
    )


def bad_call(name, text, port, what):
    case(
        name,
        f"test:\n{text}\nhere: out {port}, eax\nEXIT 1",
        Ends(SIGSYS, rf"bad call of port \d+: {what}, at 0x[0-9a-f]+ here\+0x0: out 0x[0-9a-f]+, eax$"),
    )


# Access to physical memory that is not there, by instructions that KVM reports at different moments.
hole("read", "mov BX, VIRT\nhere: mov eax, [BX + 0x10]", "read of", "10", "40000010", "mov eax")
hole("write", "mov BX, VIRT\nhere: mov [BX + 0x10], eax", "write to", "10", "40000010", "mov ")
hole("write_wide", "mov BX, VIRT\nhere: mov [BX + 0x10], AX", "write to", "10", "40000010", "mov ")
hole("read_write", "mov BX, VIRT\nhere: add dword ptr [BX + 0x10], 5", "(read of|write to)", "10", "40000010", "add ")
hole("push", "mov SP, VIRT + 0x100\nhere: push AX", "write to", "(f8|fc)", "400000(f8|fc)", "push ")
hole("pop", "mov SP, VIRT + 0x100\nhere: pop AX", "read of", "100", "40000100", "pop ")
hole("call", "mov SP, VIRT + 0x100\nhere: call far_away", "write to", "(f8|fc)", "400000(f8|fc)", "call ")
hole("stos", "mov DI, VIRT + 0x100\nmov ecx, 5\nhere: rep stosb", "write to", "100", "40000100", "rep stosb")
hole(
    "movs_out",
    "mov DI, VIRT + 0x100\nlea SI, [boot]\nmov ecx, 5\nhere: rep movsb",
    "write to",
    "100",
    "40000100",
    "rep movsb",
)
hole(
    "movs_in",
    "mov SI, VIRT + 0x100\nlea DI, [boot]\nmov ecx, 5\nhere: rep movsb",
    "read of",
    "100",
    "40000100",
    "rep movsb",
)
hole(
    "movs_both",
    "mov SI, VIRT + 0x100\nmov DI, VIRT + 0x200\nmov ecx, 5\nhere: rep movsb",
    "read of",
    "100",
    "40000100",
    "rep movsb",
)
hole("sse", "mov BX, VIRT\nhere: movups [BX + 0x10], xmm0", "write to", "10", "40000010", "movups ")
case(
    "hole_fetch",
    f"test:\n{HOLE}mov BX, VIRT\njmp BX",
    Ends(SIGBUS, "bus error: fetch from 0x[24]0+, which is guest-physical 0x40000000: no memory is there"),
)
case(
    "hole_at_the_apic",
    "test: MAP 0xfee00000\nmov BX, VIRT\nhere: mov eax, [BX + 0x20]\nEXIT 1",
    Ends(SIGBUS, r"guest-physical 0xfee00020: no memory is there, at 0x[0-9a-f]+ here\+0x0"),
)
case(
    "counter_page_is_read_only",
    (
        "test: mov BX, [boot]\nmov SI, [BX + BOOT_SCRATCH_START]\n"
        "add SI, [BX + BOOT_SCRATCH_LENGTH]\nhere: mov dword ptr [SI - HS_SCRATCH_COUNTER_OFFSET], 1\nEXIT 1"
    ),
    Ends(SIGSEGV, r"page fault \(#PF\): write to 0xf+dff8, mapped read-only, .* here\+0x0"),
)

# Ports.
unknown_port("out_8", "here: out dx, al", "8-bit out to", "out dx, al")
unknown_port("out_16", "here: out dx, ax", "16-bit out to", "out dx, ax")
unknown_port("out_32", "here: out dx, eax", "32-bit out to", "out dx, eax")
unknown_port("in_8", "here: in al, dx", "8-bit in from", "in al, dx")
unknown_port("in_16", "here: in ax, dx", "16-bit in from", "in ax, dx")
unknown_port("outsw", "lea SI, [boot]\nhere: outsw", "16-bit out to", "outsw")
unknown_port("rep_outsb", "lea SI, [boot]\nmov ecx, 5\nhere: rep outsb", "8-bit out to", "rep outsb")
unknown_port("rep_outsb_of_one", "lea SI, [boot]\nmov ecx, 1\nhere: rep outsb", "8-bit out to", "rep outsb")
unknown_port("rep_insb", "lea DI, [boot]\nmov ecx, 5\nhere: rep insb", "8-bit in from", "rep insb")
case(
    "port_rep_outsb_to_the_console",
    (
        "test: lea SI, [text]\nmov ecx, 5\nmov edx, HS_PORT_DEBUGCON\nrep outsb\nEXIT 7\n"
        '.section .data\ntext: .ascii "hello"'
    ),
    Ends(status=7, output="hello"),
)
case(
    "port_rep_insb_from_the_uart",
    (
        "test: lea DI, [space]\nmov ecx, 5000\nmov edx, HS_PORT_UART + 5\nrep insb\n"
        "mov al, [space + 4999]\nxor al, [space]\nadd al, [space + 5000]\nout HS_PORT_EXIT, eax\n"
        ".section .bss\nspace: .skip 8192"
    ),
    Ends(status=0),
)
case(
    "port_in_of_all_sizes",
    (
        "test: mov edx, HS_PORT_UART + 5\nin al, dx\ncmp al, 0x60\njne bad\nin ax, dx\ncmp ax, 0x60\njne bad\n"
        "in eax, dx\ncmp eax, 0x60\njne bad\nin al, HS_PORT_DEBUGCON\nout HS_PORT_EXIT, eax\nbad: EXIT 1"
    ),
    Ends(status=0xE9),
)

# Calls of the host with nonsense.
bad_call(
    "print_too_much", "lea SI, [boot]\nmov CX, -1", "HS_PORT_PRINT", "no readable text of at most 64 KiB at 0x[0-9a-f]+"
)
bad_call(
    "print_a_byte_too_much",
    "lea SI, [boot]\nmov ecx, 0x10001",
    "HS_PORT_PRINT",
    "no readable text of at most 64 KiB at .*",
)
bad_call("print_what_wraps", "mov SI, -5\nmov ecx, 100", "HS_PORT_PRINT", "no readable text of at most 64 KiB at 0xf+b")
bad_call(
    "print_what_is_not_mapped", "mov SI, 8\nmov ecx, 100", "HS_PORT_PRINT", "no readable text of at most 64 KiB at 0x8"
)
bad_call(
    "frame_of_garbage",
    "lea SP, [frame]\n.section .data\nframe: .fill 64, 1, 0xff\n.section .text",
    "HS_PORT_EXCEPTION",
    "no exception frame at 0x[0-9a-f]+",
)
bad_call("frame_that_is_not_mapped", "mov SP, 0x1000", "HS_PORT_EXCEPTION", "no exception frame at 0x1000")
case(
    "frame_made_up",
    (
        "test: lea SP, [frame]\nhere: out HS_PORT_EXCEPTION, eax\nEXIT 1\n.section .data\n"
        "frame: WORD 13, 0, 0x1234, 8, 2, 0x5678, 16"
    ),
    Ends(SIGSEGV, r"\(#GP\), at 0x1234: \(unreadable\)$"),
)
case(
    "abort_of_10000_bytes",
    (
        "test: mov ecx, 3333\nmov eax, 0x1b5b6d03\n1: out HS_PORT_ABORT, eax\nloop 1b\nmov eax, 0xff\n"
        "here: out HS_PORT_ABORT, eax\nEXIT 1"
    ),
    Ends(SIGABRT, r"elf: abort: (m\[\\x1b){21}m, at 0x[0-9a-f]+ here\+0x0: out 0x66, eax$"),
)
case(
    "console_binary",
    "test: PRINT text, 8\nEXIT 0\n.section .data\ntext: .byte 0, 1, 0x1b, 7, 10, 65, 9, 127",
    Ends(status=0, output="\0\x01\x1b\x07\nA\t\x7f"),
)

# The CPU's own state.
case("hlt", "test: hlt\nEXIT 1", Ends(status=0))
case("hlt_with_interrupts_on", "test: sti\nhlt\nEXIT 1", Ends(status=0))
case(
    "sse_that_kvm_may_not_know",
    "test: nop\nhere: pxor xmm0, xmm1\nEXIT 3",
    Ends(status=3),
    Ends(SIGILL, r"this host's KVM cannot execute the instruction \(.*\), at 0x[0-9a-f]+ here\+0x0: pxor xmm0, xmm1$"),
)
for name, insn in ("sse", "addps xmm0, xmm1"), ("x87", "fldpi"):
    case(
        f"vectors_{name}_that_are_always_on",
        f"test: nop\nhere: {insn}\nEXIT 3",
        Ends(status=3),
        Ends(SIGILL, rf"this host's KVM cannot execute the instruction \(.*\), at 0x[0-9a-f]+ here\+0x0: {insn}"),
    )
case(
    "vectors_that_one_vendor_alone_has",
    "test: nop\nhere: extrq xmm0, xmm1\nEXIT 3",
    Ends(SIGILL, r"\(#UD\): this instruction needs SSE4A, which the software CPU does not offer .* here\+0x0: extrq"),
    Ends(SIGILL, r"this host's KVM cannot execute the instruction \(.*\), at 0x[0-9a-f]+ here\+0x0: extrq"),
    Ends(status=3),
    Ends(SIGILL, r"invalid opcode \(#UD\), at 0x[0-9a-f]+ here\+0x0: extrq"),
)
case(
    "avx_that_is_not_switched_on",
    "test: nop\nhere: vpaddb xmm0, xmm1, xmm2\nEXIT 3",
    Ends(SIGILL, r"invalid opcode \(#UD\), at 0x[0-9a-f]+ here\+0x0: vpaddb "),
    Ends(SIGILL, r"this host's KVM cannot execute the instruction \(.*\), at 0x[0-9a-f]+ here\+0x0: vpaddb "),
)
case(
    "jump_to_what_is_not_canonical",
    "test: mov rax, 0x8000000000000000\nhere: jmp rax",
    Ends(SIGSEGV, r"\(#GP\): jump to 0x8000000000000000, not a canonical address"),
    arches=("amd64",),
)
case(
    "read_what_is_not_canonical",
    "test: mov rax, 0x8000000000000000\nhere: mov rbx, [rax]",
    Ends(SIGSEGV, r"\(#GP\): read of 0x8000000000000000, not a canonical address, at 0x[0-9a-f]+ here\+0x0"),
    arches=("amd64",),
)
case(
    "push_to_what_is_not_canonical",
    "test: mov rsp, 0x8000000000000000\nhere: push rax",
    Ends(SIGSEGV, r"\(#GP\): write to 0x7ffffffffffffff8, not a canonical address, at 0x[0-9a-f]+ here\+0x0"),
    Ends(SIGBUS, r"\(#SS\): write to 0x7ffffffffffffff8, not a canonical address, at 0x[0-9a-f]+ here\+0x0"),
    arches=("amd64",),
)
case(
    "return_to_nowhere",
    "test: push 0x123\nhere: ret",
    Ends(SIGSEGV, r"page fault \(#PF\): fetch from 0x123, not mapped, at 0x123: \(unreadable\)$"),
)
TABLE = ".section .data\ntable: .word 0xfff\nWORD 0xdead0000"
case("idt_nowhere", f"test: lidt [table]\nhere: ud2\n{TABLE}", Ends(SIGSEGV, "triple fault"))
case(
    "gdt_nowhere",
    f"test: lgdt [table]\nmov eax, 0x28\nhere: mov ds, eax\nmov fs, eax\nEXIT 1\n{TABLE}",
    Ends(SIGSEGV, "triple fault"),
)
case(
    "idt_cannot_be_written",
    "test: sidt [table]\nmov DI, [table + 2]\nhere: mov dword ptr [DI], 0\nud2\n.section .data\ntable: .skip 16",
    Ends(SIGSEGV, r"page fault \(#PF\): write to 0x[0-9a-f]+, mapped read-only, .* here\+0x0"),
)
case(
    "gdt_of_garbage",
    (
        "test: sgdt [table]\nmov DI, [table + 2]\nmov ecx, 16\nmov eax, -1\nrep stosd\nhere: mov ds, eax\n"
        "mov eax, 16\nmov ds, eax\nud2\n.section .data\ntable: .skip 16"
    ),
    Ends(SIGSEGV, r"\(#GP\): selector 0xfff8, at .* here\+0x0"),
    Ends(SIGSEGV, "triple fault"),
)
case(
    "tables_that_map_themselves",
    """test: call take_pages
mov DI, [BX + BOOT_TABLES_GPA]
mov AX, DI
or AX, 7
add DI, CX
mov ecx, 4096 / W / 2
1: add DI, W
mov [DI], AX
loop 1b
here: ud2""",
    Ends(SIGILL, r"invalid opcode \(#UD\), at 0x[0-9a-f]+ here\+0x0"),
)
case(
    "stack_nowhere_at_a_fault",
    "test: mov SP, 0x1000\nhere: ud2",
    Ends(SIGILL, r"\(#UD\), at 0x[0-9a-f]+ here\+0x0: ud2"),
    Ends(SIGSEGV, r"double fault \(#DF\), at 0x[0-9a-f]+ here\+0x0"),
)
case(
    "stack_in_a_hole_at_a_fault",
    f"test:\n{HOLE}mov SP, VIRT + 0x800\nhere: ud2",
    Ends(SIGILL, r"\(#UD\), at 0x[0-9a-f]+ here\+0x0: ud2"),
    Ends(SIGILL, r"the stack is at guest-physical 0x40000800, where no memory is, at 0x[0-9a-f]+ here\+0x0: ud2"),
    Ends(SIGBUS, r"write to guest-physical 0x400007[cdef][0-9a-f]: no memory is there, at 0x[0-9a-f]+ here\+0x0: ud2"),
)
case(
    "breakpoint_without_a_stack",
    "test: mov SP, 0x1000\nhere: int3\nafter: nop",
    Ends(SIGTRAP, r"breakpoint \(#BP\), at 0x[0-9a-f]+ after\+0x0"),
    # The fault is that of the int3 (SDM vol. 2A, INT n); KVM delivers it from behind.
    Ends(SIGSEGV, r"double fault \(#DF\), at .* (here|after)\+0x0"),
)
case(
    "paging_off",
    "test: mov AX, cr0\nbtr AX, 31\nhere: mov cr0, AX\nEXIT 1",
    Ends(SIGSEGV, r"\(#GP\), at .* here\+0x0"),
    Ends(SIGBUS, "bus error: fetch from 0x[0-9a-f]+, .*: no memory is there"),
)
case("cr4_of_ones", "test: mov AX, -1\nhere: mov cr4, AX\nEXIT 1", Ends(SIGSEGV, r"\(#GP\), at .* here\+0x0"))

# Ring 3, on a page that the guest maps for itself. Not on i686: QEMU 7.2 gives up when a nested guest enters ring 0
# through a 32-bit TSS ("invalid tss type").
RING3 = """test: call take_pages
mov [place], CX
add [place], DX
mov AX, DX
call map_virt
mov rdi, [place]
lea rsi, [user]
mov ecx, 64
rep movsb
push 0x23
mov rax, VIRT + 0xff0
push rax
push 2
push 0x2b
mov rax, VIRT
push rax
leave: iretq
.section .bss
place: .skip 8
.section .rodata
user: """


def ring3(name, text, *ends):
    case(f"ring3_{name}", f"{RING3}{text}\n.skip 64", *ends, arches=("amd64",))


ring3("opcode", "ud2", Ends(SIGILL, r"\(#UD\), at 0x200000000000: ud2$"))
ring3(
    "kernel_memory",
    "mov eax, offset boot\nmov ebx, [rax]",
    Ends(
        SIGSEGV, r"\(#PF\): read of 0x[0-9a-f]+, mapped for the supervisor only, at 0x200000000005: mov ebx, \[rax\]$"
    ),
)
ring3("port", "out HS_PORT_EXIT, eax", Ends(SIGSEGV, r"\(#GP\), at 0x200000000000: out 0x6d, eax$"))
ring3("hlt", "hlt", Ends(SIGSEGV, r"\(#GP\), at 0x200000000000: hlt$"))
ring3("division", "xor ecx, ecx\ndiv ecx", Ends(SIGFPE, r"divide error \(#DE\), at 0x200000000002: div ecx$"))
ring3("breakpoint", "nop\nint3", Ends(SIGTRAP, r"breakpoint \(#BP\), at 0x200000000002: "))
ring3(
    "stack",
    "xor esp, esp\npush rax",
    Ends(SIGSEGV, r"\(#PF\): write to 0xf+8, not mapped, at 0x200000000002: push rax$"),
)

# What some hosts' KVM never comes back from, so that only the time limit ends it.
ENDLESS = {
    "root_nowhere": "test: mov AX, 0x40000000\nhere: mov cr3, AX\nEXIT 1",
    "tables_of_garbage": """test: call take_pages
mov DI, [BX + BOOT_TABLES_GPA]
add DI, CX
mov ecx, 4096 / W
mov eax, 0x13579bdf
1: mov [DI], AX
rol AX, 7
add DI, W
loop 1b
here: ud2""",
    "out_for_ever": "test: out HS_PORT_READY, eax\njmp test",
}
