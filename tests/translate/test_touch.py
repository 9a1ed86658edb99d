# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens when a guest goes to a page, in ring 0 and in ring 3, is what paging/ says of it, on every CPU.

guest/programs/touch.c goes there; tests/translate/touch.c makes tables with something of everything in them, tells the
guest where to go and compares.
"""

import re

import pytest

# The formats that guests boot with, and those that they are moved to.
FORMATS = {("amd64", "booted"): ["amd64-4"], ("amd64", "moved"): ["amd64-5"],
           ("i686", "booted"): ["i686-pse"], ("i686", "moved"): ["i686", "pae"]}

# CR0.WP clear, CR4.SMEP, CR4.SMAP.
CONTROLS = ["", ",wp0", ",smep,smap", ",wp0,smep,smap"]

REPORT = re.compile(r"(\d+) pages touched as expected: (\d+) accesses worked, (\d+) faulted; .*\n")


@pytest.fixture(scope="session")
def touch(runner, build):
    """A function that runs the guest with tables of one format."""
    def run(form, *options):
        form += ",qemu" if runner.place.name == "rig" else ""
        result = runner.place.run([build / "tests/translate/translate_touch", *options, runner.backend, form,
                                   runner.guest("touch")])
        if result.rc == 77:
            pytest.skip(f"{runner.arch}-{runner.backend}: no {form} here: {result.stdout.strip()}")
        return result

    return run


@pytest.mark.parametrize("controls", CONTROLS, ids=lambda text: text.lstrip(",") or "plain")
@pytest.mark.parametrize("kind", ["booted", "moved"])
def test_touch_page_does_what_its_entries_say(runner, touch, kind, controls):
    for form in FORMATS[runner.arch, kind]:
        result = touch(form + controls)
        assert result.rc == 0, result.stdout + result.stderr
        pages, worked, faulted = map(int, REPORT.fullmatch(result.stdout).groups())
        assert pages > 200 and worked > 250 and faulted > 700


def test_touch_write_to_a_page_that_became_read_only_is_found(runner, touch):
    """A comparison that cannot say no is none."""
    (form,) = FORMATS[runner.arch, "booted"]
    result = touch(form, "--spoil")
    assert result.rc == 1
    assert re.match(r"0x\w+: a write ended in 0x800e0003, the tables say 0x1 ", result.stdout)
