# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench/run builds and runs every benchmark and leaves nothing. How fast anything is is no question for a test."""

import os
import pathlib
import re
import sys
import time

import pytest

from lib.debuggers import gdb_batch
from lib.process import run

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SECONDS = 600


def running(program):
    """The processes that run a program."""
    found = []
    for link in pathlib.Path("/proc").glob("[0-9]*/exe"):
        try:
            if link.readlink() == program:
                found.append(link.parent.name)
        except OSError:
            continue  # it has ended, or is a kernel thread
    return found


def wait_until_gone(program):
    deadline = time.monotonic() + SECONDS
    while running(program):
        assert time.monotonic() < deadline, f"{program} is left"
        os.sched_yield()


@pytest.mark.parametrize("runner", ["amd64-kvm"], indirect=True)
def test_every_benchmark_prints_its_ratio_and_leaves_nothing(runner):
    started = gdb_batch(["starti"], "/bin/true")[0]
    if "Program stopped" not in started:
        pytest.skip(f"gdb cannot run a process here: {' '.join(started.split())[:80]}")
    result = run([sys.executable, TOP / "bench/run", "--quick", "--build", runner.build], SECONDS).check()
    row = r"  {} +[\d.]+ +[\d.]+ +[\d.]+  {}\n"
    for title, ours, peer, unit, better in (
            ("VM: ", "hs_vm_create", "raw ioctls", "us", "less"),
            ("Core ", "core, with checksums", "cp", "MiB/s", "more"),
            ("Idle ", "core of an idle guest", "qemu, dump-guest-memory", "ms", "less"),
            ("gdb remote protocol: reading 64 MiB in m ", "hindsight", "gdbserver", "MiB/s", "more"),
            ("gdb remote protocol: reading 64 MiB in x ", "hindsight", "gdbserver", "MiB/s", "more"),
            ("gdb remote protocol: reading 64 MiB in m ", "hindsight", "qemu-system", "MiB/s", "more"),
            ("gdb remote protocol: a step", "hindsight", "gdbserver", "us", "less"),
            ("gdb remote protocol: a round trip of g", "hindsight", "gdbserver", "us", "less"),
            ("gdb -ex 'target remote ", "hindsight", "gdbserver", "ms", "less"),
            ("registers", "software CPU", "qemu-system, TCG", "M/s", "more"),
            ("page fault ", "software CPU", "qemu-system, TCG", "ns", "less")):
        figures = row.format(f"{ours}.*?", unit) + row.format(f"{peer}.*?", unit)
        ratio = row.format("ratio", rf"x \({better} is better\)")
        assert re.search(rf"^{title}.*; 1 rounds\n +min +median +max\n{figures}{ratio}", result.stdout, re.M), result
    assert result.stderr == ""
    wait_until_gone(runner.build / "bench/peer_memory")
    wait_until_gone(runner.build / "bench/soft_cpu")


def test_names_that_are_none_are_refused(build):
    result = run([sys.executable, TOP / "bench/run", "--build", build, "gdb_reed"])
    assert result.rc == 2 and "no such benchmark: gdb_reed" in result.stderr
