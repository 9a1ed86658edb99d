# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conditions and commands of breakpoints that the stub evaluates, with real gdb: exact hits, and what is sent."""

import re

import pytest
from lib.debuggers import LOCAL_FILES, Gdb, gdb_batch


def packets_to_stub(path):
    """What gdb has sent, from its remote log: a packet each, without frame and checksum."""
    return re.findall(r"^w .*?\$([^#\n]*)#[0-9a-f]{2}", path.read_text(encoding="latin-1"), re.M)


@pytest.fixture
def session(runner, tmp_path):
    """Run gdb over commands with a guest: (what each wrote, the packets gdb sent, the guest's result)."""

    def run(commands, guest="debugme", words=()):
        log = tmp_path / "remote.log"
        with runner.serve(guest, *words, options=["--core", "none"]) as served:
            said = gdb_batch([f"set remotelogfile {log}", LOCAL_FILES, f"target remote {served.address}",
                              "set breakpoint condition-evaluation target", *commands, "kill"])
            result = served.process.wait(60)
        return said[4:-1], packets_to_stub(log), result

    return run


def resumes(packets):
    return [packet for packet in packets if packet.startswith("vCont;")]


def test_condition_on_a_parameter_stops_at_the_one_call_that_fits(session):
    said, packets, _ = session(["break factorial if n == 2", "continue", "print n", "info breakpoints", "continue"])
    assert "Breakpoint 1, factorial (n=2)" in said[1]
    assert said[2].endswith("= 2")
    # gdb knows only once it has inserted it.
    assert "stop only if n == 2 (target evals)" in said[3]
    assert "already hit 1 time" in said[3]
    assert "exited normally" in said[4]
    inserts = [packet for packet in packets if packet.startswith("Z0,")]
    assert inserts and all(re.fullmatch(r"Z0,[0-9a-f]+,1;X[0-9a-f]+,[0-9a-f]+", packet) for packet in inserts)
    # One resume to the hit; behind it gdb steps off and goes on. The three calls before took none.
    assert len(resumes(packets)) == 3, resumes(packets)


CONDITIONS = [
    # a register, a global, and both; a local, a pointer, what it points at; signs, sizes, and what C does with them
    ("fill_item", "(long)$STACK != 0 && count == 4", ["count=4"]),
    ("fill_item", "item->name[0] == 0 && *name == 111", ["count=4"]),
    ("fill_item", "price < 20 && (price - 11 < 0)", ["count=2", "count=4"]),
    ("fill_item", "(char)(price + 245) < 0", ["count=2", "count=4"]),
    ("fill_item", "(unsigned char)(price + 250) > 200", ["count=4"]),
    ("fill_item", "(price << 24) >> 26 == 6", ["count=1"]),
    ("fill_item", "price % 10 == 5 || price / 5 == 2", ["count=2", "count=1"]),
    ("fill_item", "!(count & 1) && ~count != 0 && (count ^ 2) == 0", ["count=2"]),
    ("fill_item", "name[3] == 0 ? 0 : count > 1", ["count=2"]),
    ("fill_item", "counter == 10 && &counter != 0", ["count=2", "count=1", "count=4"]),
    ("count_up", "counter > 0", []),
    ("store_price", "*where == 25", ["price=30"]),
    ("total_of", "order->number == 1234 && order->items[1].price == 30", ["order="]),
    ("find_item", "order->dearest == &order->items[1] && order->dearest->count == 1", ["order="]),
]


@pytest.mark.parametrize("function, condition, hits", CONDITIONS, ids=[condition for _, condition, _ in CONDITIONS])
def test_condition_sees_what_gdb_would(session, runner, function, condition, hits):
    condition = condition.replace("STACK", "rsp" if runner.arch == "amd64" else "esp")
    said, packets, result = session([f"break {function} if {condition}", *["continue"] * (len(hits) + 1)])
    for hit, text in zip(hits, said[1:]):
        assert f"Breakpoint 1, {function} (" in text and hit in text, text
    assert "exited normally" in said[1 + len(hits)]
    # Nothing is resumed but for the hits that are told, so the others were not gdb's to judge.
    assert len(resumes(packets)) == 1 + 2 * len(hits)
    assert result.rc == 0


def test_hardware_breakpoint_has_its_condition_evaluated_too(session):
    said, packets, _ = session(["hbreak factorial if n < 3", *["continue"] * 3])
    assert "factorial (n=2)" in said[1] and "factorial (n=1)" in said[2]
    assert "exited normally" in said[3]
    assert any(re.match(r"Z1,[0-9a-f]+,1;X", packet) for packet in packets)


