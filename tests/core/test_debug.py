# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight debug`: a core or a snapshot served to debuggers. They see what they see in the file itself, and can
change and run nothing."""

import hashlib
import re
import signal

import pytest

from lib.crashed import numbers, read
from lib.crashes import CRASHES
from lib.debuggers import gdb_batch, lldb_batch
from lib.packets import gdb_packets
from lib.process import LocalProcess, run
from lib.runner import RUNNERS

NAMES = ("page_write", "stack_overflow", "debugme", "abort", "bare_fault", "page_fetch")
CORES = pytest.mark.parametrize(
    ("runner", "crashed"),
    [(runner, name) for runner in RUNNERS for name in NAMES if CRASHES[name].only in runner], indirect=True)
SOFT = pytest.mark.parametrize(("runner", "crashed"), [("amd64-soft", "debugme"), ("i686-soft", "debugme")],
                               indirect=True)


@pytest.fixture
def debug(build, tmp_path):
    """Start `hindsight debug` of a file: (the process, what to give `target remote`)."""
    running = []

    def start(path, *options):
        process = LocalProcess([build / "hindsight", "debug", "--gdb", "127.0.0.1:0", *options, path], tmp_path)
        running.append(process)
        port = process.stderr.wait_for(r"waiting for a debugger on \S+:(\d+) ", 60)[1]
        return process, f"127.0.0.1:{port}"

    yield start
    for process in running:
        process.kill()


@CORES
def test_debug_shows_gdb_what_the_core_shows(crashed, debug):
    ask = ["info registers", "backtrace", "print $_siginfo.si_signo", "print $_siginfo.si_code", "x/4i $pc",
           "x/32xb $sp", "info all-registers xmm0"]
    process, address = debug(crashed.core)
    told = gdb_batch([f"target remote {address}", *ask, "kill"], crashed.image)
    seen = read(crashed.core, crashed.image, ask)
    assert numbers(told[1]).items() >= numbers(seen[0]).items() and len(numbers(seen[0])) > 15
    assert list(told[2:8]) == list(seen[1:7])
    assert process.wait(60).rc == 0


@SOFT
def test_debug_refuses_to_change_or_run_anything(crashed, debug):
    before = hashlib.sha256(crashed.core.read_bytes()).digest()
    process, address = debug(crashed.core)
    pc = "$pc"
    said = gdb_batch([f"target remote {address}", "print $sp", f"set var {pc} = 0", "set var *(char *)$sp = 1",
                      "stepi", "break main", "continue", "delete", "watch *(int *)$sp", "continue", "delete",
                      "print $sp", "monitor info", "monitor frob", "detach"], crashed.image)
    assert "Could not write register" in said[2]
    assert "Cannot access memory" in said[3] or "Could not write" in said[3]
    for refused in (6, 9):
        assert re.search("rror|annot|could not|ailure", said[refused]), said[refused]
    assert f"E.{crashed.core}: what is in a file does not run (hindsight restore --gdb goes on from it)" in said[4]
    assert said[11].split(" = ")[1] == said[1].split(" = ")[1]
    assert crashed.crash.reason.replace("\\", "") in said[12] and "no such command" in said[13]
    assert hashlib.sha256(crashed.core.read_bytes()).digest() == before
    again = gdb_batch([f"target remote {address}", "print $sp", "kill"], crashed.image)
    assert again[1].split(" = ")[1] == said[1].split(" = ")[1]
    assert process.wait(60).rc == 0


@SOFT
def test_debug_gives_the_image_to_a_debugger_that_has_none(crashed, debug):
    _, address = debug(crashed.core)
    said = gdb_batch([f"target remote {address}", "backtrace"])
    assert re.search(r"#0 .* store_price \(where=0x0, price=\d+\)", said[1]), said.text


@SOFT
def test_debug_searches_sums_and_reads_physical_memory_as_live(crashed, debug):
    _, address = debug(crashed.core)
    said, packets = gdb_packets([
        f"target remote {address}", "find /1 $sp, +64, *(char *)$sp", "compare-sections .text", "monitor info",
        "monitor phys 0x1000 16", "maintenance packet Qqemu.PhyMemMode:1", "x/4xb 0x1000",
        "set var *(char *)0x1000 = 1", "maintenance packet Qqemu.PhyMemMode:0"])
    assert re.search(r"^0x[0-9a-f]+", said[1], re.M) and "1 pattern found" in said[1]
    assert "Section .text" in said[2] and said[2].endswith("matched.")
    shown = re.match(r"0x0*1000  ((?:[0-9a-f]{2} ){15}[0-9a-f]{2}) ", said[4])[1].split()
    assert re.findall(r"0x([0-9a-f]{2})\b", said[6].split(":")[1]) == shown[:4]
    assert "Cannot access memory" in said[7] or "Could not write" in said[7]
    packets.check(rb"qSearch:memory:.*", rb"1,[0-9a-f]+")
    packets.check(rb"qCRC:.*", rb"C[0-9a-f]+")


@pytest.mark.parametrize("runner", ["amd64-soft", "i686-soft"], indirect=True)
def test_debug_tells_lldb_why_a_snapshot_does_not_run_and_goes_on(runner, debug, tmp_path):
    path = tmp_path / "ready.snapshot"
    assert runner.run("functions", options=["--snapshot", path]).rc == 0
    process, address = debug(path)
    runs = ["thread step-inst", "thread step-over", "thread step-out", "continue"]
    said = lldb_batch([f"gdb-remote {address}", *runs, "bt", "process kill"], runner.guest("functions"))
    assert said.count(f"{path}: what is in a file does not run (hindsight restore --gdb goes on from it)") == len(runs)
    assert said.count("stop reason = signal SIGINT\n    frame #0: ") == len(runs), said
    assert "hs_guest_serve" in said[said.index("(lldb) bt"):]
    assert process.wait(60).rc == 0


@SOFT
def test_debug_tells_lldb_the_regions_of_the_space(crashed, debug):
    _, address = debug(crashed.core)
    said = lldb_batch([f"gdb-remote {address}", "memory region $pc", "memory region $sp", "memory region 0",
                       "process kill"], crashed.image)
    rights = re.findall(r"^\[0x[0-9a-f]+-0x[0-9a-f]+\) ([rwx-]{3})", said, re.M)
    assert len(rights) == 3 and "x" in rights[0] and rights[1].startswith("rw") and rights[2] == "---", said


@SOFT
def test_debug_shows_lldb_where_it_stands(crashed, debug):
    _, address = debug(crashed.core)
    said = lldb_batch([f"gdb-remote {address}", "bt", "register read", "process kill"], crashed.image)
    assert "store_price" in said and "SIGSEGV" in said
    value = re.search(rf"\b{crashed.pc} = (0x\w+)", said)[1]
    assert int(value, 16) == crashed.registers[crashed.pc]


@SOFT
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_debug_ends_with_a_signal(crashed, debug, number):
    process, _ = debug(crashed.core)
    process.signal(number)
    assert process.wait(60).rc == 128 + number


@pytest.mark.parametrize("runner", ["amd64-soft", "i686-soft"], indirect=True)
def test_debug_shows_a_snapshot_as_it_was_taken(runner, debug, tmp_path):
    path = tmp_path / "ready.snapshot"
    assert runner.run("functions", options=["--snapshot", path]).rc == 0
    process, address = debug(path)
    said = gdb_batch([f"target remote {address}", "backtrace", "print $_siginfo.si_signo", "monitor info", "kill"],
                     runner.guest("functions"))
    assert "hs_guest_serve" in said[1] and "a snapshot: the guest goes on from here" in said[3], said.text
    assert process.wait(60).rc == 0


@SOFT
def test_debug_warns_of_a_core_that_is_cut_off_and_shows_the_rest(crashed, debug, tmp_path):
    path = tmp_path / "cut.core"
    whole = crashed.core.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    process, address = debug(path)
    said = gdb_batch([f"target remote {address}", "info registers", "kill"])
    assert int(numbers(said[1])[crashed.pc], 16) == crashed.registers[crashed.pc]
    lines = process.wait(60).stderr.splitlines()
    missing = len(whole) - len(whole) // 2
    assert lines[0].startswith(f"hindsight: warning: {path}: broken core: {missing} bytes are missing at the end")
    assert len(lines) == 2
    process, _ = debug(crashed.core)
    process.signal(signal.SIGTERM)
    assert process.wait(60).stderr.count("\n") == 1


def test_debug_shows_the_core_of_a_process(debug, tmp_path):
    source = tmp_path / "a.c"
    source.write_text("int deep(int n) { return n ? deep(n - 1) + 1 : 7; }\nint main(void) { return deep(3); }\n")
    assert run(["gcc", "-g", "-O0", "-static", "-o", "a", source], cwd=tmp_path).rc == 0
    made = run(["gdb", "-nx", "-batch", "-ex", "break deep if n == 0", "-ex", "run", "-ex",
                "generate-core-file c.core", "./a"], cwd=tmp_path)
    if not (tmp_path / "c.core").exists():
        pytest.skip(f"gdb cannot run a process here: {made.stderr.strip()}")
    process, address = debug(tmp_path / "c.core")
    said = gdb_batch([f"target remote {address}", "backtrace", "find /b &main, +64, 0xc3",
                      "maintenance packet qMemoryRegionInfo:0", "kill"], tmp_path / "a")
    assert len(re.findall(r"\bdeep \(n=\d\)", said[1])) == 4 and "main ()" in said[1], said.text
    assert re.search(r"^0x[0-9a-f]+ <main", said[2], re.M), said.text
    # Below the first segment there is a hole.
    assert re.search(r'received: "start:0;size:[0-9a-f]+;"', said[3]), said.text
    assert process.wait(60).rc == 0


@pytest.mark.parametrize(("words", "message"), [
    (["/nowhere.core"], "hindsight: cannot open /nowhere.core: No such file or directory"),
    (["--gdb", "0.0.0.0:0", "CORE"], "hindsight: 0.0.0.0:0: reachable from other hosts"),
    (["--image", "/nowhere.elf", "CORE"], "hindsight: /nowhere.elf: No such file or directory"),
])
@pytest.mark.parametrize(("runner", "crashed"), [("amd64-soft", "page_write")], indirect=True)
def test_debug_with_bad_words_says_which(crashed, build, words, message):
    result = run([build / "hindsight", "debug", *(crashed.core if word == "CORE" else word for word in words)])
    assert (result.rc, result.stdout) == (125, "") and result.stderr.startswith(message), result
    assert result.stderr.count("\n") == 1
