# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wrong with a core or a snapshot is one sentence, whichever command comes upon it: the same from each, on one
line, with an exit status that says what the command could do in spite of it, and no output left behind."""

import json
import re
import signal
from dataclasses import dataclass

import pytest

from lib.elf import PT_LOAD, PT_NOTE, SEGMENT, Image
from lib.process import LocalProcess, run


@dataclass
class Whole:
    """A file that nothing is wrong with."""

    path: object
    bytes: bytes
    facts: dict

    def note(self, title):
        return next(note["offset"] for note in self.facts["notes"] if note["title"] == title)

    def header(self, kind, name):
        """Where the program header of a kind has a field."""
        image = Image(self.path)
        return image.segment_at(image.segments(kind)[0]) + SEGMENT[image.elf_class][name][0]

    @property
    def notes(self):
        image = Image(self.path)
        return image.get_segment(image.segments(PT_NOTE)[0], "offset")

    def flip(self, at, bits=1):
        return self.bytes[:at] + bytes([self.bytes[at] ^ bits]) + self.bytes[at + 1:]

    def cut(self, at):
        return self.bytes[:at]


# The bytes, and the sentence behind the file's name. These keep it from being opened.
REFUSED = {
    "empty": (lambda whole: b"", r"not a core: not an ELF file"),
    "text": (lambda whole: b"hello\n" * 1000, r"not a core: not an ELF file"),
    "directory": (lambda whole: None, r"not a core: not a regular file"),
    "magic": (lambda whole: whole.flip(1), r"not a core: not an ELF file"),
    "type": (lambda whole: whole.flip(16, 6), r"not a core: a program, not its core"),
    "machine": (lambda whole: whole.flip(18, 0x80), r"a core of ELF machine \d+ \(amd64 and i686 are known\)"),
    "cut in the header": (lambda whole: whole.cut(20), r"not a core: it ends within its ELF header"),
    "cut in the table": (lambda whole: whole.cut(whole.header(PT_LOAD, "offset")),
                         r"broken core: the program headers lie outside of the file \(at file offset 0x\w+\)"),
    "cut in the notes": (lambda whole: whole.cut(whole.note("NT_AUXV")),
                         r"broken core: the notes lie outside of the file \(at file offset 0x\w+\)"),
    "program header": (lambda whole: whole.flip(whole.header(PT_NOTE, "filesz") + 3, 0x40),
                       r"broken core: more than \d+ bytes of notes \(at file offset 0x\w+\)"),
    "size of a note": (lambda whole: whole.flip(whole.notes + 4),
                       r"broken core: NT_PRSTATUS of \d+ bytes, not \d+ \(at file offset 0x\w+\)"),
    "version": (lambda whole: whole.flip(whole.note("facts"), 2),
                r"HINDSIGHT note of version 3, this program knows 1 \(use a newer one\) \(at file offset 0x\w+\)"),
}

# With these it opens: what only shows it says so and goes on, and nothing is restored from it.
SHOWN = {
    "cut in the memory": (lambda whole: whole.cut(len(whole.bytes) - 5000),
                          r"broken core: 5000 bytes are missing at the end of the file \(at file offset 0x\w+\)"),
    "notes": (lambda whole: whole.flip(whole.note("NT_PRPSINFO") + 60),
              r"broken core: the notes are not what was written: their checksum does not fit \(at file offset 0x\w+\)"),
    "checksum": (lambda whole: whole.flip(whole.note("checksum") - 16),
                 r"broken core: the notes' checksum is gone \(at file offset 0x\w+\)"),
}

EACH_FILE = pytest.mark.parametrize(("runner", "whole"), [
    (f"{arch}-soft", kind) for arch in ("amd64", "i686") for kind in ("core", "snapshot")], indirect=True)


@pytest.fixture(scope="session")
def wholes():
    """Files made so far."""
    return {}


@pytest.fixture
def whole(request, runner, wholes, tmp_path_factory):
    key = runner.arch, request.param
    if key not in wholes:
        path = tmp_path_factory.mktemp("whole") / "a.core"
        if request.param == "core":
            result = runner.run("divide", cwd=path.parent)
            assert result.rc == 128 + signal.SIGFPE, result
            next(iter(result.files.values())).rename(path)
        else:
            assert runner.run("functions", options=["--snapshot", path], cwd=path.parent).rc == 0
        facts = run([str(runner.hindsight), "core", "info", "--json", str(path)]).check().stdout
        wholes[key] = Whole(path, path.read_bytes(), json.loads(facts))
    return wholes[key]


@pytest.fixture
def say(runner, tmp_path):
    """What the words of the command say of a file, in a directory that stays empty."""
    out = tmp_path / "out"
    out.mkdir()

    def call(*words):
        return run([str(runner.hindsight), *map(str, words)], cwd=out)
    return call


def place(path, data):
    if data is None:
        path.mkdir()
    else:
        path.write_bytes(data)
    return path


@EACH_FILE
@pytest.mark.parametrize("damage", REFUSED)
def test_core_that_does_not_open_is_refused_by_all_with_one_sentence(whole, say, tmp_path, damage):
    make, sentence = REFUSED[damage]
    path = place(tmp_path / "broken.core", make(whole))
    verified = say("core", "verify", path)
    assert (verified.rc, verified.stderr) == (1, "") and \
        re.fullmatch(f"{re.escape(str(path))}: {sentence}\n", verified.stdout), verified
    for words in (["core", "info"], ["core", "info", "--json"], ["core", "report"], ["core", "report", "--json"],
                  ["core", "report", "--html", "page.html"], ["core", "extract"], ["debug", "--gdb", "127.0.0.1:0"],
                  ["restore", "--core", "none"], ["pagetable", "list"]):
        result = say(*words, path)
        assert (result.rc, result.stdout, result.stderr) == (125, "", f"hindsight: {verified.stdout}"), words
    assert list((tmp_path / "out").iterdir()) == []


@EACH_FILE
@pytest.mark.parametrize("damage", SHOWN)
def test_core_that_opens_damaged_is_shown_with_the_sentence_and_not_restored(runner, whole, say, tmp_path, damage):
    make, what = SHOWN[damage]
    path = place(tmp_path / "broken.core", make(whole))
    verified = say("core", "verify", path)
    sentence = verified.stdout.rstrip("\n")
    assert (verified.rc, verified.stderr) == (1, "") and \
        re.fullmatch(f"{re.escape(str(path))}: {what}", sentence), verified

    shown = say("core", "info", path)
    assert (shown.rc, shown.stderr) == (0, "")
    assert f"problem    {sentence}\n" in shown.stdout and "\nsegments: " in shown.stdout, shown
    told = json.loads(say("core", "info", "--json", path).check().stdout)
    assert told["problems"] == [sentence] and told["segments"] == whole.facts["segments"]

    shown = say("core", "report", path)
    assert (shown.rc, shown.stderr) == (0, "") and f"incomplete {sentence}\n" in shown.stdout, shown
    assert json.loads(say("core", "report", "--json", path).check().stdout)["incomplete"] == sentence

    taken = say("core", "extract", "--output", "one.core", path)
    assert taken.rc == 0 and taken.stderr.startswith(f"hindsight: warning: {sentence}\ncore: one.core ("), taken
    assert taken.stderr.count("\n") == 2

    served = LocalProcess([str(runner.hindsight), "debug", "--gdb", "127.0.0.1:0", str(path)], tmp_path)
    try:
        served.stderr.wait_for(r"waiting for a debugger on", 60)
        served.signal(signal.SIGTERM)
        ended = served.wait(60)
    finally:
        served.kill()
    assert ended.rc == 128 + signal.SIGTERM and ended.stderr.startswith(f"hindsight: warning: {sentence}\n"), ended
    assert ended.stderr.count("\n") == 2

    listed = say("pagetable", "list", path)
    assert (listed.rc, listed.stderr) == (0, f"hindsight: warning: {sentence}\n") and listed.stdout, listed

    refused = say("restore", "--core", "none", path)
    assert (refused.rc, refused.stdout, refused.stderr) == (125, "", f"hindsight: {sentence}\n")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["one.core"]


@EACH_FILE
def test_memory_that_is_changed_is_said_by_those_that_read_all_of_it(whole, say, tmp_path):
    path = place(tmp_path / "broken.core", whole.flip(whole.facts["segments"][0]["offset"]))
    verified = say("core", "verify", path)
    assert verified.rc == 1 and re.fullmatch(
        rf"{re.escape(str(path))}: broken core: memory at 0x\w+, \d+ bytes, is not what was written: its checksum is "
        r"0x\w+, not 0x\w+ \(at file offset 0x\w+\)\n", verified.stdout), verified
    refused = say("restore", "--verify", "--core", "none", path)
    assert (refused.rc, refused.stdout, refused.stderr) == (125, "", f"hindsight: {verified.stdout}")
    assert json.loads(say("core", "info", "--json", path).check().stdout)["problems"] == []
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("runner", ["amd64-soft"], indirect=True)
def test_core_of_a_process_is_shown_and_has_one_sentence_for_what_it_cannot_do(say, tmp_path):
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    run(["gcc", "-static", "-o", "a", "a.c"], cwd=tmp_path).check()
    made = run(["gdb", "-nx", "-batch", "-ex", "break main", "-ex", "run", "-ex", "generate-core-file a.core", "./a"],
               cwd=tmp_path)
    path = tmp_path / "a.core"
    if not path.exists():
        pytest.skip(f"gdb cannot run a process here: {made.stderr.strip()}")
    assert json.loads(say("core", "info", "--json", path).check().stdout)["problems"] == []
    assert say("core", "verify", path).check().stdout.startswith(f"{path}: no problem: ")
    for words in (["core", "report"], ["core", "report", "--json"], ["core", "report", "--html", "page.html"],
                  ["core", "extract"], ["restore", "--core", "none"]):
        result = say(*words, path)
        assert (result.rc, result.stdout, result.stderr) == (
            125, "", f"hindsight: {path}: not a core of hindsight's: it does not say where its page tables are\n")
    assert list((tmp_path / "out").iterdir()) == []
