# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where `hindsight` runs: on this machine or in the rig, with one interface, so that a test does not care.

A Place runs commands, each in a working directory of its own whose files come back with the result. A Runner is a
place, a CPU backend and the architecture of the guests: what the fixture `runner` gives a test.
"""

import itertools
import json
import os
import pathlib
from dataclasses import dataclass

from lib import facts, process
from lib.process import Failed
from lib.rig import ADDRESS_INSIDE

RUN_SECONDS = 60
RUNNERS = ("amd64-soft", "i686-soft", "amd64-kvm", "i686-kvm", "amd64-rig", "i686-rig")
"""What `runner` can be: the architecture of the guest, and the software CPU, this machine's KVM or that of the rig."""


class LocalPlace:
    """This machine."""

    name = "local"

    def __init__(self, directory):
        self._directory = pathlib.Path(directory)
        self._numbers = itertools.count(1)

    def _new_directory(self):
        path = self._directory / f"run-{next(self._numbers)}"
        path.mkdir()
        return path

    def run(self, args, timeout=RUN_SECONDS, cwd=None, env=None, inputs=()):
        """Run to the end; Result.files are what it left in its working directory, a fresh one unless `cwd` is given."""
        cwd = cwd or self._new_directory()
        result = process.run(args, timeout, cwd, env)
        result.files = process.files_in(cwd)
        return result

    def spawn(self, args, cwd=None, env=None, inputs=()):
        """Start and return at once; the caller ends it (it is a context manager)."""
        return process.LocalProcess(args, cwd or self._new_directory(), env)

    def collect(self, cwd):
        """What a command that was spawned has left in its working directory: relative name -> path."""
        return process.files_in(cwd)

    # What a command is told to listen on for a debugger on this machine, and where the debugger finds it.
    listen_options = ("127.0.0.1:0",)

    def reach(self, port):
        return f"127.0.0.1:{port}"


class RigPlace:
    """The rig. Files named in `inputs`, and arguments that are files of this machine, are taken inside first."""

    name = "rig"

    def __init__(self, rig, directory):
        self.rig = rig
        self._directory = pathlib.Path(directory)
        self._numbers = itertools.count(1)

    def _prepare(self, args, cwd, inputs):
        if cwd is None:
            cwd = self._directory / f"run-{next(self._numbers)}"
            cwd.mkdir()
        self.rig.put(*inputs, *(arg for arg in map(str, args) if os.path.isabs(arg) and os.path.isfile(arg)))
        return cwd

    def run(self, args, timeout=RUN_SECONDS, cwd=None, env=None, inputs=()):
        cwd = self._prepare(args, cwd, inputs)
        try:
            result = self.rig.run(args, timeout, cwd, env)
        finally:
            files = self.rig.take_directory(cwd)
        result.files = files
        return result

    def spawn(self, args, cwd=None, env=None, inputs=()):
        return self.rig.spawn(args, self._prepare(args, cwd, inputs), env)

    def collect(self, cwd):
        return self.rig.take_directory(cwd)

    listen_options = (f"{ADDRESS_INSIDE}:0", "--gdb-allow-remote")

    def reach(self, port):
        return f"127.0.0.1:{self.rig.forward(port)}"


@dataclass
class Served:
    """A `hindsight` that waits for a debugger or is watched by one."""

    process: process.Process
    address: str
    """What to give `target remote` or `gdb-remote` on this machine."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()


class Runner:
    """`hindsight` for guests of one architecture on one backend in one place."""

    # What `run --gdb` says once a debugger can connect.
    READY = r"waiting for a debugger on \S+:(\d+) "

    def __init__(self, place, build, arch, backend):
        self.place, self.arch, self.backend = place, arch, backend
        self.build = pathlib.Path(build)
        self.hindsight = self.build / "hindsight"

    @property
    def sanitized(self):
        """Whether the build has sanitizers, which take memory of their own and keep what was freed."""
        options = json.loads((self.build / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))
        return any(row["name"] == "b_sanitize" and row["value"] not in ("none", []) for row in options)

    @property
    def facts(self):
        """What the CPU under the guests does: fact -> answer, as lib/facts.py has them."""
        return facts.SOFT if self.backend == "soft" else facts.of(self.place)

    def guest(self, name):
        """The path of a guest program."""
        path = self.build / "guest" / self.arch / f"{name}.elf"
        if not path.is_file():
            raise Failed(f"{path} is not there: the guest programs are not built")
        return path

    def command(self, guest, *words, options=()):
        path = guest if isinstance(guest, pathlib.Path) else self.guest(guest)
        return [self.hindsight, "run", "--backend", self.backend, *options, path, *(["--", *words] if words else [])]

    def run(self, guest, *words, options=(), timeout=RUN_SECONDS, **kwargs):
        """`hindsight run` of a guest program (by name or path) with arguments, to its end."""
        return self.place.run(self.command(guest, *words, options=options), timeout=timeout, **kwargs)

    def spawn(self, guest, *words, options=(), **kwargs):
        return self.place.spawn(self.command(guest, *words, options=options), **kwargs)

    def restore_command(self, path, options=()):
        return [self.hindsight, "restore", "--backend", self.backend, *options, path]

    def restore(self, path, options=(), timeout=RUN_SECONDS, **kwargs):
        """`hindsight restore` of a file, to the guest's end."""
        return self.place.run(self.restore_command(path, options), timeout=timeout, **kwargs)

    def serve(self, guest, *words, options=(), flag="--gdb", **kwargs):
        """`hindsight run --gdb` on a free TCP port, once it waits for its debugger."""
        return self._served(self.spawn(guest, *words, options=[flag, *self.place.listen_options, *options], **kwargs))

    def serve_restored(self, path, options=(), **kwargs):
        """The same of `hindsight restore`."""
        words = self.restore_command(path, ["--gdb", *self.place.listen_options, *options])
        return self._served(self.place.spawn(words, **kwargs))

    def _served(self, running):
        try:
            port = running.stderr.wait_for(self.READY, RUN_SECONDS)[1]
            return Served(running, self.place.reach(int(port)))
        except BaseException:
            running.kill()
            raise
