# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that do what no honest one does: each ends as one report with the right reason, or as the manual says."""

import re

import pytest

from lib import report
from lib.assemble import assemble

HOLE = "0x50000000"  # guest-physical memory that nothing backs


@pytest.fixture
def run(runner, tmp_path):
    """Assemble a guest and run it."""
    def run(text, timeout=60, options=()):
        path = assemble(tmp_path, runner.arch, text)
        return runner.run(path, options=["--core", "none", *options], timeout=timeout)
    return run


def crash(result):
    found = report.parse(result.stderr)
    assert result.rc == 128 + found.signal
    return found


@pytest.mark.parametrize("access, verb", [
    ("mov eax, [VIRT_AT + 8]", "read of"), ("mov dword ptr [VIRT_AT + 8], 1", "write to"),
    ("lea SP, [VIRT_AT + 8 + W]\npush AX", "write to"),
])
def test_access_to_memory_that_is_not_there_is_a_bus_error_at_its_instruction(run, access, verb):
    lines = access.replace("VIRT_AT", "BP").split("\n")
    found = crash(run(f"test:\nMAP {HOLE}\nmov BP, VIRT\n" + "\n".join(lines[:-1]) + f"\nfault: {lines[-1]}\n"))
    assert found.signal_name == "SIGBUS"
    assert re.match(rf"bus error: {verb} 0x[0-9a-f]+0000008, which is guest-physical 0x50000008: no memory", found.text)
    assert found.function == "fault"


def test_write_to_the_read_only_counter_is_a_page_fault(run):
    found = crash(run("test: mov BX, [boot]\nmov SI, [BX + BOOT_SCRATCH_START]\nadd SI, [BX + BOOT_SCRATCH_LENGTH]\n"
                      "fault: mov dword ptr [SI - HS_SCRATCH_COUNTER_OFFSET], 1\n"))
    assert found.text.endswith("mapped read-only")
    assert found.function == "fault"


def test_string_output_reaches_the_console_and_then_its_unknown_port_is_named(run):
    result = run("test: lea SI, [text]\nmov ecx, 5\nmov dx, HS_PORT_DEBUGCON\ncld\nrep outsb\n"
                 "lea SI, [text]\nmov ecx, 5\nmov dx, 0x4242\nfault: rep outsb\n"
                 ".section .data\ntext: .ascii \"hello\"\n")
    assert result.stdout == "hello"
    found = crash(result)
    assert found.signal_name == "SIGSYS"
    assert "unknown port: 8-bit out to port 0x4242" in found.text
    assert found.function == "fault"


def test_input_from_an_unknown_port_is_at_its_instruction(run):
    found = crash(run("test: mov dx, 0x60\nfault: in al, dx\n"))
    assert "unknown port: 8-bit in from port 0x60" in found.text
    assert found.function == "fault"


def test_hlt_ends_the_guest(run):
    assert run("test: hlt\n").rc == 0


def test_jump_to_where_nothing_is_mapped_is_a_fetch(run):
    found = crash(run("test: mov AX, 0x12345000\njmp AX\n"))
    assert found.text == "page fault (#PF): fetch from 0x12345000, not mapped"
    assert found.address == 0x12345000


def test_page_tables_that_lead_nowhere_end_with_a_bounded_core(runner, tmp_path):
    # A triple fault, or a CPU that walks for ever (KVM-AMD nested in QEMU): then the time limit ends it.
    path = assemble(tmp_path, runner.arch, f"test: mov AX, {HOLE}\nmov cr3, AX\nnop\n")
    result = runner.run(path, options=["--timeout", "2"])
    found = report.parse(result.stderr)
    assert result.rc in (124, 128 + found.signal)
    assert found.core is not None


def test_exception_report_without_a_frame_is_said_to_be_none(run):
    found = crash(run("test: mov SP, 0x123000\nfault: out HS_PORT_EXCEPTION, eax\n"))
    assert "no exception frame" in found.text
    assert found.function == "fault"


@pytest.mark.parametrize("start, length", [("0x123000", 16), ("0", 1), ("offset boot", 0x10001)])
def test_print_of_what_is_not_there_or_too_long_is_refused(run, start, length):
    result = run(f"test: mov SI, {start}\nmov ecx, {length}\nfault: out HS_PORT_PRINT, eax\n")
    found = crash(result)
    assert "bad call of port 113" in found.text
    assert found.function == "fault"
    assert len(result.stdout) < 0x10001


def test_abort_message_cannot_reach_the_terminal_raw(run):
    # ESC, '[', '2' and then the end mark.
    result = run("test: mov eax, 0x325b1b03\nout HS_PORT_ABORT, eax\nmov eax, 0xff\nout HS_PORT_ABORT, eax\n")
    found = crash(result)
    assert found.signal_name == "SIGABRT"
    assert "\x1b" not in result.stderr


def test_guest_that_prints_for_ever_ends_at_its_time_limit(run):
    result = run("test: mov eax, 'x'\nout HS_PORT_DEBUGCON, al\njmp test\n", options=["--timeout", "0.5"])
    assert result.rc == 124
    assert set(result.stdout) == {"x"}
