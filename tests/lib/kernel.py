# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's kernels, unpacked from their packages into a cache: nothing is installed and no boot loader is touched.

A kernel for an architecture that is not this machine's comes by lists of packages of its own, which apt keeps apart
from the machine's and which are thrown away afterwards.
"""

import functools
import lzma
import os
import pathlib
import re
import shutil
import tempfile
from dataclasses import dataclass

from lib.process import Failed, run


@dataclass(frozen=True)
class Flavour:
    """One of the ways in which Debian builds its kernel."""

    name: str
    """What the names of its packages end with."""
    architecture: str
    modules: tuple = ()
    """What is wanted besides the kernel itself."""


CLOUD = Flavour("cloud-amd64", "amd64", ("kvm-amd", "virtio_pci", "virtio_net"))
PAE = Flavour("686-pae", "i386")


@dataclass
class Kernel:
    image: pathlib.Path
    modules: list
    """Paths of its flavour's modules and all that they need, in the order to load them."""


def cache_directory():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(base) / "hindsight" / "rig"
    path.mkdir(parents=True, exist_ok=True)
    return path


def get(flavour=CLOUD):
    """The newest kernel of a flavour that is already in the cache (for the rig's flavour, the one for which
    HINDSIGHT_RIG_KERNEL is the unpacked package); else it is fetched."""
    chosen = os.environ.get("HINDSIGHT_RIG_KERNEL")
    if chosen and flavour is CLOUD:
        return _open(pathlib.Path(chosen), flavour)
    cached = [path for path in cache_directory().glob(f"linux-image-*-{flavour.name}*") if (path / "boot").is_dir()]
    return _open(max(cached, key=lambda path: _version_key(path.name)) if cached else _fetch(flavour), flavour)


def _version_key(name):
    return [int(part) for part in re.findall(r"\d+", name)]


class _Apt:
    """apt, with the packages of one architecture."""

    def __init__(self, architecture, directory):
        self._options = ["-o", "APT::Sandbox::User=root"]
        self.private = run(["dpkg", "--print-architecture"]).check().stdout.strip() != architecture
        if self.private:
            for name in "lists/partial", "archives/partial":
                (directory / name).mkdir(parents=True)
            # Signatures are checked as ever: sources and keys are the machine's.
            settings = {"APT::Architecture": architecture, "APT::Architectures": architecture,
                        "Acquire::Languages": "none", "Dir::State": directory, "Dir::State::status": "/dev/null",
                        "Dir::Cache": directory}
            for name, value in settings.items():
                self._options += ["-o", f"{name}={value}"]

    def get(self, *words, cwd=None):
        return run(["apt-get", *self._options, *words], timeout=600, cwd=cwd)

    def candidates(self, flavour):
        """Packages to try: what the meta package means on this release, unsigned before signed, then all others,
        newest first."""
        name = re.escape(flavour.name)
        depends = run(["apt-cache", *self._options, "depends", f"linux-image-{flavour.name}"]).stdout
        names = re.findall(rf"Depends: (linux-image-\S+-{name})\s", depends)
        preferred = [name + suffix for name in names for suffix in ("-unsigned", "")]
        pattern = rf"^linux-image-[0-9][^-]*(-[0-9]+)?-{name}(-unsigned)?$"  # not -rt-
        found = run(["apt-cache", *self._options, "search", "--names-only", pattern]).stdout
        others = sorted(re.findall(r"^(\S+)", found, re.M), key=_version_key, reverse=True)
        return list(dict.fromkeys(preferred + others))[:6]


def _fetch(flavour):
    """Unpack the first candidate that can be fetched; returns its directory. Complete or not there at all."""
    with tempfile.TemporaryDirectory(dir=cache_directory(), prefix=".apt-") as directory:
        apt = _Apt(flavour.architecture, pathlib.Path(directory))
        if apt.private:
            # One source of several may be out of order, and the kernel in another: what is there is tried.
            updated = apt.get("update", "-q")
            return _fetch_one_of(apt, flavour, f"; apt-get update: {updated.stderr.strip()}" if updated.stderr else "")
        try:
            return _fetch_one_of(apt, flavour)
        except Failed:
            if os.geteuid() != 0:
                raise
        # The package lists of a fresh machine are empty, those of an old one name packages that are gone.
        apt.get("update", "-q").check()
        return _fetch_one_of(apt, flavour)


def _fetch_one_of(apt, flavour, remark=""):
    problem = "apt-cache knows none"
    for package in apt.candidates(flavour):
        with tempfile.TemporaryDirectory(dir=cache_directory(), prefix=".fetch-") as scratch:
            fetched = apt.get("download", package, cwd=scratch)
            if fetched.rc:
                problem = fetched.stderr.strip()
                continue
            return _unpack(pathlib.Path(scratch), next(pathlib.Path(scratch).glob("*.deb")), flavour)
    raise Failed(f"no {flavour.name} kernel: {problem}{remark} (is the machine online? run 'apt-get update')")


def _unpack(scratch, package, flavour):
    target = cache_directory() / package.name.split("_")[0]
    tree = scratch / "tree"
    run(["dpkg-deb", "-x", package, tree], timeout=300).check()
    for unneeded in ["usr", "etc"] + ([] if flavour.modules else ["lib"]):
        shutil.rmtree(tree / unneeded, ignore_errors=True)
    version = _kernel_version(tree)
    if flavour.modules:
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
def _open(tree, flavour):
    version = _kernel_version(tree)
    image = tree / "boot" / f"vmlinuz-{version}"
    return Kernel(image, _modules(tree, version, flavour.modules) if flavour.modules else [])


def _modules(tree, version, wanted):
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

    for name in wanted:
        if name.replace("-", "_") in needs:  # else it is built in
            visit(name.replace("-", "_"))
    return list(order.values())


def _module_name(path):
    return os.path.basename(path).split(".")[0].replace("-", "_")


def module_bytes(path):
    """A module as insmod wants it: newer kernels compress them."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data
