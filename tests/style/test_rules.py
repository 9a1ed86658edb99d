# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules themselves: each finds its bad sample and leaves a good one alone. A rule that cannot fail is none."""

import pytest

from lib import style

LICENCE = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"

BAD_INCLUDES = [
    ("base/buf.c", '#include "arch/regs.h"', "base may not see arch"),
    ("arch/regs.c", '#include "paging/walk.h"', "arch may not see paging"),
    ("arch/regs.c", "#include <hindsight/paging.h>", "arch may not see paging"),
    ("base/buf.c", "#include <hindsight/cpu.h>", "base may not see arch"),
    ("vmm/vm.c", '#include "coredump/plan.h"', "vmm may not see coredump"),
    ("vmm/vm.c", '#  include "session/session.h"', "vmm may not see session"),
    ("vmm/kvm/vcpu.c", '#include "gdbstub/packet.h"', "vmm may not see gdbstub"),
    ("debug/gdbstub/server.c", '#include "paging/walk.h"', "gdbstub may not see paging"),
    ("debug/gdbstub/server.c", "#include <hindsight/vm.h>", "gdbstub may not see vmm"),
    ("debug/coredump/write.c", "\t#include <hindsight/vm.h>", "coredump may not see vmm"),
    ("debug/symbols/dwarf.c", '#include "coredump/read.h"', "symbols may not see coredump"),
    ("session/session.c", '#include "cli/opts.h"', "session may not see cli"),
    ("session/session.c", "#include <linux/kvm.h>", "only vmm/kvm/ knows KVM"),
    ("vmm/probe.c", "#include <linux/kvm.h>", "only vmm/kvm/ knows KVM"),
    ("vmm/kvm/insn.c", "#include <Zydis/Zydis.h>", "Zydis is for"),
    ("debug/coredump/read.c", "#include <libdwarf/libdwarf.h>", "libdwarf is for"),
    ("session/crash.c", "#include <gelf.h>", "libelf is for"),
    ("session/snapshot.c", "#include <nettle/sha2.h>", "nettle is for"),
    ("cli/cmd_core.c", "#include <libelf.h>", "libelf is for"),
    ("base/buf.c", '#include "buf.h"', "by its folder"),
    ("vmm/vm.c", '#include "debug/gdbstub/packet.h"', "by its folder"),
    ("vmm/vm.c", '#include "hindsight/vm.h"', "is included as <hindsight/"),
    ("vmm/vm.c", "#include <hindsight/nobody.h>", "rank of this public header"),
    ("include/hindsight/types.h", "#include <hindsight/cpu.h>", "may not see arch"),
    ("include/hindsight/vm.h", "#include <hindsight/coredump.h>", "may not see coredump"),
    ("include/hindsight/vm.h", '#include "base/buf.h"', "and the system alone"),
    ("include/hindsight/nobody.h", "", "rank of this public header"),
    ("guest/rt/print.c", "#include <hindsight/vm.h>", "a guest includes"),
]


@pytest.mark.parametrize("path, line, problem", BAD_INCLUDES)
def test_ranks_bad_include_is_found(path, line, problem):
    found = list(style.check_ranks(path, f"{LICENCE}\n{line}\n"))
    assert len(found) == 1, found
    assert problem in found[0]
    assert found[0].startswith(path + (":3:" if line else ":"))


@pytest.mark.parametrize(
    "path, line",
    [
        ("base/buf.c", '#include "base/hex.h"'),
        ("base/error.h", "#include <hindsight/error.h>"),
        ("arch/xml.c", '#include "base/error.h"'),
        ("paging/walk.c", "#include <hindsight/mem.h>"),
        ("vmm/kvm/vcpu.c", "#include <linux/kvm.h>"),
        ("vmm/kvm/vcpu.c", '#include "vmm/backend.h"'),
        ("vmm/insn.c", "#include <Zydis/Zydis.h>"),
        ("vmm/insn_plain.h", "#include <Zydis/Zydis.h>"),
        ("vmm/soft/decode.c", "#include <Zydis/Zydis.h>"),
        ("debug/symbols/dwarf.c", "#include <libdwarf/libdwarf.h>"),
        ("debug/gdbstub/server.c", "#include <hindsight/target.h>"),
        ("debug/coredump/headers.c", "#include <elf.h>"),
        ("session/session.c", '#include "gdbstub/server.h"'),
        ("cli/cmd_run.c", '#include "session/session.h"'),
        ("include/hindsight/vm.h", "#include <hindsight/target.h>"),
        ("include/hindsight/hindsight.h", "#include <hindsight/session.h>"),
        ("guest/programs/hello.c", "#include <hindsight/guest.h>"),
        ("tests/unit/vmm/test_vm.c", '#include "vmm/loader.h"'),
        ("vmm/vm.c", '/* as in #include "session/session.h" */'),
    ],
)
def test_ranks_good_include_is_left_alone(path, line):
    assert not list(style.check_ranks(path, f"{LICENCE}{line}\n"))


def test_size_file_of_501_lines_is_found():
    assert not list(style.check_size("a.c", "x\n" * 500))
    assert "501 lines" in next(style.check_size("a.c", "x\n" * 501))


def test_size_wide_line_is_found_with_tabs_counted_as_eight():
    assert not list(style.check_size("a.c", "\t" + 112 * "x" + "\n"))
    assert "a.c:2:" in next(style.check_size("a.c", "\n\t" + 113 * "x" + "\n"))


def test_form_first_line_and_blanks_are_checked():
    good = LICENCE + "int x;\n"
    assert not list(style.check_form("a.c", good))
    assert not list(style.check_form("a", "#!/bin/sh\n# SPDX-License-Identifier: LGPL-2.1-or-later\n"))
    assert "does not begin" in next(style.check_form("a.c", "\n" + good))
    assert "does not begin" in next(style.check_form("a.c", good.replace("LGPL", "GPL")))
    assert "one newline" in next(style.check_form("a.c", good + "\n"))
    assert "one newline" in next(style.check_form("a.c", good[:-1]))
    assert "a.c:2: blanks" in next(style.check_form("a.c", LICENCE + "int x; \n"))


@pytest.mark.parametrize("text", ["by " + "Clau" + "de", "Chat" + "GPT", "GPT" + "-4 says", "AI" + "-generated"])
def test_names_of_tools_are_found(text):
    assert list(style.check_names("a.c", f"/* {text} */\n"))


@pytest.mark.parametrize("text", ["said", "the agent's bytecode", "a claused contract", "helpers"])
def test_names_ordinary_words_are_left_alone(text):
    assert not list(style.check_names("a.c", f"/* {text} */\n"))


def test_dwarf_second_file_is_found():
    line = "#include <libdwarf/libdwarf.h>\n"
    assert not list(style.check_dwarf_is_in_one_file({"debug/symbols/dwarf.c": line + line}))
    assert list(style.check_dwarf_is_in_one_file({"debug/symbols/dwarf.c": line, "debug/symbols/lookup.c": line}))


def test_exported_name_without_prefix_is_found():
    lines = ["", "buf.c.o:", "0000000000000000 T hs_buf_init", "                 U malloc"]
    assert not list(style.check_exported("libhs_base.a", lines))
    assert list(style.check_exported("libhs_base.a", lines + ["0000000000000010 T buf_helper"]))
    assert list(style.check_exported("libhs_base.a", lines + ["0000000000000010 D table"]))
