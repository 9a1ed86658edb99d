# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's cloud kernel, unpacked from its package into a cache: nothing is installed and no boot loader is touched."""

import functools
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from lib.process import Failed, run

META_PACKAGE = "linux-image-cloud-amd64"
MODULES = ("kvm-amd", "virtio_pci", "virtio_net")


@dataclass
class Kernel:
    image: pathlib.Path
    modules: list
    """Paths of MODULES and all that they need, in the order to load them."""


def cache_directory():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(base) / "hindsight" / "rig"
    path.mkdir(parents=True, exist_ok=True)
    return path


def get():
    """The newest kernel that is already in the cache (or the one for which HINDSIGHT_RIG_KERNEL is the unpacked
    package); else it is fetched."""
    chosen = os.environ.get("HINDSIGHT_RIG_KERNEL")
    if chosen:
        return _open(pathlib.Path(chosen))
    cached = [path for path in cache_directory().iterdir() if (path / "boot").is_dir()]
    return _open(max(cached, key=lambda path: _version_key(path.name))) if cached else _open(_fetch())


def _version_key(name):
    return [int(part) for part in re.findall(r"\d+", name)]


def _candidates():
    """Packages to try: what the meta package means on this release, unsigned before signed, then all others, newest
    first."""
    depends = run(["apt-cache", "depends", META_PACKAGE]).stdout
    names = re.findall(r"Depends: (linux-image-\S+-cloud-amd64)\s", depends)
    preferred = [name + suffix for name in names for suffix in ("-unsigned", "")]
    found = run(["apt-cache", "search", "--names-only", r"^linux-image-[0-9].*-cloud-amd64(-unsigned)?$"]).stdout
    others = sorted(re.findall(r"^(\S+)", found, re.M), key=_version_key, reverse=True)
    return list(dict.fromkeys(preferred + others))


def _fetch():
    """Unpack the first candidate that can be fetched; returns its directory. Complete or not there at all."""
    try:
        return _fetch_one_of(_candidates()[:6])
    except Failed:
        if os.geteuid() != 0:
            raise
    # The package lists of a fresh machine are empty, those of an old one name packages that are gone.
    run(["apt-get", "update", "-q"], timeout=600).check()
    return _fetch_one_of(_candidates()[:6])


def _fetch_one_of(candidates):
    problem = "apt-cache knows none"
    for package in candidates:
        with tempfile.TemporaryDirectory(dir=cache_directory(), prefix=".fetch-") as scratch:
            fetched = run(["apt-get", "-o", "APT::Sandbox::User=root", "download", package], timeout=600, cwd=scratch)
            if fetched.rc:
                problem = fetched.stderr.strip()
                continue
            return _unpack(pathlib.Path(scratch), next(pathlib.Path(scratch).glob("*.deb")))
    raise Failed(f"no cloud kernel for the rig: {problem} (is the machine online? run 'apt-get update')")


def _unpack(scratch, package):
    target = cache_directory() / package.name.split("_")[0]
    tree = scratch / "tree"
    run(["dpkg-deb", "-x", package, tree], timeout=300).check()
    for unneeded in "usr", "etc":
        shutil.rmtree(tree / unneeded, ignore_errors=True)
    version = _kernel_version(tree)
    run(["busybox", "depmod", "-b", tree, version], timeout=300).check()
    try:
        tree.rename(target)
    except OSError:
        if not (target / "boot").is_dir():  # otherwise another rig was faster
            raise
    return target


def _kernel_version(tree):
    images = list((tree / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise Failed(f"{tree}: {len(images)} kernel images in the package, expected one")
    return images[0].name.removeprefix("vmlinuz-")


@functools.lru_cache
def _open(tree):
    version = _kernel_version(tree)
    base = tree / "lib" / "modules" / version
    needs = {}
    for line in (base / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[_module_name(path)] = (base / path, [_module_name(other) for other in others.split()])
    order = {}

    def visit(name):
        if name in order:
            return
        path, others = needs[name]
        for other in others:
            visit(other)
        order[name] = path

    for name in MODULES:
        if name.replace("-", "_") in needs:  # else it is built in
            visit(name.replace("-", "_"))
    return Kernel(tree / "boot" / f"vmlinuz-{version}", list(order.values()))


def _module_name(path):
    return os.path.basename(path).split(".")[0].replace("-", "_")


def module_bytes(path):
    """A module as insmod wants it: newer kernels compress them."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data
