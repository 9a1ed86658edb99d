#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest images, as files: what the host's loader, a debugger and the CPU rely on. Arguments: the images."""

import functools
import pathlib
import re
import struct
import subprocess
import sys
import unittest

IMAGES = []

WITH_FUNCTIONS = {"avx2", "functions", "fp_sse", "heap_heavy", "restore_cycle", "space_calls"}
# The runtime is the same in all: what others have of it has none of these instructions.
WITH_VECTORS = {"avx2", "fp_sse", "vectors", "writes"}
BARE = {"bare", "bare_fault", "bare_outs", "bare_overflow", "bare_remap"}
BASE = {
    ("amd64", "higher_half"): 0xFFFFFFFF80000000,
    ("i686", "higher_half"): 0xC0000000,
}
DOUBLE_FAULT = 8


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Image:
    """What readelf says of one image."""

    def __init__(self, path):
        self.path = path
        self.arch = path.parent.name
        self.name = path.stem
        self.bytes = path.read_bytes()
        self.header = output("readelf", "-hW", path)
        self.notes = output("readelf", "-nW", path)
        self.segments = []
        for line in output("readelf", "-lW", path).splitlines():
            found = re.match(r"\s+([A-Z_]+)\s+(0x\w+) (0x\w+) 0x\w+ (0x\w+) (0x\w+) ([R ][W ][E ]) (0x\w+)", line)
            if found:
                kind, *numbers = found.groups()
                rights = numbers.pop(4)
                self.segments.append((kind, *(int(number, 16) for number in numbers), rights))
        self.symbols = {}
        self.undefined = []
        for line in output("readelf", "-sW", path).splitlines():
            fields = line.split()
            if len(fields) == 8 and fields[1].strip("0123456789abcdef") == "":
                if fields[6] == "UND":
                    self.undefined.append(fields[7])
                else:
                    self.symbols[fields[7]] = int(fields[1], 16)

    def __str__(self):
        return f"{self.arch}/{self.name}"

    def loads(self):
        return [segment[1:] for segment in self.segments if segment[0] == "LOAD"]

    def read(self, address, length):
        for offset, start, file_length, _, _, _ in self.loads():
            if start <= address and address + length <= start + file_length:
                return self.bytes[offset + address - start:][:length]
        raise AssertionError(f"{self}: {address:#x} is in no segment of the file")


def each(test, bare=True):
    """Make a test of one image a test of all of them."""
    @functools.wraps(test)
    def run(self):
        for image in IMAGES:
            if bare or image.name not in BARE:
                with self.subTest(image=str(image)):
                    test(self, image)
    return run


def each_with_sdk(test):
    return each(test, bare=False)


