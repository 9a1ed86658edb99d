/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that looks at all that it can see, for a host that takes a snapshot of it and goes back there: it makes a
 * digest, it leaves traces wherever it can, and it looks for traces (traces.h). Such a host starts it with the argument
 * "wait", and with "vectors" where XSAVE may be used, with "watch" where debug registers may be armed; without, it does
 * nothing.
 */
#include "traces_see.h"

#define FREE_SLOT 8u /* of the GDT: behind the SDK's own */
#define DATA_SLOT FREE_SLOT
#define LDT_SLOT 9u
#define BASED_SLOT 11u
#define TSS_SLOT 12u
#define SDK_TSS_SLOT 3u
#define DATA_DESCRIPTOR 0x00CF93000000FFFFull
#define BASED_DESCRIPTOR 0x00CF93001000FFFFull /* base 0x1000 */
#define TYPE_LDT 0x82u
#define TYPE_TSS 0x89u
#define TSS_BYTES 104u
#define ENTRIES 6
#define PATTERN (MANY * 0xB7)
#define NOWHERE_GPA 0x70000000u
#define UART_LCR (HS_PORT_UART + 3)
#define UART_SCRATCH (HS_PORT_UART + 7)
#define CR0_TS (1u << 3)
#define CR0_WP (1u << 16)
#define CR0_AM (1u << 18)
/* DR7: a data breakpoint of 2 bytes on writes and reads in DR0 (SDM vol. 3B 17.2.4), and the bit that is always set. */
#define DR7_WATCH_2 (3u << 16 | 1u << 18 | 0x400u)
#define DR7_ARMED 1u
#define VECTOR_GP 13
#define VECTOR_PF 14

uintptr_t traces_nowhere;
uint16_t traces_ss;
static volatile uint32_t watched[2];
static volatile uint32_t *mailbox;
static struct state expected;
static uintptr_t expected_entries[ENTRIES];
static uint64_t left_gdt[16];
static uint8_t left_idt[512];
static uint8_t left_tss[TSS_BYTES];
static unsigned int found_count;
static bool arms; /* debug registers */

/* ---- Mappings that are changed ---- */

static uintptr_t guard_page(void)
{
	return (uintptr_t)hs_boot_info()->stack_start - PAGE;
}

/* What is mapped at the places whose mappings are changed, without addresses. */
static void note_entries(uintptr_t entries[ENTRIES])
{
	const uintptr_t places[ENTRIES] = { (uintptr_t)victims[1], (uintptr_t)victims[2], (uintptr_t)victims[3],
					    (uintptr_t)constant,   guard_page(),          guard_page() + PAGE };
	for (unsigned int i = 0; i < ENTRIES; i++) {
		const uintptr_t *entry = entry_of(places[i]);
		entries[i] = entry ? plain(*entry) & ~FRAME : 0;
	}
}

/* ---- Memory where nothing of this guest is ---- */

struct place {
	const char *name;
	uintptr_t start, end;
};
#define PLACES 5

static uintptr_t scratch_word(unsigned int offset)
{
	const struct hs_abi_boot *boot = hs_boot_info();
	return *(const uintptr_t *)(uintptr_t)(boot->scratch_start + boot->scratch_length - offset);
}

static void find_places(struct place places[PLACES])
{
	const struct hs_abi_boot *boot = hs_boot_info();
	uintptr_t scratch = (uintptr_t)boot->scratch_start;
	uintptr_t taken = scratch_word(HS_SCRATCH_NEXT_FREE_OFFSET) - (uintptr_t)boot->scratch_gpa;
	uintptr_t end = scratch + (uintptr_t)boot->scratch_length;
	uintptr_t heap = (uintptr_t)boot->heap_start;
	places[0] = (struct place){ "input buffer", (uintptr_t)(boot->input_start + 8),
				    (uintptr_t)(boot->input_start + boot->input_length) };
	places[1] = (struct place){ "output buffer", (uintptr_t)boot->output_start,
				    (uintptr_t)(boot->output_start + boot->output_length) };
	/* Its first page has what the runtime takes for main(). */
	places[2] = (struct place){ "heap", heap + PAGE, heap + (uintptr_t)boot->heap_length };
	/* The stack of main(), which has not returned. */
	places[3] = (struct place){ "stack", (uintptr_t)boot->stack_start, (traces_gpr[4] - 256) & ~(uintptr_t)15 };
	/* The last, for the others may take pages from it. */
	places[4] = (struct place){ "free scratch", scratch + taken, end - TOP_BYTES };
}

