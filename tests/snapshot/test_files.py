# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots in files, and cores of crashes that are gone on from: other people's programs read them, and the guest goes
on to the same end on every CPU, whatever has become of its image."""

import os
import re
import shutil

import pytest

from lib.debuggers import gdb_batch
from lib.elf import eu_readelf, readelf
from lib.process import run
from lib.runner import RUNNERS

SECONDS = 120


def find(files, suffix):
    (path,) = (path for name, path in files.items() if name.endswith(suffix))
    return path


@pytest.fixture(scope="session")
def made():
    return {}


@pytest.fixture
def snapshot(request, runner, made):
    """The file that a guest has left when it was ready, and how it went on."""
    if runner not in made:
        result = runner.run("ready", "us", options=["--snapshot", "ready.snap", "--core", "none"], timeout=SECONDS)
        assert result.rc == 7, str(result)
        assert re.search(r"^snapshot: ready\.snap \(\S+ KiB\)$", result.stderr, re.M), result.stderr
        assert result.stdout == "before\nafter: kept for us\n"
        made[runner] = find(result.files, "ready.snap")
    return made[runner]


@pytest.fixture
def crashed(runner, tmp_path):
    """The core of a guest that has crashed."""
    result = runner.run("ready", "crash", options=["--core", "."], timeout=SECONDS)
    assert result.rc == 139, str(result)
    return find(result.files, ".core")


@pytest.mark.parametrize("runner", RUNNERS, indirect=True)
def test_restore_snapshot_goes_on_to_the_same_end(runner, snapshot):
    for options in ([], ["--verify"]):
        result = runner.restore(snapshot, ["--core", "none", *options], timeout=SECONDS)
        assert (result.rc, result.stdout, result.stderr) == (7, "after: kept for us\n", "")


@pytest.mark.parametrize("what,rc,end,reason", [
    ("devices", 134, "line control 83, scratch 5a\nline control 03, scratch a5\n", "abort: abc"),
    ("overflow", 139, "", ": stack overflow"),
    ("handler", 7, "2 traps\n3 traps in all\n", ""),
])
@pytest.mark.parametrize("runner", RUNNERS, indirect=True)
def test_restore_finds_what_is_beside_registers_and_memory(runner, what, rc, end, reason):
    """The state of devices, where the stack ends, a trap that is handled: as without a restore, once and again."""
    made = runner.run("standing", what, options=["--snapshot", "a.snap", "--core", "."], timeout=SECONDS)
    assert (made.rc, made.stdout) == (rc, end) and reason in made.stderr, str(made)
    result = runner.restore(find(made.files, "a.snap"), ["--core", "."], timeout=SECONDS)
    assert (result.rc, result.stdout) == (rc, end) and reason in result.stderr, str(result)
    if reason:
        # From its core it crashes again, in the same words.
        again = runner.restore(find(result.files, ".core"), ["--core", "none"], timeout=SECONDS)
        assert (again.rc, again.stdout) == (rc, "") and reason in again.stderr, str(again)


@pytest.mark.parametrize("runner", RUNNERS, indirect=True)
def test_snapshot_of_a_guest_that_is_ready_twice_at_once_says_so(runner):
    """Where calls are served a string of outs is a crash, and a guest of its own nowhere else."""
    result = runner.run("standing", "string", options=["--snapshot", "a.snap", "--core", "none"], timeout=SECONDS)
    assert result.rc in (125, 159) and "bad call of port 110: several at once by a string instruction at 0x" in \
        result.stderr, str(result)
    assert runner.run("standing", "string", timeout=SECONDS).rc == 7


@pytest.mark.parametrize("runner", RUNNERS, indirect=True)
def test_restore_crash_without_a_debugger_crashes_again(runner, crashed):
    result = runner.restore(crashed, ["--core", "."], timeout=SECONDS)
    assert result.rc == 139, str(result)
    assert result.stdout == ""
    assert "write to 0xdead0000, not mapped" in result.stderr
    # Its own core is one as well.
    again = runner.restore(find(result.files, ".core"), ["--core", "none"], timeout=SECONDS)
    assert again.rc == 139, str(again)


@pytest.mark.parametrize("runner", RUNNERS, indirect=True)
def test_restore_crash_is_repaired_in_gdb_and_ends_well(runner, crashed):
    image = runner.guest("ready")
    at_crash = gdb_batch(["info registers", "bt"], image, crashed)
    with runner.serve_restored(crashed, ["--core", "none"]) as served:
        seen = gdb_batch([f"target remote {served.address}", "info registers", "bt", "p $_siginfo.si_signo",
                          "set var where = &good", "continue"], image)
        result = served.process.wait(SECONDS)
    general = [line for line in at_crash[0].splitlines() if re.match(r"[er]?\w{2,3} ", line)]
    assert len(general) > 10 and all(line in seen[1] for line in general), seen[1]
    assert at_crash[1].splitlines() == seen[2].splitlines(), seen[2]
    assert "write_to" in seen[2] and "main" in seen[2]
    assert seen[3] == "$1 = 11"
    assert "exited with code 07" in seen[-1]
    assert (result.rc, result.stdout) == (7, "written: 42\n")


LOCAL = [name for name in RUNNERS if name.endswith("-soft")]


@pytest.mark.parametrize("runner", LOCAL, indirect=True)
def test_snapshot_file_is_a_core_that_gdb_opens(runner, snapshot):
    seen = gdb_batch(["bt", "info registers", "x/s text", "frame function main", "p text", "info proc mappings"],
                     runner.guest("ready"), snapshot)
    assert re.search(r"#\d+ .*\bmain \(", seen[0]), seen.text
    assert "kept for us" in seen[4], seen.text
    assert "ready.elf" in seen[5], seen.text


@pytest.mark.parametrize("runner", LOCAL, indirect=True)
def test_snapshot_file_is_read_without_a_warning(runner, snapshot, build):
    everything = readelf("-a", "-W", snapshot)
    assert "Warning" not in everything and "Error" not in everything
    assert {"amd64": "ELF64", "i686": "ELF32"}[runner.arch] in everything
    notes = eu_readelf("-n", snapshot)
    for word in ("PRSTATUS", "SIGINFO", "AUXV", "FILE", "HINDSIGHT"):
        assert word in notes
    unstripped = run(["eu-unstrip", "-n", f"--core={snapshot}"]).check().stdout
    assert "ready.elf" in unstripped
    info = run([build / "hindsight", "core", "info", snapshot]).check().stdout
    assert "a snapshot" in info and "damaged" not in info


@pytest.mark.parametrize("gpa", [0x100000, 0x10000000])
@pytest.mark.parametrize("runner", LOCAL, indirect=True)
def test_restore_has_mappings_in_it_and_needs_no_file(runner, tmp_path, gpa):
    """Right behind the guest's own memory and far away: what it has written to, and all else that the file had."""
    data = tmp_path / "data"
    data.write_text("hello host\n" + "x" * 9000)
    made = runner.run("mapping", "data", "ready", options=[
        "--map", f"data={data}@{gpa:#x}", "--snapshot", "a.snap", "--core", "none"])
    assert made.rc == 0, str(made)
    assert made.stdout == f"data, 9011 bytes at gpa {gpa:#x}, writable, first of 1: GUEST host; behind it 0\n"
    data.unlink()
    for options in ([], ["--verify"]):
        result = runner.restore(find(made.files, "a.snap"), ["--core", "none", *options])
        assert (result.rc, result.stdout, result.stderr) == (0, made.stdout, ""), str(result)


