/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What paging/ reads in the tables of a guest is what happens when the guest goes there: each page of its address
 * space, among them those of weave.c, and what lies beside them is read, written and jumped to in ring 0 and in ring 3,
 * by guest/programs/touch.c. Before and afterwards the CPU is asked as well, as in live.c.
 *
 *   touch [--spoil] kvm|soft FORMAT[,wp0][,smep][,smap][,qemu] touch.elf
 *
 * FORMAT is i686, i686-pse or pae for an i686 guest, amd64-4 or amd64-5 for an amd64 guest: what it boots with or what
 * it is moved to; further with CR0.WP clear, CR4.SMEP or CR4.SMAP set. qemu: the KVM runs under QEMU's translator
 * (docs/hosts.md). --spoil: the right to write to a page is taken from the guest after its tables were read, which is
 * found.
 *
 * Ends with 0 when all is equal, 1 when not, 77 with the reason where the backend does not run the guest, 2 for wrong
 * use.
 */
#include "agree.h"
#include "expect.h"
#include "weave.h"

#include "../../guest/programs/touch.h"

#include "base/bytes.h"
#include "base/error.h"
#include "vmm/vm_private.h"

#include <hindsight/abi.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EQUAL = 0, DIFFERENT = 1, WRONG_USE = 2, MISSING = 77 };

/* Pages of one range that are touched, those of one that is mapped and of another, and items at most. */
#define PAGES_MAX 64u
#define OTHER_PAGES_MAX 8u
#define ITEMS_MAX 1500u

#define CR4_PSE (1u << 4)
#define CR4_PAE (1u << 5)
#define CR4_LA57 (1u << 12)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define CR0_WP (1u << 16)
#define EFER_NXE (1u << 11)

struct item {
	struct hs_range range; /* around the page, as it was read before the guest ran */
	uint64_t address;      /* of the page */
	uint32_t word;         /* that it begins with; 0 where nothing is mapped */
	bool is_constant;      /* what the guest reads there is to be that */
	bool is_code;          /* it begins with WEAVE_CODE */
};

struct trial {
	struct side side;
	struct agree agree;
	struct weave weave;
	struct hs_phys phys;
	struct touch_offer offer;
	uint64_t user_code; /* gva at which ring 3 has the program's code */
	struct item items[ITEMS_MAX];
	size_t count;
};

static const struct hs_area *area_of(const struct trial *trial, enum hs_area_kind kind)
{
	return hs_layout_area(&trial->side.vm->layout, kind);
}

static enum hs_status run_to_offer(struct trial *trial, struct hs_error *err)
{
	struct hs_exit exit = { 0 };
	uint8_t bytes[sizeof(struct touch_offer)];
	enum hs_status st = HS_OK;

	while (!st && !(exit.kind == HS_EXIT_PORT_OUT && exit.port == HS_PORT_READY)) {
		st = side_run_to_exit(&trial->side, &exit, err);
	}
	if (!st) {
		st = trial->phys.ops->read(trial->phys.ctx, area_of(trial, HS_AREA_OUTPUT)->gpa, bytes, sizeof(bytes),
					   err);
	}
	if (!st) {
		trial->offer =
			(struct touch_offer){ hs_get_le64(bytes), hs_get_le64(bytes + 8), hs_get_le64(bytes + 16) };
	}
	return st;
}

/* ---- The guest's tables ---- */

static const struct {
	const char *name;
	enum hs_paging_format format;
	uint32_t cr4;
} formats[] = {
	{ "i686", HS_PAGING_32BIT, 0 },
	{ "i686-pse", HS_PAGING_32BIT, CR4_PSE },
	{ "pae", HS_PAGING_PAE, CR4_PAE },
	{ "amd64-4", HS_PAGING_4LEVEL, 0 },
	{ "amd64-5", HS_PAGING_5LEVEL, CR4_LA57 },
};
#define FORMATS (sizeof(formats) / sizeof(formats[0]))

struct options {
	bool spoil;
	struct hs_vm_config config;
	enum hs_paging_format format;
	uint32_t cr4; /* what is set besides */
	bool wp0, qemu;
	const char *image;
};

/* Put the CPU on the weave's root. A KVM that cannot may say so, or ignore it. */
static enum hs_status move_to_root(struct trial *trial, const struct options *options, struct hs_error *err)
{
	struct hs_vm *vm = trial->side.vm;
	struct hs_cpu_state cpu;
	enum hs_status st = hs_vm_cpu_get(vm, &cpu, err);
	struct hs_cpu_state wanted;

