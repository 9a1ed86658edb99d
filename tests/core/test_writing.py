# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cores of guests that have filled their heap: the memory that writing one takes, and what is seen of it meanwhile."""

import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from lib.process import measured

pytestmark = pytest.mark.parametrize("runner", ["amd64-soft"], indirect=True)

SECONDS = 120
STATUS = 128 + signal.SIGABRT
SMALL, LARGE = 64, 512
"""Of two guests, in MiB."""
MOST_KIB = 2048
"""More than writing a core takes, and less than anything that grows by a hundredth of these guests."""


def filled(runner, mib, *options):
    """A guest that writes to each page of its heap, and aborts."""
    return runner.command("heap", "twice", options=["--heap", f"{mib}M", *options])


def peak_of(runner, mib, directory, *options):
    result, peak = measured(filled(runner, mib, *options), SECONDS, directory)
    assert result.rc == STATUS, result
    for core in directory.glob("*.core*"):
        assert core.stat().st_blocks * 512 > (mib << 20) // (512 if core.suffix == ".zst" else 1)
        core.unlink()
    return peak


@pytest.mark.parametrize("options", [[], ["--core-compress", "zstd"]], ids=["plain", "zstd"])
def test_memory_of_writing_does_not_grow_with_the_guest(runner, tmp_path, options):
    """The guest's own is taken away: it is the same where no core is written."""
    if runner.sanitized:
        pytest.skip("sanitizers: they take memory of their own for each block")
    compressors = os.cpu_count() << 10 if options else 0
    taken = [peak_of(runner, mib, tmp_path, *options) - peak_of(runner, mib, tmp_path, "--core", "none")
             for mib in (SMALL, LARGE)]
    assert max(taken) < MOST_KIB + compressors and abs(taken[1] - taken[0]) < MOST_KIB, taken


def held_up(process, directory, stream):
    """Wait until a core is on its way, keep its writer from going on for longer than a bar waits, and read the rest."""
    deadline = time.monotonic() + SECONDS
    while not any(path.stat().st_blocks for path in directory.glob(".hindsight-*.part")):
        assert process.poll() is None and time.monotonic() < deadline
        os.sched_yield()
    process.send_signal(signal.SIGSTOP)
    after = time.monotonic() + 0.6
    seen = b""
    while True:
        left = max(0, after - time.monotonic()) if after else None
        if not select.select([stream], [], [], left)[0]:
            process.send_signal(signal.SIGCONT)
            after = None
            continue
        try:
            part = os.read(stream, 65536)
        except OSError:  # how a terminal ends
            part = b""
        if not part:
            return seen
        seen += part


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_progress_of_a_long_core_is_on_a_terminal_only_and_gone_at_its_end(runner, tmp_path, terminal):
    ours, theirs = pty.openpty() if terminal else os.pipe()
    with subprocess.Popen(filled(runner, 256), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
                          cwd=tmp_path) as process:
        os.close(theirs)
        seen = held_up(process, tmp_path, ours)
        os.close(ours)
        assert process.wait(SECONDS) == STATUS
    *shown, last = re.split(rb"\r(?!\n)", seen)
    if not terminal:
        assert shown == [] and b"\x1b" not in last
    else:
        text, *bars = shown
        assert text.endswith(b"\r\n") and b"abort: heap: the block is free already" in text
        assert bars and all(re.fullmatch(rb"core: \[#*\.*\] +\d+ % of 256\.\d MiB", bar) for bar in bars), shown
        assert last.startswith(b"\x1b[K")
    assert re.fullmatch(rb"(\x1b\[K|(?s:.*)\n)core: \./heap\.elf\.\d+\.0\.core \(256\.\d MiB\)\r?\n", last), seen[-300:]
