# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight pagetable` over raw images whose tables are put together here, bit by bit from the SDM's tables (vol. 3A
4.3 to 4.5)."""

import json
import re
import struct

import pytest

from lib.tables import (BASE, COW, EACH_FORMAT, FORMATS, NOWHERE, PAT_LARGE, PCD, PS, PWT, ROOT, RW, TABLE, US, A, D, G,
                        Memory, P, image_words)


def sample(form):
    """Memory with one of everything."""
    memory = Memory(form)
    for page in range(3):
        memory.put(0x400000 + page * 0x1000, 0x500000 + page * 0x1000 | P | US | A)
    memory.put(0x403000, 0x700000 | P | RW | US | A | D | G | form.xd)
    memory.put(0x404000, 0x701000 | P | US | COW)
    memory.put(0x800000, 0xC00000 | P | RW | PWT | PCD | PS | PAT_LARGE, "PDE")
    memory.put(0x1000000, 0xC00000 | P | PS | (1 << 21 if form.name == "i686" else 1 << 13), "PDE")
    memory.put(0x1400000, NOWHERE | TABLE, "PDE")
    memory.put(form.top, 0x702000 | P | RW | form.xd)
    return memory


def reserved_place(memory):
    """Where the entry with the reserved bit is."""
    *_, (_, table, index) = memory.path(0x1000000)
    return table + index * memory.size


def expected(memory):
    """What sample() maps: first address, length, the rest of the line, members of the object."""
    form = memory.form
    executable, access = ("x", "rwx") if form.name == "i686" else ("-", "rw")
    large = f"{form.large >> 20}M"

    def mapped(first, length, physical, rights, page, names, cow=False):
        line = f"0x{physical:<12x}  {rights}  {page}{'  cow' if cow else ''}"
        sizes = {"4K": 4096, "2M": 2 << 20, "4M": 4 << 20}
        return first, length, line + (" " if cow else "  ") * bool(names) + " ".join(names), {
            "kind": "mapped", "physical": hex(physical), "access": rights[:3].replace("-", ""),
            "user": rights[3] == "u", "cow": cow, "page": sizes[page], "attributes": names}

    assert access[2:] == executable.replace("-", "")
    place = reserved_place(memory)
    return [
        mapped(0x400000, 0x3000, 0x500000, "r-xu", "4K", ["A"]),
        mapped(0x403000, 0x1000, 0x700000, f"rw{executable}u", "4K", ["A", "D", "G"]),
        mapped(0x404000, 0x1000, 0x701000, "r-xu", "4K", ["AVL=0x1"], cow=True),
        mapped(0x800000, form.large, 0xC00000, "rwx-", large, ["PWT", "PCD", "PAT"]),
        (0x1000000, form.large, f"reserved bits in the entry at {place:#x}", {
            "kind": "reserved", "where": hex(place)}),
        (0x1400000, form.large, f"unreadable table at {NOWHERE:#x}", {"kind": "unreadable", "where": hex(NOWHERE)}),
        mapped(form.top, 0x1000, 0x702000, f"rw{executable}-", "4K", []),
    ]


def heading(form, root=ROOT):
    columns = f"  {'first':{form.digits + 2}}  {'last':{form.digits + 2}}  {'length':14}  {'physical':14}        page"
    return [f"root {root:#x}, {form.name}", columns]


def lines_of(form, rows):
    return [f"  {first:#0{form.digits + 2}x}  {first + length - 1:#0{form.digits + 2}x}  0x{length:<12x}  {rest}"
            for first, length, rest, _ in rows]


@EACH_FORMAT
def test_list_shows_every_kind_of_range(pagetable, tmp_path, form):
    memory = sample(form)
    words = image_words(memory, tmp_path / "image")
    text = pagetable("list", *words).check()
    assert text.stderr == ""
    assert text.stdout.splitlines() == heading(form) + lines_of(form, expected(memory))
    data = json.loads(pagetable("list", "--json", *words).check().stdout)
    assert data == {"file": str(tmp_path / "image"), "spaces": [{
        "root": hex(ROOT), "format": form.name, "complete": True, "reached": None,
        "ranges": [{"address": hex(first), "length": hex(length), **members}
                   for first, length, _, members in expected(memory)]}]}


def test_list_without_paging_is_one_range(pagetable, tmp_path):
    (tmp_path / "image").write_bytes(b"\0")
    result = pagetable("list", "--image", "image", "--format", "none").check()
    assert result.stdout.splitlines() == [
        "root 0x0, none", heading(FORMATS["i686"])[1],
        "  0x00000000  0xffffffff  0x100000000     0x0             rwxu  4K"]


@EACH_FORMAT
def test_list_begins_where_it_is_told(pagetable, tmp_path, form):
    memory = sample(form)
    words = image_words(memory, tmp_path / "image")
    result = pagetable("list", *words, "--start", "0x402000").check()
    first, *rest = result.stdout.splitlines()[2:]
    assert first.split()[:4] == [f"{0x402000:#0{form.digits + 2}x}", f"{0x402fff:#0{form.digits + 2}x}", "0x1000",
                                 "0x502000"]
    assert rest == lines_of(form, expected(memory)[1:])


def test_list_of_several_roots_is_in_their_order(pagetable, tmp_path):
    form = FORMATS["amd64-4"]
    memory = sample(form)
    words = image_words(memory, tmp_path / "image")
    empty = ROOT + (15 << 12)
    result = pagetable("list", *words, "--root", empty, "--root", ROOT).check()
    whole = heading(form) + lines_of(form, expected(memory))
    assert result.stdout.splitlines() == whole + [""] + heading(form, empty) + [""] + whole
    spaces = json.loads(pagetable("list", "--json", *words, "--root", empty).check().stdout)["spaces"]
    assert [(space["root"], len(space["ranges"])) for space in spaces] == [(hex(ROOT), 7), (hex(empty), 0)]


def test_control_bits_change_what_is_reserved(pagetable, tmp_path):
    def kinds(name, *words):
        memory = sample(FORMATS[name])
        words = *image_words(memory, tmp_path / name), "--json", *words
        ranges = json.loads(pagetable("list", *words).check().stdout)["spaces"][0]["ranges"]
        return {int(each["address"], 16): each["kind"] for each in ranges}

    assert kinds("amd64-4")[0x403000] == "mapped"
    assert kinds("amd64-4", "--no-nxe")[0x403000] == "reserved"
    assert kinds("i686")[0x800000] == "mapped"
    # Without CR4.PSE it names a table, at 0xc01000, where there is no memory.
    assert kinds("i686", "--no-pse")[0x800000] == "unreadable"
    memory = Memory(FORMATS["pae"])
    memory.put(0x1000, 1 << 40 | P)
    words = *image_words(memory, tmp_path / "image"), "0x1000"
    assert pagetable("walk", *words).rc == 0
    result = pagetable("walk", *words, "--physical-bits", 40)
    assert result.rc == 1 and "  P RSVD=0x10000000000\n" in result.stdout


def walk_of(memory, address, bits):
    """The levels of --json, out of the memory itself; bits has the names of each level's entry."""
    levels = []
    for (name, table, index), names in zip(memory.path(address), bits):
        entry = memory.get(table, index)
        levels.append({"name": name, "table": hex(table), "index": index, "entry": hex(entry), "bits": names,
                       "leads_to": hex(entry & 0xFFFFFFFFFF000) if entry & P else None})
    return levels


