# SPDX-License-Identifier: LGPL-2.1-or-later
"""A running command, here or in the rig, watched by what it writes and never by the clock.

Every wait has a limit and ends with an error that says what was waited for and what there was instead.
"""

import os
import pathlib
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field


class Failed(Exception):
    """Something that a test needs did not happen. The text is meant to be read on its own."""


class TimedOut(Failed):
    """It did not happen in time."""


class Lost(Failed):
    """Nobody can say how a command ended: the place that it ran in has gone, or the way to it."""


@dataclass
class Result:
    """How a command ended. `rc` is its exit status, or minus the signal that killed it."""

    args: list
    rc: int
    stdout: str
    stderr: str
    files: dict = field(default_factory=dict)
    """What it left in its working directory: relative name -> path on this side."""

    def __str__(self):
        return f"{' '.join(map(str, self.args))}\nstatus {self.rc}\nstdout: {self.stdout}\nstderr: {self.stderr}"

    def check(self):
        """The result itself, or Failed when the status is not 0."""
        if self.rc:
            raise Failed(f"command failed: {self}")
        return self


class Stream:
    """Bytes that one thread collects and another waits for."""

    def __init__(self):
        self._bytes = bytearray()
        self._ended = False
        self._changed = threading.Condition()

    def feed(self, data):
        with self._changed:
            self._bytes += data
            self._changed.notify_all()

    def end(self):
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def text(self):
        with self._changed:
            return self._bytes.decode(errors="replace")

    @property
    def raw(self):
        with self._changed:
            return bytes(self._bytes)

    def wait_for(self, pattern, timeout):
        """The first match of a regular expression (str) in all that was written so far or will be."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                match = re.search(pattern, self._bytes.decode(errors="replace"))
                if match:
                    return match
                left = deadline - time.monotonic()
                if self._ended:
                    raise Failed(f"no /{pattern}/ in what was written: {self._tail()}")
                if left <= 0:
                    raise TimedOut(f"no /{pattern}/ within {timeout} s in what was written: {self._tail()}")
                self._changed.wait(left)

    def chunks(self):
        """Everything, piece by piece as it comes, until the end."""
        done = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or len(self._bytes) > done)
                piece = bytes(self._bytes[done:])
            if not piece:
                return
            done += len(piece)
            yield piece

    def wait_end(self, timeout):
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, timeout)

    def _tail(self):
        return repr(self._bytes[-2000:].decode(errors="replace"))


class Process:
    """What a local command and one in the rig have in common: `stdout` and `stderr` as streams, and these verbs."""

    args: list
    stdout: Stream
    stderr: Stream

    def write(self, data):
        """Bytes for its standard input."""
        raise NotImplementedError

    def close_stdin(self):
        raise NotImplementedError

    def signal(self, number):
        raise NotImplementedError

    def kill(self):
        """End it if it still runs, and let go of it. Safe to call at any time, any number of times."""
        raise NotImplementedError

    def wait(self, timeout):
        """The Result, once it has ended; TimedOut, and it is killed, when it has not in `timeout` seconds."""
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


class LocalProcess(Process):
    """A command on this machine, in a process group of its own."""

    def __init__(self, args, cwd=None, env=None, preexec=None):
        self.args = [str(arg) for arg in args]
        self.stdout, self.stderr = Stream(), Stream()
        environment = dict(os.environ, **(env or {}))
        try:
            self._process = subprocess.Popen(
                self.args, cwd=cwd, env=environment, start_new_session=True, preexec_fn=preexec, bufsize=0,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            raise Failed(f"cannot run {self.args[0]}: {error.strerror}") from None
        for pipe, stream in (self._process.stdout, self.stdout), (self._process.stderr, self.stderr):
            threading.Thread(target=_collect, args=(pipe, stream), daemon=True).start()

    @property
    def pid(self):
        return self._process.pid

    @property
    def running(self):
        return self._process.poll() is None

    def write(self, data):
        self._process.stdin.write(data)

    def close_stdin(self):
        self._process.stdin.close()

    def signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        if self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if not self._process.stdin.closed:
            self._process.stdin.close()

    def wait(self, timeout):
        try:
            rc = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimedOut(f"did not end within {timeout} s: {' '.join(self.args)}\nstdout: {self.stdout.text}\n"
                           f"stderr: {self.stderr.text}") from None
        # A grandchild may keep the pipes open for ever; what the command itself wrote is there by then.
        self.stdout.wait_end(5)
        self.stderr.wait_end(5)
        self.kill()
        return Result(self.args, rc, self.stdout.text, self.stderr.text)


def _collect(pipe, stream):
    with pipe:
        while data := pipe.read(65536):
            stream.feed(data)
    stream.end()


def run(args, timeout=60, cwd=None, env=None, stdin=b""):
    """Run a command on this machine to its end."""
    with LocalProcess(args, cwd=cwd, env=env) as process:
        try:
            process.write(stdin)
            process.close_stdin()
        except BrokenPipeError:
            pass  # it does not read its input
        return process.wait(timeout)


# In a small process of its own: what a child is charged with begins with the memory of who starts it.
MEASURE = """
import os, sys
null = os.open(os.devnull, os.O_WRONLY)
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


def measured(args, timeout=60, cwd=None):
    """Run a command with its standard output thrown away: the result, and the most memory that it had, in KiB."""
    result = run(["/usr/bin/python3", "-I", "-S", "-c", MEASURE, *map(str, args)], timeout, cwd).check()
    status, peak = map(int, result.stdout.split())
    return Result(args, status, "", result.stderr), peak


def files_in(directory):
    """Relative name -> path of all regular files below a directory."""
    base = pathlib.Path(directory)
    return {str(path.relative_to(base)): path for path in sorted(base.rglob("*")) if path.is_file()}
