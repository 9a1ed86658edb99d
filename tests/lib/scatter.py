# SPDX-License-Identifier: LGPL-2.1-or-later
"""Page tables of one format with everything in them that is legal, at random: for a machine that keeps to its one page
of code and so never meets the rest."""

from lib.tables import A, ADDRESS, D, G, P, PAT_LARGE, PAT_SMALL, PCD, PS, PWT, RW, TABLE, US, XD, Memory

PHYSICAL_BITS = 46
"""Of the pages. `info tlb` of QEMU 7.2 shows 50."""
AVL, IGNORED = (1 << 9, 1 << 10, 1 << 11), tuple(1 << bit for bit in range(52, 63))
SLOTS, SELF = 48, 300


class Scatter:
    """Fills `memory`, in which `code` is to be mapped where it is."""

    def __init__(self, form, base, code, choice, pse=True, nxe=True):
        self.form, self.choice, self.pse, self.nxe = form, choice, pse, nxe
        self.memory = Memory(form, pages=512, base=base)
        self.memory.put(code, code | P | RW)
        self._code = {(table, index) for _, table, index in self.memory.path(code)}
        self._large = None
        for address in self._slots(code):
            self._fill(address)
        for table in self._tables():
            self._vary(table)
        self._alias()
        if form.has_rights(form.levels[0]):
            # The root in a slot of its own, as some systems have it: all tables are pages as well.
            self.memory.set(self.memory.root, SELF, self.memory.root | TABLE)

    def _some(self, bits):
        return sum(bit for bit in bits if self.choice.random() < 0.5)

    def _flags(self, pat):
        """Of a leaf: any, the right to be executed included."""
        extra = (IGNORED if self.form.wide else ()) + ((XD,) if self.form.xd and self.nxe else ())
        return P | self._some((RW, US, PWT, PCD, A, D, G, pat) + AVL + extra)

    def _frame(self, page):
        bits = 32 if self.form.name == "i686" and page == 4096 else 40 if self.form.name == "i686" else PHYSICAL_BITS
        return self.choice.randrange(1 << bits) & -page

    def _slots(self, code):
        """Addresses of that many large pages, some of them next to each other; the last one of all is among them."""
        large, form = self.form.large, self.form
        bits = form.shifts[0] + (9 if form.wide else 2 if form.name == "pae" else 10)
        slots = {(1 << bits) - large}
        while len(slots) < SLOTS:
            start = self.choice.randrange(1 << bits) & -large
            slots |= {start + i * large for i in range(self.choice.randrange(1, 4)) if start + i * large < 1 << bits}
        taken = (code >> 30, SELF) if form.wide else (code // large, SELF if form.name == "i686" else None)
        shift = (30, form.shifts[0]) if form.wide else (large.bit_length() - 1,) * 2
        return sorted(slot for slot in slots if slot >> shift[0] != taken[0] and slot >> shift[1] != taken[1])

    def _fill(self, address):
        large_pages = self.form.name != "i686" or self.pse
        if self.form.wide and address >> 30 & 7 == 0:
            self._run(address, 1 << 30, 1, "PDPTE")
        elif large_pages and self.choice.random() < 0.5:
            self._put_large(address)
        else:
            place = address
            while place < address + self.form.large:
                count = min(self.choice.randrange(1, 40), (address + self.form.large - place) >> 12)
                if self.choice.random() < 0.7:
                    self._run(place, 4096, count, "PTE")
                place += count << 12

    def _put_large(self, address):
        """Every second of those that are neighbours goes on where the one before ends."""
        large = self.form.large
        frame, flags = self._frame(large * 4), self._flags(PAT_LARGE) | PS
        if self._large and self._large[0] + large == address and self.choice.random() < 0.5:
            frame, flags = self._large[1] + large, self._large[2]
        self.memory.put(address, self._entry(frame, flags), "PDE")
        self._large = address, frame, flags

    def _run(self, address, page, count, level):
        """Pages that continue each other but for a few."""
        flags = self._flags(PAT_SMALL if page == 4096 else PAT_LARGE) | (PS if page > 4096 else 0)
        frame = self._frame(page * 64)
        for place in range(address, address + page * count, page):
            # Of an entry that is not present, nothing counts.
            present = P if self.choice.random() < 0.1 else 0
            self.memory.put(place, self._entry(frame, flags) ^ present, level)
            frame += page if self.choice.random() < 0.9 else 0

    def _entry(self, frame, flags):
        """A leaf of 4 MiB has bits 39:32 of its frame in bits 20:13 (SDM vol. 3A table 4-4)."""
        return (frame & 0xFFFFFFFF | (frame >> 32) << 13 | flags) if self.form.name == "i686" else frame | flags

    def _is_leaf(self, level, entry):
        large_pages = self.form.name != "i686" or self.pse
        return level == "PTE" or bool(level in ("PDE", "PDPTE") and entry & PS and large_pages)

    def _tables(self):
        """Every entry that names a table: level, table, index. Our tables are contiguous, in the order of making."""
        found, level_of = [], {self.memory.root: 0}
        for table in range(self.memory.root, self.memory.free, 4096):
            depth = level_of.get(table, len(self.form.levels))  # a large page has taken the place of some
            count = 4 if (self.form.name, depth) == ("pae", 0) else 4096 // self.memory.size
            for index in range(count if depth + 1 < len(self.form.levels) else 0):
                entry = self.memory.get(table, index)
                child = entry & ADDRESS
                if not entry & P or self._is_leaf(self.form.levels[depth], entry):
                    continue
                if self.memory.root < child < self.memory.free and child not in level_of:
                    level_of[child] = depth + 1
                    found.append((self.form.levels[depth], table, index))
        return found

    def _vary(self, place):
        """Rights that tables take away, and bits that the CPU ignores in them."""
        level, table, index = place
        if not self.form.has_rights(level):
            return
        taken = self._some((RW, US)) if self.choice.random() < 0.5 else 0
        ignored = self._some((PWT, PCD, D) + AVL + ((PS,) if self.form.name == "i686" and not self.pse else ()))
        xd = self.form.xd if self.nxe and (table, index) not in self._code and self.choice.random() < 0.2 else 0
        self.memory.set(table, index, self.memory.get(table, index) & ~taken | ignored | xd)

    def _alias(self):
        """The table of a PDE in the slot before as well, with other rights."""
        form = self.form
        for level, table, index in self._tables():
            if level == "PDE" and index and not self.memory.get(table, index - 1) and self.choice.random() < 0.5:
                self.memory.set(table, index - 1, self.memory.get(table, index) ^ RW ^ (form.xd if self.nxe else 0))
