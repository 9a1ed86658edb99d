/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One access to one page, with every combination of the bits that permit or forbid it: in the entry that maps the page
 * and in the one above, in the control registers and RFLAGS.AC, at both privilege levels, for every kind of access and
 * every format. Whether it faults, with which error code, and which A and D bits are set afterwards is compared with
 * the text of SDM vol. 3A 4.6.1 (rights), 4.7 (error codes) and 4.8 (A and D).
 */
#include "machine.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The page, far from all others, so that the entry above its own is its own too. */
#define TARGET 0xC00000u
#define VECTOR_PF 14
#define PROBLEMS_SHOWN 20

/* Entries. */
#define P 1u
#define W 2u
#define U 4u
#define A 0x20u
#define D 0x40u
#define NX (UINT64_C(1) << 63)
#define RESERVED (UINT64_C(1) << 51)

/* Error codes. */
#define ERROR_P 1u
#define ERROR_W 2u
#define ERROR_U 4u
#define ERROR_RESERVED 8u
#define ERROR_FETCH 16u

#define CR0_WP (1u << 16)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define EFER_NXE (1u << 11)
#define RFLAGS_AC (1u << 18)

enum kind { READ, WRITE, FETCH, IMPLICIT, KINDS };

/* One combination. */
struct question {
	enum kind kind;
	uint64_t leaf, above; /* bits of the two entries, without address, A and D */
	bool wp, nxe, smep, smap, ac;
};

struct answer {
	bool faults;
	uint32_t error_code;
};

struct scene {
	struct machine machine;
	bool wide; /* entries of 8 bytes */
	size_t asked, wrong;
};

/* ---- What must be ---- */

static bool is_reserved(const struct scene *scene, const struct question *question, uint64_t entry)
{
	return scene->wide && ((entry & RESERVED) || ((entry & NX) && !question->nxe));
}

static bool is_permitted(const struct question *question, bool is_user)
{
	bool writable = (question->leaf & W) && (question->above & W);
	bool user = (question->leaf & U) && (question->above & U);
	bool executable = !((question->leaf | question->above) & NX);

	if (is_user) {
		return user && (question->kind != WRITE || writable) && (question->kind != FETCH || executable);
	}
	if (question->kind == FETCH) {
		return executable && !(user && question->smep);
	}
	if (user && question->smap && (question->kind == IMPLICIT || !question->ac)) {
		return false;
	}
	return question->kind != WRITE || writable || !question->wp;
}

static struct answer answer_of(const struct scene *scene, const struct question *question)
{
	bool is_user = scene->machine.config.cpl == 3 && question->kind != IMPLICIT;
	bool shows_fetch = question->smep || (question->nxe && scene->wide);
	struct answer answer = { .faults = true };

	answer.error_code = (question->kind == WRITE ? ERROR_W : 0) | (is_user ? ERROR_U : 0) |
			    (question->kind == FETCH && shows_fetch ? ERROR_FETCH : 0);
	if (!(question->above & P)) {
		return answer;
	}
	if (is_reserved(scene, question, question->above)) {
		answer.error_code |= ERROR_P | ERROR_RESERVED;
		return answer;
	}
	if (!(question->leaf & P)) {
		return answer;
	}
	if (is_reserved(scene, question, question->leaf)) {
		answer.error_code |= ERROR_P | ERROR_RESERVED;
		return answer;
	}
	answer.error_code |= ERROR_P;
	answer.faults = !is_permitted(question, is_user);
	return answer;
}

/* ---- What is ---- */

static void set_controls(struct scene *scene, const struct question *question)
{
	struct hs_cpu_state *cpu = &scene->machine.cpu;

	cpu->cr0 = (cpu->cr0 & ~(uint64_t)CR0_WP) | (question->wp ? CR0_WP : 0);
	cpu->cr4 &= ~(uint64_t)(CR4_SMEP | CR4_SMAP);
	cpu->cr4 |= (question->smep ? CR4_SMEP : 0) | (question->smap ? CR4_SMAP : 0);
	cpu->msr.efer = (cpu->msr.efer & ~(uint64_t)EFER_NXE) | (question->nxe ? EFER_NXE : 0);
	cpu->rflags = 2 | (question->ac ? RFLAGS_AC : 0);
	cpu->rip = MACHINE_CODE + 16u * question->kind;
}