@pytest.mark.parametrize("runner", LOCAL, indirect=True)
def test_restore_goes_on_without_its_image(runner, tmp_path, snapshot):
    image = tmp_path / "here" / "ready.elf"
    image.parent.mkdir()
    shutil.copy(runner.guest("ready"), image)
    made = runner.run(image, "crash", options=["--snapshot", "a.snap", "--core", "none"])
    file = shutil.move(find(made.files, "a.snap"), tmp_path / "elsewhere.snap")
    with_image = runner.restore(file, ["--core", "none"])
    assert "write_to" in with_image.stderr, with_image.stderr
    # Another program under its name, then none.
    shutil.copy(runner.guest("hello"), image)
    for _ in range(2):
        result = runner.restore(file, ["--core", "none"], cwd=tmp_path)
        assert (result.rc, result.stdout) == (139, "after: kept for crash\n")
        assert "write to 0xdead0000, not mapped, at 0x" in result.stderr and "write_to" not in result.stderr
        image.unlink(missing_ok=True)
    with runner.serve_restored(file, ["--core", "none"]) as served:
        seen = gdb_batch([f"target remote {served.address}", "continue", "kill"], runner.guest("ready"))
    assert "SIGSEGV" in seen[1] and "write_to" in seen[1]


@pytest.mark.parametrize("runner", LOCAL, indirect=True)
def test_snapshot_replaces_nothing_and_follows_no_link(runner, tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "link").symlink_to(target)
    for name in ("target", "link"):
        result = runner.run("ready", options=["--snapshot", name, "--core", "none"], cwd=tmp_path)
        assert result.rc == 125 and result.stderr.startswith("hindsight: no snapshot: "), str(result)
        assert "replaces no file" in result.stderr
    assert target.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["link", "target"]


