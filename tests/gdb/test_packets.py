# SPDX-License-Identifier: LGPL-2.1-or-later
"""What gdb and the stub say to each other: what the user does, the packets it causes, and their answers."""

import re

import pytest
from lib.debuggers import gdb_batch
from lib.packets import gdb_packets

NUMBER = rb"[0-9a-f]+"
HEX = rb"(?:[0-9a-f]{2})+"
STOP = rb"T05thread:p1.1;.*"

# What is done: its commands, and (the packet, its answer) of each row of docs/gdb-remote.md that it is for.
SESSIONS = {
    "attach": (["info threads", "info auxv", "maintenance packet qC", "maintenance packet vCont;t", "detach"], [
        (rb"qSupported:.*swbreak\+.*", rb"PacketSize=40000;QStartNoAckMode\+;vContSupported\+;swbreak\+;hwbreak\+;.*"),
        (rb"QStartNoAckMode", rb"OK"),
        (rb"vMustReplyEmpty", rb""),
        (rb"H[gc].*", rb"OK"),
        (rb"\?", STOP),
        (rb"qC", rb"QCp1.1"),
        # Where it stands, as it does.
        (rb"vCont;t", STOP),
        (rb"qAttached.*", rb"1"),
        (rb"qOffsets", rb"Text=0;Data=0;Bss=0"),
        (rb"qSymbol::", rb"OK"),
        (rb"qXfer:features:read:target.xml:0,.*", rb"[ml]<\?xml.*<target .*"),
        (rb"qXfer:exec-file:read:.*", rb"l/.*/debugme\.elf"),
        (rb"qXfer:auxv:read:.*", rb"l.{16,}"),
        (rb"qXfer:threads:read::0,.*", rb"l<threads><thread id=.*"),
        (rb"qXfer:memory-map:read::0,.*", rb"l<memory-map><memory type=\"ram\" .*"),
        (rb"qTStatus", rb"T0;tnotrun:0"),
        (rb"qTfP", rb"l"),
        (rb"vFile:setfs:[01]", rb"F0"),
        (rb"vFile:open:" + HEX + rb",0,.*", rb"F0"),
        (rb"vFile:fstat:0", rb"F40;\0{8}\0\0\x81\x24.{52}"),
        (rb"vFile:pread:[01],.*,0", rb"F[0-9a-f]+;\x7fELF.*"),
        (rb"vFile:close:[0-9]", rb"F0"),
        (rb"D.*", rb"OK"),
    ]),
    "registers": (["info registers", "maintenance packet p1", "set var $pc = main"], [
        (rb"g", rb"[0-9a-f]{400,}"),
        (rb"p1", HEX),
        (rb"P" + NUMBER + rb"=" + HEX, rb"OK"),
    ]),
    "memory": (["x/8xb $pc", "x/xb 0x10", "set var counter = 7", "maintenance packet m10,1"], [
        (rb"m" + NUMBER + rb"," + NUMBER, HEX),
        (rb"m10,1", rb"E0e"),
        (rb"X" + NUMBER + rb",0:", rb"OK"),
        (rb"X" + NUMBER + rb",4:\x07\0\0\0", rb"OK"),
    ]),
    "breakpoints": (["break factorial", "hbreak total_of", "continue", "delete 1", "continue", "monitor info"], [
        (rb"Z0," + NUMBER + rb",1", rb"OK"),
        (rb"Z1," + NUMBER + rb",1", rb"OK"),
        (rb"vCont\?", rb"vCont;c;C;s;S;t;r"),
        (rb"vCont;c.*", rb"T05thread:p1.1;swbreak:;.*"),
        (rb"vCont;c.*", rb"T05thread:p1.1;hwbreak:;.*"),
        (rb"z0," + NUMBER + rb",1", rb"OK"),
        (rb"z1," + NUMBER + rb",1", rb"OK"),
        (rb"qRcmd," + b"info".hex().encode(), HEX),
    ]),
    "watchpoints": (["watch counter", "continue", "delete", "rwatch counter", "continue", "delete", "awatch counter",
                     "continue"], [
        (rb"Z2," + NUMBER + rb",4", rb"OK"),
        (rb"Z3," + NUMBER + rb",4", rb"OK"),
        (rb"Z4," + NUMBER + rb",4", rb"OK"),
        (rb"vCont;c.*", rb"T05thread:p1.1;watch:" + NUMBER + rb";.*"),
        (rb"vCont;c.*", rb"T05thread:p1.1;[ra]watch:" + NUMBER + rb";.*"),
        (rb"vCont;c.*", rb"T05thread:p1.1;awatch:" + NUMBER + rb";.*"),
        (rb"z[234]," + NUMBER + rb",4", rb"OK"),
    ]),
    "steps": (["stepi", "tbreak factorial", "continue", "next"], [
        (rb"vCont;s.*", STOP),
        (rb"vCont;r" + NUMBER + rb"," + NUMBER + rb".*", STOP),
    ]),
    "end": (["continue"], [(rb"vCont;c.*", rb"W00;process:1")]),
    "memory in hex": (["set remote binary-download-packet off", "set var counter = 7"], [
        (rb"M" + NUMBER + rb",4:07000000", rb"OK"),
    ]),
    "looked at here": (["find &counter, +0x10, 0x77", "compare-sections .text"], [
        (rb"qSearch:memory:" + NUMBER + rb";10;\x77\0\0\0", rb"0"),
        (rb"qCRC:" + NUMBER + rb"," + NUMBER, rb"C[0-9a-f]{1,8}"),
    ]),
    "without vCont": (["set remote verbose-resume-packet off", "stepi", "tbreak factorial", "continue"], [
        (rb"s", STOP),
        (rb"c", STOP),
    ]),
}
# What gdb does not send by itself, and "maintenance packet" does.
BY_HAND = [
    ("qqemu.Supported", "PhyMemMode"), ("Qqemu.PhyMemMode:1", "OK"), ("qqemu.PhyMemMode", "1"),
    ("Qqemu.PhyMemMode:0", "OK"), ("T1", "OK"), ("T9", "E02"), ("vCtrlC", "OK"), ("QNonStop:0", "OK"),
    ("QNonStop:1", "E5f"), ("vFile:open:2f6574632f706173737764,0,0", "F-1,2"), ("_M1000,rwx", "E5f"),
    # Nonsense, and what is not served.
    ("m0,zz", "E16"), ("pffffffff", "E02"), ("P80000000=00", "E02"), ("Z9,0,1", ""),
    ("qXfer:features:read:other.xml:0,10", "E02"), ("qCRC:10,1", "E0e"), ("Qnothing", ""), ("vNothing", ""),
]
# In a guest that crashes.
AT_A_FAULT = [
    (rb"vCont;c.*", rb"T0bthread:.*"),
    (rb"qXfer:siginfo:read::0,.*", rb"[lm]\x0b\0\0\0.*"),
    (rb"vCont;C0b.*", rb"X0b.*"),
]
# The same where it is stepped with its signal, and without vCont.
FAULT_STEPS = [
    (["continue", "queue-signal SIGSEGV", "stepi"], rb"vCont;S0b.*"),
    (["set remote verbose-resume-packet off", "continue", "continue"], rb"C0b"),
    (["set remote verbose-resume-packet off", "continue", "queue-signal SIGSEGV", "stepi"], rb"S0b"),
]
# Let go, back again, twice, and to its end.
EXTENDED = [
    (rb"!", rb"OK"),
    (rb"D.*", rb"OK"),
    (rb"vAttach;1", rb"T0[25]thread:.*"),
    (rb"vKill;.*", rb"OK"),
]


