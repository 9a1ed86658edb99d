# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cores as files: what they are called, what they take, and what happens where none can be written.

Whatever happens to the core, the command's status is that of the crash and no part of a file stays.
"""

import os
import re
import signal
import time

import pytest

from lib.debuggers import gdb_batch
from lib.process import run

SECONDS = 60
STATUS = 128 + signal.SIGFPE
HERE = pytest.mark.parametrize("runner", ["amd64-soft"], indirect=True)
AMD64 = pytest.mark.parametrize("runner", ["amd64-soft", "amd64-rig"], indirect=True)
RIGS = pytest.mark.parametrize("runner", ["amd64-rig", "i686-rig"], indirect=True)


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


def script(runner, text, *options):
    """A shell script that finds the command with a dividing guest in "$@"."""
    command = runner.command("divide", options=options)
    return runner.place.run(["sh", "-c", text, "sh", *command], inputs=[runner.guest("divide")])


def namespace(runner, *options):
    """The words that give a command a namespace of its own; a skip where this is not allowed."""
    words = ["unshare", *options]
    result = runner.place.run([*words, "true"])
    if result.rc:
        pytest.skip(f"no namespaces of our own here: {result.stderr.strip()}")
    return " ".join(words)


def no_core(result):
    """Why there is no core, which the command says in one line behind those about the crash."""
    lines = result.stderr.splitlines()
    assert result.rc == STATUS, result
    assert lines[1] == "signal: SIGFPE (8)" and lines[-2] == "" and lines[-1].startswith("hindsight: no core: "), result
    assert sum(line.startswith("hindsight: ") for line in lines) == 2
    return lines[-1].removeprefix("hindsight: no core: ")


def read_core(runner, guest, core, *commands):
    """What gdb answers."""
    said = gdb_batch([f"core-file {core}", *commands], runner.guest(guest))
    assert "\n#0 " in said[0], said[0]
    return said[1:]


@HERE
def test_core_is_called_after_the_guest_and_the_process(runner, tmp_path):
    pids = []
    for _ in range(2):
        with runner.spawn("divide", cwd=tmp_path) as running:
            pids.append(running.pid)
            assert running.wait(SECONDS).rc == STATUS
    assert names_in(tmp_path) == sorted(f"divide.elf.{pid}.0.core" for pid in pids)


@AMD64
def test_name_that_is_taken_is_not_used_and_not_followed(runner):
    """In a PID namespace of its own the command is process 1, so that its core's name can be planted."""
    unshare = namespace(runner, "-p", "-f")
    result = script(runner, f"""echo precious >victim
        ln -s victim divide.elf.1.0.core
        ln -s nowhere divide.elf.1.1.core
        {unshare} "$@"
        status=$?
        cat victim
        ls
        exit $status""")
    assert result.rc == STATUS
    assert "core: ./divide.elf.1.2.core (" in result.stderr
    cores = [f"divide.elf.1.{number}.core\n" for number in range(3)]
    assert result.stdout == "about to divide\nprecious\n" + "".join(cores) + "victim\n"


@AMD64
@pytest.mark.parametrize("kind", ["none", "zstd"])
@pytest.mark.parametrize("limit", ["size=32k", "nr_inodes=1"])
def test_full_file_system_is_said_and_nothing_is_left(runner, limit, kind):
    unshare = namespace(runner, "-m")
    result = script(runner, f"""mkdir full
        {unshare} sh -c 'mount -t tmpfs -o {limit} none full || exit
            "$@"; status=$?; ls -A full; exit $status' sh "$@"
        """, "--core", "full", "--core-compress", kind)
    assert re.fullmatch(r"cannot (write|create a core in) full\S*: No space left on device", no_core(result))
    assert result.stdout == "about to divide\n"


@AMD64
def test_read_only_file_system_is_said(runner):
    unshare = namespace(runner, "-m")
    result = script(runner, f"""mkdir solid
        {unshare} sh -c 'mount -t tmpfs -o ro none solid || exit; "$@"' sh "$@"
        """, "--core", "solid")
    assert no_core(result) == "cannot create a core in solid: Read-only file system"


@AMD64
def test_file_size_limit_is_said_and_nothing_is_left(runner):
    result = script(runner, 'ulimit -f 16 && "$@"')
    assert re.fullmatch(r"cannot write \./divide\.elf\.\d+\.0\.core: File too large", no_core(result))
    assert result.files == {}


