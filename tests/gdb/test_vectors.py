# SPDX-License-Identifier: LGPL-2.1-or-later
"""The registers that only some CPUs have: ymm, zmm, k and pkru, as gdb and lldb see them in a live guest, in its core,
in `hindsight debug` and after a restore; each is the guest's, and each is written and read back.

guest/programs/vectors.c switches on what XCR0 offers and fills them. Where ring 0 is emulated it cannot fill them, and
gdb does.
"""

import re
import shutil

import pytest

from lib.debuggers import gdb_batch, lldb_batch
from lib.process import LocalProcess

SECONDS = 240
PKRU = 0x55555550
QUIET = ["set print elements 0", "set print repeats unlimited", "maintenance flush register-cache"]


class Vectors:
    """What the CPU under the guest has of them."""

    def __init__(self, runner, words):
        self.avx, self.avx512, self.pkru = "AVX" in words, "AVX-512" in words, "PKRU" in words
        self.emulated = runner.backend == "kvm" and runner.facts["instructions"] == "emulated"
        wide = runner.arch == "amd64"
        self.ymm = 16 if wide else 8
        self.prefix, self.width, self.count = ("zmm", 64, 32 if wide else 8) if self.avx512 else ("ymm", 32, self.ymm)

    def bytes(self, i, change=0):
        """What the guest loads into a register, or that changed in each byte."""
        return bytes((7 * i + j + 1 + change) % 256 for j in range(self.width))

    def k(self, i, change=0):
        return int.from_bytes(self.bytes(i, change)[:8], "little")

    def ask(self):
        """Commands that print all of them, and what they are to print, as pairs."""
        for i in range(self.count):
            yield f"output/x ${self.prefix}{i}.v{self.width}_int8", self.bytes(i)
        for i in range(8 if self.avx512 else 0):
            yield f"output/x $k{i}", self.k(i)
        if self.pkru and not self.emulated:
            yield "output/x $pkru", PKRU

    def set(self, i, change=0):
        values = ", ".join(map(str, self.bytes(i, change)))
        return f"set var ${self.prefix}{i}.v{self.width}_int8 = {{{values}}}"

    def fill(self):
        """What the guest itself does, where it can."""
        if not self.emulated:
            return []
        return [self.set(i) for i in range(self.count)] + \
            [f"set var $k{i} = {self.k(i)}UL" for i in range(8 if self.avx512 else 0)]


def value_of(text):
    """What `output/x` prints, of a vector or of a number."""
    values = [int(word, 16) for word in re.findall(r"0x[0-9a-f]+", text)]
    return bytes(values) if text.startswith("{") else values[0]


def check(vectors, said):
    asked = list(vectors.ask())
    assert len(said) == len(asked)
    assert {command: value_of(text) for (command, _), text in zip(asked, said)} == dict(asked)


def commands(vectors):
    return [command for command, _ in vectors.ask()]


@pytest.fixture
def vectors(runner):
    result = runner.run("vectors", "empty", options=["--core", "none"])
    found = Vectors(runner, re.search(r"^vectors:(.*)$", result.stdout, re.M).group(1).split())
    if not found.avx:
        pytest.skip(f"{runner.arch}-{runner.backend}: this CPU has no AVX")
    return found


@pytest.fixture
def core(runner, vectors, tmp_path):
    """The core of a guest that has filled them, and what gdb saw live."""
    words = ["empty"] if vectors.emulated else []
    cwd = tmp_path / "run"
    cwd.mkdir()
    with runner.serve("vectors", *words, options=["--core", "."], cwd=cwd) as served:
        said = gdb_batch([f"target remote {served.address}", "continue", *vectors.fill(), *QUIET, *commands(vectors),
                          "print $ymm2.v8_float", "print/x $ymm3.v2_int128", "monitor core live.core", "kill"],
                         timeout=SECONDS)
        served.process.wait(SECONDS)
    assert "SIGSEGV" in said[1], said.text
    check(vectors, said[-4 - len(commands(vectors)):-4])
    return runner.place.collect(cwd)["live.core"], said[-4:-2]


def test_vectors_are_the_same_live_in_the_core_and_served_from_it(runner, vectors, core, build, tmp_path):
    path, live = core
    ask = [*QUIET, *commands(vectors), "print $ymm2.v8_float", "print/x $ymm3.v2_int128"]
    dead = gdb_batch([f"core-file {path}", *ask], runner.guest("vectors"))
    with LocalProcess([build / "hindsight", "debug", "--gdb", "127.0.0.1:0", path], tmp_path) as process:
        port = process.stderr.wait_for(r"waiting for a debugger on \S+:(\d+) ", 60)[1]
        served = gdb_batch([f"target remote 127.0.0.1:{port}", *ask, "set var $ymm0.v8_int32[7] = 1", "kill"])
    for said in dead[1:], served[1:-2]:
        check(vectors, said[len(QUIET):-2])
        assert [text.split(" = ")[1] for text in said[-2:]] == [text.split(" = ")[1] for text in live]
    assert "Could not write register" in served[-2]


