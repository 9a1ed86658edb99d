# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every register that gdb knows is read and written one by one, and nothing else changes with it."""

import re

from lib.debuggers import gdb_batch
from lib.packets import gdb_packets

# Run inside gdb. For each register: write a value, read it back, see that no other has changed, put the old one back.
SCRIPT = r"""
python
NEW = {
    "eflags": 0x47, "mxcsr": 0x1fa0, "fctrl": 0x27f, "fstat": 0x0, "ftag": 0xffff,
    "cs": None, "ss": None, "ds": None, "es": None, "fs": None, "gs": None, "cr0": None, "cr3": None, "cr4": None,
    "efer": None, "rip": "+1", "eip": "+1", "cr2": 0x1234000, "cr8": 0x3, "fop": 0x123, "fioff": 0x1122,
    "fooff": 0x3344,
    "fiseg": None, "foseg": None, "fs_base": 0x12345000, "gs_base": 0x23456000, "k_gs_base": 0x34567000,
}
def bits(name):
    value = gdb.parse_and_eval("$" + name)
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_UNION:
        return tuple(int(value["v16_int8"][i]) for i in range(16))
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_FLT:
        return float(value)
    return int(value)
def write(name, old):
    if name.startswith("xmm"):
        new = tuple((int(name[3:]) * 16 + i) % 128 for i in range(16))
        gdb.execute("set var $%s.v16_int8 = {%s}" % (name, ",".join(map(str, new))))
        return new
    if isinstance(old, float):
        gdb.execute("set var $%s = 2.5" % name)
        return 2.5
    new = NEW.get(name, 0x1122334455667788 if SIZE[name] == 8 else 0x11223344)
    new = old if new is None else old + 1 if new == "+1" else new
    # A flags type takes only a number as wide as itself.
    gdb.execute("set var $%s = (%s)%d" % (name, "long long" if SIZE[name] == 8 else "int", new))
    return new
def restore(name, old):
    if isinstance(old, tuple):
        gdb.execute("set var $%s.v16_int8 = {%s}" % (name, ",".join(map(str, old))))
    else:
        gdb.execute("set var $%s = (%s)%r" % (name, "long long" if SIZE[name] == 8 else "double"
                                             if isinstance(old, float) else "int", old))
PSEUDO = re.compile(
    r"^(al|bl|cl|dl|ah|bh|ch|dh|[abcd]x|[sd]il?|[bs]pl?|r\d+[lwd]|[yz]mm\d+|mm\d+|e[abcd]x|e[sd]i|e[bs]p)$"
)
# Some CPUs have them, and this guest has not switched them on.
OFF = re.compile(r"^(pkru|k\d|xmm(1[6-9]|[23]\d))$")
names = [r.name for r in gdb.selected_frame().architecture().registers()]
is_long = "rip" in names
names = [n for n in names if n and not (is_long and PSEUDO.match(n)) and n != "orig_rax" and n != "orig_eax"]
if not is_long:
    names = [n for n in names if not PSEUDO.match(n) or re.match(r"^e[abcdsb][xip]$", n)]
# gdb leaves these out of its list, xmm where there is ymm; they are registers all the same.
MORE = ["fs_base", "gs_base"] + ["xmm%d" % i for i in range(16 if is_long else 8)]
names += [n for n in MORE if n not in names]
SIZE = {n: gdb.parse_and_eval("$" + n).type.sizeof for n in names}
before = {n: bits(n) for n in names}
print("REGISTERS", " ".join(names))
for name in names:
    if OFF.match(name):
        try:
            write(name, before[name])
            print("WRITE", name, "is not refused", [])
        except gdb.error as error:
            refused = str(error).startswith("Could not write register")
            gdb.execute("maint flush register-cache", to_string=True)
            after = {n: bits(n) for n in names}
            zero = not any(before[name]) if isinstance(before[name], tuple) else before[name] == 0
            print("WRITE", name, "ok" if refused and zero else error, [n for n in names if after[n] != before[n]])
        continue
    wanted = write(name, before[name])
    gdb.execute("maint flush register-cache", to_string=True)
    after = {n: bits(n) for n in names}
    changed = [n for n in names if after[n] != before[n] and n != name]
    print("WRITE", name, "ok" if after[name] == wanted else "wanted %r got %r" % (wanted, after[name]), changed)
    restore(name, before[name])
    gdb.execute("maint flush register-cache", to_string=True)
    back = bits(name)
    if back != before[name]:
        print("WRITE", name, "does not come back: %r, was %r" % (back, before[name]), [])
end
"""

CORE = {
    "amd64": "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip eflags cs ss ds es fs gs".split(),
    "i686": "eax ecx edx ebx esp ebp esi edi eip eflags cs ss ds es fs gs".split(),
}
MORE = [f"st{i}" for i in range(8)] + "fctrl fstat ftag mxcsr fs_base gs_base cr0 cr2 cr3 cr4".split()


