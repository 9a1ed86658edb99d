# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that changes its page tables finds those of the snapshot when it is put back (tests/snapshot/remap.c)."""

import pytest

from lib import facts
from lib.runner import RUNNERS


# QEMU ends when 32-bit code comes back from ring 3 with a TSS that KVM_SET_SREGS has loaded (docs/hosts.md, "The rig").
CASES = [(runner, ring) for runner in RUNNERS for ring in (0, 3) if (runner, ring) != ("i686-rig", 3)]


@pytest.mark.parametrize("runner,ring", CASES)
def test_remap_guest_finds_the_tables_of_the_snapshot(request, build, runner, ring):
    arch, backend = runner.split("-")
    place = request.getfixturevalue("rig" if backend == "rig" else "local")
    reason = None if backend == "soft" else facts.missing_for(facts.of(place), arch)
    if reason:
        pytest.skip(f"{runner}: {reason}")
    words = [build / "tests/snapshot/remap", "soft" if backend == "soft" else "kvm",
             build / "guest" / arch / "bare_remap.elf"]
    result = place.run(words + ["3"] * (ring == 3), timeout=180)
    assert result.rc == 0, result.stdout + result.stderr
