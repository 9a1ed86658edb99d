/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compare.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const gpr_names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					   "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };

static const char *const segment_names[SEG_COUNT] = { "es", "cs", "ss", "ds", "fs", "gs" };

#define VECTORS_SAID 5

struct comparison {
	const struct oracle_code *code;
	const struct oracle_case *test;
	const struct oracle_result *host, *ours;
	struct oracle_undefined undefined;
	char *text;
	size_t bytes;
	bool undefined_differs;
};

__attribute__((format(printf, 2, 3))) static void say(struct comparison *comparison, const char *format, ...)
{
	size_t used = strlen(comparison->text);
	va_list list;

	va_start(list, format);
	vsnprintf(comparison->text + used, comparison->bytes - used, format, list);
	va_end(list);
}

static void compare_word(struct comparison *comparison, const char *name, uint64_t ours, uint64_t host)
{
	if (ours != host) {
		say(comparison, " %s 0x%llx, host 0x%llx;", name, (unsigned long long)ours, (unsigned long long)host);
	}
}

/* The register that an undefined result goes to, or -1. */
static int undefined_register(const struct comparison *comparison)
{
	const ZydisDecodedOperand *first = &comparison->code->decoded.operands[0];

	if (!comparison->undefined.result || first->type != ZYDIS_OPERAND_TYPE_REGISTER) {
		return -1;
	}
	return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, first->reg.value) - ZYDIS_REGISTER_RAX;
}

static void compare_registers(struct comparison *comparison)
{
	const struct oracle_state *ours = &comparison->ours->out, *host = &comparison->host->out;
	/* Outside 64-bit mode upper halves are undefined (SDM vol. 1 3.4.1.1). */
	uint64_t mask = host->seg[SEG_CS] == ORACLE_CS64 ? UINT64_MAX : UINT32_MAX;
	int undefined = undefined_register(comparison);

	for (int i = 0; i < (comparison->test->bits == 32 ? 8 : 16); i++) {
		if (i == undefined) {
			comparison->undefined_differs |= ours->gpr[i] != host->gpr[i];
			continue;
		}
		compare_word(comparison, gpr_names[i], ours->gpr[i] & mask, host->gpr[i] & mask);
	}
	compare_word(comparison, "rip", ours->rip & mask, host->rip & mask);
	for (unsigned int i = 0; i < SEG_COUNT; i++) {
		/* The kernel's return to user mode makes 0 of all four null selectors (SDM vol. 2A, "IRET"). */
		compare_word(comparison, segment_names[i], ours->seg[i] < 4 ? 0 : ours->seg[i],
			     host->seg[i] < 4 ? 0 : host->seg[i]);
	}
}

static void compare_flags(struct comparison *comparison, enum oracle_step step)
{
	uint64_t ours = comparison->ours->out.rflags, host = comparison->host->out.rflags;
	uint64_t undefined = comparison->undefined.flags;

	/* The host always steps by TF; the debugger's step leaves it as it was. */
	if (step == ORACLE_STEP_DEBUG) {
		ours |= FLAG_TF;
	}
	comparison->undefined_differs |= ((ours ^ host) & undefined) != 0;
	if ((ours ^ host) & ~undefined) {
		say(comparison, " rflags 0x%llx, host 0x%llx (before 0x%llx, undefined 0x%llx);",
		    (unsigned long long)ours, (unsigned long long)host, (unsigned long long)comparison->test->in.rflags,
		    (unsigned long long)undefined);
	}
}

/* Linux shows a fault on an address beyond what processes have as one on a present page, so as not to tell which are
 * (arch/x86/mm/fault.c, sanitize_error_code(); TASK_SIZE_MAX is 2^47 less a page). */
static uint32_t error_of(const struct oracle_result *result)
{
	if (result->vector == 14 && result->cr2 >= UINT64_C(0x7ffffffff000)) {
		return result->error | 1;
	}
	return result->error;
}

static bool compare_events(struct comparison *comparison)
{
	const struct oracle_result *ours = comparison->ours, *host = comparison->host;

	if (ours->vector != host->vector) {
		say(comparison, " vector %u error 0x%x cr2 0x%llx, host vector %u error 0x%x cr2 0x%llx;", ours->vector,
		    ours->error, (unsigned long long)ours->cr2, host->vector, host->error,
		    (unsigned long long)host->cr2);
		return false;
	}
	compare_word(comparison, "error", error_of(ours), error_of(host));
	compare_word(comparison, "cr2", ours->cr2, host->cr2);
	return true;
}

static uint64_t address_of(uint64_t place)
{
	for (size_t i = 0; i < ORACLE_AREAS; i++) {
		const struct oracle_area *area = &oracle_areas[i];

		if (place / ORACLE_PAGE >= area->first && place / ORACLE_PAGE < area->first + area->pages) {
			return area->at + place - area->first * ORACLE_PAGE;
		}
	}
	return 0;
}

