/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One instruction on a CPU backend, and what became of it. */
#include "guest_private.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "vmm/soft/isa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The run that is under way, for the watchdog: a signal handler is given nothing. */
static struct {
	struct oracle_guest *volatile guest;
	volatile uint64_t serial, seen;
} running;

void oracle_guest_watchdog(void)
{
	struct oracle_guest *guest = running.guest;

	if (guest != NULL && running.seen == running.serial) {
		guest->ops->interrupt(guest->backend);
	}
	running.seen = running.serial;
}

static enum hs_status run_watched(struct oracle_guest *guest, struct hs_exit *ret, struct hs_error *err)
{
	enum hs_status st;

	running.serial++;
	running.guest = guest;
	st = guest->ops->run(guest->backend, ret, err);
	running.guest = NULL;
	return st;
}

/* Those that have no bit of CPUID of their own come with another (SDM vol. 2A, CPUID). */
static ZydisISASet set_with_bit(ZydisISASet set)
{
	switch (set) {
	case ZYDIS_ISA_SET_FXSAVE64:
		return ZYDIS_ISA_SET_FXSAVE;
	case ZYDIS_ISA_SET_SSEMXCSR:
		return ZYDIS_ISA_SET_SSE;
	case ZYDIS_ISA_SET_SSE2MMX:
		return ZYDIS_ISA_SET_SSE2;
	case ZYDIS_ISA_SET_SSE3X87:
		return ZYDIS_ISA_SET_SSE3;
	case ZYDIS_ISA_SET_SSSE3MMX:
		return ZYDIS_ISA_SET_SSSE3;
	default:
		return set;
	}
}

bool oracle_guest_offers(const struct hs_backend_ops *ops, ZydisISASet set)
{
	return ops != &hs_soft_backend_ops || hs_soft_isa_offered(set_with_bit(set));
}

const char *oracle_mode_name(enum oracle_mode mode)
{
	static const char *const names[ORACLE_MODES] = { "64", "compat", "32" };

	return names[mode];
}

unsigned int oracle_mode_bits(enum oracle_mode mode)
{
	return mode == ORACLE_MODE_64 ? 64 : 32;
}

static enum hs_status make_backend(struct oracle_guest *guest, struct hs_error *err)
{
	enum hs_status st = guest->ops->create(&guest->backend, err);

	if (!st) {
		st = guest->ops->map(guest->backend, hs_gpa_of(0), GUEST_BYTES, guest->ram, false, err);
	}
	hs_cpu_state_init(&guest->cpu);
	if (!st) {
		st = guest->ops->get_state(guest->backend, HS_STATE_ALL, &guest->cpu, err);
	}
	if (!st) {
		st = oracle_guest_prepare(guest, err);
	}
	return st ? st : guest->ops->set_state(guest->backend, HS_STATE_ALL, &guest->cpu, err);
}

struct oracle_guest *oracle_guest_create(const struct hs_backend_ops *ops, enum oracle_mode mode, const uint8_t *before)
{
	struct oracle_guest *guest = aligned_alloc(_Alignof(struct oracle_guest), sizeof(*guest));
	struct hs_error err = { 0 };

	if (guest == NULL) {
		return NULL;
	}
	memset(guest, 0, sizeof(*guest));
	guest->ops = ops;
	guest->mode = mode;
	guest->ram = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guest->ram == MAP_FAILED) {
		perror("oracle: mmap");
		free(guest);
		return NULL;
	}
	memcpy(guest->ram, before, ORACLE_WORLD);
	guest->world = (struct oracle_world){ .bytes = guest->ram, .before = before };
	if (make_backend(guest, &err)) {
		fprintf(stderr, "oracle: no machine of mode %s: %s\n", oracle_mode_name(mode), err.message);
		oracle_guest_destroy(guest);
		return NULL;
	}
	return guest;
}

void oracle_guest_destroy(struct oracle_guest *guest)
{
	if (guest == NULL) {
		return;
	}
	guest->ops->destroy(guest->backend);
	munmap(guest->ram, GUEST_BYTES);
	free(guest);
}

static void tell_written(struct oracle_guest *guest, uint64_t gpa, uint64_t length)
{
	if (guest->ops->memory_written) {
		guest->ops->memory_written(guest->backend, hs_gpa_of(gpa), length);
	}
}

static enum hs_status set_step(struct oracle_guest *guest, enum oracle_step step, struct hs_error *err)
{
	const struct hs_debug_request request = { .step = step == ORACLE_STEP_DEBUG };

	if (guest->stepping == request.step) {
		return HS_OK;
	}
	guest->stepping = request.step;
	return guest->ops->set_debug(guest->backend, &request, err);
}

