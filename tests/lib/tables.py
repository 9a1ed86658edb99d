# SPDX-License-Identifier: LGPL-2.1-or-later
"""x86 page tables in bytes, put together and read bit by bit from the SDM's tables (vol. 3A 4.3 to 4.5)."""

import struct
from dataclasses import dataclass

import pytest

P, RW, US, PWT, PCD, A, D, PS, G, COW = (1 << bit for bit in range(10))
PAT_SMALL, PAT_LARGE, XD = PS, 1 << 12, 1 << 63
TABLE = P | RW | US
ADDRESS = 0xFFFFFFFFFF000
BASE, ROOT, NOWHERE = 0x100000, 0x100000, 0x9000000
"""Where the memory of a test begins, its root, and a place behind its end."""


@dataclass
class Format:
    name: str
    entry: str
    """How struct packs an entry."""
    shifts: tuple
    levels: tuple
    large: int
    """Bytes of a large page."""

    @property
    def wide(self):
        return self.name.startswith("amd64")

    @property
    def top(self):
        return (1 << 64 if self.wide else 1 << 32) - 0x1000

    @property
    def xd(self):
        return 0 if self.name == "i686" else XD

    @property
    def digits(self):
        return 16 if self.wide else 8

    def canonical(self, address):
        """An address of so many bits as the format translates, as a program has it."""
        bits = self.shifts[0] + 9
        return address | -(1 << bits) & (1 << 64) - 1 if self.wide and address >> bits - 1 & 1 else address

    def has_rights(self, level):
        """A PDPTE of PAE has neither R/W nor U/S nor XD."""
        return (self.name, level) != ("pae", "PDPTE")


FORMATS = {row.name: row for row in (
    Format("i686", "<I", (22, 12), ("PDE", "PTE"), 4 << 20),
    Format("pae", "<Q", (30, 21, 12), ("PDPTE", "PDE", "PTE"), 2 << 20),
    Format("amd64-4", "<Q", (39, 30, 21, 12), ("PML4E", "PDPTE", "PDE", "PTE"), 2 << 20),
    Format("amd64-5", "<Q", (48, 39, 30, 21, 12), ("PML5E", "PML4E", "PDPTE", "PDE", "PTE"), 2 << 20),
)}
EACH_FORMAT = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)


class Memory:
    """Physical memory from a base on: of its own, its first page the root, where tables are made behind it as they are
    needed; or `data` with tables in it."""

    def __init__(self, form, pages=16, base=BASE, root=None, data=None):
        self.form, self.pages, self.base = form, pages, base
        self.root = base if root is None else root
        self.bytes = bytearray(pages << 12) if data is None else data
        self.free = base + 0x1000
        self.size = struct.calcsize(form.entry)

    def get(self, table, index):
        return struct.unpack_from(self.form.entry, self.bytes, table - self.base + index * self.size)[0]

    def set(self, table, index, value):
        struct.pack_into(self.form.entry, self.bytes, table - self.base + index * self.size, value)

    def path(self, address, root=None):
        """Table and index of each level, as far as there are tables, from the root or another one on."""
        table = self.root if root is None else root
        for level, shift in zip(self.form.levels, self.form.shifts):
            index = (address >> shift) & (0x3FF if self.form.name == "i686" else 3 if (
                self.form.name, level) == ("pae", "PDPTE") else 0x1FF)
            yield level, table, index
            table = self.get(table, index) & ADDRESS
            if not self.base <= table < self.base + len(self.bytes):
                return

    def take(self):
        """A page that is free."""
        self.free += 0x1000
        return self.free - 0x1000

    def put(self, address, entry, level="PTE", root=None):
        """Set the entry at a level on the way to the address."""
        while True:
            for name, table, index in self.path(address, root):
                if name == level:
                    self.set(table, index, entry)
                    return
            self.set(table, index, self.take() | (TABLE if self.form.has_rights(name) else P))

    def write(self, path):
        path.write_bytes(self.bytes)
        return path


def image_words(memory, path, *roots):
    """The options of `hindsight pagetable` for the memory in a file, from its root on or from those that are given."""
    return ("--image", memory.write(path), "--base", hex(memory.base), "--format", memory.form.name,
            *(word for root in roots or [memory.root] for word in ("--root", hex(root))))
