# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every register is written and read back by lldb, one by one, and nothing else changes with it."""

import re

from lib.debuggers import lldb_batch

SECONDS = 240
# What changes how the CPU works, what it only takes some values of, and what has no place.
LEFT_ALONE = re.compile(r"[cdefgs]s|[re]ip|cr\d|efer|orig_[re]ax|fiseg|foseg|pkru|k\d")
VALUES = {"eflags": 0x47, "mxcsr": 0x1FA0, "fctrl": 0x27F, "fstat": 0x0, "ftag": 0x5555, "fop": 0x123}
ADDRESSES = re.compile(r"\w+_base")
# What lldb makes of parts of others.
PART = re.compile(r"[abcd][xlh]|[sd]il?|[sb]pl?|r\d+[dwl]|mm\d")
PART_OF_64_BITS = re.compile(r"e([abcd]x|[sd]i|[sb]p)")
# What the guest has not switched on, and what lldb shows with a half of it.
WIDE = re.compile(r"[yz]mm|xmm(1[6-9]|[23]\d)")


def registers(text):
    """Name -> value, as lldb prints it, of what `register read --all` prints."""
    found = dict(re.findall(r"^ *(\w+) = (0x[0-9a-f]+|\{[0-9a-fx ]+\})", text, re.M))
    wide = "rax" in found
    return {name: value for name, value in found.items()
            if not PART.fullmatch(name) and not (wide and PART_OF_64_BITS.fullmatch(name)) and not WIDE.match(name)}


def changed(name, old):
    """Another value, as lldb takes and prints it."""
    if old.startswith("{"):
        return "{" + " ".join(f"{(len(name) + 16 * i) % 128 + 1:#04x}" for i in range(old.count("0x"))) + "}"
    digits = len(old) - 2
    value = VALUES.get(name, 0x12345000 if ADDRESSES.fullmatch(name) else 0x1122334455667788 % 16 ** digits)
    return f"0x{value:0{digits}x}"


def test_lldb_writes_each_register_and_no_other(runner):
    # Every run has its own seed there.
    seed, end = f"register write {'rsi' if runner.arch == 'amd64' else 'esi'} 5", "process kill"
    with runner.serve("debugme", options=["--core", "none"]) as served:
        before = registers(lldb_batch([f"gdb-remote {served.address}", seed, "register read --all", end]))
    names = [name for name in before if not LEFT_ALONE.fullmatch(name)]
    wide = runner.arch == "amd64"
    assert {*([f"r{i}" for i in range(8, 16)] if wide else []), "rbx" if wide else "ebx", "mxcsr", "fs_base", "st7",
            f"xmm{15 if wide else 7}"} <= set(names)
    steps = [[f'register write {name} "{changed(name, before[name])}"', "register read --all",
              f'register write {name} "{before[name]}"'] for name in names]
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = lldb_batch([f"gdb-remote {served.address}", seed, *sum(steps, []), "register read --all", end],
                          timeout=SECONDS)
    pieces = said.split("(lldb) register read --all")[1:]
    assert len(pieces) == len(names) + 1, said
    for name, piece in zip(names, pieces):
        after = registers(piece)
        # x87's tag word follows from the contents.
        same = before.keys() - {name, "ftag"}
        assert after[name] == changed(name, before[name]), f"{name}: {after[name]}"
        assert {other: after[other] for other in same} == {other: before[other] for other in same}, name
    assert registers(pieces[-1]) == before