def test_every_register_is_read_and_written_by_its_name(runner, tmp_path):
    script = tmp_path / "registers.gdb"
    script.write_text(SCRIPT.replace("python\n", "python\nimport re\n", 1))
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "tbreak count_up", "continue", f"source {script}",
                          "continue"], timeout=240)
        result = served.process.wait(60)
    names = re.search(r"^REGISTERS (.*)$", said[3], re.M).group(1).split()
    vectors = [f"xmm{i}" for i in range(16 if runner.arch == "amd64" else 8)]
    assert set(names) >= {*CORE[runner.arch], *MORE, *vectors}
    problems = [line for line in said[3].splitlines() if line.startswith("WRITE") and not line.endswith("ok []")]
    assert not problems, "\n".join(problems)
    assert len(re.findall(r"^WRITE \S+ ok \[\]$", said[3], re.M)) == len(names)
    # All is as it was: the guest goes on as if nobody had looked.
    assert "exited normally" in said[4]
    assert result.stdout == "counted 10, factorial 120\norder 1234: 5 more\n"


def test_registers_that_are_written_all_at_once_keep_x87_and_vectors(runner):
    name, shown = "rbx" if runner.arch == "amd64" else "ebx", "info registers all"
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said, packets = gdb_packets([
            f"target remote {served.address}", *[f"set var $st{i} = {i}.5" for i in range(8)], "set var $fctrl = 0x27f",
            "set var $fstat = 0x2841", "set var $ftag = 0x3ff",
            "set var $mxcsr = 0x1fa0", "set var $xmm3.v4_int32 = {1, 2, 3, 4}", "set remote set-register-packet off",
            shown, f"set var ${name} = 0x1234", "maintenance flush register-cache", shown, "kill"])
    packets.check(rb"G[0-9a-f]{400,}", rb"OK")
    before, after = ([line for line in text.splitlines() if not re.match(rf"[re]?{name[1:]}|b[lhx] ", line)]
                     for text in (said[15], said[18]))
    assert before == after and len(before) > 40 and "2.5" in said[18]
    # The top of the x87's stack is not its first register, and not all of them are in use.
    assert re.search(r"(?m)^fstat +0x2841 ", said[18]) and re.search(r"(?m)^ftag +0x3ff ", said[18])
    assert re.search(rf"(?m)^{name} +0x1234 ", said[18])


def test_registers_have_the_values_of_the_entry_contract(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said = gdb_batch([f"target remote {served.address}", "info registers", "print/x $cr0", "print $mxcsr",
                      "print/x $fctrl",
                          "show architecture", "kill"])
    assert said[2].endswith("0x80050033")
    assert "IM DM ZM OM UM PM" in said[3]
    assert said[4].endswith("0x37f")
    assert ("i386:x86-64" if runner.arch == "amd64" else '"i386"') in said[5]


def test_debugger_without_a_description_has_the_registers_that_all_agree_on(runner):
    """As a gdb that was built without expat: calls, which save, change and put back all registers, work in it."""
    kept, program = "r15" if runner.arch == "amd64" else "edi", runner.guest("debugme")
    with runner.serve("debugme", options=["--core", "none"]) as served:
        said, packets = gdb_packets([
            "set remote target-features-packet off", f"target remote {served.address}", "tbreak fill_item",
            "continue", f"print ${kept} = 0x1234", "print factorial(4)", f"print ${kept}", "print $mxcsr", "finish",
            "continue"], program=program)
        assert served.process.wait(60).rc == 0
    assert not packets.of(rb"qXfer:features.*") and packets.of(rb"g")
    assert "too long" not in said.text and "remote failure" not in said.text
    assert "fill_item (item=" in said[3]
    assert [text.split(" = ")[1] for text in said[4:8]] == ["4660", "24", "4660", "[ IM DM ZM OM UM PM ]"]
    assert "run (name=" in said[8] and "exited normally" in said[9]


def test_registers_that_no_cpu_takes_are_refused_and_change_nothing(runner):
    values = ["$cr0 & ~1", "$cr0 | 0x20000000", "$cr0 | 0x40", "$cr4 | 0x8000", "$efer ^ 0x100", "$efer ^ 0x400",
              "$efer | 2"]
    if runner.arch == "amd64":
        # gdb has 32 bits of them for i686.
        values += ["$cr0 | (1LL << 32)", "$cr3 | (1LL << 52)", "$cr4 | (1LL << 40)", "$k_gs_base | (1LL << 60)"]
    shown = "info registers all"
    refused = [f"set var {value.split()[0]} = {value}" for value in values]
    with runner.serve("debugme", options=["--core", "none"]) as served:
        # In one packet with all the others the second time.
        said = gdb_batch([f"target remote {served.address}", "tbreak count_up", "continue", shown, *refused,
                          "set remote set-register-packet off", *refused, "maintenance flush register-cache", shown,
                          "continue"], timeout=240)
        result = served.process.wait(60)
    first, second = said[4:4 + len(refused)], said[5 + len(refused):5 + 2 * len(refused)]
    assert [text for text in first if not text.startswith("Could not write register")] == []
    assert [text for text in second if not text.startswith("Could not write registers")] == []
    assert said[-2] == said[3]
    assert "exited normally" in said[-1]
    assert result.stdout == "counted 10, factorial 120\norder 1234: 5 more\n"
