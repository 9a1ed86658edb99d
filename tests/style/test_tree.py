# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules of CONTRIBUTING.md over the whole tree, and over what the libraries export."""

import os
import pathlib
import subprocess

import pytest

from lib import style

TOP = pathlib.Path(__file__).resolve().parents[2]

C_SUFFIXES = {".c", ".h"}
OTHER_SUFFIXES = {".py", ".S", ".ld", ".build", ".sh", ".md"}
# Not ours to write, or lists that are as long as they are.
WITHOUT_LICENCE_LINE = {".md", ".build"}


def is_script(path):
    if path.suffix or not os.access(path, os.X_OK):
        return False
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def files():
    """All files of the tree that we write, without those of build directories and hidden folders."""
    for folder, folders, names in os.walk(TOP):
        folders[:] = sorted(
            f for f in folders if not f.startswith((".", "build")) or (folder == str(TOP) and f == ".ci")
        )
        folders[:] = [f for f in folders if f != "__pycache__"]
        for name in sorted(names):
            path = pathlib.Path(folder, name)
            if path.suffix in C_SUFFIXES | OTHER_SUFFIXES or is_script(path):
                yield path.relative_to(TOP).as_posix(), path.read_text(encoding="utf-8", errors="strict")


@pytest.fixture(scope="module")
def tree():
    sources = dict(files())
    assert "base/hex.c" in sources and "tests/style/test_tree.py" in sources
    return sources


def report(problems):
    problems = list(problems)
    assert not problems, "\n" + "\n".join(problems)


def test_tree_includes_point_down(tree):
    report(p for path, text in tree.items() if path.endswith((".c", ".h")) for p in style.check_ranks(path, text))


def test_tree_libdwarf_is_in_one_file(tree):
    report(style.check_dwarf_is_in_one_file(tree))


def test_tree_files_are_not_too_large(tree):
    report(p for path, text in tree.items() if not path.endswith(".md") for p in style.check_size(path, text))


def test_tree_files_begin_with_the_licence_and_end_in_a_newline(tree):
    for path, text in tree.items():
        if pathlib.Path(path).suffix in WITHOUT_LICENCE_LINE or path.endswith("__init__.py") and not text:
            continue
        report(style.check_form(path, text))


def test_tree_names_no_tools(tree):
    report(p for path, text in tree.items() for p in style.check_names(path, text))


def test_tree_libraries_export_only_our_names(build):
    archives = sorted(build.glob("**/libhs_*.a"))
    assert archives
    for archive in archives:
        nm = subprocess.run(["nm", "-g", "--defined-only", archive], capture_output=True, text=True, check=True)
        report(style.check_exported(archive.name, nm.stdout.splitlines()))
