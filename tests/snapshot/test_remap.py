# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that changes its page tables finds those of the snapshot when it is put back (tests/snapshot/remap.c)."""

import pytest

from lib.runner import RUNNERS

# QEMU ends when 32-bit code comes back from ring 3 with a TSS that KVM_SET_SREGS has loaded (docs/hosts.md, "The rig").
CASES = [(runner, ring) for runner in RUNNERS for ring in (0, 3) if (runner, ring) != ("i686-rig", 3)]


@pytest.mark.parametrize("runner,ring", CASES, indirect=["runner"])
def test_remap_guest_finds_the_tables_of_the_snapshot(runner, ring):
    words = [runner.build / "tests/snapshot/remap", runner.backend, runner.guest("bare_remap")]
    result = runner.place.run(words + ["3"] * (ring == 3), timeout=180)
    assert result.rc == 0, result.stdout + result.stderr
