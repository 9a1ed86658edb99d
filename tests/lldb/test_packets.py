# SPDX-License-Identifier: LGPL-2.1-or-later
"""What lldb and the stub say to each other: what the user does, the packets it causes, and their answers."""

import pytest
from lib.packets import lldb_packets

NUMBER = rb"[0-9a-f]+"
STOP = rb"T05thread:1;.*"

# What is done: its commands, and (the packet, its answer) of each row of docs/gdb-remote.md that it is for.
SESSIONS = {
    "attach": (["process plugin packet monitor info", "detach"], [
        (rb"QThreadSuffixSupported", rb"OK"),
        (rb"QListThreadsInStopReply", rb"OK"),
        (rb"QEnableErrorStrings", rb"OK"),
        (rb"qHostInfo", rb"triple:[0-9a-f]+;endian:little;ptrsize:[48];"),
        (rb"qProcessInfo", rb"pid:1;triple:.*"),
        (rb"\?", STOP + rb"reason:trace;.*"),
        (rb"qXfer:libraries-svr4:read::0,.*", rb"l<library-list-svr4 .*/debugme\.elf.*"),
        (rb"qOffsets", rb"Text=0;Data=0;Bss=0"),
        (rb"qRcmd," + b"info".hex().encode(), rb"[0-9a-f]+"),
        (rb"D.*", rb"OK"),
    ]),
    "memory": (["memory read &counter", "memory write --size 4 &counter 7", "register read efer",
                "register write efer 0"], [
        (rb"x0,0", rb"OK"),
        (rb"x" + NUMBER + rb",200", rb".{512}"),
        (rb"M" + NUMBER + rb",4:07000000", rb"OK"),
        (rb"p" + NUMBER + rb";thread:0001;", NUMBER),
        (rb"P" + NUMBER + rb"=" + NUMBER + rb";thread:0001;", rb"OK|E.*"),
    ]),
    "regions": (["memory region 0", "memory region $pc"], [
        (rb"qMemoryRegionInfo:0", rb"start:0;size:" + NUMBER + rb";"),
        (rb"qMemoryRegionInfo:" + NUMBER, rb"start:" + NUMBER + rb";size:" + NUMBER + rb";permissions:r?w?x;"),
    ]),
    "threads": (["thread list", "breakpoint set -n count_up", "continue", "watchpoint set variable counter", "continue",
                 "thread list"], [
        (rb"jThreadsInfo", rb'\[\{"tid":1,"name":"CPU 0","signal":5,"reason":"trace","registers":\{"0":"[0-9a-f]+".*'),
        (rb"jThreadsInfo", rb'.*"reason":"breakpoint".*'),
        (rb"jThreadsInfo", rb'.*"reason":"watchpoint","description":"\d+ 0".*'),
    ]),
    "by hand": (["process plugin packet send qThreadStopInfo1", "process plugin packet send qRegisterInfo0",
                 "process plugin packet send qRegisterInfoffff"], [
        (rb"qThreadStopInfo1", STOP + rb"reason:trace;.*"),
        (rb"qRegisterInfo0", rb"name:[re]ax;bitsize:(64|32);offset:0;encoding:uint;format:hex;set:.*"),
        (rb"qRegisterInfoffff", rb"E.*"),
        (rb"k", rb"X09"),
    ]),
    "refused": (["process plugin packet send _M1000,rwx", "process plugin packet send _m1000"], [
        (rb"_M1000,rwx", rb"E5f;.*"),
        (rb"_m1000", rb"E5f;.*"),
    ]),
    "breakpoint": (["breakpoint set -n factorial", "continue", "thread step-inst"], [
        (rb"Z0," + NUMBER + rb",1", rb"OK"),
        (rb"z0," + NUMBER + rb",1", rb"OK"),
        (rb"c|vCont;c.*", STOP + rb"reason:breakpoint;.*"),
        (rb"vCont;s:0001", STOP + rb"reason:trace;.*"),
    ]),
}


@pytest.mark.parametrize("session", SESSIONS)
def test_packets_of_an_lldb_session_are_answered(runner, session):
    commands, rows = SESSIONS[session]
    with runner.serve("debugme", options=["--core", "none"]) as served:
        _, packets = lldb_packets([f"gdb-remote {served.address}", *commands, "process kill"])
    for sent, reply in rows:
        packets.check(sent, reply)
