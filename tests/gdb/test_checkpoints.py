# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checkpoints of a guest under gdb: taken anywhere, gone back to in any order, bit by bit."""

import re
import signal

import pytest

from lib import elf
from lib.debuggers import Gdb, Transcript, gdb_batch
from lib.runner import RUNNERS

SECONDS = 60
HERE = pytest.mark.parametrize("runner", [name for name in RUNNERS if not name.endswith("rig")], indirect=True)
FLUSH = "maintenance flush register-cache"


def calls(*texts, cycles=1):
    return ["--core", ".", "--cycles", str(cycles), *(word for text in texts for word in ("--call", text))]


def session(runner, commands, options=("--core", "none"), guest="functions", **kwargs):
    with runner.serve(guest, options=list(options), **kwargs) as served:
        said = gdb_batch([f"target extended-remote {served.address}", *commands])
        return Transcript(said[1:]), served.process.wait(SECONDS)


def memory_of(core):
    """What a core has of memory: address -> bytes."""
    image = elf.Image(core)
    found = {}
    for index in image.segments():
        offset, size = image.get_segment(index, "offset"), image.get_segment(index, "filesz")
        found[image.get_segment(index, "vaddr")] = bytes(image.bytes[offset:offset + size])
    assert sum(map(len, found.values())) > 50000
    return found


def without_time(registers):
    return re.sub(r"(?m)^tsc .*$", "", registers)


def assert_same_state(files, said, pairs):
    """Memory in cores and registers in text are the same in each of the pairs (core, text, core, text)."""
    for one, one_text, other, other_text in pairs:
        assert memory_of(files[f"{one}.core"]) == memory_of(files[f"{other}.core"]), (one, other)
        assert without_time(said[one_text]) == without_time(said[other_text]), (one, other)


def test_checkpoint_in_the_middle_of_calls_is_exact_in_any_order(runner, tmp_path):
    """A in cycle 1, B in cycle 2, in another call: B, A, B, A; then each goes on to its own end."""
    shown = ["monitor regs"]
    commands = ["break hs_guest_call_counter", "break hs_guest_call_add", "continue", "monitor snapshot A",
                "monitor core A.core", *shown, "continue", "continue", "continue", "next",
                "monitor snapshot B", "monitor core B.core", *shown]
    for number, name in enumerate("ABAB"):
        commands += [f"monitor restore {name}", f"monitor core {number}.core", *shown]
    commands += ["monitor restore A", FLUSH, "delete", "print calls", "backtrace 1", "continue"]
    said, ended = session(runner, commands, calls("counter()", "add(40, 2)", cycles=3), cwd=tmp_path)
    files = runner.place.collect(tmp_path)
    assert re.match(r"checkpoint A: \d+ pages$", said[3]), said.text
    a, b, *text = [i for i, command in enumerate(commands) if command == "monitor regs"]
    assert_same_state(files, said, [("A", a, 0, text[0]), ("B", b, 1, text[1]), ("A", a, 2, text[2]),
                                    ("B", b, 3, text[3])])
    assert memory_of(files["A.core"]) != memory_of(files["B.core"])
    assert said[-3].endswith("= 0") and "hs_guest_call_counter" in said[-2] and "exited normally" in said[-1], said
    # Results of a first cycle are printed by each life that has one.
    assert ended.rc == 0 and ended.stdout.endswith("counter() = 1UL\nadd(40, 2) = 42\n"), str(ended)


def test_checkpoint_of_a_later_cycle_finishes_that_cycle_and_the_rest(runner):
    said, ended = session(runner, [
        "break hs_guest_call_add", "continue", "continue", "monitor snapshot two", "continue", "continue",
        "monitor restore start", FLUSH, "print $pc", "continue", "monitor restore two", FLUSH, "print calls",
        "continue", "continue", "delete", "continue",
    ], calls("counter()", "add(1, 2)", cycles=4))
    assert said[6].startswith("the guest is where its session began"), said
    assert "Breakpoint 1, hs_guest_call_add" in said[9], said
    assert said[12].endswith("= 1") and all("Breakpoint 1," in said[i] for i in (13, 14)), said
    assert "exited normally" in said[-1] and ended.rc == 0, str(ended)
    assert "4 cycles" in ended.stderr


