# SPDX-License-Identifier: LGPL-2.1-or-later
"""Transcripts in documents, done again: the commands are run, and what they write now is compared with what is there.

A transcript is an indented block. `$ COMMAND` is run by a shell; behind `$ gdb ...` and `$ lldb ...` come lines
`(gdb) COMMAND` and `(lldb) COMMAND`, and lines `>COMMAND` that belong to the one before. All other lines are what is
written, blank ones left out; `...` stands for any lines, or for the rest of one, and a line `^C` for Ctrl-C. All blocks
of a section are one scene: a debugger leaves the guest of an earlier block behind it, and a command that waits for a
debugger goes on meanwhile; what it writes until its end is looked at when the section is over. There is one core in a
scene at most.
"""

import itertools
import pathlib
import re
import shlex

from lib.debuggers import ENVIRONMENT, Gdb, lldb_batch
from lib.process import LocalProcess, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTALLED = "/usr/local/share/gdb/auto-load"
PROMPTS = "(gdb) ", "(lldb) "
SECONDS = 60
CORE = r"\b[\w.]+\.elf\.\d+\.\d+\.core\b"
# What differs from one machine, compiler and run to the next.
VARIABLE = [CORE, r"0x[0-9a-f]{5,}\b", r"(?<=argv=)0x[0-9a-f]+", r"\b\d+ pages\b",
            r"(?<=\w)\+(?:\d+|0x[0-9a-f]+)\b", r"\b[\d.]+ [KM]iB\b", r"\b[\d.]+ us\b"]


class Command:
    """One command of a transcript and the lines that it is to write."""

    def __init__(self, prompt, text):
        self.prompt, self.text = prompt, text
        self.more, self.expected, self.written = [], [], None

    def __str__(self):
        return self.prompt + self.text

    @property
    def interrupted(self):
        return "^C" in self.expected

    def problem(self):
        """None, or what it wrote and should not have, or the other way round."""
        lines = [line for line in self.written.splitlines() if line.strip()]
        wanted = [line for line in self.expected if line != "^C"]
        if re.fullmatch("".join(map(pattern_of, wanted)), "".join(f"{squeeze(line)}\n" for line in lines)):
            return None
        return "\n".join([f"{self}\n--- documented", *wanted, "--- written", *lines])


def squeeze(line):
    return re.sub(r"\s+", " ", line).strip()


def pattern_of(line):
    """A regular expression for a line of a document, and for its end."""
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    found = "|".join(rf"(?:{pattern})" for pattern in VARIABLE)
    parts = re.split(rf"({found}|\.\.\.$)", squeeze(line))
    for number, part in enumerate(parts):
        if number % 2 == 0:
            parts[number] = re.escape(part)
        else:
            parts[number] = ".*" if part == "..." else rf"(?:{found})"
    return "".join(parts) + r"\n"


def scenes(text):
    """{section: [Command, ...]} of a document, for the sections that have commands."""
    found = {}
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        commands = []
        for line in section.splitlines()[1:]:
            if not line.startswith("    "):
                continue
            line = line[4:]
            prompt = next((prompt for prompt in ("$ ", *PROMPTS) if line.startswith(prompt)), None)
            if prompt:
                commands.append(Command(prompt, line.removeprefix(prompt)))
            elif commands and line.startswith(">"):
                commands[-1].more.append(line[1:])
            elif commands and line.strip():
                commands[-1].expected.append(line)
        if commands:
            found[section.splitlines()[0]] = commands
    return found


class Scene:
    """The commands of a section, run in a directory where `build` is the build."""

    def __init__(self, commands, build, directory, source="/src/hindsight"):
        self._commands, self._build, self._directory = commands, build, directory
        self._source = source
        (directory / "build").symlink_to(build)
        self._environment = dict(ENVIRONMENT, PATH=f"{build}:/usr/bin:/bin")
        self._servers = []
        self._ports = {}  # here -> documented
        self._status = 0

    def run(self):
        """Run all; each command has what it wrote then."""
        try:
            rest = list(self._commands)
            while rest:
                command = rest.pop(0)
                words = []
                while rest and rest[0].prompt in PROMPTS:
                    words.append(rest.pop(0))
                self._run(command, words)
            for command, process in self._servers:
                self._finish(command, process)
        finally:
            for _, process in self._servers:
                process.kill()

    def _run(self, command, words):
        if command.text.startswith("gdb ") and "-batch" not in command.text:
            self._gdb(command, words)
        elif command.text.startswith("lldb "):
            self._lldb(command, words)
        elif any("waiting for a debugger" in line for line in command.expected):
            self._serve(command)
        elif command.text == "echo $?":
            command.written = f"{self._status}\n"
        else:
            self._shell(command)

    def _shell(self, command):
        words = ["sh", "-c", f"exec 2>&1; {self._here(command.text)}"]
        result = run(words, SECONDS, self._directory, self._environment)
        self._status = result.rc
        command.written = self._documented(result.stdout)

    def _serve(self, command):
        """The documented port is a free one here."""
        text = self._here(re.sub(r":12\d\d", ":0", command.text))
        process = LocalProcess(["sh", "-c", f"exec 2>&1; exec {text}"], self._directory, self._environment)
        self._servers.append((command, process))
        port = process.stdout.wait_for(r"waiting for a debugger on \S+:(\d+)\s", SECONDS)[1]
        self._ports[port] = re.search(r":(12\d\d)", command.text)[1]

    def _finish(self, command, process):
        result = process.wait(SECONDS)
        command.written = self._documented(result.stdout)

    def _here(self, text):
        """A text of the document as it is on this machine."""
        for documented, port in {documented: port for port, documented in self._ports.items()}.items():
            text = re.sub(rf"(?<!\d){documented}\b", port, text)
        text = text.replace(f"{INSTALLED}/hindsight-gdb.py", str(ROOT / "debug" / "hindsight-gdb.py"))
        cores = sorted(path.name for path in self._directory.glob("*.core"))
        return re.sub(CORE, cores[0], text) if cores else text

    def _documented(self, text):
        """And back. The build may be anywhere."""
        for port, documented in self._ports.items():
            text = re.sub(rf"(?<!\d){port}\b", documented, text)
        text = text.replace(str(self._build), f"{self._source}/build").replace(str(self._directory), self._source)
        return re.sub(rf"{re.escape(str(self._build.parent))}(?=/)", self._source, text)

    def _gdb(self, command, words):
        arguments = shlex.split(self._here(command.text))[1:]
        with Gdb(arguments=arguments, directory=self._directory) as gdb:
            command.written = self._documented(gdb.banner)
            for word in words:
                word.written = self._documented(self._told(gdb, word))

    def _told(self, gdb, word):
        """What gdb writes for a command."""
        for line in [word.text, *word.more]:
            gdb.send(self._here(line))
        if not word.interrupted:
            return gdb.settle()
        begun = gdb.wait_for(r"Continuing\.\n")
        gdb.interrupt()
        # What waits behind the command must not be read before it is over.
        return begun + gdb.wait_for(r"received signal.*\n") + gdb.settle()

    def _lldb(self, command, words):
        first = re.findall(r"-o '([^']*)'", self._here(command.text))
        text = lldb_batch([*first, *(self._here(word.text) for word in words)])
        # The first is lldb_batch's own.
        pieces = re.split(r"^\(lldb\) .*\n", text, flags=re.M)[2:]
        command.written = self._documented("".join(pieces[:len(first)]))
        for word, piece in itertools.zip_longest(words, pieces[len(first):], fillvalue="(not reached)\n"):
            word.written = self._documented(piece)
