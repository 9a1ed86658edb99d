/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pair.h"

#include "state_difference.h"

#include "base/bytes.h"

#include "vmm/vm_private.h"

#include <stdio.h>
#include <string.h>

/* Rounds of a repeated instruction that KVM's emulator may do in one go, and some. */
#define ROUNDS_MAX 5000
/* Instructions of a handler of the guest programs, and some. */
#define HANDLER_MAX 5000
#define TABLE_BITS 0x60u /* A and D */

enum hs_status pair_init(struct pair *pair, const char *image, const char *const *args, size_t args_count,
			 struct hs_error *err)
{
	struct hs_vm_config config = { .backend = HS_BACKEND_KVM, .args = args, .args_count = args_count };
	enum hs_status st = side_init(&pair->kvm, image, &config, err);

	if (!st) {
		config.backend = HS_BACKEND_SOFT;
		st = side_init(&pair->soft, image, &config, err);
	}
	if (!st) {
		/* What a CPU is before its first instruction is not all the boot's to say. */
		st = hs_vm_cpu_get(pair->kvm.vm, &pair->kvm.cpu, err);
	}
	if (!st) {
		st = hs_vm_cpu_set(pair->soft.vm, &pair->kvm.cpu, err);
	}
	return st;
}

void pair_deinit(struct pair *pair)
{
	side_deinit(&pair->kvm);
	side_deinit(&pair->soft);
}

/* For the report: where they are. */
static void look(struct pair *pair)
{
	(void)!hs_vm_cpu_get(pair->kvm.vm, &pair->kvm.cpu, NULL);
	(void)!hs_vm_cpu_get(pair->soft.vm, &pair->soft.cpu, NULL);
}

static bool say(struct pair *pair, const char *what, long long kvm, long long soft)
{
	look(pair);
	snprintf(pair->difference, sizeof(pair->difference), "%s: %#llx on KVM, %#llx on the software CPU", what, kvm,
		 soft);
	return false;
}

static bool fail(struct pair *pair, const char *what, const struct hs_error *err)
{
	look(pair);
	snprintf(pair->difference, sizeof(pair->difference), "%s: %.300s", what, err->message);
	return false;
}

bool pair_run_to_exit(struct pair *pair)
{
	struct hs_error err = { 0 };
	struct hs_exit kvm = { 0 };
	struct hs_exit soft = { 0 };

	if (side_run_to_exit(&pair->kvm, &kvm, &err)) {
		return fail(pair, "KVM", &err);
	}
	if (side_run_to_exit(&pair->soft, &soft, &err)) {
		return fail(pair, "the software CPU", &err);
	}
	if (kvm.kind != soft.kind) {
		return say(pair, "the kind of exit", kvm.kind, soft.kind);
	}
	if (kvm.port != soft.port || kvm.size != soft.size) {
		return say(pair, "port and size", kvm.port << 8 | kvm.size, soft.port << 8 | soft.size);
	}
	if (kvm.data != soft.data) {
		return say(pair, "the value written to a port", kvm.data, soft.data);
	}
	return kvm.gpa == soft.gpa || say(pair, "the physical address", (long long)kvm.gpa, (long long)soft.gpa);
}

static bool fetch(struct pair *pair, struct side *side)
{
	struct hs_error err = { 0 };

	return hs_vm_cpu_get(side->vm, &side->cpu, &err) == HS_OK || fail(pair, "registers", &err);
}

bool pair_compare_registers(struct pair *pair)
{
	const struct state_rules rules = { .rflags = 0 };
	char text[300];
	const char *difference;

	if (!fetch(pair, &pair->kvm) || !fetch(pair, &pair->soft)) {
		return false;
	}
	rules_of_state(&pair->kvm.cpu, &pair->soft.cpu);
	difference = state_difference(&pair->soft.cpu, &pair->kvm.cpu, &rules, text, sizeof(text));
	if (difference) {
		snprintf(pair->difference, sizeof(pair->difference), "%s as on KVM", difference);
	}
	return difference == NULL;
}

