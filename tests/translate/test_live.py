# SPDX-License-Identifier: LGPL-2.1-or-later
"""What paging/ reads in the tables of a running guest is what its CPU finds, for every guest program, on every CPU.

tests/translate/live.c compares: with KVM_TRANSLATE, or with what the software CPU has in its TLB.
"""

import pathlib
import re

import pytest

PROGRAMS = pathlib.Path(__file__).resolve().parent.parent.parent / "guest" / "programs"

# What a program is given so that it ends, and the options for one that never does, or whose tables then have no end.
ARGUMENTS = {"spin": ["20"]}
OPTIONS = {name: ["--exits", "0"] for name in ("hang", "modes", "self_map")}

# A program has this many pages at least, and is looked at where it starts and where it ends.
LEAST_MAPPED = 2 * 100

REPORT = re.compile(r"(\d+) addresses agree, (\d+) of them mapped, at (\d+) exits and (\d+) steps(, to the end)?\n")


@pytest.fixture(scope="session")
def live(runner, build):
    """A function that compares all over the address space of a guest program while it runs."""
    def run(program, *options):
        words = [build / "tests/translate/translate_live", *options, *OPTIONS.get(program, []), runner.backend,
                 runner.guest(program), *ARGUMENTS.get(program, [])]
        return runner.place.run(words)

    return run


@pytest.mark.parametrize("program", sorted(path.stem for path in PROGRAMS.glob("*.c")))
def test_translate_every_page_of_a_program_is_where_the_cpu_finds_it(live, program):
    result = live(program)
    assert result.rc == 0, result.stdout + result.stderr
    asked, mapped, _, steps, end = REPORT.fullmatch(result.stdout).groups()
    assert LEAST_MAPPED <= int(mapped) < int(asked)
    assert int(steps) >= 1
    assert bool(end) == (program not in OPTIONS)


def test_translate_that_reads_a_wrong_entry_is_found(live):
    """A comparison that cannot say no is none."""
    result = live("hello", "--spoil", "123")
    assert result.rc == 1
    assert re.match(r"exit 0: 0x\w+: the CPU finds page 0x(\w+), the tables say kind 0, 0x(?!\1)\w+ ", result.stdout)
