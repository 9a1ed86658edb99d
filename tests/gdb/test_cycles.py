# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls, cycles of restore and call, and snapshots, as gdb's user sees them: one guest that runs on and on."""

import re
import signal

import pytest

from lib.debuggers import Gdb, gdb_batch
from lib.process import run
from lib.runner import RUNNERS

HERE = pytest.mark.parametrize("runner", [name for name in RUNNERS if not name.endswith("rig")], indirect=True)
SECONDS = 60
CYCLES = 6


def calls(*texts, cycles=CYCLES):
    """The options for these calls."""
    return ["--core", "none", "--cycles", str(cycles), *(word for text in texts for word in ("--call", text))]


def session(runner, options, commands):
    """What gdb wrote for each of the commands, and how the command ended."""
    with runner.serve("functions", options=options) as served:
        said = gdb_batch([f"target remote {served.address}", *commands])
        return said[1:], served.process.wait(SECONDS)


def hits(text, number):
    """How often `info breakpoints` says that one was hit."""
    match = re.search(rf"(?m)^{number} .*\n(?:\t.*\n)*?\tbreakpoint already hit (\d+) time", text)
    return int(match[1]) if match else 0


def counted(runner, cycles):
    said, ended = session(runner, calls("add(40, 2)", "counter()", "counter()", cycles=cycles), [
        "break hs_guest_call_add", "hbreak hs_guest_call_counter", "break hs_guest_call_counter if calls == 1",
        "awatch calls", "ignore 1 1000", "ignore 2 1000", "ignore 3 1000", "ignore 4 1000", "continue",
        "info breakpoints",
    ])
    assert "exited normally" in said[-2], said.text
    assert (ended.rc, ended.stdout) == (0, "add(40, 2) = 42\ncounter() = 1UL\ncounter() = 2UL\n"), str(ended)
    return [hits(said[-1], number) for number in (1, 2, 3, 4)]


def test_cycles_breakpoints_watchpoints_and_conditions_are_hit_in_each(runner):
    software, hardware, conditional, accesses = counted(runner, 1)
    assert (software, hardware, conditional) == (1, 2, 1) and accesses >= 2
    assert counted(runner, CYCLES) == [CYCLES, 2 * CYCLES, CYCLES, CYCLES * accesses]


STEPPED = """
set $stops = 0
set $_exitcode = -1
continue
while $_exitcode == -1
set $stops = $stops + 1
stepi
if $_exitcode == -1
continue
end
end
printf "stops: %d\\n", $stops
"""


def made_of(runner, source):
    """The options of a session that makes its snapshot itself, or the file of one that nobody debugged."""
    return None if source == "run" else runner.run("functions", options=["--snapshot", "a.snap"]).files["a.snap"]


def stepped(runner, cycles, snapshot, script):
    """The same hits where each stop is left by an instruction, which may be the access or the next breakpoint."""
    options = calls("add(40, 2)", "counter()", "counter()", cycles=cycles)
    served = runner.serve_restored(snapshot, options) if snapshot else runner.serve("functions", options=options)
    with served:
        said = gdb_batch([f"target remote {served.address}", "break hs_guest_call_add",
                          "hbreak hs_guest_call_counter", "break hs_guest_call_counter if calls == 1", "awatch calls",
                          f"source {script}", "info breakpoints"], runner.guest("functions"), timeout=600)
        ended = served.process.wait(SECONDS)
    assert (ended.rc, ended.stdout) == (0, "add(40, 2) = 42\ncounter() = 1UL\ncounter() = 2UL\n"), str(ended)
    return [hits(said[-1], number) for number in (1, 2, 3, 4)], int(re.search(r"stops: (\d+)", said[-2])[1])


@pytest.mark.parametrize("source", ["run", "restore"])
def test_cycles_a_hundred_are_stepped_through_with_exact_hits(runner, source, tmp_path):
    cycles = 10 if runner.place.name == "rig" and source == "restore" else 100
    script = tmp_path / "stepped"
    script.write_text(STEPPED, encoding="utf-8")
    snapshot = made_of(runner, source)
    (software, hardware, conditional, accesses), stops = stepped(runner, 1, snapshot, script)
    assert (software, hardware, conditional) == (1, 2, 1) and accesses == (8 if runner.arch == "i686" else 4), accesses
    assert stepped(runner, cycles, snapshot, script) == (
        [cycles, 2 * cycles, cycles, cycles * accesses], stops * cycles)


