/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/step_plan.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "vmm/descriptor.h"

#include <hindsight/paging.h>

#define CR0_PE (1u << 0)
#define CR4_PKE (1u << 22)
#define CR4_PKS (1u << 24)
#define RFLAGS_VM (1u << 17)
#define RFLAGS_AC (1u << 18)
#define EFER_LMA 0x400u
#define RPL_MASK 3u

/* A gate (SDM vol. 3A figures 6-2 and 6-8): present, and an interrupt or trap gate for 32 or 64 bits. */
#define GATE_BYTES_MAX 16u
#define GATE_TYPE 5u
#define GATE_KIND_MASK 0x9Eu
#define GATE_KIND 0x8Eu

#define VECTOR_DB 1u
#define VECTOR_NMI 2u

static bool is_64bit(const struct hs_cpu_state *cpu)
{
	return (cpu->msr.efer & EFER_LMA) && cpu->seg[HS_CS].l;
}

/* Of what an address in 32-bit code means: all of memory, to be written to unless it is code. */
static bool is_flat(const struct hs_segment *segment, bool code)
{
	unsigned int wanted = code ? HS_DESCRIPTOR_CODE : HS_DESCRIPTOR_WRITABLE;
	unsigned int mask = code ? HS_DESCRIPTOR_CODE
				 : HS_DESCRIPTOR_CODE | HS_DESCRIPTOR_WRITABLE | HS_DESCRIPTOR_EXPAND_DOWN;

	return segment->base == 0 && segment->limit == UINT32_MAX && !segment->unusable &&
	       (segment->type & mask) == wanted;
}

/* In ring 0, where a planted byte does not come as an exception of the guest's, and alignment is not checked; and
 * exceptions of memory accesses are those of paging alone, by rules that are known here. */
static bool is_plain_mode(const struct hs_cpu_state *cpu)
{
	if (!(cpu->cr0 & CR0_PE) || (cpu->seg[HS_CS].selector & RPL_MASK) || (cpu->cr4 & (CR4_PKE | CR4_PKS))) {
		return false;
	}
	return is_64bit(cpu) || (!(cpu->rflags & RFLAGS_VM) && cpu->seg[HS_CS].db && is_flat(&cpu->seg[HS_CS], true) &&
				 is_flat(&cpu->seg[HS_DS], false) && is_flat(&cpu->seg[HS_ES], false) &&
				 is_flat(&cpu->seg[HS_SS], false));
}

static bool is_allowed_at(const struct hs_phys *phys, const struct hs_cpu_state *cpu, const struct hs_root *root,
			  uint64_t address, int prot)
{
	enum hs_access_by by = cpu->rflags & RFLAGS_AC ? HS_ACCESS_BY_SUPERVISOR_AC : HS_ACCESS_BY_SUPERVISOR;
	struct hs_range range;
	uint32_t ignored;

	hs_translate(phys, root, hs_gva_of(address), &range);
	return hs_access_check(root, &range, by, prot, &ignored) == HS_ACCESS_ALLOWED;
}

static bool is_allowed(const struct hs_phys *phys, const struct hs_cpu_state *cpu, const struct hs_insn_access *access)
{
	uint64_t last = access->address + (access->bytes - 1);
	int prot = (access->read ? HS_PROT_READ : 0) | (access->write ? HS_PROT_WRITE : 0);
	struct hs_root root;

	if (access->bytes == 0 || last < access->address || (!is_64bit(cpu) && last > UINT32_MAX)) {
		return false;
	}
	hs_root_of_cpu(cpu, &root);
	return is_allowed_at(phys, cpu, &root, access->address, prot) &&
	       (last >> 12 == access->address >> 12 || is_allowed_at(phys, cpu, &root, last, prot));
}

static bool read_word(const struct hs_phys *phys, const struct hs_cpu_state *cpu, uint64_t gva, size_t bytes,
		      uint64_t *ret)
{
	uint8_t word[8];
	struct hs_root root;
	size_t length;

	hs_root_of_cpu(cpu, &root);
	if (hs_vmem_read(phys, &root, hs_gva_of(gva), word, bytes, &length, NULL) || length != bytes) {
		return false;
	}
	*ret = hs_get_le(word, (unsigned int)bytes);
	return true;
}

/* A branch to what its only access reads: a return, a jump through memory. */
static bool read_target(const struct hs_phys *phys, const struct hs_cpu_state *cpu, const struct hs_insn *insn,
			hs_gva *ret)
{
	size_t bytes = is_64bit(cpu) ? 8 : 4;

	return insn->access_count == 1 && insn->accesses[0].bytes == bytes && !insn->accesses[0].write &&
	       read_word(phys, cpu, insn->accesses[0].address, bytes, &ret->v);
}

