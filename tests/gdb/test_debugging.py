# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/debugging.md: its transcripts come out as they stand there. And the examples for VS Code: what they tell its
debuggers works."""

import json
import pathlib
import re
import socket

import pytest

from lib.debuggers import ENVIRONMENT, lldb_batch
from lib.process import LocalProcess
from lib.transcripts import Command, Scene, scenes

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEBUGGING = scenes((ROOT / "docs" / "debugging.md").read_text(encoding="utf-8"))
# What is the same but for the names; the others show registers, tables, or the lines of instructions.
I686 = scenes((ROOT / "docs" / "debugging.md").read_text(encoding="utf-8")
              .replace("amd64", "i686").replace("rax", "eax"))
SAME = ["A crash, repaired", "Conditions, and prints without stops", "Once more from the beginning", "After a crash",
        "Back to a moment"]
SECONDS = 60


@pytest.mark.parametrize("section", DEBUGGING)
def test_debugging_transcript_comes_out_as_documented(build, tmp_path, section):
    commands = DEBUGGING[section]
    Scene(commands, build, tmp_path).run()
    problems = [command.problem() for command in commands if command.problem()]
    assert not problems, "\n\n".join(problems)


@pytest.mark.parametrize("section", SAME)
def test_debugging_transcript_of_an_i686_guest_is_the_same(build, tmp_path, section):
    Scene(I686[section], build, tmp_path).run()
    problems = [command.problem() for command in I686[section] if command.problem()]
    assert not problems, "\n\n".join(problems)


def test_readme_session_comes_out_as_documented(build, tmp_path):
    (commands,) = scenes((ROOT / "README.md").read_text(encoding="utf-8")).values()
    Scene(commands, build, tmp_path).run()
    problems = [command.problem() for command in commands if command.problem()]
    assert not problems, "\n\n".join(problems)


def written(expected, text):
    command = Command("$ ", "x")
    command.expected, command.written = expected.splitlines(), text
    return command.problem()


def test_transcripts_differ_in_what_varies_and_in_nothing_else():
    assert not written("a 0x401000 b (552.0 KiB)", "a  0x7fff00  b (1.5 MiB)\n")
    assert not written("first\n...\nlast ...", "first\n1\n2\n\nlast of all\n") and not written("a\n...", "a\n")
    assert not written("core: ./a.elf.12.0.core", "core: ./a.elf.345.0.core\n")
    for expected, text in (("a", "b"), ("a", ""), ("", "a"), ("a\n...\nb", "a\nb\nc"), ("x = 0x0", "x = 0x1"),
                           ("line 12", "line 13"), ("a b", "ab")):
        assert written(expected, text), (expected, text)


def test_transcripts_of_a_document_are_its_indented_commands():
    document = "## One\ntext\n\n    $ gdb\n    banner\n    (gdb) commands\n    >end\n    said\n\n## Two\ntext\n"
    (commands,) = scenes(document).values()
    assert [(str(command), command.more, command.expected) for command in commands] == [
        ("$ gdb", [], ["banner"]), ("(gdb) commands", ["end"], ["said"])]


def vscode(name):
    return json.loads((ROOT / "examples" / "vscode" / f"{name}.json").read_text(encoding="utf-8"))


def configuration(name):
    return next(each for each in vscode("launch")["configurations"] if each["name"] == name)


class Task:
    """A task of tasks.json, done as VS Code does it: until its background pattern says that it has come up."""

    def __init__(self, label, build, directory):
        task = next(each for each in vscode("tasks")["tasks"] if each["label"] == label)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._directory = directory
        words = [self.here(word) for word in task["args"]]
        self.process = LocalProcess([build / task["command"], *words], directory)
        ends = task["problemMatcher"]["background"]["endsPattern"]
        self.process.stderr.wait_for(f"(?m){ends}", SECONDS)
        self.pattern = task["problemMatcher"]["pattern"]

    def here(self, text):
        """What VS Code puts in the place of variables, and a port that nobody has."""
        text = text.replace("${workspaceFolder}", str(self._directory)).replace("${input:core}", "the.core")
        return re.sub(r"\b1234\b", str(self.port), text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()


class Mi:
    """gdb's machine interface."""

    def __init__(self, directory):
        self._process = LocalProcess(["gdb", "-q", "-nx", "--interpreter=mi"], directory, ENVIRONMENT)
        self._token = 0

    def command(self, text):
        """A command and its result record, as a result class and the rest."""
        self._token += 1
        self._process.write(f"{self._token}{text}\n".encode())
        return self._process.stdout.wait_for(rf"(?m)^{self._token}\^(\w+),?(.*)\n", SECONDS).groups()

    def wait_for_stop(self, reason):
        return self._process.stdout.wait_for(rf'(?m)^\*stopped,reason="{reason}".*\n', SECONDS)[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()


def connect(gdb, task, name):
    """What cppdbg does of a configuration (MIEngine, DebuggedProcess.GetInitializeCommands)."""
    config = configuration(name)
    assert (config["type"], config["MIMode"]) == ("cppdbg", "gdb") and config["preLaunchTask"].startswith("hindsight: ")
    for setup in config.get("setupCommands", ()):
        gdb.command(f'-interpreter-exec console "{setup["text"]}"')
    for command in (f"-environment-cd {task.here(config['cwd'])}",
                    f"-file-exec-and-symbols {task.here(config['program'])}", "-break-insert main"):
        assert gdb.command(command)[0] == "done", command
    assert gdb.command(f"-target-select remote {task.here(config['miDebuggerServerAddress'])}")[0] == "connected"


@pytest.fixture
def folder(build, tmp_path):
    """A workspace with a guest and, as `the.core`, its crash."""
    (tmp_path / "guest.elf").symlink_to(build / "guest" / "amd64" / "debugme.elf")
    crash = LocalProcess([build / "hindsight", "run", tmp_path / "guest.elf", "--", "crash"], tmp_path).wait(SECONDS)
    assert crash.rc == 139
    next(tmp_path.glob("*.core")).rename(tmp_path / "the.core")
    tmp_path.joinpath("report").write_text(crash.stderr, encoding="utf-8")
    return tmp_path


def test_vscode_gdb_is_told_what_works(build, folder):
    with Task("hindsight: run", build, folder) as task, Mi(folder) as gdb:
        connect(gdb, task, "guest, with gdb")
        assert gdb.command("-break-insert debugme.c:51")[0] == "done"
        assert gdb.command("-exec-continue")[0] == "running"
        assert 'func="main"' in gdb.wait_for_stop("breakpoint-hit")
        gdb.command("-break-delete 1")
        gdb.command("-exec-continue")
        assert 'func="fill_item"' in gdb.wait_for_stop('breakpoint-hit",disp="keep",bkptno="2')
        assert 'func="run"' in gdb.command("-stack-list-frames")[1]
        assert 'name="price",arg="1",value="10"' in gdb.command("-stack-list-variables --all-values")[1]
        assert 'value="{...}"' in gdb.command("-var-create - * *item")[1]
        assert 'register-names=["rax"' in gdb.command("-data-list-register-names")[1]
        assert gdb.command('-interpreter-exec console "monitor info"')[0] == "done"
        gdb.command("-break-delete 2")
        assert gdb.command("-exec-next")[0] == "running"
        assert 'line="52"' in gdb.wait_for_stop("end-stepping-range")
        gdb.command("-exec-continue")
        gdb.wait_for_stop("exited-normally")
        assert task.process.wait(SECONDS).rc == 0


def test_vscode_gdb_goes_back_into_a_crash(build, folder):
    with Task("hindsight: restore", build, folder) as task, Mi(folder) as gdb:
        connect(gdb, task, "back into a crash, with gdb")
        assert 'func="store_price"' in gdb.command("-stack-list-frames")[1]
        assert gdb.command("-gdb-exit")[0] == "exit"


def test_vscode_gdb_opens_a_core(build, folder):
    config = configuration("core of a crash, with gdb")
    assert config["coreDumpPath"] == "${input:core}" and vscode("launch")["inputs"][0]["id"] == "core"
    with Mi(folder) as gdb:
        gdb.command(f"-file-exec-and-symbols {folder / 'guest.elf'}")
        assert gdb.command("-target-select core the.core")[0] == "connected"
        assert 'func="store_price"' in gdb.command("-stack-list-frames")[1]


def test_vscode_codelldb_is_told_what_works(build, folder):
    config = configuration("guest, with CodeLLDB")
    assert (config["type"], config["request"]) == ("lldb", "attach")
    with Task(config["preLaunchTask"], build, folder) as task:
        told = [task.here(text) for text in (*config["targetCreateCommands"], *config["processCreateCommands"])]
        text = lldb_batch([*told, "breakpoint set -f debugme.c -l 51", "continue", "frame variable price", "detach"])
    assert "stop reason = breakpoint 1.1" in text and "(int) price = 10" in text


def test_vscode_task_finds_the_place_of_a_crash(folder):
    matcher = vscode("tasks")["tasks"][0]["problemMatcher"]["pattern"]
    found = re.search(matcher["regexp"], (folder / "report").read_text(encoding="utf-8"), re.M)
    assert found and (found[matcher["file"]], found[matcher["line"]]) == ("debugme.c", "58")
    assert found[matcher["message"]].startswith("page fault (#PF)")
