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