static size_t find_ends(const struct hs_phys *phys, const struct hs_cpu_state *cpu, const struct hs_insn *insn,
			hs_gva *ret)
{
	uint64_t next = cpu->rip + insn->length;
	size_t count = 0;

	next = is_64bit(cpu) ? next : next & UINT32_MAX;
	if (!insn->branches || insn->is_conditional) {
		ret[count++] = hs_gva_of(next);
	}
	if (insn->branches && insn->target_known) {
		ret[count++] = hs_gva_of(insn->target);
	} else if (insn->branches && !read_target(phys, cpu, insn, &ret[count++])) {
		return 0;
	}
	return count;
}

/* What is planted there would be seen, or written over; or be where the CPU is to begin. */
static bool is_touched(const struct hs_cpu_state *cpu, const struct hs_insn *insn, hs_gva gva)
{
	for (size_t i = 0; i < insn->access_count; i++) {
		if (hs_ranges_overlap(gva.v, 1, insn->accesses[i].address, insn->accesses[i].bytes)) {
			return true;
		}
	}
	return hs_ranges_overlap(gva.v, 1, cpu->rip, insn->length);
}

size_t hs_step_ends(const struct hs_phys *phys, const struct hs_cpu_state *cpu, const struct hs_insn *insn,
		    hs_gva ret[HS_STEP_ENDS_MAX])
{
	size_t count;

	if (insn->length == 0 || !insn->is_plain || insn->repeats || !is_plain_mode(cpu)) {
		return 0;
	}
	for (size_t i = 0; i < insn->access_count; i++) {
		if (!is_allowed(phys, cpu, &insn->accesses[i])) {
			return 0;
		}
	}
	count = find_ends(phys, cpu, insn, ret);
	for (size_t i = 0; i < count; i++) {
		if (is_touched(cpu, insn, ret[i])) {
			return 0;
		}
	}
	return count;
}

bool hs_step_return(const struct hs_phys *phys, const struct hs_cpu_state *cpu, const struct hs_insn *insn, hs_gva *ret)
{
	return insn->length > 0 && insn->iret_bytes > 0 &&
	       read_word(phys, cpu, cpu->seg[HS_SS].base + cpu->gpr[HS_RSP], insn->iret_bytes, &ret->v);
}

/* The gates of vectors first to first + count - 1. */
static size_t read_gates(const struct hs_phys *phys, const struct hs_cpu_state *cpu, unsigned int first, size_t count,
			 uint8_t *ret)
{
	size_t each = cpu->msr.efer & EFER_LMA ? GATE_BYTES_MAX : GATE_BYTES_MAX / 2;
	struct hs_root root;
	size_t length;

	hs_root_of_cpu(cpu, &root);
	if (hs_vmem_read(phys, &root, hs_gva_of(cpu->idt.base + first * each), ret, count * each, &length, NULL)) {
		return 0;
	}
	return length / each;
}

static bool decode_gate(const struct hs_cpu_state *cpu, const uint8_t *gates, size_t index, hs_gva *ret)
{
	bool is_long = cpu->msr.efer & EFER_LMA;
	const uint8_t *gate = gates + index * (is_long ? GATE_BYTES_MAX : GATE_BYTES_MAX / 2);
	uint64_t high = is_long ? hs_get_le(gate + 8, 4) << 32 : 0;

	*ret = hs_gva_of(hs_get_le(gate, 2) | hs_get_le(gate + 6, 2) << 16 | high);
	return (gate[GATE_TYPE] & GATE_KIND_MASK) == GATE_KIND;
}

bool hs_step_handler(const struct hs_phys *phys, const struct hs_cpu_state *cpu, unsigned int vector, hs_gva *ret)
{
	uint8_t gate[GATE_BYTES_MAX];

	return read_gates(phys, cpu, vector, 1, gate) == 1 && decode_gate(cpu, gate, 0, ret);
}

size_t hs_step_handlers(const struct hs_phys *phys, const struct hs_cpu_state *cpu, const struct hs_insn *insn,
			hs_gva ret[HS_STEP_HANDLERS_MAX])
{
	uint8_t gates[HS_STEP_HANDLERS_MAX * GATE_BYTES_MAX];
	size_t there = read_gates(phys, cpu, 0, HS_STEP_HANDLERS_MAX, gates);
	size_t count = 0;

	for (size_t i = 0; i < there; i++) {
		/* A step's own exception is not the guest's, and nobody sends NMIs. */
		if (i != VECTOR_DB && i != VECTOR_NMI && decode_gate(cpu, gates, i, &ret[count]) &&
		    !is_touched(cpu, insn, ret[count])) {
			count++;
		}
	}
	return count;
}
