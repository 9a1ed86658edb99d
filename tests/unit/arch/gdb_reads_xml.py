#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Give the target descriptions to the real gdb, and compare them with the one gdb has for a process of this host.

    gdb_reads_xml.py PRINT_XML CC

Prints TAP.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

OURS = "org.hindsight.i386.control"
# What XCR0 may have: x87 and SSE; with AVX; with PKRU and no AVX-512; all.
NOTHING, AVX, PKRU, ALL = 0x3, 0x7, 0x207, 0x2E7
# A host whose CPU lacks them has no process to compare them with.
OPTIONAL = [f"org.gnu.gdb.i386.{name}" for name in ("avx", "avx512", "pkeys")]


def gdb(*commands, program=None):
    argv = ["gdb", "-nx", "-batch"]
    for command in commands:
        argv += ["-ex", command]
    done = subprocess.run(
        argv + ([program] if program else []), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    return done.stdout, done.stderr


def check_gdb_numbers_registers_as_the_table(print_xml, arch, directory):
    """gdb's own view of the g packet: number, size and offset of every register."""
    for xcr0 in NOTHING, AVX, PKRU, ALL:
        check_numbers(print_xml, arch, str(xcr0), directory)


def check_numbers(print_xml, arch, xcr0, directory):
    document = subprocess.run([print_xml, arch, xcr0], capture_output=True, text=True, check=True).stdout
    path = os.path.join(directory, arch + ".xml")
    with open(path, "w", encoding="ascii") as file:
        file.write(document)
    table = subprocess.run([print_xml, arch, xcr0, "--table"], capture_output=True, text=True, check=True).stdout
    out, err = gdb(f"set tdesc filename {path}", "show architecture", "maint print remote-registers")
    assert "warning" not in err.lower() and "internal-error" not in err, err
    assert ("x86-64" in out) == (arch == "amd64"), out.splitlines()[0]
    seen = {}
    for line in out.splitlines():
        # name, number, relative, offset, size, type, then the remote number and the offset in the g packet
        match = re.match(r"\s*(\S+)\s+\d+\s+\d+\s+\d+\s+(\d+)\s+.*?\s(\d+)\s+(\d+)\s*$", line)
        if match:
            seen[match[1]] = tuple(int(match[i]) for i in (3, 4, 2))
    offset = 0
    wanted = {}
    for row in table.splitlines():
        number, name, size = row.split()
        wanted[name] = (int(number), offset, int(size))
        offset += int(size)
    assert seen == wanted, f"gdb has {sorted(set(seen.items()) ^ set(wanted.items()))}"


def describe(element):
    """A feature's contents as comparable data: types and registers, without their numbers."""
    items = {}
    for child in element:
        attributes = {key: value for key, value in child.attrib.items() if key != "regnum"}
        fields = [tuple(sorted(field.attrib.items())) for field in child]
        items[attributes.get("name") or attributes.get("id")] = (child.tag, attributes, fields)
    return items


def check_description_is_what_gdb_has_for_a_process(print_xml, arch, directory, cc):
    """The standard features, item by item, against "maint print xml-tdesc" of a process that gdb itself runs."""
    source = os.path.join(directory, "nothing.S")
    program = os.path.join(directory, "nothing-" + arch)
    with open(source, "w", encoding="ascii") as file:
        file.write(".globl _start\n_start: nop\n")
    subprocess.run(
        [*cc, "-m64" if arch == "amd64" else "-m32", "-nostdlib", "-static", "-o", program, source], check=True
    )
    out, err = gdb("starti", "maint print xml-tdesc", "kill", program=program)
    if "<target>" not in out:
        return "gdb cannot run a process here: " + " ".join(err.split())[:80]
    theirs = ET.fromstring(out[out.index("<target>") : out.index("</target>") + len("</target>")])
    ours = ET.fromstring(subprocess.run([print_xml, arch, str(ALL)], capture_output=True, check=True).stdout)
    compared = 0
    for feature in ours.findall("feature"):
        if feature.get("name") == OURS:
            continue
        reference = [f for f in theirs.findall("feature") if f.get("name") == feature.get("name")]
        if not reference and feature.get("name") in OPTIONAL:
            continue
        assert reference, feature.get("name")
        mine, gdbs = describe(feature), describe(reference[0])
        for name in gdbs:
            assert mine.get(name) == gdbs[name], f"{name}: ours {mine.get(name)}, gdb's {gdbs[name]}"
        assert set(mine) == set(gdbs), set(mine) ^ set(gdbs)
        assert [r.get("name") for r in feature.iter("reg")] == [r.get("name") for r in reference[0].iter("reg")]
        compared += 1
    assert compared >= (4 if arch == "amd64" else 3), compared
    return None


def main():
    print_xml, cc = sys.argv[1], sys.argv[2:]
    if not shutil.which("gdb"):
        print("1..0 # SKIP no gdb")
        return 0
    failed = 0
    number = 0
    print("1..4")
    with tempfile.TemporaryDirectory() as directory:
        for arch in ("amd64", "i686"):
            for check, arguments in (
                (check_gdb_numbers_registers_as_the_table, (print_xml, arch, directory)),
                (check_description_is_what_gdb_has_for_a_process, (print_xml, arch, directory, cc)),
            ):
                number += 1
                name = f"{number} - {check.__name__}_{arch}"
                try:
                    skip = check(*arguments)
                    print(f"ok {name}" + (f" # SKIP {skip}" if skip else ""), flush=True)
                except (AssertionError, subprocess.CalledProcessError, subprocess.TimeoutExpired) as reason:
                    failed += 1
                    print(f"not ok {name}\n# {reason}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
