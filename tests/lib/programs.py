# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the programs of tests/programs/ in all variants: each from the same objects for Linux and as a guest."""

import pathlib
import shutil
from dataclasses import dataclass

from lib.process import run

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCES = TOP / "tests/programs"
NINJA_SECONDS = 600

# No vectors: the machines of today's guests have none. What is on by default differs between distributions.
COMMON = ("-std=gnu11 -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -mgeneral-regs-only"
          " -Wall -Wextra -Werror")
LINK = ("-static -nostdlib -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,separate-code -Wl,-z,noexecstack"
        " -Wl,-Ttext-segment=0x400000")
MACHINES = {"amd64": "-m64 -march=x86-64-v2", "i686": "-m32 -march=i686"}

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


@dataclass(frozen=True)
class Variant:
    """A compiler with its options, for one architecture."""

    arch: str
    compiler: str
    level: str
    options: str

    @property
    def name(self):
        return f"{self.arch}-{self.compiler}-{self.level}"


def _variants():
    for arch in MACHINES:
        for compiler in ("gcc", "clang"):
            for level, options in LEVELS.items():
                yield Variant(arch, compiler, level, options)
            yield Variant(arch, compiler, "O2bmi", BIT_INSTRUCTIONS)
        for (compiler, level), options in OF_ONE.items():
            yield Variant(arch, compiler, level, options)


VARIANTS = tuple(_variants())


def _rules(variant):
    options = f"{MACHINES[variant.arch]} {variant.options} {COMMON} -I{TOP}/include"
    yield f"rule {variant.name}"
    yield f"  command = {variant.compiler} {options} -MD -MF $out.d -c $in -o $out"
    yield "  depfile = $out.d"
    yield "  deps = gcc"
    yield f"rule link-{variant.name}"
    yield f"  command = {variant.compiler} {MACHINES[variant.arch].split()[0]} {LINK} $in -o $out"


def _builds(variant):
    sources = sorted([*SOURCES.glob("*.c"), *SOURCES.glob("topics/*.c")])
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
