# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight core report` of guests that really crashed: against what each program does, what gdb reads in the same
core, and the file that the image was made of."""

import json
import os
import pathlib
import re
import shutil

import pytest

from lib.crashes import CRASHES
from lib.process import run
from lib.report import parse
from lib.runner import RUNNERS


def _crashes(runners):
    return pytest.mark.parametrize(
        ("runner", "crashed"),
        [(runner, name) for runner in runners for name, crash in CRASHES.items() if crash.only in runner],
        indirect=True)


EACH_CRASH = _crashes(RUNNERS)
# The machines that have the sources that a report quotes.
EACH_CRASH_HERE = _crashes([name for name in RUNNERS if not name.endswith("-rig")])
DATA = "data"
"""A variable that page_fetch jumps to: gdb takes any symbol for a function."""
SOFT = pytest.mark.parametrize(("runner", "crashed"), [("amd64-soft", "page_write"), ("i686-soft", "page_write")],
                               indirect=True)


@pytest.fixture
def report(build, tmp_path):
    """`hindsight core report` with its words."""
    def call(*words, env=None):
        return run([str(build / "hindsight"), "core", "report", *map(str, words)], cwd=tmp_path, env=env)
    return call


def object_of(report, *words):
    result = report(*words, "--json")
    assert (result.rc, result.stderr) == (0, ""), result
    return json.loads(result.stdout)


@EACH_CRASH
def test_report_of_a_crash_says_what_gdb_says(crashed, report):
    told = object_of(report, crashed.core)
    crash = crashed.crash
    assert (told["reason"]["name"], told["signal"]["number"], told["signal"]["code"]) == (
        crash.kind, crash.signal, crash.code)
    assert re.search(crash.reason, told["reason"]["text"])
    assert told["registers_lost"] == crashed.lost
    registers = {name: int(value, 16) for name, value in told["registers"].items()}
    seen = crashed.registers
    assert {name: registers[name] for name in seen if name in registers} == {
        name: value for name, value in seen.items() if name in registers}
    assert crashed.pc in registers and len(registers) > 15
    if not crashed.lost:
        check_frames(crashed, told["backtrace"]["frames"])
        assert int(told["instructions"][0]["address"], 16) == registers[crashed.pc]
        check_source(crash, told)


def check_frames(crashed, frames):
    """All of gdb's, inlined ones included. It stops at main()."""
    wanted = tuple(name for name in crashed.crash.frames if name != DATA)
    names = tuple(frame["function"] for frame in frames if frame["function"] or "??" in wanted)
    assert tuple(name or "??" for name in names[:len(wanted)]) == wanted
    (said,) = crashed.gdb("backtrace")
    seen = re.findall(r"^#\d+ +(?:0x(\w+) in )?(\S+) \(.*?\)(?: at (\S+):(\d+))?$", said, re.M)
    assert 0 < len(seen) <= len(frames), said
    for (pc, name, file, line), frame in zip(seen, frames):
        assert ("??" if name == DATA else name, int(line or 0)) == (frame["function"] or "??", frame["line"])
        assert pathlib.Path(file).name == pathlib.Path(frame["file"]).name
        assert not pc or int(pc, 16) == int(frame["pc"], 16)


