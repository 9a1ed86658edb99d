# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of cores and of `hindsight pagetable` share."""

import pytest

from lib.crashed import Crashed
from lib.crashes import CRASHES
from lib.process import run


@pytest.fixture
def pagetable(build, tmp_path):
    """`hindsight pagetable` with its words, in a directory of the test's own."""
    def call(*words):
        return run([str(build / "hindsight"), "pagetable", *map(str, words)], cwd=tmp_path)
    return call


@pytest.fixture(scope="session")
def crashes():
    """What has crashed so far: one run of each serves all readers."""
    return {}


@pytest.fixture
def crashed(request, runner, crashes, tmp_path_factory):
    crash = CRASHES[request.param]
    if crash.kind == "backend" and runner.facts["instructions"] != "emulated":
        pytest.skip("this host's KVM executes what others cannot")
    key = runner.place.name, runner.backend, runner.arch, crash.name
    if key not in crashes:
        cwd = tmp_path_factory.mktemp("crash")
        result = runner.run(crash.guest, *crash.words, options=crash.options, cwd=cwd)
        assert (result.rc, len(result.files)) == (crash.exit_status, 1), result
        (core,) = result.files.values()
        crashes[key] = Crashed(crash, runner, runner.guest(crash.guest), result, core)
    return crashes[key]
