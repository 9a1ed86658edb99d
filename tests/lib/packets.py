# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a real debugger and the stub said to each other: a session with the client's own log, as pairs of packets.

gdb and lldb write their logs in forms of their own; both become the same: `Packets`, a list of `Exchange`, payloads
with escapes undone and runs expanded. A row of a test's table says what a client does, which packet that has to cause,
and what the answer has to be: `check()`.
"""

import pathlib
import re
import tempfile
from dataclasses import dataclass

from lib.debuggers import LOCAL_FILES, gdb_batch, lldb_batch
from lib.process import Failed

RUN_BIAS = 29
"""A run "x*c" stands for x and ord(c) - 29 more of it (gdb manual, Overview)."""
ESCAPE, ESCAPE_XOR = 0x7d, 0x20
GDB_LETTERS = {"\\": 0x5c, "b": 8, "f": 12, "n": 10, "t": 9, "r": 13, "v": 11}


@dataclass
class Exchange:
    """A packet of the client, and the stub's next one: None when there was none before the client sent another."""

    sent: bytes
    reply: bytes | None = None
    wire: bytes | None = None
    """The reply as it came, with its runs and escapes."""

    def __str__(self):
        return f"> {shown(self.sent)}\n< {'(nothing)' if self.reply is None else shown(self.reply)}"


def shown(data):
    """Bytes for an error's text, not too many of them."""
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text if len(text) <= 200 else text[:200] + "..."


class Packets(list):
    """All exchanges of a session, in order."""

    def of(self, sent):
        """The exchanges whose packet matches a regular expression (bytes) as a whole."""
        return [exchange for exchange in self if re.fullmatch(sent, exchange.sent, re.S)]

    def replies(self, sent):
        """The replies to the packets that match."""
        return [exchange.reply for exchange in self.of(sent)]

    def reply(self, sent):
        """The reply to the first packet that matches; Failed when there is none such."""
        found = self.of(sent)
        if not found:
            raise Failed(f"no packet {sent}; there were:\n{self}")
        return found[0].reply

    def check(self, sent, reply):
        """There was a packet like `sent`, and one at least was answered like `reply` (bytes, both as a whole)."""
        found = self.of(sent)
        if not any(exchange.reply is not None and re.fullmatch(reply, exchange.reply, re.S) for exchange in found):
            raise Failed(f"no packet {sent} was answered with {reply}; there were:\n"
                         + "\n".join(map(str, found or self)))

    def __str__(self):
        return "\n".join(map(str, self))


def undo_escapes(data):
    """Payload of a packet of the client."""
    return re.sub(rb"\}(.)", lambda match: bytes([match[1][0] ^ ESCAPE_XOR]), data, flags=re.S)


def expand(data):
    """Payload of a packet of the stub: runs expanded, escapes undone."""
    out = bytearray()
    at = 0
    while at < len(data):
        byte = data[at]
        if byte == ESCAPE:
            out.append(data[at + 1] ^ ESCAPE_XOR)
            at += 2
        elif byte == ord("*"):
            out += out[-1:] * (data[at + 1] - RUN_BIAS)
            at += 2
        else:
            out.append(byte)
            at += 1
    return bytes(out)


def _paired(events):
    """Packets of ("sent" or "read", payload as on the wire)."""
    packets = Packets()
    for direction, payload in events:
        if direction == "sent":
            packets.append(Exchange(undo_escapes(payload)))
        elif packets and packets[-1].reply is None:
            packets[-1].reply, packets[-1].wire = expand(payload), payload
    return packets


def _gdb_bytes(text):
    """A line of gdb's log without its escapes (gdb's serial_logchar)."""
    text = re.sub(r"<(Timeout: \d+ seconds|Eof|Error|Break)>", "", text)
    return re.sub(rb"\\(?:x([0-9a-f]{2})|(.))",
                  lambda match: bytes([int(match[1], 16) if match[1] else GDB_LETTERS[match[2].decode()]]),
                  text.encode("latin-1"))


def _gdb_events(log):
    """A packet may be cut by a line's end when the other side speaks in between; each side is a stream of its own."""
    rest = {"w": b"", "r": b""}
    for line in log.splitlines():
        if line[:2] not in ("w ", "r "):
            continue
        side = line[0]
        rest[side] += _gdb_bytes(line[2:])
        while match := re.search(rb"\$([^#]*)#[0-9a-f]{2}", rest[side]):
            rest[side] = rest[side][match.end():]
            yield "sent" if side == "w" else "read", match[1]


def _lldb_events(log):
    """A line has how many bytes were on the wire; a payload that is no text is written as hex digits."""
    for match in re.finditer(r"<\s*(\d+)> (send|read) packet: \$", log):
        length = int(match[1])
        text = log[match.end():match.end() + length - 1]
        if re.fullmatch(r"(?s)[^#]*#[0-9a-f]{2}", text):
            payload = text[:-3].encode("latin-1")
        else:
            digits = re.match(r"[0-9a-f]*", log[match.end():])[0]
            payload = bytes.fromhex(digits[:2 * (length - 4)])
        yield "sent" if match[2] == "send" else "read", payload


def _caught(command):
    """The command, its error only told: gdb 13 ends its log at the first error that reaches its prompt."""
    return f"python\ntry: gdb.execute({command!r})\nexcept gdb.error as error: print(error)"


def gdb_packets(commands, program=None, timeout=120, remote_files=False):
    """gdb_batch(), and what went over the wire: of the last connection, as gdb begins its log anew with each. The
    Transcript has the commands given, and no others. With remote_files the image comes through the connection, too."""
    with tempfile.TemporaryDirectory() as directory:
        log = pathlib.Path(directory, "log")
        settings = [f"set remotelogfile {log}", *([] if remote_files else [LOCAL_FILES])]
        said = gdb_batch([*settings, *map(_caught, commands)], program, timeout=timeout)
        del said[:len(settings)]
        return said, _paired(_gdb_events(log.read_text(encoding="latin-1")))


def lldb_packets(commands, program=None, on_crash=(), timeout=120):
    """The same of lldb_batch()."""
    with tempfile.TemporaryDirectory() as directory:
        log = pathlib.Path(directory, "log")
        said = lldb_batch([f"log enable -f {log} gdb-remote packets", *commands], program, on_crash=on_crash,
                          timeout=timeout)
        return said, _paired(_lldb_events(log.read_text(encoding="latin-1")))
