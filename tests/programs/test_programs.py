# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs as compilers make them write as guests, byte for byte, what they write on the processor of this machine."""

import functools
import pathlib
import re
import shutil

import pytest

from lib import programs
from lib.process import Failed, run

# Per variant, of KVM at its slowest (docs/hosts.md): six million instructions at a microsecond each.
RUN_SECONDS = 120
TOPICS = re.findall(r"^TOPIC\((\w+)\)", (programs.SOURCES / "topics.h").read_text(encoding="utf-8"), re.MULTILINE)
CANNOT = re.compile(r"this host's KVM cannot execute the instruction.*: (\w+)")
HAS_BMI = {"bmi1", "bmi2", "abm", "popcnt", "movbe"}
FLAGS = re.compile(r"^flags\s*:(.*)", re.MULTILINE)


@pytest.fixture(scope="session")
def images(build):
    return programs.build(build / "programs")


@functools.lru_cache(maxsize=None)
def native(path):
    """What the program writes here, and its status."""
    try:
        result = run([path], timeout=RUN_SECONDS)
    except Failed as error:
        return None, str(error)
    return result, None


def native_result(images, variant):
    if variant.level == "O2bmi" and not HAS_BMI <= flags_of("/proc/cpuinfo"):
        pytest.skip("this processor has no BMI: there is nothing to compare with")
    result, problem = native(images / variant.name / "linux.elf")
    if not result:
        pytest.skip(f"{variant.arch} programs do not run on this machine: {problem}")
    return result


@functools.lru_cache(maxsize=None)
def flags_of(path):
    return set(FLAGS.search(pathlib.Path(path).read_text(encoding="utf-8"))[1].split())


def by_topic(text):
    """{topic: its lines}."""
    return {block.split("\n", 1)[0]: block for block in re.split(r"\n(?=\w)", text)}


def assert_same(guest, here):
    """The first topic that differs says more than a digest of all."""
    expected, found = by_topic(here.stdout), by_topic(guest.stdout)
    for topic, lines in expected.items():
        assert found.get(topic) == lines, f"{topic} differs; {guest.stderr}"
    assert (guest.rc, guest.stdout, guest.stderr) == (here.rc, here.stdout, "")


def run_guest(runner, image):
    return runner.run(image, options=["--core", "none"], timeout=RUN_SECONDS)


@pytest.mark.parametrize("variant", [(v.compiler, v.level) for v in programs.VARIANTS if v.arch == "amd64"],
                         ids="-".join)
def test_program_writes_as_a_guest_what_it_writes_here(runner, images, variant):
    (made,) = (v for v in programs.VARIANTS if (v.arch, v.compiler, v.level) == (runner.arch, *variant))
    if not shutil.which(made.compiler):
        pytest.skip(f"no {made.compiler} here")
    here = native_result(images, made)
    guest = run_guest(runner, images / made.name / "guest.elf")
    if runner.place.name == "rig" and guest.stdout != here.stdout:
        # Its translator mixes up the registers of about one such run in a hundred (docs/hosts.md), and not of two.
        guest = run_guest(runner, images / made.name / "guest.elf")
    cannot = CANNOT.search(guest.stderr)
    if cannot and runner.backend == "kvm":
        # What it wrote up to there must be right all the same.
        assert here.stdout.startswith(guest.stdout)
        pytest.skip(f"{runner.arch}-kvm: this host's KVM cannot execute {cannot[1]}")
    assert_same(guest, here)


def test_program_knows_all_topics(images):
    """What is compared is all there is, and the known answers among it are right: so the comparison can fail."""
    for variant in (v for v in programs.VARIANTS if shutil.which(v.compiler)):
        here = native_result(images, variant) if variant.level != "O2bmi" else None
        if not here:
            continue
        assert here.rc == len(TOPICS)
        assert list(by_topic(here.stdout)) == TOPICS
        assert "  crc32 of abc 00000000352441c2\n" in here.stdout
        assert "  sha256 of abc ba7816bff20015ad\n" in here.stdout
        assert f"  40! {815915283247897734345611269596115894272000000000}\n" in here.stdout
