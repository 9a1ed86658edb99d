# SPDX-License-Identifier: LGPL-2.1-or-later
"""Address spaces in lldb: one is chosen by a monitor command, and memory and breakpoints are of that one."""

import re

from lib.debuggers import lldb_batch


def test_spaces_chosen_one_has_the_memory_and_the_breakpoints(runner):
    own = 0x10000000000 if runner.arch == "amd64" else 0x50000000
    read = f"memory read --size 4 --format x --count 1 {own:#x}"
    with runner.serve("spaces", options=["--core", "none", "--scratch", "32M"]) as served:
        said = lldb_batch([
            # It keeps what it has read, and nobody can tell it that another space was chosen.
            "settings set target.process.disable-memory-cache true", f"gdb-remote {served.address}",
            "breakpoint set --name look", "continue", read, "process plugin packet monitor root 2", read,
            "breakpoint delete 1", "breakpoint set --name look", "breakpoint modify --ignore-count 1000 2", "continue",
            "breakpoint list"], program=runner.guest("spaces"))
        assert served.process.wait(60).rc == 0
    assert re.findall(r"(?m)^0x0*[1-5]0+: (0x[0-9a-f]+)", said) == ["0x04000001", "0x02000001"], said
    # Of the thirteen times that any space comes there, those of space 2 (guest/programs/spaces.c).
    assert re.search(r"2: name = 'look', .* hit count = 4 ", said), said
