# SPDX-License-Identifier: LGPL-2.1-or-later
"""A debugger that is told nothing but an address finds the program, its symbols, its source, and the guest's end."""

import contextlib
import re
import socket

import pytest

from lib.debuggers import Gdb, gdb_batch
from lib.process import run


def attach(served):
    return f"target remote {served.address}"


def test_attach_with_nothing_but_an_address_finds_symbols_and_source(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = gdb_batch([attach(served), "info symbol $pc", "break fill_item", "continue", "backtrace", "info source",
                          "print item->name", "print name", "frame 1", "print order.number", "kill"])
    assert "_start" in said[1]
    assert re.search(r"Breakpoint 1, fill_item \(item=0x[0-9a-f]+, name=0x[0-9a-f]+ \"rope\", count=2, price=10\)",
                     said[3])
    assert re.search(r"#0 +fill_item .*debugme\.c:\d+\n#1 .* in run \(name=.*\"lamp\"\) at .*debugme\.c:\d+\n"
                     r"#2 .* in main ",
                     said[4])
    assert "debugme.c" in said[5]
    assert '"rope"' in said[7]
    assert "= 1234" in said[9]


def test_attach_finds_the_guest_stopped_before_its_first_instruction(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = gdb_batch([attach(served), "print $pc == (unsigned long)_start", "print counter", "kill"])
    assert "= 1" in said[1]
    assert "= 0" in said[2]


def test_guest_that_ends_under_gdb_tells_its_status(runner):
    with runner.serve("exit", "7", options=["--core", "none"]) as served:
        said = gdb_batch([attach(served), "continue", "print $_exitcode"])
        result = served.process.wait(60)
    assert "exited with code 07" in said[1]
    assert "= 7" in said[2]
    assert result.rc == 7


def test_console_output_of_a_debugged_guest_is_the_commands_own(runner):
    with runner.serve("hello", options=["--core", "none"]) as served:
        gdb_batch([attach(served), "continue"])
        result = served.process.wait(60)
    assert result.stdout == "hello from a guest\n"
    assert result.rc == 0


def test_detach_lets_the_guest_finish_without_its_breakpoints(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        gdb_batch([attach(served), "break factorial", "continue", "watch counter", "detach"])
        result = served.process.wait(60)
    assert result.stdout == "counted 10, factorial 120\norder 1234: 5 more\n"
    assert result.rc == 0


def test_attach_again_finds_the_running_guest_and_stops_it(runner):
    with runner.serve("spin", options=["--core", "none"]) as served:
        first = gdb_batch([attach(served), "print counter", "detach"])
        second = gdb_batch([attach(served), "print counter", "print $pc", "detach"])
        third = gdb_batch([attach(served), "print counter", "kill"])
        result = served.process.wait(60)
    assert int(first[1].rsplit("=", 1)[1]) == 0
    seen = int(second[1].rsplit("=", 1)[1])
    assert 0 < seen < int(third[1].rsplit("=", 1)[1])
    assert result.rc == 128 + 9


def test_client_that_disappears_leaves_a_guest_that_the_next_one_finds(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        with Gdb() as gone:
            gone.command(attach(served))
            gone.command("break factorial")
            assert "Breakpoint 1, factorial" in gone.command("continue")
        said = gdb_batch([attach(served), "backtrace 1", "continue"])
        result = served.process.wait(60)
    assert "factorial (n=5)" in said[1]
    # The breakpoints of the one that is gone are gone as well: the recursion runs through.
    assert "exited normally" in said[2]
    assert result.rc == 0


def test_second_client_is_refused_and_the_first_goes_on(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        with Gdb() as first:
            first.command(attach(served))
            second = gdb_batch(["set remotetimeout 3", attach(served)])
            assert "_start" in first.command("info symbol $pc")
            assert "exited normally" in first.command("continue")
        result = served.process.wait(60)
    assert "=" not in second[1] and "_start" not in second[1]
    assert result.rc == 0


def test_connections_that_say_nothing_keep_no_debugger_out(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served, contextlib.ExitStack() as stack:
        host, port = served.address.rsplit(":", 1)
        silent = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(3)]
        assert "_start" in gdb_batch([attach(served), "info symbol $pc", "disconnect"])[1]
        silent.append(stack.enter_context(socket.create_connection((host, int(port)))))
        said = gdb_batch([attach(served), "info symbol $pc", "kill"])
        assert "_start" in said[1]
        assert served.process.wait(60).rc == 128 + 9


@pytest.mark.parametrize("runner", ["amd64-soft"], indirect=True)
def test_connection_to_a_unix_socket_that_says_nothing_keeps_no_debugger_out(runner, tmp_path):
    path = tmp_path / "socket"
    with runner.spawn("debugme", options=["--core", "none", "--gdb", f"unix:{path}"]) as running, \
            socket.socket(socket.AF_UNIX) as silent:
        running.stderr.wait_for("waiting for a debugger", 60)
        silent.connect(str(path))
        said = gdb_batch([f"target remote {path}", "info symbol $pc", "kill"])
        assert "_start" in said[1]
        assert running.wait(60).rc == 128 + 9


def test_kill_ends_the_guest_and_the_command(runner):
    with runner.serve("spin") as served:
        said = gdb_batch([attach(served), "kill"])
        result = served.process.wait(60)
    assert "killed" in said[1]
    assert result.rc == 128 + 9
    assert "core:" not in result.stderr


def test_auxiliary_vector_is_that_of_the_image(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = gdb_batch([attach(served), "info auxv", "kill"])
    vector = {name: int(value, 0) for name, value in re.findall(r"AT_(\w+) .* (\w+)$", said[1], re.M)}
    header = run(["readelf", "-hW", runner.guest("debugme")]).check().stdout
    assert vector["ENTRY"] == int(re.search(r"Entry point address: +(\w+)", header)[1], 0)
    assert vector["PHNUM"] == int(re.search(r"Number of program headers: +(\d+)", header)[1])
    assert vector["PHENT"] == int(re.search(r"Size of program headers: +(\d+)", header)[1])
    assert vector["PAGESZ"] == 4096 and vector["PHDR"] != 0 and vector["NULL"] == 0
