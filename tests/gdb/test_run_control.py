# SPDX-License-Identifier: LGPL-2.1-or-later
"""Breakpoints, watchpoints, steps and Ctrl-C, as gdb's user sees them."""

import re

from lib.debuggers import Gdb, gdb_batch

# debugme: count_up(5) adds 0, 1, 2, 3, 4 to counter.
SUMS = [0, 1, 3, 6, 10]


def session(runner, commands, guest="debugme", words=()):
    with runner.serve(guest, *words, options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", *commands, "kill"])
    return said[1:-1]


def test_software_breakpoint_hits_each_time_and_only_there(runner):
    said = session(runner, ["break factorial", *["continue"] * 5, "info breakpoints", "backtrace", "delete", "continue"])
    for n, text in zip((5, 4, 3, 2, 1), said[1:6]):
        assert f"Breakpoint 1, factorial (n={n})" in text
    assert "already hit 5 times" in said[6]
    assert len(re.findall(r"in factorial|factorial \(n=", said[7])) == 5
    assert "exited normally" in said[9]


def test_hardware_breakpoint_hits_each_time(runner):
    said = session(runner, ["hbreak factorial", *["continue"] * 3, "info breakpoints", "delete", "continue"])
    for n, text in zip((5, 4, 3), said[1:4]):
        assert f"Breakpoint 1, factorial (n={n})" in text
    assert "hw breakpoint" in said[4]
    assert "exited normally" in said[6]


def test_breakpoint_byte_is_never_visible(runner):
    said = session(runner, ["x/4xb factorial", "break *factorial", "hbreak *count_up", "x/4xb factorial", "continue",
                            "continue", "x/4xb factorial", "x/4xb count_up", "disassemble factorial,+4"])
    before = said[0].split(":", 1)[1]
    assert said[3].split(":", 1)[1] == before
    assert said[6].split(":", 1)[1] == before
    assert "0xcc" not in said[7] and "int3" not in said[8] and "hlt" not in said[8]


def test_conditional_and_temporary_breakpoints(runner):
    said = session(runner, ["tbreak fill_item if count == 4", "continue", "print count", "info breakpoints", "continue"])
    assert "Temporary breakpoint 1, fill_item" in said[1]
    assert "= 4" in said[2]
    assert "No breakpoints" in said[3]
    assert "exited normally" in said[4]


def test_watchpoint_on_write_stops_at_each_change(runner):
    said = session(runner, ["watch counter", "continue", "continue", "continue", "continue", "delete", "continue"])
    assert "Hardware watchpoint 1: counter" in said[0]
    # The first write stores the 0 that is there already: gdb tells changes only.
    for before, after, text in zip(SUMS, SUMS[1:], said[1:5]):
        assert re.search(rf"Old value = {before}\nNew value = {after}\n", text), text
        assert "count_up (rounds=5)" in text
    assert "exited normally" in said[6]


def test_watchpoint_on_access_stops_at_reads_and_writes(runner):
    said = session(runner, ["tbreak count_up", "continue", "awatch counter", "continue", "continue", "continue", "delete",
                            "continue"])
    assert "Hardware access (read/write) watchpoint" in said[2]
    # counter += i is a read and a write, in one instruction or in two.
    assert "Value = 0" in said[3]
    values = re.findall(r"(?:Value|New value) = (\d+)", "\n".join(said[3:6]))
    assert values[-1] != "0" or len(values) == 3
    assert "exited normally" in said[7]


def test_watchpoint_on_read_stops_where_the_value_is_read(runner):
    said = session(runner, ["tbreak total_of", "continue", "rwatch order->items[2].price", "continue", "print i",
                            "delete", "continue"])
    assert "Hardware read watchpoint" in said[2]
    assert "Value = 3" in said[3] and "total_of" in said[3]
    assert "= 2" in said[4]
    assert "exited normally" in said[6]


def test_stepi_goes_through_a_rep_instruction(runner):
    said = session(runner, ["tbreak *copy_bytes_rep", "continue", "x/i $pc", "print (int)$ecx", "stepi 100",
                            "tbreak *copy_bytes_rep", "continue", "nexti 6", "info symbol $pc", "print (int)$ecx",
                            "print/x $eflags & 0x100", "finish"])
    assert "rep movs" in said[2]
    assert said[3].endswith("= 5")  # "rope" and its NUL
    # Each iteration is a step, or all of them are one: after six the second copy ("lamp") is over.
    assert "copy_bytes" in said[8]
    assert said[9].endswith("= 0")
    assert said[10].endswith("= 0x0")  # the step's trap flag is not the guest's
    assert "fill_item" in said[11]


def test_stepi_enters_a_call_and_finish_leaves_it_with_the_value(runner):
    said = session(runner, ["break factorial if n == 2", "continue", "delete", "tbreak factorial", "continue", "finish",
                            "finish"])
    assert "factorial (n=2)" in said[1]
    assert "factorial (n=1)" in said[4]
    assert "Value returned is $1 = 1" in said[5]
    assert "Value returned is $2 = 2" in said[6]


def test_step_next_and_until_follow_the_source(runner):
    said = session(runner, ["tbreak main", "continue", "next", "next", "step", "backtrace 1", "finish", "tbreak count_up",
                            "info line count_up"])
    lines = [int(line) for line in re.findall(r"^(\d+)\t", "\n".join(said[2:4]), re.M)]
    assert len(lines) == 2 and lines[0] < lines[1]
    assert "factorial (n=5)" in said[4]


def test_until_leaves_a_loop(runner):
    said = session(runner, ["tbreak count_up", "continue", "next", "next", "next", "until", "until", "until", "print counter",
                            "info symbol $pc"])
    assert "= 10" in said[8]
    assert "count_up" in said[9]


def test_step_range_over_a_function_that_has_a_breakpoint_stops_there(runner):
    said = session(runner, ["tbreak main", "continue", "break count_up", "next", "backtrace 2"])
    assert "Breakpoint 2, count_up (rounds=5)" in said[3]
    assert "#1" in said[4] and "main" in said[4]


def test_memory_and_variables_can_be_written(runner):
    said = session(runner, ["tbreak factorial", "continue", "set var n = 3", "print n", "set var counter = 77",
                            "x/wx &counter", "set {char[5]}&counter = \"abcd\"", "x/s &counter", "delete", "finish"])
    assert "= 3" in said[3]
    assert "0x0000004d" in said[5]
    assert '"abcd"' in said[7]
    assert "Value returned is" in said[9] and "= 6" in said[9]


def test_memory_read_stops_at_a_hole_and_names_it(runner):
    said = session(runner, ["x/4xb 0", "print *(int *)8", "tbreak main", "continue", "x/2i $pc"])
    assert "Cannot access memory at address 0x0" in said[0]
    assert "Cannot access memory at address 0x8" in said[1]
    assert "main" in said[4]


def test_breakpoint_on_what_is_not_mapped_is_an_error_and_no_loss(runner):
    said = session(runner, ["break *0x10", "continue", "delete", "continue"])
    assert "Cannot insert breakpoint 1" in said[1]
    assert "exited normally" in said[3]


def test_ctrl_c_stops_a_spinning_guest_again_and_again(runner):
    with runner.serve("spin", options=["--core", "none"]) as served, Gdb() as gdb:
        gdb.command(f"target remote {served.address}")
        seen = []
        for _ in range(3):
            gdb.send("continue")
            gdb.wait_for("Continuing")
            gdb.interrupt()
            gdb.wait_for("received signal SIGINT")
            gdb.settle()
            seen.append(int(gdb.command("print counter").rsplit("=", 1)[1]))
        gdb.command("kill")
        result = served.process.wait(60)
    assert seen == sorted(set(seen)), seen
    assert result.rc == 128 + 9


def test_fault_is_shown_at_its_instruction_and_continue_ends_the_guest(runner):
    with runner.serve("debugme", "crash") as served:
        said = gdb_batch([f"target remote {served.address}", "continue", "backtrace 3", "print $_siginfo.si_signo",
                          "print $_siginfo._sifields._sigfault.si_addr", "x/i $pc", "continue"])
        result = served.process.wait(60)
    assert re.search(r"received signal SIGSEGV.*\n.*store_price \(where=0x0, price=30\)", said[1])
    assert re.search(r"#0 .*store_price.*\n#1 .*raise_price.*\n#2 .*process", said[2])
    assert "= 11" in said[3]
    assert "= (void *) 0x0" in said[4]
    assert "mov" in said[5]
    assert "terminated with signal SIGSEGV" in said[6]
    assert result.rc == 128 + 11
    assert [name for name in result.files if name.endswith(".core")]


def test_fault_that_is_mended_goes_on(runner):
    with runner.serve("debugme", "crash") as served:
        said = gdb_batch([f"target remote {served.address}", "continue", "return", "continue"])
        result = served.process.wait(60)
    assert "SIGSEGV" in said[1]
    assert "raise_price" in said[2]
    assert "exited with code 01" in said[3]  # nothing was stored, so the prices differ by nothing
    assert result.rc == 1
    assert not [name for name in result.files if name.endswith(".core")]


def test_fault_that_is_continued_without_its_signal_happens_again(runner):
    with runner.serve("debugme", "crash", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "continue", "signal 0", "kill"])
        result = served.process.wait(60)
    assert "SIGSEGV" in said[1]
    assert "SIGSEGV" in said[2] and "store_price" in said[2]
    assert result.rc == 128 + 9


def test_guests_own_breakpoint_is_shown_as_its_fault(runner):
    with runner.serve("breakpoint", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "continue", "continue"])
        result = served.process.wait(60)
    assert "SIGTRAP" in said[1]
    assert result.rc == 128 + 5


def test_guest_handles_its_own_traps_under_a_debugger(runner):
    with runner.serve("handlers", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "break main", "continue", "continue"])
        result = served.process.wait(60)
    assert "exited normally" in said[3]
    assert result.stdout == "2 int3, 3 page faults, read 42 and 43\n"
