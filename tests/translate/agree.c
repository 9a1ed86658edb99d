/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agree.h"

#include "base/arith.h"
#include "lib/random.h"
#include "vmm/vm_private.h"

#include <hindsight/spaces.h>

#include <inttypes.h>
#include <stdio.h>

/* Pages that are asked for of one range: all of those that guests have, a selection of those that weave.c makes. */
#define PAGES_MAX 512u
#define RANDOM_ADDRESSES 64u

/* What the comparison needs at every address. */
struct space {
	struct agree *agree;
	struct side *side;
	struct hs_phys phys;
	struct hs_root root;
};

enum hs_status agree_root(const struct agree *agree, struct side *side, struct hs_root *ret, struct hs_error *err)
{
	enum hs_status st = hs_vm_fetch(side->vm, HS_STATE_CORE, err);

	if (!st) {
		hs_root_of_cpu(&side->vm->cpu, ret);
		ret->maxphyaddr = agree->physical_bits;
		ret->pdpte_a = agree->qemu;
	}
	return st;
}

/* As hs_translate() would answer if the entry that maps gva had another bit in its address. */
static void translate_spoiled(const struct space *space, uint64_t gva, struct hs_range *ret)
{
	const struct hs_phys *phys = &space->phys;
	struct hs_path path;
	uint8_t before, turned;

	hs_path_find(phys, &space->root, hs_gva_of(gva), &path);
	/* Bit 12 of an entry, of a page's address. */
	hs_gpa place = hs_gpa_of(path.levels[path.count - 1].place.v + 1);

	(void)!phys->ops->read(phys->ctx, place, &before, 1, NULL);
	turned = before ^ 0x10;
	(void)!phys->ops->write(phys->ctx, place, &turned, 1, NULL);
	hs_translate(phys, &space->root, hs_gva_of(gva), ret);
	(void)!phys->ops->write(phys->ctx, place, &before, 1, NULL);
}

static bool ask(struct space *space, uint64_t gva)
{
	struct agree *agree = space->agree;
	struct hs_vm *vm = space->side->vm;
	struct hs_error err = { 0 };
	struct hs_range range;
	hs_gpa found = { 0 };
	bool is_mapped = false;
	uint64_t gpa;

	hs_translate(&space->phys, &space->root, hs_gva_of(gva), &range);
	/* KVM looks at the bits that index tables alone. */
	if (range.kind == HS_RANGE_NON_CANONICAL) {
		return true;
	}
	agree->asked++;
	agree->mapped += range.kind == HS_RANGE_MAPPED;
	if (agree->spoil && range.kind == HS_RANGE_MAPPED && agree->mapped == agree->spoil) {
		translate_spoiled(space, gva, &range);
	}
	gpa = range.kind == HS_RANGE_MAPPED ? range.gpa.v + (gva - range.start.v) : 0;
	if (vm->ops->translate(vm->backend, hs_gva_of(gva), &is_mapped, &found, &err)) {
		snprintf(agree->difference, sizeof(agree->difference), "%.300s", err.message);
		return false;
	}
	/* KVM asks as the supervisor, and the software CPU for whoever it may be. */
	if (!is_mapped && range.kind == HS_RANGE_MAPPED &&
	    !(hs_access_rights(&space->root, &range, HS_ACCESS_BY_SUPERVISOR) & HS_PROT_READ)) {
		return true;
	}
	if (is_mapped == (range.kind == HS_RANGE_MAPPED) && found.v == gpa) {
		return true;
	}
	snprintf(agree->difference, sizeof(agree->difference),
		 "0x%" PRIx64 ": the CPU finds %s 0x%" PRIx64 ", the tables say kind %d, 0x%" PRIx64
		 " (entry of level %d)",
		 gva, is_mapped ? "page" : "nothing,", found.v, range.kind, gpa, range.level);
	return false;
}

/* An address in the page and the one beside it. */
static bool ask_page(struct space *space, uint64_t gva)
{
	return ask(space,
		   (gva & ~(uint64_t)(HS_PAGE_SIZE - 1)) | (random_next(&space->agree->random) >> 20) % HS_PAGE_SIZE);
}

static bool ask_range(struct space *space, const struct hs_range *range)
{
	uint64_t last = range->start.v + (range->length - 1);
	uint64_t step = hs_align_down(range->length / PAGES_MAX, HS_PAGE_SIZE) + HS_PAGE_SIZE;

	for (uint64_t offset = 0; offset < range->length; offset += step) {
		if (!ask_page(space, range->start.v + offset)) {
			return false;
		}
	}
	return ask(space, range->start.v - 1) && ask(space, range->start.v) && ask(space, last) && ask(space, last + 1);
}

static bool ask_random(struct space *space)
{
	for (unsigned int i = 0; i < RANDOM_ADDRESSES; i++) {
		uint64_t gva = random_next(&space->agree->random) >> (i % 2 ? 0 : 32);

		if (!ask(space, gva)) {
			return false;
		}
	}
	return true;
}

bool agree_everywhere(struct agree *agree, struct side *side)
{
	struct space space = { .agree = agree, .side = side, .phys = hs_vm_phys(side->vm) };
	struct hs_error err = { 0 };
	enum hs_status st = agree_root(agree, side, &space.root, &err);
	struct hs_range range;
	struct hs_iter iter;

	if (st) {
		snprintf(agree->difference, sizeof(agree->difference), "%.300s", err.message);
		return false;
	}
	hs_iter_init(&iter, &space.phys, &space.root, hs_gva_of(0), 0, hs_budget_default());
	while ((st = hs_iter_next(&iter, &range, &err)) == HS_OK) {
		if (!ask_range(&space, &range)) {
			return false;
		}
	}
	if (st != HS_ERR_NOT_FOUND) {
		snprintf(agree->difference, sizeof(agree->difference), "%.300s", err.message);
		return false;
	}
	return ask_random(&space);
}
