# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cores of guests that really crashed, read by other people's programs and by ours.

Every way of tests/lib/crashes.py, each architecture, each place. What the readers say is compared with what the
program is known to do, with what gdb saw in a live guest at the same fault, and with the image.
"""

import json
import re
import shutil
import signal

import pytest

from lib.crashed import numbers, read
from lib.crashes import CRASHES
from lib.debuggers import gdb_batch, lldb_batch
from lib.elf import PT_LOAD, Image, eu_readelf, readelf
from lib.process import run
from lib.runner import RUNNERS

pytestmark = pytest.mark.parametrize(
    ("runner", "crashed"),
    [(runner, name) for runner in RUNNERS for name, crash in CRASHES.items() if crash.only in runner], indirect=True)

SECONDS = 120
REGISTERS = {
    "amd64": "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip eflags cs ss ds es fs gs".split(),
    "i686": "eax ecx edx ebx esp ebp esi edi eip eflags cs ss ds es fs gs".split(),
}
X87 = [f"st{i}" for i in range(8)] + "fctrl fstat ftag fiseg fioff foseg fooff fop mxcsr".split()


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def whole_registers(text):
    """Name -> all that gdb says of it, for those that have several parts."""
    return {name: " ".join(value.split()) for name, value in re.findall(r"^(\w+) +(.*)$", text, re.M)}


def test_gdb_names_the_place_the_signal_and_the_image(crashed):
    need("gdb")
    crash = crashed.crash
    backtrace, instruction, number, code, address, path, mappings, auxv = crashed.gdb(
        "backtrace", "x/i $pc", "print $_siginfo.si_signo", "print $_siginfo.si_code",
        "print/x (long)$_siginfo._sifields._sigfault.si_addr", "x/s (char *)boot_info->args_start",
        "info proc mappings", "info auxv")
    pc = crashed.registers[crashed.pc]
    assert [int(text.split(" = ")[1], 0) for text in (number, code)] == [crash.signal, crash.code]
    where = int(address.split(" = ")[1], 16)
    if crashed.lost:
        assert (pc, crashed.registers["cs"], where) == (0xFFF0, 0xF000, 0xFFF0)  # SDM vol. 3A table 9-1
    else:
        check_place(crashed, backtrace, instruction)
        expected = crash.address_in(crashed.image, pc)
        assert where == expected if expected is not None else f"{where:#x}" in crashed.result.stderr
    if crash.native:
        assert path.endswith(f'"{crashed.image}"')
    check_image(crashed, mappings, auxv)


def check_place(crashed, backtrace, instruction):
    crash = crashed.crash
    frames = re.findall(r"^#\d+ +(?:0x\w+ in )?(\S+) \(.*?\)(?: at (\S+):(\d+))?$", backtrace, re.M)
    assert tuple(frame[0] for frame in frames[:len(crash.frames)]) == crash.frames, backtrace
    line = next(int(number) for _, file, number in frames if file.endswith(f"/{crash.guest}.c"))
    assert line == crash.line, backtrace
    # main() is the outermost that gdb shows, whatever lies between.
    assert frames[-1][0] == ("main" if crash.native else "_start")
    assert re.search(r"(:\t|^)" + crash.instruction, instruction), instruction


def check_image(crashed, mappings, auxv):
    """NT_FILE and NT_AUXV say what the image's headers say."""
    image = Image(crashed.image)
    expected = []
    for index in image.segments(PT_LOAD):
        at, offset, length = (image.get_segment(index, name) for name in ("vaddr", "offset", "filesz"))
        end = (at + length + 0xFFF) & ~0xFFF
        expected.append((at & ~0xFFF, end, end - (at & ~0xFFF), offset & ~0xFFF, str(crashed.image)))
    rows = re.findall(r"^\s+(0x\w+) +(0x\w+) +(0x\w+) +(0x\w+) +(\S+)$", mappings, re.M)
    assert [(*(int(value, 16) for value in row[:4]), row[4]) for row in rows] == expected
    entries = dict(re.findall(r"^\d+ +AT_(\w+) .* (\S+)$", auxv, re.M))
    assert int(entries["ENTRY"], 16) == image.get("entry")
    assert int(entries["PHDR"], 16) == expected[0][0] + image.get("phoff")
    assert (int(entries["PHENT"]), int(entries["PHNUM"])) == (image.get("phentsize"), image.get("phnum"))
    assert int(entries["PAGESZ"]) == 4096


