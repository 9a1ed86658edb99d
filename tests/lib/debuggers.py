# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real debuggers, driven from a test: gdb in one go or step by step, lldb in one go.

Neither reads anybody's start-up files nor asks a debuginfod server.
"""

import itertools
import re
import signal

from lib.process import Failed, LocalProcess, run

GDB = ["gdb", "-q", "-nx"]
GDB_SETTINGS = ("set confirm off", "set pagination off", "set width 0", "set height 0", "set style enabled off",
                "set debuginfod enabled off", "set print entry-values no")
ENVIRONMENT = {"LC_ALL": "C", "DEBUGINFOD_URLS": "", "TERM": "dumb"}
# The image is this machine's file, and the one that is debugged. Without that it comes through the connection, twice,
# which a log of packets takes a second to write down each time.
LOCAL_FILES = "python gdb.execute('set sysroot'); gdb.execute('set exec-file-mismatch off')"
MARK = "=-=-= {} =-=-="


class Transcript(list):
    """What each command wrote, in order; `text` is all of it."""

    @property
    def text(self):
        return "\n".join(self)


def gdb_batch(commands, program=None, core=None, timeout=120):
    """Run gdb over commands, errors and all (one that fails does not end the rest), and return the Transcript."""
    words = [*GDB, "-batch"]
    for setting in GDB_SETTINGS:
        words += ["-ex", setting]
    for number, command in enumerate(commands):
        words += ["-ex", f"echo \\n{MARK.format(number)}\\n", "-ex", command]
    words += [str(path) for path in (program, core) if path]
    # One stream for both, so that an error stands where it happened.
    result = run(["sh", "-c", 'exec "$@" 2>&1', "sh", *words], timeout, env=ENVIRONMENT)
    pieces = re.split(r"^=-=-= \d+ =-=-=$", result.stdout, flags=re.M)
    if len(pieces) != len(commands) + 1:
        raise Failed(f"gdb ended early, status {result.rc}: {result.stdout}")
    return Transcript(piece.strip() for piece in pieces[1:])


class Gdb:
    """A gdb that is told one thing at a time, for what a batch cannot do: Ctrl-C, a guest that goes on meanwhile.
    `banner` is what its own arguments have made it write."""

    def __init__(self, program=None, timeout=60, arguments=(), directory=None):
        self._timeout = timeout
        self._numbers = itertools.count()
        words = [*GDB, *(word for setting in GDB_SETTINGS for word in ("-iex", setting)), "-iex", "set prompt",
                 *arguments, *([str(program)] if program else [])]
        self._process = LocalProcess(["sh", "-c", 'exec "$@" 2>&1', "sh", *words], directory, ENVIRONMENT)
        self._seen = 0
        self.banner = self.settle()

    def send(self, command):
        """Give it a command without waiting for anything."""
        self._process.write(command.encode() + b"\n")

    def settle(self):
        """Wait until it has done all that it was given; what it wrote since the last time."""
        mark = MARK.format(next(self._numbers))
        self.send(f"echo {mark}\\n")
        return self.wait_for(re.escape(mark) + r"\n").removesuffix(mark + "\n").strip()

    def command(self, command):
        """One command and what it wrote."""
        self.send(command)
        return self.settle()

    def wait_for(self, pattern):
        """Wait for a regular expression in what it writes from here on; everything up to its end."""
        start = self._seen
        match = self._process.stdout.wait_for(rf"(?s)^.{{{start}}}(.*?(?:{pattern}))", self._timeout)
        self._seen = match.end()
        return match.group(1)

    def interrupt(self):
        """Ctrl-C."""
        self._process.signal(signal.SIGINT)

    def close(self):
        self._process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def lldb_batch(commands, program=None, core=None, on_crash=(), timeout=120):
    """Run lldb over commands and return all that it wrote. It stops at the first command that fails; when the guest
    crashes it runs `on_crash` instead of what is left."""
    words = ["lldb", "--no-lldbinit", "--batch", "--no-use-colors"]
    words += [str(program)] if program else []
    words += ["--core", str(core)] if core else []
    for command in ("settings set symbols.enable-external-lookup false", *commands):
        words += ["-o", command]
    for command in on_crash:
        words += ["-k", command]
    return run(["sh", "-c", 'exec "$@" 2>&1', "sh", *words], timeout, env=ENVIRONMENT).stdout
