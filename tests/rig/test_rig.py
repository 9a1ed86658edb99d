# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rig keeps its promises: output, exit status, files, ports, time limits, and nothing left behind."""

import os
import pathlib
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from lib import kernel, qemu, results
from lib.debuggers import gdb_batch
from lib.process import Failed, TimedOut, run
from lib.results import FAILED, PASSED
from lib.qemu import Machine
from lib.rig import Rig

SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts" / "rig"


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_run_keeps_output_error_and_status_apart(rig):
    result = rig.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (result.rc, result.stdout, result.stderr) == (7, "out\n", "err\n")


def test_run_killed_by_a_signal_reports_it(rig):
    assert rig.run(["sh", "-c", "kill -SEGV $$"]).rc == -signal.SIGSEGV


def test_run_of_what_is_not_there_fails_by_name(rig):
    with pytest.raises(Failed, match="no-such-program: No such file or directory"):
        rig.run(["no-such-program"])


def test_run_passes_arguments_and_environment_unchanged(rig):
    words = ["two words", "", "$HOME", "'\"\\", "a\nb"]
    result = rig.run(["sh", "-c", 'echo "$NAME"; printf "%s|" "$@"', "sh", *words], env={"NAME": "a value"})
    assert result.stdout == "a value\n" + "".join(word + "|" for word in words)


def test_run_echoes_megabytes_both_ways(rig):
    data = bytes(range(256)) * 16384
    with rig.rig.spawn(["cat"]) as process:
        process.write(data)
        process.close_stdin()
        assert process.wait(60).rc == 0
        assert process.stdout.raw == data


def test_run_past_its_limit_is_an_error_and_leaves_no_process(rig):
    with pytest.raises(TimedOut, match="did not end within 0.5 s in the rig: sleep 4321"):
        rig.run(["sleep", "4321"], timeout=0.5)
    # The agent learns of it by the connection: the listing is asked for until it is so, within a limit.
    result = rig.run(["sh", "-c", "until ! ps | grep -v grep | grep -q 'sleep 4321'; do :; done"], timeout=30)
    assert result.rc == 0


def test_files_come_back_with_their_bytes_and_holes(rig):
    result = rig.run(["sh", "-c", "mkdir sub; echo text >sub/a; truncate -s 8M holes; echo end >>holes"])
    assert sorted(result.files) == ["holes", "sub/a"]
    assert result.files["sub/a"].read_text() == "text\n"
    status = result.files["holes"].stat()
    assert status.st_size == (8 << 20) + 4
    assert status.st_blocks * 512 < 1 << 20


LOSING = '''
import os, signal
import pytest

RUNS = []

@pytest.fixture(scope="module")
def number(rig):
    return int(rig.run(["sh", "-c", "echo >>/tmp/runs; wc -l </tmp/runs"]).stdout)

def ran(name):
    RUNS.append(name)
    return RUNS.count(name)

def kill(rig):
    os.kill(rig.rig.pid, signal.SIGKILL)

def test_fails_by_itself(rig, number):
    assert ran("by itself") == 7

def test_loses_it_in_a_command(rig, number):
    with rig.spawn(["sh", "-c", "echo up; sleep 1000"]) as process:
        process.stdout.wait_for("up", 60)
        if ran("in a command") == 1:
            kill(rig)
            process.wait(60)
    assert number == 1

def test_finds_it_lost_when_it_begins(rig):
    if ran("begins") == 1:
        kill(rig)
    assert rig.run(["echo", "there"]).stdout == "there\\n"

def test_fails_beside_a_loss(rig):
    if ran("beside") == 1:
        rig.run(["true"])
        kill(rig)
        assert False

def test_loses_it_again_and_again(rig, number):
    kill(rig)
    rig.run(["true"])

def test_has_one_all_the_same(rig, number):
    assert ran("same") == number == 1
'''


def test_that_loses_its_rig_is_run_again_once_with_all_set_up_anew(build, tmp_path):
    (tmp_path / "test_losing.py").write_text(LOSING)
    tests = SCRIPT.parent.parent / "tests"
    shutil.copy(tests / "conftest.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=x.xml", "--build", build, "."]
    said = run(command, timeout=300, cwd=tmp_path, env={"PYTHONPATH": str(tests)})
    cases = results.from_pytest("s", tmp_path / "x.xml")
    assert [(case.name.split("::")[-1], case.outcome, bool(case.again)) for case in cases] == [
        ("test_fails_by_itself", FAILED, False),
        ("test_loses_it_in_a_command", PASSED, True),
        ("test_finds_it_lost_when_it_begins", PASSED, True),
        ("test_fails_beside_a_loss", PASSED, True),
        ("test_loses_it_again_and_again", FAILED, True),
        ("test_has_one_all_the_same", PASSED, False),
    ], said
    assert "the rig is lost: " in cases[4].reason and "assert 1 == 7" in cases[0].reason
    assert "before the end of: sh -c echo up" in cases[1].again
    assert len([line for line in results.listing(cases, results.AGAIN) if line.startswith("    s: ")]) == 4


