# SPDX-License-Identifier: LGPL-2.1-or-later
"""examples/run.c: what embeds the library gets the output, the status and the crash of a guest."""


def example(runner, guest):
    return runner.place.run([runner.build / "examples" / "example_run", runner.guest(guest)])


def test_example_passes_on_output_and_status(runner):
    result = example(runner, "hello")
    assert (result.rc, result.stdout, result.stderr) == (0, "hello from a guest\n", "")


def test_example_tells_a_crash(runner):
    result = example(runner, "divide")
    assert result.rc == 128 + 8
    assert result.stderr.startswith("run: divide error (#DE), at 0x")
