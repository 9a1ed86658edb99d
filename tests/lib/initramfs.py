# SPDX-License-Identifier: LGPL-2.1-or-later
"""The file system that the rig boots with: busybox, kernel modules, the agent, and the files of the tests.

A file of the tests has the same path inside as outside, and a program brings the shared libraries that it needs: one
command line means the same on both sides.
"""

import functools
import hashlib
import os
import pathlib
import re
import shutil
import struct
import subprocess

from lib import elf, kernel
from lib.process import Failed, run

RIG_SOURCES = pathlib.Path(__file__).resolve().parent.parent / "rig"


def compile_static(source, machine="-m64"):
    """A C program that runs inside as a static executable in the cache, built again when its source has changed."""
    source = pathlib.Path(source)
    options = [machine, "-static", "-O2", "-g", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
    command = [os.environ.get("CC", "cc"), *options]
    digest = hashlib.sha256(source.read_bytes() + " ".join(command).encode()).hexdigest()[:16]
    program = kernel.cache_directory() / f"{source.stem}-{digest}"
    if not program.exists():
        fresh = program.with_name(f".{program.name}.{os.getpid()}")
        run([*command, "-o", fresh, source]).check()
        fresh.rename(program)
    return program


def identity(file):
    """What changes when a file does."""
    status = os.stat(file)
    return status.st_mtime_ns, status.st_size, status.st_ino


def libraries_of(program):
    """The shared libraries and the loader of a program of this machine, as absolute paths; none for any other file."""
    with open(program, "rb") as file:
        if file.read(4) != b"\x7fELF" or not os.access(program, os.X_OK):
            return []
    return _libraries(program, identity(program))


@functools.lru_cache(maxsize=None)
def _libraries(program, _):
    # Guests, which are most of what is taken inside, name no loader; ldd would take longer than they do.
    try:
        if not elf.Image(program).segments(elf.PT_INTERP):
            return []
    except (LookupError, struct.error):
        return []  # broken
    listed = run(["ldd", program])
    missing = re.findall(r"(\S+) => not found", listed.stdout)
    if missing:
        raise Failed(f"{program}: cannot take its libraries into the rig: {' '.join(missing)} not found")
    return [] if listed.rc else re.findall(r"(?:=> |^\s+)(/\S+) \(0x", listed.stdout, re.M)


def with_libraries(files):
    """Files and all that they need, by absolute path, each once."""
    paths = [os.path.abspath(file) for file in files]
    return list(dict.fromkeys(file for path in paths for file in (path, *libraries_of(path))))


def _place(staging, inside, source):
    """Put a file at an absolute path of the tree: as a link, which cpio follows."""
    link = staging / str(inside).lstrip("/")
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(pathlib.Path(source).resolve())


def build(directory, files):
    """Write the archive below `directory` and return its path. `files` are paths on this machine."""
    staging = pathlib.Path(directory) / "tree"
    busybox = shutil.which("busybox")
    if not busybox:
        raise Failed("the rig needs busybox (apt-get install busybox-static)")
    _place(staging, "/bin/busybox", busybox)
    for name in "sh", "mount":
        (staging / "bin" / name).symlink_to(pathlib.Path(busybox).resolve())
    _place(staging, "/init", RIG_SOURCES / "init")
    _place(staging, "/rig/agent", compile_static(RIG_SOURCES / "agent.c"))
    names = []
    for path in kernel.get().modules:
        name = f"/rig/{path.name.split('.')[0]}.ko"
        (staging / name.lstrip("/")).write_bytes(kernel.module_bytes(path))
        names.append(name)
    (staging / "rig" / "modules").write_text("".join(name + "\n" for name in names))
    for path in with_libraries(files):
        _place(staging, path, path)
    return pack(staging, pathlib.Path(directory) / "initramfs")


def pack(staging, archive):
    """Write an archive of all that is in a directory."""
    entries = "".join(f"{path.relative_to(staging)}\0" for path in sorted(staging.rglob("*")))
    with open(archive, "wb") as output:
        subprocess.run(["cpio", "--create", "--quiet", "--null", "--dereference", "--format=newc", "--owner=0:0"],
                       cwd=staging, input=entries.encode(), stdout=output, check=True, timeout=60)
    return archive
