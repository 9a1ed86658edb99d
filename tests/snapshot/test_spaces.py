# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several address spaces go through snapshots, with memory private and shared, on each backend (spaces.c)."""

CYCLES = 100


def test_spaces_guest_with_several_goes_through_snapshots_unchanged(runner):
    words = [runner.build / "tests/snapshot/spaces", runner.backend, runner.guest("spaces"), str(CYCLES)]
    result = runner.place.run(words, timeout=300)
    assert result.rc == 0, result.stdout + result.stderr
