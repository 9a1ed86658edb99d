# SPDX-License-Identifier: LGPL-2.1-or-later
"""A server that has nothing to do does nothing: no processor time, and no waking up to look."""

import pytest

from lib.debuggers import Gdb, gdb_batch
from lib.idle import assert_idle
from lib.runner import RUNNERS

# The server has to be a process of this machine.
HERE = pytest.mark.parametrize("runner", [name for name in RUNNERS if not name.endswith("rig")], indirect=True)


@HERE
def test_idle_server_of_a_guest_takes_no_processor_time_and_does_not_wake_up(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        with Gdb() as gdb:
            gdb.command(f"target remote {served.address}")
            assert_idle(served.process)
            gdb.command("break factorial")
            assert "Breakpoint 1, factorial" in gdb.command("continue")
            assert_idle(served.process)
        # Nobody is there any more; that it is so is learnt by the next one.
        said = gdb_batch([f"target remote {served.address}", "backtrace 1", "disconnect"])
        assert "factorial (n=5)" in said[1]
        assert_idle(served.process)
