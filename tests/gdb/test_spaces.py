# SPDX-License-Identifier: LGPL-2.1-or-later
"""Address spaces: memory of each by 'monitor root', each as a process of gdb's, and breakpoints of one that the others
do not see although they share its code. The guest is guest/programs/spaces.c: four spaces, numbered from 1 on here as
everywhere in a debugger, that take turns in `look`, which lies in a frame that all of them share."""

import re

import pytest

from lib.debuggers import gdb_batch
from lib.packets import gdb_packets
from lib.process import run

SPACES = 4
SECONDS = 60
OPTIONS = ["--core", "none", "--scratch", "32M"]

# Of each space, how often it comes to `look` after the first time that any does, which is in space 4.
LOOKS = {1: 3, 2: 4, 3: 4, 4: 2}


def own_page(runner):
    """Where each space has a page of its own."""
    return 0x10000000000 if runner.arch == "amd64" else 0x50000000


def session(runner, commands, ended=True):
    """What gdb wrote for commands behind the first `look`."""
    with runner.serve("spaces", options=OPTIONS) as served:
        said = gdb_batch([f"target extended-remote {served.address}", "break look", "continue", *commands])
        if ended:
            result = served.process.wait(SECONDS)
            assert result.rc == 0 and "0 wrong" in result.stdout, f"{result}\n{said.text}"
        return said[3:]


def attach(*processes):
    """Open spaces as inferiors 2, 3 and so on; the first one has what the CPU was in when gdb came."""
    return [command for place, process in enumerate(processes)
            for command in ("clone-inferior", f"inferior {place + 2}", f"attach {process}")]


def hits(text, number):
    match = re.search(rf"(?m)^{number} .*\n(?:\t.*\n)*?\tbreakpoint already hit (\d+) time", text)
    return int(match[1]) if match else 0


def value_of(space, what=1, turn=0):
    """What spaces.c writes to the page of a space."""
    return 0x1000000 * space + 0x10000 * turn + what


def words(text):
    return [int(word, 16) for line in text.splitlines() for word in line.split(":", 1)[1].split()]


def test_spaces_are_listed_as_roots_and_as_processes(runner):
    said = session(runner, ["info os", "info os processes", "monitor roots", "kill"], ended=False)
    assert re.search(r"(?m)^processes +The address spaces of the guest", said[0]), said
    rows = [line.split() for line in said[1].splitlines()]
    assert rows[0] == ["pid", "command", "root", "paging", "cores"]
    paging = "amd64-4" if runner.arch == "amd64" else "i686"
    assert [(row[0], row[1], row[3]) for row in rows[1:]] == [(str(n), "spaces.elf", paging) for n in range(1, 5)]
    assert [row[4:] for row in rows[1:]] == [[], [], [], ["0"]]
    lines = said[2].splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [[row[0], row[2]] for row in rows[1:]]
    assert [line.endswith("current") for line in lines] == [False, False, False, True]
    assert len({row[2] for row in rows[1:]}) == SPACES


def test_spaces_are_those_that_a_variable_of_the_guest_names(runner):
    with runner.serve("spaces", options=[*OPTIONS, "--roots", "symbol:list:8:2"]) as served:
        said = gdb_batch([f"target extended-remote {served.address}", "break look", "continue", "info os processes",
                          *attach(2), f"x/wx {own_page(runner):#x}", "delete", "inferior 1", "break look",
                          "ignore 2 1000", "continue", "info breakpoints"])
        assert served.process.wait(SECONDS).rc == 0
    # The CPU is in space 4, that nothing names: it is the first one's.
    rows = [line.split() for line in said[3].splitlines()[1:]]
    assert [(row[0], row[4:]) for row in rows] == [("1", ["0"]), ("2", [])], said.text
    assert words(said[7]) == [value_of(2)]
    assert hits(said[-1], 2) == sum(LOOKS.values()), said.text


