# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight pagetable` over a raw image of 8 GiB, nearly all of it holes, with tables and pages above 4 GiB."""

import json

import pytest

from lib.naive_spaces import Reader, expected
from lib.tables import EACH_FORMAT, A, Memory, P, PS, RW, US

GIB = 1 << 30
SIZE, HIGH, LOW = 8 * GIB, 5 * GIB, 0x1000


class Large:
    """Tables at HIGH; for the 32-bit formats, whose CR3 has 32 bits, the root is at LOW."""

    def __init__(self, form, path):
        self.form, self.path = form, path
        # Tables of i686 are named with 32 bits, so that all of them are below.
        base = LOW if form.name == "i686" else HIGH
        memory = Memory(form, base=base)
        other = memory.take()
        memory.put(0x1000, 3 * GIB | P | US)
        # Bit 13 of a PDE is bit 32 of the address there (PSE-36).
        self.page = (4 * GIB if form.name == "i686" else HIGH) + 0xC00000
        leaf = (1 << 13 if form.name == "i686" else HIGH) | 0xC00000 | P | RW | PS
        memory.put(0x800000, leaf, "PDE")
        if form.name == "i686":
            memory.put(0x800000, leaf, "PDE", other)
        if form.name != "i686":
            for page in range(3):
                memory.put(0x400000 + page * 0x1000, 6 * GIB + page * 0x1000 | P | RW | US | A)
            memory.put(form.top, SIZE - 0x1000 | P)
            memory.put(0x401000, SIZE + 0x5000 | P, root=other)
        memory.put(0, memory.get(base, 0) & ~(RW if form.has_rights(form.levels[0]) else 0), form.levels[0], other)
        self.windows = {base: memory.bytes}
        self.roots = [base, other]
        if form.name == "pae":
            self.roots = [LOW, LOW + 0x1000]
            self.windows[LOW] = b"".join(memory.bytes[root - HIGH:][:0x1000] for root in (HIGH, other))
        with open(path, "wb") as file:
            file.truncate(SIZE)
            for start, data in self.windows.items():
                file.seek(start)
                file.write(data)

    @property
    def words(self):
        return ("--image", self.path, "--format", self.form.name,
                *(word for root in self.roots for word in ("--root", hex(root))))

    def read(self, address, length):
        for start, data in self.windows.items():
            if start <= address < start + len(data):
                return data[address - start:address - start + length]
        return bytes(length) if address + length <= SIZE else None


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("large")


@EACH_FORMAT
def test_words_over_eight_gibibytes(pagetable, directory, form):
    large = Large(form, directory / f"{form.name}.image")
    assert large.path.stat().st_size == SIZE > 4 * GIB and large.path.stat().st_blocks * 512 < GIB
    items, totals = expected(Reader(form, large.read), large.roots)
    data = json.loads(pagetable("spaces", "--json", *large.words).check().stdout)
    assert ([space["items"] for space in data["spaces"]], data["totals"]) == (items, totals)
    assert totals["aliases"] == 1 and any(item.get("physical", "").startswith("0x1") for item in items[0])
    listed = json.loads(pagetable("list", "--json", *large.words).check().stdout)["spaces"]
    own = [{name: value for name, value in item.items() if name not in ("own", "depth")}
           for item in items[0] if item["kind"] == "mapped"]
    assert listed[0]["ranges"] == own != []
    assert all(item["physical"] in {each["physical"] for each in own} or int(item["physical"], 16) >= SIZE
               for item in listed[1]["ranges"])
    result = pagetable("walk", "--json", *large.words, "0x812345")
    one, two = json.loads(result.stdout)["walks"]
    assert result.rc == 0 and one["physical"] == two["physical"] == hex(large.page + 0x12345)


@EACH_FORMAT
def test_memory_may_begin_above_four_gibibytes(pagetable, tmp_path, form):
    """An image of a part of memory. CR3 of the 32-bit formats cannot name it, which is said."""
    memory = Memory(form, base=HIGH)
    if form.wide:
        memory.put(0x400000, 3 * GIB | P | RW)
    words = ("--image", memory.write(tmp_path / "image"), "--base", hex(HIGH), "--format", form.name, "--root",
             hex(HIGH))
    refused = (f"hindsight: --root {HIGH:#x}: not a root of {form.name}: the address of a table has no bits "
               "0x100000000\n")
    result = pagetable("walk", *words, "0x400123")
    if not form.wide:
        assert (result.rc, result.stderr) == (125, refused)
        return
    assert result.rc == 0 and f": {3 * GIB + 0x123:#x}  rwx-  4K" in result.stdout
    result = pagetable("walk", *words, "--physical-bits", 32, "0x400123")
    assert (result.rc, result.stderr) == (125, refused)
