/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strings, and instructions that read, write or change one operand in memory. */
#include "restart_rows.h"

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static size_t add(struct row *rows, size_t at, size_t room, const struct row *more, size_t count)
{
	size_t taken = count < room - at ? count : room - at;

	memcpy(rows + at, more, taken * sizeof(*rows));
	return at + taken;
}

static size_t add_strings(struct row *rows, size_t at, size_t room)
{
	const struct row more[] = {
		{ BOTH("movsb"), .accesses = { READ(SRC, 0, 1), WRITE(DST, 0, 1) } },
		{ BOTH("movsw"), .accesses = { READ(SRC, 0, 2), WRITE(DST, 0, 2) } },
		{ BOTH("movsd"), .accesses = { READ(SRC, 0, 4), WRITE(DST, 0, 4) } },
		{ ONLY_64("movsq"), .accesses = { READ(SRC, 0, 8), WRITE(DST, 0, 8) } },
		{ BOTH("movsd"), .accesses = { READ(SRC, 0, 4), WRITE(DST, 0, 4) }, .backwards = true },
		{ BOTH("cmpsb"), .accesses = { READ(SRC, 0, 1), READ(DST, 0, 1) } },
		{ BOTH("cmpsd"), .accesses = { READ(SRC, 0, 4), READ(DST, 0, 4) } },
		{ ONLY_64("cmpsq"), .accesses = { READ(SRC, 0, 8), READ(DST, 0, 8) } },
		{ BOTH("scasw"), .accesses = { READ(DST, 0, 2) } },
		{ BOTH("scasd"), .accesses = { READ(DST, 0, 4) } },
		{ BOTH("lodsb"), .accesses = { READ(SRC, 0, 1) } },
		{ BOTH("lodsd"), .accesses = { READ(SRC, 0, 4) } },
		{ ONLY_64("lodsq"), .accesses = { READ(SRC, 0, 8) } },
		{ BOTH("stosb"), .accesses = { WRITE(DST, 0, 1) } },
		{ BOTH("stosw"), .accesses = { WRITE(DST, 0, 2) } },
		{ BOTH("stosd"), .accesses = { WRITE(DST, 0, 4) } },
		{ ONLY_64("stosq"), .accesses = { WRITE(DST, 0, 8) } },
	};

	return add(rows, at, room, more, COUNT_OF(more));
}

/* Each begins somewhat before the border and crosses it. */
static size_t add_repeated(struct row *rows, size_t at, size_t room)
{
	const struct row more[] = {
		{ BOTH("rep movsb"), .count = 9, .element = 1, .src = -3, .dst = -4,
		  .accesses = { READ(SRC, 0, 1), WRITE(DST, 0, 1) } },
		{ BOTH("rep movsw"), .count = 6, .element = 2, .src = -4, .dst = -5,
		  .accesses = { READ(SRC, 0, 2), WRITE(DST, 0, 2) } },
		{ BOTH("rep movsd"), .count = 5, .element = 4, .src = -8, .dst = -9,
		  .accesses = { READ(SRC, 0, 4), WRITE(DST, 0, 4) } },
		{ ONLY_64("rep movsq"), .count = 5, .element = 8, .src = -9, .dst = -16,
		  .accesses = { READ(SRC, 0, 8), WRITE(DST, 0, 8) } },
		{ BOTH("rep movsb"), .count = 9, .element = 1, .backwards = true, .src = 6, .dst = 4,
		  .accesses = { READ(SRC, 0, 1), WRITE(DST, 0, 1) } },
		{ BOTH("rep movsd"), .count = 5, .element = 4, .backwards = true, .src = 9, .dst = 8,
		  .accesses = { READ(SRC, 0, 4), WRITE(DST, 0, 4) } },
		{ BOTH("rep stosb"), .count = 9, .element = 1, .dst = -4, .accesses = { WRITE(DST, 0, 1) } },
		{ BOTH("rep stosd"), .count = 5, .element = 4, .dst = -7, .accesses = { WRITE(DST, 0, 4) } },
		{ BOTH("rep stosd"), .count = 5, .element = 4, .backwards = true, .dst = 7,
		  .accesses = { WRITE(DST, 0, 4) } },
		{ ONLY_64("rep stosq"), .count = 4, .element = 8, .dst = -16, .accesses = { WRITE(DST, 0, 8) } },
		{ BOTH("rep lodsb"), .count = 9, .element = 1, .src = -4, .accesses = { READ(SRC, 0, 1) } },
		{ BOTH("rep lodsd"), .count = 5, .element = 4, .src = -8, .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("repe cmpsb"), .same = true, .count = 9, .element = 1, .sets_flags = true, .src = -5, .dst = -5,
		  .accesses = { READ(SRC, 0, 1), READ(DST, 0, 1) } },
		{ BOTH("repne cmpsd"), .count = 5, .element = 4, .sets_flags = true, .src = -5, .dst = -10,
		  .accesses = { READ(SRC, 0, 4), READ(DST, 0, 4) } },
		{ BOTH("repne scasb"), .count = 9, .element = 1, .sets_flags = true, .dst = -4,
		  .accesses = { READ(DST, 0, 1) } },
		{ BOTH("repne scasd"), .count = 5, .element = 4, .sets_flags = true, .dst = -6,
		  .accesses = { READ(DST, 0, 4) } },
	};

	return add(rows, at, room, more, COUNT_OF(more));
}

