# SPDX-License-Identifier: LGPL-2.1-or-later
"""A restore on KVM takes few system calls, and no memory slot is touched (tests/snapshot/ioctls.c)."""

import pytest

from lib.runner import RUNNERS


@pytest.mark.parametrize("runner", [runner for runner in RUNNERS if not runner.endswith("soft")], indirect=True)
def test_ioctls_restore_and_run_take_no_more_than_listed(runner):
    result = runner.place.run([runner.build / "tests/snapshot/ioctls", runner.guest("bare_outs")], timeout=60)
    assert result.rc == 0, result.stdout + result.stderr
