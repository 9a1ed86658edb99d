/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pushes, pops, calls, returns, frames and gates. */
#include "restart_rows.h"

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static size_t add(struct row *rows, size_t at, size_t room, const struct row *more, size_t count)
{
	size_t taken = count < room - at ? count : room - at;

	memcpy(rows + at, more, taken * sizeof(*rows));
	return at + taken;
}

static size_t add_pushes(struct row *rows, size_t at, size_t room)
{
	const struct access src = { .place = SRC, .is_used = true };
	const struct row more[] = {
		{ EACH("push rax", "push eax"), .accesses = { PUSH(1) } },
		{ EACH("push rsp", "push esp"), .accesses = { PUSH(1) } },
		{ BOTH("push 0x12345678"), .accesses = { PUSH(1) } },
		{ BOTH("push ax"), .accesses = { WRITE(STK, -2, 2) } },
		{ EACH("push qword ptr [rsi]", "push dword ptr [esi]"), .accesses = { src, PUSH(1) } },
		{ EACH("push qword ptr [rsp]", "push dword ptr [esp]"), .accesses = { POP(1), PUSH(1) } },
		{ ONLY_64("push fs"), .accesses = { PUSH(1) } },
		/* Two bytes or four (vol. 2B, PUSH): so the border does not go through them. */
		{ ONLY_32("push fs"), .align = 4, .accesses = { PUSH(1) } },
		{ EACH("pushfq", "pushfd"), .accesses = { PUSH(1) } },
		{ ONLY_32("pushad"),
		  .accesses = { PUSH(1), PUSH(2), PUSH(3), PUSH(4), PUSH(5), PUSH(6), PUSH(7), PUSH(8) } },
		{ NAMED("call", CODE64("call 3f\n 3:"), CODE32("call 3f\n 3:")), .accesses = { PUSH(1) } },
		{ EACH("call qword ptr [rsi]", "call dword ptr [esi]"), .accesses = { src, PUSH(1) },
		  .pokes = { { SRC, 0, 0, 0, POKE_TARGET } } },
	};

	return add(rows, at, room, more, COUNT_OF(more));
}

static size_t add_pops(struct row *rows, size_t at, size_t room)
{
	const struct access dst = { .place = DST, .is_write = true, .is_used = true };
	const struct row more[] = {
		{ EACH("pop rax", "pop eax"), .accesses = { POP(1) } },
		{ EACH("pop rsp", "pop esp"), .accesses = { POP(1) } },
		{ BOTH("pop ax"), .accesses = { READ(STK, 0, 2) } },
		{ EACH("pop qword ptr [rdi]", "pop dword ptr [edi]"), .accesses = { POP(1), dst } },
		/* The address is computed with the stack pointer behind the pop. */
		{ EACH("pop qword ptr [rsp + 8]", "pop dword ptr [esp + 4]"),
		  .accesses = { POP(1), { .place = STK, .words = 2, .is_write = true, .is_used = true } } },
		{ BOTH("pop fs"), .accesses = { READ(STK, 0, 2) }, .pokes = { { STK, 0, 0, 0, POKE_DATA } } },
		{ EACH("popfq", "popfd"), .accesses = { POP(1) }, .pokes = { { STK, 0, 0, 0, POKE_FLAGS } } },
		{ ONLY_32("popad"), .accesses = { READ(STK, 0, 32) } },
		{ BOTH("ret"), .accesses = { POP(1) }, .pokes = { { STK, 0, 0, 0, POKE_TARGET } } },
		{ BOTH("ret 0x20"), .accesses = { POP(1) }, .pokes = { { STK, 0, 0, 0, POKE_TARGET } } },
	};

	return add(rows, at, room, more, COUNT_OF(more));
}

/* enter: the last write is the test of the new stack pointer (vol. 2A, ENTER, "Protected Mode Exceptions"). */
static size_t add_frames(struct row *rows, size_t at, size_t room)
{
	const struct access frame_1 = { .place = SRC, .words = -1, .is_used = true };
	const struct access frame_2 = { .place = SRC, .words = -2, .is_used = true };
	const struct access frame_3 = { .place = SRC, .words = -3, .is_used = true };
	const struct row more[] = {
		{ BOTH("enter 0, 0"), .any_order = true, .accesses = { PUSH(1) } },
		{ BOTH("enter 0, 1"), .any_order = true, .accesses = { PUSH(1), PUSH(2) } },
		{ BOTH("enter 0, 4"), .any_order = true,
		  .accesses = { PUSH(1), frame_1, PUSH(2), frame_2, PUSH(3), frame_3, PUSH(4), PUSH(5) } },
		{ BOTH("enter 16, 2"), .any_order = true,
		  .accesses = { PUSH(1),
				frame_1,
				PUSH(2),
				PUSH(3),
				{ .place = STK, .offset = -16, .words = -3, .is_write = true, .is_used = true } } },
		{ BOTH("leave"), .accesses = { { .place = SRC, .is_used = true } } },
	};

	return add(rows, at, room, more, COUNT_OF(more));
}

