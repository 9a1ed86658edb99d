# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the KVM of a place does, as tests/rig/kvm_facts.c finds it, which guests it can therefore run, and what the
software CPU does."""

import functools

from lib import initramfs

NEEDED = {"amd64": "paging-64", "i686": "paging-32"}
# What the software CPU has to answer to the questions of kvm_facts.c that tests ask.
SOFT = {"state-at-shutdown": "kept", "instructions": "executed", "execute-slot": "fires", "data-slot": "fires",
        "breakpoints": "compared"}


def program():
    return initramfs.compile_static(initramfs.RIG_SOURCES / "kvm_facts.c")


@functools.lru_cache
def of(place):
    """Fact -> answer, asked once for each place; empty when there is no usable KVM."""
    result = place.run([program()])
    return {} if result.rc else dict(line.split() for line in result.stdout.splitlines())


def missing_for(facts, arch):
    """Why guests of an architecture do not run there, or None."""
    if not facts:
        return "no usable /dev/kvm here"
    answer = facts[NEEDED[arch]]
    return None if answer == "yes" else f"this KVM does not run {arch} guests: {NEEDED[arch]} ends as '{answer}'"
