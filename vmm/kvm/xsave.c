/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The XSAVE area and XCR0. KVM has the area in the standard format with each component where this host's CPU puts it
 * (CPUID leaf 0xD), struct hs_cpu_state has them where Intel's CPUs do: AMD's without MPX have AVX-512 and PKRU
 * elsewhere.
 */
#include "vmm/kvm/kvm.h"

#include "base/bytes.h"
#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define LEAF_FEATURES 1
#define FEATURE_XSAVE (1u << 26)
#define LEAF_XSAVE 0xd
/* What there is without XSAVE: x87 and SSE. */
#define XCR0_LEGACY UINT64_C(3)
#define XCR0_AVX (1u << HS_XSTATE_AVX)
#define XCR0_AVX512 (7u << HS_XSTATE_OPMASK)
#define XCR0_PKRU (1u << HS_XSTATE_PKRU)
#define CR4_OSXSAVE (1u << 18)
/* Up to here, the end of AVX, all areas are alike. */
#define FIXED_BYTES (HS_XSAVE_YMMH0 + 16 * 16)

/* Components that may lie elsewhere. */
static const struct {
	enum hs_xstate_component component;
	uint16_t offset, bytes;
} movable[] = {
	{ HS_XSTATE_BNDREGS, HS_XSAVE_BNDREGS, 64 },     { HS_XSTATE_BNDCSR, HS_XSAVE_BNDCSR, 64 },
	{ HS_XSTATE_OPMASK, HS_XSAVE_OPMASK, 64 },       { HS_XSTATE_ZMM_HI256, HS_XSAVE_ZMM_HI256, 512 },
	{ HS_XSTATE_HI16_ZMM, HS_XSAVE_HI16_ZMM, 1024 }, { HS_XSTATE_PKRU, HS_XSAVE_PKRU, 8 },
};
#define MOVABLE_COUNT (sizeof(movable) / sizeof(movable[0]))

_Static_assert(sizeof(struct kvm_xsave) == HS_XSAVE_SIZE, "KVM_GET_XSAVE fills the area");

static const struct kvm_cpuid_entry2 *leaf_of(const struct kvm_cpuid2 *cpuid, uint32_t number, uint32_t subleaf)
{
	static const struct kvm_cpuid_entry2 none;

	for (uint32_t i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == number && cpuid->entries[i].index == subleaf) {
			return &cpuid->entries[i];
		}
	}
	return &none;
}

void hs_kvm_learn_xsave(struct hs_backend *backend, const struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *all = leaf_of(cpuid, LEAF_XSAVE, 0);

	backend->xcr0_offered = XCR0_LEGACY;
	if (leaf_of(cpuid, LEAF_FEATURES, 0)->ecx & FEATURE_XSAVE) {
		backend->xcr0_offered |= all->eax | (uint64_t)all->edx << 32;
	}
	for (size_t i = 0; i < MOVABLE_COUNT; i++) {
		const struct kvm_cpuid_entry2 *leaf = leaf_of(cpuid, LEAF_XSAVE, movable[i].component);
		bool fits = leaf->eax == movable[i].bytes && leaf->ebx >= FIXED_BYTES &&
			    leaf->ebx <= HS_XSAVE_SIZE - movable[i].bytes;

		backend->component_at[i] = fits ? (uint16_t)leaf->ebx : 0;
		backend->area_moved = backend->area_moved || (fits && leaf->ebx != movable[i].offset);
	}
	backend->xcr0_set = 1;
	backend->xcr0_unseen = backend->hardware && hs_kvm_is_translated();
}

uint64_t hs_kvm_xcr0_offered(const struct hs_backend *backend)
{
	return backend->xcr0_offered;
}

/* 1 where there is no XSAVE. */
static uint64_t kvm_xcr0(struct hs_backend *backend)
{
	struct kvm_xcrs xcrs = { 0 };

	backend->has_xcrs = ioctl(backend->vcpu_fd, KVM_GET_XCRS, &xcrs) == 0 && xcrs.nr_xcrs > 0;
	backend->xcrs_known = true;
	return backend->has_xcrs ? xcrs.xcrs[0].value : 1;
}

/*
 * Where KVM does not see the guest set XCR0 it puts its own value back with each entry, so that instructions of AVX
 * would fault behind the next exit, at random. There KVM has had all bits set from the beginning (set_xcr0()); the
 * guest has switched on what it was given here, and what it uses.
 */
