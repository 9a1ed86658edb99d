# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight pagetable spaces` over raw images: every item of --json is that of a naive walk in Python, for tables put
together here and for tangles of random ones."""

import json
import random
import re

import pytest

from lib.naive_spaces import expected, reader_of_image
from lib.tables import (BASE, EACH_FORMAT, FORMATS, NOWHERE, PCD, PS, PWT, ROOT, RW, TABLE, US, XD, A, D, G, Memory,
                        P, image_words)


def parsed(result):
    """What --json says, in the form of lib/naive_spaces.py."""
    data = json.loads(result.stdout)
    return [space["items"] for space in data["spaces"]], data["totals"]


def entry_of(memory, address, level, root=ROOT):
    return next(memory.get(table, index) for name, table, index in memory.path(address, root) if name == level)


def family(form):
    """Memory with three roots that share tables in every way, and these roots."""
    memory = Memory(form, pages=64)
    for page in range(3):
        memory.put(0x400000 + page * 0x1000, 0x500000 + page * 0x1000 | P | US | A)
    memory.put(0x403000, 0x600000 | P | RW | US | A | D | G)
    memory.put(form.top, 0x702000 | P | RW | form.xd)
    memory.put(0x1400000, NOWHERE | TABLE, "PDE")
    memory.put(0x1000000, 0xC00000 | P | PS | (1 << 21 if form.name == "i686" else 1 << 13), "PDE")
    memory.put(0x1800000, 0xC00000 | P | RW | PS, "PDE")
    table = entry_of(memory, 0x400000, "PDE")
    # The same table in another slot, read-only there.
    memory.put(0x2000000, table & ~RW, "PDE")
    two, three = memory.take(), memory.take()
    memory.put(0x400000, 0x900000 | P | RW | US, root=two)
    memory.put(0x800000, table & ~US | form.xd, "PDE", two)
    memory.put(0x1800000, 0xC00000 | P | RW | PS | US, "PDE", two)
    # The third has all of what the entries of the root's first table name, whatever level that is.
    top, *_ = form.levels
    memory.put(0, entry_of(memory, 0, top), top, three)
    memory.put(0x40000000 * 3, P | RW | US | 0xA00000 | PS, "PDE", three)
    return memory, [ROOT, two, three, two, ROOT]


@EACH_FORMAT
def test_spaces_are_those_of_a_naive_walk(pagetable, tmp_path, form):
    memory, roots = family(form)
    words = image_words(memory, tmp_path / "image", *roots)
    result = pagetable("spaces", "--json", *words).check()
    assert result.stderr == ""
    items, totals = parsed(result)
    want, total = expected(reader_of_image(form, BASE, memory.bytes), roots)
    assert items == want
    assert totals == total
    data = json.loads(result.stdout)
    assert data["file"] == str(tmp_path / "image")
    assert [(each["root"], each["format"], each["complete"], each["reached"]) for each in data["spaces"]] == [
        (hex(root), form.name, True, None) for root in roots]
    # The sample has what it is for.
    kinds = {item["kind"] for space in items for item in space}
    assert kinds == {"mapped", "table", "alias", "unreadable", "reserved"}
    assert [len(space) for space in items[3:]] == [1, 1]
    assert total["separate_tables"] > total["tables"] > total["shared_tables"] > 0


def test_spaces_as_text(pagetable, tmp_path):
    form = FORMATS["amd64-4"]
    memory = Memory(form)
    memory.put(0x400000, 0x500000 | P | RW | US | A)
    memory.put(0x600000, entry_of(memory, 0x400000, "PDE"), "PDE")
    memory.put(0x800000, NOWHERE | TABLE, "PDE")
    other = memory.take()
    memory.put(0x200000, entry_of(memory, 0x400000, "PDE") & ~RW | XD, "PDE", other)
    memory.put(0x1000, 0x500000 | P | US, root=other)
    result = pagetable("spaces", *image_words(memory, tmp_path / "image", ROOT, other, other)).check()
    assert result.stderr == ""
    # Some of its lines are wider than those of a source may be.
    assert result.stdout.replace(" of root 0x100000 at", "\n of root 0x100000 at") == """\
root 0x100000, amd64-4
  first               last                length          physical              page
  0x0000000000400000  0x0000000000400fff  0x1000          0x500000        rwxu  4K  A
  0x0000000000600000  0x00000000007fffff  0x200000        0x103000        rwxu  PT of this root at 0x0000000000400000
  0x0000000000800000  0x00000000009fffff  0x200000        unreadable table at 0x9000000
  tables: 5 of its own, 1 shared

