# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every guest program runs on the software CPU as it does on KVM: from exit to exit, and instruction by instruction.

tests/lockstep/lockstep.c compares; tests/lockstep/rules.c says where the two may differ, and why.
"""

import pathlib
import re

import pytest

from lib import facts
from lib.assemble import assemble
from lib.runner import RUNNERS

PROGRAMS = pathlib.Path(__file__).resolve().parent.parent.parent / "guest" / "programs"

# What a program is given so that it ends, and the options for those that never do.
ARGUMENTS = {"spin": ["20"]}
OPTIONS = {name: ["--exits", "0", "--steps", "500"] for name in ("hang", "modes")}

# What it does is what the CPU offers to have done: KVM has AVX-512 and keys of pages where the processor has.
BY_CPU = {"vectors"}

# A stretch of that length is compared at each step.
LEAST_STEPS = {"bare_overflow": 10000}

# A step takes about a millisecond there.
RIG_STEPS = "3000"
# Of what computes for ever, there too.
STEPS = "100000"

# What each must at least have come to, so that a comparison of nothing is no success.
REPORT = re.compile(r"(?:(\d+) exits equal, to the end\n)?(\d+) steps equal(, to the end)?\n")


@pytest.fixture(scope="session", params=[name for name in RUNNERS if not name.endswith("-soft")])
def oracle(request, build):
    """A function that runs lockstep for a guest of one architecture on the KVM of one place."""
    arch, place_name = request.param.split("-")
    place = request.getfixturevalue("rig" if place_name == "rig" else "local")
    reason = facts.missing_for(facts.of(place), arch)
    if reason:
        pytest.skip(f"{request.param}: {reason}")

    def run(program, *options):
        guest = program if isinstance(program, pathlib.Path) else build / "guest" / arch / f"{program}.elf"
        if place_name == "rig" and program not in LEAST_STEPS and "--steps" not in options:
            options = [*options, "--steps", RIG_STEPS]
        words = [build / "tests/lockstep/lockstep", *options, *OPTIONS.get(program, []), guest,
                 *ARGUMENTS.get(program, [])]
        return place.run(words, timeout=600)

    run.arch = arch
    run.executes = facts.of(place)["instructions"] != "emulated"
    return run


@pytest.mark.parametrize("program", sorted({path.stem for path in PROGRAMS.glob("*.c")} - BY_CPU))
def test_lockstep_program_is_the_same_on_both(oracle, program):
    result = oracle(program)
    assert result.rc == 0, result.stdout + result.stderr
    exits, steps, _ = REPORT.fullmatch(result.stdout).groups()
    assert program in OPTIONS or int(exits) >= 1
    assert int(steps) >= LEAST_STEPS.get(program, 10)


# Integers and what they come to in vectors, for ever. Of SSE only what every KVM's emulator has (docs/hosts.md); where
# ring 0 is executed ARITHMETIC is added, on bits that make doubles of about one size.
COMPUTES = """
.section .bss
.balign 16
place: .skip 128
.section .text
test:	lea BP, [place]
	mov eax, 0x3f800000
	xor edx, edx
	xor ebx, ebx
	xor esi, esi
	xor edi, edi
1:	imul eax, eax, 1103515245
	add eax, 12345
	mov ecx, eax
	ror ecx, 7
	adc edx, ecx
	xor ebx, edx
	bswap ebx
	shld esi, ebx, 5
	mov [BP], ebx
	add [BP + 4], ecx
	sbb edi, [BP]
	cmovs edx, eax
	setc bl
	movzx ecx, bl
	push AX
	mul esi
	xor edi, edx
	pop AX
	mov [BP + 8], edi
	mov [BP + 12], eax
	test edi, 0x10
	jz 2f
	call 5f
2:	movdqu xmm0, [BP]
	movups xmm1, [BP + 4]
	movapd xmm2, [BP]
	movdqa xmm3, xmm1
	movaps xmm5, xmm2
	movupd [BP + 24], xmm3
	movdqu xmm4, [BP + 26]
	movdqa xmm7, xmm6
	movdqa xmm6, xmm4
	movaps [BP + 80], xmm5
	movntps [BP + 96], xmm7
	movdqu [BP + 64], xmm4
	xor eax, [BP + 68]
{arithmetic}
	jmp 1b
5:	rol esi, 3
	neg edx
	ret
"""


ARITHMETIC = """
	movdqa xmm0, xmm4
	psrlq xmm0, 12
	pcmpeqd xmm1, xmm1
	psllq xmm1, 54
	psrlq xmm1, 2
	por xmm0, xmm1
	movapd xmm2, xmm0
	shufpd xmm2, xmm2, 1
	addpd xmm0, xmm2
	mulpd xmm2, xmm0
	divsd xmm2, xmm1
	sqrtpd xmm3, xmm2
	cvtpd2ps xmm4, xmm3
	cvtps2dq xmm5, xmm4
	rsqrtss xmm1, xmm4
	maxps xmm4, xmm5
	ucomisd xmm3, xmm0
	setp bl
	cvttsd2si ecx, xmm3
	paddsw xmm4, xmm3
	pmaddwd xmm5, xmm4
	psadbw xmm3, xmm4
	punpcklbw xmm4, xmm3
	packuswb xmm5, xmm4
	pshufd xmm5, xmm5, 0x4e
	cmpnlepd xmm0, xmm2
	pmovmskb edx, xmm0
	movdqu [BP + 32], xmm5
	xor eax, [BP + 40]
	xor edx, ecx
"""


@pytest.fixture(scope="session")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("computes")


def test_lockstep_integers_and_vectors_are_the_same_for_many_steps(oracle, directory):
    """Every register, those of the vectors included, at each of so many steps."""
    source = COMPUTES.format(arithmetic=ARITHMETIC if oracle.executes else "")
    guest = assemble(directory, oracle.arch, source, "computes")
    result = oracle(guest, "--exits", "0", "--steps", STEPS)
    assert result.rc == 0, result.stdout + result.stderr
    assert result.stdout == f"{STEPS} steps equal\n"


@pytest.mark.parametrize("option, register", [("--spoil", "rbp is 0x80"), ("--spoil-vector", "xsave[287] is 0x80,")])
def test_lockstep_finds_a_difference(oracle, option, register):
    """An oracle that cannot say no is none."""
    result = oracle("bare", "--exits", "0", option, "5")
    assert result.rc == 1
    assert "step 5: " in result.stdout and register in result.stdout
