# SPDX-License-Identifier: LGPL-2.1-or-later
"""lldb's regions are the address space: all of it, in order, holes too, with the rights of the page tables."""

import re

from lib.elf import Image
from lib.packets import lldb_packets

REGION = re.compile(rb"start:([0-9a-f]+);size:([0-9a-f]+);(?:permissions:([rwx]*);)?")
MOST = 60
WALK = ["memory region 0", *["memory region"] * MOST]
FLAGS = {1: "x", 2: "w", 4: "r"}
"""Of a segment: PF_X, PF_W, PF_R."""


def regions(runner, guest, stop):
    """[(start, end, rights or None for a hole)] as `memory region` walks them, where the guest stops at `stop`: a
    function, or None for its crash."""
    commands = [f"breakpoint set -n {stop}", "continue", *WALK] if stop else ["continue"]
    with runner.serve(guest, options=["--core", "none", "--scratch", "16M"]) as served:
        _, packets = lldb_packets([f"gdb-remote {served.address}", *commands], runner.guest(guest),
                                  on_crash=() if stop else WALK)
    found = {}
    for reply in packets.replies(rb"qMemoryRegionInfo:.*"):
        start, size, rights = REGION.fullmatch(reply).groups()
        found[int(start, 16)] = (int(start, 16) + int(size, 16), None if rights is None else rights.decode())
    told = [(start, *found[start]) for start in sorted(found)]
    assert told[0][0] == 0
    for (_, end, _), (start, _, _) in zip(told, told[1:]):
        assert end == start
    return told


def test_regions_cover_the_address_space_and_none_is_cut(runner):
    told = regions(runner, "spaces", "look")
    for (_, _, rights), (_, _, next_rights) in zip(told, told[1:]):
        assert rights != next_rights, "two pieces that are one"
    assert told[-1][1] == 2**64 - 1
    # It is in space 3: two pages of its own and none behind, a page that nobody may write to, one that others may, and
    # one of its own.
    base = 0x10000000000 if runner.arch == "amd64" else 0x50000000
    at = {start: (end, rights) for start, end, rights in told}
    assert at[base + 0x2000] == (base + 0x4000, None)
    assert "w" not in at[base + 0x8000][1]
    assert at[base + 0xa000] == (base + 0xb000, at[base + 0x8000][1])
    assert at[base + 0xc000][0] == base + 0xd000 and "w" in at[base + 0xc000][1]


def test_regions_have_the_rights_of_the_image(runner):
    told = regions(runner, "debugme", "main")
    image = Image(runner.guest("debugme"))
    for segment in image.segments():
        start = image.get_segment(segment, "vaddr")
        wanted = "".join(name for flag, name in FLAGS.items() if image.get_segment(segment, "flags") & flag)
        rights = [rights for first, end, rights in told if first <= start < end][0]
        # Formats without XD let everything be executed.
        assert set(rights) - {"x"} == set(wanted) - {"x"}
        assert "x" in rights or "x" not in wanted
    assert told[0][2] is None


def test_regions_of_tables_that_map_themselves_are_told_without_delay(runner):
    told = regions(runner, "self_map", None)
    assert sum(rights is not None for _, _, rights in told) > MOST / 4