static enum hs_status guest_xcr0(struct hs_backend *backend, const uint8_t *area, uint64_t *ret, struct hs_error *err)
{
	uint64_t used = hs_get_le64(area + HS_XSAVE_XSTATE_BV) & backend->xcr0_offered;
	enum hs_status st = HS_OK;

	if (!backend->xcr0_unseen) {
		*ret = kvm_xcr0(backend);
		return HS_OK;
	}
	st = hs_kvm_pull_registers(backend, err);
	if (st) {
		return st;
	}
	*ret = backend->xcr0_set;
	if (backend->sregs.cr4 & CR4_OSXSAVE) {
		*ret |= used & (XCR0_AVX | XCR0_AVX512) ? XCR0_LEGACY | XCR0_AVX : 0;
		*ret |= used & XCR0_AVX512 ? XCR0_AVX512 : 0;
		/* It is marked as in use from the beginning. */
		*ret |= used & XCR0_PKRU && hs_get_le64(area + HS_XSAVE_PKRU) != 0 ? XCR0_PKRU : 0;
	}
	return HS_OK;
}

static void from_kvm(const struct hs_backend *backend, const uint8_t *area, uint8_t *ret)
{
	memcpy(ret, area, FIXED_BYTES);
	memset(ret + FIXED_BYTES, 0, HS_XSAVE_SIZE - FIXED_BYTES);
	for (size_t i = 0; i < MOVABLE_COUNT; i++) {
		if (backend->component_at[i]) {
			memcpy(ret + movable[i].offset, area + backend->component_at[i], movable[i].bytes);
		}
	}
}

static void to_kvm(const struct hs_backend *backend, const uint8_t *area, uint8_t *ret)
{
	memcpy(ret, area, FIXED_BYTES);
	memset(ret + FIXED_BYTES, 0, HS_XSAVE_SIZE - FIXED_BYTES);
	for (size_t i = 0; i < MOVABLE_COUNT; i++) {
		if (backend->component_at[i]) {
			memcpy(ret + backend->component_at[i], area + movable[i].offset, movable[i].bytes);
		}
	}
}

enum hs_status hs_kvm_get_fpu(struct hs_backend *backend, struct hs_cpu_state *state, struct hs_error *err)
{
	struct kvm_xsave xsave;
	uint8_t *area = backend->area_moved ? (uint8_t *)&xsave : state->xsave;

	if (ioctl(backend->vcpu_fd, KVM_GET_XSAVE, area)) {
		return hs_error_os(err, errno, "KVM cannot read the FPU state");
	}
	if (backend->area_moved) {
		from_kvm(backend, area, state->xsave);
	}
	return guest_xcr0(backend, state->xsave, &state->xcr0, err);
}

static enum hs_status set_xcr0(struct hs_backend *backend, uint64_t value, struct hs_error *err)
{
	uint64_t wanted = backend->xcr0_unseen ? value | backend->xcr0_offered : value;
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = wanted } } };

	/* What an earlier run has enabled is not to stay either. To see whether it has would be an ioctl as well. */
	if (!backend->xcrs_known) {
		(void)kvm_xcr0(backend);
	}
	if ((backend->has_xcrs || value != 1) && ioctl(backend->vcpu_fd, KVM_SET_XCRS, &xcrs)) {
		return hs_error_os(err, errno, "KVM refused XCR0 = 0x%llx", (unsigned long long)value);
	}
	backend->xcr0_set = value;
	return HS_OK;
}

enum hs_status hs_kvm_set_fpu(struct hs_backend *backend, const struct hs_cpu_state *state, struct hs_error *err)
{
	enum hs_status st = set_xcr0(backend, state->xcr0, err);
	struct kvm_xsave xsave;

	if (st) {
		return st;
	}
	if (backend->area_moved) {
		to_kvm(backend, state->xsave, (uint8_t *)&xsave);
	} else {
		memcpy(&xsave, state->xsave, sizeof(xsave));
	}
	/* Components that XSTATE_BV leaves out would be loaded with their initial values: x87 and SSE never are. */
	hs_put_le64((uint8_t *)&xsave + HS_XSAVE_XSTATE_BV,
		    hs_get_le64(state->xsave + HS_XSAVE_XSTATE_BV) | XCR0_LEGACY);
	if (ioctl(backend->vcpu_fd, KVM_SET_XSAVE, &xsave)) {
		return hs_error_os(err, errno, "KVM refused the FPU state");
	}
	return HS_OK;
}
