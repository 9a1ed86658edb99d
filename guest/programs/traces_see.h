/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The part of traces.c that sees: the CPU's state, the mappings, and a digest of both and of all memory that is mapped.
 */
#ifndef TRACES_SEE_H
#define TRACES_SEE_H

#include "traces_cpu.h"

#define PAGE 4096u
#define WORDS (PAGE / sizeof(uintptr_t))
#define PRESENT 1u
#define WRITABLE 2u
#define LARGE 0x80u
#define GLOBAL 0x100u
/* Accessed and dirty: CPUs set them when they like. */
#define UNSTABLE 0x60u
/* What software may use; 001 there with W clear is the tag of a page that is copied when written to. */
#define AVAILABLE 0xE00u
#define TAG 0x200u
#ifdef __x86_64__
#define LEVELS 4u
#define INDEX_BITS 9u
#define FRAME 0x000FFFFFFFFFF000ul
#define NO_EXECUTE (1ul << 63)
#define MANY 0x0101010101010101ul
#define PRIME 0x100000001b3ul
#else
#define LEVELS 2u
#define INDEX_BITS 10u
#define FRAME 0xFFFFF000ul
#define NO_EXECUTE 0ul
#define MANY 0x01010101ul
#define PRIME 0x1000193ul
#endif
#define SCRATCH_PAGES_MAX 1024u
#define TOP_BYTES (2u * PAGE)
#define XSAVE_BYTES 832u
#define CR4_OSXSAVE (1u << 18)
#define FXSAVE_USED 464u

struct item {
	const char *name;
	uint64_t value;
};

/* What a CPU has. */
struct state {
	uint8_t vectors[XSAVE_BYTES] __attribute__((aligned(64)));
	struct item items[64];
	size_t count;
	uint64_t cr3; /* moves with a snapshot */
};

static const struct msr {
	const char *name;
	uint32_t number;
	uint64_t kept, left; /* before the snapshot, and as a trace */
} msrs[] = {
	{ "star", 0xC0000081, 0x0023001000000000, 0x0013000800000000 },
	{ "sysenter_cs", 0x174, 0x08, 0x10 },
	{ "sysenter_esp", 0x175, 0x401100, 0x402100 },
	{ "sysenter_eip", 0x176, 0x401200, 0x402200 },
	{ "pat", 0x277, 0x0007010600070406, 0x0007040600070106 },
	{ "tsc_aux", 0xC0000103, 0x11, 0x22 },
#ifdef __x86_64__
	{ "lstar", 0xC0000082, 0x401300, 0x402300 },
	{ "cstar", 0xC0000083, 0x401400, 0x402400 },
	{ "fmask", 0xC0000084, 0x700, 0x300 },
	{ "fs_base", 0xC0000100, 0x111000, 0x222000 },
	{ "gs_base", 0xC0000101, 0x333000, 0x444000 },
	{ "kernel_gs_base", 0xC0000102, 0x555000, 0x666000 },
#endif
};
#define MSR_COUNT (sizeof(msrs) / sizeof(msrs[0]))
#define EFER 0xC0000080u
#define EFER_SCE 1u

static bool vectors; /* XSAVE may be used */
/* Pages whose mappings are changed: contents by page. */
static uint8_t victims[4][PAGE] __attribute__((aligned(PAGE)));
static const uint8_t constant[16] = { 1, 2, 3 };

/* ---- Instructions that may trap: then they are skipped ---- */

#define TRY "mov" SUFFIX " $1f, traces_resume\n\t"
#define TRIED "\n1:\tmov" SUFFIX " $0, traces_resume"
#ifdef __x86_64__
#define SUFFIX "q"
#else
#define SUFFIX "l"
#endif

static bool on_trap(struct hs_trap_frame *frame)
{
	if (!traces_resume) {
		return false;
	}
	frame->ip = traces_resume;
	traces_seen = frame->vector + 1;
	return true;
}

static bool has_trapped(void)
{
	uintptr_t seen = traces_seen;
	traces_seen = 0;
	return seen != 0;
}