/* The first word in which the memories differ. Both lists are in ascending order. */
static void say_memory(struct comparison *comparison)
{
	const struct oracle_result *ours = comparison->ours, *host = comparison->host;

	for (uint32_t i = 0; i < ours->delta_count || i < host->delta_count; i++) {
		const struct oracle_delta none = { .place = UINT64_MAX };
		const struct oracle_delta *a = i < ours->delta_count ? &ours->deltas[i] : &none;
		const struct oracle_delta *b = i < host->delta_count ? &host->deltas[i] : &none;
		uint64_t place = a->place < b->place ? a->place : b->place;

		if (a->place != b->place) {
			say(comparison, " memory 0x%llx changed by %s alone, to 0x%llx;",
			    (unsigned long long)address_of(place), a->place == place ? "ours" : "the host",
			    (unsigned long long)(a->place == place ? a->value : b->value));
			return;
		}
		if (a->value != b->value) {
			say(comparison, " memory 0x%llx is 0x%llx, host 0x%llx;", (unsigned long long)address_of(place),
			    (unsigned long long)a->value, (unsigned long long)b->value);
			return;
		}
	}
}

static void compare_memory(struct comparison *comparison)
{
	const struct oracle_result *ours = comparison->ours, *host = comparison->host;
	bool equal = ours->delta_count == host->delta_count &&
		     memcmp(ours->deltas, host->deltas, ours->delta_count * sizeof(ours->deltas[0])) == 0;

	if (!equal && comparison->undefined.result && undefined_register(comparison) < 0) {
		comparison->undefined_differs = true;
	} else if (!equal) {
		say_memory(comparison);
	}
}

static void say_hex(struct comparison *comparison, const uint8_t *bytes, size_t count)
{
	for (size_t i = count; i-- > 0;) {
		say(comparison, "%02x", bytes[i]);
	}
}

static void say_field(struct comparison *comparison, const struct oracle_xsave_field *field, unsigned int number,
		      size_t at)
{
	say(comparison, " %s", field->name);
	if (field->count > 1) {
		say(comparison, "%u", number);
	}
	say(comparison, " 0x");
	say_hex(comparison, comparison->ours->out.xsave + at, field->bytes);
	say(comparison, ", host 0x");
	say_hex(comparison, comparison->host->out.xsave + at, field->bytes);
	say(comparison, " (before 0x");
	say_hex(comparison, comparison->test->in.xsave + at, field->bytes);
	say(comparison, ");");
}

/* The first elements in which x87, SSE or AVX state differs, as numbers of their size. */
static void compare_vectors(struct comparison *comparison)
{
	const uint8_t *ours = comparison->ours->out.xsave, *host = comparison->host->out.xsave;
	unsigned int said = 0;

	if (!comparison->test->vectors || memcmp(ours, host, ORACLE_XSAVE_BYTES) == 0) {
		return;
	}
	for (unsigned int i = 0; i < ORACLE_XSAVE_FIELDS; i++) {
		const struct oracle_xsave_field *field = &oracle_xsave_fields[i];

		for (unsigned int j = 0; j < field->count; j++) {
			size_t at = field->at + j * (size_t)field->stride;

			if (memcmp(ours + at, host + at, field->bytes) != 0 && said++ < VECTORS_SAID) {
				say_field(comparison, field, j, at);
			}
		}
	}
}

static enum oracle_verdict compare_all(const struct oracle_pair *pair, char *text, size_t text_bytes)
{
	struct comparison comparison = { .code = pair->code,
					 .test = pair->test,
					 .host = pair->host,
					 .ours = pair->ours,
					 .text = text,
					 .bytes = text_bytes };

	text[0] = 0;
	/* A fault leaves nothing undefined: all is as before the instruction. */
	if (oracle_executed(pair, pair->host)) {
		oracle_undefined(pair->code, pair->test, &comparison.undefined);
	}
	if (compare_events(&comparison)) {
		compare_registers(&comparison);
		compare_flags(&comparison, pair->step);
		compare_memory(&comparison);
		compare_vectors(&comparison);
	}
	if (text[0]) {
		return ORACLE_DIFFERS;
	}
	return comparison.undefined_differs ? ORACLE_AGREES_BUT_UNDEFINED : ORACLE_AGREES;
}

enum oracle_verdict oracle_compare(const struct oracle_pair *pair, uint32_t *ret_excuses, char *text, size_t text_bytes)
{
	struct oracle_result excused;
	struct oracle_pair excused_pair = *pair;
	enum oracle_verdict verdict;

	*ret_excuses = 0;
	if (pair->ours->vector == 6 && pair->host->vector != 6) {
		return ORACLE_NOT_THERE;
	}
	verdict = compare_all(pair, text, text_bytes);
	if (verdict != ORACLE_DIFFERS) {
		return verdict;
	}
	excused = *pair->ours;
	for (unsigned int i = 0; i < ORACLE_EXCUSES; i++) {
		struct oracle_result before = excused;

		/* One that changes nothing was not needed. */
		if (oracle_excuse(i, pair, &excused) && memcmp(&before, &excused, sizeof(before)) != 0) {
			*ret_excuses |= 1u << i;
		}
	}
	if (*ret_excuses == 0) {
		return verdict;
	}
	excused_pair.ours = &excused;
	/* What is said is what is left. */
	return compare_all(&excused_pair, text, text_bytes) == ORACLE_DIFFERS ? ORACLE_DIFFERS : ORACLE_EXCUSED;
}
