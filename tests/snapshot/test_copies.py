# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest on a snapshot writes to pages that are copy-on-write: unseen by its own handler, until scratch is used up."""

import pytest

from lib import facts


@pytest.fixture(params=["amd64-soft", "i686-soft", "amd64-kvm", "i686-kvm"])
def on_snapshot(request, build, local, tmp_path):
    """A function that runs the program copies to its end, and again from the snapshot of where it was ready."""
    arch, backend = request.param.split("-")
    reason = None if backend == "soft" else facts.missing_for(facts.of(local), arch)
    if reason:
        pytest.skip(f"{request.param}: {reason}")
    program = [build / "hindsight"]
    file = tmp_path / "ready.core"

    def run(scratch):
        first = local.run(program + ["run", "--backend", backend, "--scratch", scratch, "--snapshot", file,
                                     build / "guest" / arch / "copies.elf"], timeout=60)
        assert (first.rc, first.stdout) == (0, "0 wrong\n"), first.stderr
        return local.run(program + ["restore", "--backend", backend, "--core", "none", file], timeout=60)

    return run


def test_copies_on_a_snapshot_are_seen_by_nobody(on_snapshot):
    result = on_snapshot("288K")
    assert (result.rc, result.stdout) == (0, "0 wrong\n"), result.stderr


def test_copies_without_a_page_of_scratch_left_abort_and_name_the_option(on_snapshot):
    result = on_snapshot("160K")
    assert result.rc == 128 + 6
    assert "scratch memory has no page left" in result.stderr
    assert "--scratch" in result.stderr
