# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `hindsight pagetable spaces --json` has to say, worked out entry by entry from the SDM's text (vol. 3A 4.3 to
4.5): one function a question, no table of formats, nothing read twice the same way as in paging/."""

import struct
from dataclasses import dataclass

from lib.elf import Image

NAMES = ("PT", "PD", "PDPT", "PML4", "PML5")


@dataclass
class Rights:
    write: bool = True
    user: bool = True
    execute: bool = True

    def __and__(self, other):
        return Rights(self.write and other.write, self.user and other.user, self.execute and other.execute)

    @property
    def json(self):
        return {"access": "r" + "w" * self.write + "x" * self.execute, "user": self.user}


def bit(entry, number):
    return bool(entry >> number & 1)


def any_of(entry, high, low):
    return entry >> low & (1 << high - low + 1) - 1 != 0


class Reader:
    """Tables of one format; `read` gives so many bytes at an address, or None. pdpte_a: bit 5 of a PDPTE of PAE is
    not reserved."""

    def __init__(self, form, read, pdpte_a=False):
        self.form, self.read, self.pdpte_a = form, read, pdpte_a
        self.bytes = struct.calcsize(form.entry)

    def entries(self, table, depth):
        """The entries of a table, None for each that is not in memory."""
        for index in range(4 if self.form.name == "pae" and depth == 0 else 4096 // self.bytes):
            entry = self.read(table + index * self.bytes, self.bytes)
            yield None if entry is None else struct.unpack(self.form.entry, entry)[0]

    def is_leaf(self, depth, entry):
        level = self.form.levels[depth]
        large = level == "PDE" or (level == "PDPTE" and self.form.wide)
        return level == "PTE" or (large and bit(entry, 7))

    def is_reserved(self, depth, entry):
        level, leaf = self.form.levels[depth], self.is_leaf(depth, entry)
        if self.form.name == "i686":
            return level == "PDE" and leaf and bit(entry, 21)
        if self.form.name == "pae" and level == "PDPTE":
            return any_of(entry, 2, 1) or any_of(entry, 8, 6 if self.pdpte_a else 5) or any_of(entry, 63, 52)
        if self.form.name == "pae" and any_of(entry, 62, 52):
            return True
        if level in ("PML4E", "PML5E"):
            return bit(entry, 7)
        return leaf and ((level == "PDE" and any_of(entry, 20, 13)) or (level == "PDPTE" and any_of(entry, 29, 13)))

    def rights(self, depth, entry):
        if self.form.name == "pae" and depth == 0:
            return Rights()
        return Rights(bit(entry, 1), bit(entry, 2), self.form.name == "i686" or not bit(entry, 63))

    def memory_of(self, depth, entry):
        """Where a leaf's memory is."""
        if self.form.levels[depth] == "PTE":
            return entry & 0xFFFFFFFFFF000
        if self.form.name == "i686":
            return (entry & 0xFFC00000) | (entry >> 13 & 0xFF) << 32
        return entry & 0xFFFFFFFFFF000 & -(1 << self.form.shifts[depth])

    def attributes(self, depth, entry):
        names = [("PWT", 3), ("PCD", 4), ("A", 5), ("D", 6),
                 ("PAT", 7 if self.form.levels[depth] == "PTE" else 12), ("G", 8)]
        found = [name for name, number in names if bit(entry, number)]
        if entry >> 9 & 7:
            found.append(f"AVL={entry >> 9 & 7:#x}")
        if self.form.wide and entry >> 59 & 0xF:
            found.append(f"PKEY={entry >> 59 & 0xF:#x}")
        if self.form.wide and entry >> 52 & 0x7F:
            found.append(f"IGN={entry & 0x7F << 52:#x}")
        return found


def reader_of_image(form, base, memory, pdpte_a=False):
    """Memory is in one piece."""
    def read(address, length):
        at = address - base
        return memory[at:at + length] if 0 <= at <= len(memory) - length else None
    return Reader(form, read, pdpte_a)


