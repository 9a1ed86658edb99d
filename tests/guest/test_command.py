# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight run` and its surroundings: signals, output that nobody takes, where cores go, a debugger at the crash."""

import os
import re
import select
import signal
import subprocess

import pytest

from lib.debuggers import gdb_batch
from lib.process import LocalProcess, run
from lib.report import one_line_error

HERE = pytest.mark.parametrize("runner", ["amd64-soft"], indirect=True)
SECONDS = 60


def spawn_hanging(runner, *options, **kwargs):
    """A guest that is known to run, and will for ever."""
    running = runner.spawn("hang", options=options, **kwargs)
    running.stdout.wait_for("about to hang\n", SECONDS)
    return running


def files_below(directory):
    return sorted(path.name for path in directory.rglob("*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@HERE
def test_signal_ends_the_command_without_a_core(runner, number, tmp_path):
    with spawn_hanging(runner, cwd=tmp_path) as running:
        running.signal(number)
        result = running.wait(SECONDS)
    assert (result.rc, result.stderr) == (128 + number, "")
    assert files_below(tmp_path) == []


@HERE
def test_signal_ignored_from_the_start_stays_ignored(runner, tmp_path):
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with LocalProcess(runner.command("hang"), tmp_path, preexec=ignore) as running:
        running.stdout.wait_for("about to hang\n", SECONDS)
        running.signal(signal.SIGHUP)
        running.signal(signal.SIGTERM)
        assert running.wait(SECONDS).rc == 128 + signal.SIGTERM


@HERE
def test_sigquit_writes_a_core_and_the_guest_goes_on(runner, tmp_path):
    with spawn_hanging(runner, cwd=tmp_path) as running:
        for number in range(2):
            running.signal(signal.SIGQUIT)
            running.stderr.wait_for(rf"core: \./hang\.elf\.{running.pid}\.{number}\.core \([^)]+\)\n", SECONDS)
        running.signal(signal.SIGTERM)
        assert running.wait(SECONDS).rc == 128 + signal.SIGTERM
    cores = sorted(tmp_path.glob("*.core"))
    assert len(cores) == 2
    backtrace = gdb_batch(["bt"], runner.guest("hang"), cores[0])
    assert re.search(r"\bmain \(", backtrace[0]), backtrace


@HERE
def test_reader_that_leaves_does_not_change_the_status(runner, tmp_path):
    words = ["x" * 1000] * 20
    command = runner.command("args", *words)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          cwd=tmp_path) as process:
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(SECONDS) == 21
    assert errors == b""


@HERE
def test_full_disk_for_the_output_is_said_and_does_not_change_the_status(runner, tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(runner.command("args", "a"), stdin=subprocess.DEVNULL, stdout=full,
                              stderr=subprocess.PIPE, cwd=tmp_path, timeout=SECONDS, check=False)
    assert done.returncode == 2
    assert done.stderr == b"hindsight: cannot write the guest's output: No space left on device\n"


@pytest.mark.parametrize("options, status", [((), 128 + signal.SIGTERM), (("--timeout", "0.5"), 124)])
@HERE
def test_reader_that_does_not_read_does_not_keep_the_command(runner, tmp_path, options, status):
    """The guest writes more than a pipe holds, and nobody reads."""
    words = ["x" * 1000] * 100
    read_end, write_end = os.pipe()
    try:
        os.set_blocking(read_end, False)
        command = runner.command("args", *words, options=["--core", "none", *options])
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=write_end, stderr=subprocess.DEVNULL,
                              cwd=tmp_path) as process:
            if not options:
                wait_until_full(write_end)
                process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == status
    finally:
        os.close(read_end)
        os.close(write_end)


def wait_until_full(write_end):
    """Until the pipe takes no more, which its write end can tell without a clock only by being asked."""
    poller = select.poll()
    poller.register(write_end, select.POLLOUT)
    while poller.poll(0):
        os.sched_yield()


@HERE
def test_core_directory_of_the_environment_is_used_and_overruled(runner, tmp_path):
    cwd, first, second = (tmp_path / name for name in ("cwd", "first", "second"))
    for path in cwd, first, second:
        path.mkdir()
    environment = {"HINDSIGHT_CORE_DIR": str(first)}
    assert runner.run("divide", cwd=cwd, env=environment).rc == 128 + signal.SIGFPE
    assert (len(files_below(first)), files_below(cwd)) == (1, [])
    runner.run("divide", options=["--core", second], cwd=cwd, env=environment)
    assert (len(files_below(first)), len(files_below(second)), files_below(cwd)) == (1, 1, [])
    runner.run("divide", options=["--core", "none"], cwd=cwd, env=environment)
    assert (len(files_below(first)), len(files_below(second)), files_below(cwd)) == (1, 1, [])


@HERE
def test_gdb_on_crash_shows_the_crash_and_then_ends_with_it(runner, tmp_path):
    with runner.serve("page_write", flag="--gdb-on-crash", cwd=tmp_path) as served:
        text = gdb_batch([f"target remote {served.address}", "bt 1", "monitor info", "continue"])
        result = served.process.wait(SECONDS)
    assert re.search(r"#0 .*write_to .*page_write\.c", text[1]), text
    assert "stopped at a crash (exception): page fault (#PF): write to 0xdead0000, not mapped\n" in text[2]
    assert "Program terminated with signal SIGSEGV" in text[3]
    assert result.rc == 128 + signal.SIGSEGV
    assert result.stderr.count("page fault (#PF)") == 1
    assert len(list(tmp_path.glob("page_write.elf.*.core"))) == 1


@HERE
def test_gdb_repairs_a_crash_and_the_guest_goes_on(runner, tmp_path):
    with runner.serve("page_write", flag="--gdb-on-crash", cwd=tmp_path) as served:
        text = gdb_batch([f"target remote {served.address}", "set $rdi = $rsp - 256", "continue"])
        result = served.process.wait(SECONDS)
    assert "exited" in text[2], text
    assert result.rc < 128
    assert files_below(tmp_path) == []


@HERE
def test_monitor_core_writes_beside_the_others(runner, tmp_path):
    with runner.serve("hello", options=["--core", tmp_path]) as served:
        text = gdb_batch([f"target remote {served.address}", "monitor core early", "monitor core early", "monitor core",
                          "kill"])
        result = served.process.wait(SECONDS)
    assert text[1].startswith(f"core: {tmp_path}/early (")
    assert "early: replaces no file" in text[2]
    assert len(files_below(tmp_path)) == 2
    assert result.rc == 128 + signal.SIGKILL


@HERE
def test_sigterm_ends_a_command_that_waits_for_its_debugger(runner, tmp_path):
    path = tmp_path / "socket"
    with runner.spawn("hello", options=["--gdb", f"unix:{path}"], cwd=tmp_path) as running:
        running.stderr.wait_for("waiting for a debugger", SECONDS)
        running.signal(signal.SIGTERM)
        result = running.wait(SECONDS)
    assert result.rc == 128 + signal.SIGTERM
    assert result.stdout == ""
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("spec, spaces", [("current", 1), ("registered", 4), ("symbol:list", 2),
                                          ("symbol:list:8:10", 4)])
@HERE
def test_roots_say_which_address_spaces_a_snapshot_has(runner, tmp_path, spec, spaces):
    """The guest has four, in the variable `list`; the CPU is on one of them, and zeros behind them are none."""
    made = runner.run("spaces", options=["--core", "none", "--scratch", "32M", "--snapshot", "a.snap", "--roots", spec])
    assert made.rc == 0, str(made)
    said = run([runner.hindsight, "core", "info", made.files["a.snap"]]).check().stdout
    match = re.search(r"(?m)^address spaces: (\d+)$", said)
    assert int(match[1] if match else 1) == spaces, said


@pytest.mark.parametrize("spec, message", [
    ("symbol:nope", r"no snapshot: \S+/spaces\.elf has no variable 'nope'"),
    ("symbol:list:1:4", r"no snapshot: a finder of roots by a variable needs .* a stride of 8 bytes or more"),
])
@HERE
def test_roots_that_cannot_be_found_are_one_line_and_no_file(runner, tmp_path, spec, message):
    made = runner.run("spaces", options=["--core", "none", "--scratch", "32M", "--snapshot", "a.snap", "--roots", spec])
    assert made.rc == 125 and not made.files
    assert re.fullmatch(message, one_line_error(made.stderr)), made.stderr


@pytest.mark.parametrize("host, told", [("127.0.0.1", ":"), ("127.0.0.10", "127.0.0.10:")])
@HERE
def test_waiting_line_names_an_address_that_gdb_reaches(runner, tmp_path, host, told):
    with runner.spawn("hello", options=["--gdb", f"{host}:0"], cwd=tmp_path) as running:
        target, = running.stderr.wait_for(r"gdb -ex 'target remote (.*)'\)\n", SECONDS).groups()
        assert re.fullmatch(rf"{re.escape(told)}\d+", target)
        assert "exited normally" in gdb_batch([f"target remote {target}", "continue"])[1]
        assert running.wait(SECONDS).stderr.count("\n") == 1
