# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight core extract` where blocks can be shared: on an XFS of the test's own, in a file, that only it sees."""

import re
import signal
import subprocess

import pytest

from lib.process import run

PAGE = 4096
FILES = ["whole.core", "one.core"]
SCRIPT = """
cd "$1" && mkfs.xfs -q -m reflink=1 xfs && mkdir mounted || exit
mount -o loop xfs mounted || exit 77
cp --sparse=always whole.core mounted/whole.core && cd mounted || exit
"$2" core extract --output one.core whole.core && cp one.core .. && filefrag -s -v whole.core one.core
"""


@pytest.fixture
def listed(runner, tmp_path):
    """What filefrag says of the core of a crash and of the address space that was extracted from it, beside it."""
    result = runner.run("divide", options=["--heap", "64M"], cwd=tmp_path)
    (path,) = result.files.values()
    assert result.rc == 128 + signal.SIGFPE
    path.rename(tmp_path / FILES[0])
    with open(tmp_path / "xfs", "wb") as file:
        file.truncate(320 << 20)  # the least that mkfs.xfs takes is 300 MiB; most of it is a hole
    made = run(["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(tmp_path), str(runner.hindsight)])
    if made.rc == 77 or made.stderr.startswith("unshare: "):
        pytest.skip(f"no XFS can be mounted here: {made.stderr.strip()}")
    assert made.rc == 0, made
    return made.stdout


def extents(listed, name):
    """Of a file's extents {block in the file: (block on the disk, is it shared?)}."""
    rows = listed.split(f"File size of {name} is ")[1].split("extents found")[0].splitlines()
    blocks = {}
    for row in rows:
        found = re.match(r" *\d+: +(\d+)\.\. +(\d+): +(\d+)\.\. +\d+: +\d+:(?: +\d+:)? *(\S*)$", row)
        if found:
            first, last, place = (int(number) for number in found.groups()[:3])
            blocks |= {first + at: (place + at, "shared" in found[4].split(",")) for at in range(last - first + 1)}
    return blocks


@pytest.mark.parametrize("runner", ["amd64-soft"], indirect=True)
def test_extract_shares_the_blocks_of_all_data(runner, listed, tmp_path):
    whole, one = (extents(listed, name) for name in FILES)
    described = run(["readelf", "-lW", str(tmp_path / "one.core")]).stdout
    first = min(int(offset, 16) for offset in re.findall(r"^ +LOAD +(0x\w+)", described, re.M)) // PAGE
    data = {block: place for block, place in one.items() if block >= first}
    assert len(data) > 10 and first >= 1
    assert all(shared for _, shared in data.values()), listed
    assert {place for place, _ in data.values()} <= {place for place, shared in whole.values() if shared}
    # And it is what a copy would have been.
    copied = tmp_path / "copied.core"
    assert run([str(runner.hindsight), "core", "extract", "--output", str(copied), str(tmp_path / FILES[0])]).rc == 0
    subprocess.run(["cmp", copied, tmp_path / "one.core"], check=True)
