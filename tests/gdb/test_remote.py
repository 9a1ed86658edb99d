# SPDX-License-Identifier: LGPL-2.1-or-later
"""A debugger of another host, as the rig's guest has: what it is told, and what it may not do."""

import re

import pytest

from lib.debuggers import gdb_batch
from lib.runner import RUNNERS


@pytest.mark.parametrize("runner", [name for name in RUNNERS if name.endswith("-rig")], indirect=True)
def test_debugger_of_another_host_is_warned_of_and_has_no_say_in_directories(runner, tmp_path):
    with runner.serve("hello", options=["--core", "none"], cwd=tmp_path) as served:
        warned = served.process.stderr.text
        said = gdb_batch([f"target remote {served.address}", "monitor core ..", "monitor core /tmp/a.core",
                          "monitor core ../a.core", "monitor core a.core", "kill"])
    assert re.search(r"(?m)^hindsight: warning: whoever reaches \S+ controls the guest$", warned)
    assert said[1] == "core ..: give the name of a file"
    assert said[2] == "core /tmp/a.core: give a name without '/'"
    assert said[3] == "core ../a.core: give a name without '/'"
    assert re.match(r"core: \./a\.core \(\d+ bytes\)$", said[4]), said[4]