class TestImages(unittest.TestCase):
    @each
    def test_is_a_static_executable_of_its_class(self, image):
        self.assertRegex(image.header, r"Type:\s+EXEC")
        self.assertRegex(image.header, r"Machine:\s+" + {"amd64": "Advanced Micro", "i686": "Intel 80386"}[image.arch])
        kinds = {segment[0] for segment in image.segments}
        self.assertFalse(kinds & {"INTERP", "DYNAMIC", "TLS"})
        self.assertEqual(image.undefined, [])

    @each
    def test_segments_are_separate_pages_without_write_and_execute(self, image):
        last = 0
        self.assertTrue(image.loads())
        for offset, start, _, length, align, rights in image.loads():
            self.assertEqual((start % 4096, offset % 4096, align), (0, 0, 4096))
            self.assertFalse("W" in rights and "E" in rights, rights)
            self.assertGreaterEqual(start, last)
            last = (start + length + 4095) & ~4095

    @each
    def test_begins_at_its_address_with_the_program_headers(self, image):
        offset, start, length = image.loads()[0][:3]
        self.assertEqual(start, BASE.get((image.arch, image.name), 0x400000))
        table = int(re.search(r"Start of program headers:\s+(\d+)", image.header)[1])
        each = int(re.search(r"Size of program headers:\s+(\d+)", image.header)[1])
        self.assertEqual(offset, 0)
        self.assertLessEqual(table + each * len(image.segments), length)

    @each
    def test_native_note_is_there_unless_bare(self, image):
        self.assertEqual("Hindsight" in image.notes, image.name not in BARE)
        self.assertRegex(image.notes, r"Build ID: [0-9a-f]{40}\n")
        if image.name not in BARE:
            # Version 1; a copy-on-write handler; functions for the host to call, where there are any.
            features = "03" if image.name in WITH_FUNCTIONS else "01"
            note = rf"Hindsight\s+0x0+8\s.*\s+description data: 01 00 00 00 {features} 00 00 00"
            self.assertRegex(image.notes, note)

    @each_with_sdk
    def test_gates_lead_to_their_stubs(self, image):
        wide = image.arch == "amd64"
        layout = "<HQ" if wide else "<HI"
        pointer = image.read(image.symbols["hs_idt_pointer"], struct.calcsize(layout))
        limit, table = struct.unpack(layout, pointer)
        size = 16 if wide else 8
        self.assertEqual(limit, 32 * size - 1)
        for vector in range(32):
            low, selector, stack, kind, middle = struct.unpack("<HHBBH", image.read(table + vector * size, 8))
            if not wide and vector == DOUBLE_FAULT:
                self.assertEqual((selector, kind), (0x28, 0x85))
                continue
            high = struct.unpack("<II", image.read(table + vector * size + 8, 8))[0] if wide else 0
            self.assertEqual(high << 32 | middle << 16 | low, image.symbols["hs_trap_stubs"] + 16 * vector)
            self.assertEqual(selector, 8)
            self.assertEqual(kind, 0xEE if vector in (3, 4) else 0x8E)
            self.assertEqual(stack, {8: 1, 12: 2, 13: 2, 14: 2}.get(vector, 0) if wide else 0)

    @each_with_sdk
    def test_task_descriptors_name_the_tss(self, image):
        tasks = {"hs_tss": 0x18, "hs_double_fault_tss": 0x28} if image.arch == "i686" else {"hs_tss": 0x18}
        # The GDT is at the start of the data segment, in front of the TSS.
        gdt = image.symbols["gdt"]
        for name, selector in tasks.items():
            limit, low, middle, kind, _, high = struct.unpack("<HHBBBB", image.read(gdt + selector, 8))
            upper = struct.unpack("<II", image.read(gdt + selector + 8, 8))[0] if image.arch == "amd64" else 0
            self.assertEqual(upper << 32 | high << 24 | middle << 16 | low, image.symbols[name])
            self.assertEqual((limit, kind), (103, 0x89))

    @each_with_sdk
    def test_double_fault_touches_one_page(self, image):
        if image.arch == "i686":
            names = ("gdt", "hs_tss", "hs_double_fault_tss", "double_fault_stack_top")
            self.assertEqual(len({image.symbols[name] >> 12 for name in names}), 1)

    @each
    def test_vector_and_x87_instructions_are_in_programs_that_mean_them(self, image):
        code = output("objdump", "-d", "--no-show-raw-insn", image.path)
        found = re.search(r"%[xyz]?mm\d|%st\b|\tf(ld|st|add|mul|init)", code)
        self.assertEqual(found is not None, image.name in WITH_VECTORS, found)

    @each_with_sdk
    def test_debuggers_can_unwind_from_every_function(self, image):
        frames = output("readelf", "--debug-dump=frames", image.path)
        ranges = [(int(start, 16), int(end, 16)) for start, end in re.findall(r" FDE .* pc=(\w+)\.\.(\w+)", frames)]
        for name in ("_start", "main", "hs_guest_start", "trap_entry", "hs_trap_stubs"):
            address = image.symbols[name]
            self.assertTrue(any(start <= address < end for start, end in ranges), name)

    @each
    def test_sources_named_by_the_debug_information_are_there(self, image):
        info = output("readelf", "--debug-dump=info", "--dwarf-depth=1", image.path)
        value = r"\s*: (?:\([^)]*\): )?(\S+)\s"  # with or without "(indirect string, offset: 0x12): "
        units = re.findall(f"DW_AT_name{value}.*?DW_AT_comp_dir{value}", info, re.S)
        names = {(pathlib.Path(folder) / name).resolve() for name, folder in units}
        self.assertIn(image.name + ".c", {name.name for name in names})
        for name in names:
            self.assertTrue(name.is_file(), name)


if __name__ == "__main__":
    IMAGES = [Image(pathlib.Path(path)) for path in sys.argv[1:]]
    if not IMAGES:
        sys.exit("no images given")
    unittest.main(argv=sys.argv[:1])
