# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where cores go: names, what is there already, and disks that are full, read-only or pulled away by kill -9.

tests/unit/coredump/write_core.c writes the core of a handmade guest; it is the library's own code under its own name.
"""

import os
import re
import shlex
import signal
import subprocess

import pytest

from lib.process import LocalProcess, run

CORE_BYTES = 128 * 1024


@pytest.fixture
def writer(build):
    return str(build / "tests/unit/coredump/write_core")


@pytest.fixture
def place(tmp_path):
    directory = tmp_path / "cores"
    directory.mkdir()
    return directory


def listing(directory):
    return sorted(path.name for path in directory.iterdir())


def is_whole(path):
    return path.stat().st_size > CORE_BYTES and run(["readelf", "-h", str(path)]).check().stderr == ""


def refused(result, *words):
    """The command failed with one line that has these words."""
    assert result.rc == 1 and result.stderr == "" and result.stdout.count("\n") == 1, str(result)
    for word in words:
        assert word in result.stdout


def in_mount(options, directory, command):
    """Run a command where directory is a small file system of its own, and list what it left there."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    script = f"mount -t tmpfs -o {options} tmpfs {shlex.quote(str(directory))} && cd / && {command}; echo status $?; " \
             f"ls -A {shlex.quote(str(directory))}"
    result = run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script])
    if "unshare" in result.stderr or "mount" in result.stderr:
        pytest.skip(f"no private mounts here: {result.stderr.strip()}")
    return result.stdout.splitlines()


def test_default_name_is_guest_pid_sequence(writer, place):
    for number in range(3):
        path = run([writer, str(place)]).check().stdout.strip()
        assert path == f"{place}/fault.elf.4711.{number}.core"
        assert is_whole(place / os.path.basename(path))
    assert len(listing(place)) == 3


def test_default_directory_is_the_working_directory(writer, place):
    assert run([writer], cwd=place).check().stdout == "./fault.elf.4711.0.core\n"
    assert listing(place) == ["fault.elf.4711.0.core"]


@pytest.mark.parametrize("name, file", [
    ("../../etc/x", "_._.._etc_x"),
    (".hidden", "_hidden"),
    ("-rf", "_rf"),
    ("a b\n\x1b[31m\"'$(x)", "a_b___31m____x_"),
    ("", "guest"),
    ("n" * 300, "n" * 100),
])
def test_default_name_is_one_harmless_component(writer, place, name, file):
    run([writer, "--name", name, str(place)]).check()
    entry, = listing(place)
    assert re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*", entry)
    assert entry == f"{file}.4711.0.core"


def test_name_of_ones_own(writer, place):
    assert run([writer, str(place / "my.core")]).check().stdout == f"{place}/my.core\n"
    assert run([writer, "my2.core"], cwd=place).check().stdout == "my2.core\n"
    assert listing(place) == ["my.core", "my2.core"] and is_whole(place / "my.core")


def test_existing_file_is_left_alone(writer, place):
    (place / "my.core").write_text("precious")
    refused(run([writer, str(place / "my.core")]), "busy", f"{place}/my.core: replaces no file")
    assert listing(place) == ["my.core"] and (place / "my.core").read_text() == "precious"


def test_existing_default_name_means_the_next_number(writer, place):
    (place / "fault.elf.4711.0.core").write_text("precious")
    os.symlink("nowhere", place / "fault.elf.4711.1.core")
    assert run([writer, str(place)]).check().stdout == f"{place}/fault.elf.4711.2.core\n"
    assert (place / "fault.elf.4711.0.core").read_text() == "precious"
    assert os.readlink(place / "fault.elf.4711.1.core") == "nowhere"


@pytest.mark.parametrize("target", ["victim", "nowhere"])
def test_symbolic_link_under_the_name_is_not_followed(writer, place, target):
    (place / "victim").write_text("precious")
    os.symlink(target, place / "my.core")
    refused(run([writer, str(place / "my.core")]), "replaces no file")
    assert listing(place) == ["my.core", "victim"] and (place / "victim").read_text() == "precious"


def test_file_that_appears_meanwhile_is_left_alone(writer, place):
    with LocalProcess([writer, "--wait", str(place / "my.core")]) as process:
        process.stdout.wait_for("waiting\n", 30)
        # Nothing has the name while the core is not whole.
        partial, = listing(place)
        assert re.fullmatch(r"\.hindsight-[0-9a-f]{16}\.part", partial)
        (place / "my.core").write_text("precious")
        process.close_stdin()
        result = process.wait(30)
    assert result.rc == 1 and "replaces no file" in result.stdout
    assert listing(place) == ["my.core"] and (place / "my.core").read_text() == "precious"


def test_kill_while_writing_leaves_no_core(writer, place):
    with LocalProcess([writer, "--wait", str(place)]) as process:
        process.stdout.wait_for("waiting\n", 30)
        process.signal(signal.SIGKILL)
        assert process.wait(30).rc == -signal.SIGKILL
    assert not [name for name in listing(place) if name.endswith(".core")]
    # And nothing that would be in the way of the next one.
    assert run([writer, str(place)]).check().stdout == f"{place}/fault.elf.4711.0.core\n"


def test_many_at_once_get_names_of_their_own(writer, place):
    processes = [subprocess.Popen([writer, str(place)], stdout=subprocess.PIPE, text=True) for _ in range(12)]
    paths = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert paths == {f"{place}/fault.elf.4711.{number}.core" for number in range(12)}
    assert all(is_whole(place / name) for name in listing(place)) and len(listing(place)) == 12


def test_directory_that_is_not_there(writer, place):
    refused(run([writer, str(place / "no" / "my.core")]), "not found", f"{place}/no", "No such file or directory")
    refused(run([writer, str(place / "no") + "/"]), "not found", f"{place}/no/", "No such file or directory")
    assert listing(place) == []


def test_file_in_place_of_a_directory(writer, place):
    (place / "file").write_text("")
    refused(run([writer, str(place / "file" / "my.core")]), f"{place}/file", "Not a directory")
    assert listing(place) == ["file"]


def test_name_that_is_too_long(writer, place):
    refused(run([writer, str(place / ("n" * 300))]), "name too long")
    refused(run([writer, "/" + "d/" * 3000]), "name too long")
    assert listing(place) == []


@pytest.mark.parametrize("limit", [100, 5000, 64 * 1024])
def test_limit_on_file_sizes_is_an_error_and_no_signal(writer, place, limit):
    refused(run([writer, "--limit", str(limit), str(place)]), f"{place}/fault.elf.4711.0.core", "File too large")
    assert listing(place) == []


def test_full_disk_leaves_nothing_behind(writer, place):
    line, status, *left = in_mount("size=64k", place, f"{writer} {place}")
    assert line.endswith(f"cannot write {place}/fault.elf.4711.0.core: No space left on device")
    assert (status, left) == ("status 1", [])


def test_read_only_directory_is_refused(writer, place):
    line, status, *left = in_mount("ro", place, f"{writer} {place}")
    assert line.endswith(f"cannot create a core in {place}: Read-only file system")
    assert (status, left) == ("status 1", [])


def test_directory_that_may_not_be_written_is_refused(writer, place):
    if os.geteuid() != 0:
        pytest.skip("changing the user needs root")
    place.chmod(0o755)
    for parent in list(place.parents)[:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    result = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", writer, str(place)])
    refused(result, "permission", f"cannot create a core in {place}: Permission denied")
    assert listing(place) == []