	if (st) {
		return st;
	}
	cpu.cr3 = trial->weave.root.base.v;
	cpu.cr4 |= options->cr4;
	/* 32-bit paging alone asks whether it is set. */
	cpu.cr4 &= trial->weave.root.pse ? ~UINT64_C(0) : ~(uint64_t)CR4_PSE;
	cpu.cr0 &= options->wp0 ? ~(uint64_t)CR0_WP : ~UINT64_C(0);
	cpu.msr.efer |= options->format == HS_PAGING_PAE ? EFER_NXE : 0;
	wanted = cpu;
	st = hs_vm_cpu_set(vm, &cpu, err);
	vm->have = 0;
	if (!st) {
		st = hs_vm_cpu_get(vm, &cpu, err);
	}
	if (!st && (cpu.cr0 != wanted.cr0 || cpu.cr4 != wanted.cr4 || cpu.msr.efer != wanted.msr.efer)) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0, "CR0, CR4 or EFER do not stay as they were set");
	}
	return st;
}

static enum hs_status weave_tables(struct trial *trial, const struct options *options, struct hs_error *err)
{
	const struct hs_area *free_pages = area_of(trial, HS_AREA_FREE);
	struct weave *weave = &trial->weave;
	bool pse = options->format != HS_PAGING_32BIT || (options->cr4 & CR4_PSE);
	struct hs_root old;
	struct hs_range code;
	enum hs_status st = agree_root(&trial->agree, &trial->side, &old, err);

	*weave = (struct weave){
		.phys = &trial->phys,
		.root = old,
		.next = free_pages->gpa.v,
		.end = free_pages->gpa.v + free_pages->length,
		.large_1g = trial->offer.large_1g,
	};
	if (!st) {
		hs_translate(&trial->phys, &old, hs_gva_of(trial->offer.code), &code);
	}
	if (!st && (old.format != options->format || (old.pse && !pse))) {
		st = weave_copy(weave, &old, options->format, err);
	}
	weave->root.pse = pse;
	if (!st) {
		st = weave_add(weave, err);
	}
	if (!st) {
		st = weave_show_code(weave, code.gpa, &trial->user_code, err);
	}
	/* Now, because a CPU reads the PDPTEs of PAE paging when CR3 is loaded. */
	if (!st) {
		st = move_to_root(trial, options, err);
	}
	return st ? st : agree_root(&trial->agree, &trial->side, &weave->root, err);
}

/* ---- What is touched ---- */

static bool read_word(const struct trial *trial, uint64_t gpa, uint32_t *ret)
{
	uint8_t bytes[4];
	bool there = !trial->phys.ops->read(trial->phys.ctx, hs_gpa_of(gpa), bytes, sizeof(bytes), NULL);

	*ret = there ? hs_get_le32(bytes) : 0;
	return there;
}

/* What the tables lead to outside memory no guest survives. */
static void add_item(struct trial *trial, uint64_t gva)
{
	uint64_t pointer_max = trial->weave.root.format < HS_PAGING_4LEVEL ? UINT32_MAX : UINT64_MAX;
	struct item item = { .address = gva & ~(uint64_t)TOUCH_FLAGS };
	bool there = true;

	hs_translate(&trial->phys, &trial->weave.root, hs_gva_of(item.address), &item.range);
	if (item.range.kind == HS_RANGE_MAPPED) {
		there = read_word(trial, item.range.gpa.v + (item.address - item.range.start.v), &item.word);
		item.is_code = (item.word & 0xFFFF) == WEAVE_CODE;
	}
	if (there && item.range.kind != HS_RANGE_UNREADABLE && gva <= pointer_max && trial->count < ITEMS_MAX) {
		trial->items[trial->count] = item;
		trial->count++;
	}
}

static enum hs_status choose_items(struct trial *trial, struct hs_error *err)
{
	static const uint64_t elsewhere[] = {
		UINT64_C(0x800000000000),
		UINT64_C(0xFFFF7FFFFFFFF000),
		UINT64_C(0x100000000000000),
		UINT64_C(0xFEFFFFFFFFFFF000),
		UINT64_C(0xDEAD000000001000),
		UINT64_C(0xFFFFFFFFFFFFF000),
		0xDEAD0000,
	};
	enum hs_status st;
	struct hs_range range;
	struct hs_iter iter;

