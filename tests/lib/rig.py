# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rig: a machine with a real KVM anywhere, and commands run inside it from the outside.

QEMU translates the machine (no /dev/kvm is used here), whose CPU has SVM; Debian's kernel inside it offers /dev/kvm. It
is up in about three seconds. tests/rig/agent.c is the other end of the commands.
"""

import contextlib
import io
import os
import pathlib
import socket
import struct
import tarfile
import tempfile
import threading
import time

from lib import initramfs, kernel, qemu
from lib.process import Failed, Lost, Process, Result, Stream, TimedOut, files_in

AGENT_PORT = 1
ADDRESS_INSIDE = "10.0.2.15"
BOOT_SECONDS = 120
FIRST_PORT = 20000
# Most directories are empty, which the shell sees by itself: each program that it starts takes 20 ms in there.
TAKE = """cd "$1" || exit
for file in * .[!.]*; do
    if [ -e "$file" ] || [ -L "$file" ]; then
        tar -c . && exec rm -rf "$1"
        exit
    fi
done"""


class Rig:
    """A running machine. `files` are there from the start, at the same paths; programs with their libraries."""

    def __init__(self, files=(), memory_mib=1536):
        self._machine = None
        self._next_port = FIRST_PORT
        self._lock = threading.Lock()
        self._used, self._lost = False, None
        self._present = {}
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="hindsight-rig-") as scratch:
            archive = initramfs.build(scratch, files)
            self._machine = qemu.Machine(qemu.command(kernel.get().image, archive, memory_mib))
            try:
                self._wait_ready()
            except BaseException:
                self.close()
                raise
        self.boot_seconds = time.monotonic() - began
        for file in initramfs.with_libraries(files):
            self._present[file] = initramfs.identity(file)

    def _wait_ready(self):
        try:
            said = self._machine.console.wait_for(r"hindsight-rig: (ready|failed: [^\r\n]*)", BOOT_SECONDS).group(1)
        except Failed as error:
            raise Failed(f"the rig did not boot: {error}") from None
        if said != "ready":
            raise Failed(f"the rig did not boot: {said}")
        self._agent = self._machine.forward(AGENT_PORT)

    def watch(self):
        """From now on lost() is about what follows."""
        self._used, self._lost = False, None

    def lost(self):
        """What of it was lost since watch(), in words; None when nothing was, or when it had nothing to do."""
        if self._used and not self._lost:
            try:
                self.run(["true"], timeout=20).check()
            except Failed as error:
                self._lost = self._lost or str(error)
        return self._lost

    def note_loss(self, why):
        """For its commands: the way to one is lost. Returns the error."""
        self._lost = self._lost or why
        return Lost(f"the rig is lost: {why}; its console ends with {self.console[-500:]!r}")

    @property
    def pid(self):
        """Of the QEMU process."""
        return self._machine.pid

    @property
    def console(self):
        return self._machine.console.text

    def close(self):
        """End the machine. Safe at any time."""
        if self._machine:
            self._machine.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def spawn(self, args, cwd=None, env=None):
        """Start a command inside and return at once."""
        self._used = True
        try:
            return RigProcess(self, self._agent, args, cwd, env)
        except OSError as error:
            raise self.note_loss(f"{args[0]} cannot be started: {error}") from None

    def run(self, args, timeout=60, cwd=None, env=None, stdin=b""):
        """Run a command inside to its end."""
        with self.spawn(args, cwd, env) as process:
            process.write(stdin)
            process.close_stdin()
            return process.wait(timeout)

    def free_port(self):
        """A TCP port inside that nobody has been given before."""
        with self._lock:
            self._next_port += 1
            return self._next_port

    def forward(self, port):
        """The port of 127.0.0.1 on this side that leads to a port inside, of what listens there on ADDRESS_INSIDE."""
        return self._machine.forward(port)

    def put(self, *paths):
        """Copy files in, to the same paths; those that are there unchanged are not sent again."""
        needed = initramfs.with_libraries(paths)
        fresh = [path for path in needed if self._present.get(path) != initramfs.identity(path)]
        if not fresh:
            return
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
            for path in fresh:
                tar.add(path, arcname=path.lstrip("/"))
        self.run(["tar", "-x", "-C", "/"], stdin=archive.getvalue()).check()
        for path in fresh:
            self._present[path] = initramfs.identity(path)

    def take_directory(self, path):
        """Copy the files of a directory out, to the same path, and remove them inside. Name -> path on this side."""
        with self.spawn(["sh", "-c", TAKE, "sh", path]) as process:
            process.close_stdin()
            process.wait(120).check()
            archive = io.BytesIO(process.stdout.raw)
        with tarfile.open(fileobj=archive) if archive.getbuffer() else contextlib.nullcontext(()) as tar:
            for member in tar:
                _extract_sparse(tar, member, pathlib.Path(path))
        return files_in(path)


def _extract_sparse(tar, member, directory):
    """Holes do not survive the way out as such; pages of zeros become holes again here."""
    target = directory / member.name
    if not member.isfile():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tar.extractfile(member) as source, open(target, "wb") as output:
        while page := source.read(4096):
            if any(page):
                output.write(page)
            else:
                output.seek(len(page), os.SEEK_CUR)
        output.truncate(member.size)
    os.chmod(target, member.mode)


class RigProcess(Process):
    """A command inside the rig: one connection to the agent, which takes the command with it when it closes."""

    def __init__(self, rig, agent_port, args, cwd, env):
        self.args = [str(arg) for arg in args]
        self.stdout, self.stderr = Stream(), Stream()
        self._rig, self._end = rig, None
        self._killed, self._lost = False, None
        self._lock = threading.Lock()
        self._socket = socket.create_connection(("127.0.0.1", agent_port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(None)
        for name, value in (env or {}).items():
            self._send("v", f"{name}={value}".encode())
        if cwd is not None:
            self._send("d", str(cwd).encode())
        for arg in self.args:
            self._send("a", arg.encode())
        self._send("g")
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _send(self, kind, data=b""):
        try:
            with self._lock:
                self._socket.sendall(kind.encode() + struct.pack("<I", len(data)) + data)
        except OSError as error:
            raise self._rig.note_loss(f"{error} on the way to: {' '.join(self.args)}") from None

    def _receive(self, length):
        data = bytearray()
        while len(data) < length:
            piece = self._socket.recv(length - len(data))
            if not piece:
                raise ConnectionError("the rig closed the connection")
            data += piece
        return bytes(data)

    def _collect(self):
        try:
            while self._end is None:
                head = self._receive(5)
                data = self._receive(struct.unpack("<I", head[1:])[0])
                if head[:1] == b"o":
                    self.stdout.feed(data)
                elif head[:1] == b"e":
                    self.stderr.feed(data)
                else:
                    self._end = (head[:1], data)
        except OSError as error:
            self._end = (b"!", b"")
            if not self._killed:
                self._lost = self._rig.note_loss(f"{error} before the end of: {' '.join(self.args)}")
        self.stdout.end()
        self.stderr.end()

    def write(self, data):
        for start in range(0, len(data), 1 << 19):
            self._send("i", data[start:start + (1 << 19)])

    def close_stdin(self):
        self._send("i")

    def signal(self, number):
        self._send("k", struct.pack("<I", number))

    def kill(self):
        self._killed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._reader.join()
        self._socket.close()

    def wait(self, timeout):
        self._reader.join(timeout)
        if self._reader.is_alive():
            self.kill()
            raise TimedOut(f"did not end within {timeout} s in the rig: {' '.join(self.args)}\n"
                           f"stdout: {self.stdout.text}\nstderr: {self.stderr.text}")
        kind, data = self._end
        if kind == b"f":
            raise Failed(f"the rig did not run {data.decode(errors='replace')}: {' '.join(self.args)}")
        if kind != b"x":
            raise self._lost or Lost(f"it was killed: {' '.join(self.args)}")
        status, number = struct.unpack("<II", data)
        return Result(self.args, -number if number else status, self.stdout.text, self.stderr.text)
