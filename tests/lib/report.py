# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `hindsight run` says on standard error when a guest crashes, as fields."""

import re
from dataclasses import dataclass

from lib.process import Failed


@dataclass
class Report:
    image: str
    text: str
    """What happened, with the faulting address."""
    address: int | None
    """Of the instruction; None when the registers are lost."""
    function: str | None
    line: str | None
    """As in hello.c:7."""
    instruction: str | None
    signal_name: str
    signal: int
    core: str | None
    """The path that was printed."""
    told: str
    """What stands between signal and core: source, backtrace, registers and so on."""


_LINES = re.compile(r"""\A hindsight:[ ] (?P<image>[^:\n]+) :[ ] (?P<text>[^\n]*?)
                        (?: ,[ ]at[ ]0x (?P<address>[0-9a-f]+)
                            (?: [ ] (?P<function>\w+) \+0x[0-9a-f]+ )?
                            (?: [ ] \( (?P<line>[^()\n]+:\d+) \) )?
                            :[ ] (?P<instruction>[^\n]+) )? \n
                        signal:[ ] (?P<name>SIG[A-Z]+)[ ] \( (?P<signal>\d+) \) \n
                        \n (?P<told>(?: [^\n]+\n (?:\n)? )+?) \n
                        (?: core:[ ] (?P<core>\S+)[ ] \([^)\n]*\) \n )? \Z""", re.X)


def parse(stderr):
    """The report, which has to be all that there is. A blank line stands before what is told, and one behind it."""
    match = _LINES.match(stderr)
    if not match:
        raise Failed(f"not the report of a crash: {stderr!r}")
    found = match.groupdict()
    address = int(found["address"], 16) if found["address"] else None
    return Report(found["image"], found["text"], address, found["function"], found["line"], found["instruction"],
                  found["name"], int(found["signal"]), found["core"], found["told"])


def one_line_error(stderr):
    """The text of the one line `hindsight: ...` that a refused command prints; Failed for anything else."""
    match = re.fullmatch(r"hindsight: ([^\n]+)\n", stderr)
    if not match:
        raise Failed(f"not one line of error: {stderr!r}")
    return match[1]
