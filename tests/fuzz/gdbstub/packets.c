/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "packets.h"

#include "lib/random.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* '@' stands for an address of data, '%' for one of code. */
static const char *const texts[] = {
	"qSupported:multiprocess+;swbreak+;hwbreak+;binary-upload+;error-message+;vContSupported+;QThreadEvents+",
	"QStartNoAckMode",
	"!",
	"?",
	"g",
	"G00",
	"G0011223344556677",
	"p10",
	"p0",
	"p80000000",
	"p-1",
	"p1;thread:1;",
	"P1=1122334455667788",
	"P10=0000000000000000",
	"P18=00",
	"m@,100",
	"m@,8",
	"m0,ffffffffffffffff",
	"x@,ffff",
	"x@,0",
	"M@,4:00112233",
	"X@,3:abc",
	"X@,0:",
	"X@,2:}\x03{",
	"Z0,%,1",
	"Z0,%,1;X3,220127",
	"Z0,%,1;X3,220027",
	"Z0,%,1;X7,26000022031327X3,220027;cmds:1,X14,26000022002200340100086e20256c645c6e0027",
	"Z0,%,1;cmds:0,X3,220127",
	"Z1,%,1",
	"Z2,@,4",
	"Z3,@,8",
	"Z4,@,1",
	"z0,%,1",
	"z1,%,1",
	"z2,@,4",
	"z4,@,1",
	"vCont;c",
	"vCont;c:p1.1",
	"vCont;s:1;c",
	"vCont;r%,%:1",
	"vCont;t",
	"vCont;S05:1;c",
	"vCont?",
	"c",
	"s",
	"s%",
	"C0b;%",
	"C05",
	"S00",
	"bs",
	"bc",
	"D",
	"D;1",
	"k",
	"vKill;1",
	"vAttach;1",
	"vRun;",
	"R00",
	"vCtrlC",
	"vStopped",
	"vMustReplyEmpty",
	"QNonStop:0",
	"Hg0",
	"Hgp1.1",
	"Hc-1",
	"T1",
	"Tp1.1",
	"qC",
	"qfThreadInfo",
	"qsThreadInfo",
	"qThreadExtraInfo,1",
	"qAttached",
	"qAttached:1",
	"qTStatus",
	"qSymbol::",
	"qOffsets",
	"qCRC:@,100",
	"qSearch:memory:@;1000;abc",
	"qXfer:features:read:target.xml:0,fff",
	"qXfer:memory-map:read::0,fff",
	"qXfer:threads:read::0,fff",
	"qXfer:osdata:read:processes:0,fff",
	"qXfer:osdata:read::0,fff",
	"qXfer:siginfo:read::0,80",
	"qXfer:siginfo:write::0:00",
	"qXfer:auxv:read::8,fff",
	"qXfer:exec-file:read::0,fff",
	"qXfer:exec-file:read:1:0,fff",
	"qXfer:libraries-svr4:read::0,fff",
	"vFile:setfs:0",
	"vFile:open:2f6775657374,0,0",
	"vFile:open:2f6574632f706173737764,0,0",
	"vFile:pread:0,1000,0",
	"vFile:pread:0,ffffffffffffffff,ffffffffffffffff",
	"vFile:fstat:0",
	"vFile:close:0",
	"vFile:readlink:2f6775657374",
	"qRcmd,68656c70",
	"qRcmd,6563686f2061",
	"qRcmd,696e666f",
	"qRcmd,77616c6b2030",
	"qRegisterInfo3",
	"QThreadSuffixSupported",
	"QListThreadsInStopReply",
	"QEnableErrorStrings",
	"qHostInfo",
	"qProcessInfo",
	"qGDBServerVersion",
	"qMemoryRegionInfo:@",
	"qMemoryRegionInfo:0",
	"jThreadsInfo",
	"jThreadExtendedInfo:{\"thread\":1}]",
	"_M10,rw",
	"_m@",
	"qThreadStopInfo1",
	"qqemu.PhyMemMode",
	"Qqemu.PhyMemMode:0",
	"Qqemu.PhyMemMode:1",
	"qqemu.Supported",
	"qTfP",
	"qXfer:libraries:read::0,fff",
	"QPassSignals:e;10",
	"QCatchSyscalls:0",
};