# Run inside gdb, where ADDRESS is the stub's: with each packet alone switched off, and then with all of them, it
# connects, goes to a breakpoint, steps, writes, reads, and leaves. Without those of breakpoints it writes int3 itself.
WITHOUT = """
python
import re
names = re.findall(r"^set remote (\\S+-packet) ", gdb.execute("help set remote", to_string=True), re.M)
names = [name for name in names if name not in ("Z-packet", "software-breakpoint-packet")]
def session(without, number):
    for name in without:
        gdb.execute("set remote %s off" % name)
    gdb.execute("target remote ADDRESS", to_string=True)
    gdb.execute("tbreak spin.c:12", to_string=True)
    gdb.execute("continue", to_string=True)
    where = gdb.newest_frame().find_sal().line, gdb.newest_frame().older().name()
    gdb.execute("stepi", to_string=True)
    gdb.execute("set var counter = %d" % number)
    gdb.execute("maintenance flush dcache", to_string=True)
    seen = int(gdb.parse_and_eval("counter"))
    gdb.execute("disconnect", to_string=True)
    for name in without:
        gdb.execute("set remote %s auto" % name)
    return "well" if where == (12, "main") and seen == number else (where, seen)
def say(without, number):
    try:
        print("WITHOUT", " ".join(without) if len(without) == 1 else "all", session(without, number))
    except gdb.error as error:
        print("WITHOUT", without, "ERROR", error)
for number, name in enumerate(names):
    say([name], number)
say(names, 1000)
end
"""


