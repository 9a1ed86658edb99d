# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debuggers come and go as often as they like, in any way; each finds the guest, and nothing of the one before."""

from lib.debuggers import gdb_batch

ROUNDS = 12


def test_one_gdb_comes_back_after_each_way_of_leaving(runner):
    with runner.serve("spin", options=["--core", "none"]) as served:
        come = f"target remote {served.address}"
        commands = []
        for number in range(ROUNDS):
            # Breakpoints that are never hit: a vanished client's must not be there for the next.
            commands += [come, f"hbreak *{0x1000 + number}", "print counter",
                         "detach" if number % 2 else "disconnect", "delete"]
        said = gdb_batch([*commands, come, "print counter", "kill"])
        result = served.process.wait(60)
    counts = [int(text.rsplit("=", 1)[1]) for text in said if text.startswith("$")]
    assert len(counts) == ROUNDS + 1
    # It runs after a detach only, if only until the next client is there, and never begins anew.
    for number, (before, after) in enumerate(zip(counts, counts[1:])):
        assert after >= before if number % 2 else after == before, counts
    assert counts[-1] > 0
    assert result.rc == 128 + 9
