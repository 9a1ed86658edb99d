# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory beyond plain reads: searched and summed by the stub, by guest-physical address, and as pieces."""

import re

from lib.debuggers import gdb_batch
from lib.packets import gdb_packets

PHYSICAL = "maintenance packet Qqemu.PhyMemMode:{}"


def session(runner, commands, guest="debugme"):
    with runner.serve(guest, options=["--core", "none"]) as served:
        said, packets = gdb_packets([f"target remote {served.address}", *commands, "kill"])
    return said[1:-1], packets


def address_of(text):
    return int(re.search(r"0x[0-9a-f]+", text)[0], 16)


def test_find_asks_the_stub_and_passes_over_holes(runner):
    said, packets = session(runner, ["tbreak factorial", "continue", "print &counter", "set var counter = 0x5ca1ab1e",
                                     "find /w 0, 0xffffffff, 0x5ca1ab1e", "find /w &counter + 1, +0x1000, 0x5ca1ab1e",
                                     "find /1 0x10, +0x100, 'a'"])
    place = address_of(said[2])
    found = [int(word, 16) for word in re.findall(r"^0x[0-9a-f]+", said[4], re.M)]
    # The stack may have it as well; no other place below it.
    assert place in found
    assert "Pattern not found" in said[5]
    assert "Pattern not found" in said[6]
    packets.check(rb"qSearch:memory:0;100000000;\x1e\xab\xa1\x5c", rb"1,[0-9a-f]+")
    assert not packets.of(rb"m.*,3e80"), "gdb read the memory to search it itself"


def test_find_in_tables_that_map_themselves_comes_to_an_end(runner):
    base, length = (0x10000000000, 0x700000000000) if runner.arch == "amd64" else (0x50000000, 0xa0000000)
    said, packets = session(runner, ["set remotetimeout 20", "continue",
                                     f"find /g {base}, +{length}, 0x1234432112344321", "print main"],
                            guest="self_map")
    assert "SIGSEGV" in said[1]
    # gdb has no other words for an error.
    assert "Pattern not found" in said[2]
    assert "{int (int, char **)}" in said[3]
    # Of i686 all can be looked at, or not in time.
    packets.check(rb"qSearch:memory:.*", rb"E16" if runner.arch == "amd64" else rb"E16|0")


def test_compare_sections_finds_what_was_changed_and_only_that(runner):
    said, packets = session(runner, ["compare-sections", "set var *(char *)&factorial = 0x33", "compare-sections"])
    before = re.findall(r"Section (\S+), range .*: (matched|MIS-MATCHED!)", said[0])
    after = re.findall(r"Section (\S+), range .*: (matched|MIS-MATCHED!)", said[2])
    assert (".text", "matched") in before and (".rodata", "matched") in before
    assert {name for name, state in before} == {name for name, state in after}
    assert [(name, state) for name, state in after if state != "matched"] == [(".text", "MIS-MATCHED!")]
    packets.check(rb"qCRC:[0-9a-f]+,[0-9a-f]+", rb"C[0-9a-f]+")


def test_physical_memory_is_read_and_written_until_that_is_taken_back(runner):
    said, _ = session(runner, ["monitor info"])
    segments = re.findall(r"segment +(0x[0-9a-f]+)\.\.0x[0-9a-f]+ \S+ gpa (0x[0-9a-f]+)", said[0])
    virtual, physical = max((int(gva, 16), int(gpa, 16)) for gva, gpa in segments)
    said, _ = session(runner, [
        f"x/4xw {virtual}", PHYSICAL.format(1), f"x/4xw {physical}", f"set var *(int *){physical + 4} = 0x600dbeef",
        "maintenance packet qqemu.PhyMemMode", PHYSICAL.format(0), f"x/4xw {virtual}",
        f"monitor phys {physical:#x} 8", "monitor phys 0xffffffffff000", "monitor phys nowhere"])
    words = [re.findall(r"0x[0-9a-f]{8}(?=\s|$)", said[i]) for i in (0, 2, 6)]
    assert len(words[0]) == 4 and words[1] == words[0]
    assert words[2] == [words[0][0], "0x600dbeef", *words[0][2:]]
    assert 'received: "1"' in said[4]
    assert re.search(r"^0x[0-9a-f]{12}  ([0-9a-f]{2} ){4}ef be 0d 60 ", said[7]), said[7]
    assert "no memory at physical address 0xffffffffff000" in said[8]
    assert "phys wants a guest-physical address" in said[9]


def test_physical_find_passes_over_terabytes_of_nothing_at_once(runner):
    said, packets = session(runner, ["tbreak factorial", "continue", "set var counter = 0x5ca1ab1e",
                                     PHYSICAL.format(1), "find /g 0x10000000000, +0xfffff0000000000, 0x5ca1ab1e",
                                     "find /w1 0, +0xffffffff, 0x5ca1ab1e"])
    assert "Pattern not found" in said[4]
    assert "1 pattern found" in said[5]
    # Not an error, which a search is that takes too long.
    packets.check(rb"qSearch:memory:10000000000;.*", rb"0")


def test_physical_mode_ends_with_its_client(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        target = f"target remote {served.address}"
        gdb_batch([target, PHYSICAL.format(1), "disconnect"])
        said = gdb_batch([target, "maintenance packet qqemu.PhyMemMode", "x/2i _start", "kill"])
    assert 'received: "0"' in said[1]
    assert "_start" in said[2]


def test_memory_map_lets_gdb_read_all_that_is_mapped(runner):
    said, _ = session(runner, ["info mem", "x/2i $pc", "x/xb 0x10", "show mem inaccessible-by-default"],
                      guest="higher_half" if runner.arch == "amd64" else "debugme")
    assert "Using memory regions provided by the target" in said[0]
    assert "=> " in said[1]
    assert "Cannot access memory" in said[2]
    assert "treated as inaccessible" in said[3] or "inaccessible" in said[3]


def test_no_trace_is_run_and_gdb_is_told(runner):
    said, packets = session(runner, ["tstatus"])
    assert "No trace has been run on the target" in said[0]
    packets.check(rb"qTStatus", rb"T0;tnotrun:0")
