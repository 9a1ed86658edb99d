/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packet text to requests. */
#include "gdbstub/request.h"
#include "gdbstub/signals.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The request borrows from it. An allocation of the exact size, so that a sanitizer sees every byte read beyond. */
static uint8_t *packet;

static struct hs_request decode_bytes(const char *text, size_t length)
{
	struct hs_request request;

	free(packet);
	packet = malloc(length ? length : 1);
	assert_non_null(packet);
	memcpy(packet, text, length);
	hs_request_decode(packet, length, &request);
	return request;
}

static struct hs_request decode(const char *text)
{
	return decode_bytes(text, strlen(text));
}

static void expect_kind(const char *text, enum hs_request_kind kind)
{
	enum hs_request_kind got = decode(text).kind;

	if (got != kind) {
		fail_msg("'%s' is kind %d, not %d", text, got, kind);
	}
}

/* A word each is no reason for a line each. */
/* clang-format off */
static const char *const unknown_packets[] = {
	"Z5,10,1", "Zx,10,1",
	"", "vMustReplyEmpty", "QTinit", "Qfoo", "i", "qXfer:nonsense:read::0,1", "gfoo",
	"vContinue", "qXfer:features:write:a:0:b", "\x80\xff", "qSupportedx", "bs", "bc", "jThreadsInfo:",
	"vFile:unlink:2f", "kx", "?x",
};
/* clang-format on */

static void test_decode_unknown_packets_are_unknown(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(unknown_packets) / sizeof(unknown_packets[0]); i++) {
		expect_kind(unknown_packets[i], HS_REQUEST_UNKNOWN);
	}
}

/* A word each is no reason for a line each. */
/* clang-format off */
static const char *const malformed_packets[] = {
	"m", "m,", "mzz,4", "m10", "m10,", "m10,4x", "m11112222333344445,4", "M10,4:", "M10,2:zzzz", "M10,2:123",
	"M10,1:1234", "M10,4", "X10,4:abc", "X10,1:}", "p", "pxyz", "p1;", "p1;thread:2;", "P1", "P1=1", "P1=zz",
	"Gx", "G123", "Z0", "Z0,10", "Z0,10,1;X2,22", "z0,,1", "H", "Hx1", "Hg", "Hg1x", "T",
	"Tzz", "C", "Czz", "C05;", "C05;zz", "Cff", "cxyz", "sxyz", "vCont", "vCont;", "vCont;x", "vCont;c;y",
	"vCont;Cff", "vCont;r10", "vCont;r20,10", "vCont;c:zz", "vCont:c", "vCont;cx", "D;", "D;zz", "vKill",
	"vKill;x", "vAttach;", "qXfer:features:read:target.xml", "qXfer:features:read:target.xml:0",
	"qXfer:features:read:target.xml:0,zz", "qRcmd,1", "qRcmd,zz", "vFile:open:2f,0", "vFile:open:2,0,0",
	"vFile:pread:1,2", "vFile:close:", "vFile:fstat:x", "qThreadExtraInfo,", "qRegisterInfo",
	"qRegisterInfozz", "p-1", "m-1,4", "qCRC:0", "qCRC:0,zz", "qSearch:memory:0;1", "qSearch:memory:0;1;",
	"qSearch:memory:0,1;a", "qSearch:memory:0;1;}", "qMemoryRegionInfo:", "Qqemu.PhyMemMode:", "QNonStop:x",
};
/* clang-format on */

static void test_decode_malformed_arguments_are_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(malformed_packets) / sizeof(malformed_packets[0]); i++) {
		expect_kind(malformed_packets[i], HS_REQUEST_MALFORMED);
	}
}

static void test_decode_memory_requests_carry_address_length_data(void **state)
{
	struct hs_request request;

	(void)state;
	request = decode("mffffffff80001000,200");
	assert_int_equal(request.kind, HS_REQUEST_MEM_READ);
	assert_int_equal(request.mem.gva.v, 0xffffffff80001000);
	assert_int_equal(request.mem.length, 0x200);
	request = decode("M10,3:00fFa5");
	assert_int_equal(request.kind, HS_REQUEST_MEM_WRITE);
	assert_int_equal(request.mem.data.length, 3);
	assert_memory_equal(request.mem.data.data, "\x00\xff\xa5", 3);
	request = decode_bytes("X10,4:a\0}\x03{", 11);
	assert_int_equal(request.kind, HS_REQUEST_MEM_WRITE);
	assert_memory_equal(request.mem.data.data, "a\0#{", 4);
}

