# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sandboxes as an embedder has them, on each CPU: the cases of tests/sandbox/cases.c."""

import pathlib
import re

import pytest

SOURCE = pathlib.Path(__file__).with_name("cases.c").read_text(encoding="utf-8")
CASES = re.findall(r'\{ "(\w+)", case_\w+ \}', SOURCE)


def test_sandbox_cases_are_those_of_the_program(build, local):
    assert local.run([build / "tests/sandbox/sandbox"]).stdout.split() == CASES


@pytest.mark.parametrize("case", CASES)
def test_sandbox_case_holds(runner, case):
    if case == "address_space" and runner.sanitized:
        pytest.skip("sanitizers: they reserve more memory than there is to be")
    words = [runner.build / "tests/sandbox/sandbox", runner.backend, case, runner.guest("functions")]
    result = runner.place.run(words, timeout=120)
    assert result.rc == 0, result.stderr
