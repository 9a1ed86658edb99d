/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/crash.h"

#include "arch/bits.h"
#include "arch/exception.h"
#include "base/arith.h"
#include "base/bytes.h"
#include "vmm/insn.h"

#include <hindsight/cpu.h>
#include <hindsight/paging.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define ERROR_CODE_IDT 2u
/* Of linear addresses without CR4.LA57. */
#define LINEAR_BITS 48u

static void start(const struct hs_crash_scene *scene, enum hs_crash_reason reason, int signal, int code,
		  struct hs_crash *ret)
{
	*ret = (struct hs_crash){ .reason = reason, .signal = signal, .code = code, .rip = scene->cpu->rip };
	ret->fault_address = ret->rip;
}

/* A table that is not there, by its address. */
static void describe_table(const struct hs_range *range, char *ret, size_t size)
{
	snprintf(ret, size, "its page table at guest-physical 0x%llx is not in memory",
		 (unsigned long long)range->gpa.v);
}

/* What the page tables say about an address, in words, some of them in the given storage. */
static const char *mapping_of(const struct hs_crash_scene *scene, uint64_t address, uint32_t error_code, char *storage,
			      size_t size)
{
	struct hs_root root;
	struct hs_range range;

	hs_root_of_cpu(scene->cpu, &root);
	hs_translate(scene->phys, &root, hs_gva_of(address), &range);
	switch (range.kind) {
	case HS_RANGE_MAPPED:
		if (error_code & HS_PF_I) {
			return range.prot & HS_PROT_EXEC ? "mapped" : "mapped without execute permission";
		}
		if ((error_code & HS_PF_U) && !range.user) {
			return "mapped for the supervisor only";
		}
		if (!(error_code & HS_PF_W) || (range.prot & HS_PROT_WRITE)) {
			return "mapped";
		}
		return range.cow ? "mapped read-only and tagged copy-on-write" : "mapped read-only";
	case HS_RANGE_HOLE:
		return "not mapped";
	case HS_RANGE_UNREADABLE:
		describe_table(&range, storage, size);
		return storage;
	case HS_RANGE_RESERVED:
		return "reserved bits are set in its page table";
	case HS_RANGE_NON_CANONICAL:
		return "not a canonical address";
	}
	return "";
}

static bool is_stack_overflow(const struct hs_crash_scene *scene, uint64_t address)
{
	return address - scene->guard < scene->guard_bytes;
}

static void describe_page_fault(const struct hs_crash_scene *scene, uint32_t error_code, struct hs_crash *crash)
{
	/* Where nothing is execute-protected (i686 without NX) the CPU does not mark a fetch (SDM vol. 3A 4.7). */
	bool fetch = (error_code & HS_PF_I) || (!(error_code & HS_PF_W) && scene->cpu->cr2 == scene->cpu->rip);
	const char *access = fetch ? "fetch from" : error_code & HS_PF_W ? "write to" : "read of";
	bool overflow = is_stack_overflow(scene, scene->cpu->cr2);
	char storage[96];

	crash->fault_address = scene->cpu->cr2;
	crash->code = hs_exception_pf_code(error_code);
	snprintf(crash->text, sizeof(crash->text), "page fault (#PF): %s 0x%llx, %s%s", access,
		 (unsigned long long)scene->cpu->cr2,
		 mapping_of(scene, scene->cpu->cr2, error_code, storage, sizeof(storage)),
		 overflow ? ": stack overflow" : "");
}

/* Where a jump, call or return goes: for an indirect one that is in a register or in memory. */
static bool find_target(const struct hs_crash_scene *scene, const struct hs_insn *insn, uint64_t *ret)
{
	struct hs_root root;
	uint8_t bytes[8];
	size_t length;

	if (insn->target_known) {
		*ret = insn->target;
		return true;
	}
	if (!insn->branches) {
		return false;
	}
	hs_root_of_cpu(scene->cpu, &root);
	for (size_t i = 0; i < insn->access_count; i++) {
		const struct hs_insn_access *access = &insn->accesses[i];

		if (access->read && access->bytes == sizeof(bytes) &&
		    hs_vmem_read(scene->phys, &root, hs_gva_of(access->address), bytes, sizeof(bytes), &length, NULL) ==
			    HS_OK &&
		    length == sizeof(bytes)) {
			*ret = hs_get_le64(bytes);
			return true;
		}
	}
	return false;
}