static void test_decode_register_requests_take_lldbs_thread_suffix(void **state)
{
	struct hs_request request;

	(void)state;
	request = decode("p10");
	assert_int_equal(request.kind, HS_REQUEST_REG_READ);
	assert_int_equal(request.reg.number, 16);
	assert_int_equal(decode("p10;thread:0001;").reg.number, 16);
	request = decode("P1f=0102;thread:1;");
	assert_int_equal(request.kind, HS_REQUEST_REG_WRITE);
	assert_int_equal(request.reg.value.length, 2);
	assert_int_equal(decode("g;thread:1;").kind, HS_REQUEST_REGS_READ);
	assert_int_equal(decode("G00;thread:1;").kind, HS_REQUEST_REGS_WRITE);
	assert_int_equal(decode("p80000000").reg.number, 0x80000000);
}

static void test_decode_resume_actions(void **state)
{
	const struct hs_action *actions;
	struct hs_request request;

	(void)state;
	request = decode("vCont;s:1;C0b:p3.-1;c");
	actions = request.resume.actions;
	assert_int_equal(request.kind, HS_REQUEST_RESUME);
	assert_int_equal(request.resume.count, 3);
	assert_int_equal(actions[0].how.kind, HS_RESUME_STEP);
	assert_int_equal(actions[0].id.process, HS_ID_ANY);
	assert_int_equal(actions[0].id.thread, 1);
	assert_int_equal(actions[1].how.kind, HS_RESUME_CONTINUE);
	assert_int_equal(actions[1].how.signal, SIGSEGV);
	assert_int_equal(actions[1].id.process, 3);
	assert_int_equal(actions[1].id.thread, HS_ID_ALL);
	assert_int_equal(actions[2].how.signal, 0);
	assert_int_equal(actions[2].id.thread, HS_ID_ALL);
	request = decode("vCont;r401000,40100a:p1.1;c:-1");
	assert_int_equal(request.resume.actions[0].how.kind, HS_RESUME_RANGE);
	assert_int_equal(request.resume.actions[0].how.range_start.v, 0x401000);
	assert_int_equal(request.resume.actions[0].how.range_length, 10);
	assert_int_equal(decode("vCont;r401000,401000:1").resume.actions[0].how.kind, HS_RESUME_STEP);
	assert_true(decode("vCont;t").resume.actions[0].nothing);
	request = decode("S0a;1234");
	assert_int_equal(request.resume.actions[0].how.kind, HS_RESUME_STEP);
	assert_int_equal(request.resume.actions[0].how.signal, SIGBUS);
	assert_int_equal(request.resume.count, 1);
	assert_true(request.resume.at_given);
	assert_int_equal(request.resume.at.v, 0x1234);
	assert_false(decode("c").resume.at_given);
}

static void test_decode_more_actions_than_count_are_still_read(void **state)
{
	(void)state;
	assert_int_equal(decode("vCont;c;c;c;c;c;c;c;c;c;c;c;c;c;c;c;c;c;c").resume.count, HS_ACTIONS_MAX);
	assert_int_equal(decode("vCont;c;c;c;c;c;c;c;c;c;c;c;c;c;c;c;c;c;q").kind, HS_REQUEST_MALFORMED);
}

static void assert_thread(const char *text, uint32_t process, uint32_t thread)
{
	struct hs_request request = decode(text);

	assert_int_equal(request.kind, HS_REQUEST_THREAD_ALIVE);
	assert_int_equal(request.id.process, process);
	assert_int_equal(request.id.thread, thread);
}

static void test_decode_thread_names(void **state)
{
	(void)state;
	assert_thread("T0", HS_ID_ANY, HS_ID_ANY);
	assert_thread("T-1", HS_ID_ANY, HS_ID_ALL);
	assert_thread("T1f", HS_ID_ANY, 0x1f);
	assert_thread("Tp1.1", 1, 1);
	assert_thread("Tp2a.-1", 0x2a, HS_ID_ALL);
	assert_thread("Tp-1", HS_ID_ALL, HS_ID_ALL);
	assert_thread("Tp3", 3, HS_ID_ALL);
	assert_thread("Tp0.0", HS_ID_ANY, HS_ID_ANY);
	/* What would be all, or another, if it were cut off. */
	assert_thread("Tpffffffff.100000001", HS_ID_NONE, HS_ID_NONE);
	assert_thread("Tpfffffffe.fffffffd", HS_ID_NONE, 0xfffffffd);
	assert_true(decode("Hgp2.1").select.general);
	assert_int_equal(decode("Hgp2.1").select.id.process, 2);
	assert_false(decode("Hc-1").select.general);
	assert_int_equal(decode("Hc-1").select.id.thread, HS_ID_ALL);
}

