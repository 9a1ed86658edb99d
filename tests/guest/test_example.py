# SPDX-License-Identifier: LGPL-2.1-or-later
"""examples/run.c and embed.c: what embeds the library gets the output, the status, the crash and the functions of a
guest."""

import pathlib

EMBED = (pathlib.Path(__file__).parents[1] / "golden" / "examples" / "embed.txt").read_text(encoding="utf-8")


def example(runner, guest):
    return runner.place.run([runner.build / "examples" / "example_run", runner.guest(guest)])


def test_example_passes_on_output_and_status(runner):
    result = example(runner, "hello")
    assert (result.rc, result.stdout, result.stderr) == (0, "hello from a guest\n", "")


def test_example_tells_a_crash(runner):
    result = example(runner, "divide")
    assert result.rc == 128 + 8
    assert result.stderr.startswith("run: divide error (#DE), at 0x")


def test_example_embed_crashes_is_mended_and_works_in_threads(runner):
    words = [runner.build / "examples" / "example_embed", runner.guest("functions"), runner.backend]
    result = runner.place.run(words, timeout=180)
    assert (result.rc, result.stderr) == (0, "")
    assert result.stdout == EMBED


def test_example_embed_of_a_guest_without_functions_is_one_line(runner):
    result = runner.place.run([runner.build / "examples" / "example_embed", runner.guest("exit"), runner.backend])
    assert (result.rc, result.stdout) == (1, "")
    assert result.stderr == "embed: start: the guest has ended with status 0\n"
