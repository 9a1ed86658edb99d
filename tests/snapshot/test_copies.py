# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests on a snapshot write to pages that are copy-on-write: unseen by their own handlers, and with the same end as on
pages of their own (tests/snapshot/copies.c), until scratch is used up."""

import pytest

from lib.runner import RUNNERS

SECONDS = 120


@pytest.fixture
def run_and_restore(runner):
    """A function that runs a program to where it is ready and to its end, and again from the snapshot of the former."""
    def run(program, scratch, *words, options=()):
        options = ["--scratch", scratch, "--snapshot", "ready.core", "--core", "none", *options]
        first = runner.run(program, *words, options=options, timeout=SECONDS)
        (file,) = (path for name, path in first.files.items() if name.endswith("ready.core"))
        return runner.restore(file, ["--core", "none"], timeout=SECONDS)

    return run


def test_copies_on_a_snapshot_are_seen_by_nobody(run_and_restore):
    result = run_and_restore("copies", "288K")
    assert (result.rc, result.stdout) == (0, "0 wrong\n"), result.stderr


def test_copies_beside_a_large_page_leave_its_aliases_together(run_and_restore):
    result = run_and_restore("copies", "320K", "large", options=["--heap", "16M"])
    assert (result.rc, result.stdout) == (0, "0 wrong\n"), result.stderr


def test_copies_without_a_page_of_scratch_left_abort_and_name_the_option(run_and_restore):
    result = run_and_restore("copies", "160K")
    assert result.rc == 128 + 6
    assert "scratch memory has no page left" in result.stderr
    assert "--scratch" in result.stderr


def test_copies_with_tables_that_the_handler_does_not_find_crash_and_name_the_tag(run_and_restore):
    result = run_and_restore("writes", "1M", "1", "astray")
    assert result.rc == 128 + 11
    assert "mapped read-only and tagged copy-on-write" in result.stderr
    assert "go_astray" in result.stderr


# Formats that guests are moved to; each with SMEP and SMAP once.
FORMATS = {"amd64": ["booted", "booted smap", "flags", "amd64-5", "amd64-5 smap"],
           "i686": ["booted", "booted smap", "flags", "pae", "pae smap"]}
# The rig's QEMU sets A in PDPTEs, in memory, where that bit is reserved (docs/hosts.md).
WRITES = [(runner, form) for runner in RUNNERS for form in FORMATS[runner.split("-")[0]]
          if not (runner == "i686-rig" and form.startswith("pae"))]


def rings_of(runner):
    # QEMU ends when 32-bit code comes back from ring 3 with a TSS that KVM_SET_SREGS has loaded (docs/hosts.md).
    return ["kernel"] if (runner.place.name, runner.arch) == ("rig", "i686") else ["kernel", "user"]


def run_writes(runner, form, *words):
    program = runner.build / "tests/snapshot/copies"
    return runner.place.run([program, runner.backend, runner.guest("writes"), *form.split(), *words], timeout=SECONDS)


@pytest.mark.parametrize("runner,form", WRITES, indirect=["runner"])
def test_copies_write_ends_as_on_a_page_of_its_own(runner, form):
    result = run_writes(runner, form, *rings_of(runner))
    if result.rc == 77:
        why = (result.stdout + result.stderr).strip()
        pytest.skip(f"{runner.arch}-{runner.backend}: no {form.split()[0]} here: {why}")
    assert result.rc == 0, result.stdout + result.stderr


def test_copies_leave_vectors_and_x87_alone(runner):
    words = [*rings_of(runner), "vectors", "avx"]
    if runner.backend == "kvm" and runner.facts["instructions"] == "emulated":
        words.remove("kernel")
    result = run_writes(runner, "booted", *words)
    assert result.rc == 0, result.stdout + result.stderr