static void fill(uintptr_t start, uintptr_t end)
{
	size_t count = (end - start) / sizeof(uintptr_t);
	__asm__ volatile("rep stos" SUFFIX : "+D"(start), "+c"(count) : "a"(PATTERN) : "memory");
}

/* ---- Leaving ---- */

static void set_entry(uintptr_t address, uintptr_t value)
{
	uintptr_t *entry = entry_of(address);
	if (entry) {
		*entry = value;
		flush(address);
	}
}

/* A page more, one elsewhere, one less, other rights; each used, so that it is in the TLB. */
static void leave_mappings(void)
{
	uintptr_t frame = *entry_of((uintptr_t)victims[0]);
	uintptr_t constants = *entry_of((uintptr_t)constant);
	set_entry(guard_page(), (frame & FRAME) | GLOBAL | WRITABLE | PRESENT);
	*(volatile uint8_t *)guard_page() = 1;
	set_entry((uintptr_t)victims[1], *entry_of((uintptr_t)victims[2]) | GLOBAL);
	(void)*(volatile uint8_t *)victims[1];
	set_entry((uintptr_t)victims[3], 0);
	set_entry((uintptr_t)constant, constants | WRITABLE);
	set_entry((uintptr_t)victims[2], *entry_of((uintptr_t)victims[2]) ^ NO_EXECUTE);
	/* Where the CPU shall find no memory. */
	traces_nowhere = guard_page() + PAGE;
	set_entry(traces_nowhere, NOWHERE_GPA | WRITABLE | PRESENT);
}

static void put_system_descriptor(unsigned int slot, uintptr_t base, uint32_t limit, uint8_t type)
{
	left_gdt[slot] = (limit & 0xFFFF) | (uint64_t)(base & 0xFFFFFF) << 16 | (uint64_t)type << 40 |
			 (uint64_t)(base >> 24 & 0xFF) << 56;
#ifdef __x86_64__
	left_gdt[slot + 1] = base >> 32;
#endif
}

static void leave_descriptors(void)
{
	struct table_pointer pointer;
	__asm__ volatile("sgdt %0" : "=m"(pointer));
	memcpy(left_gdt, (const void *)pointer.base, pointer.limit + 1u);
	put_system_descriptor(LDT_SLOT, (uintptr_t)left_gdt, 7, TYPE_LDT);
	put_system_descriptor(TSS_SLOT, (uintptr_t)left_tss, TSS_BYTES - 1, TYPE_TSS);
	memcpy(left_tss, hs_tss, TSS_BYTES);
	left_gdt[DATA_SLOT] = DATA_DESCRIPTOR;
	left_gdt[BASED_SLOT] = BASED_DESCRIPTOR;
	pointer = (struct table_pointer){ sizeof(left_gdt) - 1, (uintptr_t)left_gdt };
	__asm__ volatile("lgdt %0" : : "m"(pointer));
	__asm__ volatile("sidt %0" : "=m"(pointer));
	memcpy(left_idt, (const void *)pointer.base, pointer.limit + 1u);
	pointer = (struct table_pointer){ pointer.limit - 16u, (uintptr_t)left_idt };
	__asm__ volatile("lidt %0" : : "m"(pointer));
	__asm__ volatile("lldt %w0" : : "r"(LDT_SLOT * 8));
	__asm__ volatile("ltr %w0" : : "r"(TSS_SLOT * 8));
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%fs" : : "r"(DATA_SLOT * 8));
	__asm__ volatile("mov %0, %%gs" : : "r"(BASED_SLOT * 8));
	traces_ss = DATA_SLOT * 8;
}