static size_t add_reads(struct row *rows, size_t at, size_t room)
{
	const struct row more[] = {
		{ EACH("mov al, [rsi]", "mov al, [esi]"), .accesses = { READ(SRC, 0, 1) } },
		{ EACH("mov rax, [rsi]", "mov eax, [esi]"), .accesses = { { .place = SRC, .is_used = true } } },
		{ BOTH("mov eax, [ebp + 4]"), .accesses = { READ(SRC, 4, 4) } },
		{ BOTH("mov ax, [edi + 2]"), .accesses = { READ(DST, 2, 2) } },
		{ BOTH("movzx eax, word ptr [esi]"), .accesses = { READ(SRC, 0, 2) } },
		{ BOTH("movsx eax, byte ptr [esi]"), .accesses = { READ(SRC, 0, 1) } },
		{ ONLY_64("movsxd rax, dword ptr [rsi]"), .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("adc eax, [esi]"), .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("cmp [esi], eax"), .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("test dword ptr [esi], 0x80000001"), .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("imul edx, [esi], 100"), .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("mul dword ptr [esi]"), .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("cmovo eax, [esi]"), .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("cmovno eax, [esi]"), .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("bt [esi], ecx"), .accesses = { READ(SRC, 8, 4) } },
		{ BOTH("bt [esi], edx"), .accesses = { READ(SRC, -8, 4) } },
		{ BOTH("bt dword ptr [esi], 3"), .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("bsf eax, [esi]"), .accesses = { READ(SRC, 0, 4) } },
		{ BOTH("popcnt eax, [esi]"), .accesses = { READ(SRC, 0, 4) } },
		{ EACH("movups xmm0, [rsi]", "movups xmm0, [esi]"), .accesses = { READ(SRC, 0, 16) } },
		{ BOTH("movaps xmm1, [esi]"), .align = 16, .accesses = { READ(SRC, 0, 16) } },
		{ BOTH("movq xmm2, qword ptr [esi]"), .accesses = { READ(SRC, 0, 8) } },
		{ BOTH("movd xmm2, dword ptr [esi]"), .accesses = { READ(SRC, 0, 4) } },
		{ EACH("fxrstor [rsi]", "fxrstor [esi]"), .align = 16, .src = -256, .accesses = { READ(SRC, 0, 512) },
		  .pokes = { { SRC, 0, 0, 512, POKE_FXSAVE } } },
		{ BOTH("mov fs, word ptr [esi]"), .accesses = { READ(SRC, 0, 2) },
		  .pokes = { { SRC, 0, 0, 2, POKE_DATA } } },
		{ BOTH("lfs eax, [esi]"), .accesses = { READ(SRC, 0, 6) }, .pokes = { { SRC, 4, 0, 2, POKE_DATA } } },
		{ ONLY_32("les edx, [esi]"), .accesses = { READ(SRC, 0, 6) },
		  .pokes = { { SRC, 4, 0, 2, POKE_DATA } } },
		{ EACH("lgdt [rsi]", "lgdt [esi]"), .cpls = CPL_0,
		  .accesses = { READ(SRC, 0, 2), { .place = SRC, .offset = 2, .is_used = true } },
		  .pokes = { { SRC, 0, 0, 2, POKE_GDT_LIMIT }, { SRC, 2, 0, 0, POKE_GDT_BASE } } },
	};

	return add(rows, at, room, more, COUNT_OF(more));
}