static void take_state(const struct hs_cpu_state *cpu, bool vectors, struct oracle_result *ret)
{
	memcpy(ret->out.gpr, cpu->gpr, sizeof(ret->out.gpr));
	ret->out.rip = cpu->rip;
	ret->out.rflags = cpu->rflags;
	for (unsigned int i = 0; i < SEG_COUNT; i++) {
		ret->out.seg[i] = cpu->seg[i].selector;
	}
	if (vectors) {
		oracle_xsave_take(ret->out.xsave, cpu->xsave);
	}
}

/* The vectors for which the CPU pushes an error code (SDM vol. 3A table 6-1). */
static bool pushes_error_code(unsigned int vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

/* At a stub: the interrupted state is in the frame at the top of ring 0's stack. */
static void take_frame(const struct oracle_guest *guest, unsigned int vector, struct oracle_result *ret)
{
	unsigned int word = guest->mode == ORACLE_MODE_32 ? 4 : 8;
	const uint8_t *frame = guest->ram + GUEST_STACK + HS_PAGE_SIZE - 5 * word;

	ret->vector = vector;
	ret->error = pushes_error_code(vector) ? hs_get_le32(frame - word) : 0;
	ret->cr2 = vector == 14 ? guest->cpu.cr2 : 0;
	ret->out.rip = hs_get_le(frame, word);
	ret->out.rflags = hs_get_le(frame + 2 * word, word);
	ret->out.seg[SEG_CS] = hs_get_le16(frame + word);
	ret->out.seg[SEG_SS] = hs_get_le16(frame + 4 * word);
	ret->out.gpr[HS_RSP] = hs_get_le(frame + 3 * word, word);
}

static bool take_exit(struct oracle_guest *guest, const struct hs_exit *exit, const struct oracle_case *test,
		      struct oracle_result *ret, char *text, size_t text_bytes)
{
	uint64_t stub = guest->cpu.rip - 1 - (guest->system + GUEST_STUBS);

	take_state(&guest->cpu, test->vectors, ret);
	ret->error = 0;
	ret->cr2 = 0;
	if (exit->kind == HS_EXIT_STEPPED) {
		ret->vector = ORACLE_STEPPED;
		return true;
	}
	if (exit->kind == HS_EXIT_HLT && stub < 256) {
		take_frame(guest, (unsigned int)stub, ret);
		return true;
	}
	snprintf(text, text_bytes, "exit %d (%s), rip 0x%llx", (int)exit->kind, exit->failure ? exit->failure : "",
		 (unsigned long long)guest->cpu.rip);
	return false;
}

bool oracle_guest_run(struct oracle_guest *guest, const struct oracle_case *test, enum oracle_step step,
		      struct oracle_result *ret, char *text, size_t text_bytes)
{
	struct hs_cpu_state *cpu = &guest->cpu;
	struct hs_cpu_state start = *cpu;
	unsigned int parts = HS_STATE_CORE | (test->vectors ? HS_STATE_FPU : 0);
	struct hs_error err = { 0 };
	struct hs_exit exit = { 0 };
	enum hs_status st;
	bool good = false;

	memcpy(start.gpr, test->in.gpr, sizeof(start.gpr));
	start.rip = test->in.rip;
	for (unsigned int i = SEG_DS; i <= SEG_GS; i++) {
		oracle_guest_segment(guest, test->in.seg[i], &start.seg[i]);
	}
	oracle_guest_segment(guest, test->in.seg[SEG_ES], &start.seg[SEG_ES]);
	start.rflags = step == ORACLE_STEP_DEBUG ? test->in.rflags & ~(uint64_t)FLAG_TF : test->in.rflags;
	if (test->vectors) {
		oracle_xsave_put(start.xsave, test->in.xsave);
	}
	oracle_world_patch(&guest->world, test);
	tell_written(guest, ORACLE_PAGE, 3 * ORACLE_PAGE); /* CODE: nothing else is ever fetched */
	st = set_step(guest, step, &err);
	if (!st) {
		st = guest->ops->set_state(guest->backend, parts, &start, &err);
	}
	if (!st) {
		st = run_watched(guest, &exit, &err);
	}
	if (!st) {
		st = guest->ops->get_state(guest->backend, parts, cpu, &err);
	}
	if (st) {
		snprintf(text, text_bytes, "the backend failed: %s", err.message);
	} else {
		good = take_exit(guest, &exit, test, ret, text, text_bytes);
	}
	oracle_world_collect(&guest->world, ret);
	*cpu = start;
	return good;
}