def test_packets_that_gdb_does_without_are_not_missed(runner, tmp_path):
    script = tmp_path / "without.gdb"
    with runner.serve("spin", options=["--core", "none"]) as served:
        script.write_text(WITHOUT.replace("ADDRESS", str(served.address)))
        said = gdb_batch([f"source {script}", f"target remote {served.address}", "kill"], runner.guest("spin"))
    lines = re.findall(r"(?m)^WITHOUT .*$", said[0])
    assert len(lines) > 50, said[0]
    assert not [line for line in lines if not line.endswith("-packet well") and line != "WITHOUT all well"]


@pytest.mark.parametrize("session", SESSIONS)
def test_packets_of_a_gdb_session_are_answered(runner, session):
    commands, rows = SESSIONS[session]
    with runner.serve("debugme", options=["--core", "none"]) as served:
        _, packets = gdb_packets([f"target remote {served.address}", *commands, "kill"],
                                 remote_files=session == "attach")
    for sent, reply in rows:
        packets.check(sent, reply)


def test_packets_of_like_bytes_come_as_runs(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        _, packets = gdb_packets([f"target remote {served.address}", "info registers", "kill"])
    assert packets.of(rb"g")
    for exchange in packets.of(rb"g"):
        assert b"0*" in exchange.wire and len(exchange.wire) < len(exchange.reply) / 2, str(exchange)


def test_packets_that_gdb_is_made_to_send_are_answered(runner):
    with runner.serve("debugme", options=["--core", "none"]) as served:
        _, packets = gdb_packets([f"target remote {served.address}",
                                  *(f"maintenance packet {sent}" for sent, _ in BY_HAND), "kill"])
    assert [(sent, packets.reply(re.escape(sent).encode())) for sent, _ in BY_HAND] == [
        (sent, reply.encode()) for sent, reply in BY_HAND]


def test_packets_of_a_gdb_session_at_a_fault_are_answered(runner):
    with runner.serve("debugme", "crash", options=["--core", "none"]) as served:
        _, packets = gdb_packets([f"target remote {served.address}", "continue", "print $_siginfo.si_signo",
                                  "continue"])
    for sent, reply in AT_A_FAULT:
        packets.check(sent, reply)


@pytest.mark.parametrize("commands, sent", FAULT_STEPS, ids=[sent.decode()[:-2] for _, sent in FAULT_STEPS])
def test_packets_of_a_gdb_that_gives_the_guest_its_signal_are_answered(runner, commands, sent):
    with runner.serve("debugme", "crash", options=["--core", "none"]) as served:
        _, packets = gdb_packets([f"target remote {served.address}", *commands])
        assert served.process.wait(60).rc == 128 + 11
    packets.check(sent, rb"X0b.*")


def test_packets_of_a_gdb_that_runs_the_guest_again_are_answered(runner):
    with runner.serve("hello", options=["--core", "none"]) as served:
        _, packets = gdb_packets([f"target extended-remote {served.address}", "info os processes", "run",
                                  "set remote run-packet off", "run"])
        assert served.process.wait(60).stdout == "hello from a guest\n" * 2
    packets.check(rb"qXfer:osdata:read:processes:0,.*", rb'l<.xml .*<osdata .*<column name="pid">1</column>.*')
    packets.check(rb"vRun;", rb"T05thread:p1.1;.*")
    assert packets.replies(rb"R0") == [None]


def test_packets_of_an_extended_gdb_session_are_answered(runner):
    with runner.serve("spin", options=["--core", "none"]) as served:
        _, packets = gdb_packets([f"target extended-remote {served.address}", "detach", "attach 1", "detach",
                                  "attach 1", "kill"])
        result = served.process.wait(60)
    for sent, reply in EXTENDED:
        packets.check(sent, reply)
    assert len(packets.of(rb"vAttach;1")) == 2
    assert result.rc == 128 + 9
