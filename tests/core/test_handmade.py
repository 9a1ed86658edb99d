# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cores of handmade guests, read by other people's programs and by ours.

tests/unit/coredump/make_cores.c makes guests that never ran, with a different value in every register, and writes
beside each core what is in it. Every one of these facts must be what each reader says.
"""

import json
import os
import re
import shutil

import pytest

from lib.debuggers import gdb_batch, lldb_batch
from lib.process import run

FAULTS = ("fault-amd64", "fault-i686")
NAMES = (*FAULTS, "segments-amd64", "segments-i686", "aliases", "empty")

# binutils 2.40 complains of sh_info in section 0 of every file with PN_XNUM, those that Linux writes included: its
# check of sh_info (process_section_headers) does not know that use of it.
XNUM_WARNING = "readelf: Warning: [ 0]: Unexpected value (70001) in info field.\n"


class Core:
    def __init__(self, directory, name, image):
        self.name, self.image = name, image
        self.path = directory / f"{name}.core"
        self.registers, self.memory, self.numbers = {}, {}, {}
        for line in (directory / f"{name}.expected").read_text().splitlines():
            fields = line.split()
            if fields[0] == "register":
                self.registers[fields[1]] = int(fields[2], 16)
            elif fields[0] == "memory":
                self.memory[int(fields[1], 16)] = int(fields[2], 16)
            else:
                self.numbers[fields[0]] = int(fields[1])

    def guests_registers(self, without=()):
        """Those that a CPU has: orig_rax is Linux's way to say that there is no system call."""
        return {name: value for name, value in self.registers.items() if name[:5] != "orig_" and name not in without}

    def gdb(self, *commands):
        """What gdb answers, knowing the image where there is one."""
        return gdb_batch([f"core-file {self.path}", *commands], self.image)[1:]


@pytest.fixture(scope="session")
def cores(build, tmp_path_factory):
    directory = tmp_path_factory.mktemp("handmade")
    images = [build / "tests/unit/symbols" / f"fault-{arch}-O0.elf" for arch in ("amd64", "i686")]
    run([str(build / "tests/unit/coredump/make_cores"), str(directory), *map(str, images)]).check()
    return {name: Core(directory, name, dict(zip(FAULTS, images)).get(name)) for name in NAMES}


@pytest.fixture(params=NAMES)
def core(request, cores):
    return cores[request.param]


@pytest.fixture(params=FAULTS)
def fault(request, cores):
    return cores[request.param]


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def test_file_is_private_and_has_holes(core):
    info = os.stat(core.path)
    assert info.st_size == core.numbers["bytes"]
    assert info.st_mode & 0o777 == 0o600
    # A file system may round each run of data outwards, and needs blocks of its own.
    assert info.st_blocks * 512 <= core.numbers["stored"] + 16 * 4096


def test_readelf_has_no_complaint(core):
    need("readelf")
    result = run(["readelf", "-W", "-a", str(core.path)]).check()
    assert result.stderr.replace(XNUM_WARNING, "") == ""
    assert re.findall(r"(?i)warning|corrupt|<unknown>", result.stdout.replace(XNUM_WARNING, "")) == []


def test_readelf_sees_each_physical_page_stored_once(core):
    need("readelf")
    listing = run(["readelf", "-W", "-l", str(core.path)]).check().stdout
    loads = re.findall(r"^  LOAD +(0x\w+) (0x\w+) (0x\w+) (0x\w+) (0x\w+)", listing, re.M)
    assert len(loads) == core.numbers["segments"]
    offsets = {}
    for offset, _, paddr, filesz, memsz in loads:
        assert filesz == memsz
        assert offsets.setdefault(paddr, offset) == offset
    addresses = [int(load[1], 16) for load in loads]
    assert addresses == sorted(addresses)


