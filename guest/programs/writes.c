/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * writes ROUNDS WORD...: what a write does is the same whether or not the page has to be copied for it. All trials are
 * gone through once, and what has come of each, registers and memory, is noted. Then, ROUNDS times, the guest says that
 * it is ready, which is where a host takes a snapshot, and goes through them again. It ends with the number of
 * differences.
 *
 * The words: kernel and user, for the rings; vectors, for x87 and SSE instructions, and avx, where the CPU has it;
 * smap, for CR4.SMEP and SMAP; astray, to crash with page tables that no handler finds. A host that writes 1 to the
 * beginning of the input buffer has new tables made before everything else, where they take the frames that copies had
 * in another run.
 */
#include "writes_code.h"

#include <hindsight/guest.h>

#define PAGE 4096u
#define TRIAL_BYTES (4 * PAGE)
#define ROUNDS_MAX 64u
#ifdef __x86_64__
#define BASE ((uintptr_t)0x10000000000)
#define USER_CODE_DESCRIPTOR 0x00AFFB000000FFFF
#define GENERAL_COUNT 16
#else
#define BASE ((uintptr_t)0x50000000)
#define USER_CODE_DESCRIPTOR 0x00CFFB000000FFFF
#define GENERAL_COUNT 8
#endif
/* The SDK's GDT has no segments for ring 3: this one has them behind the SDK's own, which may be six slots. */
#define GDT_SLOTS 8
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define TSS 0x18
#define USER_CODE 0x33
#define USER_DATA 0x3B
#define DESCRIPTOR_BUSY (1ull << 41)
#define USER_DATA_DESCRIPTOR 0x00CFF3000000FFFF
#define USER_TEXT (BASE + 0x100000)
#define ALIAS (BASE + 0x200000)
#define LATER (BASE + 4 * HS_LARGE_PAGE_BYTES)
#define NOWHERE ((uintptr_t)0xDEAD0000)

#define FLAG_AC ((uintptr_t)1 << 18)
#define CPUID_XSAVE_AVX (1u << 26 | 1u << 28)
#define CR4_PAE (1u << 5)
#define CR4_OSXSAVE (1u << 18)
#define CR4_SMEP_SMAP (3u << 20)

#define VECTOR_UD 6
#define VECTOR_PF 14

#define NEEDS_VECTORS 1
#define NEEDS_AVX 2
#define NEEDS_STACK 4 /* where exceptions come on another one */

static const struct {
	const char *name;
	const uint8_t *code;
	unsigned int needs;
} trials[] = {
	{ "store", writes_store, 0 },         { "forward", writes_forward, 0 },
	{ "backward", writes_backward, 0 },   { "fill", writes_fill, 0 },
	{ "push", writes_push, NEEDS_STACK }, { "atomic", writes_atomic, 0 },
	{ "registers", writes_registers, 0 }, { "segments", writes_segments, 0 },
	{ "save", writes_save, 0 },           { "moves", writes_moves, 0 },
	{ "x87", writes_x87, NEEDS_VECTORS }, { "sse", writes_sse, NEEDS_VECTORS },
	{ "avx", writes_avx, NEEDS_AVX },
};
#define TRIALS (sizeof(trials) / sizeof(trials[0]))

static bool in_kernel, in_user, has_vectors, has_avx, goes_astray;
static uint8_t kernel_pages[TRIALS][TRIAL_BYTES] __attribute__((aligned(PAGE)));
static uint8_t handler_pages[2 * HS_TRAP_DEPTH][PAGE] __attribute__((aligned(PAGE)));
static uint8_t late[PAGE] __attribute__((aligned(PAGE)));
static uint8_t kept[PAGE] __attribute__((aligned(PAGE)));
/* What each trial leaves, in each ring. */
static struct end {
	uintptr_t registers[GENERAL_COUNT + 1];
	uint8_t pages[TRIAL_BYTES];
} expected[2][TRIALS];
static unsigned int wrong;
extern uint32_t hs_tss[];

static void check(bool right, const char *what)
{
	if (!right) {
		hs_printf("%s\n", what);
		wrong++;
	}
}

/* ---- A trial ---- */

static uintptr_t pages_of(unsigned int trial, bool user)
{
	return user ? BASE + trial * TRIAL_BYTES : (uintptr_t)kernel_pages[trial];
}

/* No two pages are alike; in the last one is what FXRSTOR takes (SDM vol. 1 table 10-2): valid x87 registers, FTZ and
 * rounding to zero. */