def test_input_that_comes_when_the_command_has_ended_takes_nothing_with_it(rig):
    with rig.rig.spawn(["echo", "out"]) as process:
        process.stdout.wait_for("out", 60)
        process.stdout.wait_end(60)
        process.write(bytes(1 << 20))
        process.close_stdin()
        assert (process.wait(60).rc, process.stdout.text) == (0, "out\n")


def test_file_that_changed_is_sent_again(rig, tmp_path):
    path = tmp_path / "input"
    for text in "first", "second!":
        path.write_text(text)
        assert rig.run(["cat", path]).stdout == text


def test_program_brings_its_libraries(rig):
    assert rig.run(["/usr/bin/readelf", "--version"]).stdout.startswith("GNU readelf")


def test_spawned_command_is_watched_while_it_runs(rig):
    with rig.spawn(["sh", "-c", "echo ready; read line; echo got $line"]) as process:
        process.stdout.wait_for("ready", 10)
        process.write(b"it\n")
        process.stdout.wait_for("got it", 10)
        assert process.wait(10).rc == 0


def test_signal_reaches_a_spawned_command(rig):
    # Not `read`: a signal that comes right before it waits is not seen until there is a line.
    with rig.spawn(["sh", "-c", "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 1; done"]) as process:
        process.stdout.wait_for("ready", 10)
        process.signal(signal.SIGINT)
        assert process.wait(10).rc == 5


def test_port_inside_is_reached_from_this_side(rig):
    port = rig.rig.free_port()
    script = f"nc -l -p {port} -e cat & until netstat -ltn | grep -q :{port}; do :; done; echo listening; wait"
    with rig.spawn(["sh", "-c", script]) as process:
        process.stdout.wait_for("listening", 10)
        with socket.create_connection(("127.0.0.1", rig.rig.forward(port)), timeout=10) as client:
            client.sendall(b"there and back")
            assert client.recv(100) == b"there and back"


def test_two_rigs_do_not_collide(rig):
    with Rig(memory_mib=512) as other:
        other.run(["sh", "-c", "echo other >/tmp/which"]).check()
        rig.run(["sh", "-c", "echo first >/tmp/which"]).check()
        assert other.run(["cat", "/tmp/which"]).stdout == "other\n"
        pid = other.pid
    assert gone(pid)


def test_machine_that_panics_is_reported_with_its_console(tmp_path):
    empty = tmp_path / "initramfs"
    empty.write_bytes(b"")
    machine = Machine(qemu.command(kernel.get().image, empty, 512))
    try:
        with pytest.raises(Failed, match="(?s)no /ready/ in what was written: .*panic"):
            machine.console.wait_for("ready", 60)
    finally:
        machine.close()
    assert gone(machine.pid)


def test_qemu_that_does_not_start_is_reported_with_its_words():
    with pytest.raises(Failed, match="did not start: .*no-such-option"):
        Machine(["qemu-system-x86_64", "--no-such-option"])


def test_script_runs_one_command_and_passes_all_on(tmp_path):
    words = ["--out", tmp_path / "out", "--", "sh", "-c", "cat; echo err >&2; echo data >file; exit 3"]
    result = run([SCRIPT, "run", *words], timeout=120, stdin=b"input")
    assert (result.rc, result.stdout, result.stderr) == (3, "input", "err\n")
    assert (tmp_path / "out" / "file").read_text() == "data\n"


def test_script_that_is_killed_leaves_no_machine():
    """SIGKILL gives it no chance to clean up: the machine must go on its own."""
    process = subprocess.Popen([sys.executable, SCRIPT, "run", "--", "sh", "-c", "echo up; sleep 4321"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"up\n"
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        machine = os.pidfd_open(int(children[0]))
        process.kill()
    assert select.select([machine], [], [], 10)[0], "the machine still runs"
    os.close(machine)


def test_gdb_talks_through_the_script_to_a_guest_inside(build):
    """The protocol on standard input and output, with no port at all."""
    command = [SCRIPT, "run", "--", build / "hindsight", "run", "--core", "none", "--gdb", "stdio",
               build / "guest" / "i686" / "debugme.elf"]
    connect = "target remote | " + " ".join(shlex.quote(str(word)) for word in command)
    said = gdb_batch(["set remotetimeout 120", connect, "break factorial", "continue", "backtrace", "kill"])
    assert "factorial (n=5)" in said[4] and "main (argc=1" in said[4], said.text
