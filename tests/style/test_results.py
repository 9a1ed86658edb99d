# SPDX-License-Identifier: LGPL-2.1-or-later
"""The count of scripts/test: what meson and pytest write becomes cases, and nothing that failed or was skipped is lost.

The meson and pytest of this machine write the samples.
"""

import pathlib
import subprocess
import sys

import pytest

from lib import results
from lib.results import FAILED, PASSED, SKIPPED, Case

MESON_BUILD = """
project('sample')
sh = find_program('sh')
tap = {
  'good': 'echo 1..2; echo ok 1 - a; echo ok 2 - b',
  'bad': 'echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1',
  'skipping': 'echo 1..3; echo ok 1 - a; echo "ok 2 - b # SKIP no moon"; echo "ok 3 - c # skip"',
  'skipped': 'echo "1..0 # SKIP no sun"',
  'dying': 'echo 1..1; echo ok 1 - a; echo "heap-use-after-free" >&2; exit 99',
  'silent': 'echo no plan at all >&2; exit 3',
}
foreach name, script : tap
  test(name, sh, args: ['-c', script], protocol: 'tap', suite: 'unit')
endforeach
test('plain', sh, args: ['-c', 'exit 0'], suite: 'golden')
test('plain_bad', sh, args: ['-c', 'echo why; exit 1'], suite: 'golden')
test('plain_skip', sh, args: ['-c', 'echo "no tool"; exit 77'], suite: 'golden')
"""

PYTEST_FILE = """
import pytest

def test_good(): pass
def test_bad(): assert 1 == 2, "one is not two"
def test_skipped(): pytest.skip("no moon")
@pytest.fixture
def broken(): raise RuntimeError("no fixture")
def test_error(broken): pass
"""


@pytest.fixture(scope="module")
def meson_cases(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    (source / "meson.build").write_text(MESON_BUILD)
    subprocess.run(["meson", "setup", "build"], cwd=source, check=True, capture_output=True)
    command = ["meson", "test", "-C", "build", "--logbase", "x"]
    done = subprocess.run(command, cwd=source, capture_output=True, check=False)
    assert done.returncode != 0
    return results.from_meson("c", source / "build" / "meson-logs" / "x")


def of(cases, name):
    return [(case.outcome, case.reason) for case in cases if case.name.split(":")[0] == name]


def test_meson_subtests_are_cases(meson_cases):
    assert of(meson_cases, "good") == [(PASSED, ""), (PASSED, "")]
    assert [outcome for outcome, _ in of(meson_cases, "bad")] == [PASSED, FAILED]


def test_meson_skips_have_their_reasons(meson_cases):
    assert of(meson_cases, "skipping") == [(PASSED, ""), (SKIPPED, "no moon"), (SKIPPED, results.NO_REASON)]
    assert of(meson_cases, "skipped") == [(SKIPPED, "no sun")]
    assert of(meson_cases, "plain_skip") == [(SKIPPED, "no tool")]


def test_meson_program_that_dies_after_its_last_test_has_failed(meson_cases):
    (first, second) = of(meson_cases, "dying")
    assert first == (PASSED, "")
    assert second[0] == FAILED and "ERROR" in second[1]
    assert [outcome for outcome, _ in of(meson_cases, "silent")] == [FAILED]


def test_meson_programs_without_subtests_are_one_case(meson_cases):
    assert of(meson_cases, "plain") == [(PASSED, "")]
    assert of(meson_cases, "plain_bad")[0][0] == FAILED
    assert len(meson_cases) == 2 + 2 + 3 + 1 + 2 + 1 + 1 + 1 + 1


def test_pytest_cases_and_reasons(tmp_path):
    (tmp_path / "test_sample.py").write_text(PYTEST_FILE)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=x.xml", "test_sample.py"],
        cwd=tmp_path, capture_output=True, check=False,
    )
    cases = results.from_pytest("s", tmp_path / "x.xml")
    assert [(case.name.split("::")[-1], case.outcome) for case in cases] == [
        ("test_good", PASSED), ("test_bad", FAILED), ("test_skipped", SKIPPED), ("test_error", FAILED)
    ]
    assert "one is not two" in cases[1].reason
    assert cases[2].reason == "no moon"


def test_allowed_skips_are_whole_reasons_under_their_condition():
    allowed = results.AllowedSkips("# comment\n\nno moon\nno (sun|star) .* :: true\nno sky :: false\n")
    assert allowed.allows("no moon") and allowed.allows("no star at all")
    assert not allowed.allows("no moon tonight") and not allowed.allows("no sky") and not allowed.allows("# comment")


def test_allowed_skips_of_the_tree_are_understood_and_not_too_wide():
    allowed = results.AllowedSkips((pathlib.Path(__file__).parents[1] / "allowed-skips").read_text(encoding="utf-8"))
    for reason in ("", results.NO_REASON, "rig: the rig did not boot: nothing", "amd64-kvm: something else"):
        assert not allowed.allows(reason)


def test_forbidden_skip_is_a_failure():
    cases = [Case("s", "a", PASSED), Case("s", "b", SKIPPED, "no moon"), Case("s", "c", SKIPPED, "no sun")]
    judged = results.forbid_skips(cases, results.AllowedSkips("no moon\n"))
    assert [case.outcome for case in judged] == [PASSED, SKIPPED, FAILED]
    assert "no sun" in judged[2].reason
    assert results.count(judged) == "1 passed, 1 failed, 1 skipped"


def test_listing_names_every_case_by_reason():
    cases = [Case("s", "b", SKIPPED, "no moon"), Case("t", "c", SKIPPED, "no moon"), Case("s", "a", PASSED)]
    assert list(results.listing(cases, SKIPPED)) == ["  no moon", "    s: b", "    t: c"]
