# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight pagetable` over what QEMU writes of a machine: cores (dump-guest-memory) and memory as it is (pmemsave).
Neither says anything that hindsight knows of where page tables are, so roots and formats are named. The machine runs a
BIOS of our own that does nothing but switch paging on; QEMU's own walk of the same tables is what `list` has to be.
"""

import functools
import json
import re
import shutil

import pytest

from lib.elf import readelf
from lib.naive_spaces import expected, reader_of_image
from lib.process import Failed, run
from lib.qemu import MACHINE, PROGRAM, Machine
from lib.tables import BASE, FORMATS, ROOT, A, D, Memory, P, PS, RW, US

SECONDS = 60
MEMORY_MIB = 16

# From reset to the paging mode that CR3, CR4 and EFER say (SDM vol. 3A 10.1.4 and 10.8.5), then a word on the serial
# port (I/O address 0x3f8) and nothing more. The BIOS is seen at 0xf0000 as well as below 4 GiB.
BIOS = r"""
.code16
bios:
.skip 0xf000 - (. - bios)
start:
	cli
	lgdtl %cs:table - bios
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl $8, $0xf0000 + protected - bios
.code32
protected:
	mov $16, %eax
	mov %eax, %ds
	mov $CR4, %eax
	mov %eax, %cr4
	mov $ROOT, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $EFER, %eax
	wrmsr
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	mov $0x3f8, %edx
	mov $'!', %al
	out %al, %dx
forever:
	hlt
	jmp forever
.balign 8
segments:
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
table:
	.word 23
	.long 0xf0000 + segments - bios
.skip 0xfff0 - (. - bios)
.code16
	ljmp $0xf000, $start - bios
.skip 0x10000 - (. - bios)
"""
CR4 = {"i686": 1 << 4, "pae": 1 << 5, "amd64-4": 1 << 5, "amd64-5": 1 << 5 | 1 << 12}
"""PSE; PAE; LA57."""


def build_bios(form, directory):
    efer = (1 << 8 if form.wide else 0) | (0 if form.name == "i686" else 1 << 11)
    (directory / "bios.S").write_text(BIOS)
    run(["gcc", "-m32", "-c", f"-DCR4={CR4[form.name]:#x}", f"-DROOT={ROOT:#x}", f"-DEFER={efer:#x}", "-o",
         directory / "bios.o", directory / "bios.S"]).check()
    run(["objcopy", "-O", "binary", "-j", ".text", directory / "bios.o", directory / "bios.bin"]).check()
    return directory / "bios.bin"


def tables(form):
    """Memory with the tables of two address spaces, and their roots: the BIOS where it is, and some of everything else,
    all within the machine's memory."""
    memory = Memory(form, pages=32)
    for page in range(0xF0000, 0x100000, 0x1000):
        memory.put(page, page | P | A)
    for page in range(5):
        memory.put(0x400000 + page * 0x1000, 0x500000 + page * 0x1000 | P | RW | US | D)
    memory.put(0x406000, 0x500000 | P | US | form.xd)
    memory.put(0x800000, 0xC00000 | P | RW | PS, "PDE")
    memory.put(form.top, 0x702000 | P | RW | form.xd)
    other = memory.take()
    if form.wide:
        memory.put(form.canonical(1 << form.shifts[0] + 8), 0x703000 | P | RW)
    memory.put(0xC00000, next(memory.get(table, index) for level, table, index in memory.path(0x400000)
                              if level == "PDE") & ~RW, "PDE", other)
    memory.put(0x400000, 0x704000 | P | RW, root=other)
    return memory, (ROOT, other)


LOAD = r"^  LOAD +(0x\w+) (0x\w+) (0x\w+) (0x\w+) 0x\w+ "


def loads(core):
    """Offset, address, physical address and length of each PT_LOAD."""
    return [tuple(int(field, 16) for field in fields) for fields in re.findall(LOAD, readelf(core, "-l"), re.M)]


class Dumped:
    """What QEMU wrote of one machine."""

    def __init__(self, form, directory):
        self.form = form
        self.memory, self.roots = tables(form)
        self.core, self.paged, self.image = (directory / name for name in ("core", "paged.core", "memory"))
        loader = f"loader,file={self.memory.write(directory / 'tables')},addr={BASE:#x},force-raw=on"
        machine = Machine([PROGRAM, *MACHINE, "-m", str(MEMORY_MIB), "-bios", str(build_bios(form, directory)),
                           "-device", loader])
        try:
            machine.console.wait_for("!", SECONDS)
            machine.monitor("stop")
            machine.monitor("dump-guest-memory", paging=False, protocol=f"file:{self.core}")
            machine.monitor("dump-guest-memory", paging=True, protocol=f"file:{self.paged}")
            machine.monitor("pmemsave", val=0, size=MEMORY_MIB << 20, filename=str(self.image))
        finally:
            machine.close()

    @property
    def words(self):
        # The CPU of QEMU 7.2 sets A in PDPTEs of PAE paging, where that is a reserved bit (SDM vol. 3A table 4-8).
        more = ["--pdpte-a"] if self.form.name == "pae" else []
        return "--format", self.form.name, *(word for root in self.roots for word in ("--root", hex(root))), *more


