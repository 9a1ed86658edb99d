# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines with paging on, under QEMU: Debian's kernels with a process in them, and a guest of ours that takes whatever
tables it is given. Each runs until it has said so on its serial line; then it is stopped and looked at."""

import pathlib
import random
import re
import shutil
import tempfile
import time
from dataclasses import dataclass

from lib import initramfs, kernel, qemu
from lib.pageview import View
from lib.process import Failed, TimedOut, run
from lib.scatter import Scatter
from lib.tables import FORMATS

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "kernels"
READY_SECONDS = 120
LINUX_MIB, OWN_MIB = 128, 16
CODE, TABLES = 0x100000, 0x101000
CR4_PSE, CR4_PAE, CR4_LA57, EFER_LME, EFER_NXE = 1 << 4, 1 << 5, 1 << 12, 1 << 8, 1 << 11


@dataclass(frozen=True)
class Linux:
    """One of Debian's kernels on a CPU of QEMU's."""

    flavour: kernel.Flavour
    program: str
    cpu: str
    words: str
    machine: str
    """What the compiler is told for programs that it runs."""

    def look(self, directory):
        """Views by name: `kernel`, when the process waits in it, and `user`, when it does not. Also the machine's own
        dumps of its memory at the first: with its page tables (`paging`), and without (`physical`)."""
        with tempfile.TemporaryDirectory() as scratch:
            tree = pathlib.Path(scratch) / "tree"
            tree.mkdir()
            shutil.copy(initramfs.compile_static(SOURCES / "init.c", self.machine), tree / "init")
            archive = initramfs.pack(tree, pathlib.Path(scratch) / "initramfs")
            words = f"{qemu.KERNEL_WORDS} nokaslr hugepages=2 {self.words}"
            machine = qemu.Machine([self.program, *qemu.MACHINE, "-cpu", self.cpu, "-m", str(LINUX_MIB), "-kernel",
                                    str(kernel.get(self.flavour).image), "-initrd", str(archive), "-append", words])
            try:
                return self._look(machine, pathlib.Path(directory))
            finally:
                machine.close()

    @staticmethod
    def _look(machine, directory):
        said = machine.console.wait_for(r"hindsight-init: (ready|failed: [^\r\n]*)", READY_SECONDS).group(1)
        if said != "ready":
            raise Failed(f"the process of the kernel: {said}")
        _stop(machine, r"\bHLT=1")
        views = {"kernel": View(machine, directory / "kernel", LINUX_MIB << 20)}
        for name in "physical", "paging":
            machine.monitor("dump-guest-memory", paging=name == "paging", protocol=f"file:{directory / name}")
        machine.monitor("cont")
        machine.write(b"\n")
        machine.console.wait_for("hindsight-init: spinning", READY_SECONDS)
        _stop(machine, r"\bCPL=3")
        return views | {"user": View(machine, directory / "user", LINUX_MIB << 20)}


def _stop(machine, wanted):
    """Stop it where its registers are as wanted, as they are nearly always by now: it goes on where they are not."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        machine.monitor("stop")
        if re.search(wanted, machine.hmp("info registers")):
            return
        machine.monitor("cont")
    raise TimedOut(f"no stop with /{wanted}/ within {READY_SECONDS} s: {machine.hmp('info registers')}")


@dataclass(frozen=True)
class Own:
    """The guest of ours (tests/kernels/switch.S) with tables at random."""

    form: str
    program: str = "qemu-system-x86_64"
    pse: bool = True
    nxe: bool = True

    def look(self, directory):
        """One view: `own`."""
        directory = pathlib.Path(directory)
        machine = qemu.Machine([self.program, *qemu.MACHINE, "-m", str(OWN_MIB), "-kernel", self._build(directory)])
        try:
            machine.console.wait_for("hindsight-guest: ready", READY_SECONDS)
            _stop(machine, r"\bHLT=1")
            return {"own": View(machine, directory / "own", OWN_MIB << 20)}
        finally:
            machine.close()

    def _build(self, directory):
        form = FORMATS[self.form]
        Scatter(form, TABLES, CODE, random.Random(self.form), self.pse, self.nxe).memory.write(directory / "tables")
        cr4 = self.pse * CR4_PSE | (self.form != "i686") * CR4_PAE | (self.form == "amd64-5") * CR4_LA57
        efer = form.wide * EFER_LME | self.nxe * EFER_NXE
        guest = directory / "guest.elf"
        run(["cc", "-m32", "-nostdlib", "-static", "-no-pie", f"-Wl,-N,--build-id=none,-Ttext={CODE:#x}",
             f"-Wl,--section-start=.tables={TABLES:#x}", f"-DCR4={cr4:#x}", f"-DEFER={efer:#x}", f"-DROOT={TABLES:#x}",
             f'-DTABLES="{directory / "tables"}"', SOURCES / "switch.S", "-o", guest]).check()
        return str(guest)


MACHINES = {
    "linux-amd64-4": Linux(kernel.CLOUD, "qemu-system-x86_64", "max,la57=off", "pti=on", "-m64"),
    "linux-amd64-5": Linux(kernel.CLOUD, "qemu-system-x86_64", "max", "pti=off", "-m64"),
    "linux-pae": Linux(kernel.PAE, "qemu-system-i386", "max", "pti=on", "-m32"),
    "own-i686": Own("i686", "qemu-system-i386"),
    "own-i686-without-pse": Own("i686", pse=False),
    "own-pae": Own("pae", "qemu-system-i386"),
    "own-pae-without-nx": Own("pae", nxe=False),
    "own-amd64-4": Own("amd64-4"),
    "own-amd64-5": Own("amd64-5"),
}
