# SPDX-License-Identifier: LGPL-2.1-or-later
"""The call-frame information of the SDK's trap entries (guest/*/entry.S): right at each of their instructions.

gdb steps from a stub to the handler or to the report, and back to where the trap came from, and gives a backtrace at
each instruction: it always leads to the function that was interrupted.
"""

import re

import pytest

from lib.debuggers import gdb_batch
from lib.runner import RUNNERS

pytestmark = pytest.mark.parametrize("runner", [name for name in RUNNERS if "soft" in name], indirect=True)

ENTRIES = {"hs_trap_stubs", "page_fault_entry", "trap_entry", "hs_trap_report"}

# The stub of vector 3, or 14, is at its number times 16 in hs_trap_stubs.
STEP = """python
def step():
    for _ in range(400):
        frames, frame = [], gdb.newest_frame()
        while frame and len(frames) < 12:
            frames.append(str(frame.name()))
            frame = frame.older()
        print("STEP", *frames)
        if frames[0] in ("{until}", "None"):
            break
        try:
            gdb.execute("stepi", to_string=True)
        except gdb.error:
            break
        if not gdb.selected_thread():
            break
step()
"""


def step(runner, tmp_path, program, words, vector, until):
    """The functions at each instruction from a stub on, until one is reached or the guest has crashed."""
    script = tmp_path / "step.gdb"
    script.write_text(STEP.format(until=until))
    with runner.serve(program, *words, options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", f"break *((char *)&hs_trap_stubs + {16 * vector})",
                          "continue", f"source {script}", "kill"], runner.guest(program))
    return [line.split()[1:] for line in re.findall(r"^STEP .*$", said[3], re.M)]


def check(stacks, interrupted, entries, functions):
    seen = set()
    for stack in stacks:
        assert stack[-len(interrupted):] == interrupted, stack
        seen.update(stack)
    assert entries <= seen and functions <= seen, seen
    assert seen & ENTRIES == entries


def test_backtrace_holds_at_each_instruction_from_the_trap_through_the_handler_and_back(runner, tmp_path):
    stacks = step(runner, tmp_path, "backtrace", ["handler-returns"], 3, "interrupted")
    assert stacks[-1][0] == "interrupted" and len(stacks) > 40
    check(stacks, ["interrupted", "run", "main"], {"hs_trap_stubs", "trap_entry"},
          {"hs_trap_dispatch", "on_return"})


def test_backtrace_holds_at_each_instruction_of_a_page_fault_that_is_reported(runner, tmp_path):
    stacks = step(runner, tmp_path, "backtrace", ["twice"], 14, "")
    assert len(stacks) > 30
    check(stacks, ["crash", "twice", "calls_inlined", "run", "main"],
          {"hs_trap_stubs", "page_fault_entry", "trap_entry", "hs_trap_report"}, {"hs_cow_fault"})
