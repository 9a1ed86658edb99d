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
@pytest.mark.parametrize("options", [[], ["--call", "counter()"]], ids=["to_its_end", "called"])
def test_helper_cycle_of_a_guest_without_cycles_leaves_it_where_it_is(runner, helper, tmp_path, options):
    script = tmp_path / "script.gdb"
    script.write_text("hs cycle\nprint 6 * 7\n", encoding="utf-8")
    said = session(runner, helper, "functions", ["break hs_guest_call_counter", "hs cycle", "hs cycle 3", "print $pc",
                                                 f"source {script}", "monitor cycle", "monitor restore", "detach"],
                   ["--core", "none", *options])
    why = "this guest has no cycles ('hindsight run --call F --cycles N' makes them)"
    assert said[1:3] == [why] * 2
    assert "<_start>" in said[3]
    # An error, which ends a script.
    assert said[4].endswith(f":1: Error in sourced command file:\n{why}")
    assert said[5:7] == [why, "the guest stands on no snapshot"]


@EACH_ARCH
def test_helper_cycle_of_no_number_is_refused(runner, helper):
    said = session(runner, helper, "functions", ["hs cycle 0", "hs cycle nonsense", "hs cycle 1.5", "hs cycle main",
                                                 "print $pc"], calls("counter()", cycles=2))
    assert said[:3] == ["hs: 0 is less than 1", 'hs: No symbol "nonsense" in current context.',
                        "hs: '1.5' is no number of cycles: its type is double"]
    assert said[3].startswith("hs: 'main' is no number of cycles: its type is int (")
    assert "<_start>" in said[4]


@EACH_ARCH
def test_helper_commands_that_there_are_not_are_refused(runner, helper):
    said = session(runner, helper, "hello", ["hs fly 3", "hs roots 3", "print $pc"])
    assert said[:2] == ["hs: there is no 'hs fly' ('help hs' lists what there is)", "roots takes no argument"]
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


def test_helper_snapshot_is_restored_by_its_name_with_all_that_gdb_shows(runner, helper):
    place = ["print/x $pc", "backtrace", "print name", "print order->items[0]"]
    said = session(runner, helper, "debugme", [
        "break process", "continue", "hs snapshot first-1", *place, "set var order->items[0].count = 77",
        "hs snapshot second", "delete", "break store_price", "continue", "hs restore first-1", *place,
        "hs restore second", "print order->items[0].count", "continue", "backtrace 1", "hs restore start",
        "print/x $pc", "detach"])
    assert re.fullmatch(r"checkpoint first-1: \d+ pages", said[2])
    assert "store_price" in said[11] and "#0  process" in said[12]
    # But for the number of gdb's own history.
    assert [re.sub(r"^\$\d+", "", text) for text in said[13:17]] == [re.sub(r"^\$\d+", "", text) for text in said[3:7]]
    assert "maintenance flush" not in said[12] and said[18].endswith("= 77")
    assert "Breakpoint 2, store_price" in said[19] and "store_price" in said[20]
    assert "_start" in said[21] and "store_price" not in said[21]


def test_helper_snapshots_are_listed_and_completed(runner, helper):
    said = session(runner, helper, "debugme", [
        "hs snapshot", "complete hs restore ", "hs snapshot one", "hs snapshot other", "hs snapshot one", "hs snapshot",
        "complete hs restore o", "complete hs restore on", "complete hs snapshot ot", "hs restore nowhere",
        "hs snapshot no name", "hs restore one two", "print/x $pc"])
    assert said[1] == "hs restore start" and re.match(r"start +0x", said[0]) and len(said[0].splitlines()) == 1
    assert said[4].endswith("(the one before is gone)")
    assert sorted(line.split()[0] for line in said[5].splitlines()) == ["one", "other", "start"]
    assert said[6] == "hs restore one\nhs restore other" and said[7] == "hs restore one"
    assert said[8] == "hs snapshot other"
    assert said[9] == "no checkpoint 'nowhere' ('monitor snapshots' lists them)"
    assert "a name has" in said[10] and said[11].startswith("no checkpoint 'one two'")


@pytest.mark.parametrize("refused", ["hs restore nowhere", "hs snapshot no name", "hs root 9"])
@EACH_ARCH
def test_helper_command_that_is_refused_ends_a_script(runner, helper, tmp_path, refused):
    script = tmp_path / "script.gdb"
    script.write_text(f"hs restore start\n{refused}\nprint 6 * 7\n", encoding="utf-8")
    said, after, _ = session(runner, helper, "debugme", [f"source {script}", "print 40 + 3", "detach"])
    assert "the guest is where its session began" in said and f"{script}:2: Error in sourced command file:" in said
    assert "= 42" not in said and after == "$1 = 43"


