#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real gdb and lldb against the server with a fake target that shows a real image's bytes.

clients.py gdb|lldb FAKE_SERVER SAMPLE_AMD64 SAMPLE_I686 [TEST...]

Nothing executes here: the fake target "runs" to the next breakpoint and "steps" by one byte. What is proved is that the
clients understand every reply, find the image by themselves and get their registers, memory and breakpoints right.
"""
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

CLIENT, SERVER, SAMPLES = sys.argv[1], sys.argv[2], dict(zip(("amd64", "i686"), sys.argv[3:5]))
LINE_OF = {text.split("//")[0].strip(): number for number, text in enumerate(
    open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "sample.c"), encoding="utf-8"), 1)}

GENERAL = {
    "amd64": "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split(),
    "i686": "eax ebx ecx edx esi edi ebp esp eip".split(),
}
CONTROL = {
    "amd64": "fs_base gs_base k_gs_base cr0 cr2 cr3 cr4 cr8 efer".split(),
    "i686": "fs_base gs_base cr0 cr2 cr3 cr4 efer".split(),
}


class Server:
    """The fake target behind the real server."""

    def __init__(self, arch, address="127.0.0.1:0"):
        self.process = subprocess.Popen([SERVER, address, arch, SAMPLES[arch]], stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(line)
        self.address = line.split()[-1]

    def end(self):
        """What the server says at its end, which has come or is caused by SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.finish()

    def finish(self):
        """The same for an end that comes by itself."""
        text = self.process.communicate(timeout=60)[1]
        return text.strip()


def both(test):
    """Run a test for each architecture."""
    @functools.wraps(test)
    def run(self):
        for arch in SAMPLES:
            with self.subTest(arch=arch):
                self.server = Server(arch)
                try:
                    test(self, arch)
                finally:
                    end = self.server.end()
                self.assertIn("0 breakpoints left, 0 misuses", end)
    return run


def run_client(words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "LC_ALL": "C", "HOME": "/nonexistent", "DEBUGINFOD_URLS": ""})
    return done.stdout + done.stderr


def line_of(code):
    return LINE_OF[code]


