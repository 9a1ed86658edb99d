# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stops (docs/gdb-remote.md, "Stops"): what a step is, whose trap is whose, and that each stop is told once."""

import re

import pytest
from lib.debuggers import LOCAL_FILES, gdb_batch

TF = 0x100

# Step from one place to another; the place of each step, and the flags there, are written. A rep counts once.
WALK = """python
def walk(end):
    end = int(gdb.parse_and_eval("&" + end).cast(gdb.lookup_type("long")))
    for _ in range(200):
        pc = int(gdb.parse_and_eval("(long)$pc"))
        print("AT", pc, int(gdb.parse_and_eval("$eflags & 0x100")), gdb.selected_frame().name())
        if pc == end:
            break
        gdb.execute("stepi", to_string=True)
def listing(begin, end):
    begin, end = (int(gdb.parse_and_eval("&" + name).cast(gdb.lookup_type("long"))) for name in (begin, end))
    for insn in gdb.selected_frame().architecture().disassemble(begin, end):
        print("IS", insn["addr"], insn["asm"])
"""


@pytest.fixture
def session(runner, tmp_path):
    """Run gdb over commands with a guest: what each wrote, the packets it got, and the guest's result."""

    def run(commands, guest, words=(), options=("--core", "none")):
        log = tmp_path / "remote.log"
        script = tmp_path / "walk.gdb"
        script.write_text(WALK)
        with runner.serve(guest, *words, options=list(options)) as served:
            said = gdb_batch([f"set remotelogfile {log}", LOCAL_FILES, f"source {script}",
                              f"target remote {served.address}", *commands])
            result = served.process.wait(60)
        received = re.findall(r"^r .*?\$([^#\n]*)#[0-9a-f]{2}", log.read_text(encoding="latin-1"), re.M)
        return said[4:], received, result

    return run


def places(text):
    """(pc, flags, function) of each stop of a walk, repetitions of one instruction left out."""
    found = [(int(pc), int(flags), name) for pc, flags, name in re.findall(r"^AT (\d+) (\d+) (\w+)$", text, re.M)]
    return [place for before, place in zip([None, *found], found) if not before or before[0] != place[0]]


def stops_of(packets):
    return [packet for packet in packets if re.match(r"[TWXS][0-9a-f]{2}", packet)]


def test_steps_go_from_instruction_to_instruction_and_leave_no_trap_flag(session):
    said, packets, result = session(["break *&steps_begin", "continue", "python listing('steps_begin', 'steps_end')",
                                     "python walk('steps_end')", "delete", "continue"], "steps")
    listed = [int(pc) for pc in re.findall(r"^IS (\d+)", said[2], re.M)]
    walked = places(said[3])
    loads_ss = [int(pc) for pc in re.findall(r"^IS (\d+) mov +%\w+,%ss", said[2], re.M)]
    assert len(loads_ss) == 1 and len(listed) > 15
    # A CPU takes no trap between a load of ss and the instruction behind it (SDM vol. 3A 6.8.3): it may be one step.
    may_be_missing = {pc for before, pc in zip(listed, listed[1:]) if before in loads_ss}
    assert [pc for pc in listed if pc not in may_be_missing] == [pc for pc, _, _ in walked if pc not in may_be_missing]
    assert not any(flags & TF for _, flags, _ in walked)
    assert "exited normally" in said[5], "the guest saw the trap flag"
    assert result.rc == 0 and result.stdout == "said\n"
    # Each resume has one reply.
    assert len([packet for packet in packets if packet.startswith("W")]) == 1


def test_step_over_hlt_ends_the_guest(session):
    said, packets, result = session(["break *&steps_halt", "continue", "stepi"], "steps", words=["halt"])
    assert "Breakpoint 1" in said[1]
    assert "exited normally" in said[2]
    assert stops_of(packets)[-1].startswith("W00")
    assert result.rc == 0


