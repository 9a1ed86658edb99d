# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program that restores its own guest while gdb or lldb is attached: <hindsight/debug.h>, by examples/debugged.c."""

import contextlib
import re

from lib.debuggers import gdb_batch, lldb_batch
from lib.runner import RUN_SECONDS, Served

CYCLES = 12


@contextlib.contextmanager
def program(runner, cycles=CYCLES, cores="none", guest="functions", **kwargs):
    """The example, once it waits for its debugger."""
    words = [runner.build / "examples/example_debugged", *runner.place.listen_options, runner.backend, str(cycles),
             cores, runner.guest(guest)]
    running = runner.place.spawn(words, **kwargs)
    with running:
        port = running.stderr.wait_for(r"waiting for a debugger on \S+:(\d+)\n", RUN_SECONDS)[1]
        yield Served(running, runner.place.reach(int(port)))


def session(runner, commands, remote="remote", **how):
    with program(runner, **how) as served:
        said = gdb_batch([f"target {remote} {served.address}", *commands])
        ended = served.process.wait(RUN_SECONDS)
    return said[1:], ended


def hits(text, number):
    match = re.search(rf"(?m)^{number} .*\n(?:\t.*\n)*?\tbreakpoint already hit (\d+) time", text)
    return int(match[1]) if match else 0


def test_embedder_restores_keep_breakpoints_watchpoints_and_conditions(runner):
    said, ended = session(runner, [
        "break hs_guest_call_counter", "hbreak hs_guest_call_counter", "break hs_guest_call_counter if calls == 1",
        "awatch calls", "ignore 1 1000", "ignore 2 1000", "ignore 4 1000", "continue", "info breakpoints",
    ])
    assert [hits(said[-1], number) for number in (1, 2, 3)] == [CYCLES, CYCLES, 0], said.text
    assert hits(said[-1], 4) % CYCLES == 0 and hits(said[-1], 4) >= 2 * CYCLES, said.text
    assert ended.stdout == "1\n" * CYCLES + f"exited 0 after {CYCLES} cycles\n", str(ended)


def test_embedder_restores_keep_the_chosen_space(runner):
    own = 0x10000000000 if runner.arch == "amd64" else 0x50000000
    shown = [f"x/wd {own:#x}", "monitor roots"]
    said, ended = session(runner, [
        "tbreak hs_guest_call_counter", "continue", "monitor root 2", *shown, "break visited",
        "monitor cycle", "continue", *shown, "monitor cycle 5", "continue", *shown, "continue",
    ], guest="space_calls")
    for memory, roots in (said[3:5], said[8:10], said[12:14]):
        assert memory.endswith("200") and roots.splitlines()[2].endswith("chosen"), said
    # The CPU comes to `visited` in the other space only.
    assert "exited normally" in said[-1], said
    assert ended.stdout == "101\n" * CYCLES + f"exited 0 after {CYCLES} cycles\n", str(ended)


def test_embedder_planted_bytes_are_in_no_read_and_no_core(runner, tmp_path):
    guest = runner.guest("functions")
    places = ["hs_guest_call_counter", "hs_guest_call_add"]
    show = [f"x/8xb {place}" for place in places]
    clean = gdb_batch(show, guest)
    said, _ = session(runner, [
        "set breakpoint always-inserted on", *(f"break *{place}" for place in places), "continue", *show, "continue 3",
        *show, "monitor core a.core", "kill"], cwd=tmp_path)
    assert said[4:6] == clean and said[7:9] == clean, said.text
    core = runner.place.collect(tmp_path)["a.core"]
    assert gdb_batch(show, guest, core) == clean


def test_embedder_guest_is_begun_again_by_run_and_put_back_by_monitor_restore(runner):
    said, ended = session(runner, [
        "break hs_guest_call_counter", "ignore 1 4", "continue", "print calls", "run", "continue 3", "finish",
        "print calls", "monitor restore", "continue", "print calls", "delete", "continue", "disconnect",
    ], remote="extended-remote")
    assert [said[i].splitlines()[-1] for i in (3, 7, 10)] == ["$1 = 0", "$2 = 1", "$3 = 0"], said.text
    assert "exited normally" in said[12], said.text
    # Four before `run`; the one that `monitor restore` has cut off is not counted.
    assert ended.stdout == "1\n" * (4 + CYCLES) + f"exited 0 after {CYCLES} cycles\n", str(ended)


def test_embedder_checkpoint_inside_a_call_finishes_that_call_without_it(runner):
    said, ended = session(runner, [
        "break hs_guest_call_counter", "continue", "monitor snapshot inside", "continue", "continue",
        "monitor restore inside", "delete", "continue",
    ])
    assert "exited normally" in said[-1], said.text
    assert ended.stdout == "1\n" * CYCLES + f"exited 0 after {CYCLES} cycles\n", str(ended)


def test_embedder_crash_that_is_let_happen_leaves_a_core_and_is_told(runner):
    commands = ["break hs_guest_call_counter", "continue", "set var $pc = 8", "continue", "continue"]
    said, ended = session(runner, commands, cores=".")
    assert "SIGSEGV" in said[-2] and "SIGSEGV" in said[-1], said.text
    core, last = ended.stdout.splitlines()
    assert re.fullmatch(r"core: \./functions\.elf\.\d+\.0\.core", core), str(ended)
    assert last == "crashed 0 after 0 cycles"


def test_embedder_core_that_cannot_be_written_is_told(runner):
    commands = ["break hs_guest_call_counter", "continue", "set var $pc = 8", "continue", "continue"]
    _, ended = session(runner, commands, cores="missing")
    assert re.fullmatch(r"core: .*missing.*: No such file or directory\ncrashed 0 after 0 cycles\n", ended.stdout)


def test_embedder_guest_that_is_killed_is_told(runner):
    _, ended = session(runner, ["break hs_guest_call_counter", "continue", "kill"])
    assert ended.stdout == "killed 0 after 0 cycles\n", str(ended)


def test_embedder_restores_keep_breakpoints_of_lldb(runner):
    with program(runner) as served:
        said = lldb_batch([f"gdb-remote {served.address.rsplit(':', 1)[1]}", "breakpoint set -n hs_guest_call_counter",
                           "breakpoint modify -i 1000 1", "continue", "breakpoint list"])
        ended = served.process.wait(RUN_SECONDS)
    assert f"hit count = {CYCLES}" in said, said
    assert ended.stdout == "1\n" * CYCLES + f"exited 0 after {CYCLES} cycles\n", str(ended)
