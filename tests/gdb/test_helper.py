# SPDX-License-Identifier: LGPL-2.1-or-later
"""hindsight's commands for gdb, debug/hindsight-gdb.py: from where it is installed, in real gdb, on live guests."""

import pathlib
import re

import pytest

from lib.debuggers import gdb_batch
from lib.process import LocalProcess, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 60
EACH_ARCH = pytest.mark.parametrize("runner", ["amd64-soft", "i686-soft"], indirect=True)
COMMANDS = ("cycle", "restore", "root", "roots", "snapshot", "walk")


@pytest.fixture(scope="module")
def scripts(build, tmp_path_factory):
    """The directory of gdb's scripts that an installation has."""
    root = tmp_path_factory.mktemp("installed")
    run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--tags", "runtime", "--destdir", root]).check()
    (path,) = root.rglob("hindsight-gdb.py")
    assert path.parts[-4:-1] == ("share", "gdb", "auto-load")
    return path.parent


@pytest.fixture
def helper(scripts):
    """What a user types to have the commands."""
    return f"source {scripts / 'hindsight-gdb.py'}"


def calls(*texts, cycles):
    return ["--core", "none", "--cycles", str(cycles), *(word for text in texts for word in ("--call", text))]


def session(runner, helper, guest, commands, options=()):
    """What gdb wrote for each of the commands, on a guest that stands before its first instruction."""
    with runner.serve(guest, options=options) as served:
        return gdb_batch([helper, f"target remote {served.address}", *commands])[2:]


def test_helper_has_help_for_itself_and_each_command(helper):
    said = gdb_batch([helper, "help hs", "hs", *(f"help hs {name}" for name in COMMANDS), "complete hs "])
    assert said[0] == "" and said[1] == said[2]
    assert tuple(re.findall(r"^hs (\w+) -- ", said[1], re.M)) == COMMANDS
    for name, text in zip(COMMANDS, said[3:]):
        assert f"Usage: hs {name}" in text and len(text.splitlines()) >= 3
        assert max(map(len, text.splitlines())) <= 80
    assert said[-1].splitlines() == [f"hs {name}" for name in COMMANDS]


def test_helper_commands_are_those_of_the_document():
    document = (ROOT / "docs" / "debugging.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`hs .*?`) \| ", document, re.M)
    assert {name for row in rows for name in re.findall(r"`hs (\w+)", row)} == set(COMMANDS)


def test_helper_leaves_no_names_in_the_users_python_but_its_own(helper):
    said = gdb_batch(["python before = set(globals())", helper,
                      "python print(sorted(set(globals()) - before - {'before'}))"])
    names = re.findall(r"'(\w+)'", said[2])
    assert names and {name for name in names if not name.lower().startswith("hs")} <= {"re", "gdb"}


def test_helper_commands_without_a_target_say_what_is_missing(helper):
    said = gdb_batch([helper, "hs roots", "hs root 1", "hs walk 0", "hs snapshot x", "hs restore", "hs cycle"])
    assert said[1:] == ["hs: nothing is debugged: 'target remote ADDRESS' attaches to a guest"] * 6


def test_helper_commands_on_a_target_that_is_not_hindsight_say_so(helper, build):
    with LocalProcess([build / "examples" / "example_toy_target"]) as toy:
        address = toy.stderr.wait_for(r"waiting for a debugger on (\S+)\n", SECONDS)[1]
        said = gdb_batch([helper, f"target remote {address}", "hs roots", "hs root 1", "hs walk 0", "hs snapshot x",
                          "hs snapshot", "hs restore", "hs cycle", "complete hs restore ", "print $pc"])
    commands = ("roots", "root", "walk", "snapshot", "snapshots", "restore", "cycle")
    assert said[2:9] == [f"hs: this target has no 'monitor {command}': it is not hindsight, or cannot do that "
                         "('monitor help' lists what it can)" for command in commands]
    assert said[9] == "" and "0x1000" in said[10]


@EACH_ARCH
def test_helper_commands_on_a_core_in_gdb_say_what_serves_it(helper, runner):
    core = next(path for name, path in runner.run("divide").files.items() if name.endswith(".core"))
    said = gdb_batch([helper, "hs roots"], runner.guest("divide"), core)
    assert said[1] == ("hs: this is a target of the kind 'core' and not one that hindsight serves "
                       "('hindsight debug FILE' serves a core or a snapshot)")


def test_helper_cycle_stops_at_the_beginning_of_cycles(runner, helper):
    said = session(runner, helper, "functions", [
        "hs cycle", "print calls", "hs cycle 1 + 1", "print calls", "break hs_guest_call_counter", "hs cycle",
        "print calls", "delete", "continue"], calls("counter()", cycles=6))
    assert "received signal SIGINT" in said[0] and said[1].endswith("= 0")
    assert "received signal SIGINT" in said[2] and said[3].endswith("= 0")
    assert "Breakpoint 1, hs_guest_call_counter" in said[5] and said[6].endswith("= 0")
    # What the breakpoint has come before is not reached later.
    assert "exited normally" in said[8]


