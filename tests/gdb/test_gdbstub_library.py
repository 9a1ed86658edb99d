# SPDX-License-Identifier: LGPL-2.1-or-later
"""libhindsight-gdbstub by itself: built without any other library, installed, found by pkg-config alone, and with it
examples/toy_target.c, that real gdb and lldb debug."""

import os
import pathlib
import re
import shutil

import pytest

from lib.debuggers import Gdb, gdb_batch, lldb_batch
from lib.idle import assert_idle
from lib.process import LocalProcess, run
from lib.transcripts import Scene, scenes

ROOT = pathlib.Path(__file__).resolve().parents[2]
DECLARED = re.compile(r"\b(hs_\w+)\((?!\*)")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Where it is installed."""
    base = tmp_path_factory.mktemp("gdbstub")
    run(["meson", "setup", base / "build", ROOT, "-Dgdbstub_only=true", f"--prefix={base / 'usr'}", "--libdir=lib"],
        cwd=base).check()
    run(["ninja", "-C", base / "build"], timeout=300).check()
    run(["meson", "install", "-C", base / "build", "--no-rebuild", "--quiet"]).check()
    shutil.rmtree(base / "build")
    return base / "usr"


def compiled(prefix, source, program, static=False):
    """A program, built from what is installed and with nothing but pkg-config's words."""
    environment = {"PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    words = ["pkg-config", "--cflags", "--libs", *(["--static"] if static else []), "hindsight-gdbstub"]
    flags = run(words, env=environment).check().stdout.split()
    flags += ["-static"] if static else [f"-Wl,-rpath,{prefix / 'lib'}"]
    compiler = os.environ.get("CC", "cc").split()
    run([*compiler, "-Wall", "-Wextra", "-Werror", source, *flags, "-o", program]).check()
    return program


@pytest.fixture(scope="module", params=["shared", "static"])
def toy(request, prefix):
    source = prefix / "share" / "doc" / "hindsight-gdbstub" / "toy_target.c"
    return compiled(prefix, source, prefix / f"toy_{request.param}", request.param == "static")


@pytest.fixture
def served(toy):
    with LocalProcess([toy]) as process:
        process.address = process.stderr.wait_for(r"waiting for a debugger on (\S+)\n", 30)[1]
        yield process


def test_gdbstub_library_exports_what_its_headers_declare(prefix):
    names = run(["nm", "-D", "--defined-only", prefix / "lib" / "libhindsight-gdbstub.so"]).check().stdout
    exported = {line.split()[2] for line in names.splitlines() if line.split()[1] == "T"}
    declared = set()
    for header in (prefix / "include" / "hindsight").glob("*.h"):
        code = re.sub(r"/\*.*?\*/|^typedef [^;{]*;", "", header.read_text(encoding="utf-8"), flags=re.S | re.M)
        declared |= set(DECLARED.findall(code)) - {"hs_gva_of", "hs_gpa_of"}
    assert exported == declared and "hs_gdb_serve" in exported


def test_gdbstub_library_needs_libc_alone(prefix):
    dynamic = run(["readelf", "-d", prefix / "lib" / "libhindsight-gdbstub.so"]).check().stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    assert needed <= {"libc.so.6", "ld-linux-x86-64.so.2"} and needed


def test_gdbstub_library_comes_with_headers_licence_and_documents(prefix):
    headers = {path.name for path in (prefix / "include" / "hindsight").iterdir()}
    included = {name for path in (prefix / "include" / "hindsight").iterdir()
                for name in re.findall(r"#include <hindsight/(.*)>", path.read_text(encoding="utf-8"))}
    assert included <= headers and {"gdb.h", "target.h"} <= headers
    documents = prefix / "share" / "doc" / "hindsight-gdbstub"
    assert {path.name for path in documents.iterdir()} == {"LICENSE", "gdbstub.md", "gdb-remote.md", "toy_cpu.h",
                                                              "toy_target.c"}
    assert (documents / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_gdbstub_library_is_a_subproject(tmp_path):
    document = (ROOT / "docs" / "gdbstub.md").read_text(encoding="utf-8")
    dependency = re.search(r"`(dependency\('hindsight-gdbstub', .*\))`", document)[1]
    (tmp_path / "subprojects").mkdir()
    (tmp_path / "subprojects" / "hindsight").symlink_to(ROOT)
    for name in "toy_target.c", "toy_cpu.h":
        (tmp_path / name).write_bytes((ROOT / "examples" / name).read_bytes())
    (tmp_path / "meson.build").write_text(
        "project('emulator', 'c')\n"
        f"executable('toy', 'toy_target.c', dependencies: {dependency})\n", encoding="utf-8")
    run(["meson", "setup", "build"], cwd=tmp_path, env={"PKG_CONFIG_LIBDIR": "/nowhere"}).check()
    run(["ninja", "-C", "build"], timeout=300, cwd=tmp_path).check()
    result = run([tmp_path / "build" / "toy", "nowhere"])
    assert result.rc == 1 and "'nowhere' is not an address" in result.stderr


def test_gdbstub_document_has_every_operation_of_a_target():
    header = (ROOT / "include" / "hindsight" / "target.h").read_text(encoding="utf-8")
    operations = re.findall(r"\(\*(\w+)\)\(", header[header.index("struct hs_target_ops {"):])
    rows = re.findall(r"^\| (`.*?) \| ", (ROOT / "docs" / "gdbstub.md").read_text(encoding="utf-8"), re.M)
    assert len(operations) > 12 and set(operations) == set(re.findall(r"`(\w+)`", "".join(rows)))


def test_toy_target_transcript_comes_out_as_documented(toy, build, tmp_path):
    commands = scenes((ROOT / "docs" / "gdbstub.md").read_text(encoding="utf-8"))["Getting it"]
    # The fixture has done the first.
    assert commands.pop(0).text.startswith("cc toy_target.c $(pkg-config --cflags --libs hindsight-gdbstub)")
    (tmp_path / "toy_target").symlink_to(toy)
    Scene(commands, build, tmp_path).run()
    assert len(commands) > 4 and not [command.problem() for command in commands if command.problem()]


def test_toy_target_is_debugged_by_gdb(served):
    seen = gdb_batch([
        f"target remote {served.address}", "x/10i $pc", "break *0x100a", "continue", "stepi", "print $eax",
        "hbreak *0x1014", "delete 1", "continue", "print $ecx", "info registers eip", "x/dw 0x2000",
        "x/xw 0xfffc", "x/xw 0x10000", "watch *(int *)0x2000", "continue", "delete", "set var *(int *)0x2004 = 21",
        "print *(int *)0x2004", "set var $ecx = 1", "print $ecx", "break *0x101d", "continue",
        "print $eax", "continue"])
    assert "=> 0x1000:\tmov    $0xa,%ecx" in seen[1] and seen[1].endswith("0x101d:\thlt")
    assert "Breakpoint 1, 0x0000100a in" in seen[3]
    assert "0x0000100c in" in seen[4] and seen[5] == "$1 = 10"
    assert "Breakpoint 2, 0x00001014 in" in seen[8], seen.text
    assert (seen[9], seen[11]) == ("$2 = 0", "0x2000:\t55") and "0x1014" in seen[10]
    assert seen[12] == "0xfffc:\t0x00000000" and "Cannot access memory at address 0x10000" in seen[13]
    assert "Could not insert hardware watchpoint" in seen[15]
    assert seen[18] == "$3 = 21" and seen[20] == "$4 = 1"
    assert "Breakpoint 4, 0x0000101d in" in seen[22] and seen[23] == "$5 = 42"
    assert "exited with code 052" in seen[24]
    assert served.wait(30).stderr.endswith("toy_target: ended\n")


def test_toy_target_stops_by_ctrl_c_and_goes_on(served):
    with Gdb() as gdb:
        assert_idle(served)
        gdb.command(f"target remote {served.address}")
        for _ in range(2):
            gdb.send("continue")
            gdb.wait_for("Continuing")
            gdb.interrupt()
            assert "SIGINT" in gdb.wait_for("received signal.*\n")
            gdb.settle()
        assert_idle(served)
        assert re.fullmatch(r"\$1 = \d+", gdb.command("print *(int *)0x2000"))
        gdb.command("detach")
    # It runs now, and the next one finds it so.
    assert "exited with code 02" in gdb_batch([
        f"target remote {served.address}", "set var *(int *)0x2004 = 1", "continue"]).text


def test_toy_target_shows_a_fault_and_dies_of_it(served):
    seen = gdb_batch([f"target remote {served.address}", "set var *(char *)0x100a = 0x90", "continue",
                      "print $_siginfo._sifields._sigfault.si_addr", "print $pc", "set var $pc = 0x10000",
                      "signal 0", "print $pc", "continue"])
    assert "received signal SIGILL" in seen[2] and "0x100a" in seen[3] and "0x100a" in seen[4]
    assert "received signal SIGILL" in seen[6] and "0x10000" in seen[7]
    assert "terminated with signal SIGILL" in seen[8]


def test_toy_target_is_debugged_by_lldb(served):
    text = lldb_batch([f"gdb-remote {served.address.split(':')[1]}", "disassemble -s 0x1000 -c 3",
                       "breakpoint set -a 0x1014", "continue", "register read eax ecx eip",
                       "memory read -f x -s 4 -c 1 0x2000", "breakpoint delete -f", "memory write -s 4 0x2004 3",
                       "continue"])
    assert "addl   %ecx, %eax" in text and "stop reason = breakpoint 1.1" in text, text
    for words in "eax = 0x00000037", "ecx = 0x00000000", "eip = 0x00001014", "0x00002000: 0x00000037":
        assert words in text, text
    assert "exited with status = 6" in text


def test_byte_machine_serves_gdb_in_one_thread_without_sockets(prefix):
    program = compiled(prefix, pathlib.Path(__file__).parent / "machine_alone.c", prefix / "machine_alone")
    with Gdb() as gdb:
        gdb.command(f"target remote | exec {program} 2> {prefix / 'error'}")
        gdb.command("break *0x40")
        assert "Breakpoint 1, 0x0000000000000040 in" in gdb.command("continue")
        assert "0x0000000000000042 in" in gdb.command("stepi 2")
        assert gdb.command("print $rax") == "$1 = 66"
        assert "Breakpoint 1, 0x0000000000000040 in" in gdb.command("continue")
        gdb.command("delete")
        gdb.send("continue")
        gdb.wait_for("Continuing")
        gdb.interrupt()
        assert "SIGINT" in gdb.wait_for("received signal.*\n")
        gdb.settle()
        executed = int(gdb.command("print $rax").split()[-1])
        gdb.command("kill")
    assert executed > 4096 + 64
    # gdb has waited for the command behind its pipe.
    assert (prefix / "error").read_text(encoding="utf-8") == f"{executed} instructions, phase 5\n"


def test_toy_target_has_conditions_from_the_library(served):
    seen = gdb_batch([f"target remote {served.address}", "break *0x1011 if $eax == 40", "continue", "print $ecx",
                      "info breakpoints"])
    assert "Breakpoint 1, 0x00001011 in" in seen[2] and seen[3] == "$1 = 6"
    assert "(target evals)" in seen[4] and "hit 1 time" in seen[4]
