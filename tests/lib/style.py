# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules of CONTRIBUTING.md that a machine can read off a source file: includes against ranks, size, licence, names.

Each rule takes a path (relative to the top of the tree, with /) and the text, and yields one sentence for each
violation. Nothing here reads files, so that a test can hand it a bad sample.
"""

import re

# What each folder may include: its own view and those of the ranks below. Peers on one rank are in nobody's list but
# their own and that of session/ and cli/.
LOWER = ["base", "arch", "paging"]
PEERS = ["vmm", "snapshot", "gdbstub", "coredump", "symbols"]
VIEWS = {
    "base": ["base"],
    "arch": ["base", "arch"],
    "paging": LOWER,
    # The stub builds and links over base/ and arch/ alone, so that another emulator can use it.
    "gdbstub": ["base", "arch", "gdbstub"],
    "vmm": LOWER + ["vmm"],
    "snapshot": LOWER + ["snapshot"],
    "coredump": LOWER + ["coredump"],
    "symbols": LOWER + ["symbols"],
    "session": LOWER + PEERS + ["session"],
    "cli": LOWER + PEERS + ["session", "cli"],
}

# Which view the types of a public header belong to: who may include the view may include the header. Those of "base"
# are the small plain types through which the peers meet.
PUBLIC = {
    "abi": "base",
    "call": "base",
    "error": "base",
    "crash": "base",
    "image": "base",
    "mem": "base",
    "types": "base",
    "cpu": "arch",
    "target": "arch",
    "paging": "paging",
    "spaces": "paging",
    "vm": "vmm",
    "snapshot": "snapshot",
    "debug": "session",
    "sandbox": "session",
    "gdb": "gdbstub",
    "coredump": "coredump",
    "symbols": "symbols",
    "session": "session",
    # All of them in one, for the programs that use the library.
    "hindsight": "cli",
}

# Headers of the system that few may see: a pattern, the places that may include it, and what to say.
RESTRICTED = [
    (r"linux/kvm\.h$", r"vmm/kvm/", "only vmm/kvm/ knows KVM"),
    (r"(Zydis|Zycore)/", r"vmm/soft/|vmm/insn(_plain)?\.[ch]$", "Zydis is for vmm/soft/ and vmm/insn*"),
    (r"(libdwarf/|libdwarf\.h|dwarf\.h)", r"debug/symbols/", "libdwarf is for one file of debug/symbols/"),
    (r"nettle/", r"snapshot/", "nettle is for the hash of a snapshot"),
    (r"(libelf|gelf)\.h$", r"vmm/|debug/symbols/|debug/coredump/", "libelf is for the loader, symbols and cores"),
]

LINES_MAX = 500
COLUMNS_MAX = 120
LICENCE = "SPDX-License-Identifier: LGPL-2.1-or-later"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# The helpers of those who write code leave no trace in it. In pieces, so that this file does not break its own rule.
NAMES = re.compile(
    r"\b(" + "|".join(["chat" + "gpt", "clau" + "de", "anthro" + "pic", "open" + "ai", "co" + "pilot", "ll" + "m"])
    + r")\b|\bgpt-?\d|\bgenerated (by|with) an? (ai|assistant)\b|\bai[- ](generated|assisted|agent)|\bas an ai\b",
    re.IGNORECASE,
)


def folder_of(path):
    """The view a source belongs to: "public" for include/hindsight/, None for who may include all (tests, bench)."""
    parts = path.split("/")
    if parts[0] == "debug":
        return parts[1]
    if path.startswith("include/hindsight/"):
        return "public"
    return parts[0] if parts[0] in VIEWS or parts[0] == "guest" else None


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def may_see(path, folder):
    """The views a source may include. A public header may include what its own types belong to and what lies below."""
    if folder == "public":
        name = path.removeprefix("include/hindsight/").removesuffix(".h")
        return VIEWS.get(PUBLIC.get(name), [])
    return VIEWS[folder]


def check_guest_include(kind, name):
    """A guest is another world: its own headers, and of the host's the interface alone."""
    if kind == "<" and name.startswith("hindsight/"):
        shared = ("hindsight/abi.h", "hindsight/call.h", "hindsight/guest.h")
        return name in shared or name.startswith("hindsight/guest/")
    return True


def check_include(path, folder, kind, name):
    """None, or what is wrong with one #include."""
    for pattern, places, why in RESTRICTED:
        if re.match(pattern, name) and not re.match(places, path) and not path.startswith(("bench/", "tests/")):
            return why
    if folder is None:
        return None
    if folder == "guest":
        return None if check_guest_include(kind, name) else "a guest includes <hindsight/abi.h> and its own headers"
    allowed = may_see(path, folder)
    if name.startswith("hindsight/"):
        if kind == '"':
            return "a public header is included as <hindsight/...>"
        owner = PUBLIC.get(name.removeprefix("hindsight/").removesuffix(".h"))
        if owner is None:
            return "the rank of this public header is not in tests/lib/style.py"
        return None if owner in allowed else f"{folder} may not see {owner}"
    if kind == "<":
        return None
    if folder == "public":
        return "a public header includes <hindsight/...> and the system alone"
    view = name.split("/")[0]
    if view not in VIEWS:
        return "a header of ours is included by its folder: \"base/hex.h\""
    return None if view in allowed else f"{folder} may not see {view}"


def check_ranks(path, text):
    folder = folder_of(path)
    if folder == "public" and path.removeprefix("include/hindsight/").removesuffix(".h") not in PUBLIC:
        yield f"{path}: the rank of this public header is not in tests/lib/style.py"
    for match in INCLUDE.finditer(text):
        kind, name = match[1], match[2]
        problem = check_include(path, folder, kind, name)
        if problem:
            yield f"{path}:{line_of(text, match.start(2))}: #include {name}: {problem}"


def check_size(path, text):
    lines = text.splitlines()
    if len(lines) > LINES_MAX:
        yield f"{path}: {len(lines)} lines, {LINES_MAX} are the limit: split it"
    for number, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > COLUMNS_MAX:
            yield f"{path}:{number}: wider than {COLUMNS_MAX} columns"


def check_form(path, text):
    """The licence in the first line (the second of a script), one newline at the end, no spaces before it."""
    lines = text.split("\n")
    first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
    if LICENCE not in first:
        yield f"{path}:1: does not begin with {LICENCE}"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield f"{path}: does not end in one newline"
    for number, line in enumerate(lines, 1):
        if line.endswith((" ", "\t", "\r")):
            yield f"{path}:{number}: blanks at the end of the line"


def check_names(path, text):
    for match in NAMES.finditer(text):
        yield f"{path}:{line_of(text, match.start())}: names a tool: {match[0]}"


def check_dwarf_is_in_one_file(sources):
    """sources: {path: text}. One file of debug/symbols/ knows libdwarf; the others see only what it declares."""
    users = [
        path for path, text in sorted(sources.items()) for match in INCLUDE.finditer(text)
        if re.match(RESTRICTED[2][0], match[2]) and path.startswith("debug/symbols/") and path.endswith((".c", ".h"))
    ]
    if len(set(users)) > 1:
        yield "libdwarf is included by more than one file: " + ", ".join(sorted(set(users)))


def check_exported(archive, lines):
    """lines: the output of nm -g --defined-only on a static library. What it exports begins with hs_."""
    for line in lines:
        fields = line.split()
        if len(fields) == 3 and not fields[2].startswith("hs_"):
            yield f"{archive}: exports {fields[2]}, which does not begin with hs_"