	hs_iter_init(&iter, &trial->phys, &trial->weave.root, hs_gva_of(0), 0, hs_budget_default());
	while ((st = hs_iter_next(&iter, &range, err)) == HS_OK) {
		uint64_t pages = range.length / HS_PAGE_SIZE;
		unsigned int most = range.kind == HS_RANGE_MAPPED ? PAGES_MAX : OTHER_PAGES_MAX;
		uint64_t step = (pages / most + 1) * HS_PAGE_SIZE;

		add_item(trial, range.start.v - HS_PAGE_SIZE);
		for (uint64_t offset = 0; offset < range.length; offset += step) {
			add_item(trial, range.start.v + offset);
		}
		add_item(trial, range.start.v + range.length);
	}
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		add_item(trial, elsewhere[i]);
	}
	return st == HS_ERR_NOT_FOUND ? HS_OK : st;
}

/* A jump is for pages that send it back: by a fault, or by the code that is there. */
static uint64_t flags_of(const struct trial *trial, const struct item *item)
{
	const struct hs_root *root = &trial->weave.root;
	bool runs = expect_touch(root, &item->range, TOUCH_FETCH) == TOUCH_WORKED;
	bool user_runs = expect_touch(root, &item->range, TOUCH_USER_FETCH) == TOUCH_WORKED;

	return (runs && !item->is_code ? TOUCH_NO_FETCH : 0) | (user_runs && !item->is_code ? TOUCH_NO_USER_FETCH : 0);
}

static enum hs_status put(struct trial *trial, uint64_t gpa, uint64_t value, struct hs_error *err)
{
	uint8_t bytes[8];

	hs_put_le64(bytes, value);
	return trial->phys.ops->write(trial->phys.ctx, hs_gpa_of(gpa), bytes, sizeof(bytes), err);
}

static enum hs_status write_list(struct trial *trial, struct hs_error *err)
{
	uint64_t gpa = area_of(trial, HS_AREA_INPUT)->gpa.v;
	enum hs_status st = put(trial, gpa, trial->count, err);

	if (!st) {
		st = put(trial, gpa + 8, trial->user_code, err);
	}
	for (size_t i = 0; !st && i < trial->count; i++) {
		const struct item *item = &trial->items[i];

		st = put(trial, gpa + 16 + 8 * i, item->address | flags_of(trial, item), err);
	}
	return st;
}

/* ---- What came of it ---- */

/* What the guest has not changed itself must be what it has read. */
static bool check_word(const struct trial *trial, const struct item *item, const struct touch_found *found)
{
	uint32_t now;

	if (item->range.kind != HS_RANGE_MAPPED || found->result[TOUCH_READ] != TOUCH_WORKED) {
		return true;
	}
	(void)read_word(trial, item->range.gpa.v + (item->address - item->range.start.v), &now);
	return now != item->word || found->word == now;
}

static const char *const way_names[TOUCH_WAYS] = {
	"a read", "a write", "a fetch", "ring 3's read", "ring 3's write", "ring 3's fetch",
};

static bool check_item(const struct trial *trial, const struct item *item, const struct touch_found *found)
{
	uint64_t flags = flags_of(trial, item);

	for (unsigned int way = 0; way < TOUCH_WAYS; way++) {
		uint32_t expected = expect_touch(&trial->weave.root, &item->range, way);

		if ((way == TOUCH_FETCH && (flags & TOUCH_NO_FETCH)) ||
		    (way == TOUCH_USER_FETCH && (flags & TOUCH_NO_USER_FETCH))) {
			expected = TOUCH_NOT_TRIED;
		}
		/* QEMU 7.2 reports a reserved bit without P (target/i386/tcg/sysemu/excp_helper.c, do_fault_rsvd),
		 * where there is no RSVD without P (SDM vol. 3A 4.7). */
		if (trial->agree.qemu && item->range.kind == HS_RANGE_RESERVED) {
			expected &= ~1u;
		}
		if (found->result[way] != expected) {
			printf("0x%" PRIx64
			       ": %s ended in 0x%x, the tables say 0x%x (kind %d, rights %d%s, level %d)\n",
			       item->address, way_names[way], found->result[way], expected, item->range.kind,
			       item->range.prot, item->range.user ? " of ring 3 too" : "", item->range.level);
			return false;
		}
	}
	if (!check_word(trial, item, found)) {
		printf("0x%" PRIx64 ": the guest reads 0x%x, memory is 0x%x\n", item->address, found->word, item->word);
		return false;
	}
	return true;
}

