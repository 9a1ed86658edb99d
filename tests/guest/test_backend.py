# SPDX-License-Identifier: LGPL-2.1-or-later
"""--backend: a guest runs on the software CPU without privileges and without KVM, and KVM that cannot be had says what
to do."""

import json
import pathlib
import shutil
import tempfile

import pytest

from lib import report
from lib.devices import with_kvm
from lib.process import run

NOBODY = "65534"


@pytest.fixture(params=["amd64", "i686"])
def open_directory(request, build):
    """A directory that everybody may enter, which pytest's own are not, with the command and two guests."""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name)
        path.chmod(0o755)
        for guest in "hello", "divide":
            shutil.copy(build / "guest" / request.param / f"{guest}.elf", path)
        shutil.copy(build / "hindsight", path)
        yield path


def as_nobody(directory, *words):
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    return run([*with_kvm("forbidden", directory), *drop, "./hindsight", "run", *words], cwd=directory)


@pytest.mark.parametrize("backend", ["auto", "soft"])
def test_guest_runs_for_a_user_without_kvm(open_directory, backend):
    result = as_nobody(open_directory, "--backend", backend, "hello.elf")
    assert (result.rc, result.stdout, result.stderr) == (0, "hello from a guest\n", "")
    crash = as_nobody(open_directory, "--backend", backend, "--core", "none", "divide.elf")
    assert (crash.rc, report.parse(crash.stderr).text) == (128 + 8, "divide error (#DE)")


def test_kvm_for_a_user_without_it_says_what_to_do(open_directory):
    result = as_nobody(open_directory, "--backend", "kvm", "hello.elf")
    assert (result.rc, result.stdout) == (125, "")
    said = report.one_line_error(result.stderr)
    assert "/dev/kvm: permission denied (join the group that owns it, usually kvm; --backend soft needs none)" in said


@pytest.mark.parametrize("kind", ["absent", "closed"])
def test_doctor_without_kvm_takes_the_software_cpu(build, tmp_path, kind):
    result = run([*with_kvm(kind, tmp_path), build / "hindsight", "doctor", "--json"]).check()
    said = json.loads(result.stdout)
    assert said["kvm"]["usable"] is False and said["kvm"]["error"].startswith("/dev/kvm: ")
    assert said["host"]["soft_ns_per_instruction"] > 0
    for auto in said["auto"].values():
        assert (auto["backend"], auto["backend_with_debugger"]) == ("soft", "soft")
        assert auto["reason"] == auto["reason_with_debugger"] == "there is no usable /dev/kvm"


@pytest.mark.parametrize("limit, has", [("unlimited", True), ("0", False)])
def test_doctor_says_whether_the_software_cpu_has_vectors(build, limit, has):
    """Code of vectors is in a file, which there is none of where files may have no length."""
    limited = ["prlimit", f"--fsize={limit}"]
    said = json.loads(run([*limited, build / "hindsight", "doctor", "--json"]).check().stdout)
    assert said["host"]["soft_vectors"] is has
    guest = run([*limited, build / "hindsight", "run", "--backend", "soft", "--core", "none",
                 "--call", "divide(1.0, 4.0)", build / "guest/amd64/fp_sse.elf"])
    assert ("invalid opcode (#UD)" in guest.stderr, "divide(1.0, 4.0) = 0.25" in guest.stdout) == (not has, has)