@pytest.mark.parametrize("runner", LOCAL, indirect=True)
def test_snapshot_of_a_guest_that_is_never_ready_says_so(runner, tmp_path):
    result = runner.run("hello", options=["--snapshot", "a.snap", "--core", "none"], cwd=tmp_path)
    assert result.rc == 125 and "no snapshot: the guest has ended" in result.stderr, str(result)
    assert os.listdir(tmp_path) == []


def test_restore_full_disk_leaves_no_file(build, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    script = (f"mount -t tmpfs -o size=64k tmpfs {tmp_path} && cd {tmp_path} && {build}/hindsight run --backend soft "
              f"--snapshot a.snap {build}/guest/amd64/ready.elf; echo status $?; ls -A {tmp_path}")
    result = run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script])
    if "unshare" in result.stderr or "mount:" in result.stderr:
        pytest.skip(f"no private mounts here: {result.stderr.strip()}")
    assert result.stdout.splitlines() == ["before", "status 125"]
    assert re.fullmatch(r"hindsight: no snapshot: .*No space left on device\n", result.stderr), result.stderr


@pytest.mark.parametrize("runner", LOCAL, indirect=True)
def test_restore_what_is_no_snapshot_says_what_it_is(runner, snapshot, tmp_path):
    (tmp_path / "text").write_text("hello\n" * 100)
    whole = open(snapshot, "rb").read()
    (tmp_path / "cut").write_bytes(whole[:len(whole) // 2])
    damaged = bytearray(whole)
    damaged[0x1000] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    cases = {
        tmp_path / "text": "not a core: not an ELF file",
        runner.guest("ready"): "not a core: a program, not its core",
        tmp_path / "cut": "bytes are missing at the end of the file",
        tmp_path / "damaged": "the notes are not what was written",
    }
    for path, words in cases.items():
        result = runner.restore(path, ["--core", "none"])
        assert result.rc == 125 and result.stdout == "" and result.stderr.count("\n") == 1, str(result)
        assert words in result.stderr and str(path) in result.stderr


def test_restore_where_its_cpu_is_not_says_where_it_runs(build, local):
    made = local.run([build / "hindsight", "run", "--backend", "soft", "--snapshot", "a.snap",
                      build / "guest/i686/ready.elf"])
    result = local.run([build / "hindsight", "restore", "--backend", "kvm", find(made.files, "a.snap")])
    if result.rc == 7:
        pytest.skip("this KVM runs i686 guests")
    assert result.rc == 125 and "i686" in result.stderr and "soft" in result.stderr, str(result)