/* Depth of the entry above the leaf. */
static int depth_above(const struct scene *scene)
{
	switch (scene->machine.root.format) {
	case HS_PAGING_32BIT:
		return 0;
	case HS_PAGING_PAE:
		return 1;
	case HS_PAGING_4LEVEL:
		return 2;
	default:
		return 3;
	}
}

static void complain(struct scene *scene, const struct question *question, const char *what, uint64_t is,
		     uint64_t should)
{
	if (scene->wrong++ < PROBLEMS_SHOWN) {
		print_error(
			"kind %d leaf %llx above %llx wp %d nxe %d smep %d smap %d ac %d: %s is 0x%llx, not 0x%llx\n",
			(int)question->kind, (unsigned long long)question->leaf, (unsigned long long)question->above,
			question->wp, question->nxe, question->smep, question->smap, question->ac, what,
			(unsigned long long)is, (unsigned long long)should);
	}
}

/* Everything that was used is accessed; what is written is dirty; nothing else has changed. After a fault A may be set,
 * but the page was not written. */
static void check_entries(struct scene *scene, const struct question *question, bool faults, uint64_t leaf,
			  uint64_t above)
{
	uint64_t leaf_now;
	uint64_t above_now = machine_entry(&scene->machine, TARGET, depth_above(scene));
	uint64_t may = faults ? A : 0;

	machine_set_entry(&scene->machine, TARGET, depth_above(scene), (above & ~RESERVED) | P);
	leaf_now = machine_entry(&scene->machine, TARGET, -1);
	leaf |= faults ? 0 : A | (question->kind == WRITE ? D : 0);
	above |= faults ? 0 : A;
	if ((leaf_now ^ leaf) & ~may) {
		complain(scene, question, "the leaf", leaf_now, leaf);
	} else if ((above_now ^ above) & ~may) {
		complain(scene, question, "the entry above", above_now, above);
	}
}

static void ask(struct scene *scene, const struct question *question, uint64_t leaf_gpa, uint64_t above_gpa)
{
	struct answer answer = answer_of(scene, question);
	uint64_t leaf = leaf_gpa | question->leaf;
	uint64_t above = above_gpa | question->above;
	struct machine_stop stop;

	scene->asked++;
	/* The way to the leaf goes through the entry above. */
	machine_set_entry(&scene->machine, TARGET, depth_above(scene), above_gpa | P);
	machine_set_entry(&scene->machine, TARGET, -1, leaf);
	machine_set_entry(&scene->machine, TARGET, depth_above(scene), above);
	set_controls(scene, question);
	machine_start(&scene->machine, &stop);
	if (answer.faults != (stop.kind == MACHINE_FAULT)) {
		complain(scene, question, "a fault", stop.kind == MACHINE_FAULT, answer.faults);
	} else if (answer.faults && stop.vector != VECTOR_PF) {
		complain(scene, question, "the vector", stop.vector, VECTOR_PF);
	} else if (answer.faults && stop.error_code != answer.error_code) {
		complain(scene, question, "the error code", stop.error_code, answer.error_code);
	} else if (answer.faults && (stop.cpu.cr2 & ~0xFFFull) != TARGET) {
		complain(scene, question, "CR2", stop.cpu.cr2, TARGET);
	}
	check_entries(scene, question, answer.faults, leaf, above);
}

/* ---- All of them ---- */