/* Far transfers have no spelling that gcc and clang share. With REX.W in 64-bit mode, so that offsets have 64 bits. */
#define RETF_64 CODE64(".byte 0x48, 0xCB")
#define RETF_32 CODE32(".byte 0xCB")
#define RETF_8_64 CODE64(".byte 0x48, 0xCA, 8, 0")
#define RETF_8_32 CODE32(".byte 0xCA, 8, 0")
#define FAR_CALL_64 CODE64(".byte 0x48, 0xFF, 0x1E") /* [rsi] */
#define FAR_CALL_32 CODE32(".byte 0xFF, 0x1E")
#define FAR_JMP_64 CODE64(".byte 0x48, 0xFF, 0x2E")
#define FAR_JMP_32 CODE32(".byte 0xFF, 0x2E")

#define RETURN_FRAME_SAME                                                                                              \
	{ STK, 0, 0, 0, POKE_TARGET },                                                                                 \
	{                                                                                                              \
		STK, 0, 1, 0, POKE_CODE                                                                                \
	}
#define RETURN_FRAME_USER                                                                                              \
	{ STK, 0, 0, 0, POKE_TARGET },                                                                                 \
	{                                                                                                              \
		STK, 0, 1, 0, POKE_USER_CODE                                                                           \
	}

static size_t add_far_returns(struct row *rows, size_t at, size_t room)
{
	const struct row more[] = {
		{ NAMED("retf", RETF_64, RETF_32), .accesses = { POP(1), POP(2) }, .pokes = { RETURN_FRAME_SAME } },
		{ NAMED("retf 8, to ring 3", RETF_8_64, RETF_8_32), .cpls = CPL_0 | CPL_1,
		  .accesses = { POP(1),
				POP(2),
				{ .place = STK, .offset = 8, .words = 2, .is_used = true },
				{ .place = STK, .offset = 8, .words = 3, .is_used = true } },
		  .pokes = { RETURN_FRAME_USER, { STK, 8, 2, 0, POKE_STACK }, { STK, 8, 3, 0, POKE_USER_DATA } } },
		{ ONLY_32("iretd"), .accesses = { POP(1), POP(2), POP(3) },
		  .pokes = { RETURN_FRAME_SAME, { STK, 0, 2, 0, POKE_FLAGS } } },
		{ ONLY_64("iretq"), .accesses = { POP(1), POP(2), POP(3), POP(4), POP(5) },
		  .pokes = { RETURN_FRAME_SAME,
			     { STK, 0, 2, 0, POKE_FLAGS },
			     { STK, 0, 3, 0, POKE_STACK },
			     { STK, 0, 4, 0, POKE_DATA } } },
		{ NAMED("iret, to ring 3", CODE64("iretq"), CODE32("iretd")), .cpls = CPL_0 | CPL_1,
		  .accesses = { POP(1), POP(2), POP(3), POP(4), POP(5) },
		  .pokes = { RETURN_FRAME_USER,
			     { STK, 0, 2, 0, POKE_FLAGS },
			     { STK, 0, 3, 0, POKE_STACK },
			     { STK, 0, 4, 0, POKE_USER_DATA } } },
	};

	return add(rows, at, room, more, COUNT_OF(more));
}

/* Gates from ring 3 to ring 1, whose stack is not there. In 64-bit mode int aligns the stack to 16 bytes. */
static size_t add_gates(struct row *rows, size_t at, size_t room)
{
	const struct row more[] = {
		{ BOTH("int 0x90"), .cpls = CPL_3, .align = 16, .to_ring_1 = true,
		  .accesses = { PUSH(1), PUSH(2), PUSH(3), PUSH(4), PUSH(5) } },
		{ NAMED("call gate to ring 1", FAR_CALL_64, FAR_CALL_32), .cpls = CPL_3, .to_ring_1 = true,
		  .accesses = { { .place = SRC, .is_used = true },
				{ .place = SRC, .words = 1, .size = 2, .is_used = true },
				PUSH(1),
				PUSH(2),
				PUSH(3),
				PUSH(4) },
		  .pokes = { { SRC, 0, 1, 2, POKE_GATE } } },
		{ NAMED("far call", FAR_CALL_64, FAR_CALL_32),
		  .accesses = { { .place = SRC, .is_used = true },
				{ .place = SRC, .words = 1, .size = 2, .is_used = true },
				PUSH(1),
				PUSH(2) },
		  .pokes = { { SRC, 0, 0, 0, POKE_TARGET }, { SRC, 0, 1, 2, POKE_CODE } } },
		{ NAMED("far jmp", FAR_JMP_64, FAR_JMP_32),
		  .accesses = { { .place = SRC, .is_used = true },
				{ .place = SRC, .words = 1, .size = 2, .is_used = true } },
		  .pokes = { { SRC, 0, 0, 0, POKE_TARGET }, { SRC, 0, 1, 2, POKE_CODE } } },
	};

	return add(rows, at, room, more, COUNT_OF(more));
}

size_t restart_stack_rows(struct row *rows, size_t room)
{
	size_t count = add_pushes(rows, 0, room);

	count = add_pops(rows, count, room);
	count = add_frames(rows, count, room);
	count = add_far_returns(rows, count, room);
	return add_gates(rows, count, room);
}
