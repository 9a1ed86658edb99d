# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that a debugger gets: the image, the debug file that is split off from it, and no other."""

import os
import shutil

import pytest
from lib.packets import gdb_packets
from lib.process import run

PLACES = ("guest.debug", ".debug/guest.debug")


def split(runner, directory, place="guest.debug", program="debugme", options=()):
    """A guest without debug information, that names the file beside it which has that: (guest, debug file)."""
    guest, debug = directory / "guest.elf", directory / place
    debug.parent.mkdir(exist_ok=True)
    run(["objcopy", "--only-keep-debug", *options, runner.guest(program), debug]).check()
    run(["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", *options, runner.guest(program), guest]).check()
    return guest, debug


def packet(kind, path, tail=",0,0"):
    return f"maintenance packet vFile:{kind}:{os.fsencode(path).hex()}{tail}"


def served(runner, guest, debug, commands):
    with runner.serve(guest, options=["--core", "none"], inputs=[debug]) as server:
        said, packets = gdb_packets([f"target remote {server.address}", *commands, "kill"],
                                    remote_files=True)
    return said, packets


@pytest.mark.parametrize("place", PLACES)
def test_gdb_that_is_told_no_file_has_lines_from_the_debug_file(runner, tmp_path, place):
    guest, debug = split(runner, tmp_path, place)
    said, packets = served(runner, guest, debug, ["tbreak factorial", "continue", "frame"])
    assert f"Reading symbols from target:{debug}" in said[0]
    assert "factorial (n=5) at" in said[2] and "debugme.c" in said[3]
    packets.check(b"vFile:open:" + os.fsencode(debug).hex().encode() + b",0,.*", rb"F[0-9a-f]")


def test_debug_file_of_another_build_is_not_served(runner, tmp_path):
    guest, debug = split(runner, tmp_path)
    run(["objcopy", "--only-keep-debug", runner.guest("spin"), debug]).check()
    said, _ = served(runner, guest, debug, [packet("open", debug), "info line factorial"])
    assert 'received: "F-1,2"' in said[1]
    assert "No symbol table is loaded" in said[2]


def test_debug_file_of_an_image_without_build_id_is_told_by_its_checksum(runner, tmp_path):
    guest, debug = split(runner, tmp_path, program="bare", options=["--remove-section=.note.gnu.build-id"])
    said, _ = served(runner, guest, debug, [packet("open", debug), "info line _start"])
    assert 'received: "F' in said[1] and "F-1" not in said[1]
    assert "bare.c" in said[2]
    with open(debug, "ab") as file:
        file.write(b"\0")
    said, _ = served(runner, guest, debug, [packet("open", debug)])
    assert 'received: "F-1,2"' in said[1]


def test_debug_file_that_is_a_symbolic_link_is_not_served(runner, tmp_path):
    guest, debug = split(runner, tmp_path)
    debug.rename(tmp_path / "elsewhere")
    debug.symlink_to(tmp_path / "elsewhere")
    said, _ = served(runner, guest, tmp_path / "elsewhere", [packet("open", debug)])
    assert 'received: "F-1,2"' in said[1]


def test_no_other_file_is_served_by_any_name(runner, tmp_path):
    guest, debug = split(runner, tmp_path)
    (tmp_path / "link").symlink_to(guest)
    shutil.copy(guest, tmp_path / "copy.elf")
    others = ["/etc/passwd", f"{tmp_path}/../{tmp_path.name}/guest.elf", f"{tmp_path}//guest.debug", "guest.debug",
              f"{tmp_path}/./guest.debug", f"{tmp_path}/link", f"{tmp_path}/copy.elf", "/proc/self/exe",
              f"/proc/self/root{guest}", "/proc/self/fd/0", f"{guest}\0", ""]
    said, _ = served(runner, guest, debug, [
        *(packet("open", other) for other in others), packet("open", debug, ",1,0"), packet("open", debug, ",242,1ff"),
        packet("readlink", "/proc/self/exe", ""), packet("readlink", debug, "")])
    assert ['received: "F-1,2"' in text for text in said[1:1 + len(others)]] == [True] * len(others)
    # Not for writing; no links.
    assert ['received: "F-1,d"' in text for text in said[1 + len(others):3 + len(others)]] == [True] * 2
    assert 'received: "F-1,2"' in said[3 + len(others)]
    assert 'received: "F-1,16"' in said[4 + len(others)]