/* An instruction for each kind, 16 bytes apart. The implicit access is the CPU's, to the LDT that lies in the page. */
static void put_code(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	const struct code codes[KINDS][2] = {
		[READ] = { CODE64("mov al, [rbx + 256]\n hlt"), CODE32("mov al, [ebx + 256]\n hlt") },
		[WRITE] = { CODE64("mov [rbx + 256], al\n hlt"), CODE32("mov [ebx + 256], al\n hlt") },
		[FETCH] = { CODE64("jmp rbx"), CODE32("jmp ebx") },
		[IMPLICIT] = { CODE64("mov fs, ecx\n hlt"), CODE32("mov fs, ecx\n hlt") },
	};

	for (unsigned int kind = 0; kind < KINDS; kind++) {
		struct code code = codes[kind][machine->config.mode == MACHINE_64 ? 0 : 1];

		machine_put(machine, MACHINE_CODE + 16u * kind, code.bytes, code.length);
	}
	/* hlt at its beginning, and a data segment of DPL 3 in the second slot of the LDT. */
	*machine_at(machine, MACHINE_FRAMES) = 0xF4;
	hs_put_le64(machine_at(machine, MACHINE_FRAMES + 8), UINT64_C(0x00CFF3000000FFFF));
	machine->cpu.seg[HS_LDTR] = (struct hs_segment){
		.base = TARGET, .limit = 0xFFF, .selector = MACHINE_SPARE, .type = 2, .present = 1
	};
	machine->cpu.gpr[HS_RBX] = TARGET;
	machine->cpu.gpr[HS_RCX] = 8 | 4 | machine->config.cpl;
}

/* Every leaf with every entry above, under these controls. */
static void ask_entries(struct scene *scene, struct question *question, uint64_t leaf_gpa, uint64_t above_gpa)
{
	const uint64_t above[] = { P | W | U, P | U, P | W, W | U, P | W | U | NX, P | W | U | RESERVED };
	const size_t above_count = scene->wide ? 6 : 4;
	const unsigned int leaf_count = scene->wide ? 32 : 8;

	for (size_t i = 0; i < above_count; i++) {
		for (unsigned int bits = 0; bits < leaf_count; bits++) {
			question->above = above[i];
			question->leaf = (bits & 7) | (bits & 8 ? NX : 0) | (bits & 16 ? RESERVED : 0);
			for (int kind = 0; kind < KINDS; kind++) {
				question->kind = kind;
				ask(scene, question, leaf_gpa, above_gpa);
			}
		}
	}
}

static void ask_all(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	uint64_t leaf_gpa;
	uint64_t above_gpa;

	machine_map(machine, TARGET, MACHINE_FRAMES, HS_PAGE_SIZE, HS_PROT_WRITE | HS_PROT_EXEC, true);
	leaf_gpa = machine_entry(machine, TARGET, -1) & 0xFFFFF000;
	above_gpa = machine_entry(machine, TARGET, depth_above(scene)) & 0xFFFFF000;
	put_code(scene);
	for (unsigned int bits = 0; bits < 32; bits++) {
		struct question question = {
			.wp = bits & 1, .nxe = bits & 2, .smep = bits & 4, .smap = bits & 8, .ac = bits & 16
		};

		ask_entries(scene, &question, leaf_gpa, above_gpa);
	}
}

static void test_permissions_every_combination_is_as_the_manual_says(void **state)
{
	const struct machine_config *config = *state;
	struct scene *scene = aligned_alloc(64, (sizeof(*scene) + 63) & ~(size_t)63);
	size_t wrong;

	assert_non_null(scene);
	if (machine_missing(config)) {
		free(scene);
		skip();
	}
	memset(scene, 0, sizeof(*scene));
	machine_init(&scene->machine, config);
	scene->wide = config->format != HS_PAGING_32BIT;
	ask_all(scene);
	print_message("# %zu combinations\n", scene->asked);
	wrong = scene->wrong;
	machine_deinit(&scene->machine);
	free(scene);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	static struct machine_config configs[] = {
		{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
		{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
		{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_5LEVEL, .cpl = 0 },
		{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_5LEVEL, .cpl = 3 },
		{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 0 },
		{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 3 },
		{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 0 },
		{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
	};
	static const char *const names[] = {
		"4-level, CPL 0", "4-level, CPL 3", "5-level, CPL 0", "5-level, CPL 3",
		"32-bit, CPL 0",  "32-bit, CPL 3",  "PAE, CPL 0",     "PAE, CPL 3",
	};
	struct CMUnitTest tests[sizeof(configs) / sizeof(configs[0])];

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		tests[i] = (struct CMUnitTest){
			.name = names[i],
			.test_func = test_permissions_every_combination_is_as_the_manual_says,
			.initial_state = &configs[i],
		};
	}
	return cmocka_run_group_tests_name("permissions", tests, NULL, NULL);
}