def test_cycles_stop_shows_memory_and_registers_of_its_own_cycle(runner):
    said, ended = session(runner, calls("counter()", cycles=3), [
        "break hs_guest_call_counter", *["continue", "print calls", "print $sp", "finish", "print calls"] * 3,
        "continue",
    ])
    assert [said[1 + 5 * i + 1] for i in range(3)] == ["$1 = 0", "$4 = 0", "$7 = 0"], said
    assert len({said[1 + 5 * i + 2].split("=")[1] for i in range(3)}) == 1, said
    assert all(said[1 + 5 * i + 4].endswith("= 1") for i in range(3)), said
    assert "exited normally" in said[-1] and ended.rc == 0


def test_cycles_what_gdb_changes_is_gone_in_the_next(runner):
    said, ended = session(runner, calls("counter()", "echo_int(1)", cycles=3), [
        "break hs_guest_call_echo_int", "continue", "set var calls = 77", "continue", "print calls", "continue",
        "continue",
    ])
    assert said[4].endswith("= 1"), said
    assert "exited normally" in said[-1] and ended.rc == 0


def test_cycles_result_that_gdb_has_changed_ends_them(runner):
    said, ended = session(runner, calls("counter()", cycles=3), [
        "break hs_guest_call_counter", "continue", "continue", "set var calls = 7", "continue",
    ])
    assert "exited with code 01" in said[-1]
    assert (ended.rc, ended.stdout) == (1, "counter() = 1UL\n")
    assert "cycle 2: counter() = 8UL, and in cycle 1: counter() = 1UL" in ended.stderr


LAP = """
set $steps = 0
set $ready = 0
set $last = 0
stepi
while $pc != (unsigned long)hs_guest_call_counter
if $pc == {ready} && $last == {ready} - 2
set $ready = $ready + 1
end
set $last = $pc
stepi
set $steps = $steps + 1
end
printf "lap: %d %d\\n", $steps, $ready
"""


@HERE
def test_cycles_steps_go_through_a_restore_and_lose_none(runner, tmp_path):
    """From one call to the next, an instruction at a time. Behind the `out` of two bytes that says that the guest is
    ready is where each cycle begins; it comes there again when its copy-on-write handler returns there."""
    made = runner.run("functions", options=["--snapshot", "a.snap", "--call", "nothing()"])
    ready = gdb_batch([f"core {made.files['a.snap']}", "print/x $pc"])[1].split()[-1]
    script = tmp_path / "laps"
    script.write_text(2 * LAP.format(ready=ready), encoding="utf-8")
    said, ended = session(runner, calls("counter()", cycles=4), [
        "break *hs_guest_call_counter", "continue", "delete", f"source {script}", "print calls", "continue",
    ])
    first, second = re.findall(r"lap: (\d+) (\d+)", said[3])
    assert first == second and int(first[0]) > 20 and first[1] == "1", said[3][-1000:]
    assert said[4].endswith("= 0")
    assert "exited normally" in said[-1] and ended.rc == 0


def test_cycle_stops_where_the_guest_begins_again(runner):
    said, ended = session(runner, calls("counter()"), [
        "break hs_guest_call_counter if calls == 5", "monitor cycle", "continue", "print calls", "monitor cycle 3",
        "continue", "print calls", "break *$pc", "monitor cycle 0", "continue", "delete", "monitor cycle 3", "continue",
    ])
    assert said[1] == "the guest stops behind its next restore"
    assert "received signal SIGINT" in said[2] and said[3].endswith("= 0")
    assert said[4] == "the guest stops behind its restore number 3 from here"
    assert "received signal SIGINT" in said[5] and said[6].endswith("= 0")
    assert said[8] == "no restore stops the guest" and "Breakpoint 2, " in said[9]
    # The fifth cycle: but one is left.
    assert "exited normally" in said[12] and ended.rc == 0


def test_cycle_of_what_is_no_number_is_refused(runner):
    said, _ = session(runner, calls("counter()"), [
        "monitor cycle -1", "monitor cycle two", "monitor cycle 99999999999999999999", "continue"])
    assert said[:3] == ["cycle: '-1' is not a number", "cycle: 'two' is not a number",
                        "cycle: '99999999999999999999' is not a number"]
    assert "exited normally" in said[3]


def code_at(address, file):
    """Eight bytes of code, from an image (`file PATH`) or from a core or snapshot alone (`core PATH`)."""
    said = gdb_batch([file, f"x/8xb {address}"])
    return re.findall(r"0x[0-9a-f]{2}\b", said[1].split(":", 1)[1])