static size_t add_writes(struct row *rows, size_t at, size_t room)
{
	const struct row more[] = {
		{ EACH("mov [rdi], rax", "mov [edi], eax"),
		  .accesses = { { .place = DST, .is_write = true, .is_used = true } } },
		{ BOTH("mov [edi], ax"), .accesses = { WRITE(DST, 0, 2) } },
		{ BOTH("mov dword ptr [edi + 1], 0x12345678"), .accesses = { WRITE(DST, 1, 4) } },
		{ BOTH("mov word ptr [edi], ds"), .accesses = { WRITE(DST, 0, 2) } },
		{ BOTH("setno byte ptr [edi]"), .accesses = { WRITE(DST, 0, 1) } },
		{ BOTH("movups [edi], xmm3"), .accesses = { WRITE(DST, 0, 16) } },
		{ BOTH("movaps [edi], xmm3"), .align = 16, .accesses = { WRITE(DST, 0, 16) } },
		{ BOTH("movq qword ptr [edi], xmm3"), .accesses = { WRITE(DST, 0, 8) } },
		{ EACH("fxsave [rdi]", "fxsave [edi]"), .align = 16, .dst = -256, .accesses = { WRITE(DST, 0, 512) } },
		{ BOTH("sgdt [edi]"),
		  .accesses = { WRITE(DST, 0, 2), { .place = DST, .offset = 2, .is_write = true, .is_used = true } } },
		{ BOTH("str word ptr [edi]"), .accesses = { WRITE(DST, 0, 2) } },
	};

	return add(rows, at, room, more, COUNT_OF(more));
}

/* What reads and writes is a write to the page tables from its first access on, whether it changes anything or not. */
static size_t add_changes(struct row *rows, size_t at, size_t room)
{
	const struct row more[] = {
		{ BOTH("adc [edi], eax"), .accesses = { WRITE(DST, 0, 4) } },
		{ EACH("sbb [rdi], rax", "sbb [edi], eax"),
		  .accesses = { { .place = DST, .is_write = true, .is_used = true } } },
		{ BOTH("add word ptr [edi], 0x7FFF"), .accesses = { WRITE(DST, 0, 2) } },
		{ BOTH("lock add dword ptr [edi], 1"), .accesses = { WRITE(DST, 0, 4) } },
		{ BOTH("inc dword ptr [edi]"), .accesses = { WRITE(DST, 0, 4) } },
		{ BOTH("neg dword ptr [edi]"), .accesses = { WRITE(DST, 0, 4) } },
		{ BOTH("not word ptr [edi]"), .accesses = { WRITE(DST, 0, 2) } },
		{ BOTH("rcl dword ptr [edi], 3"), .accesses = { WRITE(DST, 0, 4) } },
		{ BOTH("shld [edi], eax, 5"), .accesses = { WRITE(DST, 0, 4) } },
		{ BOTH("xadd [edi], eax"), .accesses = { WRITE(DST, 0, 4) } },
		{ EACH("lock xadd [rdi], rdx", "lock xadd [edi], edx"),
		  .accesses = { { .place = DST, .is_write = true, .is_used = true } } },
		{ BOTH("xchg [edi], ax"), .accesses = { WRITE(DST, 0, 2) } },
		{ BOTH("xchg [edi], edx"), .accesses = { WRITE(DST, 0, 4) } },
		{ BOTH("cmpxchg [edi], edx"), .accesses = { WRITE(DST, 0, 4) } },
		{ BOTH("lock cmpxchg [edi], dl"), .accesses = { WRITE(DST, 0, 1) } },
		{ BOTH("cmpxchg8b [edi]"), .accesses = { WRITE(DST, 0, 8) } },
		{ BOTH("lock cmpxchg8b [edi]"), .accesses = { WRITE(DST, 0, 8) } },
		{ ONLY_64("cmpxchg16b [rdi]"), .align = 16, .accesses = { WRITE(DST, 0, 16) } },
		{ BOTH("bts [edi], ecx"), .accesses = { WRITE(DST, 8, 4) } },
		{ BOTH("bts [edi], edx"), .accesses = { WRITE(DST, -8, 4) } },
		{ BOTH("lock btr dword ptr [edi], 7"), .accesses = { WRITE(DST, 0, 4) } },
		{ EACH("btc [rdi], rcx", "btc [edi], ecx"),
		  .accesses = { { .place = DST, .offset = 8, .is_write = true, .is_used = true } } },
	};

	return add(rows, at, room, more, COUNT_OF(more));
}

size_t restart_rows(struct row *rows, size_t room)
{
	size_t count = add_strings(rows, 0, room);

	count = add_repeated(rows, count, room);
	count = add_reads(rows, count, room);
	count = add_writes(rows, count, room);
	count = add_changes(rows, count, room);
	return count + restart_stack_rows(rows + count, room - count);
}
