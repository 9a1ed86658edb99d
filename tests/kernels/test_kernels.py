# SPDX-License-Identifier: LGPL-2.1-or-later
"""`hindsight pagetable` over the memory of whole machines: what it says is what QEMU says of the same tables.

Debian's kernels with 4, 5 and 3 levels, stopped once in the kernel and once in user mode, which are two roots where the
kernel isolates its page tables (PTI); and a guest of ours for the rest: 2 levels, and what Linux never does.
"""

import json
import shutil

import pytest

from lib.pageview import Leaf, merged, writable_and_user
from lib.paged import LINUX_MIB, MACHINES
from lib.process import Failed, run

SHOWN = {"PWT", "PCD", "A", "D", "PAT", "G"}
"""Attributes that QEMU shows. The others (AVL, IGN, PKEY) cut ranges that are one to it."""

DEVICE = 0xFEB00000
"""What init.c maps that is not RAM."""

LINUX = [name for name in MACHINES if name.startswith("linux-")]
VIEWS = [(name, view) for name in MACHINES for view in (("kernel", "user") if name in LINUX else ("own",))]


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """Views of a machine, which is run once and whose memory goes away with the module; a failure is remembered."""
    done, problems, directories = {}, {}, []

    def look(name):
        program = MACHINES[name].program
        if not shutil.which(program):
            pytest.skip(f"{program} is not here (apt-get install qemu-system-x86)")
        if name not in done and name not in problems:
            directories.append(tmp_path_factory.mktemp(name))
            try:
                done[name] = MACHINES[name].look(directories[-1])
            except Failed as error:
                problems[name] = str(error)
        if name in problems:
            pytest.fail(f"{name}: {problems[name]}", pytrace=False)
        return done[name]
    yield look
    for directory in directories:
        shutil.rmtree(directory)


@pytest.fixture(params=VIEWS, ids=lambda pair: "-".join(pair))
def view(request, looked):
    name, which = request.param
    return looked(name)[which]


@pytest.fixture(params=LINUX)
def linux(request, looked):
    """The views of a machine by their names."""
    return looked(request.param)


@pytest.fixture
def pagetable(build):
    def call(*words):
        return run([str(build / "hindsight"), "pagetable", *map(str, words)])
    return call


def list_of(pagetable, view, *source):
    source = source or ("--image", view.image)
    (space,) = json.loads(pagetable("list", "--json", *view.words, *source).check().stdout)["spaces"]
    assert space["complete"] and {each["kind"] for each in space["ranges"]} == {"mapped"}
    return space["ranges"]


def as_leaves(ranges):
    return [Leaf(int(each["address"], 16), int(each["length"], 16), int(each["physical"], 16), each["page"],
                 each["access"], each["user"], frozenset(SHOWN & set(each["attributes"]))) for each in ranges]


def test_list_of_a_whole_machine_is_qemus(pagetable, view):
    ours = as_leaves(list_of(pagetable, view))
    assert merged(ours) == merged(view.leaves()) != []
    if view.writable_and_user is not None:
        assert writable_and_user(ours) == view.writable_and_user


def test_walk_in_a_whole_machine_ends_where_qemus_does(pagetable, view):
    assert None in view.samples.values() and len(set(view.samples.values())) > 20
    leaves = {leaf.address: leaf for leaf in view.leaves()}
    for address, physical in view.samples.items():
        said = pagetable("walk", "--json", *view.words, "--image", view.image, hex(address))
        (walk,) = json.loads(said.stdout)["walks"]
        assert (walk["physical"] and int(walk["physical"], 16), said.rc) == (physical, 1 if physical is None else 0)
        if physical is not None:
            (leaf,) = as_leaves([walk["range"]])
            assert leaf == leaves[leaf.address] and 0 <= address - leaf.address < leaf.length
            assert leaf.physical + address - leaf.address == physical


@pytest.mark.parametrize("dump", ["physical", "paging"])
def test_list_of_qemus_own_dump_is_that_of_the_image(pagetable, linux, dump):
    view = linux["kernel"]
    assert list_of(pagetable, view, view.image.parent / dump) == list_of(pagetable, view)


def test_linux_has_in_its_tables_what_is_to_be_compared(linux):
    """Else the tests above would be about less than they seem to be."""
    for name, view in linux.items():
        leaves = merged(view.leaves())
        assert {"r", "rw", "rx"} <= {leaf.access for leaf in leaves}
        assert len({leaf.access for leaf in leaves if leaf.user}) > 1
        assert {leaf.page for leaf in leaves if leaf.user} == {4096, 2 << 20}
        assert any(leaf.physical == DEVICE and leaf.user and "PCD" in leaf.attributes for leaf in leaves)
        assert name == "user" or any(leaf.physical >= LINUX_MIB << 20 for leaf in leaves)
        assert any("G" in leaf.attributes for leaf in leaves)


def test_linux_is_in_the_mode_that_was_asked_for(looked):
    """The CPU of QEMU and the kernel have both to want five levels; PTI makes a root for user mode, the next page."""
    roots = {name: {which: view.root & ~0xFFF for which, view in looked(name).items()} for name in LINUX}
    assert {name: looked(name)["kernel"].format for name in LINUX} == {
        "linux-amd64-4": "amd64-4", "linux-amd64-5": "amd64-5", "linux-pae": "pae"}
    assert {name: root["kernel"] ^ root["user"] for name, root in roots.items()} == {
        "linux-amd64-4": 0x1000, "linux-amd64-5": 0, "linux-pae": 0x1000}
