/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * functions [unready|fail|call]: functions for the host to call, one for each thing that a call can be or can do. With
 * an argument it first, before it is ready, fails to be, or calls the host itself.
 */
#include <hindsight/guest.h>

#define ECHO(name, letter)                                                                                             \
	HS_GUEST_FUNCTION(name, letter "(" letter ")")                                                                 \
	{                                                                                                              \
		*ret = args[0];                                                                                        \
	}

ECHO(echo_int, "i")
ECHO(echo_uint, "u")
ECHO(echo_long, "I")
ECHO(echo_ulong, "U")
ECHO(echo_float, "f")
ECHO(echo_double, "d")
ECHO(echo_bool, "b")
ECHO(echo_string, "s")
ECHO(echo_bytes, "y")

HS_GUEST_FUNCTION(nothing, "v()")
{
}

HS_GUEST_FUNCTION(add, "i(ii)")
{
	ret->i = (int32_t)(args[0].u + args[1].u);
}

/* All sixteen of them. */
HS_GUEST_FUNCTION(sum, "I(iiiiiiiiiiiiiiii)")
{
	ret->l = 0;
	for (size_t i = 0; i < count; i++) {
		ret->l += args[i].i;
	}
}

HS_GUEST_FUNCTION(sum_bytes, "U(y)")
{
	const uint8_t *bytes = args[0].bytes.data;

	ret->ul = 0;
	for (size_t i = 0; i < args[0].bytes.length; i++) {
		ret->ul += bytes[i];
	}
}

static uint64_t calls;

/* How many calls there were of it: what a restore takes back. */
HS_GUEST_FUNCTION(counter, "U()")
{
	ret->ul = ++calls;
}

/* A word of those at the top of scratch memory, so far below its end. */
HS_GUEST_FUNCTION(bookkeeping, "U(u)")
{
	const struct hs_abi_boot *boot = hs_boot_info();

	ret->ul = *(const volatile uint64_t *)(uintptr_t)(boot->scratch_start + boot->scratch_length - args[0].u);
}

/* What is on the stack of the function and in its arguments is there after it has called the host. */
HS_GUEST_FUNCTION(call_back, "s(si)")
{
	static char text[128];
	struct hs_value answer;
	const uint32_t code = hs_call_host(args[0].bytes.data, &args[1], 1, &answer);

	if (code) {
		hs_fail("%s failed with %u: %s", (const char *)args[0].bytes.data, code,
			(const char *)answer.bytes.data);
		return;
	}
	hs_snprintf(text, sizeof(text), "%s(%d) is %d", (const char *)args[0].bytes.data, args[1].i, answer.i);
	*ret = (struct hs_value){ HS_TYPE_STRING, .bytes = { text, strlen(text) } };
}

/* A function of the host that gives its argument back, which is still there then. */
HS_GUEST_FUNCTION(through_host, "y(sy)")
{
	static uint8_t *copy;
	struct hs_value answer;

	if (hs_call_host(args[0].bytes.data, &args[1], 1, &answer)) {
		hs_fail("%s", (const char *)answer.bytes.data);
		return;
	}
	if (answer.bytes.length != args[1].bytes.length ||
	    memcmp(answer.bytes.data, args[1].bytes.data, answer.bytes.length) != 0) {
		hs_fail("the host gives something else back");
		return;
	}
	hs_free(copy);
	copy = hs_malloc(answer.bytes.length + 1);
	memcpy(copy, answer.bytes.data, answer.bytes.length);
	*ret = (struct hs_value){ HS_TYPE_BYTES, .bytes = { copy, answer.bytes.length } };
}

/* The host is called from deep down, once in each frame; each finds its own answer. */
static int32_t recurse(const char *name, int32_t depth)
{
	struct hs_value argument = { HS_TYPE_INT, .i = depth };
	struct hs_value answer;

	if (depth == 0) {
		return 0;
	}
	if (hs_call_host(name, &argument, 1, &answer)) {
		hs_abort("the host does not answer");
	}
	const int32_t own = answer.i;
	return recurse(name, depth - 1) + own;
}

HS_GUEST_FUNCTION(recurse_host, "i(si)")
{
	ret->i = recurse(args[0].bytes.data, args[1].i);
}

__attribute__((noinline)) static uint32_t descend(uint32_t depth)
{
	volatile uint32_t room[8] = { depth };

	return depth == 0 ? 0 : descend(depth - 1) + 1 + (room[0] - depth);
}

HS_GUEST_FUNCTION(deep_stack, "u(u)")
{
	ret->u = descend(args[0].u);
}

HS_GUEST_FUNCTION(fail, "i(s)")
{
	ret->i = 1;
	hs_fail("%s", (const char *)args[0].bytes.data);
}

HS_GUEST_FUNCTION(abort_in_call, "v(s)")
{
	hs_abort(args[0].bytes.data);
}

HS_GUEST_FUNCTION(fault_in_call, "v(U)")
{
	*(volatile uint8_t *)(uintptr_t)args[0].ul = 1;
}

HS_GUEST_FUNCTION(exit_in_call, "v(i)")
{
	hs_exit(args[0].i);
}

HS_GUEST_FUNCTION(hang, "v()")
{
	for (;;) {
		__asm__ volatile("pause");
	}
}

HS_GUEST_FUNCTION(write_log, "v(us)")
{
	hs_log(args[0].u, "%s", (const char *)args[1].bytes.data);
}

HS_GUEST_FUNCTION(print, "v(s)")
{
	hs_write(args[0].bytes.data, args[0].bytes.length);
}

HS_GUEST_FUNCTION(wrong_type, "i()")
{
	*ret = (struct hs_value){ HS_TYPE_BOOL, .b = true };
}

HS_GUEST_FUNCTION(nul_in_string, "s()")
{
	*ret = (struct hs_value){ HS_TYPE_STRING, .bytes = { "a\0b", 3 } };
}

/* More than the output buffer takes, at some time. */
HS_GUEST_FUNCTION(big_result, "y(u)")
{
	static uint8_t *block;

	hs_free(block);
	block = hs_malloc(args[0].u);
	if (block == NULL) {
		hs_fail("no room in the heap for %u bytes", args[0].u);
		return;
	}
	memset(block, 0x5A, args[0].u);
	*ret = (struct hs_value){ HS_TYPE_BYTES, .bytes = { block, args[0].u } };
}

int main(int argc, char **argv)
{
	const char *const word = argc > 1 ? argv[1] : "";

	if (strcmp(word, "unready") == 0) {
		return 3;
	}
	if (strcmp(word, "fail") == 0) {
		hs_abort("not ready");
	}
	if (strcmp(word, "call") == 0) {
		struct hs_value argument = { HS_TYPE_INT, .i = 1 };
		struct hs_value answer;

		calls = hs_call_host("early", &argument, 1, &answer) ? 1000 : 100;
	}
	hs_guest_serve();
}
