# SPDX-License-Identifier: LGPL-2.1-or-later
"""The list of monitor commands that a live guest has, and that each of them is there."""

import re

from lib.debuggers import gdb_batch

# As listed, each with an argument that it takes, and how its answer begins then.
COMMANDS = {
    "info": ("", r"image +\S*debugme\.elf"),
    "regs": ("", r"[re]ax +0x"),
    "core": ("a.core", r"core: \./a\.core \("),
    "snapshot": ("here", r"checkpoint here: \d+ pages"),
    "restore": ("here", r"the guest is where checkpoint here was taken"),
    "snapshots": ("", r"start +0x.*\nhere +0x"),
    "forget": ("here", r"checkpoint here is gone"),
    "cycle": ("0", r"no restore stops the guest"),
    "phys": ("0x1000 16", r"0x0*1000  ([0-9a-f]{2} ){16}"),
    "roots": ("", r"number +root +paging"),
    "root": ("current", r"addresses are those of the space that the CPU is in"),
    "walk": ("0x1000", r"root 0x[0-9a-f]+, (amd64|i686)"),
    "maps": ("", r"root 0x[0-9a-f]+, (amd64|i686)"),
    "backtrace": ("", r"#0 +0x[0-9a-f]+ +_start"),
    "stats": ("", r"runs +0"),
    "doctor": ("", r"Guests run on"),
}


def test_monitor_help_of_a_live_guest_lists_each_command_and_each_answers(runner, tmp_path):
    with runner.serve("debugme", options=["--core", "none"], cwd=tmp_path) as served:
        listed, *answers, unknown, _ = gdb_batch([
            f"target remote {served.address}", "monitor help",
            *(f"monitor {name} {argument}" for name, (argument, _) in COMMANDS.items()), "monitor fly", "kill"])[1:]
    assert [line.split()[0] for line in listed.splitlines()] == ["help", *COMMANDS], listed
    for (name, (_, begins)), answer in zip(COMMANDS.items(), answers):
        assert re.match(begins, answer), (name, answer)
    assert unknown == "no such command; 'monitor help' lists them"


NO_SPACE = "'{}' is no address space: give the number that 'monitor roots' shows"
REFUSED = {
    "root 99999999999999999999": NO_SPACE.format("99999999999999999999"),
    "root 4294967297": NO_SPACE.format("4294967297"),
    "root 1x": NO_SPACE.format("1x"),
    "maps 18446744073709551617": NO_SPACE.format("18446744073709551617"),
    "walk 0x10000000000000000": "'0x10000000000000000' is no address",
    "walk 0x": "'0x' is no address",
    "phys 0x10000000000000000": "phys wants a guest-physical address and perhaps a length of 1 to 65536 bytes",
    "phys 0 18446744073709551617": "phys wants a guest-physical address and perhaps a length of 1 to 65536 bytes",
    "phys 0 1 2": "phys wants a guest-physical address and perhaps a length of 1 to 65536 bytes",
    "restore nowhere": "no checkpoint 'nowhere' ('monitor snapshots' lists them)",
    "restore ../here": "no checkpoint '../here' ('monitor snapshots' lists them)",
    "snapshot ../here": "a name has up to 63 letters, digits, '_', '.' and '-'",
    "snapshot": "snapshot wants an argument: snapshot NAME",
    "forget": "forget wants an argument: forget NAME",
    "forget start": "'start' is where the session began, and stays",
    "phys": "phys wants an argument: phys ADDR [N]",
    "root": "root wants an argument: root N|current",
    "walk ": "walk wants an argument: walk ADDR",
    "forget nowhere": "no checkpoint 'nowhere' ('monitor snapshots' lists them)",
    "regs rax": "regs takes no argument",
    "INFO": "no such command; 'monitor help' lists them",
    "%s%n": "no such command; 'monitor help' lists them",
}


def test_monitor_arguments_that_make_no_sense_are_refused_in_words(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", *(f"monitor {line}" for line in REFUSED), "kill"])[1:-1]
    assert dict(zip(REFUSED, said)) == REFUSED


def test_monitor_tells_of_a_guest_that_has_ended_and_of_none_that_runs(runner, tmp_path):
    """gdb stays in extended mode. Of an error it would say "Protocol error with Rcmd", and no more."""
    with runner.serve("debugme", "crash", options=["--core", "none"], cwd=tmp_path) as served:
        said = gdb_batch([f"target extended-remote {served.address}", "continue", "continue", "monitor info",
                          "monitor backtrace", "monitor core a.core", "monitor snapshot a", "monitor restore start",
                          "monitor cycle", "run", "monitor info", "detach", "monitor info"])[1:]
    assert "received signal SIGSEGV" in said[0] and "terminated with signal SIGSEGV" in said[1]
    assert "\nstate     ended by a crash: page fault (#PF): write to 0x0, not mapped\n" in said[2]
    assert re.match(r"#0 +0x[0-9a-f]+ +store_price", said[3]), said[3]
    assert re.match(r"core: \./a\.core \(", said[4])
    assert said[5:8] == ["the guest has ended"] * 3
    assert "received signal SIGSEGV" in said[8] and "\nstate     stopped at a crash (exception): " in said[9]
    assert said[11] == "detached from the guest"
    assert any(name == "a.core" for name in runner.place.collect(tmp_path))