static bool is_table(const struct hs_vm *vm, uint64_t gpa)
{
	const struct hs_area *area = hs_layout_area(&vm->layout, HS_AREA_TABLES);

	return gpa >= area->gpa.v && gpa - area->gpa.v < area->length;
}

/* Whether the byte is part of an exception frame that QEMU's translator fills otherwise. */
static bool is_pushed(const struct hs_ram_region *kvm, const struct hs_ram_region *soft, uint64_t at)
{
	uint64_t word = at & ~UINT64_C(7);

	if (at < 24 || at + 8 > kvm->length) {
		return false;
	}
	/* RF is in the third byte of the flags, TF in the second. */
	return rules_are_pushed_flags(hs_get_le32(kvm->host + at - 2), hs_get_le32(soft->host + at - 2)) ||
	       rules_are_pushed_flags(hs_get_le32(kvm->host + at - 1), hs_get_le32(soft->host + at - 1)) ||
	       rules_is_pushed_ss(kvm->host + word, soft->host + word);
}

static bool compare_region(struct pair *pair, const struct hs_ram_region *kvm, const struct hs_ram_region *soft)
{
	for (uint64_t i = 0; i < kvm->length; i++) {
		uint8_t turned = kvm->host[i] ^ soft->host[i];

		if (i % HS_PAGE_SIZE == 0 && memcmp(kvm->host + i, soft->host + i, HS_PAGE_SIZE) == 0) {
			i += HS_PAGE_SIZE - 1;
			continue;
		}
		if (turned && is_pushed(kvm, soft, i)) {
			continue;
		}
		if (turned && is_table(pair->kvm.vm, kvm->gpa.v + i) && (turned & ~TABLE_BITS) == 0) {
			continue;
		}
		if (turned) {
			snprintf(pair->difference, sizeof(pair->difference),
				 "the byte at gpa 0x%llx is 0x%02x on KVM, 0x%02x on the software CPU; the words "
				 "there are 0x%llx and 0x%llx",
				 (unsigned long long)(kvm->gpa.v + i), kvm->host[i], soft->host[i],
				 (unsigned long long)hs_get_le64(kvm->host + (i & ~UINT64_C(7))),
				 (unsigned long long)hs_get_le64(soft->host + (i & ~UINT64_C(7))));
			return false;
		}
	}
	return true;
}

bool pair_compare_memory(struct pair *pair)
{
	const struct hs_ram *kvm = &pair->kvm.vm->ram;
	const struct hs_ram *soft = &pair->soft.vm->ram;

	for (size_t i = 0; i < kvm->count; i++) {
		if (!compare_region(pair, &kvm->regions[i], &soft->regions[i])) {
			return false;
		}
	}
	return true;
}

bool pair_compare_ends(struct pair *pair)
{
	const struct side *kvm = &pair->kvm;
	const struct side *soft = &pair->soft;

	if (kvm->ended != soft->ended) {
		return say(pair, "the end", kvm->ended, soft->ended);
	}
	if (kvm->console.length != soft->console.length ||
	    memcmp(kvm->console.text, soft->console.text, kvm->console.length) != 0) {
		return say(pair, "the output; its length", (long long)kvm->console.length,
			   (long long)soft->console.length);
	}
	if (!kvm->ended) {
		return true;
	}
	if (kvm->event.kind != soft->event.kind) {
		return say(pair, "the last event", kvm->event.kind, soft->event.kind);
	}
	if (kvm->event.kind == HS_EVENT_EXITED && kvm->event.exit_status != soft->event.exit_status) {
		return say(pair, "the exit status", kvm->event.exit_status, soft->event.exit_status);
	}
	/* What KVM has lost of the registers is no part of the crash. */
	if (kvm->event.kind == HS_EVENT_CRASHED && !kvm->event.crash.registers_lost &&
	    strcmp(kvm->event.crash.text, soft->event.crash.text) != 0) {
		snprintf(pair->difference, sizeof(pair->difference), "\"%.180s\" on KVM, \"%.180s\" here",
			 kvm->event.crash.text, soft->event.crash.text);
		return false;
	}
	return true;
}