def test_spaces_root_chooses_whose_memory_is_read(runner):
    own = own_page(runner)
    said = session(runner, [
        *[command for n in range(1, 5) for command in (f"monitor root {n}", f"x/wx {own:#x}", "monitor roots")],
        f"x/2i {own:#x}", "monitor root 2", "maintenance flush dcache", f"x/2i {own:#x}",
        "monitor root current", f"x/wx {own:#x}", "monitor root 5", "monitor root look", f"x/wx {own:#x}", "kill"],
        ended=False)
    for n in range(1, 5):
        chose, memory, roots = said[3 * n - 3:3 * n]
        assert chose.startswith(f"addresses are those of space {n},")
        assert words(memory) == [value_of(n)]
        assert [line.endswith("chosen") for line in roots.splitlines()[1:]] == [i == n for i in range(1, 5)]
    # 01 00, and what 00 and the number of the space come to: 00 04 00 is longer than 00 02.
    assert [line.split(":")[1].split()[0] for line in said[12].splitlines()] == ["add", "add"]
    assert said[15].splitlines()[0] == said[12].splitlines()[0] and said[15] != said[12]
    assert said[16] == "addresses are those of the space that the CPU is in"
    assert words(said[17]) == [value_of(4)]
    assert said[18] == "there is no address space 5: the guest has 4"
    assert said[19] == "'look' is no address space: give the number that 'monitor roots' shows"
    assert words(said[20]) == [value_of(4)]


def test_spaces_walk_and_maps_are_of_the_chosen_one(runner):
    own = own_page(runner)
    said = session(runner, [f"monitor walk {own:#x}", "monitor maps", "monitor root 2", f"monitor walk {own:#x}",
                            "monitor maps", "monitor maps 4", "monitor walk 0x7fffffff", "monitor walk nowhere",
                            "monitor maps 9", "kill"], ended=False)
    frames = [re.search(rf"0x0*{own:x}: 0x([0-9a-f]+)  rw[-x]-", said[i])[1] for i in (0, 3)]
    assert frames[0] != frames[1]
    digits = 16 if runner.arch == "amd64" else 8
    line = rf"(?m)^  0x{own:0{digits}x}  0x{own + 0x1fff:0{digits}x}  0x2000 +rw{'-' if digits == 16 else 'x'}-$"
    assert all(re.search(line, said[i]) for i in (1, 4, 5)), said
    assert said[1] == said[5] and said[4].splitlines()[0] != said[5].splitlines()[0]
    assert "not mapped" in said[6]
    assert said[7] == "'nowhere' is no address" and said[8].startswith("there is no address space 9")


def test_spaces_attached_are_inferiors_with_memory_of_their_own(runner):
    own = own_page(runner)
    said = session(runner, [
        *attach(2, 4), "info inferiors", "info threads", "inferior 2", f"x/wx {own:#x}", "info registers sp",
        "backtrace", f"x/2i {own:#x}", "inferior 3", f"x/wx {own:#x}", "backtrace", f"x/2i {own:#x}", "inferior 1",
        f"x/wx {own:#x}", "kill"], ended=False)[6:]
    inferiors = re.findall(r"(?m)^[* ] (\d) +process (\d) ", said[0])
    assert inferiors == [("1", "1"), ("2", "2"), ("3", "4")], said
    assert re.search(r"3\.1 +Thread 4\.1 \"CPU 0\" +look ", said[1]), said[1]
    assert said[1].count('.1 "not on a CPU"') == 2
    assert words(said[3]) == [value_of(2)]
    assert "<unavailable>" in said[4] and said[5].startswith("#0  <unavailable> in ?? ()")
    assert words(said[8]) == [value_of(4)]
    assert re.match(r"#0 +look .*\n#1 .* main ", said[9].replace("go_round", "main")), said[9]
    assert said[6] != said[10]
    assert words(said[12]) == [value_of(1)]


@pytest.mark.parametrize("command", ["break", "hbreak"])
@pytest.mark.parametrize("inferior", [1, 2])
def test_spaces_breakpoint_of_one_is_not_hit_in_others(runner, command, inferior):
    with runner.serve("spaces", options=OPTIONS) as served:
        said, packets = gdb_packets([
            f"target extended-remote {served.address}", "break look", "continue", *attach(2), "delete",
            f"{command} look", f"disable 2.{3 - inferior}", "ignore 2 1000", "inferior 1", "continue",
            "info breakpoints"], program=runner.guest("spaces"))
        assert served.process.wait(SECONDS).rc == 0
    assert hits(said[-1], 2) == LOOKS[inferior], said.text
    # gdb passes over a hit in a space where it has no breakpoint, too: it is not told of any.
    stops = [reply for reply in packets.replies(rb"vCont;.*") if reply and b"wbreak:" in reply]
    assert len(stops) == 1 + LOOKS[inferior], packets
    assert all(stop.startswith(b"T05thread:p%d.1;" % inferior) for stop in stops[1:]), packets