def test_elfutils_read_the_notes(core):
    need("eu-readelf")
    result = run(["eu-readelf", "-a", str(core.path)]).check()
    assert result.stderr == "" and result.stdout
    notes = run(["eu-readelf", "-n", str(core.path)]).check().stdout
    signal = 0 if core.name == "empty" else 11
    assert f"info.si_signo: {signal}, info.si_code: 0, info.si_errno: 0, cursig: {signal}\n" in notes
    assert "fname: fault.elf, psargs: ./fault.elf one two\n" in notes
    assert signal == 0 or "fault address: 0x10\n" in notes
    order = ["PRSTATUS", "PRPSINFO", "SIGINFO", "AUXV", "FILE", "FPREGSET", "PRXFPREG", "X86_XSTATE"]
    seen = re.findall(r"^  (?:CORE|LINUX) +\d+  (\w+)$", notes, re.M)
    assert seen == [name for name in order if name in seen] and len(seen) >= 6


def test_elfutils_unwind_the_stack(fault):
    need("eu-stack")
    stack = run(["eu-stack", f"--core={fault.path}", "-e", str(fault.image)]).check().stdout
    assert re.findall(r"^#\d +0x\w+ (\w+)$", stack, re.M) == ["store_null", "middle", "run", "_start"]


def test_elfutils_find_the_executable_by_what_the_core_says(fault):
    need("eu-unstrip")
    modules = run(["eu-unstrip", "-n", f"--core={fault.path}"]).check().stdout
    build_id = re.search(r"Build ID: (\w+)", run(["readelf", "-n", str(fault.image)]).stdout).group(1)
    assert build_id in modules and str(fault.image) in modules


def test_gdb_reads_every_register(core):
    need("gdb")
    names = list(core.registers)
    answers = core.gdb(*[f"p/x ${name}" for name in names])
    assert [answer.split(" = ")[1] for answer in answers] == [f"{core.registers[name]:#x}" for name in names]


def test_gdb_reads_memory_through_every_alias(core):
    need("gdb")
    places = list(core.memory)
    answers = core.gdb(*[f"x/gx {place}" for place in places])
    assert [int(answer.rsplit("\t", 1)[1], 16) for answer in answers] == [core.memory[place] for place in places]


def test_gdb_prints_the_backtrace(fault):
    need("gdb")
    backtrace, = fault.gdb("bt")
    frames = re.findall(r"^#\d+ +(?:0x\w+ in )?(\w+) \((.*)\) at \S*?(\w+\.[cS]:\d+)", backtrace, re.M)
    assert frames == [
        ("store_null", "target=0x10, value=77", "fault.c:20"),
        ("middle", "depth=0", "fault.c:28"),
        ("run", "", "fault.c:37"),
        ("_start", "", "start.S:13"),
    ]


def test_gdb_knows_the_signal_the_vectors_and_the_files(fault):
    need("gdb")
    text, zero, siginfo, xmm, ymm, mxcsr, st0, mappings = fault.gdb(
        "x/s sentinel", "p initialised", "p $_siginfo", "p/x $xmm3.uint128", "p/x $ymm5.v4_int64[3]", "p/x $mxcsr",
        "p $st0", "info proc mappings")
    assert text.endswith('"sentinel of the image"')
    assert zero == "$1 = 305419896"
    assert "si_signo = 11, si_errno = 0, si_code = 1" in siginfo and "si_addr = 0x10" in siginfo
    assert xmm == "$3 = 0x123456789abcd034444444444444444"
    assert ymm == "$4 = 0xa0a0a0a0a0a0a005"
    assert mxcsr == "$5 = 0x9fc0"
    assert st0 == "$6 = 1.5"
    assert mappings.count(str(fault.image)) == 4


