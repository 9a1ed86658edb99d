# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the programs of tests/programs/ in all variants: each from the same objects for Linux and as a guest."""

import pathlib
import re
import shutil
from dataclasses import dataclass

from lib.process import run

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCES = TOP / "tests/programs"
NINJA_SECONDS = 600

# What is on by default differs between distributions.
COMMON = "-std=gnu11 -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -Wall -Wextra -Werror"
LINK = ("-static -nostdlib -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,separate-code -Wl,-z,noexecstack"
        " -Wl,-Ttext-segment=0x400000")
WORDS = {"amd64": "-m64", "i686": "-m32"}
# General registers alone, which ring 0 of every KVM executes.
MACHINES = {"amd64": "-march=x86-64-v2 -mgeneral-regs-only", "i686": "-march=i686 -mgeneral-regs-only"}

# Each has something beside the level that compilers do elsewhere: addresses relative to rip or to the GOT; landing pads
# for indirect branches and stack probes; code without frame pointers or with.
LEVELS = {
    "O0": "-O0 -fno-pic",
    "O1": "-O1 -fpie",
    "O2": "-O2 -fno-pic -fcf-protection=full",
    "O3": "-O3 -fno-pic -fno-omit-frame-pointer",
    "Os": "-Os -fno-pic",
}
OF_ONE = {
    ("gcc", "O2rep"): "-O2 -fno-pic -minline-all-stringops -mstringop-strategy=rep_4byte -fstack-clash-protection",
    ("gcc", "O3unroll"): "-O3 -fpie -funroll-all-loops -mstringop-strategy=unrolled_loop -mtune=atom",
    ("clang", "Oz"): "-Oz -fno-pic",
}
BIT_INSTRUCTIONS = "-O2 -fno-pic -mbmi -mbmi2 -mlzcnt -mpopcnt -mmovbe"
# With floating point and vectors: what distributions build for, AVX2 with its companions, and what this machine has.
# i686 computes by x87 or by SSE. -Ofast lets compilers make vectors of sums. Without errno a root is an instruction.
V3 = "-mfpmath=sse -mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mmovbe"
# The software CPU ends at AVX2, VAES, VPCLMULQDQ and SHA (docs/soft-cpu.md); of what comes behind, compilers use these.
NATIVE = ("-march=native -mfpmath=sse -mno-avx512f -mno-avxvnni -mno-gfni -mno-sse4a -mno-fma4 -mno-xop -mno-tbm"
          " -mno-lwp")
FLOAT_LEVELS = {
    "amd64": {
        "O0": "-march=x86-64-v2 -O0 -fno-pic",
        "O1": "-march=x86-64-v2 -O1 -fpie",
        "O2": "-march=x86-64-v2 -O2 -fno-pic",
        "O3": "-march=x86-64-v2 -O3 -fpie",
        "Os": "-march=x86-64-v2 -Os -fno-pic",
        "O3v3": f"-march=x86-64-v3 {V3} -O3 -fno-pic",
        "Ofastv3": f"-march=x86-64-v3 {V3} -Ofast -fpie",
        "O3native": f"{NATIVE} -O3 -fno-pic",
    },
    "i686": {
        "O0": "-march=i686 -O0 -fno-pic",
        "O1": "-march=i686 -O1 -fno-pic",
        "O2": "-march=i686 -O2 -fno-pic",
        "O3": "-march=i686 -O3 -fpie",
        "Os": "-march=i686 -Os -fno-pic",
        "Ofast": "-march=i686 -Ofast -fno-pic",
        "O2sse": "-march=pentium4 -msse2 -mfpmath=sse -O2 -fno-pic",
        "O3sse": "-march=pentium4 -msse2 -mfpmath=sse -O3 -fno-pic",
        "O3v3": f"-march=pentium4 {V3} -O3 -fno-pic",
        "O3native": f"{NATIVE} -O3 -fno-pic",
    },
}


@dataclass(frozen=True)
class Variant:
    """A compiler with its options, for one architecture, and the folder of topics that it builds."""

    arch: str
    compiler: str
    level: str
    options: str
    topics: str = "topics"

    @property
    def name(self):
        return f"{self.arch}-{self.compiler}-{self.level}" + ("-floats" if self.floats else "")

    @property
    def floats(self):
        return self.topics == "floats"


def _variants():
    for arch, machine in MACHINES.items():
        for compiler in ("gcc", "clang"):
            for level, options in LEVELS.items():
                yield Variant(arch, compiler, level, f"{machine} {options}")
            yield Variant(arch, compiler, "O2bmi", f"{machine} {BIT_INSTRUCTIONS}")
            for level, options in FLOAT_LEVELS[arch].items():
                yield Variant(arch, compiler, level, f"{options} -fno-math-errno", "floats")
        for (compiler, level), options in OF_ONE.items():
            yield Variant(arch, compiler, level, f"{machine} {options}")


VARIANTS = tuple(_variants())


def topics(folder):
    """The names of the topics of a folder, in their order."""
    text = (SOURCES / f"{folder}.h").read_text(encoding="utf-8")
    return re.findall(r"^TOPIC\((\w+)\)", text, re.MULTILINE)


def _rules(variant):
    options = f"{WORDS[variant.arch]} {variant.options} {COMMON} -I{TOP}/include '-DTOPICS=\"{variant.topics}.h\"'"
    yield f"rule {variant.name}"
    yield f"  command = {variant.compiler} {options} -MD -MF $out.d -c $in -o $out"
    yield "  depfile = $out.d"
    yield "  deps = gcc"
    yield f"rule link-{variant.name}"
    yield f"  command = {variant.compiler} {WORDS[variant.arch]} {LINK} $in -o $out"


def _builds(variant):
    sources = sorted([*SOURCES.glob("*.c"), *SOURCES.glob(f"{variant.topics}/*.c")])
    starts = [source for source in sources if source.name.startswith("start_")]
    objects = {source: f"{variant.name}/{source.stem}.o" for source in sources}
    for source, output in objects.items():
        yield f"build {output}: {variant.name} {source}"
    for start in starts:
        parts = " ".join(objects[source] for source in sources if source == start or source not in starts)
        yield f"build {variant.name}/{start.stem.removeprefix('start_')}.elf: link-{variant.name} {parts}"


def build(directory):
    """All variants whose compiler is there, in a directory of which only what has changed is built again."""
    directory = pathlib.Path(directory)
    lines = ["ninja_required_version = 1.5"]
    for variant in VARIANTS:
        if shutil.which(variant.compiler):
            lines += [*_rules(variant), *_builds(variant)]
    directory.mkdir(exist_ok=True)
    (directory / "build.ninja").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run(["ninja", "-C", directory], timeout=NINJA_SECONDS).check()
    return directory
