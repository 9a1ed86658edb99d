# SPDX-License-Identifier: LGPL-2.1-or-later
"""Addresses that lead out of a guest's memory, by their frame or by a table: what gdb, the crash report and the walk of
its core say of them. The guest is guest/programs/nowhere.c.
"""

import re

import pytest

from lib import report
from lib.debuggers import gdb_batch
from lib.process import run

NOWHERE = 0x70000000
UNUSED_ADDRESS = 0x60000000
WAYS = pytest.mark.parametrize("way", ["page", "table"])


def address_in(stdout):
    return int(re.search(r"nowhere: 0x([0-9a-f]+)", stdout)[1], 16)


@WAYS
def test_debugger_cannot_read_or_write_there_and_can_beside_it(runner, way):
    with runner.serve("nowhere", way, options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "break show", "continue", "set $at = (char *) address",
                          "print $at", "x/x $at", "x/3x $at - 8", "set *$at = 1", "print boot_info->magic", "kill"],
                         runner.guest("nowhere"))
        served.process.wait(60)
    shown, exact, across, written, magic = said[4:9]
    address = int(re.search(r"0x([0-9a-f]+)", shown)[1], 16)
    assert (address == UNUSED_ADDRESS) == (way == "table")
    refusal = f"Cannot access memory at address {address:#x}"
    assert refusal in exact and refusal in written
    if way == "page":
        # The page before it is the heap's: its words come, and then the first one that is not there is named.
        assert len(re.findall(r"\t0x0{8}", across)) == 2 and refusal in across
    else:
        assert f"Cannot access memory at address {address - 8:#x}" in across
    assert f"{0x54484753444E4948}" in magic


@WAYS
def test_crash_report_names_address_and_frame_or_table(runner, way):
    result = runner.run("nowhere", way, "touch", options=["--core", "none"])
    address = address_in(result.stdout)
    found = report.parse(result.stderr)
    if way == "page":
        assert found.text == (f"bus error: read of {address:#x}, which is guest-physical {NOWHERE:#x}: "
                              "no memory is there")
        assert result.rc == 128 + 7
    else:
        # The page fault is KVM's way of telling it where it walks the tables itself.
        assert re.fullmatch(rf"(bus error: access to|page fault \(#PF\): read of) {address:#x}, its page table at "
                            rf"guest-physical {NOWHERE:#x} is not in memory", found.text)


@WAYS
def test_walk_of_the_core_names_what_is_not_there(runner, way, build):
    result = runner.run("nowhere", way)
    address = address_in(result.stdout)
    (core,) = result.files.values()
    walk = run([build / "hindsight", "pagetable", "walk", core, f"{address:#x}"], 60)
    if way == "page":
        assert re.search(rf"^  0x0*{address:x}: {NOWHERE:#x}  \S+  4K  not in physical memory$", walk.stdout, re.M)
    else:
        assert re.search(rf"^  \w+ +{NOWHERE:#x} +\d+  not in physical memory$", walk.stdout, re.M)
        assert re.search(rf"^  0x0*{address:x}: unreadable table at {NOWHERE:#x}$", walk.stdout, re.M)
    (said,) = gdb_batch([f"x/x {address:#x}"], runner.guest("nowhere"), core)
    assert f"Cannot access memory at address {address:#x}" in said
