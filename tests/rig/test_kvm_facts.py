# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rig is the kind of KVM that the other tests take it for: KVM-AMD nested in QEMU's translator."""

from lib import facts

EXPECTED = {
    "paging-none": "yes",
    "paging-32": "yes",
    "paging-pae": "yes",
    "paging-64": "yes",
    "planted-int3": "shutdown",  # given to the guest, which has no IDT
    "planted-hlt": "after",
    "single-step": "yes",
    "step-of-fault": "behind",
    "execute-slot": "never",
    "data-slot": "never",
    "read-only-write": "mmio",
    "sync-regs": "yes",
    "state-at-shutdown": "lost",
    "instructions": "executed",
}


def test_kvm_facts_in_the_rig_are_those_of_kvm_amd_in_tcg(rig):
    assert facts.of(rig) == EXPECTED


def test_both_architectures_are_runnable_in_the_rig(rig):
    found = facts.of(rig)
    assert facts.missing_for(found, "amd64") is None
    assert facts.missing_for(found, "i686") is None
