# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests go back to a snapshot and on to the same end, again and again, on each backend (tests/snapshot/cycle.c)."""

import pytest

from lib import facts
from lib.runner import RUNNERS

# Instructions before the snapshot: at the entry point, in the runtime's start, in the program. On this host's KVM an
# instruction at CPL 0 takes a microsecond and in the rig a step takes a millisecond, so programs are short ones.
CASES = [
    ("hello", 0), ("hello", 40), ("handlers", 200), ("divide", 150), ("page_write", 100), ("stack_overflow", 50),
    ("protection", 100), ("higher_half", 60), ("bare", 5), ("triple_fault", 20), ("debugme", 500),
]


@pytest.fixture(scope="session", params=list(RUNNERS))
def cycle(request, build):
    """A function that runs cycle for a guest of one architecture on one backend in one place."""
    arch, backend = request.param.split("-")
    place = request.getfixturevalue("rig" if backend == "rig" else "local")
    reason = None if backend == "soft" else facts.missing_for(facts.of(place), arch)
    if reason:
        pytest.skip(f"{request.param}: {reason}")

    def run(program, steps):
        words = [build / "tests/snapshot/cycle", "soft" if backend == "soft" else "kvm", str(steps),
                 build / "guest" / arch / f"{program}.elf"]
        return place.run(words, timeout=180)

    return run


@pytest.mark.parametrize("program,steps", CASES)
def test_cycle_guest_goes_back_and_on_to_the_same_end(cycle, program, steps):
    result = cycle(program, steps)
    assert result.rc == 0, result.stdout + result.stderr