/* The address that is not canonical and the word for what was tried there; NULL when there is none. */
static const char *find_non_canonical(const struct hs_crash_scene *scene, uint64_t *ret)
{
	struct hs_insn insn;

	if (!(scene->cpu->msr.efer & HS_EFER_LMA)) {
		return NULL;
	}
	/* Some CPUs fault at the jump, some at where it goes. */
	if (!hs_is_canonical(scene->cpu->rip, LINEAR_BITS)) {
		*ret = scene->cpu->rip;
		return "jump to";
	}
	if (hs_insn_decode(scene->phys, scene->cpu, hs_gva_of(scene->cpu->rip), &insn, NULL)) {
		return NULL;
	}
	for (size_t i = 0; i < insn.access_count; i++) {
		if (!hs_is_canonical(insn.accesses[i].address, LINEAR_BITS)) {
			*ret = insn.accesses[i].address;
			return insn.accesses[i].write ? "write to" : "read of";
		}
	}
	return find_target(scene, &insn, ret) && !hs_is_canonical(*ret, LINEAR_BITS) ? "jump to" : NULL;
}

/* A #GP or #SS without an error code is most often an address that is not canonical; the CPU does not say which. */
static void describe_protection(const struct hs_crash_scene *scene, const char *name, struct hs_crash *crash)
{
	uint64_t address;
	const char *access;

	/* The format of an error code: SDM vol. 3A 6.13. */
	if (crash->error_code & ERROR_CODE_IDT) {
		snprintf(crash->text, sizeof(crash->text), "%s: the gate of interrupt 0x%x", name,
			 (crash->error_code & 0xFFF8u) >> 3);
		return;
	}
	if (crash->error_code) {
		snprintf(crash->text, sizeof(crash->text), "%s: selector 0x%x", name, crash->error_code & 0xFFF8u);
		return;
	}
	access = find_non_canonical(scene, &address);
	if (!access) {
		snprintf(crash->text, sizeof(crash->text), "%s", name);
		return;
	}
	crash->fault_address = address;
	snprintf(crash->text, sizeof(crash->text), "%s: %s 0x%llx, not a canonical address", name, access,
		 (unsigned long long)address);
}

/*
 * The instruction set that the backend does not offer; NULL when the #UD is the guest's own doing: it executes no such
 * instruction, or has not switched them on (SDM vol. 3A 2.5; vol. 2A 2.4).
 */
static const char *missing_vectors(const struct hs_crash_scene *scene)
{
	const char *name = NULL;
	uint64_t needed = HS_CR4_OSFXSR;
	unsigned int set;

	if (scene->executes && !(scene->cpu->cr0 & HS_CR0_EM)) {
		name = hs_insn_vector_set(scene->phys, scene->cpu, hs_gva_of(scene->cpu->rip), &set);
	}
	if (!name || scene->executes(set)) {
		return NULL;
	}
	if (strcmp(name, "x87") == 0 || strcmp(name, "MMX") == 0) {
		needed = 0;
	} else if (strncmp(name, "AVX", 3) == 0) {
		needed = HS_CR4_OSXSAVE;
	}
	return (scene->cpu->cr4 & needed) == needed ? name : NULL;
}

static void describe_undefined(const struct hs_crash_scene *scene, const char *name, struct hs_crash *crash)
{
	const char *set = missing_vectors(scene);

	snprintf(crash->text, sizeof(crash->text), "%s", name);
	if (set) {
		snprintf(crash->text, sizeof(crash->text),
			 "%s: this instruction needs %s, which the software CPU does not offer here "
			 "(--backend kvm runs it where the CPU has it, and VMX or SVM)",
			 name, set);
	}
}

static void describe_float(const struct hs_crash_scene *scene, const char *name, struct hs_crash *crash)
{
	const struct hs_float_exception *exception = hs_float_exception_of(crash->vector, scene->cpu->xsave);

	snprintf(crash->text, sizeof(crash->text), "%s", name);
	if (exception) {
		crash->code = exception->code;
		snprintf(crash->text, sizeof(crash->text), "%s: %s", name, exception->name);
	}
}

void hs_crash_of_exception(const struct hs_crash_scene *scene, const struct hs_exception_frame *frame,
			   struct hs_crash *ret)
{
	const struct hs_exception *exception = hs_exception_of(frame->vector);
	struct hs_crash crash;
	char name[64];

