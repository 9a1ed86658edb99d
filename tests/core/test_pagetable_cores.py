# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight pagetable` over cores of guests that crashed or run: what it says is what readelf says of the segments,
and what a naive walk finds in them."""

import json
import re
import signal

import pytest

from lib.assemble import assemble
from lib.elf import Image, readelf
from lib.naive_spaces import expected, reader_of_core
from lib.tables import FORMATS

SECONDS = 60
BOTH = pytest.mark.parametrize("runner", ["amd64-soft", "i686-soft"], indirect=True)


def crash(runner, guest="page_write"):
    """The core of a guest program, by name or path."""
    result = runner.run(guest)
    (core,) = result.files.values()
    return core


def segments_of(core):
    """What readelf says of the PT_LOADs."""
    form = r"^  LOAD +0x\w+ (0x\w+) (0x\w+) 0x\w+ (0x\w+) ([R ])([W ])([E ]) "
    return [(int(start, 16), int(physical, 16), int(length, 16), "".join(flags).replace(" ", "").lower())
            for start, physical, length, *flags in re.findall(form, readelf(core, "-l"), re.M)]


def united(ranges):
    """The ranges of --json as a core cuts them: by addresses and permissions alone."""
    found = []
    for each in ranges:
        assert each["kind"] == "mapped", each
        start, physical, length = (int(each[name], 16) for name in ("address", "physical", "length"))
        access = each["access"].replace("x", "e")
        if found:
            before = found[-1]
            if before[0] + before[2] == start and before[1] + before[2] == physical and before[3] == access:
                found[-1] = before[0], before[1], before[2] + length, access
                continue
        found.append((start, physical, length, access))
    return found


@pytest.fixture(params=["crashed", "live"])
def core(request, runner, tmp_path):
    """The core of a guest that has ended, and of one that goes on."""
    if request.param == "crashed":
        return crash(runner)
    with runner.spawn("hang", cwd=tmp_path) as running:
        running.stdout.wait_for("about to hang\n", SECONDS)
        running.signal(signal.SIGQUIT)
        running.stderr.wait_for(r"core: \./hang\.elf\.\d+\.0\.core ", SECONDS)
        running.signal(signal.SIGTERM)
        assert running.wait(SECONDS).rc == 128 + signal.SIGTERM
    (live,) = runner.place.collect(tmp_path).values()
    return live


def test_list_of_a_core_is_its_segments(runner, core, pagetable):
    data = json.loads(pagetable("list", "--json", core).check().stdout)
    (space,) = data["spaces"]
    assert space["format"] == ("amd64-4" if runner.arch == "amd64" else "i686")
    assert space["complete"] and united(space["ranges"]) == segments_of(core) != []
    text = pagetable("list", core).check().stdout.splitlines()
    assert text[0] == f"root {space['root']}, {space['format']}" and len(text) == len(space["ranges"]) + 2
    # The same from a root that is named.
    again = pagetable("list", core, "--root", space["root"], "--format", space["format"]).check()
    assert again.stdout.splitlines() == text


def test_walk_of_the_fault_address_shows_the_hole(runner, pagetable):
    core = crash(runner)
    result = pagetable("walk", core, "0xdead0000")
    assert (result.rc, result.stderr) == (1, "")
    lines = result.stdout.splitlines()
    assert lines[-3].endswith("  P is 0") and re.fullmatch(r"  0x0*dead0000: not mapped", lines[-2])
    for start, physical, _, access in segments_of(core):
        (walk,) = json.loads(pagetable("walk", "--json", core, start).check().stdout)["walks"]
        assert (int(walk["physical"], 16), walk["range"]["access"].replace("x", "e")) == (physical, access)
        assert walk["backed"] is True


# Copy the root table, give what the guest runs in a second slot there, without W and U, and go on with the copy.
SECOND_ROOT = """
#ifdef __x86_64__
#define SHIFT 39
#else
#define SHIFT 22
#endif
test:
	call take_pages
	mov SI, [BX + BOOT_TABLES_GPA]
	add SI, CX
	lea DI, [CX + DX]
	mov BX, DI
	mov ecx, 0x1000
	rep movsb
	lea AX, [test]
	shr AX, SHIFT
	mov AX, [BX + AX * W]
	and AX, -7
	mov [BX + (VIRT >> SHIFT) * W], AX
	mov AX, DX
	GO_ON
	ud2
