# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight doctor` tells the truth: what it says of a KVM is held against tests/rig/kvm_facts.c, which found it out
with code of its own; here and in the rig, which are different kinds of KVM."""

import json

import pytest

from lib import facts
from lib.debuggers import gdb_batch
from lib.runner import Runner

INT3 = {"debug": "debug exit", "internal-error": "emulation failure", "shutdown": "goes to the guest"}


@pytest.fixture(params=["local", "rig"])
def place(request):
    chosen = request.getfixturevalue(request.param)
    if not facts.of(chosen):
        pytest.skip("amd64-kvm: no usable /dev/kvm here")
    return chosen


@pytest.fixture
def said(place, build):
    return json.loads(place.run([build / "hindsight", "doctor", "--json"]).check().stdout)


def test_doctor_says_of_kvm_what_an_independent_probe_finds(place, said):
    found = facts.of(place)
    host = said["host"]
    assert said["kvm"]["usable"] is True
    assert {
        "paging_amd64": host["paging_amd64"],
        "paging_32bit": host["paging_32bit"],
        "paging_pae": host["paging_pae"],
        "hardware_execute": host["hardware_execute"],
        "hardware_data": host["hardware_data"],
        "single_step": host["single_step"],
        "step_of_fault": host["step_of_fault"],
        "hlt_exits": host["hlt_exits"],
        "read_only_memory": host["read_only_memory"],
        "sync_regs": host["sync_regs"],
        "keeps_state_at_shutdown": host["keeps_state_at_shutdown"],
        "int3": host["int3"],
        "emulated": host["speed"] == "emulated",
    } == {
        "paging_amd64": found["paging-64"] == "yes",
        "paging_32bit": found["paging-32"] == "yes",
        "paging_pae": found["paging-pae"] == "yes",
        "hardware_execute": found["execute-slot"] == "fires",
        "hardware_data": found["data-slot"] == "fires",
        "single_step": found["single-step"] == "yes",
        "step_of_fault": found["step-of-fault"] == "in-handler",
        "hlt_exits": found["planted-hlt"] == "after",
        "read_only_memory": found["read-only-write"] == "mmio",
        "sync_regs": found["sync-regs"] == "yes",
        "keeps_state_at_shutdown": found["state-at-shutdown"] == "kept",
        "int3": INT3[found["planted-int3"]],
        "emulated": found["instructions"] == "emulated",
    }


def test_doctor_names_a_way_to_do_what_the_debugger_needs(said):
    ways = ("software_breakpoints", "hardware_breakpoints", "watchpoints", "stepping")
    assert all(said["debugger"][way] for way in ways)


def test_doctor_auto_takes_the_software_cpu_where_kvm_cannot_or_is_slower(said, place):
    """By what the independent probe found; speeds are the command's own, taken at different times."""
    found = facts.of(place)
    if found["paging-32"] != "yes":
        assert said["auto"]["i686"]["backend"] == "soft"
        assert "32-bit paging" in said["auto"]["i686"]["reason"]
    if found["instructions"] == "emulated":
        assert said["auto"]["amd64"]["backend"] == "soft"
        assert "ns an instruction" in said["auto"]["amd64"]["reason"]
    if found["data-slot"] != "fires":
        assert {auto["backend_with_debugger"] for auto in said["auto"].values()} == {"soft"}


@pytest.mark.parametrize("flag", ["--gdb", "--gdb-on-crash"])
@pytest.mark.parametrize("arch", ["amd64", "i686"])
def test_run_takes_what_doctor_says(said, place, build, arch, flag):
    runner = Runner(place, build, arch, "auto")
    with runner.serve("page_write", options=["--core", "none"], flag=flag) as served:
        info = gdb_batch([f"target remote {served.address}", "monitor info", "kill"], runner.guest("page_write")).text
    expected = said["auto"][arch]["backend_with_debugger" if flag == "--gdb" else "backend"]
    assert f"backend   {expected}\n" in info


def test_doctor_without_kvm_says_so_and_what_to_do(rig, build):
    """In the rig, where /dev can be emptied for one command."""
    script = 'mount -t tmpfs none /dev && exec "$@"'
    result = rig.run(["unshare", "-m", "sh", "-c", script, "sh", build / "hindsight", "doctor", "--json"])
    said = json.loads(result.stdout)
    assert said["kvm"]["usable"] is False
    assert said["kvm"]["error"]
    assert said["advice"]