static void fill(uintptr_t pages, unsigned int trial)
{
	uint32_t *words = memset((void *)pages, 0x40 + (int)trial, TRIAL_BYTES);
	for (uint32_t i = 0; i < TRIAL_BYTES / 4; i += 64) {
		words[i] = i * 0x9E3779B1u ^ trial;
	}
	uint8_t *state = (uint8_t *)pages + 3 * PAGE + WRITES_STATE;
	memset(state, 0, 512);
	for (uint8_t i = 0; i < 8; i++) {
		memset(state + 32 + 16 * i, 0x30 + i, 7);
		state[32 + 16 * i + 7] = 0x80;
		state[32 + 16 * i + 9] = 0x40;
	}
	for (uint8_t i = 0; i < 16; i++) {
		memset(state + 160 + 16 * i, 0x3A + i, 16);
	}
	memcpy(state, (const uint32_t[]){ 0x027F, 0xFF }, 8);
	memcpy(state + 24, (const uint32_t[]){ 0xFF80 }, 4);
}

/* What a trial has left in the registers, and how many of the nested traps there are to come. */
static uintptr_t seen[GENERAL_COUNT + 1];
static volatile unsigned int nested, faults;

static void nest(unsigned int depth);

/* Not another instruction that this CPU does not know. */
static bool is_end(uintptr_t ip)
{
	const uint8_t *code = ip - USER_TEXT < PAGE ? writes_code + (ip - USER_TEXT) : (const uint8_t *)ip;
	return code[0] == 0x0F && code[1] == 0x0B;
}

static bool on_invalid_opcode(struct hs_trap_frame *frame)
{
	if (!is_end(frame->ip)) {
		return false;
	}
	if (nested > 0) {
		unsigned int depth = nested;
		nest(depth);
		frame->ip += 2;
		return true;
	}
#ifdef __x86_64__
	memcpy(seen, frame, 15 * sizeof(*seen));
	frame->sp = writes_stack;
	frame->ss = KERNEL_DATA;
#else
	memcpy(seen, frame, 8 * sizeof(*seen));
	seen[3] = 0; /* the handler's own stack pointer */
#endif
	seen[GENERAL_COUNT] = frame->flags;
	frame->ip = (uintptr_t)writes_resume;
	frame->cs = KERNEL_CODE;
	frame->flags = 2;
	return true;
}

/* Supervisor code may look at the user's pages while AC is set. */
static void allow_user_pages(void)
{
	uintptr_t flags;
	__asm__ volatile("pushf\n\tpop %0\n\tor %1, %0\n\tpush %0\n\tpopf" : "=&r"(flags) : "ir"(FLAG_AC) : "cc");
}

static bool is_tried(unsigned int trial, bool user)
{
	unsigned int needs = trials[trial].needs;
#ifndef __x86_64__
	if ((needs & NEEDS_STACK) && !user) {
		return false;
	}
#endif
	return (user ? in_user : in_kernel) && (has_vectors || !(needs & NEEDS_VECTORS)) &&
	       (has_avx || !(needs & NEEDS_AVX));
}

static void try_one(unsigned int trial, bool user)
{
	uintptr_t code = (uintptr_t)trials[trial].code;
	writes_go(pages_of(trial, user), user ? code - (uintptr_t)writes_code + USER_TEXT : code, user);
	allow_user_pages();
}

static void fill_all(void)
{
	for (unsigned int i = 0; i < TRIALS; i++) {
		for (unsigned int user = 0; user < 2; user++) {
			if (is_tried(i, user)) {
				fill(pages_of(i, user), i);
			}
		}
	}
}

static void try_all(bool first)
{
	for (unsigned int i = 0; i < 2 * TRIALS; i++) {
		unsigned int trial = i / 2;
		bool user = i % 2;
		struct end *end = &expected[user][trial];
		const void *pages = (const void *)pages_of(trial, user);
		if (!is_tried(trial, user)) {
			continue;
		}
		try_one(trial, user);
		if (first) {
			memcpy(end->registers, seen, sizeof(seen));
			memcpy(end->pages, pages, TRIAL_BYTES);
		} else if (memcmp(end->registers, seen, sizeof(seen)) != 0) {
			hs_printf("%s, ring %u: other registers\n", trials[trial].name, user * 3);
			wrong++;
		} else if (memcmp(end->pages, pages, TRIAL_BYTES) != 0) {
			hs_printf("%s, ring %u: other memory\n", trials[trial].name, user * 3);
			wrong++;
		}
	}
}

/* ---- Copies within handlers ---- */

/* A handler that writes to pages of its own and traps again, as deep as it may. */
static void nest(unsigned int depth)
{
	uint8_t *page = handler_pages[2 * depth];
	page[depth]++;
	if (depth < HS_TRAP_DEPTH - 1) {
		nested = depth + 1;
		__asm__ volatile("ud2" : : : "memory");
		nested = depth;
	}
	page[PAGE + depth]++;
}