def test_checkpoint_at_a_crash_is_stood_at_again_and_repaired(runner):
    said, ended = session(runner, [
        "continue", "monitor snapshot crash", "monitor restore start", "monitor restore crash", FLUSH, "backtrace 1",
        "print $_siginfo.si_signo", "monitor info", "print $pc = $pc + 2", "monitor restore crash", FLUSH,
        "x/i $pc", "continue",
    ], guest="page_write", options=["--core", "none"])
    assert "SIGSEGV" in said[0] and "write_to" in said[5] and said[6].endswith("= 11"), said.text
    assert "stopped at a crash" in said[7], said.text
    assert re.search(r"=> .*<write_to", said[11]) and "terminated with signal SIGSEGV" in said[12], said.text
    assert ended.rc == 128 + signal.SIGSEGV


def test_checkpoint_in_a_fault_handler_goes_on_there(runner):
    said, ended = session(runner, [
        "break on_page_fault", "continue", "stepi", "monitor snapshot here", "print fault_count", "continue",
        "print fault_count", "monitor restore here", FLUSH, "print fault_count", "backtrace 1", "delete", "continue",
    ], guest="handlers")
    twin = runner.run("handlers", options=["--core", "none"])
    assert "Breakpoint 1, on_page_fault" in said[1] and "Breakpoint 1, on_page_fault" in said[5], said.text
    assert [said[i].split()[-1] for i in (4, 6, 9)] == ["0", "1", "0"] and "on_page_fault" in said[10], said.text
    assert "exited" in said[-1], said.text
    assert (ended.rc, ended.stdout) == (twin.rc, twin.stdout)


def test_checkpoint_has_no_planted_byte(runner, tmp_path):
    """Taken at a breakpoint, with others set; restored with none set, and the other way about."""
    code = "x/4xb hs_guest_call_add"
    said, _ = session(runner, [
        code, "break *hs_guest_call_add", "hbreak *hs_guest_call_counter", "continue", "continue",
        "monitor snapshot at", code, "delete", "monitor restore at", FLUSH, code, "monitor core bare.core",
        "break *hs_guest_call_add", "monitor restore at", code, "monitor core set.core", "kill",
    ], calls("counter()", "add(1, 2)", cycles=2), cwd=tmp_path)
    files = runner.place.collect(tmp_path)
    shown = {re.sub(r"^.*?:", "", said[i]) for i in (0, 6, 10, 14)}
    assert len(shown) == 1 and "0xcc" not in shown.pop(), said.text
    assert memory_of(files["bare.core"]) == memory_of(files["set.core"])


def test_checkpoint_breakpoints_stay_and_are_hit_once_behind_it(runner):
    accesses = 4 if runner.arch == "i686" else 2  # to 64 bits, which are read and written
    said, ended = session(runner, [
        "break hs_guest_call_add", "hbreak hs_guest_call_counter", "awatch calls", "continue", "monitor snapshot a",
        *[*["continue"] * (accesses + 1), "monitor restore a"] * 3, "info breakpoints", "delete", "continue",
    ], calls("counter()", "add(1, 2)", cycles=1))
    hits = [int(count) for count in re.findall(r"already hit (\d+) time", said[-3])]
    assert hits == [3, 1, 3 * accesses], said.text
    assert "exited normally" in said[-1] and ended.rc == 0


def test_checkpoints_have_names_and_are_not_without_number(runner):
    said, _ = session(runner, [
        "monitor snapshot", "monitor snapshot a b", "monitor snapshot start", "monitor restore nix",
        *[f"monitor snapshot n{i}" for i in range(65)], "monitor snapshot n3", *["monitor forget n7"] * 2,
        "monitor snapshot n64", "monitor snapshots", "kill",
    ], guest="hello")
    assert said[0] == "snapshot wants an argument: snapshot NAME", said[0]
    assert said[1].startswith("a name has up to 63 letters"), said[1]
    assert said[2] == "'start' is where the session began" and said[3].startswith("no checkpoint 'nix'"), said[:4]
    assert said[4 + 63].startswith("checkpoint n63: ") and said[4 + 64].startswith("there are 64 checkpoints already")
    assert said[69].endswith("(the one before is gone)") and said[70] == "checkpoint n7 is gone"
    assert said[71].startswith("no checkpoint 'n7'") and said[72].startswith("checkpoint n64: ")
    names = re.findall(r"(?m)^(\S+) +0x[0-9a-f]+ +\d+ pages", said[73])
    assert names == ["start", *(f"n{i}" for i in range(64) if i not in (3, 7)), "n3", "n64"], said[73]