/* Numbers at edges, and what separates the parts of packets. */
static const char *const pieces[] = {
	"0",
	"1",
	"7fffffff",
	"80000000",
	"ffffffff",
	"100000000",
	"7fffffffffffffff",
	"8000000000000000",
	"-1",
	"-",
	"ffffffffffffffff",
	"10000000000000000",
	"fffffffffffffffffffff",
	"p",
	"p-1.-1",
	"p0.0",
	";",
	":",
	",",
	"=",
	"}",
	"{",
	"*",
	"}\x03",
	"#",
	"$",
	"\x03",
	";thread:",
	";X",
	";cmds:",
};

static size_t fill_in(const char *text, uint64_t data, uint64_t code, uint8_t *ret)
{
	char *to = (char *)ret;
	size_t length = 0;

	for (; *text; text++) {
		if (*text == '@' || *text == '%') {
			length +=
				(size_t)sprintf(to + length, "%llx", (unsigned long long)(*text == '@' ? data : code));
		} else {
			to[length++] = *text;
		}
	}
	return length;
}

size_t packet_any(uint64_t *random, uint64_t data, uint64_t code, uint8_t *ret)
{
	const char *text = texts[random_next(random) % COUNT(texts)];

	/* Somewhere in the data, and at any of the first instructions. */
	data += random_next(random) % 64;
	code += random_next(random) % 8;
	return fill_in(text, data, code, ret);
}

static size_t insert(uint8_t *payload, size_t length, size_t at, const void *bytes, size_t count)
{
	if (length + count > PACKET_ROOM) {
		return length;
	}
	memmove(payload + at + count, payload + at, length - at);
	memcpy(payload + at, bytes, count);
	return length + count;
}

/* The payload and a stretch of itself again. */
static size_t repeat(uint64_t *random, uint8_t *payload, size_t length)
{
	uint8_t copy[PACKET_ROOM];
	size_t from = random_next(random) % length;
	size_t count = random_next(random) % (length - from + 1);

	memcpy(copy, payload + from, count);
	return insert(payload, length, random_next(random) % (length + 1), copy, count);
}

static size_t spoil_once(uint64_t *random, uint8_t *payload, size_t length)
{
	const char *piece = pieces[random_next(random) % COUNT(pieces)];
	size_t at = random_next(random) % (length + 1);
	uint8_t other[PACKET_ROOM];
	uint8_t byte = (uint8_t)random_next(random);

	switch (random_next(random) % 8) {
	case 0:
		return at; /* cut off */
	case 1:
		return insert(payload, length, at, &byte, 1);
	case 2:
		return insert(payload, length, at, piece, strlen(piece));
	case 3:
		return insert(payload, at, at, piece, strlen(piece));
	case 4:
		return length ? repeat(random, payload, length) : 0;
	case 5:
		return insert(payload, at, at, other, packet_any(random, byte, byte, other));
	case 6:
		if (at < length) {
			payload[at] ^= (uint8_t)(1u << byte % 8);
		}
		return length;
	default:
		if (at < length) {
			payload[at] = byte;
		}
		return length;
	}
}

size_t packet_spoil(uint64_t *random, uint8_t *payload, size_t length)
{
	size_t times = 1 + random_next(random) % 3;

	while (times-- > 0) {
		length = spoil_once(random, payload, length);
	}
	return length;
}

size_t packet_frame(const uint8_t *payload, size_t length, uint8_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum = 0;

	ret[0] = '$';
	for (size_t i = 0; i < length; i++) {
		ret[1 + i] = payload[i];
		sum = (uint8_t)(sum + payload[i]);
	}
	ret[1 + length] = '#';
	ret[2 + length] = (uint8_t)digits[sum >> 4];
	ret[3 + length] = (uint8_t)digits[sum & 15];
	return length + 4;
}
