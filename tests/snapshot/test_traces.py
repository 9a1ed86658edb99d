# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that looks for traces of its own finds none after a restore, on each backend (tests/snapshot/traces.c)."""

import pytest

# A cycle takes about 50 us on the software CPU, milliseconds in the rig and where KVM emulates what the guest copies.
CYCLES = {("local", "soft"): 100000, ("local", "kvm"): 1000, ("rig", "kvm"): 200}


def run_traces(runner, *words):
    program = runner.build / "tests/snapshot/traces"
    return runner.place.run([program, runner.backend, runner.guest("traces"), *words], timeout=180)


def test_traces_restored_guest_sees_what_it_saw_and_no_more(runner):
    result = run_traces(runner, runner.guest("debugme"))
    assert result.rc == 0, result.stdout + result.stderr


def test_traces_many_cycles_leave_memory_descriptors_and_regions_as_they_are(runner):
    if runner.sanitized:
        pytest.skip("sanitizers: they keep memory that was freed")
    result = run_traces(runner, "--cycles", str(CYCLES[runner.place.name, runner.backend]))
    assert result.rc == 0, result.stdout + result.stderr
