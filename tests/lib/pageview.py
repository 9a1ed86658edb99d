# SPDX-License-Identifier: LGPL-2.1-or-later
"""What QEMU says of the page tables of a machine that stands still, in the words of `hindsight pagetable`.

`info tlb` of its monitor names every leaf, with the bits of the leaf's own entry; `info mem` the ranges that are alike
in what all levels together let writes and user mode do; `gva2gpa` where one address leads. What none of them says is
read from the entries here: the size of a large page, PAT, PSE-36, and the rights of the levels above.
"""

import mmap
import pathlib
import random
import re
from dataclasses import dataclass

from lib.tables import ADDRESS, FORMATS, PAT_LARGE, PAT_SMALL, PS, P, RW, US, Memory

LETTERS = {"G": "G", "D": "D", "A": "A", "C": "PCD", "T": "PWT"}
"""Of `info tlb`, and the attributes that they are. Those missing: X, W and U are rights, P is a large page."""

CR0_PG, CR4_PSE, CR4_PAE, CR4_LA57, EFER_LMA, EFER_NXE = 1 << 31, 1 << 4, 1 << 5, 1 << 12, 1 << 10, 1 << 11


@dataclass(frozen=True)
class Leaf:
    """One page, or pages that continue each other."""

    address: int
    length: int
    physical: int
    page: int
    access: str
    user: bool
    attributes: frozenset

    def continued_by(self, other):
        return (self.address + self.length, self.physical + self.length, self.page, self.access, self.user,
                self.attributes) == (other.address, other.physical, other.page, other.access, other.user,
                                     other.attributes)


def merged(leaves):
    found = []
    for leaf in leaves:
        if found and found[-1].continued_by(leaf):
            last = found.pop()
            leaf = Leaf(last.address, last.length + leaf.length, last.physical, *list(vars(leaf).values())[3:])
        found.append(leaf)
    return found


def writable_and_user(leaves):
    """Address, length and these two rights: what `info mem` says."""
    found = []
    for leaf in leaves:
        rights = leaf.user, "w" in leaf.access
        if found and found[-1][0] + found[-1][1] == leaf.address and found[-1][2] == rights:
            address, length, _ = found.pop()
            found.append((address, length + leaf.length, rights))
        else:
            found.append((leaf.address, leaf.length, rights))
    return found


class View:
    """A machine at one moment. What is asked of the monitor is asked at once: the machine may go on, or end."""

    def __init__(self, machine, image, memory_bytes, samples=100):
        """`image` becomes a file with the first bytes of physical memory."""
        registers = dict(re.findall(r"\b(CR[034]|EFER|CPL)=([0-9a-f]+)", machine.hmp("info registers")))
        self.registers = {name: int(value, 16) for name, value in registers.items()}
        self.root = self.registers["CR3"]
        self.image, self.memory_bytes = pathlib.Path(image), memory_bytes
        machine.monitor("pmemsave", val=0, size=memory_bytes, filename=str(image))
        with open(image, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        form = FORMATS[self.format]
        root = self.root & (0xFFFFFFE0 if self.format == "pae" else ADDRESS)
        self._memory = Memory(form, base=0, root=root, data=data)
        self._lines = re.findall(r"^(\w+): (\w+) (\S+)\s*$", machine.hmp("info tlb"), re.M)
        # That of QEMU 7.2 prints nothing for five levels, after 16 s.
        self.writable_and_user = None if self.format == "amd64-5" else self._info_mem(machine)
        self.samples = {address: self._gva2gpa(machine, address) for address in self._sample(samples)}

    @property
    def format(self):
        assert self.registers["CR0"] & CR0_PG
        if self.registers["EFER"] & EFER_LMA:
            return "amd64-5" if self.registers["CR4"] & CR4_LA57 else "amd64-4"
        return "pae" if self.registers["CR4"] & CR4_PAE else "i686"

    @property
    def words(self):
        """The options of `hindsight pagetable` that say how the tables are read."""
        words = ["--format", self.format, "--root", hex(self.root)]
        words += [] if self.registers["EFER"] & EFER_NXE else ["--no-nxe"]
        words += [] if self.registers["CR4"] & CR4_PSE else ["--no-pse"]
        return words + (["--pdpte-a"] if self.format == "pae" else [])

    def _info_mem(self, machine):
        lines = re.findall(r"^(\w+)-\w+ (\w+) (u|-)r(w|-)\s*$", machine.hmp("info mem"), re.M)
        return [(int(start, 16), int(length, 16), (user == "u", write == "w"))
                for start, length, user, write in lines]

    @staticmethod
    def _gva2gpa(machine, address):
        said = re.fullmatch(r"gpa: (\w+)\s*|Unmapped\s*", machine.hmp(f"gva2gpa {address:#x}"))
        return int(said.group(1), 16) if said.group(1) else None

    def _sample(self, count):
        """Addresses of pages that are mapped, every second a large one, and others near them that may not be."""
        choice = random.Random(0)
        large = [line for line in self._lines if "P" in line[2]]
        lines = choice.sample(large, min(count // 2, len(large)))
        for address, _, _ in lines + choice.sample(self._lines, min(count - len(lines), len(self._lines))):
            yield int(address, 16) | choice.randrange(4096)
            yield (int(address, 16) ^ 1 << choice.randrange(12, self._memory.form.shifts[0])) | choice.randrange(4096)

    def _entries(self, address):
        """The entries on the way to an address that is mapped, down to the leaf, each with its level."""
        large = self.format != "i686" or self.registers["CR4"] & CR4_PSE
        for level, table, index in self._memory.path(address):
            entry = self._memory.get(table, index)
            assert entry & P, f"{address:#x}: {level} {entry:#x}"
            yield level, entry
            if level in ("PDE", "PDPTE") and entry & PS and large and self._memory.form.has_rights(level):
                return

    def _leaf(self, address, value, letters):
        form = self._memory.form
        entries = list(self._entries(address))
        level, entry = entries[-1]
        page = 1 << form.shifts[form.levels.index(level)]
        assert ("P" in letters) == (page > 4096) and ("X" in letters) == bool(entry & form.xd)
        # Of PAE, `info tlb` shows the upper bits of the entry with the address; of a 4 MiB leaf it leaves those of
        # PSE-36 out (SDM vol. 3A table 4-4: bits 20:13 are bits 39:32).
        physical = value & ADDRESS | ((entry >> 13 & 0xFF) << 32 if (form.name, level) == ("i686", "PDE") else 0)
        ways = [each for name, each in entries if form.has_rights(name)]
        access = "r" + "w" * all(each & RW for each in ways) + "x" * (not any(each & form.xd for each in ways))
        pat = {"PAT"} if entry & (PAT_SMALL if page == 4096 else PAT_LARGE) else set()
        attributes = {name for letter, name in LETTERS.items() if letter in letters} | pat
        return Leaf(address, page, physical, page, access, all(each & US for each in ways), frozenset(attributes))

    def leaves(self):
        """Every page, as QEMU has it."""
        return [self._leaf(int(address, 16), int(value, 16), letters) for address, value, letters in self._lines]