static void read_found(const struct trial *trial, size_t index, struct touch_found *ret)
{
	uint64_t gpa = area_of(trial, HS_AREA_OUTPUT)->gpa.v + index * sizeof(*ret);

	(void)read_word(trial, gpa, &ret->word);
	for (unsigned int way = 0; way < TOUCH_WAYS; way++) {
		(void)read_word(trial, gpa + 4 + 4ull * way, &ret->result[way]);
	}
}

static bool check_items(const struct trial *trial, size_t *worked, size_t *faulted)
{
	for (size_t i = 0; i < trial->count; i++) {
		struct touch_found found;

		read_found(trial, i, &found);
		if (!check_item(trial, &trial->items[i], &found)) {
			return false;
		}
		for (unsigned int way = 0; way < TOUCH_WAYS; way++) {
			*worked += found.result[way] == TOUCH_WORKED;
			*faulted += found.result[way] > TOUCH_WORKED;
		}
	}
	return true;
}

/* ---- All of it ---- */

static int fail(const char *what)
{
	printf("%s\n", what);
	return DIFFERENT;
}

static int run(struct trial *trial, const struct options *options)
{
	static const struct hs_resume go_on = { .kind = HS_RESUME_CONTINUE };
	struct hs_error err = { 0 };
	struct hs_event event;
	size_t worked = 0;
	size_t faulted = 0;

	if (!agree_everywhere(&trial->agree, &trial->side)) {
		return fail(trial->agree.difference);
	}
	if (choose_items(trial, &err) || write_list(trial, &err)) {
		return fail(err.message);
	}
	if (options->spoil && weave_spoil(&trial->weave, &err)) {
		return fail(err.message);
	}
	if (hs_vm_run(trial->side.vm, &go_on, &event, &err)) {
		return fail(err.message);
	}
	if (event.kind != HS_EVENT_EXITED || event.exit_status != 0) {
		return fail(event.kind == HS_EVENT_CRASHED ? event.crash.text
							   : "the guest ended otherwise than it should");
	}
	if (!check_items(trial, &worked, &faulted)) {
		return DIFFERENT;
	}
	if (!agree_everywhere(&trial->agree, &trial->side)) {
		return fail(trial->agree.difference);
	}
	printf("%zu pages touched as expected: %zu accesses worked, %zu faulted; %" PRIu64 " addresses agree, %" PRIu64
	       " of them mapped\n",
	       trial->count, worked, faulted, trial->agree.asked, trial->agree.mapped);
	return EQUAL;
}

static int usage(void)
{
	fprintf(stderr, "usage: touch [--spoil] kvm|soft FORMAT[,wp0][,smep][,smap][,qemu] touch.elf\n");
	return WRONG_USE;
}

static bool parse_format(struct options *options, char *text)
{
	bool known = false;

	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		for (size_t i = 0; i < FORMATS; i++) {
			if (strcmp(word, formats[i].name) == 0) {
				options->format = formats[i].format;
				options->cr4 |= formats[i].cr4;
				known = true;
			}
		}
		options->wp0 |= strcmp(word, "wp0") == 0;
		options->qemu |= strcmp(word, "qemu") == 0;
		options->cr4 |= strcmp(word, "smep") == 0 ? CR4_SMEP : strcmp(word, "smap") == 0 ? CR4_SMAP : 0;
	}
	return known;
}

int main(int argc, char **argv)
{
	static struct trial trial;
	static struct options options;
	static const char *const args[] = { "touch", "offer" };
	struct hs_error err = { 0 };
	enum hs_status st;
	int result = MISSING;

	options.spoil = argc == 5 && strcmp(argv[1], "--spoil") == 0;
	if (argc != 4 + options.spoil || !parse_format(&options, argv[argc - 2])) {
		return usage();
	}
	options.config = (struct hs_vm_config){
		.backend = strcmp(argv[argc - 3], "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT,
		.input_bytes = 16 << 10,
		.output_bytes = 64 << 10,
		.scratch_bytes = 1 << 20,
		.args = args,
		.args_count = 2,
	};
	trial.agree.random = 1;
	trial.agree.qemu = options.qemu;
	st = side_init(&trial.side, argv[argc - 1], &options.config, &err);
	if (!st) {
		trial.phys = hs_vm_phys(trial.side.vm);
		st = run_to_offer(&trial, &err);
		trial.agree.physical_bits = (uint8_t)trial.offer.physical_bits;
	}
	if (!st) {
		st = weave_tables(&trial, &options, &err);
	}
	if (st) {
		printf("%s\n", err.message);
	} else {
		result = run(&trial, &options);
	}
	side_deinit(&trial.side);
	return result;
}