class Gdb(unittest.TestCase):
    def gdb(self, *commands, target="target remote", address=None):
        words = ["gdb", "-nx", "-batch", "-ex", "set confirm off", "-ex", "set width 0"]
        for command in (f"{target} {address or self.server.address}", *commands):
            words += ["-ex", command]
        return run_client(words)

    @both
    def test_attach_without_a_file_finds_symbols_and_lines(self, arch):
        text = self.gdb("info line", "print counter", "print greeting", "info symbol twice", "detach")
        self.assertRegex(text, r"_start \(\) at .*sample\.c")
        self.assertIn("$1 = 42", text)
        self.assertIn('$2 = "hello from the sample"', text)
        self.assertIn("twice in section .text", text)
        self.assertIn("detached", text)

    @staticmethod
    def lvalue(arch, name):
        """gdb refuses a bare int for a register of a flags type that is 64 bits wide, and for the code pointer."""
        if name in ("rip", "eip"):
            return "$pc = "
        return f"${name} = " + ("(long long)" if name in ("cr0", "cr4", "efer") and
                                (arch == "amd64" or name == "efer") else "")

    @both
    def test_every_register_is_written_and_read_by_its_name(self, arch):
        values = {}
        for number, name in enumerate(GENERAL[arch] + CONTROL[arch]):
            values[name] = 0x11111101 + 0x01010203 * number
        for number, name in enumerate("cs ss ds es fs gs".split()):
            values[name] = 0x101 + number
        values["eflags"] = 0x246
        values["mxcsr"] = 0x1fa0
        for number, name in enumerate("fctrl fstat ftag fop".split()):
            values[name] = (0x372, 0x21, 0xffff, 0x123)[number]
        for number in range(16 if arch == "amd64" else 8):
            for lane in range(4):
                values[f"xmm{number}.v4_int32[{lane}]"] = 0x01020304 + 0x10 * number + lane
        for order in (1, -1):
            names = list(values)[::order]
            show = [f"print/x ${name}" for name in names]
            text = self.gdb(*[f"set var {self.lvalue(arch, name)}{values[name]}" for name in names], *show,
                            "maintenance flush register-cache", *show, "detach")
            got = [int(value, 16) for value in re.findall(r"^\$\d+ = (0x[0-9a-f]+)$", text, re.M)]
            self.assertEqual(got, [values[name] for name in names] * 2, text)

    @both
    def test_x87_registers_are_written_and_read(self, arch):
        commands = ["set var $ftag = 0"]
        commands += [f"set var $st{number} = {number}.25" for number in range(8)]
        commands += ["maintenance flush register-cache"]
        commands += [f"print $st{number}" for number in range(8)]
        text = self.gdb(*commands, "detach")
        self.assertEqual(re.findall(r"^\$\d+ = (\S+)$", text, re.M), [f"{number}.25" for number in range(8)], text)

    @both
    def test_memory_is_written_and_read(self, arch):
        text = self.gdb("set var counter = 7", "print counter", "x/2i twice", "x/4xw 0x10", "detach")
        self.assertIn("$1 = 7", text)
        self.assertIn("push", text)
        self.assertIn("Cannot access memory at address 0x10", text)

    @both
    def test_memory_search_finds_text_and_dump_is_whole(self, arch):
        with tempfile.TemporaryDirectory() as folder:
            text = self.gdb("find &greeting, +100, 'f', 'r', 'o', 'm'",
                            f"dump binary memory {folder}/dump 0x70000000 0x70010000", "detach")
            self.assertIn("1 pattern found", text)
            with open(f"{folder}/dump", "rb") as dump:
                self.assertEqual(dump.read(), bytes(0x10000))

    @both
    def test_breakpoints_of_each_kind_are_hit_and_removed(self, arch):
        text = self.gdb("break twice", "hbreak middle", "continue", "continue", "info breakpoints", "delete",
                        "watch counter", "continue", "delete", "rwatch counter", "continue", "delete",
                        "awatch counter", "continue", "delete", "detach")
        self.assertRegex(text, r"Breakpoint 1, twice")
        self.assertRegex(text, r"Breakpoint 2, middle")
        self.assertEqual(text.count("breakpoint already hit 1 time"), 2, text)
        self.assertRegex(text, r"Hardware watchpoint 3: counter\n\nOld value = 42\nNew value = 43")
        self.assertRegex(text, r"Hardware read watchpoint 4: counter\n\nValue = 44")
        self.assertRegex(text, r"Hardware access .* watchpoint 5: counter\n\nOld value = 44\nNew value = 45")

    @both
    def test_hardware_breakpoints_run_out_and_gdb_says_so(self, arch):
        text = self.gdb(*[f"hbreak *{0x70000000 + i}" for i in range(5)], "continue", "delete", "detach")
        self.assertIn("Could not insert hardware breakpoint", text)

    @both
    def test_stepping(self, arch):
        text = self.gdb("break twice", "continue", "stepi", "next", "detach")
        self.assertRegex(text, rf"\n0x[0-9a-f]+\t{line_of('int result = value * 2;')}\t")
        self.assertRegex(text, rf"\n{line_of('counter += result;')}\t")

    @both
    def test_interrupt_stops_a_running_guest_and_it_goes_on(self, arch):
        words = ["gdb", "-nx", "-batch"]
        for command in (f"target remote {self.server.address}", "continue", "print counter", "continue", "detach"):
            words += ["-ex", command]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env={**os.environ, "DEBUGINFOD_URLS": ""}) as gdb:
            for _ in range(2):
                self.assertEqual(self.server.process.stderr.readline(), "running\n")
                gdb.send_signal(signal.SIGINT)
            text = gdb.communicate(timeout=60)[0]
        self.assertEqual(text.count("Program received signal SIGINT"), 2, text)
        self.assertIn("$1 = 42", text)

    @both
    def test_detach_and_attach_again_in_one_gdb_and_in_another(self, arch):
        again = f"target remote {self.server.address}"
        text = self.gdb("break twice", "continue", "detach", again, "print counter", "disconnect",
                        again, "print counter", "delete", "detach")
        self.assertIn("$1 = 42", text)
        self.assertIn("$2 = 42", text)
        self.assertIn("$1 = 42", self.gdb("print counter", "detach"))

    @both
    def test_extended_mode_detach_and_attach(self, arch):
        text = self.gdb("detach", "attach 1", "print counter", "detach", target="target extended-remote")
        self.assertIn("$1 = 42", text)

    @both
    def test_second_gdb_is_told_why_it_is_refused(self, arch):
        host, port = self.server.address.split(":")
        with socket.create_connection((host, int(port))) as first:
            first.sendall(b"$qC#b4")
            self.assertEqual(first.recv(1), b"+")
            self.assertIn("another debugger is attached to this guest", self.gdb())

    @both
    def test_fault_shows_signal_and_siginfo(self, arch):
        text = self.gdb("monitor fault 123456", "continue", "print/x $_siginfo._sifields._sigfault.si_addr",
                        "print $_siginfo.si_code", "info auxv", "detach")
        self.assertIn("Program received signal SIGSEGV", text)
        if "Attempt to extract a component of a value that is not a structure" not in text:
            self.assertIn("$1 = 0x123456", text)
            self.assertIn("$2 = 1", text)
        self.assertRegex(text, r"AT_ENTRY +Entry point of program")

    @both
    def test_monitor_commands(self, arch):
        text = self.gdb("monitor help", "monitor echo is there anybody", "monitor nonsense", "monitor quiet", "detach")
        self.assertIn("echo TEXT      say it", text)
        self.assertIn("is there anybody", text)
        self.assertIn("no such command; 'monitor help' lists them", text)

    @both
    def test_guest_exit_is_shown(self, arch):
        text = self.gdb("monitor exit 3", "continue")
        self.assertIn("exited with code 03", text)
        self.assertIn("exited,", self.server.finish() + " 0 breakpoints left, 0 misuses")
        self.server = Server(arch)

    @both
    def test_kill_ends_it(self, arch):
        text = self.gdb("break twice", "kill")
        self.assertIn("killed", text)
        self.assertIn("killed,", self.server.finish())
        self.server = Server(arch)

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            self.server = Server("amd64", f"unix:{folder}/socket")
            text = self.gdb("print counter", "detach", address=f"{folder}/socket")
            self.assertIn("$1 = 42", text)
            self.assertIn("0 misuses", self.server.end())
            self.assertEqual(os.listdir(folder), [])

    def test_stdio(self):
        text = self.gdb("print counter", "kill", address=f"| {SERVER} stdio amd64 {SAMPLES['amd64']}")
        self.assertIn("$1 = 42", text)