@EACH_FORMAT
def test_walk_shows_every_level(pagetable, tmp_path, form):
    memory = sample(form)
    words = "--json", *image_words(memory, tmp_path / "image")
    above = [["P"] if (form.name, level) == ("pae", "PDPTE") else ["P", "RW", "US"] for level in form.levels[:-1]]
    result = pagetable("walk", *words, "0x403456").check()
    (walk,) = json.loads(result.stdout)["walks"]
    names = ["P", "RW", "US", "A", "D", "G"] + (["XD"] if form.xd else [])
    assert walk["levels"] == walk_of(memory, 0x403456, [*above, names])
    assert walk["physical"] == "0x700456" and (walk["root"], walk["format"]) == (hex(ROOT), form.name)
    first, length, _, members = expected(memory)[1]
    assert walk["range"] == {"address": hex(first), "length": hex(length), **members}

    hole = pagetable("walk", *words, "0x405000")
    (walk,) = json.loads(hole.stdout)["walks"]
    assert (hole.rc, hole.stderr) == (1, "")
    assert walk["levels"] == walk_of(memory, 0x405000, [*above, []])
    assert walk["physical"] is None
    assert walk["range"] == {"kind": "hole", "address": "0x405000", "length": "0x1000"}


@EACH_FORMAT
def test_walk_says_why_there_is_nothing(pagetable, tmp_path, form):
    memory = sample(form)
    words = image_words(memory, tmp_path / "image")

    def last_lines(address):
        result = pagetable("walk", *words, hex(address))
        assert (result.rc, result.stderr) == (1, ""), result
        return result.stdout.splitlines()[-3:]

    wide = form.digits + 2
    entry, why, extent = last_lines(0x1000010)
    assert entry.startswith("  PDE ") and " RSVD=" in entry and " P " in entry
    assert why == f"  {0x1000010:#0{wide}x}: reserved bits in the entry at {reserved_place(memory):#x}"
    assert extent == f"  the same from {0x1000000:#0{wide}x} to {0x1000000 + form.large - 1:#0{wide}x}"
    entry, why, extent = last_lines(0x1401000)
    assert re.fullmatch(rf"  PTE    {NOWHERE:#x}  +1  not in physical memory", entry)
    assert why == f"  {0x1401000:#0{wide}x}: unreadable table at {NOWHERE:#x}"
    entry, why, extent = last_lines(0x405000)
    assert entry.startswith("  PTE ") and entry.endswith("  P is 0")
    assert why == f"  {0x405000:#0{wide}x}: not mapped"
    beyond = 1 << (56 if form.name == "amd64-5" else 47 if form.wide else 32)
    heads, why, extent = last_lines(beyond)
    assert heads == f"root {ROOT:#x}, {form.name}"
    assert why == f"  {beyond:#0{wide}x}: non-canonical: no address of this format"