	start(scene, HS_CRASH_EXCEPTION, exception->signal, exception->code, &crash);
	crash.vector = frame->vector;
	crash.has_error_code = frame->has_error_code;
	crash.error_code = frame->error_code;
	snprintf(name, sizeof(name), "%s (%s)", exception->name, exception->mnemonic);
	if (frame->vector == HS_VECTOR_PF) {
		describe_page_fault(scene, frame->error_code, &crash);
	} else if (frame->vector == HS_VECTOR_GP || frame->vector == HS_VECTOR_SS) {
		describe_protection(scene, name, &crash);
	} else if (frame->vector == HS_VECTOR_UD) {
		describe_undefined(scene, name, &crash);
	} else if (frame->vector == HS_VECTOR_MF || frame->vector == HS_VECTOR_XM) {
		describe_float(scene, name, &crash);
	} else if (frame->vector == HS_VECTOR_DF && is_stack_overflow(scene, scene->cpu->cr2)) {
		crash.fault_address = scene->cpu->cr2;
		snprintf(crash.text, sizeof(crash.text),
			 "double fault (#DF): a push to 0x%llx, not mapped: stack overflow",
			 (unsigned long long)scene->cpu->cr2);
	} else if (frame->vector >= HS_VECTOR_COUNT) {
		snprintf(crash.text, sizeof(crash.text), "interrupt 0x%x that nobody handles", frame->vector);
	} else if (frame->has_error_code && frame->error_code) {
		snprintf(crash.text, sizeof(crash.text), "%s: error code 0x%x", name, frame->error_code);
	} else {
		snprintf(crash.text, sizeof(crash.text), "%s", name);
	}
	*ret = crash;
}

/* The linear address behind a physical one: that of the operand which translates to it, or whose translation ends
 * there for want of a table (ret_range says which). Else unknown. */
static bool find_gva(const struct hs_crash_scene *scene, uint64_t gpa, uint64_t *ret, struct hs_range *ret_range)
{
	struct hs_insn insn;
	struct hs_root root;

	if (hs_insn_decode(scene->phys, scene->cpu, hs_gva_of(scene->cpu->rip), &insn, NULL)) {
		return false;
	}
	hs_root_of_cpu(scene->cpu, &root);
	for (size_t i = 0; i < insn.access_count; i++) {
		struct hs_range range;
		uint64_t address = insn.accesses[i].address;

		hs_translate(scene->phys, &root, hs_gva_of(address), &range);
		if ((range.kind == HS_RANGE_MAPPED && range.gpa.v + (address - range.start.v) == gpa) ||
		    (range.kind == HS_RANGE_UNREADABLE && range.gpa.v == gpa)) {
			*ret = address;
			*ret_range = range;
			return true;
		}
	}
	return false;
}

/* Whether a mapped address leads to physical memory that is not there. */
static bool leads_nowhere(const struct hs_crash_scene *scene, uint64_t address, uint64_t *ret_gpa)
{
	struct hs_root root;
	struct hs_range range;
	uint64_t length;

	hs_root_of_cpu(scene->cpu, &root);
	hs_translate(scene->phys, &root, hs_gva_of(address), &range);
	if (range.kind != HS_RANGE_MAPPED) {
		return false;
	}
	*ret_gpa = range.gpa.v + (address - range.start.v);
	return !scene->phys->ops->pointer(scene->phys->ctx, hs_gpa_of(*ret_gpa), &length);
}

/* The instruction itself is where no memory is. */
static void describe_fetch(const struct hs_crash_scene *scene, uint64_t gpa, struct hs_crash *crash)
{
	crash->gpa = gpa;
	crash->fault_address = scene->cpu->rip;
	snprintf(crash->text, sizeof(crash->text),
		 "bus error: fetch from 0x%llx, which is guest-physical 0x%llx: no memory is there",
		 (unsigned long long)scene->cpu->rip, (unsigned long long)gpa);
}

static void describe_memory(const struct hs_crash_scene *scene, const struct hs_exit *exit, struct hs_crash *crash)
{
	const char *access = exit->is_write ? "write to" : "read of";
	const char *why = exit->kind == HS_EXIT_READ_ONLY ? "read-only memory" : "no memory is there";
	struct hs_range range;
	char storage[96];
	uint64_t gpa;

	if (!exit->is_write && leads_nowhere(scene, scene->cpu->rip, &gpa) && gpa == exit->gpa) {
		describe_fetch(scene, gpa, crash);
		return;
	}
	crash->gpa = exit->gpa;
	crash->fault_address = exit->gpa;
	if (!find_gva(scene, exit->gpa, &crash->fault_address, &range)) {
		snprintf(crash->text, sizeof(crash->text), "bus error: %s guest-physical 0x%llx: %s", access,
			 (unsigned long long)exit->gpa, why);
	} else if (range.kind == HS_RANGE_UNREADABLE) {
		describe_table(&range, storage, sizeof(storage));
		snprintf(crash->text, sizeof(crash->text), "bus error: access to 0x%llx, %s",
			 (unsigned long long)crash->fault_address, storage);
	} else {
		snprintf(crash->text, sizeof(crash->text), "bus error: %s 0x%llx, which is guest-physical 0x%llx: %s",
			 access, (unsigned long long)crash->fault_address, (unsigned long long)exit->gpa, why);
	}
}

