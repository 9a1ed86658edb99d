# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/crashes.md says what the sources say: every reason, and every exception with its signal and code."""

import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def crashes():
    return (TOP / "docs/crashes.md").read_text()


def test_every_reason_has_a_row(crashes):
    reasons = re.findall(r'return "([a-z-]+)";', (TOP / "session/crash.c").read_text())
    assert len(reasons) > 8 and reasons[-1] == "unknown"
    listed = re.findall(r"^\| `([a-z-]+)` \|", crashes, re.M)
    assert set(listed) == set(reasons[:-1])


def test_statuses_follow_from_the_signals(crashes):
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| SIG\w+ \((\d+)\) \|.*\| (\d+) \|$", crashes, re.M)
    assert len(rows) == 9
    for reason, signal, status in rows:
        assert int(status) == (124 if reason == "hang" else 128 + int(signal))


def test_every_exception_has_its_signal(crashes):
    source = (TOP / "arch/exception.c").read_text()
    entries = re.findall(r'^\t\[(\d+)\] = \{ "(#\w+)", "([^"]+)", (\w+), (\w+),', source, re.M)
    assert len(entries) > 20
    rows = {vector: rest for vector, *rest in re.findall(
        r"^\| (\d+) \| (#\w+) ([^|]+) \| (\w+) \| (\w+)", crashes, re.M)}
    assert rows == {vector: rest for vector, *rest in entries}


def test_tests_that_documents_name_are_there():
    named = {name for path in TOP.glob("docs/*.md") for name in re.findall(r"`(test_\w+)`", path.read_text())}
    tests = "".join(path.read_text() for path in (TOP / "tests").rglob("test_*") if path.suffix in (".c", ".py"))
    assert len(named) > 10 and [name for name in named if not re.search(rf"\b{name}\(", tests)] == []
