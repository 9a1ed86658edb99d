# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight pagetable` over memory whose tables are made to hurt who reads them: it ends, says why, and its own memory
does not grow with what the tables say."""

import json
import re
import struct

import pytest

from lib.naive_spaces import expected, reader_of_image
from lib.process import measured
from lib.tables import BASE, EACH_FORMAT, NOWHERE, ROOT, TABLE, Memory, P, image_words

PEAK_KIB = 64 << 10
"""Far above what it needs, far below what the 2^20 ranges of the default budget would take if they were kept."""
TANGLES = ("self-map", "cycle", "fan-out", "hollow")


def fill(memory, page, target, count=None):
    """Let the entries of the table in a page, or the first of them, name what is at target."""
    for index in range(0x1000 // memory.size if count is None else count):
        # PDPTEs have less than others, also where their table is another one too.
        is_pdpte = memory.form.name == "pae" and page == 0 and index < 4
        memory.set(ROOT + (page << 12), index, target | (P if is_pdpte else TABLE))


def tangle(form, name):
    memory = Memory(form)
    levels = len(form.levels)
    if name == "self-map":
        fill(memory, 0, ROOT)
    elif name == "cycle":
        fill(memory, 0, ROOT + 0x1000)
        fill(memory, 1, ROOT)
    else:
        for depth in range(levels - (name == "hollow")):
            fill(memory, depth, ROOT + (depth + 1 << 12))
    return memory


@pytest.fixture
def bounded(build, tmp_path):
    """`hindsight pagetable`, its output thrown away, within its memory."""
    def call(*words):
        result, peak = measured([build / "hindsight", "pagetable", *map(str, words)], cwd=tmp_path)
        assert peak < PEAK_KIB, (words, peak)
        return result
    return call


def assert_budget(result, what, root=ROOT):
    """It ended by its budget and said so in one line."""
    assert result.rc == 1 and re.fullmatch(
        rf"hindsight: root {root:#x}: the walk of the page tables stopped at (0x\w+): its budget of {what} is used up "
        r"\(--start \1 goes on there\)\n", result.stderr), result


@EACH_FORMAT
@pytest.mark.parametrize("name", ["self-map", "hollow"])
def test_list_with_the_default_budget_keeps_to_its_memory(bounded, tmp_path, form, name):
    """2^36 or 2^45 pages of amd64, all that there is of the others: 2^20 pages are in the budget."""
    result = bounded("list", *image_words(tangle(form, name), tmp_path / "image"))
    if form.wide:
        assert_budget(result, "ranges" if name == "self-map" else "tables")
    else:
        assert (result.rc, result.stderr) == (0, "")


@EACH_FORMAT
@pytest.mark.parametrize("name", TANGLES)
def test_tangle_ends_within_its_budget(pagetable, bounded, tmp_path, form, name):
    memory = tangle(form, name)
    words = image_words(memory, tmp_path / "image")
    assert_budget(bounded("list", *words, "--tables", 100), "tables")
    if name != "hollow":
        assert_budget(bounded("list", *words, "--ranges", 10000), "ranges")
    walk = bounded("walk", *words, hex(form.top))
    assert (walk.rc, walk.stderr) == (int(name == "hollow"), "")
    # For several roots each table costs once a level: no budget is needed.
    assert bounded("spaces", *words, "--root", hex(ROOT)).rc == 0
    data = json.loads(pagetable("spaces", "--json", *words).check().stdout)
    want, total = expected(reader_of_image(form, BASE, memory.bytes), [ROOT])
    assert [space["items"] for space in data["spaces"]] == want
    assert data["totals"] == total and total["tables"] == len(form.levels)
    less = bounded("spaces", *words, "--tables", len(form.levels) - 1)
    assert less.rc == 1 and "budget of tables is used up" in less.stderr


@EACH_FORMAT
def test_fan_out_at_one_level_shows_each_way(pagetable, bounded, tmp_path, form):
    for wide, level in enumerate(form.levels):
        memory = Memory(form)
        for depth, _ in enumerate(form.levels):
            fill(memory, depth, ROOT + (depth + 1 << 12), None if depth == wide else 1)
        words = image_words(memory, tmp_path / "image")
        ways = 4 if (form.name, level) == ("pae", "PDPTE") else 0x1000 // memory.size
        (space,) = json.loads(pagetable("list", "--json", *words).check().stdout)["spaces"]
        assert [int(each["address"], 16) for each in space["ranges"]] == [
            form.canonical(index << form.shifts[wide]) for index in range(ways)]
        tables = wide + 1 + ways * (len(form.levels) - 1 - wide)
        assert bounded("list", *words, "--tables", tables).rc == 0
        assert_budget(bounded("list", *words, "--tables", tables - 1), "tables")
        data = json.loads(pagetable("spaces", "--json", *words).check().stdout)
        want, total = expected(reader_of_image(form, BASE, memory.bytes), [ROOT])
        assert [space["items"] for space in data["spaces"]] == want and data["totals"] == total


@EACH_FORMAT
@pytest.mark.parametrize("place", [NOWHERE, BASE + (16 << 12), 0xFFFFF000, 0xFFFFFFFFFF000], ids=hex)
def test_table_where_no_memory_is_names_its_place(pagetable, tmp_path, form, place):
    """In a hole, behind the end of memory, at the highest address of 32 bits and of all; at each depth below the root,
    whose own absence is refused at once."""
    place &= 0xFFFFF000 if form.name == "i686" else place
    for depth in range(1, len(form.levels)):
        memory = Memory(form)
        for above in range(depth):
            fill(memory, above, place if above + 1 == depth else ROOT + (above + 1 << 12), 1)
        words = image_words(memory, tmp_path / "image")
        (space,) = json.loads(pagetable("list", "--json", *words).check().stdout)["spaces"]
        assert space["complete"] and space["ranges"] == [{
            "kind": "unreadable", "address": "0x0", "length": hex(1 << form.shifts[depth - 1]), "where": hex(place)}]
        walk = pagetable("walk", *words, "0x123")
        assert walk.rc == 1 and f": unreadable table at {place:#x}\n" in walk.stdout
        (found,) = json.loads(pagetable("walk", "--json", *words, "0x123").stdout)["walks"]
        assert len(found["levels"]) == depth + 1
        data = json.loads(pagetable("spaces", "--json", *words).check().stdout)
        want, total = expected(reader_of_image(form, BASE, memory.bytes), [ROOT])
        assert [space["items"] for space in data["spaces"]] == want and data["totals"] == total


def core_of(memory, cut):
    """A core of two segments, the memory up to `cut` and from there on, in the file the other way round."""
    head, tail = memory.bytes[:cut], memory.bytes[cut:]
    data = 64 + 2 * 56
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = b"".join(
        struct.pack("<IIQQQQQQ", 1, 6, offset, address, address, len(part), len(part), 1)
        for offset, address, part in ((data + len(tail), BASE, head), (data, BASE + cut, tail)))
    return header + segments + bytes(tail) + bytes(head)


@EACH_FORMAT
def test_table_over_two_segments_is_read_whole(pagetable, tmp_path, form):
    memory = Memory(form)
    for depth in range(len(form.levels)):
        fill(memory, depth, ROOT + (depth + 1 << 12), 4)
    image = image_words(memory, tmp_path / "image")
    known = [json.loads(pagetable(word, "--json", *image).check().stdout)["spaces"] for word in ("list", "spaces")]
    assert len(known[0][0]["ranges"]) == 4 ** len(form.levels)
    for depth in range(len(form.levels)):
        # Between two entries and within one.
        for cut in (2 * memory.size, 2 * memory.size + 1):
            (tmp_path / "core").write_bytes(core_of(memory, (depth << 12) + cut))
            words = "core", "--format", form.name, "--root", hex(ROOT)
            assert [json.loads(pagetable(word, "--json", *words).check().stdout)["spaces"]
                    for word in ("list", "spaces")] == known
            walk = pagetable("walk", *words, 3 << form.shifts[depth])
            assert walk.rc == 0 and walk.stdout == pagetable("walk", *image, 3 << form.shifts[depth]).stdout
