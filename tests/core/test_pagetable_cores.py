# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight pagetable` over cores of guests that crashed: what it says is what readelf says of the segments."""

import json
import re
import struct

import pytest

from lib.elf import Image, readelf

BOTH = pytest.mark.parametrize("runner", ["amd64-soft", "i686-soft"], indirect=True)


def crash(runner, guest="page_write"):
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


@BOTH
def test_list_of_a_core_is_its_segments(runner, pagetable):
    core = crash(runner)
    data = json.loads(pagetable("list", "--json", core).check().stdout)
    (space,) = data["spaces"]
    assert space["format"] == ("amd64-4" if runner.arch == "amd64" else "i686")
    assert space["complete"] and united(space["ranges"]) == segments_of(core) != []
    text = pagetable("list", core).check().stdout.splitlines()
    assert text[0] == f"root {space['root']}, {space['format']}" and len(text) == len(space["ranges"]) + 2
    # The same from a root that is named.
    again = pagetable("list", core, "--root", space["root"], "--format", space["format"]).check()
    assert again.stdout.splitlines() == text


@BOTH
def test_walk_of_the_fault_address_shows_the_hole(runner, pagetable):
    core = crash(runner)
    result = pagetable("walk", core, "0xdead0000")
    assert (result.rc, result.stderr) == (1, "")
    lines = result.stdout.splitlines()
    assert lines[-3].endswith("  P is 0") and re.fullmatch(r"  0x0*dead0000: not mapped", lines[-2])
    for start, physical, _, access in segments_of(core):
        (walk,) = json.loads(pagetable("walk", "--json", core, start).check().stdout)["walks"]
        assert (int(walk["physical"], 16), walk["range"]["access"].replace("x", "e")) == (physical, access)


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
    at, form = (24, "<Q") if image.elf_class == 2 else (12, "<I")
    struct.pack_into(form, image.bytes, image.segment_at(loads[0]) + at, tables - 0x1000)
    assert image.get_segment(loads[0], "filesz") == 0x2000
    assert pagetable("list", image.write(tmp_path / "overlap.core")).check().stdout == known
