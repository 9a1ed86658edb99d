# SPDX-License-Identifier: LGPL-2.1-or-later
"""hindsight's commands for gdb: `help hs` lists them, docs/debugging.md shows them.

They are built over the "monitor" commands of hindsight's stub. What those cannot do is done here: an expression becomes
an address, names are completed, and gdb forgets what it knew of a guest that is another one now.

gdb runs this where the user's own Python runs: every name begins with hs.
"""

import re

import gdb

HS_REMOTE = ("remote", "extended-remote")
HS_ADDRESS_CODES = (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_INT, gdb.TYPE_CODE_ENUM, gdb.TYPE_CODE_CHAR, gdb.TYPE_CODE_BOOL)
HS_OBJECT_CODES = (gdb.TYPE_CODE_FUNC, gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)


def hs_ask(line):
    """What the stub answers to a "monitor" command."""
    try:
        return gdb.execute(f"monitor {line}", to_string=True)
    except gdb.error as error:
        raise gdb.GdbError(str(error)) from None


def hs_check_target(command):
    """Raise, in words for the user, unless there is a target that has this "monitor" command."""
    connection = gdb.selected_inferior().connection
    if connection is None:
        raise gdb.GdbError("hs: nothing is debugged: 'target remote ADDRESS' attaches to a guest")
    if connection.type not in HS_REMOTE:
        raise gdb.GdbError(f"hs: this is a target of the kind '{connection.type}' and not one that hindsight serves "
                           "('hindsight debug FILE' serves a core or a snapshot)")
    known = hs_ask("help")
    if not re.match(r"help\b", known):
        raise gdb.GdbError(f"hs: {known.strip()}")
    if not re.search(rf"^{command}\b", known, re.M):
        raise gdb.GdbError(f"hs: this target has no 'monitor {command}': it is not hindsight, or cannot do that "
                           "('monitor help' lists what it can)")


def hs_monitor(command, *words):
    """Ask for something that the target must know; the answer."""
    hs_check_target(command)
    return hs_ask(" ".join([command, *words]))


def hs_do(done, command, *words):
    """Have something done; the answer. One that does not begin with `done` is a refusal, which to gdb is text like any
    other; here it is an error, that ends a script."""
    answer = hs_monitor(command, *words)
    if not answer.startswith(done):
        raise gdb.GdbError(answer.rstrip())
    return answer


def hs_show(text):
    gdb.write(text if text.endswith("\n") or not text else text + "\n")


def hs_forget():
    """Memory and registers have changed without a stop: what gdb has of them is of no use (gdb manual, Maintenance
    Commands)."""
    for cache in "register-cache", "dcache":
        gdb.execute(f"maintenance flush {cache}", to_string=True)


def hs_show_place():
    """Where the guest stands, as after a stop."""
    try:
        gdb.execute("frame")
        gdb.execute("display")
    except gdb.error as error:
        raise gdb.GdbError(str(error)) from None


def hs_address_of(text):
    """The address that an expression means: its value, as for `x`, or where the function or object is that it names."""
    try:
        value = gdb.parse_and_eval(text)
        if value.type.strip_typedefs().code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
            value = value.referenced_value()
        code = value.type.strip_typedefs().code
        if code in HS_OBJECT_CODES and value.address is not None:
            value, code = value.address, gdb.TYPE_CODE_PTR
        if code not in HS_ADDRESS_CODES:
            raise gdb.GdbError(f"hs: '{text}' is no address: its type is {value.type}")
        bits = 8 * gdb.lookup_type("char").pointer().sizeof
        return int(value) & ((1 << bits) - 1)
    except gdb.error as error:
        raise gdb.GdbError(f"hs: {error}") from None


def hs_count_of(text):
    """A number from 1 on; 1 without a text."""
    try:
        value = gdb.parse_and_eval(text or "1")
        if value.type.strip_typedefs().code != gdb.TYPE_CODE_INT:
            raise gdb.GdbError(f"hs: '{text}' is no number of cycles: its type is {value.type}")
        count = int(value)
    except gdb.error as error:
        raise gdb.GdbError(f"hs: {error}") from None
    if count < 1:
        raise gdb.GdbError(f"hs: {count} is less than 1")
    return count