@HERE
def test_directory_that_may_not_be_written_is_said(runner, tmp_path):
    """Root may, unless the capability is taken away."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    drop = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    result = runner.place.run([*drop, *runner.command("divide", options=["--core", "closed"])], cwd=tmp_path)
    assert no_core(result) == "cannot create a core in closed: Permission denied"
    assert names_in(closed) == []


@pytest.mark.parametrize("name, error", [("none-such", "No such file or directory"), ("file", "Not a directory")])
@HERE
def test_what_is_no_directory_is_said(runner, tmp_path, name, error):
    (tmp_path / "file").write_text("kept")
    result = runner.run("divide", options=["--core", name], cwd=tmp_path)
    assert no_core(result) == f"{name}: {error}"
    assert names_in(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "kept"


def test_memory_that_was_never_written_takes_no_room(runner):
    result = script(runner, '"$@"; status=$?; stat -c "%s %b %B" *.core; rm *.core; exit $status', "--heap", "64M")
    assert result.rc == STATUS, result
    size, blocks, block = map(int, result.stdout.splitlines()[-1].split())
    assert 64 << 20 < size < 66 << 20
    assert blocks * block < 1 << 20


HEAPS = {"amd64": 4096, "i686": 4000}  # in MiB; all memory of an i686 guest is below 4 GiB


@pytest.mark.parametrize("runner", ["amd64-soft", "amd64-kvm", "i686-soft"], indirect=True)
def test_guest_of_4_gib_that_touched_three_pages_has_a_small_core(runner, tmp_path):
    heap = HEAPS[runner.arch]
    result = runner.run("divide", options=["--heap", f"{heap}M", "--memory", "4200M"], cwd=tmp_path)
    (core,) = result.files.values()
    assert result.rc == STATUS and "incomplete" not in result.stderr
    assert core.stat().st_size > heap << 20
    assert core.stat().st_blocks * 512 < 256 << 10
    backtrace = read_core(runner, "divide", core, "backtrace")[0]
    assert re.search(r"#0 .*divide \(.*\n#1 .*main \(", backtrace)


@RIGS
def test_sigquit_writes_cores_of_a_guest_that_goes_on(runner, tmp_path):
    with runner.spawn("hang", cwd=tmp_path) as running:
        running.stdout.wait_for("about to hang\n", SECONDS)
        for number in range(2):
            running.signal(signal.SIGQUIT)
            running.stderr.wait_for(rf"core: \./hang\.elf\.\d+\.{number}\.core \([^)]+\)\n", SECONDS)
        running.signal(signal.SIGTERM)
        assert running.wait(SECONDS).rc == 128 + signal.SIGTERM
    cores = runner.place.collect(tmp_path)
    assert len(cores) == 2
    for core in cores.values():
        backtrace, siginfo = read_core(runner, "hang", core, "backtrace", "print $_siginfo.si_signo")
        # The first may have come while it was still printing, anywhere in what does that.
        assert re.search(r"^#0 .*(loop|hs_\w+) \(.*\n(.*\n)*#\d .*main \(", backtrace), backtrace
        assert siginfo.endswith(" = 0")


def wait_until_blocked(pid, number):
    """Until a process takes a signal by itself (signalfd), which ends it before."""
    deadline = time.monotonic() + SECONDS
    while True:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            blocked = int(re.search(r"^SigBlk:\s+(\w+)$", status.read(), re.M)[1], 16)
        if blocked >> (number - 1) & 1:
            return
        assert time.monotonic() < deadline, "the signal was never taken"
        os.sched_yield()


@HERE
def test_guest_goes_on_counting_between_two_cores(runner, tmp_path):
    counts = []
    with runner.spawn("spin", cwd=tmp_path) as running:
        wait_until_blocked(running.pid, signal.SIGQUIT)
        while len(set(counts)) < 3 and len(counts) < 50:
            running.signal(signal.SIGQUIT)
            core = running.stderr.wait_for(rf"core: \./(spin\.elf\.{running.pid}\.{len(counts)}\.core) ", SECONDS)[1]
            counts.append(int(read_core(runner, "spin", tmp_path / core, "print counter")[0].split(" = ")[1]))
        running.signal(signal.SIGTERM)
        assert running.wait(SECONDS).rc == 128 + signal.SIGTERM
    assert counts == sorted(counts) and len(set(counts)) == 3


@HERE
def test_core_of_a_command_ended_by_its_user_is_none(runner, tmp_path):
    """Neither is one in the making: what is left after kill -9 has a name that says so."""
    with runner.spawn("hang", cwd=tmp_path) as running:
        running.stdout.wait_for("about to hang\n", SECONDS)
        running.signal(signal.SIGKILL)
        assert running.wait(SECONDS).rc == -signal.SIGKILL
    assert names_in(tmp_path) == []


@HERE
def test_gdb_makes_a_core_of_its_own_from_a_live_guest(runner, tmp_path):
    """gdb's gcore, which asks the stub for memory, registers and what is mapped."""
    with runner.serve("debugme", "crash", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "continue", f"gcore {tmp_path}/gdb.core", "kill"])
    assert "Saved corefile" in said[2], said
    backtrace = read_core(runner, "debugme", tmp_path / "gdb.core", "backtrace 1")[0]
    assert re.search(r"#0 .*store_price \(where=0x0, price=30\)", backtrace)
    run(["readelf", "-a", str(tmp_path / "gdb.core")]).check()
