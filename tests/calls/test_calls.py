# SPDX-License-Identifier: LGPL-2.1-or-later
"""Host and guest call each other, on each backend: the cases of tests/calls/calls.c."""

import pathlib
import re

import pytest

HERE = pathlib.Path(__file__).parent
# name -> guest program, as the tables at the ends of the sources have them.
CASES = {
    name: image
    for source in ("case_good.c", "case_bad.c", "case_registers.c")
    for name, image in re.findall(r'\{ "(\w+)", "(\w+)", (?:NULL|"\w+"), case_\w+ \}', (HERE / source).read_text())
}


def test_calls_cases_are_those_of_the_program(build, local):
    listed = local.run([build / "tests/calls/calls"]).stdout.splitlines()
    assert listed == [f"{name} {image}" for name, image in CASES.items()]


@pytest.mark.parametrize("case", CASES)
def test_calls_case_holds(runner, case):
    words = [runner.build / "tests/calls/calls", runner.backend, case, runner.guest(CASES[case])]
    result = runner.place.run(words, timeout=180)
    assert result.rc == 0, result.stdout + result.stderr