root 0x104000, amd64-4
  first               last                length          physical              page
  0x0000000000001000  0x0000000000001fff  0x1000          0x500000        r-xu  4K
  0x0000000000200000  0x00000000003fffff  0x200000        0x103000        r--u  PT
 of root 0x100000 at 0x0000000000400000
  tables: 4 of its own, 1 shared

root 0x104000, amd64-4
  the same tables as root 0x104000 above
  tables: 0 of its own, 1 shared

3 roots, 9 tables, 2 of them named more than once: 6 fewer (24.0 KiB) than if no two roots shared any
4.0 KiB of physical memory mapped
faults in the tables: 1 unreadable, 0 with reserved bits
"""


def test_spaces_of_one_root_say_nothing_of_others(pagetable, tmp_path):
    memory = Memory(FORMATS["i686"])
    memory.put(0x400000, 0x500000 | P | RW | US | A)
    result = pagetable("spaces", *image_words(memory, tmp_path / "image")).check()
    assert result.stdout.splitlines()[-3:] == ["", "1 root, 2 tables, 0 of them named more than once",
                                               "4.0 KiB of physical memory mapped"]


def test_spaces_without_paging_are_one_range(pagetable, tmp_path):
    (tmp_path / "image").write_bytes(b"\0")
    words = "--image", "image", "--format", "none"
    items, totals = parsed(pagetable("spaces", "--json", *words).check())
    assert [(item["kind"], item["length"], item["own"]["access"]) for item in items[0]] == [
        ("mapped", "0x100000000", "rwx")]
    assert (totals["tables"], totals["mapped"], totals["separate_tables"]) == (0, "0x100000000", 0)
    text = pagetable("spaces", *words).check().stdout.splitlines()
    assert text[2:] == ["  0x00000000  0xffffffff  0x100000000     0x0             rwxu  4K",
                        "  tables: 0 of its own, 0 shared", "", "1 root, 0 tables, 0 of them named more than once",
                        "4.0 GiB of physical memory mapped"]


@EACH_FORMAT
def test_spaces_of_tables_that_name_themselves_end(pagetable, tmp_path, form):
    """Each table is walked once a level, so that the default budget is plenty."""
    memory = Memory(form, pages=1)
    top, *_ = form.levels
    for index in range(4 if form.name == "pae" else 0x1000 // memory.size):
        memory.set(ROOT, index, ROOT | P | (RW | US if form.has_rights(top) else 0))
    result = pagetable("spaces", "--json", *image_words(memory, tmp_path / "image", ROOT, ROOT)).check()
    items, totals = parsed(result)
    want, total = expected(reader_of_image(form, BASE, memory.bytes), [ROOT, ROOT])
    assert items == want
    assert totals == total
    assert totals["tables"] == totals["shared_tables"] == len(form.levels)


def tangle(form, numbers):
    """Random entries, most of them tables of one another; and roots."""
    memory = Memory(form, pages=12)
    for page in range(memory.pages):
        for _ in range(numbers.randrange(1, 12)):
            target = BASE + (numbers.randrange(memory.pages + 1) << 12)
            entry = numbers.choice([target, target, target, NOWHERE, numbers.getrandbits(40) & ~0xFFF])
            entry |= P | numbers.choice([0, RW, US, RW | US, RW | US]) | numbers.choice([0, 0, A, D, PWT, PCD, G, PS])
            if form.name == "pae" and numbers.randrange(2):
                entry &= ~0x1E6
            if form.name != "i686" and numbers.randrange(4) == 0:
                entry |= numbers.choice([XD, 1 << 52, 1 << 60])
            index = numbers.choice([0, 1, 2, 3, numbers.randrange(0x1000 // memory.size)])
            memory.set(BASE + (page << 12), index, entry & (1 << 8 * memory.size) - 1)
    return memory, [BASE + (numbers.randrange(memory.pages) << 12) for _ in range(5)]


@EACH_FORMAT
@pytest.mark.parametrize("seed", range(15))
def test_spaces_of_random_tangles_are_those_of_a_naive_walk(pagetable, tmp_path, form, seed):
    memory, roots = tangle(form, random.Random(f"{form.name} {seed}"))
    items, totals = parsed(pagetable("spaces", "--json", *image_words(memory, tmp_path / "image", *roots)).check())
    want, total = expected(reader_of_image(form, BASE, memory.bytes), roots)
    assert items == want
    assert totals == total


def cut(items, option, count):
    """The items of all roots up to where a budget ends them, and the item it ends at (None: it does not)."""
    given, left = [], count
    for space, item in ((space, item) for space, each in enumerate(items) for item in each):
        if (item["kind"] == "table") == (option == "--tables"):
            if left == 0:
                return given, (space, item)
            left -= 1
        given.append((space, item))
    return given, None


@EACH_FORMAT
@pytest.mark.parametrize("option", ["--tables", "--ranges"])
def test_spaces_end_with_their_budget(pagetable, tmp_path, form, option):
    memory, roots = family(form)
    words = image_words(memory, tmp_path / "image", *roots)
    whole, totals = parsed(pagetable("spaces", "--json", *words).check())
    number = totals["tables"] if option == "--tables" else sum(map(len, whole)) - totals["tables"]
    for count in range(number + 1):
        result = pagetable("spaces", "--json", *words, option, count)
        given, end = cut(whole, option, count)
        data = json.loads(result.stdout)
        assert [(space, item) for space, each in enumerate(data["spaces"]) for item in each["items"]] == given
        assert (result.rc, end is None) == ((0, True) if count == number else (1, False))
        if end is None:
            assert result.stderr == "" and all(space["complete"] for space in data["spaces"])
            continue
        space, item = end
        reached = item.get("address", "0x0")
        assert result.stderr == (
            f"hindsight: root {roots[space]:#x}: the walk of all roots stopped at {reached}: its budget of "
            f"{option[2:]} is used up ({option} gives more)\n")
        assert [(each["complete"], each["reached"]) for each in data["spaces"]] == [
            (True, None) if index < space else (False, reached if index == space else "0x0")
            for index in range(len(roots))]
        assert data["totals"]["separate_tables"] is None
        text = pagetable("spaces", *words, option, count)
        assert (text.rc, text.stderr) == (1, result.stderr)
        assert text.stdout.count("\n  not reached\n") == len(roots) - 1 - space
        assert re.search(r"\d+ roots, \d+ tables so far, \d+ of them named more than once\n", text.stdout)


def test_spaces_with_more_tables_than_they_began_with_room_for(pagetable, tmp_path):
    """5,000 page tables want storage that has to grow; nothing is given out twice or left out for it."""
    form, tables = FORMATS["amd64-4"], 5000
    memory = Memory(form, pages=tables + 16)
    for number in range(tables):
        memory.put(number << 21, 0x40000000 + (number << 13) | P | RW)
    other = memory.take()
    memory.put(0, entry_of(memory, 0, "PML4E"), "PML4E", other)
    words = image_words(memory, tmp_path / "image", ROOT, other)
    (one, two), totals = parsed(pagetable("spaces", "--json", *words).check())
    assert [int(item["address"], 16) for item in one if item["kind"] == "mapped"] == [
        number << 21 for number in range(tables)]
    # 512 page tables a page directory, 512 of those a PDPT.
    assert [item["name"] for item in one if item["kind"] == "table"].count("PT") == tables
    assert totals["tables"] == len({item["table"] for item in one if item["kind"] == "table"}) + 1
    assert totals["tables"] == 1 + 1 + 10 + tables + 1
    assert [item["kind"] for item in two] == ["table", "alias"]
    assert (totals["separate_tables"], totals["mapped"]) == (2 * (totals["tables"] - 1), hex(tables << 12))
    result = pagetable("spaces", *words, "--tables", 4500)
    assert result.rc == 1 and "4500 tables so far" in result.stdout


def test_control_bits_change_what_is_shared_and_reserved(pagetable, tmp_path):
    memory, roots = family(FORMATS["amd64-4"])
    words = image_words(memory, tmp_path / "image", *roots)

    def reserved(*more):
        items, totals = parsed(pagetable("spaces", "--json", *words, *more).check())
        return totals["reserved"], sum(item["kind"] == "alias" for each in items for item in each)

    with_nxe, aliases = reserved()
    without, fewer = reserved("--no-nxe")
    # The last page of the first root, and the alias of the second with XD: it names no table then.
    assert (without, fewer) == (with_nxe + 2, aliases - 1)