def test_cycles_planted_byte_is_in_no_read_core_or_snapshot(runner, tmp_path):
    guest = runner.guest("functions")
    address = gdb_batch(["print/x (unsigned long)hs_guest_call_add"], guest)[0].split()[-1]
    clean = code_at(address, f"file {guest}")
    options = [*calls("add(1, 2)", cycles=3), "--core", ".", "--snapshot", "a.snap"]
    with runner.serve("functions", options=options, cwd=tmp_path) as served:
        said = gdb_batch([f"target remote {served.address}", f"break *{address}", "break hs_guest_call_counter",
                          "continue", f"x/8xb {address}", "monitor core", "continue", "continue", f"x/8xb {address}",
                          "monitor core", "kill"])
        served.process.wait(SECONDS)
    files = runner.place.collect(tmp_path)
    cores = [path for name, path in files.items() if name.endswith(".core")]
    assert len(cores) == 2 and len(files) == 3, said.text
    for text in said[4], said[8]:
        assert re.findall(r"0x[0-9a-f]{2}\b", text.split(":", 1)[1]) == clean
    for path in files.values():
        assert code_at(address, f"core {path}") == clean, path


@HERE
def test_cycles_ctrl_c_stops_in_the_middle_and_kill_ends_them(runner):
    with runner.serve("functions", options=calls("counter()", cycles=10 ** 9)) as served, Gdb() as gdb:
        gdb.command(f"target remote {served.address}")
        for _ in range(3):
            gdb.send("continue")
            served.process.stdout.wait_for(r"counter\(\) = 1UL\n", SECONDS)
            gdb.wait_for("Continuing")
            gdb.interrupt()
            gdb.wait_for("received signal SIGINT")
            gdb.settle()
        assert re.match(r"\$1 = [01]$", gdb.command("print calls"))
        gdb.command("kill")
        assert served.process.wait(SECONDS).rc == 128 + signal.SIGKILL


@HERE
def test_cycles_ctrl_c_shows_the_call_that_hangs(runner):
    with runner.serve("functions", options=calls(r'print("up\n")', "hang()")) as served, Gdb() as gdb:
        gdb.command(f"target remote {served.address}")
        gdb.send("continue")
        served.process.stdout.wait_for("up\n", SECONDS)
        gdb.wait_for("Continuing")
        gdb.interrupt()
        gdb.wait_for("received signal SIGINT")
        gdb.settle()
        assert re.search(r"hang|serve", gdb.command("backtrace"))
        gdb.command("kill")


def test_cycles_detach_in_the_middle_makes_the_rest(runner):
    said, ended = session(runner, calls("counter()", cycles=50), [
        "break hs_guest_call_counter", "hbreak *hs_guest_call_counter", "awatch calls", "continue", "continue",
        "detach",
    ])
    assert "Detaching" in said[-1] or "detached" in said[-1], said
    assert (ended.rc, ended.stdout) == (0, "counter() = 1UL\n"), str(ended)
    assert "50 cycles" in ended.stderr


@HERE
def test_cycles_client_that_vanishes_leaves_them_to_the_next(runner):
    with runner.serve("functions", options=calls("counter()", cycles=20)) as served:
        with Gdb() as gdb:
            gdb.command(f"target remote {served.address}")
            gdb.command("break hs_guest_call_counter")
            assert "Breakpoint 1," in gdb.command("continue")
            assert "Breakpoint 1," in gdb.command("continue")
        said = gdb_batch([f"target remote {served.address}", "backtrace 1", "continue"])
        assert "hs_guest_call_counter" in said[1], said
        assert "exited normally" in said[2], said
        ended = served.process.wait(SECONDS)
    assert (ended.rc, ended.stdout) == (0, "counter() = 1UL\n")


def test_cycles_crash_in_each_is_repaired_in_each(runner):
    with runner.serve("functions", options=calls("counter()", "fault_in_call(0xdead0000UL)", cycles=3),
                      flag="--gdb-on-crash") as served:
        said = gdb_batch([f"target remote {served.address}", "set var *(char *)hs_guest_call_nothing = 1",
                          *["backtrace 1", "return", "continue"] * 3])
        ended = served.process.wait(SECONDS)
    for i in range(3):
        assert "fault_in_call" in said[2 + 3 * i], said.text
    assert said[1] == "" and all("SIGSEGV" in said[1 + 3 * i] for i in (1, 2)), said.text
    assert "exited normally" in said[-1], said.text
    assert ended.rc == 0 and "fault_in_call(3735879680UL) = ()" in ended.stdout, str(ended)


def test_cycles_crash_that_is_not_repaired_ends_the_command(runner):
    said, ended = session(runner, calls("counter()", "fault_in_call(0xdead0000UL)", cycles=3),
                          ["continue", "backtrace 1", "continue"])
    assert "SIGSEGV" in said[0] and "fault_in_call" in said[1] and "terminated with signal SIGSEGV" in said[2]
    assert ended.rc == 128 + signal.SIGSEGV and ended.stdout == "counter() = 1UL\n"


