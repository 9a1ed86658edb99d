# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that leaves the mode its image is of (guest/programs/modes.c): each client is told of the registers of the
mode in which it finds the CPU."""

import re

import pytest

from lib.debuggers import gdb_batch, lldb_batch
from lib.runner import RUNNERS

WORDS = {"amd64": "i386:x86-64", "i686": "i386"}
OTHER = {"amd64": "i686", "i686": "amd64"}
CONNECTIONS = 20
AMD64, I686 = (pytest.mark.parametrize("runner", [name for name in RUNNERS if name.startswith(arch)], indirect=True)
               for arch in ("amd64", "i686"))


def architecture(served):
    said = gdb_batch([f"target remote {served.address}", "show architecture", "detach"])
    return re.search(r'currently "(.*?)"', said[1])[1]


@pytest.fixture
def other(runner):
    """The guest, served, which a first gdb has found in its image's mode, and which is in the other one by now."""
    with runner.serve("modes", options=["--core", "none"]) as served:
        assert architecture(served) == WORDS[runner.arch]
        served.process.stdout.wait_for("on the way\n", 60)
        # From there it is a few instructions.
        assert any(architecture(served) == WORDS[OTHER[runner.arch]] for _ in range(CONNECTIONS))
        yield served


@AMD64
def test_gdb_sees_compatibility_mode_as_i386_with_the_symbols_of_the_image(runner, other):
    said = gdb_batch([f"target remote {other.address}", "info symbol $pc", "print/x $eax", "x/i modes_in_32 + 7",
                      "break *(modes_in_32 + 7)", "continue", "set var $ecx = 41", "stepi", "print $ecx", "delete",
                      "print/x $efer & 0x400", "set var modes_leave = 1", "detach"])
    assert "modes_in_32" in said[1], said.text
    assert said[2].endswith("= 0x12345678") and re.search(r"inc +%ecx$", said[3]), said.text
    assert "Breakpoint 1, " in said[5] and said[8].endswith("= 42"), said.text
    assert said[10].endswith("= 0x400"), said.text
    # It goes back to 64-bit mode, and to its end.
    result = other.process.wait(60)
    assert (result.rc, result.stdout) == (0, "on the way\nback\n")


@I686
def test_gdb_sees_64_bit_mode_of_an_i686_guest_as_amd64(runner, other):
    said = gdb_batch([f"target remote {other.address}", "print/x $r8", "print/x $rax", "x/i $pc", "stepi", "x/i $pc",
                      "stepi", "x/i $pc", "set var $r15 = 0x8000000000000001",
                      "maintenance flush register-cache", "print/x $r15", "kill"])
    assert said[1].endswith("= 0x1122334455667788") and said[2].endswith("= 0x123456789abcdef0"), said.text
    # Three instructions, over and over.
    assert any(re.search(r"inc +%rcx$", said[i]) for i in (3, 5, 7)), said.text
    assert said[10].endswith("= 0x8000000000000001"), said.text


def test_lldb_is_told_of_the_mode_that_the_cpu_is_in(runner, other):
    name, value, count = (("eax", "0x12345678", "ecx") if runner.arch == "amd64" else
                          ("rax", "0x123456789abcdef0", "rcx"))
    said = lldb_batch([f"gdb-remote {other.address}", f"register read {name}", "disassemble -c 8 -s $pc",
                       f"register write {count} 7", f"register read {count}", "process kill"])
    assert f"{name} = {value}" in said and re.search(rf"{count} = 0x0*7$", said, re.M), said
    assert re.search(rf"inc[lq] +%{count}|jmp +0x|je +0x", said), said


@AMD64
def test_debug_of_a_core_shows_the_mode_that_the_cpu_was_in(runner, build, tmp_path):
    result = runner.run("modes", options=["--core", ".", "--timeout", "1"])
    (core,) = result.files.values()
    words = f"{build / 'hindsight'} debug --gdb stdio {core}"
    said = gdb_batch([f"target remote | {words}", "show architecture", "info symbol $pc", "print/x $eax", "kill"])
    assert 'currently "i386"' in said[1] and "modes_in_32" in said[2], said.text
    assert said[3].endswith("= 0x12345678"), said.text
