/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/registers.h"

#include "arch/bits.h"
#include "base/bytes.h"
#include "base/error.h"

#include <stddef.h>
#include <string.h>

/* SDM vol. 3A 2.5, figure 2-7. */
#define CR0_DEFINED 0xe005003fu
/* Bits 0 to 14, 16 to 25, 27, 28 and 32 (SDM vol. 3A 2.5; Intel's FRED specification for the last). */
#define CR4_DEFINED UINT64_C(0x11bff7fff)
/* Physical addresses have 52 bits at most (SDM vol. 3A 4.1.4). */
#define ADDRESS_BITS ((UINT64_C(1) << 52) - 1)
/* SDM vol. 3A 2.2.1. Those that only AMD's CPUs have are none of what a guest here needs. */
#define EFER_DEFINED 0xd01u
/* All but bits 7:0 and 9 (SDM vol. 3A figure 11-26). */
#define APIC_BASE_DEFINED (ADDRESS_BITS & ~UINT64_C(0x2ff))

#define PLACE(member) offsetof(struct hs_cpu_state, member)

/* Registers of 64 bits, and which of these may be set. */
static const struct {
	const char *name;
	size_t place;
	uint64_t defined;
} bit_rows[] = {
	{ "CR0", PLACE(cr0), CR0_DEFINED },
	{ "CR3", PLACE(cr3), ADDRESS_BITS },
	{ "CR4", PLACE(cr4), CR4_DEFINED },
	{ "CR8", PLACE(cr8), 0xf },
	{ "EFER", PLACE(msr.efer), EFER_DEFINED },
	{ "APIC_BASE", PLACE(msr.apic_base), APIC_BASE_DEFINED },
	{ "TSC_AUX", PLACE(msr.tsc_aux), UINT32_MAX },
	{ "DR6", PLACE(dr[6]), UINT32_MAX },
	{ "DR7", PLACE(dr[7]), UINT32_MAX },
};

/* Addresses, which have to be canonical. */
static const struct {
	const char *name;
	size_t place;
} address_rows[] = {
	{ "FS's base", PLACE(seg[HS_FS].base) },
	{ "GS's base", PLACE(seg[HS_GS].base) },
	{ "KERNEL_GS_BASE", PLACE(msr.kernel_gs_base) },
	{ "LSTAR", PLACE(msr.lstar) },
	{ "CSTAR", PLACE(msr.cstar) },
	{ "SYSENTER_ESP", PLACE(msr.sysenter_esp) },
	{ "SYSENTER_EIP", PLACE(msr.sysenter_eip) },
};

static uint64_t value_of(const struct hs_cpu_state *state, size_t place)
{
	uint64_t value;

	memcpy(&value, (const char *)state + place, sizeof(value));
	return value;
}

static enum hs_status refuse(const char *name, uint64_t value, const char *why, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_INVALID, 0, value, "%s cannot be 0x%llx: %s", name, (unsigned long long)value,
			    why);
}

static enum hs_status check_bits(const struct hs_cpu_state *before, const struct hs_cpu_state *after,
				 struct hs_error *err)
{
	for (size_t i = 0; i < sizeof(bit_rows) / sizeof(bit_rows[0]); i++) {
		uint64_t value = value_of(after, bit_rows[i].place);

		if (value & ~value_of(before, bit_rows[i].place) & ~bit_rows[i].defined) {
			return refuse(bit_rows[i].name, value, "a reserved bit is set", err);
		}
	}
	return HS_OK;
}

static enum hs_status check_addresses(const struct hs_cpu_state *before, const struct hs_cpu_state *after,
				      struct hs_error *err)
{
	unsigned int bits = after->cr4 & HS_CR4_LA57 ? 57 : 48;

	for (size_t i = 0; i < sizeof(address_rows) / sizeof(address_rows[0]); i++) {
		uint64_t value = value_of(after, address_rows[i].place);

		if (value != value_of(before, address_rows[i].place) && !hs_is_canonical(value, bits)) {
			return refuse(address_rows[i].name, value, "the address is not canonical", err);
		}
	}
	return HS_OK;
}