def check_source(crash, told):
    """The line that crashed, of the innermost frame of the guest's own that has one, as the file has it."""
    frame = next(frame for frame in told["backtrace"]["frames"]
                 if frame["line"] and frame["function"] != "hs_abort"
                 and not (frame["inlined"] and frame["function"].startswith("hs_")))
    source = told["source"]
    assert (source["file"], source["line"]) == (os.path.realpath(frame["file"]), frame["line"])
    with open(source["file"], encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert [line["text"] for line in source["lines"]] == [lines[line["number"] - 1] for line in source["lines"]]
    assert source["line"] in [line["number"] for line in source["lines"]]
    if source["file"].endswith(crash.source.name):
        assert source["line"] == crash.line


@EACH_CRASH_HERE
def test_report_of_a_fault_walks_the_page_tables_as_pagetable_does(crashed, report, pagetable):
    fault = object_of(report, crashed.core)["fault"]
    if fault is None:
        assert crashed.crash.signal not in (7, 11) or crashed.crash.address in ("pc", None)
        return
    result = pagetable("walk", crashed.core, fault["address"], "--json")
    (walk,) = json.loads(result.stdout)["walks"]
    assert [(step["name"], step["entry"], step["index"]) for step in fault["walk"]] == [
        (level["name"], level["entry"], level["index"]) for level in walk["levels"]]
    mapped = walk["physical"] is not None
    assert fault["why"].startswith("mapped" if mapped else ("not mapped", "not a canonical address"))


@EACH_CRASH_HERE
def test_report_of_a_space_has_the_ranges_of_pagetable(crashed, report, pagetable):
    (space,) = object_of(report, crashed.core)["spaces"]
    (listed,) = json.loads(pagetable("list", crashed.core, "--json").stdout)["spaces"]
    ranges = [item for item in listed["ranges"] if item["kind"] == "mapped"]
    assert space["bytes"] == sum(int(item["length"], 16) for item in ranges)
    pages = {}
    for item in ranges:
        start = int(item["address"], 16)
        for page in range(start, start + int(item["length"], 16), 4096):
            pages[page] = item["access"]
    areas = {}
    for area in space["areas"]:
        start = int(area["address"], 16)
        for page in range(start, start + area["length"], 4096):
            areas[page] = area["access"].replace("-", "")
    assert areas == pages


@SOFT
def test_report_text_shows_each_part_once(crashed, report):
    result = report(crashed.core)
    assert (result.rc, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    for title in ("source", "instructions", "backtrace", "registers", "page tables on the way there",
                  "memory around it"):
        assert lines.count(title) == 1, title
    assert any(line.startswith("what ") and "write to 0xdead0000" in line for line in lines)
    (line,) = [line for line in lines if line.startswith("  =>") and line.split()[1].isdigit()]
    assert line.split()[1:] == [str(crashed.crash.line), "*where", "=", "42;"]
    assert "\033" not in result.stdout


@SOFT
def test_report_without_the_image_says_so_and_shows_the_rest(crashed, report, tmp_path, build):
    image = tmp_path / "guest.elf"
    shutil.copy(crashed.image, image)
    result = run([str(build / "hindsight"), "run", "--backend", "soft", str(image)], cwd=tmp_path)
    assert result.rc == 139
    (core,) = tmp_path.glob("*.core")
    image.unlink()
    told = object_of(report, core)
    assert told["symbols_missing"] == f"{image}: No such file or directory"
    assert told["source"] is None and told["backtrace"]["frames"][0]["function"] == ""
    assert told["instructions"][0]["text"].startswith("mov ")
    assert object_of(report, core, "--image", crashed.image)["backtrace"]["frames"][0]["function"] == "write_to"


@SOFT
def test_report_with_another_build_of_the_image_refuses_its_symbols(crashed, report):
    other = crashed.image.with_name("divide.elf")
    told = object_of(report, crashed.core, "--image", other)
    assert told["symbols_missing"] == f"{other} is another build than the guest's"
    assert told["backtrace"]["frames"][0]["function"] == ""


@pytest.mark.parametrize(("words", "message"), [
    (("--json", "--html", "x.html"), "--json and --html do not go together"),
    (("/nowhere.core",), "/nowhere.core: No such file or directory"),
])
def test_report_with_bad_words_says_which(report, words, message):
    result = report(*words, *(["x.core"] if words[0] != "/nowhere.core" else []))
    assert result.rc in (2, 125) and result.stdout == ""
    assert message in result.stderr.splitlines()[0]


@SOFT
def test_report_html_replaces_no_file(crashed, report, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("mine")
    result = report(crashed.core, "--html", page)
    assert (result.rc, page.read_text()) == (125, "mine")
    assert result.stderr == f"hindsight: {page}: File exists\n"


def test_report_of_a_core_of_a_process_is_refused(report, tmp_path):
    source = tmp_path / "a.c"
    source.write_text("int main(void) { return 0; }\n")
    assert run(["gcc", "-g", "-o", "a", source], cwd=tmp_path).rc == 0
    gdb = run(["gdb", "-nx", "-batch", "-ex", "break main", "-ex", "run", "-ex", "generate-core-file c.core", "./a"],
              cwd=tmp_path)
    if not (tmp_path / "c.core").exists():
        pytest.skip(f"gdb cannot run a process here: {gdb.stderr.strip()}")
    result = report(tmp_path / "c.core")
    assert (result.rc, result.stdout) == (125, "")
    assert result.stderr == (f"hindsight: {tmp_path / 'c.core'}: not a core of hindsight's: it does not say where its "
                             "page tables are\n")


@EACH_CRASH_HERE
def test_run_tells_what_the_report_of_its_core_tells(crashed, report):
    """Behind the head, which `run` says in two lines of its own."""
    told = parse(crashed.result.stderr).told
    assert told.startswith(("source\n", "instructions\n", "registers"))
    assert report(crashed.core).stdout.split("\n\n", 1)[1] == told


@pytest.mark.parametrize("runner", [name for name in RUNNERS if not name.endswith("-rig")], indirect=True)
def test_report_of_a_call_that_crashed_tells_what_went_before(runner, report, tmp_path):
    """The calls and logs of this life, and the registers that are not those of the snapshot it began with."""
    calls = ["add(1, 2)", 'write_log(2u, "hi\\nthere")', 'call_back("say", 7)', "fault_in_call(4660UL)"]
    options = [word for call in calls for word in ("--call", call)]
    result = runner.run("functions", options=[*options, "--snapshot", tmp_path / "ready", "--cycles", "2"])
    assert result.rc == 139, result
    (core,) = result.files.values()
    told = object_of(report, core)
    assert told["log"] == ["call add", "call write_log", "warning: hi there", "call call_back", "host call say",
                           "call fault_in_call"]
    ready = json.loads(run([runner.hindsight, "core", "info", "--json", tmp_path / "ready"]).stdout)
    before = {name: int(value, 16) for name, value in ready["cpus"][0].items()}
    now = {name: int(value, 16) for name, value in told["registers"].items()}
    general = [name for name in now if name[0] == "r" or name[0] == "e" and name != "efer" and name != "es"]
    assert len(general) == (18 if runner.arch == "amd64" else 10)
    assert {name: int(value, 16) for name, value in told["changed"].items()} == {
        name: before[name] for name in general if before[name] != now[name]}
    assert {"rip", "eip"} & set(told["changed"])
    parts = parse(result.stderr[result.stderr.index("hindsight: functions.elf: page fault"):]).told
    assert report(core).stdout.split("\n\n", 1)[1] == parts


@SOFT
def test_report_takes_from_the_debug_file_what_the_image_lacks(crashed, report, tmp_path, build):
    image = tmp_path / "guest.elf"
    assert run(["objcopy", "--strip-all", crashed.image, image]).rc == 0
    build_id = re.search(r"Build ID: (\w+)", run(["readelf", "-n", image]).stdout)[1]
    debug = tmp_path / "debug" / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    debug.parent.mkdir(parents=True)
    assert run(["objcopy", "--only-keep-debug", crashed.image, debug]).rc == 0
    assert run([str(build / "hindsight"), "run", "--backend", "soft", str(image)], cwd=tmp_path).rc == 139
    (core,) = tmp_path.glob("*.core")
    bare = object_of(report, core)
    assert bare["source"] is None and bare["backtrace"]["frames"][0]["function"] == ""
    told = object_of(report, core, "--debug-dir", tmp_path / "debug")
    whole = object_of(report, crashed.core)
    assert told["source"] == whole["source"] and told["source"]["line"] == crashed.crash.line
    names = [frame["function"] for frame in told["backtrace"]["frames"]]
    assert names == [frame["function"] for frame in whole["backtrace"]["frames"]] and "main" in names
