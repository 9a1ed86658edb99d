# SPDX-License-Identifier: LGPL-2.1-or-later
"""One QEMU process: its serial console as a stream, its monitor as a function, and a certain end.

It dies with the thread that started it (setpriv --pdeathsig): a test run killed by force leaves no machine behind.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading

from lib.process import Failed, Stream

PROGRAM = "qemu-system-x86_64"
# KVM nested in TCG: -cpu max has SVM, and every mode of paging.
#
# One processor, on purpose. With two, each in a thread of its own, the translator of QEMU 7.2 may keep the int3 that
# the kernel plants for a moment when it patches its code, and both processors then take that trap for ever. Making and
# destroying a VM patches the scheduler each time (KVM's preempt notifiers), so that one test in twenty hung that way;
# 6,600 VMs on one processor showed none of it.
MACHINE = ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
           "-accel", "tcg", "-cpu", "max", "-smp", "1"]

# norandmaps: programs always at the same addresses. QEMU 7.2 keeps what it translated by virtual address: with programs
# placed at random each run of one adds its own translations to the same physical pages, and once there are hundreds of
# thousands a store to such a page, freed and used again, takes 10 ms. It is faster, too: translations are found again.
KERNEL_WORDS = "console=ttyS0 quiet panic=-1 norandmaps"


def command(kernel, initramfs, memory_mib, words=""):
    """The command line of a machine without its console, monitor and network."""
    if not shutil.which(PROGRAM):
        raise Failed(f"the rig needs {PROGRAM} (apt-get install qemu-system-x86)")
    return [PROGRAM, *MACHINE, "-m", str(memory_mib), "-kernel", str(kernel), "-initrd", str(initramfs),
            "-append", f"{KERNEL_WORDS} {words}",
            # No way out: the machine reaches nothing, it is only reached by the forwarded ports.
            "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile="]


class Machine:
    """Runs from its construction to close()."""

    def __init__(self, arguments):
        ours, theirs = socket.socketpair()
        with theirs:
            # Standard input stays a pipe of ours: were it a terminal, QEMU would change its mode.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *arguments, "-serial", "stdio",
                 "-chardev", f"socket,id=monitor,fd={theirs.fileno()}", "-mon", "chardev=monitor,mode=control"],
                pass_fds=[theirs.fileno()], start_new_session=True, bufsize=0,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.console = Stream()
        self._monitor = ours
        self._replies = ours.makefile("r")
        self._lock = threading.Lock()
        threading.Thread(target=self._collect, daemon=True).start()
        try:
            self._monitor.settimeout(30)
            self._replies.readline()  # the greeting
            self.monitor("qmp_capabilities")
        except (OSError, ValueError) as error:
            self.close()
            raise Failed(f"{PROGRAM} did not start: {error}; it wrote: {self.console.text}") from None
        except BaseException:
            self.close()
            raise

    def _collect(self):
        while data := self._process.stdout.read(65536):
            self.console.feed(data)
        self.console.end()

    @property
    def pid(self):
        return self._process.pid

    def monitor(self, name, **arguments):
        """Execute one command of the QEMU machine protocol and return what it returns."""
        with self._lock:
            self._monitor.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
            while True:
                line = self._replies.readline()
                if not line:
                    raise Failed(f"{PROGRAM} ended; its console: {self.console.text[-2000:]}")
                reply = json.loads(line)
                if "error" in reply:
                    raise Failed(f"{PROGRAM}: {name}: {reply['error']['desc']}")
                if "return" in reply:
                    return reply["return"]

    def hmp(self, line):
        """What the monitor for people prints for a line: much of it the other one does not know."""
        return self.monitor("human-monitor-command", **{"command-line": line})

    def write(self, data):
        """Bytes for its serial line."""
        self._process.stdin.write(data)

    def forward(self, guest_port):
        """A port of 127.0.0.1 on this machine that leads to a port of the machine inside."""
        for _ in range(16):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            # Somebody else may take the port between the two: the monitor says so, and the next one is tried.
            problem = self.hmp(f"hostfwd_add net tcp:127.0.0.1:{port}-10.0.2.15:{guest_port}")
            if not problem.strip():
                return port
        raise Failed(f"the rig found no port to forward to {guest_port}: {problem}")

    def close(self):
        """End the machine, by its process id. Safe at any time."""
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
        self._process.stdin.close()
        self._replies.close()
        self._monitor.close()