/*
 * KVM's emulator does many rounds of a repeated instruction in a step, and stays at it when rcx has become 0; the
 * software CPU does one round, and leaves it with the last one. They meet where both have the same rounds left.
 */
static bool catch_up(struct pair *pair, uint64_t rip)
{
	struct hs_error err = { 0 };

	if (!fetch(pair, &pair->kvm) || !fetch(pair, &pair->soft)) {
		return false;
	}
	if (!pair->kvm.ended && pair->kvm.cpu.rip == rip && pair->kvm.cpu.gpr[HS_RCX] == 0) {
		if (side_step(&pair->kvm, &err)) {
			return fail(pair, "KVM", &err);
		}
		if (!fetch(pair, &pair->kvm)) {
			return false;
		}
	}
	for (int i = 0; i < ROUNDS_MAX && !pair->soft.ended && pair->soft.cpu.rip == rip; i++) {
		if (pair->kvm.cpu.rip == rip && pair->soft.cpu.gpr[HS_RCX] == pair->kvm.cpu.gpr[HS_RCX]) {
			break;
		}
		if (side_step(&pair->soft, &err)) {
			return fail(pair, "the software CPU", &err);
		}
		if (!fetch(pair, &pair->soft)) {
			return false;
		}
	}
	return true;
}

/*
 * The instruction has faulted, and the software CPU is at its handler. Where TF is KVM's means of stepping, which is
 * off in a handler, KVM is behind it: where the handler has returned to, or at the end.
 */
static bool run_through_handler(struct pair *pair)
{
	struct hs_error err = { 0 };

	for (int i = 0; i < HANDLER_MAX && !pair->soft.ended; i++) {
		if (!pair->kvm.ended && pair->soft.cpu.rip == pair->kvm.cpu.rip &&
		    pair->soft.cpu.gpr[HS_RSP] == pair->kvm.cpu.gpr[HS_RSP]) {
			break;
		}
		if (side_step(&pair->soft, &err)) {
			return fail(pair, "the software CPU", &err);
		}
		if (!fetch(pair, &pair->soft)) {
			return false;
		}
	}
	return true;
}

bool pair_step(struct pair *pair)
{
	struct hs_error err = { 0 };
	struct rules_of_insn rules;
	bool went_on = false;
	uint64_t rip;

	if (!fetch(pair, &pair->kvm)) {
		return false;
	}
	rip = pair->kvm.cpu.rip;
	rules_of_insn(pair->kvm.vm, &pair->kvm.cpu, &rules);
	if (side_step(&pair->kvm, &err)) {
		return fail(pair, "KVM", &err);
	}
	if (side_step(&pair->soft, &err)) {
		return fail(pair, "the software CPU", &err);
	}
	if (rules.repeats && !catch_up(pair, rip)) {
		return false;
	}
	if (!fetch(pair, &pair->kvm) || !fetch(pair, &pair->soft)) {
		return false;
	}
	if (rules.may_take_the_next && !pair->soft.ended && pair->kvm.cpu.rip != pair->soft.cpu.rip &&
	    (side_step(&pair->soft, &err) || !fetch(pair, &pair->soft))) {
		return fail(pair, "the software CPU", &err);
	}
	if (rules.length != 0 && (rules.branches || pair->soft.cpu.rip == rip + rules.length)) {
		went_on = true;
	}
	if (!went_on && !run_through_handler(pair)) {
		return false;
	}
	if (rules_take_over(&rules, &pair->kvm.cpu, &pair->soft.cpu) &&
	    hs_vm_cpu_set(pair->soft.vm, &pair->soft.cpu, &err)) {
		return fail(pair, "the software CPU", &err);
	}
	return pair_compare_registers(pair);
}