static enum hs_status check_others(const struct hs_cpu_state *before, const struct hs_cpu_state *after,
				   struct hs_error *err)
{
	uint32_t mxcsr = hs_get_le32(after->xsave + HS_XSAVE_MXCSR);

	if (after->msr.pat != before->msr.pat && !hs_is_pat(after->msr.pat)) {
		return refuse("PAT", after->msr.pat, "a memory type is reserved", err);
	}
	/* Bit 17 is one that AMD's CPUs have (APM vol. 1 4.2.2). */
	if (mxcsr & ~hs_get_le32(before->xsave + HS_XSAVE_MXCSR) & ~0xffffu) {
		return refuse("MXCSR", mxcsr, "a reserved bit is set", err);
	}
	return HS_OK;
}

static bool changes_mode(const struct hs_cpu_state *before, const struct hs_cpu_state *after)
{
	return before->cr0 != after->cr0 || before->cr4 != after->cr4 || before->msr.efer != after->msr.efer ||
	       before->seg[HS_CS].l != after->seg[HS_CS].l;
}

/* What goes with what (SDM vol. 3A 2.5, 4.1, 4.10.1, 9.8.5), as KVM_SET_SREGS and the entry of VMX check it. */
static enum hs_status check_mode(const struct hs_cpu_state *before, const struct hs_cpu_state *after,
				 struct hs_error *err)
{
	bool paging = after->cr0 & HS_CR0_PG;
	bool is_long = after->msr.efer & HS_EFER_LMA;

	if (!changes_mode(before, after)) {
		return HS_OK;
	}
	if (paging && !(after->cr0 & HS_CR0_PE)) {
		return refuse("CR0", after->cr0, "paging (PG) without protection (PE)", err);
	}
	if (!(after->cr0 & HS_CR0_PE) && (before->cr0 & HS_CR0_PE)) {
		return refuse("CR0", after->cr0, "a guest is not put into real-address mode", err);
	}
	if ((after->cr0 & HS_CR0_NW) && !(after->cr0 & HS_CR0_CD)) {
		return refuse("CR0", after->cr0, "not write-through (NW) without cache disable (CD)", err);
	}
	if (is_long != (paging && (after->msr.efer & HS_EFER_LME))) {
		return after->msr.efer == before->msr.efer
			       ? refuse("CR0", after->cr0, "PG does not go with EFER's LME and LMA", err)
			       : refuse("EFER", after->msr.efer, "LME and LMA do not go with CR0's PG", err);
	}
	if (is_long && !(after->cr4 & HS_CR4_PAE)) {
		return refuse("CR4", after->cr4, "PAE is clear in long mode", err);
	}
	if (!is_long && (after->cr4 & HS_CR4_PCIDE)) {
		return refuse("CR4", after->cr4, "PCIDE is set outside of long mode", err);
	}
	if (!is_long && after->seg[HS_CS].l) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "CS cannot be of 64-bit code outside of long mode");
	}
	return HS_OK;
}

/* What its CPU lacks is another question than what no CPU has, and has another answer on each. */
static enum hs_status check_offer(const struct hs_backend_ops *ops, const struct hs_cpu_state *before,
				  const struct hs_cpu_state *after, struct hs_error *err)
{
	if (ops->cr4_offered && (after->cr4 & ~before->cr4 & ~ops->cr4_offered)) {
		return refuse("CR4", after->cr4, "the CPU lacks what a bit of it switches on", err);
	}
	if (ops->physical_bits && after->cr3 != before->cr3 && after->cr3 >> ops->physical_bits) {
		return refuse("CR3", after->cr3, "physical addresses of the CPU are not that long", err);
	}
	return HS_OK;
}

enum hs_status hs_registers_check(const struct hs_backend_ops *ops, const struct hs_cpu_state *before,
				  const struct hs_cpu_state *after, struct hs_error *err)
{
	enum hs_status st = check_bits(before, after, err);

	st = st ? st : check_mode(before, after, err);
	st = st ? st : check_offer(ops, before, after, err);
	st = st ? st : check_addresses(before, after, err);
	return st ? st : check_others(before, after, err);
}
