# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several address spaces go through snapshots, with memory private and shared, on each backend (spaces.c)."""

import pytest

from lib import facts
from lib.runner import RUNNERS

CYCLES = 100


@pytest.mark.parametrize("runner", list(RUNNERS))
def test_spaces_guest_with_several_goes_through_snapshots_unchanged(request, build, runner):
    arch, backend = runner.split("-")
    place = request.getfixturevalue("rig" if backend == "rig" else "local")
    reason = None if backend == "soft" else facts.missing_for(facts.of(place), arch)
    if reason:
        pytest.skip(f"{runner}: {reason}")
    words = [build / "tests/snapshot/spaces", "soft" if backend == "soft" else "kvm",
             build / "guest" / arch / "spaces.elf", str(CYCLES)]
    result = place.run(words, timeout=300)
    assert result.rc == 0, result.stdout + result.stderr