def test_spaces_breakpoint_of_two_is_hit_in_both_and_shows_each_its_memory(runner):
    own = own_page(runner)
    said = session(runner, [*attach(2), "inferior 1", "set schedule-multiple on",
                            *["continue", f"x/wx {own:#x}", "print space"] * 3, "ignore 1 1000", "continue",
                            "info breakpoints"])[5:]
    stops = [re.search(r"Thread (\d)\.1 ", said[3 * i])[1] for i in range(3)]
    assert stops == ["2", "1", "2"], said
    assert [words(said[3 * i + 1])[0] for i in range(3)] == [value_of(2), value_of(1), value_of(2)]
    assert [said[3 * i + 2].split("= ")[1] for i in range(3)] == ["1", "0", "1"]
    assert hits(said[-1], 1) == 1 + LOOKS[1] + LOOKS[2]


def test_spaces_of_a_client_that_attaches_to_none_are_one_process(runner):
    said = session(runner, ["info threads", "ignore 1 1000", "continue", "info breakpoints"])
    assert re.match(r"Id .*\n\* 1 +Thread 1\.1 \"CPU 0\" look ", said[0]), said
    assert hits(said[-1], 1) == 1 + sum(LOOKS.values())


def test_spaces_breakpoint_behind_monitor_root_is_of_that_space(runner):
    said = session(runner, ["delete", "monitor root 3", "break look", "ignore 2 1000", "continue", "info breakpoints"])
    assert hits(said[-1], 2) == LOOKS[3], said


def test_spaces_condition_sees_the_memory_of_its_space(runner):
    own = own_page(runner)
    said = session(runner, [*attach(2), "delete", f"break look if *(unsigned *) {own:#x} == {value_of(2, turn=1):#x}",
                            "ignore 2 1000", "inferior 1", "continue", "info breakpoints"])
    assert hits(said[-1], 2) == 1, said


def test_spaces_watchpoint_of_one_is_not_hit_in_others(runner):
    """Every space writes to its own page once a turn, and two turns are to come."""
    own = own_page(runner)
    said = session(runner, [*attach(2), "delete", f"watch *(unsigned *) {own:#x}", "inferior 1", "continue",
                            f"x/wx {own:#x}", "continue", f"x/wx {own:#x}", "continue"])[3:]
    stops = [said[i] for i in range(3, 9, 2)]
    assert all("watchpoint 2" in stop and f"New value = {value_of(2, turn=turn)}" in stop
               for turn, stop in enumerate(stops[:2], start=1)), said
    assert [words(said[i]) for i in (4, 6)] == [[value_of(2, turn=1)], [value_of(2, turn=2)]]
    assert "exited normally" in said[7], said


def test_spaces_write_is_to_the_memory_of_one(runner):
    own = own_page(runner)
    constant = own + 0x8000  # of all spaces, and none can write to it
    said = session(runner, [
        *attach(2), f"set var *(unsigned *) {own:#x} = 0x77", f"set var *(unsigned *) {constant:#x} = 0x88",
        f"x/wx {own:#x}", f"x/wx {constant:#x}", "inferior 1", f"x/wx {own:#x}", f"x/wx {constant:#x}",
        "kill"], ended=False)[3:]
    assert [words(said[i])[0] for i in (2, 3, 5, 6)] == [0x77, 0x88, value_of(4), 0x88], said


def test_spaces_planted_byte_is_in_no_memory_that_is_read(runner):
    with runner.serve("spaces", options=OPTIONS) as served:
        said = gdb_batch([
            f"target extended-remote {served.address}", "x/8xb look", "set breakpoint always-inserted on", "break look",
            "continue", *attach(2), "inferior 1", "python at = int(gdb.parse_and_eval('(long) &look'))",
            *[f"python print(gdb.execute('maintenance packet m%x,8' % at, to_string=True), "
              f"gdb.execute('monitor root {n}', to_string=True))" for n in range(1, 5)],
            "inferior 2", "python print(gdb.execute('maintenance packet m%x,8' % at, to_string=True))",
            "python text = gdb.execute('monitor walk %#x' % at, to_string=True)",
            "python import re; frame = re.findall(r': 0x([0-9a-f]+)  r', text)[-1]",
            "python print(gdb.execute(f'monitor phys 0x{frame} 8', to_string=True))", "kill"])
    code = bytes(words(said[1]))
    assert code[0] != 0xCC and len(code) == 8
    assert said.text.count(f'received: "{code.hex()}"') == SPACES + 1, said.text
    assert re.search(" ".join(f"{byte:02x}" for byte in code).replace(" ", " +"), said[-2]), said[-2]