def reader_of_core(form, path):
    """Memory is where the segments of an ELF core say."""
    image = Image(path)
    extents = [tuple(image.get_segment(index, name) for name in ("paddr", "filesz", "offset"))
               for index in image.segments()]

    def read(address, length):
        places = (offset + address - start for start, size, offset in extents
                  if start <= address <= start + size - length)
        place = next(places, None)
        return None if place is None else bytes(image.bytes[place:place + length])
    return Reader(form, read)


class Walk:
    """The walk over all roots: `items` is a list a root, `frames` pairs of first byte and length."""

    def __init__(self, reader, roots):
        self.reader, self.seen = reader, {}
        self.items, self.frames = [], []
        self.tables, self.aliases, self.shared = 0, 0, set()
        for space, root in enumerate(roots):
            self.items.append([])
            self.meet(space, root, 0, 0, Rights(), None)

    def meet(self, space, table, depth, at, rights, entry):
        """Stand before a table."""
        form = self.reader.form
        item = {"kind": "table", "depth": depth, "name": NAMES[len(form.levels) - 1 - depth], "table": hex(table)}
        if depth > 0:
            item |= {"address": hex(self.reader.form.canonical(at)), "length": hex(1 << form.shifts[depth - 1]),
                     "entry": hex(entry), **rights.json}
        self.items[space].append(item)
        if (table, depth) in self.seen:
            owner, there = self.seen[table, depth]
            item |= {"kind": "alias", "owner": owner, "owner_address": hex(self.reader.form.canonical(there))}
            self.aliases += 1
            self.shared.add((table, depth))
            return
        self.seen[table, depth] = space, at
        self.tables += 1
        step = 1 << form.shifts[depth]
        for index, value in enumerate(self.reader.entries(table, depth)):
            self.entry(space, table, depth, at + index * step, rights, value, table + index * self.reader.bytes)

    def entry(self, space, table, depth, at, rights, value, place):
        reader = self.reader
        if value is None:
            self.add(space, depth, at, {"kind": "unreadable", "where": hex(table)}, None)
        elif not bit(value, 0):
            return
        elif reader.is_reserved(depth, value):
            self.add(space, depth, at, {"kind": "reserved", "where": hex(place)}, None)
        elif reader.is_leaf(depth, value):
            own = reader.rights(depth, value)
            self.add(space, depth, at, {
                "kind": "mapped", **(rights & own).json, "page": 1 << reader.form.shifts[depth], "own": own.json,
                "cow": value >> 9 & 7 == 1 and not bit(value, 1),
                "attributes": reader.attributes(depth, value)}, reader.memory_of(depth, value))
        else:
            self.meet(space, value & (0xFFFFF000 if reader.form.name == "i686" else 0xFFFFFFFFFF000), depth + 1, at,
                      rights & reader.rights(depth, value), value)

    def add(self, space, depth, at, members, physical):
        """A range of one entry: it makes the one before it longer where that goes on so."""
        length, items = 1 << self.reader.form.shifts[depth], self.items[space]
        if physical is not None:
            self.frames.append((physical, length))
        item = {**members, "address": hex(self.reader.form.canonical(at)), "length": hex(length), "depth": depth}
        if physical is not None:
            item["physical"] = hex(physical)
        if items and members["kind"] != "reserved" and items[-1]["kind"] == members["kind"]:
            before = int(items[-1]["length"], 16)
            wanted = {**item, "length": items[-1]["length"],
                      "address": hex(self.reader.form.canonical(at) - before)}
            if physical is not None:
                wanted["physical"] = hex(physical - before)
            if wanted == items[-1]:
                items[-1]["length"] = hex(before + length)
                return
        items.append(item)


def mapped_bytes(frames):
    total = end = 0
    for first, length in sorted(frames):
        total += max(0, first + length - max(first, end))
        end = max(end, first + length)
    return total


def expected(reader, roots):
    """The spaces' items, and the totals."""
    walk = Walk(reader, roots)
    kinds = [item["kind"] for items in walk.items for item in items]
    return walk.items, {
        "tables": walk.tables, "aliases": walk.aliases, "shared_tables": len(walk.shared),
        "separate_tables": sum(Walk(reader, [root]).tables for root in roots),
        "mapped": hex(mapped_bytes(walk.frames)),
        "unreadable": kinds.count("unreadable"), "reserved": kinds.count("reserved")}