@pytest.fixture(scope="session")
def machines(tmp_path_factory):
    if not shutil.which(PROGRAM):
        pytest.skip(f"{PROGRAM} is not installed")
    return functools.cache(lambda name: Dumped(FORMATS[name], tmp_path_factory.mktemp(name)))


@pytest.fixture(params=FORMATS)
def dumped(request, machines):
    return machines(request.param)


def test_list_of_a_core_of_qemu_is_what_qemu_finds(pagetable, dumped):
    """The core that is written with paging=true has what QEMU's own walk found of the first root as its segments."""
    data = json.loads(pagetable("list", "--json", dumped.core, *dumped.words).check().stdout)
    known = []
    for each in data["spaces"][0]["ranges"]:
        start, length, physical = (int(each[name], 16) for name in ("address", "length", "physical"))
        if known and [known[-1][0] + known[-1][1], known[-1][2] + known[-1][1]] == [start, physical]:
            known[-1][1] += length
        else:
            known.append([start, length, physical])
    bits = (1 << dumped.form.shifts[0] + 9 if dumped.form.wide else 1 << 32) - 1
    # QEMU 7.2 takes all addresses of 4-level paging for ones of the upper half.
    found = sorted([dumped.form.canonical(start & bits), length, physical]
                   for _, start, physical, length in loads(dumped.paged))
    assert known == found


def test_words_say_the_same_of_core_and_memory(pagetable, dumped):
    for word, *more in (["list"], ["list", "--json"], ["spaces"], ["spaces", "--json"], ["walk", "0x406123"],
                        ["walk", "--json", "0x406123"]):
        of_core = pagetable(word, dumped.core, *dumped.words, *more)
        of_image = pagetable(word, "--image", dumped.image, *dumped.words, *more)
        assert of_core.stdout.replace(str(dumped.core), str(dumped.image)) == of_image.stdout != ""
        # The second root does not map the address.
        assert (of_core.rc, of_core.stderr) == (of_image.rc, of_image.stderr) == (1 if word == "walk" else 0, "")


def test_spaces_of_a_core_of_qemu_are_those_of_a_naive_walk(pagetable, dumped):
    data = json.loads(pagetable("spaces", "--json", dumped.core, *dumped.words).check().stdout)
    # As QEMU left the tables: the CPU has set A and D bits since.
    reader = reader_of_image(dumped.form, 0, dumped.image.read_bytes(), pdpte_a=True)
    assert ([space["items"] for space in data["spaces"]], data["totals"]) == expected(reader, dumped.roots)


def test_accessed_bit_in_a_pdpte_is_reserved(pagetable, machines):
    """As the CPU of QEMU leaves it; no other CPU takes such a table."""
    dumped = machines("pae")
    words = dumped.words[:4]
    result = pagetable("walk", dumped.core, *words, "0x400000")
    assert result.rc == 1 and re.search(rf"^  PDPTE  {ROOT:#x} .*  P RSVD=0x20$", result.stdout, re.M)
    for word in "list", "spaces":
        said = pagetable(word, dumped.core, *words).check().stdout
        assert f"  reserved bits in the entry at {ROOT:#x}\n" in said
    result = pagetable("walk", dumped.core, *words, "--pdpte-a", "0x400000").check()
    assert re.search(rf"^  PDPTE  {ROOT:#x} .*  P IGN=0x20$", result.stdout, re.M)


def test_core_info_reads_a_core_of_qemu(build, dumped):
    """Without paging=true the file has physical memory from 0 on; a machine of 32 bits is in a file of 64."""
    assert "Class:                             ELF64" in readelf(dumped.core, "-h")
    result = run([build / "hindsight", "core", "info", dumped.core]).check()
    assert re.search(rf"^  {'rax' if dumped.form.wide else 'eax'} +0x0*e00000[0-9a-f]1 ", result.stdout, re.M)


@pytest.mark.parametrize("word", ["list", "spaces", "walk"])
def test_core_of_qemu_needs_format_and_root(pagetable, dumped, word):
    more = ["0"] if word == "walk" else []
    for options in [], ["--format", dumped.form.name], ["--root", hex(ROOT)]:
        result = pagetable(word, dumped.core, *options, *more)
        assert (result.rc, result.stdout, result.stderr) == (
            125, "", f"hindsight: {dumped.core}: the core does not say where its page tables are "
            "(give --format and --root)\n")
    beyond = hex(MEMORY_MIB << 20)
    result = pagetable(word, dumped.core, "--format", dumped.form.name, "--root", beyond, *more)
    assert (result.rc, result.stderr) == (
        125, f"hindsight: {dumped.core}: the root table at {beyond} is not in it\n")
