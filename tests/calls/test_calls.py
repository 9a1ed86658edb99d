# SPDX-License-Identifier: LGPL-2.1-or-later
"""Host and guest call each other, on each backend: the cases of tests/calls/calls.c."""

import pathlib
import re

import pytest

from lib import facts
from lib.runner import RUNNERS

HERE = pathlib.Path(__file__).parent
# name -> guest program, as the tables at the ends of the sources have them.
CASES = {
    name: image
    for source in ("case_good.c", "case_bad.c")
    for name, image in re.findall(r'\{ "(\w+)", "(\w+)", (?:NULL|"\w+"), case_\w+ \}', (HERE / source).read_text())
}


@pytest.fixture(scope="session", params=list(RUNNERS))
def call(request, build):
    """A function that runs a case with a guest of one architecture on one backend in one place."""
    arch, backend = request.param.split("-")
    place = request.getfixturevalue("rig" if backend == "rig" else "local")
    reason = None if backend == "soft" else facts.missing_for(facts.of(place), arch)
    if reason:
        pytest.skip(f"{request.param}: {reason}")

    def run(case, image):
        words = [build / "tests/calls/calls", "soft" if backend == "soft" else "kvm", case,
                 build / "guest" / arch / f"{image}.elf"]
        return place.run(words, timeout=180)

    return run


def test_calls_cases_are_those_of_the_program(build, local):
    listed = local.run([build / "tests/calls/calls"]).stdout.splitlines()
    assert listed == [f"{name} {image}" for name, image in CASES.items()]


@pytest.mark.parametrize("case", CASES)
def test_calls_case_holds(call, case):
    result = call(case, CASES[case])
    assert result.rc == 0, result.stdout + result.stderr
