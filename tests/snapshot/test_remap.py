# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that changes its page tables finds those of the snapshot when it is put back (tests/snapshot/remap.c)."""

import pytest

from lib.runner import RUNNERS

# QEMU ends when 32-bit code comes back from ring 3 with a TSS that KVM_SET_SREGS has loaded (docs/hosts.md, "The rig").
CASES = [(runner, ring) for runner in RUNNERS for ring in (0, 3) if (runner, ring) != ("i686-rig", 3)]



def run_remap(runner, ring, *words):
    command = [runner.build / "tests/snapshot/remap", runner.backend, runner.guest("bare_remap")]
    return runner.place.run(command + ["3"] * (ring == 3) + list(words), timeout=180)


@pytest.mark.parametrize("runner,ring", CASES, indirect=["runner"])
def test_remap_guest_finds_the_tables_of_the_snapshot(runner, ring):
    result = run_remap(runner, ring)
    assert result.rc == 0, result.stdout + result.stderr


@pytest.mark.parametrize("runner,ring", CASES, indirect=["runner"])
def test_remap_call_that_is_cancelled_loses_no_flush(runner, ring):
    result = run_remap(runner, ring, "cancel")
    assert result.rc == 0, result.stdout + result.stderr
