# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that do what no guest should: each ends with a line that says what it did and where,
and never takes the command along.

All of them run in one go for each runner, and each is a test that looks at how it ended.
"""

import json
import re

import pytest

from lib import elf
from lib.assemble import assemble
from lib.debuggers import gdb_batch
from lib.hostile import CASES, ENDLESS, HOLE, LIMIT, SIGBUS, SIGILL, SIGSEGV, Ended
from lib.process import run

MEMORY_KIB = 256 << 10
"""Of addresses, for a guest and all that its crash takes."""

SCRIPT = """
while read name limit guest; do
    "$1" run --backend "$2" --core "$3" --timeout $limit "$guest" >"$name.out" 2>"$name.err"
    echo $? >"$name.rc"
done <"$4"
"""


def run_all(runner, directory, texts, core, limit):
    """Run guests (name -> text) one after the other; name -> Ended."""
    guests = {name: assemble(directory, runner.arch, text, name) for name, text in texts.items()}
    todo = directory / f"todo-{runner.arch}-{core}-{limit}"
    todo.write_text("".join(f"{name} {limit} {guest}\n" for name, guest in guests.items()))
    script = directory / "run-all"
    script.write_text(SCRIPT)
    result = runner.place.run(
        ["sh", script, runner.hindsight, runner.backend, core, todo],
        timeout=300,
        inputs=[*guests.values(), runner.hindsight, todo, script],
    )

    def read(name):
        # Not as text: a \r of a guest has to stay one.
        return result.files[name].read_bytes().decode(errors="replace")

    return {name: Ended(int(read(f"{name}.rc")), read(f"{name}.out"), read(f"{name}.err")) for name in guests}


@pytest.fixture(scope="session")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="session")
def ended(runner, directory):
    texts = {name: case.text for name, case in CASES.items() if runner.arch in case.arches}
    return run_all(runner, directory, texts, "none", 60)


@pytest.mark.parametrize("name", CASES)
def test_hostile_guest_ends_with_what_it_did(runner, ended, name):
    if runner.arch not in CASES[name].arches:
        assert name not in ended
        return
    assert any(way.fits(ended[name]) for way in CASES[name].ends), (ended[name], CASES[name].ends)


def test_endless_guest_ends_by_its_limit_or_before(runner, directory):
    for name, end in run_all(runner, directory, ENDLESS, ".", 1).items():
        first = end.err.splitlines()[0]
        if name == "out_for_ever" or end.rc == LIMIT:
            assert (end.rc, "time limit: the guest had not ended after 1 s" in first) == (LIMIT, True), (name, end)
        elif end.rc == 128 + SIGBUS:
            # The software CPU says where it has looked for a table.
            assert re.search("bus error: read of guest-physical 0x[0-9a-f]+: no memory is there", first), (name, end)
            assert runner.backend == "soft"
        else:
            assert (end.rc, "triple fault" in first) == (128 + SIGSEGV, True), (name, end)
        assert re.search(r"^core: \S+ \(", end.err, re.M), (name, end)


def test_core_of_tables_that_map_themselves_is_bounded(runner, directory):
    """On amd64 these tables map 2^36 pages, of which 2^20 are in the budget: the core says that it is not all, and
    where it ended. i686 has no more pages than that."""
    text = CASES["tables_that_map_themselves"].text
    guest = assemble(directory, runner.arch, text, "self_map")
    if runner.sanitized:
        pytest.skip("sanitizers: they reserve more memory than there is to be")
    limited = ["sh", "-c", f'ulimit -v {MEMORY_KIB}; exec "$@"', "sh", *runner.command(guest)]
    result = runner.place.run(limited, timeout=120)
    assert result.rc == 128 + SIGILL, result
    assert re.search(r"^core: .* incomplete\)$" if runner.arch == "amd64" else r"^core: \S+ \([^,]*\)$", result.stderr,
                     re.M), result
    core = next(path for name, path in result.files.items() if name.endswith(".core"))
    assert core.stat().st_blocks * 512 < 64 << 20
    info = json.loads(run([runner.hindsight, "core", "info", "--json", core]).check().stdout)
    assert info["partial"] == (runner.arch == "amd64")
    assert (int(info["reached"], 16) > 0) == info["partial"]
    assert info["space"]["format"] == ("amd64-4" if runner.arch == "amd64" else "i686")
    said = gdb_batch([f"print $pc == {elf.symbol(guest, 'here')}"], guest, core)
    assert said[0].endswith("= 1")


def test_crash_shows_the_registers_and_the_memory_that_the_instruction_found(runner, directory):
    """KVM reports these behind the instruction or completes them; the core is of the moment before."""
    sp, di, cx = ("$rsp", "$rdi", "$rcx") if runner.arch == "amd64" else ("$esp", "$edi", "$ecx")
    fill = "mov ecx, 16\nmov eax, 0x5a\nlea DI, [copy]\nrep stosb\n"
    wanted = {
        "push": ("mov SP, VIRT + 0x100\nhere: push AX", [(f"print/x (long){sp} & 0xfff", "0x100")]),
        "stos": (
            "mov DI, VIRT + 0x100\nmov ecx, 5\nhere: rep stosb",
            [(f"print/x (long){di} & 0xfff", "0x100"), (f"print {cx}", "5")],
        ),
        "movs": (
            f"{fill}mov SI, VIRT + 0x100\nlea DI, [copy]\nmov ecx, 5\nhere: rep movsb",
            [(f"print (long){di} == (long)&copy", "1"), (f"print {cx}", "5"), ("print/x *(int *)&copy", "0x5a5a5a5a")],
        ),
        "ins": (
            f"{fill}mov edx, 0x7777\nlea DI, [copy]\nmov ecx, 5\nhere: rep insb",
            [(f"print (long){di} == (long)&copy", "1"), (f"print {cx}", "5"), ("print/x *(int *)&copy", "0x5a5a5a5a")],
        ),
        "sse": (
            "lea SI, [one]\nmovups xmm3, [SI]\nmov BX, VIRT\nhere: movups xmm3, [BX]",
            [("print $xmm3.v4_int32[2]", "3")],
        ),
    }
    for name, (text, questions) in wanted.items():
        text = f"test:\n{HOLE}{text}\nEXIT 1\n.section .data\none: .long 1, 2, 3, 4\n.section .bss\ncopy: .skip 16"
        guest = assemble(directory, runner.arch, text, f"found_{name}")
        result = runner.run(guest)
        core = next(path for file, path in result.files.items() if file.endswith(".core"))
        said = gdb_batch(
            [f"print/x $pc == {elf.symbol(guest, 'here')}", *(question for question, _ in questions)], guest, core
        )
        assert [answer.rsplit(" = ", 1)[-1] for answer in said] == ["0x1", *(answer for _, answer in questions)], (
            name,
            said,
        )
