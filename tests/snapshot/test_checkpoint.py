# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checkpoints are exact: guests go back to them in any order, on each backend (tests/snapshot/checkpoint.c)."""

import pytest

# Instructions before the first checkpoint, and from it to the second: in the runtime's start, in the program, in a
# fault handler, in a string instruction. As few as test_cycle.py has. A snapshot is taken at the first as well, which
# moves pages: none is being made a page table there, whose address in a register nobody would find.
CASES = [("hello", 40), ("handlers", 150), ("page_write", 50), ("higher_half", 30), ("bare", 2), ("mapping", 60),
         ("heap", 300), ("eight_spaces", 230)]


@pytest.mark.parametrize("program,steps", CASES)
def test_checkpoint_restored_in_any_order_is_exact(runner, program, steps):
    words = [runner.build / "tests/snapshot/checkpoint", runner.backend, str(steps), runner.guest(program)]
    result = runner.place.run(words, timeout=240)
    assert result.rc == 0, result.stdout + result.stderr
