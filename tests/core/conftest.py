# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of `hindsight pagetable` share."""

import pytest

from lib.process import run


@pytest.fixture
def pagetable(build, tmp_path):
    """`hindsight pagetable` with its words, in a directory of the test's own."""
    def call(*words):
        return run([str(build / "hindsight"), "pagetable", *map(str, words)], cwd=tmp_path)
    return call
