# SPDX-License-Identifier: LGPL-2.1-or-later
"""Test results from what meson and pytest write: one list of cases, and the verdict over it.

In: JUnit XML of pytest, JUnit XML and the JSON log of meson. Out: Case objects. A skip has a reason; a program that
died after its last test passed is a failure, though its XML has none.
"""

import dataclasses
import json
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ET

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
NO_REASON = "no reason given"
AGAIN = "run again"
"""The property in the XML of pytest of a test that was run a second time; its value says why."""
# Of one test program, in meson's JSON log.
BAD_RESULTS = {"FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS"}


@dataclasses.dataclass(frozen=True)
class Case:
    suite: str
    name: str
    outcome: str
    reason: str = ""
    again: str = ""
    """Why this is its second run; empty when it is the first."""


def _outcome_of(testcase):
    """The outcome and the first line of the reason of a JUnit <testcase>."""
    for tag in ("failure", "error"):
        found = testcase.find(tag)
        if found is not None:
            return FAILED, (found.get("message") or found.text or tag).strip().split("\n")[0]
    skipped = testcase.find("skipped")
    if skipped is not None:
        return SKIPPED, (skipped.get("message") or "").strip() or NO_REASON
    return PASSED, ""


def from_pytest(suite, path):
    """The cases of one run of pytest, or of anything else that writes JUnit XML with messages."""
    cases = []
    for testcase in ET.parse(path).getroot().iter("testcase"):
        name = "::".join(part for part in (testcase.get("classname"), testcase.get("name")) if part)
        again = testcase.find(f"properties/property[@name='{AGAIN}']")
        why = "" if again is None else again.get("value").split("\n")[0]
        cases.append(Case(suite, name, *_outcome_of(testcase), why))
    return cases


def skip_reasons(output):
    """The reasons in TAP output, in order: of skipped lines, or of a plan that skips everything (1..0 # SKIP)."""
    found = re.findall(r"^(?:ok\b|1\.\.0\b).*?#\s*SKIP\S*[ \t]*(.*)$", output, re.IGNORECASE | re.MULTILINE)
    return [reason.strip() or NO_REASON for reason in found]


def _last_line(record):
    text = (record.get("stderr") or "") + (record.get("stdout") or "")
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else record["result"]


def _from_program(suite, name, record, testsuite):
    """The cases of one test program: its subtests if it spoke TAP, and itself if it failed otherwise."""
    cases = []
    if testsuite is not None:
        reasons = iter(skip_reasons(record.get("stdout") or ""))
        for testcase in testsuite.iter("testcase"):
            outcome, reason = _outcome_of(testcase)
            if outcome == SKIPPED:
                reason = next(reasons, NO_REASON)
            elif outcome == FAILED:
                reason = ""
            cases.append(Case(suite, f"{name}: {testcase.get('name')}", outcome, reason))
    elif record["result"] == "SKIP":
        reasons = skip_reasons(record.get("stdout") or "")
        cases.append(Case(suite, name, SKIPPED, reasons[0] if reasons else _last_line(record)))
    elif record["result"] not in BAD_RESULTS:
        cases.append(Case(suite, name, PASSED))
    if record["result"] in BAD_RESULTS and not any(case.outcome == FAILED for case in cases):
        cases.append(Case(suite, name, FAILED, f"{record['result']}: {_last_line(record)}"))
    return cases


def from_meson(suite, base):
    """The cases of one `meson test --logbase`; base is the path of its logs without a suffix."""
    suites = {element.get("name"): element for element in ET.parse(f"{base}.junit.xml").getroot().iter("testsuite")}
    cases = []
    for line in pathlib.Path(f"{base}.json").read_text(encoding="utf-8", errors="replace").splitlines():
        record = json.loads(line)
        # A program with subtests has a <testsuite> of its own, PROJECT.NAME; NAME may begin with "PROJECT:SUITE / ".
        testsuite = next((element for key, element in suites.items() if key.endswith("." + record["name"])), None)
        cases += _from_program(suite, record["name"].split(" / ")[-1], record, testsuite)
    return cases


class AllowedSkips:
    """Reasons for which a test may be skipped where all that can run must: the file tests/allowed-skips.

    A line is a regular expression for the whole reason, and behind " :: ", if anything, a shell command that succeeds
    where the skip is right.
    """

    def __init__(self, text):
        self._rules = []
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                pattern, _, condition = line.partition(" :: ")
                self._rules.append((re.compile(pattern.strip()), condition.strip()))

    def allows(self, reason):
        return any(pattern.fullmatch(reason) and self._holds(condition) for pattern, condition in self._rules)

    @staticmethod
    def _holds(condition):
        if not condition:
            return True
        return subprocess.run(["sh", "-c", condition], check=False, capture_output=True).returncode == 0


def forbid_skips(cases, allowed):
    """The same cases, with every skip that is not allowed made a failure."""
    return [
        dataclasses.replace(case, outcome=FAILED, reason=f"must not be skipped here: {case.reason}")
        if case.outcome == SKIPPED and not allowed.allows(case.reason)
        else case
        for case in cases
    ]


def count(cases):
    """"N passed, N failed, N skipped"."""
    return ", ".join(
        f"{sum(case.outcome == outcome for case in cases)} {outcome}" for outcome in (PASSED, FAILED, SKIPPED)
    )


def listing(cases, outcome):
    """The cases of one outcome by reason, or those that were run AGAIN, as lines."""
    by_reason = {}
    for case in cases:
        if case.again if outcome == AGAIN else case.outcome == outcome:
            reason = case.again if outcome == AGAIN else case.reason
            by_reason.setdefault(reason or "see its log", []).append(f"{case.suite}: {case.name}")
    for reason, names in by_reason.items():
        yield f"  {reason}"
        yield from (f"    {name}" for name in names)