"""


def test_spaces_of_a_guest_with_two_roots(runner, pagetable, tmp_path):
    """The core says which one the guest was on; the other one is that of a guest that did not go on."""
    form = FORMATS["amd64-4" if runner.arch == "amd64" else "i686"]

    def crash_with(go_on):
        core = crash(runner, assemble(tmp_path, runner.arch, SECOND_ROOT.replace("GO_ON", go_on)))
        (space,) = json.loads(pagetable("spaces", "--json", core).check().stdout)["spaces"]
        items, totals = expected(reader_of_core(form, core), [int(space["root"], 16)])
        assert space["items"] == items[0] and totals["tables"] > 1
        return core, space["root"], totals["aliases"]

    _, old, no_aliases = crash_with("nop")
    core, new, one_alias = crash_with("mov cr3, AX")
    assert old != new and (no_aliases, one_alias) == (0, 1)
    result = pagetable("spaces", "--json", core, "--root", new, "--root", old).check()
    data = json.loads(result.stdout)
    items, totals = expected(reader_of_core(form, core), [int(new, 16), int(old, 16)])
    assert ([space["items"] for space in data["spaces"]], data["totals"]) == (items, totals)
    # All that the old one has is the new one's as well.
    assert [item["kind"] for item in items[1]] == ["table"] + ["alias"] * (len(items[1]) - 1)
    assert totals["separate_tables"] - totals["tables"] == totals["tables"] - 2
    low = (1 << form.shifts[0]) * (64 if form.wide else 256)
    assert [(item["address"], item["access"], item["user"]) for item in items[0] if item["kind"] == "alias"] == [
        (hex(low), "rx", False)]
    assert f" of root {new} at 0x" in pagetable("spaces", core, "--root", new, "--root", old).check().stdout


@BOTH
def test_core_that_does_not_know_its_root(runner, pagetable, tmp_path):
    """Of another writer: its root has to be named, and then it reads the same."""
    core = crash(runner)
    data = json.loads(pagetable("list", "--json", core).check().stdout)["spaces"][0]
    other = tmp_path / "other.core"
    other.write_bytes(core.read_bytes().replace(b"HINDSIGHT\0", b"SOMEBODY_\0"))
    refused = pagetable("list", other)
    assert (refused.rc, refused.stdout) == (125, "")
    assert refused.stderr == (f"hindsight: {other}: the core does not say where its page tables are "
                              "(give --format and --root)\n")
    result = pagetable("list", "--json", other, "--format", data["format"], "--root", data["root"]).check()
    assert json.loads(result.stdout)["spaces"][0]["ranges"] == data["ranges"]


@BOTH
def test_format_that_is_not_the_cores_needs_a_root(runner, pagetable):
    core = crash(runner)
    own = json.loads(pagetable("list", "--json", core).check().stdout)["spaces"][0]
    other = "amd64-5" if runner.arch == "amd64" else "pae"
    for word, *more in ("list",), ("spaces",), ("walk", "0"):
        result = pagetable(word, core, "--format", other, *more)
        assert (result.rc, result.stdout, result.stderr) == (
            125, "", f"hindsight: {core}: paging of the core is {own['format']}: --format {other} needs "
            "--root\n")
    assert pagetable("list", core, "--format", own["format"]).check().stdout == pagetable("list", core).check().stdout
    assert pagetable("list", core, "--format", "none").check().stdout.startswith("root 0x")
    again = pagetable("list", core, "--format", other, "--root", own["root"])
    assert again.rc == 0 and again.stdout.startswith(f"root {own['root']}, {other}\n")


@BOTH
def test_core_that_was_cut_off_has_no_tables(runner, pagetable, tmp_path):
    """They are near the end of the data, which ascends by physical address."""
    core = crash(runner)
    cut = tmp_path / "cut.core"
    cut.write_bytes(core.read_bytes()[:-0x60000])
    result = pagetable("list", cut)
    assert result.rc == 125 and re.fullmatch(
        rf"hindsight: {cut}: the root table at 0x\w+ is not in it \(a core has the memory that its guest had "
        rf"mapped\)\n", result.stderr), result.stderr


@BOTH
def test_segments_may_stand_in_any_order_and_overlap(runner, pagetable, tmp_path):
    """In cores of other writers: each byte of physical memory is found, whichever segments hold it."""
    core = crash(runner)
    known = pagetable("list", core).check().stdout
    image = Image(core)
    loads = image.segments()
    size = image.get("phentsize")
    headers = [bytes(image.bytes[image.segment_at(index):][:size]) for index in loads]
    for index, header in zip(loads, reversed(headers)):
        at = image.segment_at(index)
        image.bytes[at:at + size] = header
    assert pagetable("list", image.write(tmp_path / "reversed.core")).check().stdout == known
    # The first page of the segment with the tables, which is none of them, is claimed by another one as well.
    image = Image(core)
    root = int(known.split(",")[0].removeprefix("root "), 16)
    tables = next(physical for _, physical, length, _ in segments_of(core) if physical <= root < physical + length)
    assert tables + 0x1000 <= root
    image.set_segment(loads[0], "paddr", tables - 0x1000)
    assert image.get_segment(loads[0], "filesz") == 0x2000
    assert pagetable("list", image.write(tmp_path / "overlap.core")).check().stdout == known
