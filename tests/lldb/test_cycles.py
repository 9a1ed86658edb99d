# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls and cycles of restore and call, as lldb's user sees them."""

import re

from lib.debuggers import lldb_batch

SECONDS = 60


def session(runner, commands, *calls, cycles):
    options = ["--core", "none", "--cycles", str(cycles), *(word for text in calls for word in ("--call", text))]
    with runner.serve("functions", options=options) as served:
        said = lldb_batch([f"gdb-remote {served.address}", *commands], program=runner.guest("functions"))
        return said, served.process.wait(SECONDS)


def counted(runner, cycles):
    """Hits of a software breakpoint, a hardware one, one with a condition, and a watchpoint."""
    said, ended = session(runner, [
        "breakpoint set --name hs_guest_call_add --auto-continue true",
        "breakpoint set --hardware --name hs_guest_call_counter --auto-continue true",
        "breakpoint set --name hs_guest_call_nothing --condition 'calls == 1' --auto-continue true",
        "watchpoint set variable calls", "watchpoint ignore --ignore-count 1000000", "continue", "breakpoint list",
        "watchpoint list -v",
    ], "nothing()", "add(40, 2)", "counter()", "nothing()", cycles=cycles)
    assert "exited with status = 0" in said, said
    assert (ended.rc, ended.stdout) == (0, "nothing() = ()\nadd(40, 2) = 42\ncounter() = 1UL\nnothing() = ()\n")
    found = [int(re.search(rf"(?m)^{number}: .*hit count = (\d+)\b", said)[1]) for number in (1, 2, 3)]
    return found, int(re.findall(r"hit_count = (\d+)", said)[-1])


def test_lldb_cycles_a_hundred_have_exact_hits(runner):
    cycles = 4 if runner.place.name == "rig" else 100
    found, written = counted(runner, 1)
    assert found == [1, 1, 1] and written >= 1
    assert counted(runner, cycles) == ([cycles] * 3, cycles * written)


def test_lldb_cycles_a_hundred_are_stepped_through_with_exact_hits(runner):
    """Each stop is left by an instruction, and lldb stops three times a cycle."""
    cycles = 4 if runner.place.name == "rig" else 100
    said, ended = session(runner, [
        "breakpoint set --name hs_guest_call_add", "breakpoint set --hardware --name hs_guest_call_counter",
        "breakpoint set --name hs_guest_call_nothing --condition 'calls == 1'",
        *["continue", "thread step-inst"] * (3 * cycles), "breakpoint list", "continue",
    ], "nothing()", "add(40, 2)", "counter()", "nothing()", cycles=cycles)
    assert "exited with status = 0" in said, said[-3000:]
    assert (ended.rc, ended.stdout) == (0, "nothing() = ()\nadd(40, 2) = 42\ncounter() = 1UL\nnothing() = ()\n")
    assert [int(re.search(rf"(?m)^{number}: .*hit count = (\d+)\b", said)[1]) for number in (1, 2, 3)] == [cycles] * 3
    assert said.count("stop reason = breakpoint ") == said.count("stop reason = instruction step into") == 3 * cycles


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


def test_lldb_checkpoint_is_gone_back_to_with_its_breakpoints(runner):
    """Behind a restore lldb goes on from where the guest is, and its next stop shows that."""
    said, ended = session(runner, [
        "breakpoint set --name hs_guest_call_add", "breakpoint set --name hs_guest_call_counter", "continue",
        "process plugin packet monitor snapshot a", "continue", "finish", "target variable calls",
        "process plugin packet monitor restore a", "continue", "target variable calls", "frame info",
        "process plugin packet monitor restore start", "continue", "frame info", "breakpoint disable", "continue",
    ], "add(1, 2)", "counter()", cycles=2)
    values = re.findall(r"calls = (\d+)", said.replace("(uint64_t) ::", ""))
    assert values == ["1", "0"], said
    frames = re.findall(r"(?m)^frame #0: \S+ \S+`(\w+)", said)
    assert frames[-2:] == ["hs_guest_call_counter", "hs_guest_call_add"], said
    assert "exited with status = 0" in said and ended.rc == 0, said