def test_vectors_are_there_after_a_restore_and_each_is_written_alone(runner, vectors, core):
    changes = []
    for i in range(vectors.count):
        changes += [vectors.set(i, 0x40), "maintenance flush register-cache", *commands(vectors), vectors.set(i)]
    with runner.serve_restored(core[0], ["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", *QUIET, *commands(vectors), *changes, "kill"],
                         timeout=SECONDS)
    said = said[1 + len(QUIET):]
    each = len(commands(vectors))
    check(vectors, said[:each])
    for i in range(vectors.count):
        written = said[each + i * (each + 3):][2:2 + each]
        wanted = [vectors.bytes(i, 0x40) if number == i else value
                  for number, (_, value) in enumerate(vectors.ask())]
        assert [value_of(text) for text in written] == wanted, f"{vectors.prefix}{i}"


def test_vectors_of_any_cpu_stand_on_the_software_cpu_or_are_refused_by_name(runner, vectors, core, build, tmp_path):
    command = [build / "hindsight", "restore", "--backend", "soft", "--core", "none", "--gdb", "127.0.0.1:0", core[0]]
    with LocalProcess(command, tmp_path) as process:
        if vectors.avx512 or vectors.pkru:
            process.wait(SECONDS)
            needs = " and ".join(["AVX-512"] * vectors.avx512 + ["PKRU"] * vectors.pkru)
            refusal = rf"hindsight: the snapshot needs {needs} registers \(XCR0 0x[0-9a-f]+\), which the software .*\n"
            assert re.fullmatch(refusal, process.stderr.text), process.stderr.text
            return
        port = process.stderr.wait_for(r"waiting for a debugger on \S+:(\d+) ", 60)[1]
        said = gdb_batch([f"target remote 127.0.0.1:{port}", *QUIET, *commands(vectors), "kill"])
    check(vectors, said[1 + len(QUIET):-1])


def test_vectors_are_zero_and_are_not_written_before_the_guest_switches_them_on(runner, vectors):
    half, zero = "$ymm1.v2_int128[1]", "0x0"
    with runner.serve("vectors", "empty", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", f"print/x {half}", f"set var {half} = 1",
                          "maintenance flush register-cache", f"print/x {half}", "break write_to", "continue",
                          f"set var {half} = 1", "maintenance flush register-cache", f"print/x {half}",
                          "print/x $ymm0.v2_int128[1]", "kill"])
    assert [said[i].split(" = ")[1] for i in (1, 4)] == [zero] * 2, said.text
    assert "Could not write register" in said[2]
    assert [said[i].split(" = ")[1] for i in (-3, -2)] == ["0x1", zero], said.text


def lldb_ymm(text):
    """Name -> bytes, of what `register read` prints."""
    rows = re.findall(r"^ *(ymm\d+) = \{((?:0x[0-9a-f]{2} ?)+)\}", text, re.M)
    return {name: bytes(int(value, 16) for value in values.split()) for name, values in rows}


def test_lldb_shows_ymm_as_gdb_does(runner, vectors, core, build, tmp_path):
    if shutil.which("lldb") is None:
        pytest.skip("lldb is not installed")
    names = [f"ymm{i}" for i in range(vectors.ymm)]
    wanted = {name: vectors.bytes(i)[:32] for i, name in enumerate(names)}
    with LocalProcess([build / "hindsight", "debug", "--gdb", "127.0.0.1:0", core[0]], tmp_path) as process:
        port = process.stderr.wait_for(r"waiting for a debugger on \S+:(\d+) ", 60)[1]
        said = lldb_batch([f"gdb-remote {port}", f"register read {' '.join(names)}", "process kill"])
    assert lldb_ymm(said) == wanted, said
    changed = "{" + " ".join(f"{value:#04x}" for value in vectors.bytes(5, 0x40)[:32]) + "}"
    with runner.serve_restored(core[0], ["--core", "none"]) as served:
        said = lldb_batch([f"gdb-remote {served.address}", f'register write ymm5 "{changed}"',
                           f"register read {' '.join(names)}", "process kill"], timeout=SECONDS)
    assert lldb_ymm(said) == {**wanted, "ymm5": vectors.bytes(5, 0x40)[:32]}, said