def test_step_goes_over_a_call_of_the_host_with_its_output(session):
    said, _, result = session(["break hs_print", "continue", "finish", "kill"], "steps")
    assert "main (" in said[2]
    assert result.stdout == "said\n"


def test_step_of_a_write_that_is_copied_first_is_one_step(session):
    # second[1] and first[2] are written behind look(), each the first write to a page that is copy-on-write.
    said, _, result = session(["break look", "continue", "finish", "delete", "break look", "python walk('look')",
                               "delete", "continue"], "aliases")
    names = [name for _, _, name in places(said[5])]
    assert names[-1] == "look" and set(names) <= {"main", "look"}, names
    assert "exited normally" in said[7]
    assert "second 11110000 22222222 11110002" in result.stdout


def test_guests_own_traps_are_the_guests_and_stop_nobody(session):
    said, packets, result = session(["break main", "continue", "delete", "continue"], "handlers")
    assert "exited normally" in said[3]
    assert result.stdout == "2 int3, 3 page faults, read 42 and 43\n"
    # Where it begins, the breakpoint, the end.
    assert [packet[:3] for packet in stops_of(packets)] == ["T05", "T05", "W00"]


def test_fault_is_told_once_with_its_signal_and_place(session):
    said, packets, result = session(["continue", "print $_siginfo.si_signo", "x/i $pc", "print $_siginfo",
                                     "continue"], "debugme", words=["crash"])
    assert "SIGSEGV" in said[0] and "store_price" in said[0]
    assert said[1].endswith("= 11")
    assert "mov" in said[2]
    assert "terminated with signal SIGSEGV" in said[4]
    assert [packet[:3] for packet in stops_of(packets)] == ["T05", "T0b", "X0b"]
    assert result.rc == 128 + 11


def test_step_of_a_faulting_instruction_goes_to_the_guests_handler_and_on_to_the_fault(session):
    said, packets, _ = session(["break store_price", "continue", "stepi 20", "backtrace", "continue", "x/i $pc",
                                "signal 0", "kill"], "debugme", words=["crash"])
    # The runtime looks first whether the fault is about copy-on-write.
    assert re.search(r"(?s)#0 .*hs_cow_fault.*signal handler called.*store_price", said[3])
    assert "SIGSEGV" in said[4] and "store_price" in said[4]
    assert "mov" in said[5]
    assert "SIGSEGV" in said[6]
    assert stops_of(packets)[-1].startswith("T0b")


def test_hardware_breakpoint_at_address_zero_is_taken(session):
    said, packets, _ = session(["hbreak *0", "continue", "info breakpoints", "kill"], "hello")
    assert "Hardware assisted breakpoint 1 at 0x0" in said[0]
    assert "exited normally" in said[1]
    assert "OK" in packets


def test_hardware_breakpoint_where_no_memory_is_comes_before_the_fault_of_the_fetch(session, runner):
    # A function returns to there (SDM vol. 3A 6.9 has the order). Where no debug register fires it is a planted byte,
    # for which there is no place: the fault is told, and gdb shows it as the breakpoint that it is at.
    first = "T05" if runner.facts["execute-slot"] == "fires" else "T0b"
    said, packets, _ = session(["break *factorial", "continue", "delete", "hbreak *0", "set var *(void **)$sp = 0",
                                "continue", "delete", "continue", "kill"], "debugme")
    assert "Breakpoint 2, 0x0000" in said[5] and "received signal SIGSEGV" in said[7]
    assert [packet[:3] for packet in stops_of(packets)] == ["T05", "T05", first, "T0b"]


def test_monitor_doctor_says_what_the_command_says(session, runner):
    said, _, _ = session(["monitor doctor", "kill"], "hello")
    whole = runner.place.run([runner.build / "hindsight", "doctor"]).stdout
    for heading in ("On KVM the debugger uses", "Debugging on KVM"):
        if heading not in whole:
            assert "kvm" not in runner.backend
            continue
        part = whole.split(heading, 1)[1].split("\n\n", 1)[0]
        for line in part.strip("\n").splitlines():
            assert line in said[0]
