# SPDX-License-Identifier: LGPL-2.1-or-later
"""Backtraces (debug/symbols/) of guests that really crashed, frame by frame beside those of gdb and eu-stack.

guest/programs/backtrace.c crashes in many ways; here it is built by two compilers at several levels, without frame
pointers, with both versions of DWARF, for both architectures.
"""

import functools
import itertools
import json
import pathlib
import re
import shutil
from dataclasses import dataclass, replace

import pytest

from lib.debuggers import gdb_batch, lldb_batch
from lib.process import run

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCE = TOP / "guest/programs/backtrace.c"
OUTERMOST = "the outermost frame"
NO_CODE = "there is no code where the frame would go on"
RECURSION = 41

# What hindsight-guest.pc says, of the tree that is built.
COMMON = ("-std=gnu11 -ffreestanding -fno-pic -fno-stack-protector -fcf-protection=none -mno-red-zone"
          " -mgeneral-regs-only -fomit-frame-pointer -static -nostdlib -Wl,--build-id=sha1 -Wl,-z,max-page-size=4096"
          " -Wl,-z,noexecstack -Wl,--gc-sections").split()
MACHINES = {"amd64": "-m64", "i686": "-m32"}
# Without the tables of -fasynchronous-unwind-tables call-frame information is in .debug_frame.
VARIANTS = ("gcc -O0 -gdwarf-5", "gcc -O1 -gdwarf-4 -ffunction-sections", "gcc -O2 -gdwarf-5",
            "gcc -O2 -gdwarf-4 -fno-asynchronous-unwind-tables", "clang -O1 -gdwarf-4", "clang -O2 -gdwarf-5")

# The functions of each way, innermost first, up to run().
WAYS = {
    "chain": ["innermost", "middle", "chain"],
    "twice": ["crash", "twice", "calls_inlined"],
    "recurse": ["crash"] + ["recurse"] * RECURSION,
    "aligned": ["crash", "aligned"],
    "variable": ["crash", "variable"],
    "handler": ["crash", "on_breakpoint", "hs_trap_dispatch", "trap_entry", "interrupted"],
    "fault-handler": ["on_page_fault", "hs_trap_dispatch", "trap_entry", "crash"],
    "nowhere-handler": ["on_page_fault", "hs_trap_dispatch", "trap_entry", "?", "jump_to"],
    "null": ["?", "jump_to"],
    "wild": ["?", "jump_to"],
}
BOTTOM = ["run", "main", "hs_guest_start", "_start"]
WITH_CODE_EVERYWHERE = [way for way, functions in WAYS.items() if "?" not in functions]


@dataclass
class Frame:
    """One line of print_backtrace."""

    pc: int
    cfa: object
    method: str
    flags: str
    function: str
    place: object
    """(file without directories, line), or None."""


@dataclass
class Built:
    """The program, of one architecture and one variant."""

    build: object
    arch: str
    words: str
    image: pathlib.Path
    directory: pathlib.Path

    def crash(self, *words, options=(), snapshot=None):
        """The core of a run that crashed; with `snapshot` of one that goes on from there."""
        cores = self.directory / "cores"
        shutil.rmtree(cores, ignore_errors=True)
        cores.mkdir()
        command = [self.build / "hindsight", "restore" if snapshot else "run", "--backend", "soft", "--core", cores,
                   *options, snapshot or self.image, *(["--", *words] if words else [])]
        result = run([str(word) for word in command], 60)
        assert result.rc > 128, result
        (core,) = cores.iterdir()
        return core

    def backtrace(self, core, *words):
        """What we make of it: frames, and why there are no more."""
        program = self.build / "tests/unit/symbols/print_backtrace"
        *lines, end = run([str(program), str(self.image), str(core), *words]).check().stdout.splitlines()
        return [_frame(line) for line in lines], end

    def gdb(self, core):
        """What gdb makes of it: (pc or None, function, place) of each frame, and its CFAs by level."""
        backtrace, frames = gdb_batch(
            ["set backtrace past-main on", "set backtrace past-entry on", "set print frame-arguments none", "bt 70",
             "frame apply 70 -s -q info frame"], self.image, core)[3:]
        rows = re.findall(r"^#\d+ +(?:(0x\w+) in )?(<signal handler called>|\S+)(?: \([^)]*\))?"
                          r"(?: at (?:\S*/)?(\S+):(\d+))?$", backtrace, re.M)
        cfas = {int(level): int(cfa, 16) for level, cfa in
                re.findall(r"^Stack level (\d+), frame at (0x\w+):", frames, re.M)}
        return [(int(pc, 16) if pc else None, name.replace("??", "?"), (file, int(line)) if file else None)
                for pc, name, file, line in rows], cfas


