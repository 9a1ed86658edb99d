# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that do not end by themselves: the time limit, and signals to the command."""

import signal
import time

import pytest

from lib import elf, report
from lib.debuggers import gdb_batch
from lib.runner import RUNNERS


def test_hang_ends_at_its_limit_with_status_124_and_a_core(runner):
    began = time.monotonic()
    result = runner.run("hang", options=["--timeout", "0.5"])
    assert time.monotonic() - began >= 0.5
    assert result.rc == 124, str(result)
    assert result.stdout == "about to hang\n"
    said = report.parse(result.stderr)
    assert said.text == "time limit: the guest had not ended after 0.5 s"
    start, length = elf.symbol_range(runner.guest("hang"), "loop")
    assert start <= said.address < start + length
    (core,) = result.files.values()
    (backtrace,) = gdb_batch(["bt"], runner.guest("hang"), core)
    assert "loop" in backtrace and "main" in backtrace


def test_guest_that_ends_before_its_limit_is_not_touched(runner):
    result = runner.run("hello", options=["--timeout", "50"])
    assert (result.rc, result.stderr, result.files) == (0, "", {})


# tests/guest/test_command.py has these for amd64 on the software CPU; KVM is interrupted in another way.
OTHERS = pytest.mark.parametrize("runner", [name for name in RUNNERS if name != "amd64-soft"], indirect=True)


@OTHERS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signal_ends_the_command_without_a_core(runner, number):
    with runner.spawn("hang") as running:
        running.stdout.wait_for("about to hang\n", 30)
        running.signal(number)
        result = running.wait(30)
    assert result.rc == 128 + number
    assert "core" not in result.stderr


@OTHERS
def test_sigquit_writes_a_core_each_time_and_the_guest_goes_on(runner):
    with runner.spawn("hang") as running:
        running.stdout.wait_for("about to hang\n", 30)
        for _ in range(2):
            seen = len(running.stderr.text)
            running.signal(signal.SIGQUIT)
            running.stderr.wait_for(rf"(?s)\A.{{{seen}}}.*core: \S+ \(.*\)\n", 30)
        running.signal(signal.SIGTERM)
        result = running.wait(30)
    assert result.rc == 128 + signal.SIGTERM
    assert result.stderr.count("core: ") == 2