static void write_msr(uint32_t number, uint64_t value)
{
	__asm__ volatile(TRY "wrmsr" TRIED
			 :
			 : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
	(void)has_trapped();
}

static uint64_t read_msr(uint32_t number)
{
	uint32_t low = 0;
	uint32_t high = 0;
	__asm__ volatile(TRY "rdmsr" TRIED : "+a"(low), "+d"(high) : "c"(number) : "memory");
	return has_trapped() ? 0 : (uint64_t)high << 32 | low;
}

static void write_cr4(uintptr_t value)
{
	__asm__ volatile(TRY "mov %0, %%cr4" TRIED : : "r"(value) : "memory");
	(void)has_trapped();
}

static uintptr_t read_cr4(void)
{
	uintptr_t value;
	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

static bool can_read(uintptr_t address)
{
	uint8_t byte;
	__asm__ volatile(TRY "movb (%1), %0" TRIED : "=q"(byte) : "r"(address) : "memory");
	return !has_trapped();
}

static void set_xcr0(uint32_t value)
{
	__asm__ volatile(TRY "xsetbv" TRIED : : "c"(0), "a"(value), "d"(0) : "memory");
	(void)has_trapped();
}

/* Turn XSAVE on for x87, SSE and AVX; false where that does not last to the other side of an exit, as under KVM in
 * QEMU 7.2, which lets guests set XCR0 without telling KVM. */
static bool turn_on_xsave(void)
{
	uint32_t eax = 1, ebx, ecx = 0, edx;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (!(ecx & 1u << 26) || !(ecx & 1u << 28)) {
		return false;
	}
	write_cr4(read_cr4() | CR4_OSXSAVE);
	set_xcr0(3);
	hs_out32(HS_PORT_TRACE, 0);
	__asm__ volatile(TRY "xgetbv" TRIED : "=a"(eax), "=d"(edx) : "c"(0) : "memory");
	if (!has_trapped() && eax == 3) {
		set_xcr0(7);
		return true;
	}
	set_xcr0(1);
	write_cr4(read_cr4() & ~(uintptr_t)CR4_OSXSAVE);
	return false;
}

/* ---- The CPU ---- */

static void note(struct state *state, const char *name, uint64_t value)
{
	state->items[state->count++] = (struct item){ name, value };
}

struct table_pointer {
	uint16_t limit;
	uintptr_t base;
} __attribute__((packed));

static void note_tables(struct state *state)
{
	struct table_pointer pointer;
	uint16_t selector;
	__asm__ volatile("sgdt %0" : "=m"(pointer));
	note(state, "gdtr limit", pointer.limit);
	note(state, "gdtr base", pointer.base);
	__asm__ volatile("sidt %0" : "=m"(pointer));
	note(state, "idtr limit", pointer.limit);
	note(state, "idtr base", pointer.base);
	__asm__ volatile("str %0" : "=r"(selector));
	note(state, "tr", selector);
	__asm__ volatile("sldt %0" : "=r"(selector));
	note(state, "ldtr", selector);
#define SEGMENT(name)                                                                                                  \
	__asm__ volatile("mov %%" name ", %0" : "=r"(selector));                                                       \
	note(state, name, selector)
	SEGMENT("es");
	SEGMENT("cs");
	SEGMENT("ss");
	SEGMENT("ds");
	SEGMENT("fs");
	SEGMENT("gs");
}

static void note_control(struct state *state)
{
	uintptr_t value;
#define REGISTER(name)                                                                                                 \
	__asm__ volatile("mov %%" name ", %0" : "=r"(value));                                                          \
	note(state, name, value)
	REGISTER("cr0");
	REGISTER("cr4");
	REGISTER("dr0");
	REGISTER("dr1");
	REGISTER("dr2");
	REGISTER("dr3");
	REGISTER("dr6");
	REGISTER("dr7");
	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	state->cr3 = value;
}

static void capture(struct state *state)
{
	static const char *const names[TRACES_GPRS] = { TRACES_NAMES };
	state->count = 0;
	memset(state->vectors, 0, sizeof(state->vectors));
	if (vectors) {
		uint32_t low, high;
		__asm__ volatile("xsave %0" : "=m"(state->vectors) : "a"(7), "d"(0) : "memory");
		memset(state->vectors + 512, 0, 64);
		__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
		note(state, "xcr0", low);
	} else {
		__asm__ volatile("fxsave %0" : "=m"(state->vectors) : : "memory");
	}
	memset(state->vectors + FXSAVE_USED, 0, 512 - FXSAVE_USED);
	for (size_t i = 1; i < TRACES_GPRS; i++) {
		note(state, names[i], traces_gpr[i]);
	}
	/* Without the flags of the test that ended the waiting. */
	note(state, "flags", traces_flags & ~0x8D5ull);
	note(state, "cr2", traces_cr2);
	note_control(state);
	note_tables(state);
	note(state, "efer", read_msr(EFER));
	for (size_t i = 0; i < MSR_COUNT; i++) {
		note(state, msrs[i].name, read_msr(msrs[i].number));
	}
}

/* x87 and SSE registers and controls, and with `vectors` the halves above. */
static void load_vectors(uint8_t byte, uint16_t control, uint32_t mxcsr)
{
	static uint8_t image[XSAVE_BYTES] __attribute__((aligned(64)));
	memset(image, 0, sizeof(image));
	memcpy(image, &control, sizeof(control));
	image[4] = 0xFF;
	memcpy(image + 24, &mxcsr, sizeof(mxcsr));
	for (unsigned int i = 0; i < 8; i++) {
		memset(image + 32 + 16 * i, byte + i, 7);
		image[32 + 16 * i + 7] = 0x80;
		image[32 + 16 * i + 9] = 0x40;
	}
	memset(image + 160, byte, 256);
	memset(image + 576, byte ^ 0xFF, 256);
	image[512] = 7;
	if (vectors) {
		__asm__ volatile("xrstor %0" : : "m"(image), "a"(7), "d"(0) : "memory");
	} else {
		__asm__ volatile("fxrstor %0" : : "m"(image) : "memory");
	}
}

#define SET_DR(number, value) __asm__ volatile("mov %0, %%dr" #number : : "r"((uintptr_t)(value)))

/* ---- Page tables ---- */

static uintptr_t *window(uintptr_t gpa)
{
	const struct hs_abi_boot *boot = hs_boot_info();
	return (uintptr_t *)(uintptr_t)(boot->scratch_start + (gpa - boot->scratch_gpa));
}

static uintptr_t root(void)
{
	uintptr_t cr3;
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	return cr3 & FRAME;
}

/* The entry of a small page; NULL where there is no table for it. */
static uintptr_t *entry_of(uintptr_t address)
{
	uintptr_t *table = window(root());
	for (unsigned int level = LEVELS - 1;; level--) {
		uintptr_t *entry = &table[address >> (12 + level * INDEX_BITS) & ((1u << INDEX_BITS) - 1)];
		if (level == 0) {
			return entry;
		}
		if ((*entry & (PRESENT | LARGE)) != PRESENT) {
			return NULL;
		}
		table = window(*entry & FRAME);
	}
}

static void flush(uintptr_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* A page that is copied when it is written to is a writable one. */
static uintptr_t plain(uintptr_t entry)
{
	entry &= ~(uintptr_t)UNSTABLE;
	if ((entry & (AVAILABLE | WRITABLE | PRESENT)) == (TAG | PRESENT)) {
		entry = (entry & ~(uintptr_t)AVAILABLE) | WRITABLE;
	}
	return entry;
}

/* ---- The digest ---- */

struct digest {
	uintptr_t kept, whole;              /* without and with scratch, where things are, and the copies of pages */
	uint8_t scratch[SCRATCH_PAGES_MAX]; /* what its pages are: 0, or ... */
};
enum { IS_TABLE = 1, IS_WORK = 2 };

/* Inlined also where nothing else is: it is most of what a digest costs. */
__attribute__((always_inline)) static inline void mix(uintptr_t *hash, uintptr_t word)
{
	*hash = (*hash ^ word) * PRIME;
	*hash ^= *hash >> (sizeof(word) * 4 - 3);
}

/* The first word that is not zero, of [index, count). One instruction: on some hosts each takes a microsecond. */
static size_t skip_zeros(const uintptr_t *words, size_t index, size_t count)
{
	const uintptr_t *at = words + index;
	size_t left = count - index;
	bool equal;
	if (left == 0) {
		return count;
	}
	__asm__ volatile("repe scas" SUFFIX : "+D"(at), "+c"(left), "=@ccz"(equal) : "a"((uintptr_t)0) : "memory");
	return equal ? count : (size_t)(at - words) - 1;
}

extern uint8_t hs_tss[];
#ifdef __x86_64__
#define TSS_IST2 44
#define FAULT_STACK_BYTES (4 * PAGE)
#else
/* Their CR3 moves with a snapshot. */
extern uint8_t hs_double_fault_tss[];
#define TSS_CR3 28
#endif

static bool moves(const uintptr_t *word)
{
#ifndef __x86_64__
	return (const uint8_t *)word == hs_tss + TSS_CR3 || (const uint8_t *)word == hs_double_fault_tss + TSS_CR3;
#else
	(void)word;
	return false;
#endif
}

static void hash_page(uintptr_t *hash, const uintptr_t *words, uintptr_t ignored)
{
	uintptr_t sum = *hash;
	for (size_t i = 0; i < WORDS; i++) {
		if (words[i] == 0) {
			i = skip_zeros(words, i, WORDS);
			/* Where the next ones are. */
			mix(&sum, i);
			i--;
		} else if (!moves(&words[i])) {
			mix(&sum, words[i] & ~ignored);
		}
	}
	*hash = sum;
}

static uint8_t *kind_of(struct digest *digest, uintptr_t gpa)
{
	const struct hs_abi_boot *boot = hs_boot_info();
	uintptr_t page = (gpa - (uintptr_t)boot->scratch_gpa) / PAGE;
	return page < boot->scratch_length / PAGE && page < SCRATCH_PAGES_MAX ? &digest->scratch[page] : NULL;
}

/* The stack of page faults: there are more of them behind a snapshot, for copies. */
static bool is_fault_stack(uintptr_t gva)
{
#ifdef __x86_64__
	uintptr_t top;
	memcpy(&top, hs_tss + TSS_IST2, sizeof(top));
	return gva - ((top - FAULT_STACK_BYTES) & ~(uintptr_t)(PAGE - 1)) < FAULT_STACK_BYTES + PAGE;
#else
	(void)gva;
	return false;
#endif
}

static void hash_leaf(struct digest *digest, uintptr_t gva, uintptr_t entry)
{
	const struct hs_abi_boot *boot = hs_boot_info();
	uint8_t *kind = kind_of(digest, entry & FRAME);
	mix(&digest->kept, gva);
	mix(&digest->kept, plain(entry) & ~FRAME);
	mix(&digest->whole, entry & ~(uintptr_t)UNSTABLE);
	if (gva - (uintptr_t)boot->scratch_start < boot->scratch_length) {
		return;
	}
	if (gva - (uintptr_t)traces_work < (uintptr_t)(traces_work_end - traces_work)) {
		if (kind) {
			*kind = IS_WORK;
		}
		return;
	}
	hash_page(is_fault_stack(gva) ? &digest->whole : &digest->kept, (const uintptr_t *)gva, 0);
}

static void hash_table(struct digest *digest, uintptr_t gpa, unsigned int level, uintptr_t gva)
{
	const uintptr_t *table = window(gpa);
	uint8_t *kind = kind_of(digest, gpa);
	if (kind) {
		*kind = IS_TABLE;
	}
	for (size_t i = skip_zeros(table, 0, WORDS); i < WORDS; i = skip_zeros(table, i + 1, WORDS)) {
		uintptr_t at = gva + ((uintptr_t)i << (12 + level * INDEX_BITS));
#ifdef __x86_64__
		if (level == LEVELS - 1 && i >= WORDS / 2) {
			at |= 0xFFFFul << 48;
		}
#endif
		if (!(table[i] & PRESENT)) {
			mix(&digest->whole, table[i]);
		} else if (level > 0) {
			hash_table(digest, table[i] & FRAME, level - 1, at);
		} else {
			hash_leaf(digest, at, table[i]);
		}
	}
}

static void hash_state(uintptr_t *hash, const struct state *state)
{
	for (size_t i = 0; i < state->count; i++) {
		mix(hash, (uintptr_t)state->items[i].value);
		mix(hash, (uintptr_t)(state->items[i].value >> 32));
	}
	for (size_t i = 0; i < sizeof(state->vectors); i += sizeof(uintptr_t)) {
		mix(hash, *(const uintptr_t *)(state->vectors + i));
	}
}

static void print_digest(void)
{
	const struct hs_abi_boot *boot = hs_boot_info();
	struct digest digest = { 0 };
	struct state state;
	capture(&state);
	hash_state(&digest.kept, &state);
	mix(&digest.whole, (uintptr_t)state.cr3);
	hash_table(&digest, root(), LEVELS - 1, 0);
	for (uintptr_t at = 0; at < boot->scratch_length; at += PAGE) {
		uint8_t kind = digest.scratch[at / PAGE];
		if (kind != IS_WORK) {
			hash_page(&digest.whole, window((uintptr_t)boot->scratch_gpa + at),
				  kind == IS_TABLE ? UNSTABLE : 0);
		}
	}
	hs_printf("kept %lx whole %lx\n", (unsigned long)digest.kept, (unsigned long)digest.whole);
}

#endif