def test_several_conditions_at_one_place_are_alternatives(session):
    said, packets, _ = session(["break factorial if n == 4", "break factorial if n == 1", *["continue"] * 3])
    assert "Breakpoint 1, factorial (n=4)" in said[2]
    assert "Breakpoint 2, factorial (n=1)" in said[3]
    assert "exited normally" in said[4]
    assert any(re.match(r"Z0,[0-9a-f]+,1;X[0-9a-f]+,[0-9a-f]+X[0-9a-f]+,[0-9a-f]+$", packet) for packet in packets)


def test_condition_that_is_changed_or_removed_counts_from_then_on(session):
    said, _, _ = session(["break factorial if n == 4", "continue", "condition 1 n == 2", "continue", "condition 1",
                          "continue", "info breakpoints", "delete", "continue"])
    assert "factorial (n=4)" in said[1]
    assert "factorial (n=2)" in said[3]
    assert "factorial (n=1)" in said[5]
    assert "already hit 3 times" in said[6]
    assert "exited normally" in said[8]


def test_plain_breakpoint_at_the_place_stops_whatever_the_condition(session):
    said, _, _ = session(["break factorial if n == 77", "break factorial", "continue", "delete 2", "continue"])
    assert "factorial (n=5)" in said[2]
    assert "exited normally" in said[4]


def test_condition_that_cannot_be_evaluated_stops_and_is_reported(session):
    said, _, _ = session(["break factorial if *(int *)8 == 1", "continue", "backtrace 1"])
    assert re.search(r"the condition of the breakpoint at 0x[0-9a-f]+ cannot be evaluated: nothing is readable at 0x8",
                     said[1])
    # gdb evaluates it again, and fails as well.
    assert "Error in testing" in said[1] and "Cannot access memory at address 0x8" in said[1]
    assert "factorial (n=5)" in said[2]


def test_division_by_zero_in_a_condition_stops_and_is_reported(session):
    said, _, _ = session(["break factorial if 10 / (n - 5)", "continue"])
    assert "cannot be evaluated: division by zero" in said[1]
    assert "Division by zero" in said[1]


def test_dprintf_of_the_agent_prints_while_the_guest_runs(session):
    said, packets, result = session(["set dprintf-style agent",
                                     'dprintf fill_item,"[%s] %d at %5.2d%%\\n", name, count, price',
                                     'dprintf factorial,"n=%lu\\n", n', "continue", "info breakpoints"])
    assert [line for line in said[3].splitlines() if line.startswith("n=")] == [f"n={n}" for n in (5, 4, 3, 2, 1)]
    assert "[rope] 2 at    10%\n[lamp] 1 at    25%\n[oil] 4 at    03%\n" in said[3]
    assert "exited normally" in said[3]
    assert len(resumes(packets)) == 1
    assert any(re.match(r"Z0,[0-9a-f]+,1;cmds:[01],X[0-9a-f]+,[0-9a-f]+$", packet) for packet in packets)
    assert result.stdout == "counted 10, factorial 120\norder 1234: 5 more\n"


def test_dprintf_with_a_condition_prints_where_it_is_true(session):
    said, _, _ = session(["set dprintf-style agent", 'dprintf factorial,"n is %lu\\n", n', "condition 1 n < 3",
                          "continue"])
    assert re.findall(r"n is \d", said[3]) == ["n is 2", "n is 1"]
    assert "exited normally" in said[3]


def test_step_over_a_call_passes_false_conditions_inside(session):
    said, _, _ = session(["tbreak main", "continue", "break factorial if n == 77", "next", "next", "next",
                          "backtrace 1", "condition 2 n == 3", "continue"])
    assert not any("Breakpoint 2, " in text for text in said[3:6])
    assert "main" in said[6]
    assert "exited normally" in said[8]


def test_ctrl_c_gets_through_hits_that_are_passed_over(runner):
    with runner.serve("spin", options=["--core", "none"]) as served, Gdb() as gdb:
        gdb.command(f"target remote {served.address}")
        gdb.command("break spin.c:12 if counter == -1")
        gdb.command("tbreak spin.c:12")
        gdb.command("continue")
        for _ in range(5):
            gdb.send("continue")
            gdb.wait_for("Continuing")
            gdb.interrupt()
            gdb.wait_for("received signal SIGINT")
            assert "spin (rounds=0)" in gdb.command("frame")
        # Not where it stands: an interrupt may come before the first round.
        gdb.command("tbreak spin.c:12 if counter > 100")
        assert "spin" in gdb.command("continue")
        assert int(gdb.command("print counter").rsplit("=", 1)[1]) > 100
        gdb.command("set var stop = 1")
        assert "exited normally" in gdb.command("continue")
        assert served.process.wait(60).rc == 0


def test_detach_drops_conditions_and_leaves_no_trace(runner):
    with runner.serve("spin", "50000", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "break spin.c:12 if counter == 100", "continue",
                          "condition 1 counter == 7777777", "detach"])
        result = served.process.wait(60)
    assert "Breakpoint 1, spin" in said[2]
    assert "detached" in said[4]
    assert result.rc == 0 and result.stdout == "counted to 50000\n"
