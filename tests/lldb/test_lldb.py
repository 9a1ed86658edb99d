# SPDX-License-Identifier: LGPL-2.1-or-later
"""lldb does what gdb does: attach, registers, memory, breakpoint, continue, backtrace; on a live guest and a core."""

import re

from lib.debuggers import lldb_batch


def session(runner, commands, guest="debugme", words=(), program=True, on_crash=()):
    with runner.serve(guest, *words, options=["--core", "none"]) as served:
        return lldb_batch([f"gdb-remote {served.address}", *commands, "process kill"],
                          program=runner.guest(guest) if program else None, on_crash=on_crash)


def test_lldb_attaches_and_reads_registers(runner):
    said = session(runner, ["register read"])
    name = "rip" if runner.arch == "amd64" else "eip"
    assert re.search(rf"{name} = 0x[0-9a-f]+ .*_start", said), said
    assert re.search(r"(rflags|eflags) = 0x", said)


def test_lldb_finds_the_program_by_itself(runner):
    said = session(runner, ["breakpoint set --name factorial", "continue", "bt"], program=False)
    assert "factorial" in said and "main" in said


def test_lldb_breakpoint_continue_backtrace_and_variables(runner):
    said = session(runner, ["breakpoint set --name fill_item --condition 'count == 4'", "continue", "bt",
                            "frame variable count"])
    assert "stop reason = breakpoint 1" in said
    assert re.search(r"frame #0: .*`fill_item\(.*\n *frame #1: .*`run\(.*\n *frame #2: .*`main", said), said
    assert "(unsigned int) count = 4" in said


def test_lldb_reads_and_writes_memory_and_registers(runner):
    register = "rax" if runner.arch == "amd64" else "eax"
    said = session(runner, ["breakpoint set --name count_up", "continue", "memory write --size 4 &counter 0x4d",
                            "memory read --size 4 --format x --count 1 &counter",
                            f"register write {register} 0x1234", f"register read {register}", "breakpoint disable 1",
                            "continue"])
    assert "0x0000004d" in said
    assert re.search(rf"{register} = 0x0*1234\b", said)
    assert "exited with status = 0" in said


def test_lldb_steps_and_detaches(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = lldb_batch([f"gdb-remote {served.address}", "breakpoint set --name factorial", "continue",
                       "breakpoint disable 1",
                           "thread step-inst", "thread step-in", "thread step-out", "detach"],
                          program=runner.guest("debugme"))
        result = served.process.wait(60)
    assert "stop reason = instruction step into" in said
    assert "stop reason = step out" in said
    assert result.rc == 0
    assert result.stdout == "counted 10, factorial 120\norder 1234: 5 more\n"


def test_lldb_shows_a_fault(runner):
    said = session(runner, ["continue"], words=("crash",), on_crash=["bt", "process kill"])
    assert "SIGSEGV" in said
    assert re.search(r"frame #0: .*`store_price.*\n *frame #1: .*`raise_price", said), said
