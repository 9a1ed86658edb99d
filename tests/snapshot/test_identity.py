# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hash of a snapshot, computed anew from its file by what docs/snapshot.md and docs/cores.md say of both."""

import hashlib
import json
import shutil
import struct

import pytest

from lib.process import run

PAGE = 4096
LOCAL = pytest.mark.parametrize("runner", ["amd64-soft", "i686-soft", "amd64-kvm"], indirect=True)
GENERATION = 0x20  # below the top of scratch: <hindsight/abi.h>
CPU = ("rip rflags cr0 cr2 cr3 cr4 cr8 xcr0 efer star lstar cstar fmask kernel_gs_base sysenter_cs sysenter_esp "
       "sysenter_eip pat tsc tsc_aux apic_base gdt_base idt_base").split()
HASHED = ("rip rflags cr0 cr2 cr3 cr4 cr8 xcr0 gdt_base gdt_limit idt_base idt_limit efer star lstar cstar fmask "
          "sysenter_cs sysenter_esp sysenter_eip pat kernel_gs_base tsc_aux apic_base").split()


class Reader:
    """Little-endian numbers, one behind the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def text(self):
        (length,) = self.take("I")
        return self.take(f"{length}s")[0]


def words(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def text(value):
    return words(len(value)) + value


def records(note):
    reader = Reader(note)
    reader.take("I")
    found = {}
    while reader.at < len(note):
        kind, length = reader.take("II")
        found[kind] = reader.take(f"{length}s")[0]
        reader.at += -length % 4
    return found


def guest_bytes(found):
    guest, machine = Reader(found[1]), Reader(found[6])
    arch, _, _, _, _ = guest.take("II32sHH")
    features, _, _, dispatch, into, out, idt, roots, variable, stride, count, _ = guest.take("12Q")
    guard, guard_bytes, lcr, scratch = machine.take("QQBB")
    abort, symbol = machine.text(), machine.text()
    return words(arch, features, dispatch, into, out, idt, roots, variable, stride, count, guard, guard_bytes, lcr,
                 scratch, 5 in found) + text(symbol) + text(abort)


def root_bytes(found):
    reader = Reader(found[3])
    count, current, _ = reader.take("IIQ")
    data = words(count, current)
    for _ in range(count):
        form, bits, address = reader.take("IIQ")
        data += words(form, address, *(bits >> bit & 1 for bit in range(5)), bits >> 8 & 0xff)
    return data


def cpu_bytes(found):
    reader = Reader(found[4])
    general = reader.take("16Q")
    values = dict(zip(CPU, reader.take(f"{len(CPU)}Q")))
    values["gdt_limit"], values["idt_limit"] = reader.take("HH")
    data = words(*general, *(values[name] for name in HASHED))
    for _ in range(8):
        base, limit, selector, kind, bits = reader.take("QIHBB")
        present, db, system, wide, granular, avl, unusable = (bits >> bit & 1 for bit in range(7))
        data += words(base, limit, selector, kind & 15, kind >> 4 & 3, present, db, system, wide, granular, avl,
                      unusable)
    data += words(*reader.take("8Q"))
    xsave = bytearray(reader.take("4096s")[0])
    if not xsave[512] & 4:
        xsave[576:832] = bytes(256)
    xsave[512] |= 7
    return data + bytes(xsave[:464] + xsave[512:])


def memory_bytes(found, facts, file):
    reader = Reader(found[2])
    scratch, scratch_bytes, _, _, _, count = reader.take("QQQQQI")
    parts = sorted(reader.take("QQQ") for _ in range(count))
    regions, pages = [], b""
    for gpa, length, shared in parts:
        if length == 0 or scratch <= gpa < scratch + scratch_bytes:
            continue
        if regions and sum(regions[-1][:2]) == gpa and regions[-1][2] == shared:
            regions[-1] = (regions[-1][0], regions[-1][1] + length, shared)
        else:
            regions.append((gpa, length, shared))
    pieces = list(struct.iter_unpack("<QQQII", facts[6]))
    for gpa in (at for start, length, _ in parts for at in range(start, start + length, PAGE)):
        (offset,) = (offset + gpa - start for start, length, offset, _, _ in pieces if start <= gpa < start + length)
        page = bytearray(file[offset:offset + PAGE])
        if gpa == scratch + scratch_bytes - PAGE:
            page[-GENERATION:-GENERATION + 8] = bytes(8)
        pages += words(gpa) + bytes(page) if any(page) else b""
    return words(scratch, scratch_bytes, *(word for region in regions for word in region), 0, 0, 0) + pages


def core_info(runner, *options):
    return run([runner.hindsight, "core", "info", *options]).check().stdout


def hash_by_hand(runner, path):
    file = path.read_bytes()
    notes = {note["type"]: file[note["offset"]:note["offset"] + note["length"]]
             for note in json.loads(core_info(runner, "--json", path))["notes"] if note["owner"] == "HINDSIGHT"}
    facts, found = records(notes[0x48530001]), records(notes[0x48530003])
    return hashlib.sha256(b"hindsight snapshot 1\n" + guest_bytes(found) + root_bytes(found) + cpu_bytes(found)
                          + memory_bytes(found, facts, file)).hexdigest()


def hash_of(runner, path):
    told = json.loads(core_info(runner, "--json", "--hash", path))["hash"]
    assert f"\nhash       {told}\n" in core_info(runner, "--hash", path)
    return told


def made(runner, *words_of_guest, options, rc=0, suffix=".snap"):
    result = runner.run(*words_of_guest, options=options)
    assert result.rc == rc, str(result)
    (path,) = (path for name, path in result.files.items() if name.endswith(suffix))
    return path


@LOCAL
def test_hash_is_what_the_documents_say(runner):
    options = ["--snapshot", "a.snap", "--scratch", "16M"]
    for guest, more in ("functions", ["--call", "nothing()"]), ("spaces", []):
        path = made(runner, guest, options=[*options, *more])
        assert hash_of(runner, path) == hash_by_hand(runner, path)
    core = made(runner, "divide", options=["--core", "."], rc=136, suffix=".core")
    assert hash_of(runner, core) == hash_by_hand(runner, core)


@LOCAL
def test_hash_is_that_of_the_content(runner, tmp_path):
    """Whatever holes the file has and whatever it is called; a guest that has got something else to keep differs."""
    path = made(runner, "ready", "us", options=["--snapshot", "a.snap", "--core", "none"], rc=7)
    full = tmp_path / "full.snap"
    run(["cp", "--sparse=never", path, full]).check()
    assert full.stat().st_blocks > path.stat().st_blocks
    assert hash_of(runner, full) == hash_of(runner, path)
    other = made(runner, "ready", "me", options=["--snapshot", "a.snap", "--core", "none"], rc=7)
    assert hash_of(runner, other) != hash_of(runner, path)


@pytest.mark.parametrize("runner", ["amd64-soft"], indirect=True)
def test_hash_of_what_is_no_snapshot_is_an_error(runner, tmp_path):
    core = made(runner, "divide", options=["--core", ".", "--core-limit", "40K"], rc=136, suffix=".core")
    for options in (["--hash"], ["--hash", "--json"]):
        result = run([runner.hindsight, "core", "info", *options, core])
        assert (result.rc, result.stdout) == (125, "") and "no memory to go on from" in result.stderr
    shutil.copy("/bin/true", tmp_path / "true")
    assert run([runner.hindsight, "core", "info", "--hash", tmp_path / "true"]).rc == 125
