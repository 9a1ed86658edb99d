# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that keep things in their heap, in vector registers and all over their memory are called before and after
restores, and say the same (tests/snapshot/programs.c)."""

import math
import re
import signal

import pytest

from lib.process import run

SECONDS = 120


def call(runner, program, *calls):
    """What the calls come to, as text; the same everywhere, or it fails."""
    words = [runner.build / "tests/snapshot/programs", runner.backend, runner.guest(program), *calls]
    result = runner.place.run(words, timeout=SECONDS)
    if "KVM cannot execute the instruction" in result.stderr and runner.facts["instructions"] == "emulated":
        pytest.skip(f"{runner.arch}-kvm: this host's KVM cannot execute SSE2")
    if "compiled for AVX, which its CPU does not offer" in result.stderr:
        pytest.skip(f"{runner.arch}-{runner.backend}: this CPU has no AVX")
    assert result.rc == 0, result.stdout + result.stderr
    lines = [line.split(" = ") for line in result.stdout.splitlines()]
    assert len(lines) == len(calls)
    return [value for _, value in lines]


def test_programs_heap_of_many_blocks_is_the_same_after_restores(runner):
    # Where ring 0 is emulated a call that changes a block costs some tens of microseconds.
    first, made, second, empty = call(runner, "heap_heavy", "look()", "churn(200u)", "look()", "empty()")
    assert re.fullmatch(r"\d+u", first) and first != second
    assert int(made[:-1]) > 256
    assert empty == "true"


def test_programs_vector_registers_and_rounding_are_the_same_after_restores(runner):
    nearest, down, up = "set_rounding(0u)", "set_rounding(1u)", "set_rounding(2u)"
    third = "divide(1.0,3.0)"
    values = call(runner, "fp_sse", third, up, third, down, third, "accumulate(5.0)", nearest, "accumulate(-2.0)",
                  "harmonic(50u)")
    assert [float(values[i]) for i in (0, 2, 4)] == [1 / 3, math.nextafter(1 / 3, 1), 1 / 3]
    assert [float(values[i]) for i in (5, 7)] == [5, 3]
    odd = even = 0.0
    for i in range(1, 101, 2):
        odd, even = odd + 1 / i, even + 1 / (i + 1)
    assert float(values[8]) == odd + even


def test_programs_compiled_for_avx2_have_its_registers_after_restores(runner):
    # The sum over the four parts: of what the calls before have added, and nothing else. What may be used is not less
    # when less is asked for.
    values = call(runner, "avx2", "accumulate(3UL)", "may_use(7u)", "may_use(1u)", "may_use(2147483648u)",
                  "accumulate(4UL)", "sum_of_squares(250u)", "sum_of_square_doubles(250u)")
    assert values[:6] == ["12UL", "true", "true", "false", "28UL", f"{sum(i * i for i in range(1, 1001))}UL"]
    assert float(values[6]) == sum(i * i for i in range(1, 1001))


WITHOUT_AVX = ["prlimit", "--fsize=0"]
"""Where a file may have no length the software CPU has no vectors."""


@pytest.mark.parametrize("runner", ["amd64-soft", "i686-soft"], indirect=True)
def test_programs_compiled_for_avx2_say_so_where_there_is_none(runner, tmp_path):
    guest = runner.guest("avx2")
    result = run([*WITHOUT_AVX, runner.hindsight, "run", "--backend", "soft", "--core", "none", guest], cwd=tmp_path)
    assert result.rc == 128 + signal.SIGABRT
    assert "avx2.elf: abort: this guest is compiled for AVX, which its CPU does not offer" in result.stderr
    saved = run([runner.hindsight, "run", "--backend", "soft", "--core", "none", "--snapshot", "ready", guest],
                cwd=tmp_path)
    if "which its CPU does not offer" in saved.stderr:
        pytest.skip(f"{runner.arch}-soft: this CPU has no AVX")
    result = run([*WITHOUT_AVX, runner.hindsight, "restore", "--backend", "soft", "ready"], cwd=tmp_path)
    assert result.rc == 125 and "the snapshot needs AVX registers" in result.stderr


def cycle(runner, *calls, cycles=1):
    options = ["--cycles", str(cycles), *(word for text in calls for word in ("--call", text))]
    return runner.run("restore_cycle", options=["--scratch", "2M", *options], timeout=SECONDS)


@pytest.mark.parametrize("pages", [0, 1, 128])
def test_programs_cycle_finds_nothing_of_the_one_before(runner, pages):
    result = cycle(runner, f"cycle({pages}u)", cycles=20)
    assert (result.rc, result.stdout) == (0, f"cycle({pages}u) = 1u\n"), str(result)


def test_programs_call_without_a_restore_is_found(runner):
    result = cycle(runner, "cycle(3u)", "cycle(3u)")
    assert result.rc != 0
    assert "3 pages, calls 1 and 1" in result.stderr
