# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the software CPU promises beyond what every CPU does: counted time, and nothing that depends on the host."""

import pytest

from lib.assemble import assemble
from lib.debuggers import gdb_batch
from lib.runner import RUNNERS

SOFT = pytest.mark.parametrize("runner", [name for name in RUNNERS if name.endswith("-soft")], indirect=True)

# From one rdtsc to the next: the first itself, three more and 90 rounds; then 100 iterations of a string instruction.
COUNTED = r"""
test:	rdtsc
	mov esi, eax
	mov ecx, 90
	nop
1:	loop 1b
middle:	rdtsc
	sub eax, esi
	cmp eax, 94
	jne bad
	rdtsc
	mov esi, eax
	lea DI, [space]
	mov ecx, 100
	rep stosb
	rdtsc
	sub eax, esi
	out HS_PORT_EXIT, eax
bad:	EXIT 1
.section .bss
space:	.skip 128
"""


@SOFT
def test_time_stamp_counter_counts_instructions_and_iterations(runner, tmp_path):
    guest = assemble(tmp_path, runner.arch, COUNTED, "counted")
    result = runner.run(guest)
    assert (result.rc, result.stderr) == (104, "")


@SOFT
def test_a_debugger_costs_the_guest_no_time(runner, tmp_path):
    guest = assemble(tmp_path, runner.arch, COUNTED, "counted")
    with runner.serve(guest, options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "break *middle", "watch *(char *)&space",
                          *["stepi"] * 9, "continue", "stepi", "delete", "continue"], guest)
        result = served.process.wait(60)
    assert "Breakpoint 1, " in said[12]
    assert "exited with code 0150" in said[-1]
    assert result.rc == 104


# What makes the CPU execute AVX-512 where it has it, but for XCR0.
WIDE = """
test:	mov AX, cr4
	or eax, 0x40000
	mov cr4, AX
here:	vaddps zmm0, zmm1, zmm2
	EXIT 3
"""


@SOFT
def test_an_instruction_set_that_is_not_offered_is_named(runner, tmp_path):
    result = runner.run(assemble(tmp_path, runner.arch, WIDE, "wide"), options=["--core", "none"])
    assert result.rc == 128 + 4
    assert "this instruction needs AVX-512, which the software CPU does not offer" in result.stderr
    assert " here+0x0: vaddps zmm0, zmm1, zmm2" in result.stderr