def hs_completed(word, pattern, command):
    """The words that begin with `word`, of those that `pattern` finds in what a "monitor" command answers."""
    try:
        return sorted({found for found in re.findall(pattern, hs_monitor(command), re.M) if found.startswith(word)})
    except gdb.GdbError:
        return []


class Hs(gdb.Command):
    """hindsight: address spaces, snapshots and cycles of the guest that is debugged."""

    def __init__(self):
        super().__init__("hs", gdb.COMMAND_USER, prefix=True)

    def invoke(self, argument, from_tty):
        if argument:
            raise gdb.GdbError(f"hs: there is no 'hs {argument.split()[0]}' ('help hs' lists what there is)")
        gdb.execute("help hs")


class HsRoots(gdb.Command):
    """List the address spaces of the guest.
Usage: hs roots

Each has a number, by which 'hs root' chooses it."""

    def __init__(self):
        super().__init__("hs roots", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        hs_show(hs_monitor("roots", *argument.split()))


class HsRoot(gdb.Command):
    """Choose the address space through which memory is read and written.
Usage: hs root N
       hs root current

N is a number that 'hs roots' shows; current is whatever the CPU is in.
Registers stay those of the CPU."""

    def __init__(self):
        super().__init__("hs root", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("hs root: which? 'hs roots' lists them; 'current' is the CPU's")
        hs_show(hs_do("addresses are those of ", "root", argument))
        hs_forget()

    def complete(self, text, word):
        return ["current"] * "current".startswith(word) + hs_completed(word, r"^\W*(\d+)\b", "roots")


class HsWalk(gdb.Command):
    """Show how an address is translated, level by level.
Usage: hs walk EXPRESSION

EXPRESSION is an address, as for 'x': a number, a pointer, $pc. A function, an
array or a structure stands for where it is; of another variable say &VARIABLE."""

    def __init__(self):
        super().__init__("hs walk", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("hs walk: an address is missing, as in 'hs walk $sp'")
        hs_check_target("walk")
        hs_show(hs_monitor("walk", f"{hs_address_of(argument):#x}"))


class HsSnapshot(gdb.Command):
    """Keep the guest as it stands, under a name.
Usage: hs snapshot NAME
       hs snapshot

'hs restore NAME' comes back to it. Without NAME: list what there is."""

    def __init__(self):
        super().__init__("hs snapshot", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        hs_show(hs_do("checkpoint ", "snapshot", argument) if argument else hs_monitor("snapshots"))

    def complete(self, text, word):
        return hs_completed(word, HS_SNAPSHOT_NAME, "snapshots")


class HsRestore(gdb.Command):
    """Put the guest back to a snapshot.
Usage: hs restore [NAME]

NAME is one that 'hs snapshot' has made, or 'start', where the session began.
Without NAME: the snapshot that the guest stands on. Breakpoints stay;
registers, frames and memory are those of then."""

    def __init__(self):
        super().__init__("hs restore", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        # The rest is for those who type the monitor command.
        hs_show(hs_do("the guest is where ", "restore", *argument.split()).partition("; in gdb, ")[0])
        hs_forget()
        hs_show_place()

    def complete(self, text, word):
        return hs_completed(word, HS_SNAPSHOT_NAME, "snapshots")


class HsCycle(gdb.Command):
    """Continue until the guest has been put back to its snapshot.
Usage: hs cycle [N]

Of a guest that is restored and called again and again, as by 'hindsight run
--call F --cycles N --gdb': stop where the next cycle begins, or the Nth from
here. Breakpoints on the way stop it as always. An error if the guest has no
cycles."""

    def __init__(self):
        super().__init__("hs cycle", gdb.COMMAND_RUNNING, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        hs_do("the guest stops behind its ", "cycle", str(hs_count_of(argument)))
        try:
            gdb.execute("continue")
        except gdb.error as error:
            raise gdb.GdbError(str(error)) from None
        finally:
            # Not reached when something else has stopped it; gone when the guest has ended.
            thread = gdb.selected_thread()
            if thread is not None and thread.is_stopped():
                hs_ask("cycle 0")


HS_SNAPSHOT_NAME = r"^(\S+) +0x"

for hs_class in Hs, HsRoots, HsRoot, HsWalk, HsSnapshot, HsRestore, HsCycle:
    hs_class()
