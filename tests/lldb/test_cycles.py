# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls and cycles of restore and call, as lldb's user sees them."""

import re

from lib.debuggers import lldb_batch

SECONDS = 60
CYCLES = 5


def session(runner, commands, *calls, cycles=CYCLES):
    options = ["--core", "none", "--cycles", str(cycles), *(word for text in calls for word in ("--call", text))]
    with runner.serve("functions", options=options) as served:
        said = lldb_batch([f"gdb-remote {served.address}", *commands], program=runner.guest("functions"))
        return said, served.process.wait(SECONDS)


def test_lldb_cycles_breakpoint_hits_once_in_each(runner):
    said, ended = session(runner, [
        "breakpoint set --name hs_guest_call_add --auto-continue true",
        "breakpoint set --hardware --name hs_guest_call_counter --auto-continue true",
        "breakpoint set --name hs_guest_call_nothing --condition 'calls == 1' --auto-continue true",
        "continue", "breakpoint list",
    ], "nothing()", "add(40, 2)", "counter()", "nothing()")
    assert "exited with status = 0" in said, said
    for number in (1, 2, 3):
        assert re.search(rf"(?m)^{number}: .*hit count = {CYCLES}\b", said), said
    assert (ended.rc, ended.stdout) == (0, "nothing() = ()\nadd(40, 2) = 42\ncounter() = 1UL\nnothing() = ()\n")


def test_lldb_cycles_each_stop_shows_its_own_memory(runner):
    said, ended = session(runner, [
        "breakpoint set --name hs_guest_call_counter", *["continue", "frame variable calls"] * 3,
        "breakpoint disable 1", "continue",
    ], "counter()", cycles=3)
    assert re.findall(r"calls = (\d+)", said.replace("(uint64_t) ::", "")) == ["0", "0", "0"], said
    assert "exited with status = 0" in said and ended.rc == 0


def test_lldb_cycles_detach_makes_the_rest(runner):
    said, ended = session(runner, ["breakpoint set --name hs_guest_call_counter", "continue", "continue", "detach"],
                          "counter()", cycles=20)
    assert "detached" in said, said
    assert (ended.rc, ended.stdout) == (0, "counter() = 1UL\n")
    assert "20 cycles" in ended.stderr