def test_helper_cycle_of_a_guest_that_ends_shows_its_end(runner, helper):
    said = session(runner, helper, "functions", ["hs cycle 7", "hs cycle"], calls("counter()", cycles=6))
    assert said == ["[Inferior 1 (process 1) exited normally]",
                    "hs: nothing is debugged: 'target remote ADDRESS' attaches to a guest"]


@EACH_ARCH
def test_helper_cycle_of_no_number_is_refused(runner, helper):
    said = session(runner, helper, "functions", ["hs cycle 0", "hs cycle nonsense", "print $pc"],
                   calls("counter()", cycles=2))
    assert said[:2] == ["hs: 0 is less than 1", 'hs: No symbol "nonsense" in current context.']
    assert "<_start>" in said[2]


def test_helper_restore_shows_registers_frames_and_memory_at_once(runner, helper):
    said = session(runner, helper, "functions", [
        "break hs_guest_call_counter", "hs cycle", "print/x $pc", "print/x $sp", "backtrace", "continue",
        "display calls", "set var calls = 5", "print calls", "hs restore", "print/x $pc", "print/x $sp", "backtrace",
        "print calls", "continue", "print calls", "detach"], calls("counter()", cycles=2))
    begin = [text.split(" = ")[1] for text in said[2:4]]
    assert said[8].endswith("= 5") and "hs_guest_call_counter" in said[5]
    assert re.search(r"^#0 ", said[9], re.M) and said[9].endswith("1: calls = 0")
    assert [text.split(" = ")[1] for text in said[10:12]] == begin
    assert re.findall(r" in (\w+)", said[12])[-2:] == re.findall(r" in (\w+)", said[4])[-2:]
    assert "hs_guest_call_counter" not in said[12] and said[13].endswith("= 0")
    assert "Breakpoint 1, hs_guest_call_counter" in said[14] and said[15].endswith("= 0")


def linked_with_section(runner, directory, script):
    """A guest as one is made of an SDK that was built for the prefix /usr: start.S names the script."""
    machine = {"amd64": "-m64", "i686": "-m32"}[runner.arch]
    archive, start = directory / "guest.a", directory / "start.o"
    archive.write_bytes((runner.build / "guest" / f"libhindsight-guest-{runner.arch}.a").read_bytes())
    includes = [f"-I{ROOT / 'include'}", f"-I{ROOT / 'guest' / 'include'}"]
    run(["gcc", machine, "-g", *includes, f'-DHS_GDB_SCRIPT="{script}"', "-c",
         ROOT / "guest" / runner.arch / "start.S", "-o", start]).check()
    run(["ar", "d", archive, f"{runner.arch}-start_S.o"]).check()
    guest = directory / "sectioned.elf"
    run(["gcc", machine, "-g", "-ffreestanding", "-fno-pic", "-no-pie", "-static", "-nostdlib", "-Wl,--gc-sections",
         f"-Wl,-T,{ROOT / 'guest' / runner.arch / 'link.ld'}", *includes, ROOT / "guest" / "programs" / "hello.c",
         start, "-Wl,--whole-archive", archive, "-Wl,--no-whole-archive", "-o", guest]).check()
    return guest


@EACH_ARCH
def test_helper_is_loaded_by_a_guest_that_names_it(runner, scripts, tmp_path):
    script = scripts / "hindsight-gdb.py"
    # What gdb is configured for when the prefix is its own.
    said = gdb_batch([f"add-auto-load-safe-path {scripts}", f"file {linked_with_section(runner, tmp_path, script)}",
                      "info auto-load python-scripts", "hs roots"])
    assert "warning" not in said[1]
    assert re.search(rf"^Yes +{re.escape(str(script))}", said[2], re.M), said.text
    assert said[3].startswith("hs: nothing is debugged")


def test_helper_is_loaded_by_a_line_of_the_users_gdbinit(scripts, helper, tmp_path):
    (tmp_path / "gdb").mkdir()
    (tmp_path / "gdb" / "gdbinit").write_text(helper + "\n", encoding="utf-8")
    said = run(["gdb", "-q", "-batch", "-ex", "help hs roots"], env={"XDG_CONFIG_HOME": str(tmp_path)}).check()
    assert "Usage: hs roots" in said.stdout


@EACH_ARCH
def test_helper_guests_of_another_prefix_name_nothing_that_gdb_misses(runner):
    sections = run(["readelf", "-S", "-W", runner.guest("hello")]).check().stdout
    prefix = run(["meson", "introspect", "--buildoptions", runner.build]).check().stdout
    wanted = '"prefix", "value": "/usr"' in re.sub(r"\s+", " ", prefix)
    assert (".debug_gdb_scripts" in sections) == wanted
