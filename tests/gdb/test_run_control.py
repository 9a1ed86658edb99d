# SPDX-License-Identifier: LGPL-2.1-or-later
"""Breakpoints, watchpoints, steps and Ctrl-C, as gdb's user sees them."""

import re

from lib.crashes import PROGRAMS
from lib.debuggers import Gdb, gdb_batch

# debugme: count_up(5) adds 0, 1, 2, 3, 4 to counter.
SUMS = [0, 1, 3, 6, 10]


def session(runner, commands, guest="debugme", words=()):
    with runner.serve(guest, *words, options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", *commands, "kill"])
    return said[1:-1]


def test_software_breakpoint_hits_each_time_and_only_there(runner):
    said = session(runner, ["break factorial", *["continue"] * 5, "info breakpoints", "backtrace", "delete",
                            "continue"])
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
    said = session(runner, ["tbreak fill_item if count == 4", "continue", "print count", "info breakpoints",
                            "continue"])
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
    said = session(runner, ["tbreak count_up", "continue", "awatch counter", "continue", "continue", "continue",
                            "delete",
                            "continue"])
    assert "Hardware access (read/write) watchpoint" in said[2]
    # counter += i is a read and a write, in one instruction or in two.
    assert "Value = 0" in said[3]
    values = re.findall(r"(?:Value|New value) = (\d+)", "\n".join(said[3:6]))
    assert values[-1] != "0" or len(values) == 3
    assert "exited normally" in said[7]


def test_watchpoint_on_read_stops_where_the_value_is_read(runner):
    said = session(runner, ["tbreak total_of", "continue",
                            "rwatch *(int *)((char *)order + (long)&((struct order *)0)->items[2].price)", "continue",
                            "print i",
                            "delete", "continue"])
    assert "Hardware read watchpoint" in said[2]
    assert "Value = 3" in said[3] and "total_of" in said[3]
    assert "= 2" in said[4]
    assert "exited normally" in said[6]


# Step until the next instruction is a repeated one.
STEP_TO_REP = ("python [gdb.execute('stepi', to_string=True) for _ in range(40) "
               "if bytes(gdb.selected_inferior().read_memory(gdb.selected_frame().pc(), 1)) != b'\\xf3']")


def test_stepi_goes_through_a_rep_instruction(runner):
    said = session(runner, ["tbreak copy_bytes", "continue", STEP_TO_REP, "x/i $pc", "print (int)$ecx", "stepi 5",
                            "print (int)$ecx", "print/x $eflags & 0x100", "finish", "finish", "print items[0].name"])
    assert "rep movs" in said[3]
    assert said[4].endswith("= 5")  # "rope" and its NUL
    # Each iteration is a step, or all of them are one: after five none is left.
    assert said[6].endswith("= 0")
    assert said[7].endswith("= 0x0")  # the step's trap flag is not the guest's
    assert "fill_item" in said[8]


def test_stepi_enters_a_call_and_finish_leaves_it_with_the_value(runner):
    said = session(runner, ["break factorial if n == 2", "continue", "delete", "tbreak factorial", "continue", "finish",
                            "finish"])
    assert "factorial (n=2)" in said[1]
    assert "factorial (n=1)" in said[4]
    assert "Value returned is $1 = 1" in said[5]
    assert "Value returned is $2 = 2" in said[6]


def test_step_and_next_follow_the_source(runner):
    said = session(runner, ["tbreak main", "continue", "next", "next", "step", "backtrace 1", "next", "finish"])
    lines = [int(line) for line in re.findall(r"^(\d+)\t", "\n".join(said[2:4]), re.M)]
    assert len(lines) == 2 and lines[0] < lines[1]
    assert "factorial (n=5)" in said[4]
    assert "#0  factorial (n=5)" in said[5]
    assert "Value returned is" in said[7] and "= 120" in said[7]


def test_until_leaves_a_loop(runner):
    # In the loop's head for the second time, until goes on to where it ends.
    said = session(runner, ["tbreak count_up", "continue", *["next"] * 3, *["until"] * 3, "print counter",
                            "backtrace 1"])
    assert "= 10" in said[8]
    assert "count_up" in said[9]


def test_step_range_over_a_function_that_has_a_breakpoint_stops_there(runner):
    said = session(runner, ["tbreak main", "continue", "break count_up", "next", "next", "backtrace 2"])
    assert "Breakpoint 2, count_up (rounds=5)" in said[3] + said[4]
    assert re.search(r"#0 .*count_up.*\n#1 .*main", said[5])


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


def line_of(program, text):
    """FILE:LINE of the only line of a guest program that has a text."""
    lines = (PROGRAMS / f"{program}.c").read_text(encoding="utf-8").splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if text in line)
    return f"{program}.c:{number}"


def test_ctrl_c_stops_a_spinning_guest_again_and_again(runner):
    with runner.serve("spin", options=["--core", "none"]) as served, Gdb() as gdb:
        gdb.command(f"target remote {served.address}")
        gdb.command("tbreak spin")
        assert "spin (rounds=0)" in gdb.command("continue")
        for _ in range(5):
            gdb.send("continue")
            gdb.wait_for("Continuing")
            gdb.interrupt()
            gdb.wait_for("received signal SIGINT")
            assert "spin (rounds=0)" in gdb.command("frame")
        # Not where it stands: an interrupt may come before the first instruction, which is not in the loop.
        gdb.command(f"tbreak {line_of('spin', 'counter++')} if counter > 100")
        assert "spin" in gdb.command("continue")
        assert int(gdb.command("print counter").rsplit("=", 1)[1]) > 100
        gdb.command("set var stop = 1")
        assert "exited normally" in gdb.command("continue")
        result = served.process.wait(60)
    assert result.rc == 0
    assert result.stdout.startswith("counted to ")


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
    assert re.search(r"^core: .*\.core\b", result.stderr, re.M)


def test_fault_that_is_mended_goes_on(runner):
    with runner.serve("debugme", "crash") as served:
        said = gdb_batch([f"target remote {served.address}", "continue", "return", "frame", "continue"])
        result = served.process.wait(60)
    assert "SIGSEGV" in said[1]
    assert "raise_price" in said[3]
    assert "exited with code 01" in said[4]  # nothing was stored, so the prices differ by nothing
    assert result.rc == 1
    assert "core:" not in result.stderr


def test_fault_that_is_continued_without_its_signal_happens_again(runner):
    with runner.serve("debugme", "crash", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "continue", "signal 0", "kill"])
        result = served.process.wait(60)
    assert "SIGSEGV" in said[1]
    assert "SIGSEGV" in said[2] and "store_price" in said[2]
    assert result.rc == 128 + 9


def test_guests_own_breakpoint_is_shown_and_goes_on_or_ends_as_gdb_is_told(runner):
    # gdb does not pass SIGTRAP on unless told to: then the guest goes on behind its int3.
    for commands, status in (["continue"], 0), (["signal SIGTRAP"], 128 + 5):
        with runner.serve("breakpoint", options=["--core", "none"]) as served:
            said = gdb_batch([f"target remote {served.address}", "continue", *commands])
            result = served.process.wait(60)
        assert "received signal SIGTRAP" in said[1]
        assert "execute_int3" in said[1]
        assert result.rc == status


def test_guest_handles_its_own_traps_under_a_debugger(runner):
    with runner.serve("handlers", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "break main", "continue", "continue"])
        result = served.process.wait(60)
    assert "exited normally" in said[3]
    assert result.stdout == "2 int3, 3 page faults, read 42 and 43\n"
