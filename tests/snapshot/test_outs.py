# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that is put back to right before the port access that it ended with repeats it (tests/snapshot/outs.c)."""


def test_outs_guest_put_back_to_its_last_out_executes_it_again_and_meets_no_exception(runner):
    words = [runner.build / "tests/snapshot/outs", runner.backend, runner.guest("bare_outs")]
    result = runner.place.run(words, timeout=60)
    assert result.rc == 0, result.stdout + result.stderr