def test_registers_and_memory_are_those_that_live_gdb_showed(crashed, tmp_path):
    """The core of a debugged guest against what its debugger saw, and the core of one that nobody watched as well."""
    need("gdb")
    crash, runner, directory = crashed.crash, crashed.runner, tmp_path / "dumps"
    directory.mkdir()
    core = Image(crashed.core)
    areas = [] if crashed.lost else [
        (core.get_segment(index, "vaddr"), core.get_segment(index, "filesz")) for index in core.segments(PT_LOAD)]
    dumps = [f"dump binary memory {directory}/{at:x} {at} {at + length}" for at, length in areas]
    # gdb keeps SIGTRAP from the guest unless told otherwise, as it is its own.
    end = "signal SIGTRAP" if crash.signal == signal.SIGTRAP else "continue"
    # Where there is ymm, xmm is not among "all".
    ask = ["info registers", "info all-registers", "print $fs_base", "print $gs_base",
           f"info registers {' '.join(xmm_of(runner.arch))}"]
    cwd = tmp_path / "run"
    cwd.mkdir()
    with runner.serve(crash.guest, *crash.words, options=crash.options, cwd=cwd) as served:
        live = gdb_batch([f"target remote {served.address}", "continue", *ask, *dumps, end], timeout=SECONDS)
        result = served.process.wait(SECONDS)
    second, = runner.place.collect(cwd).values()
    assert result.rc == crash.exit_status, live.text
    dead = read(second, crashed.image, ask)
    check_registers(crashed, live[2:7], dead)
    check_registers(crashed, live[2:7], crashed.gdb(*ask))
    core = Image(second)
    assert areas == [] or areas == [
        (core.get_segment(index, "vaddr"), core.get_segment(index, "filesz")) for index in core.segments(PT_LOAD)]
    for index, (at, length) in zip(core.segments(PT_LOAD), areas):
        offset = core.get_segment(index, "offset")
        assert (directory / f"{at:x}").read_bytes() == core.bytes[offset:offset + length], f"the bytes at {at:#x}"


def xmm_of(arch):
    return [f"xmm{i}" for i in range(16 if arch == "amd64" else 8)]


def check_registers(crashed, live, dead):
    general, every = numbers(live[0]), whole_registers(f"{live[1]}\n{live[4]}")
    core_general, core_every = numbers(dead[0]), whole_registers(f"{dead[1]}\n{dead[4]}")
    vectors = xmm_of(crashed.runner.arch)
    wide = [name.replace("xmm", "ymm") for name in vectors]
    switched_on = " AVX" in crashed.result.stdout
    # The live session has them wherever the CPU can, the core where the guest has switched them on.
    assert not switched_on or set(wide) <= set(every)
    assert set(wide) & set(core_every) == (set(wide) if switched_on else set())
    vectors += wide if switched_on else []
    if switched_on:
        check_loaded(core_every["ymm1"])
    names = REGISTERS[crashed.runner.arch]
    assert {name: core_general.get(name) for name in names} == {name: general[name] for name in names}
    assert {name: core_every.get(name) for name in X87 + vectors} == {name: every[name] for name in X87 + vectors}
    if crashed.runner.arch == "amd64":
        assert dead[2:] == live[2:]


def check_loaded(text):
    """guest/programs/vectors.c has loaded 7 * 1 + j + 1 into byte j of ymm1."""
    values = re.search(r"v32_int8 = \{(.*?)\}", text)[1]
    assert [int(value, 0) for value in values.split(", ")] == [8 + j for j in range(32)], text