def test_helper_restore_after_a_crash_goes_on_before_it(runner, helper):
    said = session(runner, helper, "page_write", [
        "break main", "continue", "hs snapshot before", "delete", "continue", "hs restore before",
        "print $_siginfo.si_signo", "continue"], ["--core", "none"])
    assert all("received signal SIGSEGV" in said[number] for number in (4, 7))
    assert "#0  main" in said[5]


SPACES = ["--scratch", "32M"]


def test_helper_root_shows_the_memory_of_each_space_at_once(runner, helper):
    own = {"amd64": "0x10000000000", "i686": "0x50000000"}[runner.arch]
    look = f"x/xw {own}"
    said = session(runner, helper, "spaces", [
        "break show if space == 2", "continue", "hs roots", look, "hs root 1", look, "hs root 2", look,
        "hs root 4", look, "hs root current", look, "complete hs root ", "complete hs root c", "hs root 9",
        "hs root", look, "detach"], SPACES)
    rows = re.findall(r"^ +(\d) +0x\w+ .*?( current)?$", said[2], re.M)
    assert rows == [("1", ""), ("2", ""), ("3", " current"), ("4", "")], said[2]
    values = [said[number].split("\t")[1] for number in (3, 5, 7, 9, 11)]
    assert values == ["0x03000001", "0x01000001", "0x02000001", "0x04000001", "0x03000001"]
    assert said[12].splitlines() == [f"hs root {name}" for name in (1, 2, 3, 4, "current")]
    assert said[13] == "hs root current"
    assert "there is no address space 9" in said[14] and said[15].startswith("hs root: which?")
    assert said[16].endswith("0x03000001")


def test_helper_walk_takes_expressions(runner, helper):
    said = session(runner, helper, "spaces", [
        "hs walk main", "hs walk &wrong", "hs walk $pc", "hs walk *(int *)$sp", "hs walk", "hs walk 1.5",
        "hs walk nonsense", "print/x (unsigned long)main", "print/x (unsigned long)&wrong",
        "print/x (unsigned long)$pc", "complete hs walk write_forb", "hs walk -1"])

    def walked(text):
        return int(re.search(r"^  0x(\w+): ", text, re.M)[1], 16)

    assert all("index  value" in text for text in said[:4])
    assert [walked(text) for text in said[:3]] == [int(text.split(" = ")[1], 16) for text in said[7:10]]
    assert said[4] == "hs walk: an address is missing, as in 'hs walk $sp'"
    assert said[5] == "hs: '1.5' is no address: its type is double"
    assert said[6] == 'hs: No symbol "nonsense" in current context.'
    assert said[10] == "hs walk write_forbidden"
    assert walked(said[11]) == 2 ** {"amd64": 64, "i686": 32}[runner.arch] - 1


@EACH_ARCH
def test_helper_commands_on_a_guest_that_was_let_go_or_has_ended_say_so(runner, helper):
    with runner.serve("hello", options=["--core", "none"]) as served:
        said = gdb_batch([helper, f"target extended-remote {served.address}", "continue", "hs roots",
                          "hs restore start", "start", "kill", "hs snapshot a", "start", "detach", "hs roots",
                          "hs cycle"])
    assert "exited normally" in said[2] and re.search(r"^ +1 +0x.* current$", said[3], re.M)
    assert said[4].startswith("the guest has ended") and said[7] == "the guest has ended"
    assert said[10:12] == ["hs: detached from the guest"] * 2


@EACH_ARCH
def test_helper_looks_into_a_core_that_hindsight_serves(helper, runner):
    core = next(path for name, path in runner.run("divide").files.items() if name.endswith(".core"))
    with LocalProcess([runner.hindsight, "debug", "--gdb", "127.0.0.1:0", core]) as served:
        address = served.stderr.wait_for(r"waiting for a debugger on (\S+) ", SECONDS)[1]
        said = gdb_batch([helper, f"target remote {address}", "hs roots", "hs walk $pc", "hs restore",
                          "hs cycle", "kill"])
    assert re.search(r"^ +1 +0x.* current$", said[2], re.M) and "index  value" in said[3]
    assert said[4].startswith("hs: this target has no 'monitor restore'")
    assert said[5].startswith("hs: this target has no 'monitor cycle'")


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
