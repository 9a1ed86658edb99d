# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run by gdb: what a hit of a breakpoint with a false condition costs, evaluated by the stub and by gdb, in turns.

`bench/run gdb_condition` connects gdb to guest/programs/spin.c and sources this; $rounds is how often. A round runs the
guest over a false condition so many times, up to the hit at which it is true.
"""

import statistics
import sys
import time

import gdb

LINE = "spin.c:12"
HITS = {"target": 5000, "host": 200}


def run_to(mode, hits):
    """Microseconds a hit."""
    gdb.execute(f"set breakpoint condition-evaluation {mode}")
    until = int(gdb.parse_and_eval("counter")) + hits
    gdb.execute(f"tbreak {LINE} if counter == {until}", to_string=True)
    begin = time.monotonic()
    gdb.execute("continue", to_string=True)
    took = time.monotonic() - begin
    assert int(gdb.parse_and_eval("counter")) == until
    return took / hits * 1e6


gdb.execute(f"tbreak {LINE}", to_string=True)
gdb.execute("continue", to_string=True)
times = {"target": [], "host": []}
for turn in range(int(gdb.parse_and_eval("$rounds"))):
    for mode in sorted(times, reverse=turn % 2 == 0):
        times[mode].append(run_to(mode, HITS[mode]))
for mode, whose in (("target", "by the stub"), ("host", "by gdb")):
    taken = times[mode]
    columns = f"{min(taken):9.2f} {statistics.median(taken):9.2f} {max(taken):9.2f}"
    print(f"false condition, {whose:12} {columns} us a hit", file=sys.stderr)
ratios = [ours / peers for ours, peers in zip(times["target"], times["host"])]
print(f"ratio {statistics.median(ratios):.4f} of the time", file=sys.stderr)