static void leave_registers(void)
{
	uintptr_t cr0;
	for (size_t i = 0; i < MSR_COUNT; i++) {
		write_msr(msrs[i].number, msrs[i].left);
	}
	write_msr(EFER, read_msr(EFER) ^ EFER_SCE);
	load_vectors(0xC3, 0x0A7F, 0x7F80);
	if (vectors) {
		set_xcr0(3);
	}
	/* TSD, DE, PGE, PCE, UMIP, FSGSBASE, OSXSAVE, SMEP, SMAP, as far as there are. */
	for (uint32_t bits = 1u << 2 | 1u << 3 | 1u << 7 | 1u << 8 | 1u << 11 | 1u << 16 | 1u << 18 | 3u << 20;
	     bits != 0; bits &= bits - 1) {
		write_cr4(read_cr4() ^ (bits & -bits));
	}
	SET_DR(0, &traces_ss);
	SET_DR(1, 0x2222);
	SET_DR(2, 0x4444);
	SET_DR(3, 0x6666);
	SET_DR(6, 0xFFFF0FF5);
	SET_DR(7, DR7_WATCH_2 | (arms ? DR7_ARMED : 0));
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr2" : : "r"(PATTERN));
	__asm__ volatile("mov %0, %%cr0" : : "r"((cr0 ^ CR0_AM ^ CR0_WP) | CR0_TS));
}

__attribute__((noreturn)) static void leave(enum traces_end end)
{
	static void (*const ends[TRACES_ENDS])(void) = {
		[TRACES_END_OUT] = traces_end_out,           [TRACES_END_TRAP] = traces_end_trap,
		[TRACES_END_STRING] = traces_end_string,     [TRACES_END_IN] = traces_end_in,
		[TRACES_END_UNMAPPED] = traces_end_unmapped, [TRACES_END_FAULT] = traces_end_fault,
		[TRACES_END_SHUTDOWN] = traces_end_shutdown, [TRACES_END_LOOP] = traces_end_loop,
	};
	const struct hs_abi_boot *boot = hs_boot_info();
	struct place places[PLACES];
	uintptr_t top = (uintptr_t)(boot->scratch_start + boot->scratch_length);
	memset(victims, 0xEE, sizeof(victims));
	for (unsigned int i = 0; i < PLACES; i++) {
		find_places(places);
		fill(places[i].start, places[i].end);
	}
	leave_mappings();
	*(volatile uint64_t *)(top - HS_SCRATCH_GENERATION_OFFSET) = 99;
	hs_out8(UART_LCR, 0x80);
	hs_out8(UART_SCRATCH, 0x77);
	/* Half a message: two bytes and no end. */
	hs_out32(HS_PORT_ABORT, 'n' << 8 | 'o' << 16 | 2);
	leave_descriptors();
	leave_registers();
	ends[end < TRACES_ENDS ? end : 0]();
	__builtin_unreachable();
}

/* ---- Looking ---- */

static void found(const char *name)
{
	hs_printf("trace: %s\n", name);
	found_count++;
}

static void look_at_cpu(void)
{
	struct state state;
	capture(&state);
	for (size_t i = 0; i < state.count; i++) {
		if (state.items[i].value != expected.items[i].value) {
			found(state.items[i].name);
		}
	}
	if (memcmp(state.vectors, expected.vectors, 32) != 0) {
		found("x87 or SSE control");
	}
	if (memcmp(state.vectors + 32, expected.vectors + 32, 128) != 0) {
		found("x87 registers");
	}
	if (memcmp(state.vectors + 160, expected.vectors + 160, 256) != 0) {
		found("xmm registers");
	}
	if (memcmp(state.vectors + 576, expected.vectors + 576, 256) != 0) {
		found("upper halves of ymm registers");
	}
}