def test_binutils_and_elfutils_have_no_complaint_and_find_the_image(crashed):
    for program in "readelf", "eu-readelf", "eu-stack", "eu-unstrip":
        need(program)
    crash = crashed.crash
    headers = readelf(crashed.core, "-a")
    assert "CORE (Core file)" in headers
    assert not re.search(r"(?i)corrupt|<unknown>", headers.replace("Unknown note type", ""))
    loads = re.findall(r"^  LOAD ", eu_readelf(crashed.core, "-l"), re.M)
    assert len(loads) == len(Image(crashed.core).segments(PT_LOAD))
    notes = eu_readelf(crashed.core, "-n")
    assert f"cursig: {crash.signal}\n" in notes
    assert f"si_signo: {crash.signal}, si_errno: 0, si_code: {crash.code}\n" in notes
    assert re.search(rf"\bfname: {re.escape((crash.guest + '.elf')[:15])}(,|$)", notes, re.M)
    assert f"psargs: {' '.join([str(crashed.image), *crash.words])[:79]}\n" in notes
    build_id = re.search(r"Build ID: (\w+)", readelf(crashed.image, "-n")).group(1)
    modules = run(["eu-unstrip", "-n", f"--core={crashed.core}"]).check().stdout
    assert build_id in modules and str(crashed.image) in modules
    stack = run(["eu-stack", f"--core={crashed.core}", "-e", str(crashed.image)])
    names = re.findall(r"^#\d+ +0x\w+ (\S+)$", stack.stdout, re.M)
    if crashed.lost:
        assert re.findall(r"^#\d+ .*", stack.stdout, re.M) == ["#0  0x000000000000fff0"]
        return
    # It does not show inlined functions, nor, on amd64, the caller of code that has no CFI.
    expected = [name for name in crash.frames if not name.startswith(("hs_in8", "hs_out", "??")) and name != "data"]
    assert names[:len(expected)] == expected or crash.frames[0] in ("??", "data"), stack
    assert names[-1] == "_start" and (not crash.native or names[-3:-1] == ["main", "hs_guest_start"]), stack


def test_lldb_shows_the_backtrace_and_the_registers(crashed):
    need("lldb")
    crash = crashed.crash
    said = lldb_batch(["bt", "register read"], crashed.image, crashed.core)
    assert f"stop reason = signal {signal.Signals(crash.signal).name}\n" in said
    values = {name: int(value, 16) for name, value in re.findall(r"^ +(\w+) = (0x\w+)", said, re.M)}
    values["eflags"] = values.get("rflags", values.get("eflags"))
    names = REGISTERS[crashed.runner.arch]
    assert {name: values.get(name) for name in names} == {name: crashed.registers[name] for name in names}
    if crashed.lost:
        return
    frames = re.findall(r"frame #\d+: 0x\w+(?: \S+?`(?:.*\[inlined\] )?(\w+).*?)?(?: at (\S+?):(\d+)(?::\d+)?)?$",
                        said, re.M)
    shown = [name for name, *_ in frames]
    known = [name for name in crash.frames if name not in ("??", "data")]
    assert [name for name in shown if name in known][:len(known)] == known, said
    assert (f"{crash.guest}.c", str(crash.line)) in [(file, line) for _, file, line in frames], said


def test_core_info_agrees_with_itself_and_with_the_run(crashed):
    crash, hindsight = crashed.crash, str(crashed.runner.hindsight)
    result = run([hindsight, "core", "info", "--json", str(crashed.core)]).check()
    text = run([hindsight, "core", "info", str(crashed.core)]).check()
    assert (result.stderr, text.stderr) == ("", "")
    info = json.loads(result.stdout)
    registers, number, reason = info["cpus"][0], info["signal"], info["reason"]
    assert (number["number"], number["code"]) == (crash.signal, crash.code)
    assert reason["name"] == crash.kind and re.match(crash.reason, reason["text"])
    assert crashed.result.stderr.startswith(f"hindsight: {crash.guest}.elf: {reason['text']}")
    assert info["command_line"] == " ".join([str(crashed.image), *crash.words])[:79]
    assert not info["partial"]
    pc = int(registers[crashed.pc], 16)
    if not crashed.lost:
        expected = crash.address_in(crashed.image, pc)
        assert expected is None or int(number["address"], 16) == expected
        assert f", at {pc:#x}" in crashed.result.stderr
    names = REGISTERS[crashed.runner.arch]
    assert {name: int(registers[name], 16) for name in names} == {name: crashed.registers[name] for name in names}
    assert re.search(rf"^reason +{re.escape(reason['text'])}$", text.stdout, re.M)
    line = rf"^signal +{number['name']} \({crash.signal}\), code {crash.code} .*address {number['address']}$"
    assert re.search(line, text.stdout, re.M)
    assert all(re.search(rf"\b{name} +0x0*{int(registers[name], 16):x}\b", text.stdout) for name in names)
    core = Image(crashed.core)
    segments = [(int(segment["address"], 16), segment["length"], segment["offset"]) for segment in info["segments"]]
    assert segments == [tuple(core.get_segment(index, name) for name in ("vaddr", "memsz", "offset"))
                        for index in core.segments(PT_LOAD)]