def _frame(line):
    pc, cfa, method, flags, function, place = line.split(" ", 5)
    file, _, number = place.rpartition(":")
    return Frame(int(pc, 16), int(cfa, 16) if cfa != "-" else None, method, flags.strip("-"), function,
                 (pathlib.Path(file).name, int(number)) if file else None)


def compile_program(build, arch, words, image):
    """Build the program as an installed SDK would."""
    compiler, *options = words.split()
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    command = [compiler, MACHINES[arch], *COMMON, *options, f"-I{TOP}/include", f"-I{TOP}/guest/include", str(SOURCE),
               "-o", str(image), f"-Wl,-T,{TOP}/guest/{arch}/link.ld", "-Wl,--whole-archive",
               str(build / f"guest/libhindsight-guest-{arch}.a"), "-Wl,--no-whole-archive"]
    run(command, 60).check()


@pytest.fixture(scope="module", params=list(itertools.product(MACHINES, VARIANTS)),
                ids=lambda param: f"{param[0]}-{param[1]}".replace(" ", ""))
def built(request, build, tmp_path_factory):
    for program in "gdb", "eu-stack", "addr2line":
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    arch, words = request.param
    directory = tmp_path_factory.mktemp("backtrace")
    compile_program(build, arch, words, directory / "backtrace.elf")
    return Built(build, arch, words, directory / "backtrace.elf", directory)


def physical(frames):
    """Functions with what is inlined into them: lists of frames that end with one that is not inlined."""
    group = []
    for frame in frames:
        group.append(frame)
        if "i" not in frame.flags:
            yield group
            group = []


@functools.cache
def addr2line(image, pc):
    """The functions at pc with their places."""
    said = run(["addr2line", "-i", "-f", "-e", str(image), f"{pc:#x}"]).check().stdout.splitlines()
    places = [re.fullmatch(r"(?:.*/)?(\S+):(\d+|\?)(?: \(discriminator \d+\))?", line).groups() for line in said[1::2]]
    return [(function.replace("??", "?"), (file, int(line)) if line not in "?0" else None)
            for function, (file, line) in zip(said[::2], places)]


def check_as_addr2line(built, frames):
    """Functions and lines."""
    interrupted = True
    for group in physical(frames):
        pc = group[-1].pc - (not interrupted)
        interrupted = "s" in group[-1].flags
        assert [(frame.function, frame.place) for frame in group] == addr2line(built.image, pc)


def check_as_gdb(built, core, frames):
    """Every frame of ours is gdb's, for as long as ours go."""
    said, cfas = built.gdb(core)
    assert len(said) >= len(frames)
    for level, (frame, (pc, function, place)) in enumerate(zip(frames, said)):
        if function == "<signal handler called>":
            assert frame.flags == "s", level
            continue
        assert (frame.function, frame.flags == "s") == (function, False), level
        # Of several rows of a line table for one address gdb takes one that begins a statement, wherever that is from.
        assert frame.method == "cfi" or frame.place == place, level
        assert pc in (None, frame.pc), level
        if frame.cfa is not None and not frame.flags and frame.method == "cfi":
            assert cfas[level] == frame.cfa, level


def check_as_eu_stack(built, core, frames):
    """It finds inlined functions by .debug_aranges, which clang does not write."""
    if built.words.startswith("clang"):
        frames = [frame for frame in frames if "i" not in frame.flags or frame.place[0] != SOURCE.name]
    said = run(["eu-stack", "-i", f"--core={core}", "-e", str(built.image)]).stdout
    rows = [(int(pc, 16), name) for pc, name in re.findall(r"^#\d+ +(0x\w+)(?: - 1)? (\S+)", said, re.M)]
    assert rows == [(frame.pc, frame.function) for frame in frames]


@pytest.mark.parametrize("way", WAYS)
def test_backtrace_is_that_of_gdb_and_of_eu_stack(built, way):
    core = built.crash(way)
    frames, end = built.backtrace(core)
    assert [frame.function for frame in frames] == WAYS[way] + BOTTOM
    assert end == OUTERMOST
    check_as_gdb(built, core, frames)
    check_as_addr2line(built, frames)
    if way in WITH_CODE_EVERYWHERE:
        check_as_eu_stack(built, core, frames)


