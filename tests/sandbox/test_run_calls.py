# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight run --call` from the outside: functions of a guest are called on each CPU (guest/programs/functions.c)."""

import json
import os
import pty
import re
import signal
import subprocess

import pytest

from lib import debuggers, report
from lib.runner import RUNNERS

# The pipe of these tests is on this machine, so its command has to be too.
HERE = pytest.mark.parametrize("runner", [name for name in RUNNERS if not name.endswith("rig")], indirect=True)

ECHOES = [
    "echo_int(-2147483648)", "echo_uint(4294967295u)", "echo_long(-9223372036854775808L)",
    "echo_ulong(18446744073709551615UL)", "echo_float(0.1f)", "echo_double(-1.5e+300)", "echo_double(inf)",
    "echo_bool(true)", "echo_bool(false)", r'echo_string("hi\n\"\\\x01\xff")', 'echo_string("")',
    'echo_bytes(x"00ff10")', 'echo_bytes(x"")',
]


def call(runner, *calls, words=(), options=(), **kwargs):
    """`hindsight run` of functions.elf with a --call for each of the calls."""
    options = [*options, *(word for text in calls for word in ("--call", text))]
    return runner.run("functions", *words, options=options, **kwargs)


def core_in(result):
    """The one core that a run has left."""
    assert len(result.files) == 1, result.files
    return next(iter(result.files.values()))


def test_run_calls_value_of_each_type_comes_back_as_it_was(runner):
    result = call(runner, *ECHOES)
    assert (result.rc, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"{text} = {text[text.index('(') + 1:-1]}" for text in ECHOES]


def test_run_calls_results_come_in_the_order_of_the_calls(runner):
    sixteen = ",".join(["-1", "0x10", *(["1"] * 14)])
    result = call(runner, "add(40,2)", "nothing()", "counter()", "counter()", f"sum({sixteen})")
    assert (result.rc, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "add(40, 2) = 42", "nothing() = ()", "counter() = 1UL", "counter() = 2UL",
        f"sum(-1, 16, {', '.join(['1'] * 14)}) = 29L",
    ]


@pytest.mark.parametrize("text,message", [
    ("nope()", r"nope: .*no function.*"),
    ("add(1, 2u)", r"add: argument 2 .*i\(ii\)"),
    ("add(1)", r"add: argument 2 .*i\(ii\)"),
    ("add(1, 2, 3)", r"add: argument 3 .*i\(ii\)"),
    ("add(1.5, 2)", r"add: argument 1 .*i\(ii\)"),
    ('fail("no luck")', "fail: no luck"),
    ("wrong_type()", "wrong_type: .*"),
    ('call_back("square", 7)', "call_back: square failed with 2: .*no function 'square'"),
])
def test_run_calls_call_without_result_is_a_line_and_status_1_and_the_next_is_made(runner, text, message):
    result = call(runner, text, "add(40,2)")
    assert result.rc == 1
    assert re.fullmatch(message, report.one_line_error(result.stderr)), result.stderr
    assert result.stdout == "add(40, 2) = 42\n"
    assert not result.files


def test_run_calls_output_of_the_guest_stands_before_the_line_of_its_call(runner):
    result = call(runner, r'print("one\n")', 'print("two")', "nothing()")
    assert (result.rc, result.stderr) == (0, "")
    assert result.stdout == 'one\nprint("one\\n") = ()\ntwo\nprint("two") = ()\nnothing() = ()\n'


def test_run_calls_log_of_the_guest_is_on_stderr_with_its_level(runner):
    result = call(runner, r'write_log(2u, "low\x1b[2J")', 'write_log(4u, "left out")')
    assert result.rc == 0
    assert result.stderr == "functions.elf: warning: low\\x1b[2J\n"


def test_run_calls_level_that_is_asked_for_is_logged(runner):
    result = call(runner, 'write_log(4u, "let in")', options=["--log-level", "4"])
    assert (result.rc, result.stderr) == (0, "functions.elf: debug: let in\n")


def test_run_calls_crash_in_a_call_is_reported_and_its_core_shows_the_function(runner):
    result = call(runner, "counter()", "fault_in_call(0xdead0000UL)", "counter()")
    assert result.rc == 128 + signal.SIGSEGV
    assert result.stdout == "counter() = 1UL\n"
    said = report.parse(result.stderr)
    assert said.signal == signal.SIGSEGV and "write to 0xdead0000" in said.text
    assert "fault_in_call" in said.function
    seen = debuggers.gdb_batch(["backtrace 1"], runner.guest("functions"), core_in(result))
    assert re.search(r"#0 .*fault_in_call", seen.text), seen.text


