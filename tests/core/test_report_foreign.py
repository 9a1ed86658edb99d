# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight core report` of what nobody vouches for: names that would drive a terminal, cores that are cut off or
damaged, and output that goes nowhere."""

import json
import re
import shutil

import pytest

from lib.elf import Image
from lib.process import run

SOFT = pytest.mark.parametrize("runner", ["amd64-soft", "i686-soft"], indirect=True)
NAME = b"write_to"
HOSTILE = b"w\x1b[\xc2\x9b1m\xff"
"""As long as the name that it replaces: ESC [, U+009B, which is the same to a terminal, and a byte that is no UTF-8."""


def crash(runner, directory, image):
    directory = directory / "run"
    directory.mkdir()
    result = runner.run(image, cwd=directory)
    assert (result.rc, len(result.files)) == (139, 1), result
    return result, next(iter(result.files.values()))


def report(runner, *words):
    return run([str(runner.hindsight), "core", "report", *map(str, words)])


@SOFT
def test_names_of_an_image_drive_no_terminal(runner, tmp_path):
    image = tmp_path / "guest.elf"
    code = runner.guest("page_write").read_bytes()
    assert code.count(NAME + b"\0") >= 2 and len(HOSTILE) == len(NAME)
    image.write_bytes(code.replace(NAME + b"\0", HOSTILE + b"\0"))
    crashed, core = crash(runner, tmp_path, image)
    text = report(runner, core).stdout
    assert "w?[??1m?+0x" in text and "w?[??1m?+0x" in crashed.stderr
    page = tmp_path / "page.html"
    assert report(runner, core, "--html", page).rc == 0
    told = report(runner, core, "--json").stdout
    assert json.loads(told)["backtrace"]["frames"][0]["function"] == "w\x1b[\x9b1m\ufffd"
    for said in text, crashed.stderr, told, page.read_text(encoding="utf-8"):
        assert not [c for c in said if c < " " and c not in "\t\n" or "\x7f" <= c <= "\x9f"]


@SOFT
def test_core_that_was_cut_off_or_changed_is_said_to_be(runner, tmp_path):
    _, core = crash(runner, tmp_path, runner.guest("page_write"))
    whole = report(runner, core, "--json")
    assert json.loads(whole.stdout)["incomplete"] == ""
    assert "incomplete" not in report(runner, core).stdout
    size, broken = core.stat().st_size, tmp_path / "broken.core"
    for change, said in ((cut_off, "8192 bytes are missing at the end of the file"),
                         (change_name, "the notes are not what was written")):
        shutil.copy(core, broken)
        change(broken, size)
        told = report(runner, broken, "--json")
        assert (told.rc, told.stderr) == (0, "") and said in json.loads(told.stdout)["incomplete"]
        assert re.search(f"^incomplete .*{said}", report(runner, broken).stdout, re.M)
        page = tmp_path / f"{change.__name__}.html"
        assert report(runner, broken, "--html", page).rc == 0 and said in page.read_text(encoding="utf-8")


def cut_off(path, size):
    with path.open("r+b") as file:
        file.truncate(size - 8192)


def change_name(path, _):
    """What NT_PRPSINFO says, which nothing else is taken from."""
    core = Image(path)
    notes = next(index for index in core.segments(4))
    at = core.bytes.index(b"page_write.elf", core.get_segment(notes, "offset"))
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"X")


@SOFT
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_report_that_cannot_be_written_fails(runner, tmp_path, form):
    _, core = crash(runner, tmp_path, runner.guest("page_write"))
    result = run(["sh", "-c", 'exec "$@" >/dev/full', "sh", str(runner.hindsight), "core", "report", str(core), *form])
    assert (result.rc, result.stderr) == (125, "hindsight: cannot write the output: No space left on device\n")


@SOFT
def test_frames_that_were_guessed_say_how(runner, tmp_path):
    """After a call to nowhere the caller is found by what is on the stack alone."""
    result = runner.run("page_fetch", cwd=tmp_path)
    (core,) = result.files.values()
    frames = json.loads(report(runner, core, "--json").stdout)["backtrace"]["frames"]
    lines = [line for line in report(runner, core).stdout.splitlines() if line.startswith("  #")]
    assert [frame["method"] for frame in frames[:3]] == ["registers", "return address", "call-frame information"]
    assert [line.endswith("  (by return address)") for line in lines[:3]] == [False, True, False]
