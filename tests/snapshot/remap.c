/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * remap BACKEND IMAGE [3] [cancel]: a guest that changes its own page tables (guest/programs/bare_remap.c) goes back to
 * a snapshot from before that, again and again: it finds its memory through the tables of the snapshot, whatever the
 * CPU or KVM has kept of those that it had when it was put back. With "3" it runs in ring 3, where kvm_pvm has shadow
 * page tables. With "cancel" each run behind a restore is interrupted before it has begun: what the CPU was to forget
 * it has to have forgotten by the run after that one.
 *
 * Exit status 0, 1 with a line that says what differs, 77 when the backend cannot run the guest here.
 */
#include "run.h"

#include <hindsight/hindsight.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CYCLES 20
#define USER_CODE_32 0x1Bu
#define USER_DATA 0x23u
#define USER_CODE_64 0x2Bu
#define VECTOR_UD 6
#define CR4_PGE 0x80u

static int set(struct hs_vm *vm, const struct hs_cpu_state *cpu)
{
	return hs_vm_cpu_set(vm, cpu, &error) ? fail("registers") : 0;
}

/* To the next stop: in ring 0 a port, in ring 3, where KVM's emulator of kvm_pvm has no IOPL, a ud2. */
static int run_to_stop(struct hs_vm *vm)
{
	const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };
	static struct hs_cpu_state cpu;
	struct hs_event event;

	if (hs_vm_run(vm, &on, &event, &error) || hs_vm_cpu_get(vm, &cpu, &error)) {
		return fail("run");
	}
	if (event.kind == HS_EVENT_READY) {
		return 0;
	}
	if (event.kind != HS_EVENT_CRASHED || event.crash.vector != VECTOR_UD || cpu.seg[HS_CS].dpl != 3) {
		return fail(event.kind == HS_EVENT_CRASHED ? event.crash.text : "the guest has ended");
	}
	cpu.rip += 2;
	return set(vm, &cpu);
}

/* Let ring 3 reach all that ring 0 does. */
static int open_tables(struct hs_vm *vm, const struct hs_cpu_state *cpu)
{
	static struct hs_space_place places[256];
	static struct hs_spaces spaces;
	struct hs_phys phys = hs_vm_phys(vm);
	struct hs_space_item item;
	struct hs_root root;
	size_t entry_bytes;

	hs_root_of_cpu(cpu, &root);
	entry_bytes = root.format == HS_PAGING_32BIT ? 4 : 8;
	hs_spaces_init(&spaces, &phys, &root, 1, places, sizeof(places) / sizeof(places[0]), hs_budget_default());
	while (hs_spaces_next(&spaces, &item, &error) == HS_OK) {
		for (size_t at = 0; item.kind == HS_SPACE_TABLE && at < HS_PAGE_SIZE; at += entry_bytes) {
			uint8_t low;

			if (phys.ops->read(phys.ctx, hs_gpa_of(item.table.v + at), &low, 1, &error)) {
				return fail("tables");
			}
			low |= low & 1 ? 4 : 0;
			if (phys.ops->write(phys.ctx, hs_gpa_of(item.table.v + at), &low, 1, &error)) {
				return fail("tables");
			}
		}
	}
	return 0;
}

static int enter_ring_3(struct hs_vm *vm)
{
	static struct hs_cpu_state cpu;

	if (hs_vm_cpu_get(vm, &cpu, &error)) {
		return fail("registers");
	}
	if (open_tables(vm, &cpu)) {
		return 1;
	}
	/* As every GDT at entry has them (docs/guest-abi.md). */
	cpu.seg[HS_CS].selector = cpu.seg[HS_CS].l ? USER_CODE_64 : USER_CODE_32;
	cpu.seg[HS_SS].selector = USER_DATA;
	cpu.seg[HS_CS].dpl = cpu.seg[HS_SS].dpl = 3;
	return set(vm, &cpu);
}

/* As far as the CPU is concerned: CR4.PGE changes (SDM vol. 3A 4.10.4.1). */
static int drop_translations(struct hs_vm *vm)
{
	static struct hs_cpu_state cpu;
	int status = hs_vm_cpu_get(vm, &cpu, &error) ? fail("registers") : 0;

	cpu.cr4 ^= CR4_PGE;
	status = status ? status : set(vm, &cpu);
	cpu.cr4 ^= CR4_PGE;
	return status ? status : set(vm, &cpu);
}

/* From the snapshot over the change of the tables to the next stop. */
static int change_once(struct hs_vm *vm, bool ring_3)
{
	static struct hs_cpu_state cpu;
	int status = hs_vm_cpu_get(vm, &cpu, &error) ? fail("registers") : 0;

	cpu.gpr[HS_RDI] = cpu.cr3;
	status = status ? status : set(vm, &cpu);
	status = status ? status : run_to_stop(vm);
	if (!status && ring_3) {
		status = drop_translations(vm);
		status = status ? status : run_to_stop(vm);
	}
	if (!status && hs_vm_cpu_get(vm, &cpu, &error)) {
		status = fail("registers");
	}
	if (!status && (cpu.gpr[HS_RBX] != 1 || cpu.gpr[HS_RSI] != 2 || cpu.gpr[HS_RCX] != 2)) {
		fprintf(stderr,
			"remap: the guest read %" PRIu64 " and %" PRIu64 ", and %" PRIu64
			" then, instead of 1, 2 and 2\n",
			cpu.gpr[HS_RBX], cpu.gpr[HS_RSI], cpu.gpr[HS_RCX]);
		status = 1;
	}
	return status;
}

/* The interrupt comes before the restore or behind it, and ends the next run before it has begun. */
static int restore_and_cancel(struct hs_vm *vm, const struct hs_snapshot *snapshot, bool share, bool before)
{
	const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;

	if (before) {
		hs_vm_interrupt(vm);
	}
	if (run_restore(vm, snapshot, share)) {
		return 1;
	}
	if (!before) {
		hs_vm_interrupt(vm);
	}
	if (hs_vm_run(vm, &on, &event, &error)) {
		return fail("run");
	}
	return event.kind == HS_EVENT_INTERRUPTED ? 0 : fail("an interrupt was lost");
}

/* To the end of the VM. */
static int cycle(struct hs_vm *vm, bool ring_3, bool cancels)
{
	struct hs_snapshot *snapshot = NULL;
	int status = run_to_stop(vm);

	status = status || !ring_3 ? status : enter_ring_3(vm);
	status = status ? status : run_snapshot(vm, 1, &snapshot);
	for (int i = 0; i < CYCLES && !status; i++) {
		/* Of the first half each is the same image, in the second one what may be shared is. */
		bool share = i >= CYCLES / 2;

		status = cancels ? restore_and_cancel(vm, snapshot, share, i % 2) : run_restore(vm, snapshot, share);
		status = status ? status : change_once(vm, ring_3);
	}
	hs_vm_destroy(vm);
	hs_snapshot_unref(snapshot);
	return status;
}

int main(int argc, char **argv)
{
	struct hs_vm_config config = { .seed = 1, .calls = true };
	bool ring_3 = false;
	bool cancels = false;
	struct hs_vm *vm;
	int status;

	for (int i = 3; i < argc; i++) {
		ring_3 = ring_3 || strcmp(argv[i], "3") == 0;
		cancels = cancels || strcmp(argv[i], "cancel") == 0;
	}
	if (argc != 3 + ring_3 + cancels) {
		fprintf(stderr, "usage: remap kvm|soft IMAGE [3] [cancel]\n");
		return 2;
	}
	status = run_create(argv[1], argv[2], &config, &vm);
	return status ? status : cycle(vm, ring_3, cancels);
}
