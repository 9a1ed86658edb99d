# SPDX-License-Identifier: LGPL-2.1-or-later
"""scripts/demo shows what it promises, with /dev/kvm as it is here, with one that is no KVM, and with none."""

import pathlib
import re

import pytest

from lib.devices import with_kvm
from lib.process import run

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SECONDS = 300


@pytest.mark.parametrize("kvm", ["as-it-is", "closed", "absent"])
def test_demo_shows_all_that_it_promises(build, tmp_path, kvm):
    command = [TOP / "scripts/demo", "--no-install"]
    if kvm != "as-it-is":
        command = [*with_kvm(kvm, tmp_path), *command]
    command = ["sh", "-c", 'exec "$@" 2>&1', "sh", *command]
    said = run(command, SECONDS, env={"HINDSIGHT_BUILD": str(build)}).check().stdout
    if kvm == "as-it-is":
        assert re.search(r"^  amd64 +(soft|kvm) +because ", said, re.M), said
    else:
        assert re.search(r"^  amd64 +soft +because there is no usable /dev/kvm$", said, re.M), said
        assert re.search(r"^  i686 +soft +because there is no usable /dev/kvm$", said, re.M)
    for arch in "amd64", "i686":
        assert re.search(rf"^\$ hindsight run \S+/{arch}/hello\.elf\nhello from a guest\n", said, re.M), said
    # What gdb is told shows that the guest is where each command says.
    assert "Breakpoint 1, count_up (rounds=5)" in said
    assert "Old value = 0\nNew value = 1\n" in said and "Old value = 1\nNew value = 3\n" in said
    assert "Breakpoint 3, fill_item (item=" in said
    assert re.search(r"^#1 .* run \(name=.*\n#2 .* main \(", said, re.M)
    assert re.search(r"^\[Inferior 1 \(.*\) exited normally\]$", said, re.M)
    assert re.search(r"^hindsight: debugme\.elf: page fault \(#PF\): write to 0x0, not mapped, .*"
                     r"\nsignal: SIGSEGV \(11\)\n(?:.*\n)*?core: .*\n\[exit status 139\]$", said, re.M)
    assert re.search(r"^#0 .* in store_price \(where=0x0, price=30\).*\n#1 .* in raise_price ", said, re.M)
    assert re.search(r"^reason +page fault \(#PF\): write to 0x0, not mapped", said, re.M), said
