# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every guest program runs on the software CPU as it does on KVM: from exit to exit, and instruction by instruction.

tests/lockstep/lockstep.c compares; tests/lockstep/rules.c says where the two may differ, and why.
"""

import pathlib
import re

import pytest

from lib import facts
from lib.runner import RUNNERS

PROGRAMS = pathlib.Path(__file__).resolve().parent.parent.parent / "guest" / "programs"

# What a program is given so that it ends, and the options for one that never does.
ARGUMENTS = {"spin": ["20"]}
OPTIONS = {"hang": ["--exits", "0", "--steps", "500"]}

# A stretch of that length is compared at each step.
LEAST_STEPS = {"bare_overflow": 10000}

# A step takes about a millisecond there.
RIG_STEPS = "3000"

# What each must at least have come to, so that a comparison of nothing is no success.
REPORT = re.compile(r"(?:(\d+) exits equal, to the end\n)?(\d+) steps equal(, to the end)?\n")


@pytest.fixture(scope="session", params=[name for name in RUNNERS if not name.endswith("-soft")])
def oracle(request, build):
    """A function that runs lockstep for a guest of one architecture on the KVM of one place."""
    arch, place_name = request.param.split("-")
    place = request.getfixturevalue("rig" if place_name == "rig" else "local")
    reason = facts.missing_for(facts.of(place), arch)
    if reason:
        pytest.skip(f"{request.param}: {reason}")

    def run(program, *options):
        if place_name == "rig" and program not in LEAST_STEPS:
            options = ["--steps", RIG_STEPS, *options]
        words = [build / "tests/lockstep/lockstep", *options, *OPTIONS.get(program, []),
                 build / "guest" / arch / f"{program}.elf", *ARGUMENTS.get(program, [])]
        return place.run(words, timeout=180)

    return run


@pytest.mark.parametrize("program", sorted(path.stem for path in PROGRAMS.glob("*.c")))
def test_lockstep_program_is_the_same_on_both(oracle, program):
    result = oracle(program)
    assert result.rc == 0, result.stdout + result.stderr
    exits, steps, _ = REPORT.fullmatch(result.stdout).groups()
    assert program in OPTIONS or int(exits) >= 1
    assert int(steps) >= LEAST_STEPS.get(program, 10)


def test_lockstep_finds_a_difference(oracle):
    """An oracle that cannot say no is none."""
    result = oracle("bare", "--exits", "0", "--spoil", "5")
    assert result.rc == 1
    assert "step 5: " in result.stdout