def test_walk_as_text(pagetable, tmp_path):
    memory = sample(FORMATS["amd64-4"])
    result = pagetable("walk", *image_words(memory, tmp_path / "image"), "0x812345").check()
    assert result.stdout == """\
root 0x100000, amd64-4
  entry  table           index  value               leads to
  PML4E  0x100000            0  0x0000000000101007  0x101000        P RW US
  PDPTE  0x101000            0  0x0000000000102007  0x102000        P RW US
  PDE    0x102000            4  0x0000000000c0109b  0xc00000        P RW PWT PCD PS PAT
  0x0000000000812345: 0xc12345  rwx-  2M  PWT PCD PAT  not in physical memory
  the same from 0x0000000000800000 to 0x00000000009fffff
"""


def test_bits_that_are_ignored_are_shown(pagetable, tmp_path):
    form = FORMATS["amd64-4"]
    memory = Memory(form)
    memory.put(0x1000, 1 << 58 | 5 << 59 | 1 << 52 | 0x200000 | P)
    (_, root, index), *_ = memory.path(0x1000)
    memory.set(root, index, memory.get(root, index) | 1 << 62 | 1 << 8 | D)
    words = image_words(memory, tmp_path / "image")
    (walk,) = json.loads(pagetable("walk", "--json", *words, "0x1000").check().stdout)["walks"]
    assert walk["levels"][0]["bits"] == ["P", "RW", "US", "IGN=0x4000000000000140"]
    assert walk["levels"][-1]["bits"] == ["P", "PKEY=0x5", "IGN=0x410000000000000"]
    assert walk["range"]["attributes"] == ["PKEY=0x5", "IGN=0x410000000000000"]


