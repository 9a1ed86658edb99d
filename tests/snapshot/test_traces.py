# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that looks for traces of its own finds none after a restore, on each backend (tests/snapshot/traces.c)."""

import pytest

from lib import facts
from lib.runner import RUNNERS

# A cycle takes about 50 us on the software CPU, milliseconds in the rig and where KVM emulates what the guest copies.
CYCLES = {"soft": 20000, "kvm": 100, "rig": 200}


@pytest.fixture(scope="session", params=list(RUNNERS))
def traces(request, build):
    """A function that runs traces on one backend in one place."""
    arch, backend = request.param.split("-")
    place = request.getfixturevalue("rig" if backend == "rig" else "local")
    reason = None if backend == "soft" else facts.missing_for(facts.of(place), arch)
    if reason:
        pytest.skip(f"{request.param}: {reason}")

    def run(*words):
        guests = build / "guest" / arch
        words = [guests / word if str(word).endswith(".elf") else word for word in words]
        return place.run([build / "tests/snapshot/traces", "soft" if backend == "soft" else "kvm",
                          guests / "traces.elf", *words], timeout=180)

    run.backend = backend
    return run


def test_traces_restored_guest_sees_what_it_saw_and_no_more(traces):
    result = traces("debugme.elf")
    assert result.rc == 0, result.stdout + result.stderr


def test_traces_many_cycles_leave_memory_descriptors_and_regions_as_they_are(traces):
    result = traces("--cycles", str(CYCLES[traces.backend]))
    assert result.rc == 0, result.stdout + result.stderr
