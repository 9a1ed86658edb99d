# SPDX-License-Identifier: LGPL-2.1-or-later
"""Breakpoints and watchpoints beyond what debug registers hold, on the CPU that has no such limit."""

import re

import pytest

from lib.debuggers import gdb_batch
from lib.runner import RUNNERS

SOFT = pytest.mark.parametrize("runner", [name for name in RUNNERS if name.endswith("-soft")], indirect=True)
FUNCTIONS = ["main", "count_up", "factorial", "fill_item", "copy_bytes", "total_of"]


@SOFT
def test_hardware_breakpoints_are_more_than_debug_registers(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", *[f"thbreak {name}" for name in FUNCTIONS],
                          *["continue"] * (len(FUNCTIONS) + 1)])
    stops = said[1 + len(FUNCTIONS):]
    assert {re.search(r"breakpoint \d+, (\w+) ", text)[1] for text in stops[:-1]} == set(FUNCTIONS)
    assert "exited normally" in stops[-1]


@SOFT
def test_watchpoint_of_a_whole_structure_has_each_write_to_it(runner):
    """Of its name copy_bytes() writes one byte with each iteration of its one instruction."""
    watch = "watch -location *item"
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "tbreak fill_item", "continue",
                          "print sizeof(struct item)", watch, *["continue"] * 3, "info watchpoints", "kill"])
    assert int(said[3].split(" = ")[1]) > 8
    assert "Hardware watchpoint 2" in said[4]
    for written, text in zip(("r", "ro", "rop"), said[5:8]):
        assert re.search(rf'Hardware watchpoint 2: .*\n\nOld .*\nNew value = {{name = "{written}", ', text), text
    assert re.search(r"hw watchpoint.*\n\s+breakpoint already hit 3 times", said[8])


@SOFT
def test_more_watchpoints_than_debug_registers_at_once(runner):
    """Six bytes of `counter` and beside it, each watched for itself, of which the writes touch the first four."""
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "tbreak count_up", "continue",
                          *[f"awatch *((char *)&counter + {i})" for i in (4, 5, 6, 7, 8, 0)], "continue",
                          "info watchpoints", "delete", "continue"])
    assert "Hardware access (read/write) watchpoint 7" in said[9], said[9]
    assert len(re.findall("acc watchpoint", said[10])) == 6
    assert "exited normally" in said[12]


# A breakpoint on each line of the guest's own files, with a condition that is false and that the stub evaluates.
ON_EACH_LINE = """python
places = sorted({line.pc for name in ('main', 'strlen', 'hs_vprintf', 'hs_format', 'hs_heap_alloc', 'hs_malloc',
                              'hs_guest_start', 'hs_cow_fault')
                 for line in gdb.lookup_global_symbol(name).symtab.linetable()})
for place in places: gdb.Breakpoint('*%#x' % place).condition = 'counter == 0x7fffffff'
print('places:', len(places))
"""


@pytest.mark.parametrize("runner", [name for name in RUNNERS if not name.endswith("-rig")], indirect=True)
def test_breakpoints_on_each_line_leave_the_one_that_is_wanted(runner):
    script = "python exec({!r})".format("\n".join(ON_EACH_LINE.splitlines()[1:]))
    with runner.serve("debugme", options=["--core", "none", "--timeout", "120"]) as served:
        said = gdb_batch([f"target remote {served.address}", "set breakpoint always-inserted on", script,
                          "break factorial", *["continue"] * 6])
        result = served.process.wait(60)
    assert int(re.search(r"places: (\d+)", said[2])[1]) > 300
    assert [re.search(r"factorial \(n=(\d)\)", text)[1] for text in said[4:9]] == list("54321"), said[4:]
    assert "exited normally" in said[9]
    assert (result.rc, result.stdout) == (0, "counted 10, factorial 120\norder 1234: 5 more\n")


@pytest.mark.parametrize("runner", ["amd64-kvm"], indirect=True)
def test_hardware_breakpoints_beyond_the_debug_registers_are_refused_and_the_others_hit(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", *[f"hbreak {name}" for name in FUNCTIONS[:5]], "continue",
                          "delete 5", *["continue"] * 2, "kill"])
    assert "Cannot insert hardware breakpoint" in said[6] and "too many hardware breakpoints" in said[6]
    assert "Breakpoint 1, main" in said[8] and re.search(r"Breakpoint \d, \w+ ", said[9])