def test_walk_from_several_roots(pagetable, tmp_path):
    memory = sample(FORMATS["pae"])
    words = image_words(memory, tmp_path / "image")
    empty = ROOT + (15 << 12)
    result = pagetable("walk", *words, "--root", empty, "0x400000")
    one, other = result.stdout.split("\n\n")
    assert result.rc == 1 and "\n  0x00400000: 0x500000  r-xu  4K  A  not in physical memory\n" in one
    assert other.endswith("  0x00400000: not mapped\n  the same from 0x00000000 to 0x3fffffff\n")
    walks = json.loads(pagetable("walk", "--json", *words, "--root", empty, "0x400000").stdout)["walks"]
    assert [walk["physical"] for walk in walks] == ["0x500000", None]
    assert [walk["backed"] for walk in walks] == [False, False]


@EACH_FORMAT
@pytest.mark.parametrize("option, count", [("--ranges", 50), ("--tables", 20), ("--ranges", 0), ("--tables", 0)])
def test_tables_that_name_themselves_end_with_the_budget(pagetable, tmp_path, form, option, count):
    memory = Memory(form, pages=1)
    for index in range(4 if form.name == "pae" else 0x1000 // memory.size):
        # PAE: the four PDPTEs are the first entries of page directories and page tables too.
        memory.set(ROOT, index, ROOT | (P if form.name == "pae" else TABLE))
    words = *image_words(memory, tmp_path / "image"), option, count
    result = pagetable("list", *words)
    data = json.loads(pagetable("list", "--json", *words).stdout)["spaces"][0]
    assert result.rc == 1 and result.stderr.count("\n") == 1, result.stderr
    said = re.fullmatch(rf"hindsight: root {ROOT:#x}: the walk of the page tables stopped at (0x\w+): its budget of "
                        rf"{option[2:]} is used up \(--start \1 goes on there\)\n", result.stderr)
    assert said, result.stderr
    assert (data["complete"], data["reached"]) == (False, said[1])
    ranges = result.stdout.splitlines()[2:]
    assert len(ranges) == len(data["ranges"])
    assert len(ranges) == count if option == "--ranges" else count == 0 or ranges
    assert all(each["kind"] == "mapped" and each["physical"] == hex(ROOT) for each in data["ranges"])


def test_list_goes_on_where_its_budget_ended(pagetable, tmp_path):
    memory = sample(FORMATS["amd64-5"])
    words = image_words(memory, tmp_path / "image")
    found, at = [], "0"
    while at is not None:
        data = json.loads(pagetable("list", "--json", *words, "--ranges", 2, "--start", at).stdout)["spaces"][0]
        assert len(data["ranges"]) <= 2
        found, at = found + data["ranges"], data["reached"]
    assert found == json.loads(pagetable("list", "--json", *words).check().stdout)["spaces"][0]["ranges"]


def test_image_that_ends_within_a_table_has_the_rest_of_it(pagetable, tmp_path):
    form = FORMATS["i686"]
    memory = Memory(form, pages=1)
    memory.put(0, 0x400000 | P | PS, "PDE")
    memory.bytes = memory.bytes[:0x800]
    result = pagetable("list", *image_words(memory, tmp_path / "image")).check()
    assert [line.split(maxsplit=3)[0::3] for line in result.stdout.splitlines()[2:]] == [
        ["0x00000000", "0x400000        r-x-  4M"], ["0x80000000", f"unreadable table at {ROOT:#x}"]]


def test_image_need_not_begin_at_a_page(pagetable, tmp_path):
    form = FORMATS["amd64-4"]
    memory = sample(form)
    (tmp_path / "image").write_bytes(b"\xff" * 0x7f8 + memory.bytes + b"\xff")
    words = "--image", "image", "--base", hex(BASE - 0x7f8), "--format", form.name, "--root", hex(ROOT)
    assert pagetable("list", *words).check().stdout.splitlines()[2:] == lines_of(form, expected(memory))


@pytest.mark.parametrize("words, status, said", [
    ("list", 2, "CORE (or --image) is missing"),
    ("walk", 2, "CORE or ADDRESS is missing"),
    ("walk core", 2, "CORE or ADDRESS is missing"),
    ("walk core x1", 2, "ADDRESS: 'x1' is not a number"),
    ("list a b", 2, "'b' is one word too many"),
    ("list --image image b", 2, "'b' is one word too many"),
    ("list --image image", 2, "--image needs --format"),
    ("list --image image --format pae", 2, "--image needs --root"),
    ("list --image image --format x86 --root 0", 2,
     "'x86' is not none, i686, pae, amd64-4, amd64-5, aarch64-ttbr0 or aarch64-ttbr1"),
    ("list --image image --format pae --root 1g", 2, "--root: '1g' is not a number"),
    ("list --image image --format pae --root 0 --base -1", 2, "--base: '-1' is not a number"),
    ("list --image image --format pae --root 0 --ranges x", 2, "--ranges: 'x' is not a number"),
    ("list --image image --format pae --root 0 --physical-bits 31", 2, "--physical-bits: 31 is not 32 to 52"),
    ("list --base 1 core", 2, "--base goes with --image"),
    ("walk --start 1 core 1", 2, "unknown or ambiguous option '--start'"),
    ("list none-such", 125, "cannot open none-such: No such file or directory"),
    ("list image", 125, "image: not a core: not an ELF file"),
    ("list --image none-such --format pae --root 0", 125, "cannot open none-such: No such file or directory"),
    ("list --image . --format pae --root 0", 125, ".: not a memory image: not a regular file"),
    ("spaces", 2, "CORE (or --image) is missing"),
    ("spaces a b", 2, "'b' is one word too many"),
    ("spaces --start 1 core", 2, "unknown or ambiguous option '--start'"),
    ("spaces --image image --format pae", 2, "--image needs --root"),
    ("spaces --image image --format pae --root", 2, "--root"),
    ("spaces none-such", 125, "cannot open none-such: No such file or directory"),
    ("spaces empty", 125, "empty: not a core: not an ELF file"),
    ("spaces .", 125, ".: not a core: not a regular file"),
    ("spaces --image image --format i686 --root 0 --root 0x4000", 125,
     "image: the root table at 0x4000 is not in it"),
    ("list --image image --format i686 --root 0x1800", 125,
     "--root 0x1800: not a root of i686: the address of a table has no bits 0x800"),
    ("list --image image --format i686 --root 0x100000018", 125,
     "--root 0x100000018: not a root of i686: the address of a table has no bits 0x100000000"),
    ("walk --image image --format pae --root 0x44 0", 125,
     "--root 0x44: not a root of pae: the address of a table has no bits 0x4"),
    ("spaces --image image --format amd64-4 --root 0xfff8000000000fff", 125,
     "--root 0xfff8000000000fff: not a root of amd64-4: the address of a table has no bits 0x9ff0000000000000"),
    ("spaces --image image --format none --root 0", 125, "--root 0x0: without paging there are no tables"),
    ("list --image empty --format pae --root 0", 125, "empty: not a memory image: it is empty"),
    ("list --image image --format pae --root 0x4000", 125, "image: the root table at 0x4000 is not in it"),
    ("list --image image --format pae --root 0 --root 0x4000", 125, "image: the root table at 0x4000 is not in it"),
    ("walk --image image --base 0x1000 --format i686 --root 0 0", 125, "image: the root table at 0x0 is not in it"),
    ("list --image image --base 0xfffffffffffff001 --format none", 125,
     "image: an image of 4096 bytes does not fit at 0xfffffffffffff001"),
])
def test_bad_command_lines_are_said(pagetable, tmp_path, words, status, said):
    (tmp_path / "image").write_bytes(bytes(4096))
    (tmp_path / "empty").write_bytes(b"")
    result = pagetable(*words.split())
    assert (result.rc, result.stdout, result.stderr.count("\n")) == (status, "", 1), result
    assert said in result.stderr and result.stderr.startswith("hindsight: ")
    assert ("(try 'hindsight pagetable " in result.stderr) == (status == 2)


def test_aarch64_has_two_halves_and_the_names_of_its_manual(pagetable, tmp_path):
    """Descriptors of Arm's DDI 0487, D8.3: a page of user text, a block of kernel data, a reserved page."""
    af, xn = 1 << 10, 3 << 53
    tables = bytearray(4 << 12)
    for place, entry in ((0x0008, 0x101003), (0x1008, 0x102003), (0x2008, 0x103003),
                         (0x3008, 0x9000 | 1 << 53 | 1 << 11 | af | 3 << 8 | 3 << 6 | 3), (0x3010, 0x9001),
                         (0x2ff8, 0x40000000 | xn | af | 1)):
        struct.pack_into("<Q", tables, place, entry)
    (tmp_path / "image").write_bytes(tables)
    words = "--image", "image", "--base", "0x100000", "--root", hex(0x42 << 48 | 0x100001), "--format"
    for name, half in (("aarch64-ttbr0", 0), ("aarch64-ttbr1", 0xFFFF << 48)):
        listed = pagetable("list", *words, name).check().stdout.splitlines()
        assert listed[0] == f"root 0x100000, {name}"
        assert [" ".join(line.split()) for line in listed[2:]] == [
            f"0x{half + 0x8040201000:016x} 0x{half + 0x8040201fff:016x} 0x1000 0x9000 r-xu 4K SH=0x3 AF nG PXN",
            f"0x{half + 0x8040202000:016x} 0x{half + 0x8040202fff:016x} 0x1000 reserved bits in the entry at 0x103010",
            f"0x{half + 0x807fe00000:016x} 0x{half + 0x807fffffff:016x} 0x200000 0x40000000 rw-- 2M AF PXN UXN"]
    walked = pagetable("walk", *words, "aarch64-ttbr1", hex((0xFFFF << 48) + 0x807fe12345)).check().stdout.splitlines()
    assert [line.split()[0] for line in walked[2:5]] == ["L0", "L1", "L2"]
    assert walked[4].endswith("0x40000000      VALID AF PXN UXN")
    assert "0xffff00807fe12345: 0x40012345  rw--  2M  AF PXN UXN" in walked[5]
    missing = pagetable("walk", *words, "aarch64-ttbr0", "0")
    assert missing.rc == 1 and "VALID is 0" in missing.stdout


def test_flags_in_cr3_are_no_part_of_the_root(pagetable, tmp_path):
    for name, flags in (("i686", 0x18), ("pae", 0x18), ("amd64-4", 3 << 61 | 0xfff), ("amd64-5", 0x801)):
        words = image_words(sample(FORMATS[name]), tmp_path / name)
        known = pagetable("list", *words).check().stdout
        assert pagetable("list", *words[:-1], hex(ROOT | flags)).check().stdout == known


def test_sixty_five_roots_are_one_too_many(pagetable, tmp_path):
    (tmp_path / "image").write_bytes(bytes(4096))
    words = ["list", "--image", "image", "--format", "pae"] + ["--root", "0"] * 64
    assert pagetable(*words).check().stdout.count("root 0x0, pae\n") == 64
    result = pagetable(*words, "--root", "0")
    assert result.rc == 2 and "--root: given more than 64 times" in result.stderr