static bool on_page_fault(struct hs_trap_frame *frame)
{
	uint8_t *page = handler_pages[0];
	faults++;
	if (hs_read_cr2() != NOWHERE || frame->error_code != 2) {
		return false;
	}
	page[16]++;
	page[PAGE + 16]++;
	/* The faults in between were nobody's. */
	check(hs_read_cr2() == NOWHERE, "CR2 is of a page that was copied");
	frame->ip = frame->ax;
	return true;
}

static void try_handlers(unsigned int round)
{
	uintptr_t ignored;
	faults = 0;
	nested = 1;
	__asm__ volatile("ud2" : : : "memory");
	nested = 0;
#ifdef __x86_64__
	__asm__ volatile("leaq 1f(%%rip), %0\n\tmovl $0, (%1)\n1:" : "=&a"(ignored) : "r"(NOWHERE) : "memory");
#else
	__asm__ volatile("movl $1f, %0\n\tmovl $0, (%1)\n1:" : "=&a"(ignored) : "r"(NOWHERE) : "memory");
#endif
	check(faults == 1, "the program's handler has seen other faults than its own");
	for (unsigned int depth = 1; depth < HS_TRAP_DEPTH; depth++) {
		const uint8_t *page = handler_pages[2 * depth];
		check(page[depth] == round && page[PAGE + depth] == round, "a handler's write is lost");
	}
	check(handler_pages[0][16] == round && handler_pages[1][16] == round, "the fault handler's write is lost");
}

/* ---- Aliases, tables ---- */

static bool can_map(void)
{
#ifdef __x86_64__
	return true;
#else
	/* Not in the format that its host may have moved it to (rt/space.c). */
	uintptr_t cr4;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	return !(cr4 & CR4_PAE);
#endif
}

static void map(uintptr_t address, uintptr_t gpa, size_t length, unsigned int flags)
{
	if (gpa == 0 || !hs_space_map(0, (void *)address, gpa, length, flags)) {
		hs_abort("cannot map; give it more scratch memory");
	}
}

static volatile uint32_t *word_at(uintptr_t address)
{
	return (volatile uint32_t *)address;
}

static void try_aliases(unsigned int round)
{
	*word_at(ALIAS + 64) = 100 + round;
	check(*word_at(ALIAS + PAGE + 64) == 100 + round, "an alias has parted");
	*word_at(ALIAS + PAGE + 128) = 200 + round;
	check(*word_at(ALIAS + 128) == 200 + round, "an alias has parted");
	if (!can_map()) {
		return;
	}
	/* A page that is one of the snapshot until now. */
	uintptr_t other = ALIAS + (2 + round) * PAGE;
	map(other, hs_page_gpa(late), PAGE, HS_MAP_WRITABLE);
	late[5] = (uint8_t)(10 + round);
	check(*(volatile uint8_t *)(other + 5) == 10 + round, "a new alias has parted");
	*(volatile uint8_t *)(other + 6) = (uint8_t)(20 + round);
	check(late[6] == 20 + round, "a new alias has parted");
}

/* Takes scratch for tables of its own and a page. */
static void try_tables(unsigned int round)
{
	uintptr_t address = LATER + round * HS_LARGE_PAGE_BYTES;
	if (!can_map()) {
		return;
	}
	map(address, hs_page_alloc(PAGE, PAGE), PAGE, HS_MAP_WRITABLE);
	for (unsigned int i = 0; i < PAGE; i += 64) {
		check(*word_at(address + i) == 0, "a new page is not empty");
		*word_at(address + i) = i + round;
	}
	for (unsigned int i = 0; i < PAGE; i += 64) {
		check(*word_at(address + i) == i + round, "a new page does not keep what is written");
	}
}

/* ---- Once ---- */

struct table_pointer {
	uint16_t limit;
	uintptr_t base;
} __attribute__((packed));

/* Segments for ring 3, and the stack on which the CPU comes back from there. */
static void prepare_ring_3(void)
{
	static uint64_t gdt[GDT_SLOTS];
	static uint8_t stack[2 * PAGE] __attribute__((aligned(PAGE)));
	uintptr_t top = (uintptr_t)stack + sizeof(stack);
	struct table_pointer pointer;
	uintptr_t text = hs_page_alloc(PAGE, PAGE);
	const struct hs_abi_boot *boot = hs_boot_info();

	__asm__ volatile("sgdt %0" : "=m"(pointer));
	memcpy(gdt, (const void *)pointer.base, pointer.limit + 1u);
	gdt[USER_CODE / 8] = USER_CODE_DESCRIPTOR;
	gdt[USER_DATA / 8] = USER_DATA_DESCRIPTOR;
	gdt[TSS / 8] &= ~DESCRIPTOR_BUSY;
	pointer = (struct table_pointer){ sizeof(gdt) - 1, (uintptr_t)gdt };
	__asm__ volatile("lgdt %0" : : "m"(pointer));
	__asm__ volatile("ltr %w0" : : "r"(TSS));
	/* iret to ring 3 would empty data segments of ring 0, and these are as good there. */
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(USER_DATA));
	memcpy(&hs_tss[1], &top, sizeof(top));