static void test_decode_thread_names_that_are_none_are_malformed(void **state)
{
	static const char *const texts[] = { "T",     "Tp",  "Tp.", "Tp1.", "Tp.1",       "Tp1.1.1", "T1.1", "T-2",
					     "Tp1,1", "T1 ", "Hx1", "Hg",   "vAttach;p1", "vKill;",  "D;p1", "D;1;" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(decode(texts[i]).kind, HS_REQUEST_MALFORMED);
	}
}

static void test_decode_process_names(void **state)
{
	(void)state;
	assert_int_equal(decode("D").id.process, HS_ID_ANY);
	assert_int_equal(decode("D;3").id.process, 3);
	assert_int_equal(decode("vAttach;2a").id.process, 0x2a);
	assert_int_equal(decode("vKill;a410").id.process, 42000);
	assert_int_equal(decode("vAttach;100000001").id.process, HS_ID_NONE);
}

static void test_decode_breakpoints(void **state)
{
	struct hs_request request;

	(void)state;
	request = decode("Z0,401000,1");
	assert_int_equal(request.kind, HS_REQUEST_BREAK_INSERT);
	assert_int_equal(request.breakpoint.kind, HS_BREAK_SOFTWARE);
	assert_int_equal(request.breakpoint.length, 1);
	request = decode("z3,0,8");
	assert_int_equal(request.kind, HS_REQUEST_BREAK_REMOVE);
	assert_int_equal(request.breakpoint.kind, HS_WATCH_READ);
	assert_int_equal(request.breakpoint.gva.v, 0);
	assert_int_equal(request.breakpoint.length, 8);
}

static void test_decode_any_bytes_end_in_some_request(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		static const char first[] = "mMxXgGpPvcsCSZzHTDRqQk?!_";
		char text[64];
		size_t length;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		length = seed >> 32 & 63;
		for (size_t i = 0; i < length; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			text[i] = (char)(seed >> 40);
		}
		if (length > 0) {
			text[0] = first[seed >> 50 & 15];
		}
		assert_true(decode_bytes(text, length).kind < HS_REQUEST_KIND_COUNT);
	}
}

static void test_signals_follow_gdbs_numbers(void **state)
{
	(void)state;
	assert_int_equal(hs_signal_to_gdb(0), 0);
	assert_int_equal(hs_signal_to_gdb(SIGSEGV), 11);
	assert_int_equal(hs_signal_to_gdb(SIGBUS), 10);
	assert_int_equal(hs_signal_to_gdb(SIGFPE), 8);
	assert_int_equal(hs_signal_to_gdb(SIGSYS), 12);
	assert_int_equal(hs_signal_to_gdb(SIGXCPU), 24);
	assert_int_equal(hs_signal_to_gdb(SIGUSR1), 30);
	assert_int_equal(hs_signal_to_gdb(SIGSTOP), 17);
	assert_int_equal(hs_signal_to_gdb(SIGCHLD), 20);
	assert_int_equal(hs_signal_to_gdb(SIGIO), 23);
	assert_int_equal(hs_signal_to_gdb(34), 46);
	assert_int_equal(hs_signal_to_gdb(63), 75);
	assert_int_equal(hs_signal_to_gdb(64), 78);
	assert_int_equal(hs_signal_to_gdb(16), 143);
	assert_int_equal(hs_signal_to_gdb(-1), 143);
	assert_int_equal(hs_signal_to_gdb(1000), 143);
	for (int i = 0; i <= 64; i++) {
		int gdb = hs_signal_to_gdb(i);

		assert_int_equal(hs_signal_from_gdb(gdb), gdb == 143 ? -1 : i);
	}
}

static int free_packet(void **state)
{
	(void)state;
	free(packet);
	packet = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_unknown_packets_are_unknown),
		cmocka_unit_test(test_decode_malformed_arguments_are_malformed),
		cmocka_unit_test(test_decode_memory_requests_carry_address_length_data),
		cmocka_unit_test(test_decode_register_requests_take_lldbs_thread_suffix),
		cmocka_unit_test(test_decode_resume_actions),
		cmocka_unit_test(test_decode_more_actions_than_count_are_still_read),
		cmocka_unit_test(test_decode_thread_names),
		cmocka_unit_test(test_decode_thread_names_that_are_none_are_malformed),
		cmocka_unit_test(test_decode_process_names),
		cmocka_unit_test(test_decode_breakpoints),
		cmocka_unit_test(test_decode_any_bytes_end_in_some_request),
		cmocka_unit_test(test_signals_follow_gdbs_numbers),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, free_packet);
}
