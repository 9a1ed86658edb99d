# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a process of this machine does nothing."""

import pathlib
import re

from lib.debuggers import gdb_batch

NANOSECONDS = 5_000_000


def used(process):
    """Processor time in nanoseconds, and how often it went to sleep, of all threads."""
    tasks = list(pathlib.Path(f"/proc/{process.pid}/task").iterdir())
    time = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
    sleeps = sum(int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text())[1])
                 for task in tasks)
    return time, sleeps


def assert_idle(process):
    """Over the time that a gdb takes that has nothing to do with it: a fifth of a second and more."""
    time, sleeps = used(process)
    gdb_batch(["print 1"])
    time_later, sleeps_later = used(process)
    assert time_later - time < NANOSECONDS
    assert sleeps_later - sleeps <= 3