#ifndef __x86_64__
	hs_tss[2] = KERNEL_DATA;
#endif
	memcpy((void *)(uintptr_t)(boot->scratch_start + (text - boot->scratch_gpa)), writes_code,
	       (size_t)(writes_code_end - writes_code));
	map(USER_TEXT, text, PAGE, HS_MAP_USER);
	map(BASE, hs_page_alloc(TRIALS * TRIAL_BYTES, PAGE), TRIALS * TRIAL_BYTES, HS_MAP_USER | HS_MAP_WRITABLE);
}

static void set_cr4(uintptr_t bits)
{
	uintptr_t cr4;
	__asm__ volatile("mov %%cr4, %0\n\tor %1, %0\n\tmov %0, %%cr4" : "=&r"(cr4) : "r"(bits) : "memory");
}

static bool cpu_has_avx(void)
{
	uint32_t eax = 1, ebx, ecx, edx;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	return (ecx & CPUID_XSAVE_AVX) == CPUID_XSAVE_AVX;
}

static void read_words(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		in_kernel |= strcmp(argv[i], "kernel") == 0;
		in_user |= strcmp(argv[i], "user") == 0;
		has_vectors |= strcmp(argv[i], "vectors") == 0;
		goes_astray |= strcmp(argv[i], "astray") == 0;
		if (strcmp(argv[i], "smap") == 0) {
			set_cr4(CR4_SMEP_SMAP);
		}
		if (strcmp(argv[i], "avx") == 0 && cpu_has_avx()) {
			set_cr4(CR4_OSXSAVE);
			__asm__ volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
			has_avx = true;
		}
	}
}

static void prepare(void)
{
	uintptr_t twice = hs_page_alloc(PAGE, PAGE);

	hs_pages_keep(kept, PAGE);
	hs_trap_set_handler(VECTOR_UD, on_invalid_opcode);
	if (in_user) {
		prepare_ring_3();
	}
	map(ALIAS, twice, PAGE, HS_MAP_WRITABLE);
	map(ALIAS + PAGE, twice, PAGE, HS_MAP_WRITABLE);
	allow_user_pages();
	fill_all();
	try_all(true);
	fill_all();
	hs_trap_set_handler(VECTOR_PF, on_page_fault);
}

static unsigned long bookkeeping(unsigned int offset)
{
	const struct hs_abi_boot *boot = hs_boot_info();
	return (unsigned long)*(const uint64_t *)(uintptr_t)(boot->scratch_start + boot->scratch_length - offset);
}

/* A root where no handler finds it: in the snapshot's memory, which is writable there because the page is kept. */
static void go_astray(void)
{
	const struct hs_abi_boot *boot = hs_boot_info();
	uintptr_t root;
	__asm__ volatile("mov %%cr3, %0" : "=r"(root));
	memcpy(kept,
	       (const void *)(uintptr_t)(boot->scratch_start + ((root & ~(uintptr_t)(PAGE - 1)) - boot->scratch_gpa)),
	       PAGE);
	__asm__ volatile("mov %0, %%cr3" : : "r"(hs_page_gpa(kept)) : "memory");
	late[0] = 1;
}

static void go_round(unsigned int round)
{
	bool tables_first = *(const uint32_t *)(uintptr_t)hs_boot_info()->input_start != 0;

	if (goes_astray) {
		go_astray();
	}
	if (tables_first) {
		try_tables(round);
	}
	try_all(false);
	try_handlers(round);
	try_aliases(round);
	if (!tables_first) {
		try_tables(round);
	}
	hs_printf("generation %lu, counter %lu: %u wrong\n", bookkeeping(HS_SCRATCH_GENERATION_OFFSET),
		  bookkeeping(HS_SCRATCH_COUNTER_OFFSET), wrong);
	fill_all();
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

	read_words(argc, argv);
	prepare();
	for (unsigned int round = 1; round <= rounds && round <= ROUNDS_MAX; round++) {
		hs_out32(HS_PORT_READY, 0);
		go_round(round);
	}
	return (int)wrong;
}
