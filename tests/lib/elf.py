# SPDX-License-Identifier: LGPL-2.1-or-later
"""ELF files seen by readelf and eu-readelf, and ELF files with their bytes changed by hand.

The tables below are the ELF specification's (System V ABI, chapter 4 and 5), as the tests' own: nothing of the project.
"""

import functools
import pathlib
import struct

from lib.process import Failed, run

ET_EXEC, ET_DYN, ET_CORE = 2, 3, 4
EM_386, EM_X86_64, EM_AARCH64 = 3, 62, 183
PT_LOAD, PT_INTERP, PT_NOTE = 1, 3, 4

# name -> (offset, struct format), for ELFCLASS32 and ELFCLASS64.
HEADER = {
    1: {"type": (16, "H"), "machine": (18, "H"), "entry": (24, "I"), "phoff": (28, "I"), "ehsize": (40, "H"),
        "phentsize": (42, "H"), "phnum": (44, "H")},
    2: {"type": (16, "H"), "machine": (18, "H"), "entry": (24, "Q"), "phoff": (32, "Q"), "ehsize": (52, "H"),
        "phentsize": (54, "H"), "phnum": (56, "H")},
}
SEGMENT = {
    1: {"type": (0, "I"), "offset": (4, "I"), "vaddr": (8, "I"), "paddr": (12, "I"), "filesz": (16, "I"),
        "memsz": (20, "I"), "flags": (24, "I")},
    2: {"type": (0, "I"), "offset": (8, "Q"), "vaddr": (16, "Q"), "paddr": (24, "Q"), "filesz": (32, "Q"),
        "memsz": (40, "Q"), "flags": (4, "I")},
}


class Image:
    """The bytes of an ELF file, its header and program headers as fields that can be read and set."""

    def __init__(self, path):
        self.bytes = bytearray(pathlib.Path(path).read_bytes())
        self.elf_class = self.bytes[4]

    def _place(self, table, name, base):
        offset, form = table[self.elf_class][name]
        return base + offset, "<" + form

    def get(self, name):
        at, form = self._place(HEADER, name, 0)
        return struct.unpack_from(form, self.bytes, at)[0]

    def set(self, name, value):
        at, form = self._place(HEADER, name, 0)
        struct.pack_into(form, self.bytes, at, value)
        return self

    def segment_at(self, index):
        return self.get("phoff") + index * self.get("phentsize")

    def get_segment(self, index, name):
        at, form = self._place(SEGMENT, name, self.segment_at(index))
        return struct.unpack_from(form, self.bytes, at)[0]

    def set_segment(self, index, name, value):
        at, form = self._place(SEGMENT, name, self.segment_at(index))
        struct.pack_into(form, self.bytes, at, value)
        return self

    def segments(self, kind=PT_LOAD):
        """The indices of the program headers of a type."""
        return [index for index in range(self.get("phnum")) if self.get_segment(index, "type") == kind]

    def truncate(self, length):
        del self.bytes[length:]
        return self

    def write(self, path):
        path = pathlib.Path(path)
        path.write_bytes(self.bytes)
        return path


def readelf(path, *options):
    """What readelf says; Failed when it warns or fails."""
    result = run(["readelf", "-W", *options, path], env={"LC_ALL": "C"})
    if result.rc or result.stderr.strip() or "Warning" in result.stdout:
        raise Failed(f"readelf complains: {result}")
    return result.stdout


def eu_readelf(path, *options):
    """What eu-readelf says; Failed when it warns or fails."""
    result = run(["eu-readelf", *options, path], env={"LC_ALL": "C", "DEBUGINFOD_URLS": ""})
    if result.rc or result.stderr.strip():
        raise Failed(f"eu-readelf complains: {result}")
    return result.stdout


@functools.lru_cache
def _symbols(path):
    found = {}
    for line in readelf(path, "-s").splitlines():
        words = line.split()
        if len(words) == 8 and words[0].rstrip(":").isdigit():
            found[words[7]] = int(words[1], 16), int(words[2], 0)
    return found


def symbol_range(path, name):
    """The address and the length of a symbol."""
    if name not in _symbols(path):
        raise Failed(f"{path} has no symbol {name}")
    return _symbols(path)[name]


def line_of(path, address):
    """The source line of an address, as in hello.c:7, by addr2line; None when there is none."""
    said = run(["addr2line", "-e", path, hex(address)]).check().stdout.split()[0]
    return None if said.startswith("?") else said.rpartition("/")[2]


def symbol(path, name):
    """The address of a symbol."""
    return symbol_range(path, name)[0]