def test_stats_count_what_has_happened(runner):
    said, _ = session(runner, [
        "monitor stats", "break hs_guest_call_add", "continue", "stepi", "monitor snapshot a", "monitor restore a",
        "continue", "monitor stats", "kill",
    ], calls("add(1, 2)", cycles=5))
    before, after = said[0], said[7]
    assert re.search(r"(?m)^runs +0$", before) and "not counted before a restore" in before, before
    assert re.search(r"(?m)^runs +[3-9]$", after), after
    assert re.search(r"(?m)^stops .*2 software breakpoint", after) and re.search(r"(?m)^exits .*port out", after), after
    assert re.search(r"(?m)^written +[1-9]\d* pages since the snapshot$", after), after
    assert re.search(r"(?m)^restores +2 by the guest's driver, 1 by debuggers$", after), after
    packets = [re.search(r"(?m)^packets +(\d+) from this debugger, (\d+) to it$", text) for text in (before, after)]
    assert 0 < int(packets[0][2]) < int(packets[0][1]) < int(packets[1][1]), after
    assert re.search(r"(?m)^checkpoints +2, [1-9]\d* KiB of at most 1048576 KiB$", after), after


def test_backtrace_is_that_of_gdb(runner):
    said, _ = session(runner, ["break hs_guest_call_add", "continue", "backtrace", "monitor backtrace", "kill"],
                      calls("add(1, 2)"))
    theirs = re.findall(r"(?m)^#\d+ +(?:0x[0-9a-f]+ in )?(\w+) ", said[2])
    ours = re.findall(r"(?m)^ *#\d+ +0x[0-9a-f]+ +(\w+)", said[3])
    assert theirs[0] == "hs_guest_call_add" and ours[:len(theirs)] == theirs, said.text


def test_run_and_start_and_kill_begin_again(runner):
    said, ended = session(runner, [
        "break main", "continue", "run", "backtrace", "delete", "continue", "start", "kill", "run", "info threads",
        "break main", "run", "info breakpoints", "delete", "continue", "info threads",
    ], guest="hello")
    for i in (1, 2, 6, 11):
        assert re.search(r"reakpoint \d+, main", said[i]), said.text
    assert re.match(r"#0 +main", said[3]), said.text
    for i in (5, 8, 14):
        assert "exited normally" in said[i], said.text
    assert "killed" in said[7] and said[9] == said[15] == "No threads.", said.text
    assert (ended.rc, ended.stdout) == (0, "hello from a guest\n" * 3), str(ended)


def test_run_behind_a_crash_with_cycles_makes_all_calls_again(runner):
    said, ended = session(runner, [
        "continue", "continue", "run", "backtrace 1", "return", "break hs_guest_call_counter", "continue", "continue",
        "run", "print calls", "delete", "signal SIGSEGV", "kill",
    ], calls("counter()", "fault_in_call(0xdead0000UL)", cycles=2)[2:] + ["--core", "none"])
    assert "terminated with signal SIGSEGV" in said[1] and "SIGSEGV" in said[2], said.text
    assert "fault_in_call" in said[3] and "Breakpoint 1, hs_guest_call_counter" in said[6], said.text
    assert "Breakpoint 1, hs_guest_call_counter" in said[8] and said[9].endswith("= 0"), said.text
    assert ended.rc == 128 + signal.SIGKILL, str(ended)