def test_run_calls_abort_in_a_call_ends_as_one_of_a_run(runner):
    result = call(runner, 'abort_in_call("out of luck")')
    assert result.rc == 128 + signal.SIGABRT
    said = report.parse(result.stderr)
    assert said.text == "abort: out of luck"
    seen = debuggers.gdb_batch(["backtrace"], runner.guest("functions"), core_in(result))
    assert "abort_in_call" in seen.text


def test_run_calls_core_none_leaves_no_core(runner):
    result = call(runner, 'abort_in_call("x")', options=["--core", "none"])
    assert result.rc == 128 + signal.SIGABRT
    assert report.parse(result.stderr).core is None and not result.files


def test_run_calls_call_that_hangs_is_ended_by_the_time_limit(runner):
    result = call(runner, "nothing()", "hang()", "nothing()", options=["--timeout", "1"])
    assert result.rc == 124
    assert result.stdout == "nothing() = ()\n"
    said = report.parse(result.stderr)
    assert said.signal == signal.SIGXCPU and said.text.startswith("time limit")
    assert "hang" in said.function
    core_in(result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_run_calls_signal_ends_the_call_that_runs(runner, tmp_path, number):
    options = ["--call", r'print("up\n")', "--call", "hang()", "--core", "."]
    with runner.spawn("functions", options=options, cwd=tmp_path) as running:
        running.stdout.wait_for(r"= \(\)\n", 60)
        running.signal(number)
        assert running.wait(60).rc == 128 + number
    assert not runner.place.collect(tmp_path)


def test_run_calls_sigquit_writes_a_core_of_the_call_that_runs_and_it_goes_on(runner, tmp_path):
    options = ["--call", r'print("up\n")', "--call", "hang()", "--core", "."]
    with runner.spawn("functions", options=options, cwd=tmp_path) as running:
        running.stdout.wait_for(r"= \(\)\n", 60)
        for number in range(2):
            running.signal(signal.SIGQUIT)
            running.stderr.wait_for(rf"core: \S+\.{number}\.core \([^)]+\)\n", 60)
        running.signal(signal.SIGTERM)
        assert running.wait(60).rc == 128 + signal.SIGTERM
    cores = runner.place.collect(tmp_path)
    assert len(cores) == 2
    # The signal may be faster than the call.
    seen = debuggers.gdb_batch(["backtrace"], runner.guest("functions"), max(cores.values()))
    assert re.search(r"hs_guest_serve|hang", seen.text), seen.text


@pytest.mark.parametrize("words,message", [
    (["unready"], r"functions\.elf: the guest has ended with status 3 before it was ready for calls"),
])
def test_run_calls_guest_that_ends_before_it_is_ready_is_one_line(runner, words, message):
    result = call(runner, "nothing()", words=words)
    assert result.rc == 1
    assert re.fullmatch(message, report.one_line_error(result.stderr))


def test_run_calls_guest_without_functions_is_one_line(runner):
    result = runner.run("hello", options=["--call", "nothing()"])
    assert result.rc == 1
    assert result.stdout == "hello from a guest\n"
    assert report.one_line_error(result.stderr).endswith("before it was ready for calls: it has no functions")


def test_run_calls_guest_that_ends_in_a_call_is_one_line(runner):
    result = call(runner, "exit_in_call(0)", "nothing()")
    assert (result.rc, result.stdout) == (1, "")
    assert report.one_line_error(result.stderr) == "exit_in_call: the guest has ended with status 0"


def test_run_calls_each_cycle_begins_where_the_guest_became_ready(runner):
    result = call(runner, "counter()", "counter()", options=["--cycles", "20"])
    assert result.rc == 0, result.stderr
    assert result.stdout == "counter() = 1UL\ncounter() = 2UL\n"
    assert re.fullmatch(r"20 cycles, \d+\.\d us each", report.one_line_error(result.stderr))


def test_run_calls_error_of_every_cycle_is_said_once(runner):
    result = call(runner, 'fail("no luck")', options=["--cycles", "3"])
    assert result.rc == 1
    assert re.fullmatch(r"hindsight: fail: no luck\nhindsight: 3 cycles, .* each\n", result.stderr)


def test_run_calls_crash_in_a_cycle_ends_them_with_a_core(runner):
    result = call(runner, "counter()", 'abort_in_call("x")', options=["--cycles", "3"])
    assert result.rc == 128 + signal.SIGABRT
    assert result.stdout == "counter() = 1UL\n"
    report.parse(result.stderr)
    core_in(result)


@HERE
@pytest.mark.parametrize("options,status", [
    (("--call", 'write_log(2u, "up")'), 128 + signal.SIGTERM), (("--timeout", "0.5"), 124),
])
def test_run_calls_reader_that_does_not_read_does_not_keep_the_command(runner, tmp_path, options, status):
    """The pipe is full before the guest writes its first line."""
    read_end, write_end = os.pipe()
    try:
        os.set_blocking(write_end, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(write_end, bytes(4096))
        os.set_blocking(write_end, True)
        command = runner.command("functions", options=["--core", "none", *options, "--call", r'print("x\n")'])
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=write_end, stderr=subprocess.PIPE,
                              cwd=tmp_path) as process:
            if "--call" in options:
                assert process.stderr.readline() == b"functions.elf: warning: up\n"
                process.send_signal(signal.SIGTERM)
            _, _ = process.communicate(timeout=60)
            assert process.returncode == status
    finally:
        os.close(read_end)
        os.close(write_end)


def test_run_calls_json_is_one_object_a_line_and_the_guests_output_is_elsewhere(runner):
    result = call(runner, *ECHOES, 'print("out")', "nothing()", 'fail("no luck")', options=["--json", "--cycles", "3"])
    *lines, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.rc == 1 and result.stderr == 3 * "out", str(result)
    values = {
        "echo_int": -2147483648, "echo_uint": 4294967295, "echo_long": "-9223372036854775808",
        "echo_ulong": "18446744073709551615",
    }
    seen = {line["call"]: line for line in lines}
    assert len(lines) == len(ECHOES) + 3
    for name, value in values.items():
        typed = {"type": name.removeprefix("echo_"), "value": value}
        assert seen[name] == {"call": name, "arguments": [typed], "result": typed}
    results = [(line["result"]["type"], line["result"]["value"]) for line in lines[4:-3]]
    assert results == [
        ("float", pytest.approx(0.1)), ("double", -1.5e300), ("double", "inf"), ("bool", True), ("bool", False),
        ("string", 'hi\n"\\\x01\ufffd'), ("string", ""), ("bytes", "00ff10"), ("bytes", ""),
    ]
    assert seen["nothing"] == {"call": "nothing", "arguments": [], "result": {"type": "void", "value": None}}
    assert seen["fail"] == {"call": "fail", "arguments": [{"type": "string", "value": "no luck"}],
                            "error": "fail: no luck"}
    assert last["cycles"] == 3 and last["microseconds"] > 0


def test_run_calls_of_a_snapshot_begin_where_it_was_taken(runner, tmp_path):
    made = call(runner, "counter()", "counter()", options=["--snapshot", "a.snap"])
    assert (made.rc, made.stdout) == (0, "counter() = 1UL\ncounter() = 2UL\n"), str(made)
    assert re.fullmatch(r"snapshot: a\.snap \(\S+ KiB\)\n", made.stderr)
    twice = ["--call", "counter()", "--call", "counter()"]
    for cycles in ("1", "4"):
        result = runner.restore(made.files["a.snap"], ["--cycles", cycles, *twice])
        assert (result.rc, result.stdout) == (0, made.stdout), str(result)
    crashed = runner.restore(made.files["a.snap"], ["--core", ".", "--call", 'abort_in_call("x")'])
    assert crashed.rc == 128 + signal.SIGABRT
    refused = runner.restore(core_in(crashed), ["--call", "counter()"])
    assert refused.rc == 125 and refused.stdout == ""
    assert report.one_line_error(refused.stderr).endswith(": the guest has crashed: it takes no calls")


def test_run_calls_of_a_guest_that_was_not_ready_are_refused(runner, tmp_path):
    options = ["--call", r'print("up\n")', "--call", "hang()", "--core", "."]
    with runner.spawn("functions", options=options, cwd=tmp_path) as running:
        running.stdout.wait_for(r"= \(\)\n", 60)
        running.signal(signal.SIGQUIT)
        running.stderr.wait_for(r"core: \S+ \([^)]+\)\n", 60)
        running.signal(signal.SIGTERM)
        running.wait(60)
    refused = runner.restore(next(iter(runner.place.collect(tmp_path).values())), ["--call", "counter()"])
    assert refused.rc == 125
    assert report.one_line_error(refused.stderr).endswith(
        ": the guest was not ready when this was written: it takes no calls")


@pytest.mark.parametrize("runner", ["amd64-soft"], indirect=True)
def test_run_calls_progress_is_on_a_terminal_and_gone_before_any_other_line(runner, tmp_path):
    """The last thing there is the line that says how long it took, at the beginning of one."""
    ours, theirs = pty.openpty()
    command = runner.command("functions", options=["--cycles", "500000", "--call", "counter()"])
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
                          cwd=tmp_path) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
        os.close(ours)
        assert process.wait(60) == 0
    *shown, last = re.split(rb"\r(?!\n)", seen)
    assert re.fullmatch(rb"\x1b\[Khindsight: 500000 cycles, \d+\.\d us each\r\n", last), seen
    assert len(shown) > 1 and all(re.fullmatch(rb"|cycles: \[#*\.*\] +\d+ % of 500000", text) for text in shown), seen