def test_lldb_reads_the_backtrace_registers_and_memory(fault):
    need("lldb")
    out = lldb_batch(["bt", "register read", "register read xmm3 mxcsr", "memory read -fx -s8 -c1 0x10005008"],
                     fault.image, fault.path)
    assert re.findall(r"frame #\d: 0x\w+ \S+`(\w+)", out) == ["store_null", "middle", "run", "_start"]
    assert "stop reason = signal SIGSEGV" in out and "fault.c:20" in out
    values = {name: int(value, 16) for name, value in re.findall(r"^ +(\w+) = (0x\w+)", out, re.M)}
    values["eflags"] = values.get("rflags", values.get("eflags"))
    # lldb 14 shows neither base.
    expected = fault.guests_registers(without=("fs_base", "gs_base"))
    assert {name: values.get(name) for name in expected} == expected
    assert f"0x10005008: {fault.memory[0x10005008]:#x}" in out
    assert "xmm3 = {0x44 0x44 0x44 0x44 0x44 0x44 0x44 0x44 0x03 0xcd 0xab 0x89 0x67 0x45 0x23 0x01}" in out
    assert values["mxcsr"] == 0x9FC0


def test_core_info_as_json_has_every_fact(build, core):
    result = run([str(build / "hindsight"), "core", "info", "--json", str(core.path)]).check()
    info = json.loads(result.stdout)
    registers = info["cpus"][0]
    assert result.stderr == ""
    assert {name: int(registers[name], 16) for name in core.guests_registers()} == core.guests_registers()
    assert (registers["xmm3"], registers["st1"]) == ("0x123456789abcd034444444444444444", "0xc0008000000000000000")
    assert (info["bytes"], info["missing_bytes"]) == (os.stat(core.path).st_size, 0)
    assert info["signal"] == (None if core.name == "empty" else {
        "number": 11, "name": "SIGSEGV", "code": 1, "code_name": "SEGV_MAPERR", "address": "0x10"})
    assert info["reason"] == {"name": "exception", "text": "page fault: write to 0x10, which is not mapped"}
    assert [file["path"] for file in info["files"]] == ([str(core.image)] * 4 if core.image else [])
    segments = {int(segment["address"], 16): segment for segment in info["segments"]}
    assert len(segments) == core.numbers["segments"]
    for address, expected in core.memory.items():
        start = max(at for at in segments if at <= address)
        with open(core.path, "rb") as file:
            file.seek(segments[start]["offset"] + address - start)
            assert int.from_bytes(file.read(8), "little") == expected


def test_core_info_as_text_shows_the_same(build, core):
    out = run([str(build / "hindsight"), "core", "info", str(core.path)]).check().stdout
    rows = re.findall(r"^  0x\w+ +0x\w+ +[r-][w-][x-]  0x\w+ +0x\w+$", out, re.M)
    assert len(rows) == min(core.numbers["segments"], 40)
    for name, value in core.guests_registers().items():
        assert re.search(rf"\b{name} +0x0*{value:x}\b", out)
    assert core.name == "empty" or "SIGSEGV (11), code 1 (SEGV_MAPERR), address 0x10\n" in out
    every = run([str(build / "hindsight"), "core", "info", "--all", str(core.path)]).check().stdout
    assert len(re.findall(r"^  0x\w+ +0x\w+ +[r-][w-][x-]  0x", every, re.M)) == core.numbers["segments"]


def test_core_info_reads_the_core_of_a_process(build, tmp_path):
    """Cores of other programs are no stranger: gdb writes one, of a program that stands at main()."""
    need("gdb")
    program, core = build / "tests/unit/symbols/print_lines", tmp_path / "process.core"
    commands = ["break main", "run", f"generate-core-file {core}", "p/x $rip", "p/x $rsp", "p/x $xmm1.uint128"]
    answers = gdb_batch(commands, program)
    if not core.exists():
        pytest.skip(f"gdb cannot run a process here: {' '.join(answers[1].split())[:80]}")
    info = json.loads(run([str(build / "hindsight"), "core", "info", "--json", str(core)]).check().stdout)
    registers = info["cpus"][0]
    assert [registers[name] for name in ("rip", "rsp", "xmm1")] == [answer.split(" = ")[1] for answer in answers[3:]]
    assert (info["arch"], info["producer"], info["space"], info["missing_bytes"]) == ("amd64", "", None, 0)
    assert info["guest"] == "print_lines" and info["command_line"].startswith(str(program)[:79])
    assert info["signal"]["name"] == "SIGTRAP"
    assert str(program) in [file["path"] for file in info["files"]]
