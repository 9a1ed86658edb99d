# SPDX-License-Identifier: LGPL-2.1-or-later
"""Good and spoilt packets in great numbers, from a client that keeps its guest alive: the process stays, does not grow,
and gdb debugs the guest afterwards. tests/fuzz/gdbstub/mutation_client.c sends them.

HINDSIGHT_MUTATIONS is how many, and HINDSIGHT_MUTATIONS_SEED which: a million takes half a minute or two.
"""

import os
import re

import pytest

from lib.assemble import assemble
from lib.debuggers import gdb_batch
from lib.elf import symbol
from lib.process import run
from lib.runner import RUNNERS

COUNT = os.environ.get("HINDSIGHT_MUTATIONS", "100000")
SEED = os.environ.get("HINDSIGHT_MUTATIONS_SEED", "1")
REPORT = re.compile(r"(\d+) packets, (\d+) connections, .* KiB after a tenth of them, .* KiB at the end\n")

# It counts for ever, by a function, and leaves `data` alone. A breakpoint in the middle of an instruction would change
# it: the first eight have one byte each.
COUNTING = r"""
test:	xor ecx, ecx
again:	.fill 8, 1, 0x90
	call count
	jmp again
count:	add dword ptr [counter], 1
	ret
done:	EXIT 9
.globl again, count, counter, data, done
.section .bss
.balign 4096
counter: .skip 4096
data: .skip 8192
"""


def still_debugs(address, guest):
    """Breakpoint, step, watchpoint, memory and registers, and the guest's own end."""
    said = gdb_batch([f"target remote {address}", "break count", "continue", "stepi", "delete",
                      "watch *(int *)&counter", "continue", "delete", "set var *(int *)&data = 0x5a5a",
                      "print/x *(int *)&data", "set var $pc = &done", "continue"], guest)
    assert "Breakpoint 1, " in said[2] and " in count ()" in said[2], said
    assert "New value = " in said[6], said
    assert said[9].endswith("= 0x5a5a")
    assert "exited with code 011" in said[11]


@pytest.mark.parametrize("runner", [name for name in RUNNERS if not name.endswith("-rig")], indirect=True)
def test_mutated_packets_leave_a_guest_that_gdb_debugs(runner, build, tmp_path):
    guest = assemble(tmp_path, runner.arch, COUNTING, "counting")
    with runner.serve(guest, options=["--core", "none"]) as served:
        port = served.address.split(":")[1]
        ended = run([build / "tests/fuzz/gdbstub/mutation_client", port, 0 if runner.sanitized else served.process.pid,
                     f"{symbol(guest, 'data'):x}", f"{symbol(guest, 'again'):x}", COUNT, SEED], timeout=1200)
        assert ended.rc == 0, ended.stderr + served.process.stderr.text
        sent, connections = map(int, REPORT.fullmatch(ended.stdout).groups())
        assert sent >= int(COUNT) and connections > sent / 2000
        assert served.process.running
        still_debugs(served.address, guest)
        assert served.process.wait(60).rc == 9
