# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots and cores of crashes that gdb goes on from, made on one CPU and restored on another."""

import re
import signal

import pytest

from lib.debuggers import Gdb, gdb_batch
from lib.runner import RUNNERS, Runner

SECONDS = 60
CYCLES = 4


@pytest.fixture(params=["from soft", "to soft"])
def pair(request, runner, local, build):
    """The runner that makes a file, and the one that restores it: the software CPU here, and any KVM."""
    soft = Runner(local, build, runner.arch, "soft")
    return (soft, runner) if request.param == "from soft" else (runner, soft)


# Between the software CPU and itself there is no way but one, which tests/snapshot/test_files.py goes.
OTHERS = pytest.mark.parametrize("runner", [name for name in RUNNERS if not name.endswith("soft")], indirect=True)


@OTHERS
def test_restored_crash_of_another_cpu_is_repaired_and_the_guest_finishes(pair):
    maker, restorer = pair
    made = maker.run("ready", "crash", options=["--core", "."])
    assert made.rc == 128 + signal.SIGSEGV and len(made.files) == 1, str(made)
    core = next(iter(made.files.values()))
    with restorer.serve_restored(core, ["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "backtrace", "print $_siginfo.si_signo",
                          "set var where = &good", "continue"], maker.guest("ready"))
        ended = served.process.wait(SECONDS)
    assert re.search(r"#0 .*write_to .*\n(?s:.*)#\d+ .*main ", said[1]), said.text
    assert said[2] == "$1 = 11" and "exited with code 07" in said[-1], said.text
    assert (ended.rc, ended.stdout) == (7, "written: 42\n"), str(ended)


@OTHERS
def test_restored_snapshot_of_another_cpu_is_called_in_cycles(pair):
    maker, restorer = pair
    made = maker.run("functions", options=["--snapshot", "a.snap", "--call", "counter()"])
    assert made.rc == 0, str(made)
    options = ["--call", "counter()", "--call", "add(40, 2)", "--call", 'echo_double(1.5)', "--cycles", str(CYCLES)]
    result = restorer.restore(made.files["a.snap"], options)
    assert (result.rc, result.stdout) == (0, "counter() = 1UL\nadd(40, 2) = 42\necho_double(1.5) = 1.5\n"), str(result)


def test_restored_snapshot_stands_where_it_was_ready_and_its_cycles_have_breakpoints(runner):
    made = runner.run("functions", options=["--snapshot", "a.snap", "--call", "nothing()"])
    options = ["--core", "none", "--cycles", str(CYCLES), "--call", "counter()", "--call", "add(40, 2)"]
    with runner.serve_restored(made.files["a.snap"], options) as served:
        said = gdb_batch([f"target remote {served.address}", "backtrace", "print calls",
                          "break hs_guest_call_add", "hbreak hs_guest_call_counter", "ignore 1 1000", "ignore 2 1000",
                          "continue", "info breakpoints"])
        ended = served.process.wait(SECONDS)
    assert re.search(r"hs_guest_serve .*\n(?s:.*)#\d+ .*main ", said[1]) and said[2] == "$1 = 0", said.text
    assert "exited normally" in said[7], said.text
    assert re.findall(r"already hit (\d+) times", said[8]) == [str(CYCLES)] * 2, said.text
    assert (ended.rc, ended.stdout) == (0, "counter() = 1UL\nadd(40, 2) = 42\n"), str(ended)


def test_restored_snapshot_goes_on_from_where_it_was_ready(runner):
    made = runner.run("ready", "us", options=["--snapshot", "a.snap"])
    with runner.serve_restored(made.files["a.snap"], ["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "backtrace", "stepi", "continue"])
        ended = served.process.wait(SECONDS)
    assert re.search(r"#\d+ .*main ", said[1]) and "exited with code 07" in said[-1], said.text
    assert (ended.rc, ended.stdout) == (7, "after: kept for us\n"), str(ended)


def test_restored_crash_can_be_gone_back_to(runner):
    made = runner.run("ready", "crash", options=["--core", "."])
    with runner.serve_restored(next(iter(made.files.values())), ["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "set var where = &good", "stepi", "print good",
                          "monitor restore", "maintenance flush register-cache", "backtrace 1", "print good",
                          "monitor info", "signal 0", "set var where = &good", "continue"], runner.guest("ready"))
        ended = served.process.wait(SECONDS)
    assert said[3] == "$1 = 42" and "write_to (where=0xdead0000)" in said[6] and said[7] == "$2 = 5", said.text
    assert "state     stopped at a crash (exception): page fault (#PF): write to 0xdead0000" in said[8], said.text
    assert "SIGSEGV" in said[9] and "exited with code 07" in said[11], said.text
    assert (ended.rc, ended.stdout) == (7, "written: 42\n"), str(ended)


def test_restored_snapshot_goes_on_again_and_again(runner):
    made = runner.run("ready", "us", options=["--snapshot", "a.snap"])
    with runner.serve_restored(made.files["a.snap"], ["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "monitor restore", *["stepi", "monitor restore"] * 3,
                          "continue"])
        ended = served.process.wait(SECONDS)
    assert "exited with code 07" in said[-1], said.text
    assert (ended.rc, ended.stdout) == (7, "after: kept for us\n"), str(ended)


def test_restored_guest_has_no_planted_byte_of_another_one_of_the_snapshot(runner):
    """While one runs with its breakpoint planted, in a call that does not come back."""
    snapshot = runner.run("functions", options=["--snapshot", "a.snap"]).files["a.snap"]
    show = "x/8xb hs_guest_call_counter"
    (clean,) = gdb_batch([show], runner.guest("functions"))
    hangs = ["--core", "none", "--call", 'print("up\\n")', "--call", "hang()"]
    with runner.serve_restored(snapshot, hangs) as served, Gdb() as gdb:
        gdb.command(f"target remote {served.address}")
        gdb.command("break *hs_guest_call_counter")
        gdb.send("continue")
        served.process.stdout.wait_for("up\n", SECONDS)
        other = runner.restore(snapshot, ["--call", "counter()"])
        assert (other.rc, other.stdout) == (0, "counter() = 1UL\n"), str(other)
        with runner.serve_restored(snapshot, ["--core", "none", "--call", "counter()"]) as second:
            assert gdb_batch([f"target remote {second.address}", show, "kill"])[1] == clean
        gdb.wait_for("Continuing")
        gdb.interrupt()
        gdb.wait_for("received signal SIGINT")
        gdb.settle()
        assert gdb.command(show) == clean