@pytest.mark.parametrize("way", ["chain", "twice", "null", "handler", "fault-handler"])
def test_report_has_the_frames_of_lldb(built, way):
    """Functions, inlined ones too, and lines, as `hindsight core report` prints them. Of the entry of a trap, which is
    assembly, lldb says the line behind the call."""
    if shutil.which("lldb") is None:
        pytest.skip("lldb is not installed")
    core = built.crash(way)
    told = run([str(built.build / "hindsight"), "core", "report", "--json", str(core)]).check()
    said = lldb_batch(["bt"], built.image, core)
    rows = re.findall(r"frame #\d+: 0x\w+(?: \S+?`(?:.*\[inlined\] )?(\w+).*?)?(?: at \S+?:(\d+)(?::\d+)?)?$", said,
                      re.M)
    assert [(frame["function"], frame["line"] + (frame["function"] == "trap_entry"))
            for frame in json.loads(told.stdout)["backtrace"]["frames"]] == [
        (function, int(line or 0)) for function, line in rows], said
    assert len(rows) >= len(WAYS[way]) + len(BOTTOM)


def test_backtrace_goes_through_a_copy_on_write_fault(built):
    """The fault handler of the runtime ends the guest within the fault: there is no page left to copy to."""
    snapshot = built.directory / "small.core"
    first = run([str(built.build / "hindsight"), "run", "--backend", "soft", "--core", "none", "--scratch", "160K",
                 "--snapshot", str(snapshot), str(built.image), "--", "copy"], 60)
    assert first.rc == 139, first  # crash()
    core = built.crash(snapshot=snapshot)
    frames, end = built.backtrace(core)
    assert [frame.function for frame in frames] == ["hs_out32", "hs_abort", "hs_cow_fault", "page_fault_entry", "fill",
                                                    *BOTTOM]
    assert [frame.flags for frame in frames] == ["i", "", "", "s"] + [""] * 5
    assert end == OUTERMOST
    check_as_gdb(built, core, frames)
    check_as_eu_stack(built, core, frames)


def test_backtrace_of_a_function_that_copied_on_write(built):
    snapshot = built.directory / "large.core"
    run([str(built.build / "hindsight"), "run", "--backend", "soft", "--core", "none", "--scratch", "1M", "--snapshot",
         str(snapshot), str(built.image), "--", "copy"], 60)
    core = built.crash(snapshot=snapshot)
    frames, end = built.backtrace(core)
    assert ([frame.function for frame in frames], end) == (["crash", *BOTTOM], OUTERMOST)
    check_as_gdb(built, core, frames)
    check_as_eu_stack(built, core, frames)


def test_backtrace_of_a_corrupted_stack_ends_where_no_code_is(built):
    core = built.crash("corrupt")
    frames, end = built.backtrace(core)
    assert [frame.function for frame in frames] == ["smash", "corrupt", "?"]
    assert frames[-1].pc in (0x4141414141414141, 0x41414141)
    assert end == NO_CODE
    check_as_gdb(built, core, frames)


def test_backtrace_stops_at_the_limit_and_says_so(built):
    core = built.crash("recurse")
    frames, end = built.backtrace(core, "7")
    assert ([frame.function for frame in frames], end) == (["crash"] + ["recurse"] * 6, "there are more frames")


def test_methods_name_what_led_to_the_frame(built):
    frames, _ = built.backtrace(built.crash("null"))
    assert [frame.method for frame in frames] == ["cpu", "ra", "cfi", "cfi", "cfi", "cfi"]


def test_stripped_image_has_its_backtrace_with_its_debug_file(built):
    core = built.crash("twice")
    whole, _ = built.backtrace(core)
    stripped, debug = built.directory / "stripped.elf", built.directory / "debug"
    build_id = re.search(r"Build ID: (\w+)", run(["readelf", "-n", str(built.image)]).check().stdout)[1]
    file = debug / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    file.parent.mkdir(parents=True, exist_ok=True)
    run(["objcopy", "--only-keep-debug", str(built.image), str(file)]).check()
    run(["objcopy", "--strip-all", str(built.image), str(stripped)]).check()
    alone, _ = replace(built, image=stripped).backtrace(core)
    assert [frame.function for frame in alone] != [frame.function for frame in whole]
    found, end = replace(built, image=stripped).backtrace(core, "100", str(debug))
    assert (found, end) == (whole, OUTERMOST)


def test_debug_file_of_another_build_is_refused(built):
    core = built.crash("null")
    directory = built.directory / "other"
    build_id = re.search(r"Build ID: (\w+)", run(["readelf", "-n", str(built.image)]).check().stdout)[1]
    file = directory / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    file.parent.mkdir(parents=True, exist_ok=True)
    stripped = built.directory / "bare.elf"
    run(["objcopy", "--strip-all", str(built.image), str(stripped)]).check()
    program = [str(built.build / "tests/unit/symbols/print_backtrace"), str(stripped), str(core), "100"]
    missing = run([*program, str(directory)])
    assert missing.rc == 1 and "No such file" in missing.stderr
    shutil.copy(built.build / f"guest/{built.arch}/hello.elf", file)
    other = run([*program, str(directory)])
    assert other.rc == 1 and "of another build" in other.stderr