def test_calls_guest_that_exits_in_one_is_over(runner):
    said, ended = session(runner, calls("exit_in_call(0)", "counter()", cycles=3), ["continue", "print calls"])
    assert "exited with code 01" in said[0] and ended.rc == 1
    assert "exit_in_call: the guest has ended with status 0" in ended.stderr


def test_snapshot_under_gdb_is_written_and_the_guest_goes_on(runner, tmp_path):
    with runner.serve("ready", "us", options=["--core", "none", "--snapshot", "a.snap"], cwd=tmp_path) as served:
        said = gdb_batch([f"target remote {served.address}", "break main", "continue", "continue"])
        ended = served.process.wait(SECONDS)
    assert "Breakpoint 1, main" in said[2] and "exited with code 07" in said[3], said.text
    assert ended.rc == 7 and "snapshot: a.snap" in ended.stderr, str(ended)
    files = runner.place.collect(tmp_path)
    restored = runner.restore(files["a.snap"], ["--core", "none"])
    assert (restored.rc, restored.stdout) == (7, "after: kept for us\n"), str(restored)


def test_cycles_monitor_info_tells_where_segments_are_now(runner, tmp_path):
    """A snapshot has put the code elsewhere: `monitor info` says what the page tables in a core of then say."""
    options = ["--core", ".", "--cycles", "2", "--call", "counter()"]
    with runner.serve("functions", options=options, cwd=tmp_path) as served:
        said = gdb_batch([f"target remote {served.address}", "break hs_guest_call_counter", "monitor info",
                          "continue", "monitor info", "monitor core", "kill"])
        served.process.wait(SECONDS)
    before, after = (re.search(r"segment +0x([0-9a-f]+)\.\.\S+ r-x gpa 0x([0-9a-f]+)\n", said[i]) for i in (2, 4))
    assert before[1] == after[1] and before[2] != after[2], said.text
    core = next(iter(runner.place.collect(tmp_path).values()))
    tables = run([runner.hindsight, "pagetable", "list", core]).check().stdout
    assert re.search(rf"(?m)^  0x0*{after[1]}  \S+  \S+ +0x{after[2]} ", tables), tables


def test_cycles_monitor_restore_begins_the_cycle_again(runner):
    said, ended = session(runner, calls("counter()", "add(1, 2)", cycles=3), [
        "monitor restore", "break hs_guest_call_add", "continue", "continue", "print calls", "monitor restore",
        "maintenance flush register-cache", "print calls", "backtrace", "continue", "print calls", "info breakpoints",
        "delete", "continue",
    ])
    assert said[0] == "the guest stands on no snapshot", said
    assert said[4] == "$1 = 1" and said[5].startswith("the guest is where its snapshot was taken"), said
    assert said[7] == "$2 = 0" and "hs_guest_serve" in said[8] and "hs_guest_call" not in said[8], said
    assert "Breakpoint 1, hs_guest_call_add" in said[9] and said[10] == "$3 = 1", said
    assert hits(said[11], 1) == 3
    assert "exited normally" in said[-1], said
    assert (ended.rc, ended.stdout) == (0, "counter() = 1UL\nadd(1, 2) = 3\n"), str(ended)


def test_cycles_monitor_restore_in_the_first_shows_its_results_again(runner):
    said, ended = session(runner, calls("counter()", "add(1, 2)", cycles=2), [
        "break hs_guest_call_add", "continue", "monitor restore", "delete", "continue",
    ])
    assert "exited normally" in said[4], said
    assert (ended.rc, ended.stdout) == (0, "counter() = 1UL\n" * 2 + "add(1, 2) = 3\n"), str(ended)


def test_cycles_time_limit_of_a_call_is_a_stop_that_ends_them_with_124(runner):
    said, ended = session(runner, [*calls("counter()", "hang()"), "--timeout", "0.5"],
                          ["continue", "backtrace 1", "continue"])
    assert "signal SIGXCPU" in said[0] and re.search(r"#0 .*hang", said[1]), said
    assert "terminated with signal SIGXCPU" in said[2], said
    assert (ended.rc, ended.stdout) == (124, "counter() = 1UL\n"), str(ended)


@HERE
@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "running"])
def test_cycles_sigterm_ends_them_under_a_debugger(runner, stopped):
    with runner.serve("functions", options=calls("counter()", cycles=10 ** 9)) as served, Gdb() as gdb:
        gdb.command(f"target remote {served.address}")
        if stopped:
            gdb.command("break hs_guest_call_counter")
            assert "Breakpoint 1," in gdb.command("continue")
        else:
            gdb.send("continue")
            served.process.stdout.wait_for(r"counter\(\) = 1UL\n", SECONDS)
        served.process.signal(signal.SIGTERM)
        assert served.process.wait(SECONDS).rc == 128 + signal.SIGTERM