def test_run_of_a_restored_crash_stands_at_it_again(runner):
    core = next(iter(runner.run("page_write", options=["--core", "."]).files.values()))
    with runner.serve_restored(core, ["--core", "none"]) as served:
        said = gdb_batch([f"target extended-remote {served.address}", "continue", "run", "backtrace 1", "kill"])
        assert served.process.wait(SECONDS).rc == 128 + signal.SIGKILL
    assert "terminated with signal SIGSEGV" in said[1] and "received signal SIGSEGV" in said[2], said.text
    assert re.match(r"#0 .*write_to", said[3]), said.text


def test_run_of_a_crash_that_nobody_watched_begins_at_the_entry(runner):
    with runner.serve("page_write", options=["--core", "none"], flag="--gdb-on-crash") as served:
        said = gdb_batch([f"target extended-remote {served.address}", "backtrace 1", "start", "continue", "kill"])
        assert served.process.wait(SECONDS).rc == 128 + signal.SIGKILL
    assert re.match(r"#0 .*write_to", said[1]) and re.search(r"reakpoint \d+, main", said[2]), said.text
    assert "received signal SIGSEGV" in said[3], said.text


def test_run_takes_no_arguments_and_no_plain_remote(runner):
    said, _ = session(runner, ["kill", "set args one two", "run", "set args", "run"], guest="hello")
    assert "exited normally" not in said[2] and "failed" in said[2], said.text
    assert "exited normally" in said[4], said.text
    with runner.serve("hello", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "kill"])
        assert served.process.wait(SECONDS).rc == 128 + signal.SIGKILL, said.text


def test_restart_packet_puts_the_guest_back_without_a_word(runner):
    said, ended = session(runner, [
        "break main", "continue",
        # gdb does not know that nothing is to come.
        "set remotetimeout 0", "maintenance packet R", "set remotetimeout 20", "maintenance packet ?", FLUSH,
        "continue", "delete", "continue",
    ], guest="hello")
    assert re.search(r'received: "T05', said[5]), said.text
    assert "exited normally" in said[-1] or "Breakpoint 1, main" in said[7], said.text
    assert ended.rc == 0


@HERE
def test_run_of_a_guest_that_runs_on_after_a_detach(runner):
    with runner.serve("functions", options=calls(r'print("up\n")', "hang()")[2:]) as served, Gdb() as gdb:
        gdb.command(f"target extended-remote {served.address}")
        gdb.command("detach")
        served.process.stdout.wait_for("up\n", SECONDS)
        gdb.command(f"file {runner.guest('functions')}")
        said = gdb.command("start")
        assert re.search(r"reakpoint \d+, main", said), said
        gdb.command("kill")
        gdb.close()
        assert served.process.wait(SECONDS).rc == 128 + signal.SIGKILL


def test_detach_leaves_memory_as_an_undebugged_twin_has_it(runner, tmp_path):
    """Both come from one file, and hang in the same call; one of them was debugged on the way."""
    made = runner.run("functions", options=["--snapshot", "a.snap", "--call", "nothing()"])
    options = ["--core", ".", "--call", "counter()", "--call", "add(1, 2)", "--call", r'print("up\n")', "--call",
               "hang()"]
    cores = []
    debugged = ["break hs_guest_call_add", "hbreak hs_guest_call_counter", "awatch calls", "break hs_guest_call_hang",
                "break hs_guest_call_counter if calls == 0", "continue", "continue", "disable 3", "continue"]
    for number, commands in enumerate((debugged, [])):
        place = tmp_path / str(number)
        place.mkdir()
        with runner.serve_restored(made.files["a.snap"], options, cwd=place) as served:
            said = gdb_batch([f"target remote {served.address}", *commands, "detach"])
            served.process.stdout.wait_for("up\n", SECONDS)
            # All of it is the loop: the breakpoint is hit wherever in it the guest is.
            gdb_batch([f"target remote {served.address}", "break *hs_guest_call_hang", "continue", "delete",
                       "monitor core it.core", "kill"])
            served.process.wait(SECONDS)
        if commands:
            assert any("Breakpoint 1, hs_guest_call_add" in text for text in said), said.text
        cores.append(memory_of(runner.place.collect(place)["it.core"]))
    assert cores[0] == cores[1]
