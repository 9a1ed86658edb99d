# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests go back to a snapshot and on to the same end, again and again, on each backend (tests/snapshot/cycle.c)."""

import pytest

# Instructions before the snapshot: at the entry point, in the runtime's start, in the program. On this host's KVM an
# instruction at CPL 0 takes a microsecond and in the rig a step takes a millisecond, so programs are short ones.
CASES = [
    ("hello", 0), ("hello", 40), ("handlers", 200), ("divide", 150), ("page_write", 100), ("stack_overflow", 50),
    ("protection", 100), ("higher_half", 60), ("bare", 5), ("triple_fault", 20), ("debugme", 500),
]


@pytest.mark.parametrize("program,steps", CASES)
def test_cycle_guest_goes_back_and_on_to_the_same_end(runner, program, steps):
    words = [runner.build / "tests/snapshot/cycle", runner.backend, str(steps), runner.guest(program)]
    result = runner.place.run(words, timeout=180)
    assert result.rc == 0, result.stdout + result.stderr