def test_spaces_detach_of_one_takes_its_breakpoints_alone(runner):
    with runner.serve("spaces", options=OPTIONS) as served:
        said, packets = gdb_packets([
            f"target extended-remote {served.address}", "break look", "continue", "set breakpoint always-inserted on",
            *attach(2), "ignore 1 1000", "detach", "inferior 1", "continue", "info breakpoints"],
            program=runner.guest("spaces"))
        assert served.process.wait(SECONDS).rc == 0
    packets.check(rb"D;2", rb"OK")
    assert hits(said[-1], 1) == 1 + LOOKS[1], said.text


def test_spaces_that_there_are_not_cannot_be_attached_to(runner):
    said = session(runner, ["clone-inferior", "inferior 2", "attach 7", "info inferiors", "inferior 1", "print space",
                            "ignore 1 1000", "continue", "info breakpoints"])
    assert said[2] == "Attaching to process 7 failed"
    assert said[5] == "$1 = 3"
    assert hits(said[-1], 1) == 1 + sum(LOOKS.values())


@pytest.mark.parametrize("command", ["break", "hbreak"])
def test_spaces_that_a_snapshot_has_moved_keep_their_breakpoints(runner, command):
    """The first call is in a snapshot: the root is elsewhere than when the breakpoint was set. So in each cycle."""
    own = own_page(runner)
    calls = [word for space in (1, 0, 1) for word in ("--call", f"visit({space}u)")]
    with runner.serve("space_calls", options=["--core", "none", "--cycles", "5", *calls]) as served:
        said = gdb_batch([f"target extended-remote {served.address}", "break hs_guest_serve", "continue", *attach(2),
                          "delete", f"{command} visited", "disable 2.1", "inferior 1", "monitor roots", "continue",
                          "monitor roots", f"x/wd {own:#x}", "inferior 1", f"x/wd {own:#x}", "inferior 2",
                          "ignore 2 1000", "continue", "info breakpoints"])
        result = served.process.wait(SECONDS)
    assert result.stdout == "visit(1u) = 201u\nvisit(0u) = 101u\nvisit(1u) = 202u\n", f"{result}\n{said.text}"
    before, after = ([line.split()[1] for line in said[i].splitlines()[1:]] for i in (-10, -8))
    assert before[1] != after[1], said.text
    assert said[-7].endswith("200") and said[-5].endswith("100"), said.text
    assert hits(said[-1], 2) == 10, said.text


def test_spaces_of_a_core_are_processes_too(runner):
    own = own_page(runner)
    core = next(path for name, path in runner.run("eight_spaces", options=["--scratch", "32M"]).files.items()
                if name.endswith(".core"))
    with runner.place.spawn([runner.hindsight, "debug", "--gdb", *runner.place.listen_options, core]) as process:
        port = process.stderr.wait_for(runner.READY, SECONDS)[1]
        said = gdb_batch([
            f"target extended-remote {runner.place.reach(int(port))}", "info os processes", "backtrace",
            *[command for n in (1, 8) for command in ("clone-inferior", f"inferior {2 if n == 1 else 3}", f"attach {n}",
                                                      f"x/s {own:#x}", "info registers sp")],
            "inferior 3", f"monitor walk {own:#x}", "inferior 1", f"x/s {own:#x}", f"monitor walk {own:#x}",
            "monitor maps 2", "kill"])
    walked = run([runner.hindsight, "pagetable", "walk", core, f"{own:#x}"], SECONDS).check().stdout
    rows = [line.split() for line in said[1].splitlines()[1:]]
    assert [row[0] for row in rows] == [str(n) for n in range(1, 9)]
    assert [row[0] for row in rows if row[-1] == "0"] == ["6"]
    assert "main" in said[2]
    for place, number in ((3, 1), (8, 8)):
        assert f'"the page of space {number - 1}"' in said[place + 3] and "<unavailable>" in said[place + 4]
    assert '"the page of space 5"' in said[16]
    # The text is that of the command, which walks the CPU's tables.
    assert said[17] == walked.strip("\n") and said[14] != said[17]
    assert f"{own:x}" in said[18]