static void look_at_memory(void)
{
	struct place places[PLACES];
	find_places(places);
	for (unsigned int i = 0; i < PLACES; i++) {
		size_t count = (places[i].end - places[i].start) / sizeof(uintptr_t);
		if (skip_zeros((const uintptr_t *)places[i].start, 0, count) != count) {
			found(places[i].name);
		}
	}
	for (size_t i = 0; i < sizeof(victims); i++) {
		size_t differ = i % PAGE == 0 ? 0xA0 + i / PAGE : 0;
		if (i % 64 == 0 && victims[i / PAGE][i % PAGE] != differ) {
			found("data");
			break;
		}
	}
	if (scratch_word(HS_SCRATCH_GENERATION_OFFSET) == 99) {
		found("bookkeeping");
	}
}

static void look_at_mappings(void)
{
	static const char *const names[ENTRIES] = { "page mapped elsewhere", "rights of data", "page unmapped",
						    "rights of constants",   "new page",       "page without memory" };
	uintptr_t entries[ENTRIES];
	/* First what the CPU thinks, then what the tables say. */
	if (can_read(guard_page())) {
		found("translation of a new page");
	}
	if (!can_read((uintptr_t)victims[3])) {
		found("translation of a page unmapped");
	}
	note_entries(entries);
	for (unsigned int i = 0; i < ENTRIES; i++) {
		if (entries[i] != expected_entries[i]) {
			found(names[i]);
		}
	}
}

static void look(void)
{
	look_at_cpu();
	look_at_memory();
	look_at_mappings();
	if (hs_in8(UART_LCR) != 0 || hs_in8(UART_SCRATCH) != 0) {
		found("UART");
	}
}

/* ---- Requests ---- */

static void touch(void)
{
	traces_one();
	traces_other();
	/* So that the other is not the first in its page: a copy of it is not another time. */
	watched[1] = 7;
	watched[0] = 7;
	*(volatile uint8_t *)(uintptr_t)hs_boot_info()->heap_start = 1;
	victims[0][8] = 1;
}

__attribute__((noreturn)) static void answer(uint32_t request)
{
	switch (request & 0xFF) {
	case TRACES_DIGEST:
		print_digest();
		break;
	case TRACES_LEAVE:
		leave(request >> TRACES_END_SHIFT);
	case TRACES_LOOK:
		look();
		hs_exit((int)found_count);
	case TRACES_ABORT:
		hs_abort(TRACES_MESSAGE);
	case TRACES_PLACES:
		hs_printf("%lx %lx %lx\n", (unsigned long)traces_one, (unsigned long)traces_other,
			  (unsigned long)watched);
		break;
	case TRACES_TOUCH:
		touch();
		break;
	default:
		hs_abort("no such request");
	}
	hs_exit(0);
}

void traces_main(void)
{
	uint32_t request = *mailbox;
	if (request != TRACES_WAIT) {
		answer(request);
	}
	capture(&expected);
	note_entries(expected_entries);
	traces_wait();
}

#ifndef __x86_64__
/* Page faults come on the stack that is in use: it must not be one that they have to copy. */
static void keep_stack(void)
{
	for (const uint8_t *page = traces_work; page < traces_work_end; page += PAGE) {
		*entry_of((uintptr_t)page) |= HS_ENTRY_KEPT;
	}
}
#endif

int main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "wait") != 0) {
		return 0;
	}
#ifndef __x86_64__
	keep_stack();
#endif
	hs_trap_set_handler(VECTOR_GP, on_trap);
	hs_trap_set_handler(VECTOR_PF, on_trap);
	for (int i = 2; i < argc; i++) {
		vectors |= strcmp(argv[i], "vectors") == 0 && turn_on_xsave();
		arms |= strcmp(argv[i], "watch") == 0;
	}
	for (unsigned int i = 0; i < 4; i++) {
		victims[i][0] = 0xA0 + i;
	}
	for (size_t i = 0; i < MSR_COUNT; i++) {
		write_msr(msrs[i].number, msrs[i].kept);
	}
	load_vectors(0x35, 0x027F, 0x9F80);
	SET_DR(0, 0x1111);
	SET_DR(1, 0x3333);
	SET_DR(2, 0x5555);
	SET_DR(3, 0x7777);
	mailbox = (volatile uint32_t *)(uintptr_t)hs_boot_info()->input_start;
	traces_begin(mailbox);
}