class Lldb(unittest.TestCase):
    def lldb(self, *commands, file=None):
        words = ["lldb", "-x", "-b", "-o", "settings set use-color false"]
        for command in (f"gdb-remote {self.server.address}", *commands):
            words += ["-o", command]
            if command == "continue":
                words += ["-k", "detach"]
        return run_client(words + ([file] if file else []))

    @both
    def test_attach_without_a_file_finds_symbols_and_lines(self, arch):
        text = self.lldb("image list", "p counter", "p greeting", "detach")
        self.assertRegex(text, r"`_start at sample\.c")
        self.assertIn("= 42", text)
        self.assertIn('= "hello from the sample"', text)
        self.assertIn("Process 1 detached", text)

    @both
    def test_attach_with_the_file_named(self, arch):
        text = self.lldb("p counter", "breakpoint set -n twice", "continue", "detach", file=SAMPLES[arch])
        self.assertIn("= 42", text)
        self.assertRegex(text, r"stop reason = breakpoint 1\.1\n.*`twice\(")

    @both
    def test_every_register_is_written_and_read_by_its_name(self, arch):
        values = {name: 0x11111101 + 0x01010203 * number for number, name in enumerate(GENERAL[arch] + CONTROL[arch])}
        text = self.lldb(*[f"register write {name} {value:#x}" for name, value in values.items()],
                         *[f"register read {name}" for name in values], "detach")
        got = {name: int(value, 16) for name, value in re.findall(r"^ *(\w+) = (0x[0-9a-f]+)", text, re.M)}
        self.assertEqual({name: got.get(name) for name in values}, values, text)

    @both
    def test_vector_register_is_written_and_read(self, arch):
        data = " ".join(f"{0x10 + i:#04x}" for i in range(16))
        text = self.lldb(f'register write xmm1 "{{{data}}}"', "register read xmm1", "detach")
        self.assertIn(f"xmm1 = {{{data}}}", text)

    @both
    def test_memory_is_written_and_read(self, arch):
        text = self.lldb("expression counter = 9", "p counter", "memory write 0x70000000 0x4f 0x4b 0x45 0x30 0x31",
                         "memory read -c 5 -f x -s 1 0x70000000", "memory read -c 2 -f x -s 1 0x70000000",
                         "memory read --force -c 8192 -f x -s 8 0x7000f000", "memory read 0x10", "detach")
        self.assertIn("0x4f 0x4b 0x45 0x30 0x31", text)
        self.assertIn("= 9", text)
        self.assertRegex(text, r"0x7000fff0: 0x0+ 0x0+\n")
        self.assertIn("memory read failed for 0x0", text)

    @both
    def test_breakpoint_step_watchpoint(self, arch):
        text = self.lldb("breakpoint set -n twice", "continue", "thread step-inst", "thread step-over",
                         "breakpoint delete -f", "watchpoint set variable counter", "continue",
                         "watchpoint delete -f", "detach")
        self.assertRegex(text, r"stop reason = breakpoint 1\.1")
        self.assertIn("stop reason = instruction step into", text)
        self.assertRegex(text, rf"stop reason = step over\n.*sample\.c:{line_of('counter += result;')}")
        self.assertIn("stop reason = watchpoint 1", text)
        self.assertRegex(text, r"old value: 42\nnew value: 43")

    @both
    def test_detach_and_attach_again(self, arch):
        self.assertIn("detached", self.lldb("breakpoint set -n twice", "continue", "detach"))
        self.assertIn("= 42", self.lldb("p counter", "detach"))

    @both
    def test_fault_is_a_signal_stop(self, arch):
        text = self.lldb("process plugin packet monitor fault 10", "continue")
        self.assertIn("stop reason = signal SIGSEGV", text)

    @both
    def test_monitor_command(self, arch):
        self.assertIn("is there anybody", self.lldb("process plugin packet monitor echo is there anybody", "detach"))


if __name__ == "__main__":
    if not shutil.which(CLIENT):
        print(f"skipped: {CLIENT} is not installed")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *(sys.argv[5:] or [CLIENT.capitalize()])], verbosity=2)