/*
 * KVM's emulator is also where an instruction ends up that cannot be fetched, or an exception that cannot be pushed.
 */
static void describe_emulation(const struct hs_crash_scene *scene, struct hs_crash *crash)
{
	uint64_t stack = scene->cpu->gpr[HS_RSP] - 1;
	uint64_t gpa;

	if (leads_nowhere(scene, scene->cpu->rip, &gpa)) {
		start(scene, HS_CRASH_UNMAPPED, SIGBUS, BUS_ADRERR, crash);
		describe_fetch(scene, gpa, crash);
		return;
	}
	start(scene, HS_CRASH_BACKEND, SIGILL, ILL_ILLOPC, crash);
	if (leads_nowhere(scene, stack, &gpa)) {
		snprintf(crash->text, sizeof(crash->text),
			 "this host's KVM cannot execute the instruction; the stack is at guest-physical 0x%llx, where "
			 "no memory is",
			 (unsigned long long)gpa + 1);
		return;
	}
	snprintf(crash->text, sizeof(crash->text),
		 "this host's KVM cannot execute the instruction (hindsight doctor says what it can)");
}

void hs_crash_of_exit(const struct hs_crash_scene *scene, const struct hs_exit *exit, struct hs_crash *ret)
{
	struct hs_crash crash;

	switch (exit->kind) {
	case HS_EXIT_SHUTDOWN:
		start(scene, HS_CRASH_TRIPLE_FAULT, SIGSEGV, SI_KERNEL, &crash);
		crash.registers_lost = exit->registers_lost;
		snprintf(crash.text, sizeof(crash.text), "triple fault%s",
			 exit->registers_lost ? " (the CPU has reset the registers)" : "");
		break;
	case HS_EXIT_PORT_IN:
	case HS_EXIT_PORT_OUT:
		start(scene, HS_CRASH_UNKNOWN_PORT, SIGSYS, SI_KERNEL, &crash);
		crash.port = exit->port;
		snprintf(crash.text, sizeof(crash.text), "unknown port: %u-bit %s port 0x%x (%u)", exit->size * 8u,
			 exit->kind == HS_EXIT_PORT_IN ? "in from" : "out to", exit->port, exit->port);
		break;
	case HS_EXIT_UNMAPPED:
	case HS_EXIT_READ_ONLY:
		start(scene, exit->kind == HS_EXIT_UNMAPPED ? HS_CRASH_UNMAPPED : HS_CRASH_READ_ONLY, SIGBUS,
		      BUS_ADRERR, &crash);
		describe_memory(scene, exit, &crash);
		break;
	case HS_EXIT_EMULATION:
		describe_emulation(scene, &crash);
		break;
	default:
		start(scene, HS_CRASH_BACKEND, SIGABRT, SI_KERNEL, &crash);
		snprintf(crash.text, sizeof(crash.text), "the CPU backend failed: %s (code %u, detail 0x%llx)",
			 exit->failure ? exit->failure : "no reason known", exit->code,
			 (unsigned long long)exit->detail);
		break;
	}
	*ret = crash;
}

void hs_crash_of_abort(const struct hs_crash_scene *scene, const char *message, struct hs_crash *ret)
{
	start(scene, HS_CRASH_ABORT, SIGABRT, SI_USER, ret);
	snprintf(ret->abort_message, sizeof(ret->abort_message), "%s", message);
	snprintf(ret->text, sizeof(ret->text), "abort%s%s", *message ? ": " : "", message);
}

void hs_crash_of_bad_call(const struct hs_crash_scene *scene, uint16_t port, uint64_t address, const char *what,
			  struct hs_crash *ret)
{
	start(scene, HS_CRASH_UNKNOWN_PORT, SIGSYS, SI_KERNEL, ret);
	ret->port = port;
	snprintf(ret->text, sizeof(ret->text), "bad call of port %u: %s at 0x%llx", port, what,
		 (unsigned long long)address);
}
