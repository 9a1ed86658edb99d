# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that end as they mean to: their output, arguments and exit status, and nothing else said or left behind."""

import re

import pytest


def assert_quiet(result, status, stdout):
    assert (result.rc, result.stdout, result.stderr, result.files) == (status, stdout, "", {})


def test_hello_prints_and_ends_with_status_0(runner):
    assert_quiet(runner.run("hello"), 0, "hello from a guest\n")


@pytest.mark.parametrize("status, words", [(0, ""), (7, "7"), (255, "255"), (44, "300"), (0, "7 halt")])
def test_exit_gives_the_low_byte_of_the_guest_status(runner, status, words):
    assert_quiet(runner.run("exit", *words.split()), status, "")


def test_args_reach_the_guest_unchanged(runner):
    words = ["a", "two words", "", "--gdb", "\u00e4", "x" * 300]
    lines = [str(runner.guest("args")), *words]
    expected = "".join(f"{number}: {line}\n" for number, line in enumerate(lines))
    assert_quiet(runner.run("args", *words), len(lines), expected)


def test_bare_image_runs_by_the_ports_of_qemu(runner):
    assert_quiet(runner.run("bare"), 5 << 1 | 1, "hello from a bare guest\n")


def test_higher_half_image_runs_where_it_is_linked(runner):
    result = runner.run("higher_half")
    top = {"amd64": "ffffffff8", "i686": "c"}[runner.arch]
    assert result.rc == 0
    assert re.match(rf"upper half: main at 0x{top}[0-9a-f]{{7}}, boot information at 0x[0-9a-f]+\n\Z", result.stdout)


def test_guest_that_handles_its_traps_goes_on(runner):
    assert_quiet(runner.run("handlers"), 0, "2 int3, 3 page faults, read 42 and 43\n")


def test_heap_is_used_up_and_given_back(runner):
    result = runner.run("heap")
    assert result.rc == 0
    assert result.stdout.endswith("half the heap in one piece: yes\n")


def test_heap_option_changes_what_the_guest_gets(runner):
    small, large = (int(re.match(r"(\d+) links", runner.run("heap", options=["--heap", size]).stdout)[1])
                    for size in ("64K", "128K"))
    assert 1.9 < large / small < 2.2
