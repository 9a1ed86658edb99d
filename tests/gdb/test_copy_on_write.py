# SPDX-License-Identifier: LGPL-2.1-or-later
"""A debugger writes to a page that is copy-on-write as the guest does: a copy there, and nothing elsewhere."""

from lib.debuggers import gdb_batch

SHOW = 'printf "%x %x %x, %x %x %x\\n", first[0], first[1], first[2], second[0], second[1], second[2]'
UNTOUCHED = "11110000 11110001 11110002, 11110000 11110001 11110002"


def session(runner, commands, words=()):
    with runner.serve("aliases", *words, options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "break look", "continue", *commands])
        result = served.process.wait(60)
    return said[3:], result


def test_write_to_a_shared_frame_leaves_its_other_mapping_alone(runner):
    said, result = session(runner, [SHOW, "set var first[0] = 0x55555555", SHOW, "continue", SHOW, "delete",
                                    "continue"])
    assert said[0] == UNTOUCHED
    assert said[2] == "55555555 11110001 11110002, 11110000 11110001 11110002"
    # The guest, whose CPU knew the frame, sees the write; its own writes go each where they belong.
    assert said[4] == "55555555 11110001 33333333, 11110000 22222222 11110002"
    assert "exited normally" in said[6]
    assert result.stdout == ("22220000 66665555, first 55555555 11110001 33333333, "
                             "second 11110000 22222222 11110002\n")


def test_write_across_two_such_pages_copies_both(runner):
    said, _ = session(runner, ["set var *(unsigned long long *)&first[1023] = 0xbbbbbbbbaaaaaaaa", SHOW,
                               "print/x first[1023]", "print/x second[1023]", "kill"])
    assert said[1] == "11110000 11110001 11110002, bbbbbbbb 11110001 11110002"
    assert said[2].endswith("= 0xaaaaaaaa")
    assert said[3].endswith("= 0x111103ff")


def test_write_that_runs_into_a_hole_changes_nothing(runner):
    said, _ = session(runner, ["set var *(unsigned long long *)&second[1023] = 1", SHOW, "print/x second[1023]",
                               "kill"])
    assert "Cannot access memory" in said[0]
    assert said[1] == UNTOUCHED
    assert said[2].endswith("= 0x111103ff")


def test_write_without_a_page_left_for_the_copy_is_refused(runner):
    said, _ = session(runner, ["set var first[0] = 1", SHOW, "kill"], words=("full",))
    assert "Cannot access memory" in said[0]
    assert said[1] == UNTOUCHED
