# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of the host in a guest's memory, by `hindsight run --map`."""

import os

import pytest

from lib import report
from lib.debuggers import gdb_batch

GPA = 0x10000000
SOFT = pytest.mark.parametrize("runner", ["amd64-soft", "i686-soft"], indirect=True)
TEXT = b"hello file\nand the rest"


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(TEXT)
    return path


def run(runner, *maps, words=("data",), files=(), options=()):
    options = [*options, *(word for each in maps for word in ("--map", each))]
    return runner.run("mapping", *words, options=options, inputs=files)


def test_mapping_is_read_by_the_guest(runner, data):
    result = run(runner, f"data={data}@{GPA:#x}", files=[data]).check()
    assert result.stdout == (f"data, {len(TEXT)} bytes at gpa {GPA:#x}, writable, first of 1: hello file; "
                             "behind it 0\n")


def test_mapping_that_is_written_leaves_the_file_alone(runner, data):
    result = run(runner, f"{data}@{GPA:#x}", words=["data.txt", "write"], files=[data]).check()
    assert "first of 1: GUEST file;" in result.stdout
    if runner.place.name == "local":
        assert data.read_bytes() == TEXT


def test_read_behind_a_mapping_is_a_crash_that_names_the_address(runner, data):
    result = run(runner, f"data={data}@{GPA:#x}", words=["data", "beyond"], files=[data])
    found = report.parse(result.stderr)
    assert found.text == f"page fault (#PF): read of {GPA + 4096:#x}, not mapped"
    assert result.rc == 128 + 11


def test_core_has_the_pages_of_a_mapping_and_names_its_file(runner, data):
    """As the guest had them: with what it had written, and with what it had not."""
    result = run(runner, f"data={data}@{GPA:#x}", f"other={data}@{2 * GPA:#x}", words=["data", "die"], files=[data])
    assert result.rc == 128 + 6, result
    (core,) = result.files.values()
    string, other, mappings = gdb_batch([f"x/s {GPA:#x}", f"x/s {2 * GPA:#x}", "info proc mappings"],
                                        runner.guest("mapping"), core)
    assert '"GUEST file\\nand the rest"' in string
    assert '"hello file\\nand the rest"' in other
    lines = [line.split() for line in mappings.splitlines() if line.endswith(str(data))]
    assert [(int(line[0], 16), int(line[1], 16)) for line in lines] == [
        (start, start + 4096) for start in (GPA, 2 * GPA)]


@SOFT
def test_mapping_of_a_large_file_costs_what_is_read(runner, tmp_path):
    """Four GiB, all holes; the tables for it make the scratch region grow. On i686 there is no room for it."""
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 4 << 30)
    result = run(runner, f"data={path}@0x100000000")
    if runner.arch == "i686":
        assert result.rc == 125
        assert "mapping 'data' at gpa 0x100000000 of 4294967296 bytes is not below 0xfee00000" in result.stderr
    else:
        assert "data, 4294967296 bytes at gpa 0x100000000, writable, first of 1: ; behind" in result.check().stdout


@SOFT
@pytest.mark.parametrize("maps, problem", [
    ("data=/nowhere/file@0x10000000", r"mapping 'data': cannot open /nowhere/file: No such file or directory"),
    ("data={empty}@0x10000000", "mapping 'data': {empty} is empty"),
    ("data={data}@0x10000001", "mapping 'data' at gpa 0x10000001 of 23 bytes is not page-aligned"),
    ("data={data}@0x1000", "mapping 'data' at gpa 0x1000 of 23 bytes overlaps the guest's image, heap and stack at"),
    ("data={data}@0xfee00000", "mapping 'data' at gpa 0xfee00000 of 23 bytes overlaps what is reserved for the APIC"),
    ("data={data}@0x1000000000", "mapping 'data' at gpa 0x1000000000 of 23 bytes is not below 0x"),
    ("{label}={data}@0x10000000", "is longer than 63 bytes"),
    ("a={data}@0x10000000 a={data}@0x20000000", "two mappings have the label 'a'"),
    ("a={data}@0x10000000 b={data}@0x10000000", "mapping 'b' at gpa 0x10000000 of 23 bytes overlaps mapping 'a' at"),
    (" ".join(f"m{i}={{data}}@{GPA + (i << 12):#x}" for i in range(33)), "33 mappings: 32 are the most"),
])
def test_mapping_that_cannot_be_is_refused_in_one_line(runner, data, tmp_path, maps, problem):
    empty = tmp_path / "empty"
    empty.touch()
    names = {"data": data, "empty": empty, "label": "l" * 64}
    result = run(runner, *(each.format(**names) for each in maps.split()))
    assert (result.rc, result.stdout) == (125, "")
    assert problem.format(**names) in report.one_line_error(result.stderr)


@SOFT
@pytest.mark.parametrize("text", ["file", "file@", "file@here", "@0x1000", "=file@0x1000", "label=@0x1000"])
def test_map_option_of_another_form_is_a_wrong_command_line(runner, text):
    result = run(runner, text)
    assert (result.rc, result.stdout) == (2, "")
    assert f"--map: '{text}' is not [LABEL=]FILE@GPA" in result.stderr


@SOFT
def test_thirty_two_mappings_are_had(runner, data):
    maps = [f"m{i}={data}@{GPA + (i << 12):#x}" for i in range(32)]
    assert "m31, 23 bytes at gpa 0x1001f000, writable, first of 32" in run(runner, *maps, words=["m31"]).check().stdout
