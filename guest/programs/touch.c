/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Touches the pages that its host asks for, in every way: reads, writes and jumps there, in ring 0 and in ring 3, and
 * notes for each what came of it: it worked, or which fault it was. Such a host starts it with the
 * argument "offer"; without, it offers nothing, as what it has to offer is not the same on all CPUs.
 *
 * A trial is a few instructions that end in a trap whatever happens: a fault, or a ud2 behind what has worked. The
 * handler then sends the CPU back to where the trial began.
 */
#include "touch.h"

#include <hindsight/guest.h>

/* The SDK's GDT has no segments for ring 3: this one has them behind the SDK's own, which may be six slots. */
#define GDT_SLOTS 8
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define TSS 0x18
#define USER_CODE 0x33
#define USER_DATA 0x3B

#ifdef __x86_64__
#define USER_CODE_DESCRIPTOR 0x00AFFB000000FFFF
#define AT "(%rdi)"
#define TO "*%rdi"
#else
#define USER_CODE_DESCRIPTOR 0x00CFFB000000FFFF
#define AT "(%edi)"
#define TO "*%edi"
#endif
#define DESCRIPTOR_BUSY (1ull << 41)
#define USER_DATA_DESCRIPTOR 0x00CFF3000000FFFF

/* The trials' code, alone in its page: the host shows that page to ring 3 as well. No stack is used. */
__asm__(".pushsection .text.touch, \"ax\", @progbits\n"
	"	.balign 4096\n"
	"touch_code:\n"
	"touch_read:	movl " AT ", %eax\n"
	"touch_read_end:	ud2\n"
	"touch_write:	movb " AT ", %al\n"
	"touch_store:	movb %al, " AT "\n"
	"touch_write_end: ud2\n"
	"touch_fetch:	jmp " TO "\n"
	"	.balign 4096\n"
	"	.popsection\n");
extern const uint8_t touch_code[], touch_read[], touch_read_end[], touch_write[], touch_store[], touch_write_end[],
	touch_fetch[];

/* Go to code with the address in (r/e)di, in ring 0 or 3; comes back when the handler goes on at touch_resume. */
void touch_go(uintptr_t address, uintptr_t code, int user);
extern const uint8_t touch_resume[];
uintptr_t touch_stack; /* ring 0's during the trial */
#ifdef __x86_64__
__asm__(".pushsection .text.touch_go, \"ax\", @progbits\n"
	"touch_go:\n"
	"	.irp register, rbp, rbx, r12, r13, r14, r15\n"
	"	pushq %\\register\n"
	"	.endr\n"
	"	movq %rsp, touch_stack\n"
	"	testl %edx, %edx\n"
	"	jnz 1f\n"
	"	jmp *%rsi\n"
	"1:	pushq $0x3B\n"
	"	pushq $0\n"
	"	pushq $2\n"
	"	pushq $0x33\n"
	"	pushq %rsi\n"
	"	iretq\n"
	"touch_resume:\n"
	"	movq touch_stack, %rsp\n"
	"	.irp register, r15, r14, r13, r12, rbx, rbp\n"
	"	popq %\\register\n"
	"	.endr\n"
	"	ret\n"
	"	.popsection\n");
#else
__asm__(".pushsection .text.touch_go, \"ax\", @progbits\n"
	"touch_go:\n"
	"	.irp register, ebp, ebx, esi, edi\n"
	"	pushl %\\register\n"
	"	.endr\n"
	"	movl 20(%esp), %edi\n"
	"	movl 24(%esp), %esi\n"
	"	movl 28(%esp), %edx\n"
	"	movl %esp, touch_stack\n"
	"	testl %edx, %edx\n"
	"	jnz 1f\n"
	"	jmp *%esi\n"
	"1:	pushl $0x3B\n"
	"	pushl $0\n"
	"	pushl $2\n"
	"	pushl $0x33\n"
	"	pushl %esi\n"
	"	iretl\n"
	"touch_resume:\n"
	"	movl touch_stack, %esp\n"
	"	.irp register, edi, esi, ebx, ebp\n"
	"	popl %\\register\n"
	"	.endr\n"
	"	ret\n"
	"	.popsection\n");
#endif

static struct {
	bool running;
	uintptr_t vector, error_code, ip, cr2, ax;
} trial;

static bool on_trap(struct hs_trap_frame *frame)
{
	if (!trial.running) {
		return false;
	}
	trial.running = false;
	trial.vector = frame->vector;
	trial.error_code = frame->error_code;
	trial.ip = frame->ip;
	trial.ax = frame->ax;
	trial.cr2 = hs_read_cr2();
	frame->ip = (uintptr_t)touch_resume;
	frame->cs = KERNEL_CODE;
	frame->flags = 2;
#ifdef __x86_64__
	frame->sp = touch_stack;
	frame->ss = KERNEL_DATA;
#endif
	return true;
}

/* Run code and say what came of it: it has worked when the trap is the ud2 at `end`. */
static uint32_t try_it(uintptr_t address, uintptr_t code, uintptr_t end, bool user)
{
	trial.running = true;
	touch_go(address, code, user);
	if (trial.vector == 6 && trial.ip == end) {
		return TOUCH_WORKED;
	}
	uint32_t elsewhere = trial.vector == 14 && trial.cr2 != address ? TOUCH_OTHER_ADDRESS : 0;
	return TOUCH_FAULT(trial.vector, (uint32_t)trial.error_code) | elsewhere;
}

/* `shift` is from ring 0's view of the code to that of the ring that runs it. */
static void touch(uintptr_t address, uintptr_t shift, bool fetch, uint32_t *result, uint32_t *word)
{
	bool user = shift != 0;
	result[TOUCH_READ] = try_it(address, (uintptr_t)touch_read + shift, (uintptr_t)touch_read_end + shift, user);
	*word = (uint32_t)trial.ax;
	/* What cannot be read cannot be written back; the store is to fault all the same. */
	const uint8_t *write = result[TOUCH_READ] == TOUCH_WORKED ? touch_write : touch_store;
	result[TOUCH_WRITE] = try_it(address, (uintptr_t)write + shift, (uintptr_t)touch_write_end + shift, user);
	if (fetch) {
		result[TOUCH_FETCH] = try_it(address, (uintptr_t)touch_fetch + shift, address, user);
	}
}

struct table_pointer {
	uint16_t limit;
	uintptr_t base;
} __attribute__((packed));

/* The SDK's; as words, because the two architectures' differ. */
extern uint32_t hs_tss[];

/* Segments for ring 3, and the stack on which the CPU comes back from there. */
static void prepare_ring_3(void)
{
	static uint64_t gdt[GDT_SLOTS];
	static uint8_t stack[1024] __attribute__((aligned(16)));
	uintptr_t top = (uintptr_t)stack + sizeof(stack);
	struct table_pointer pointer;

	__asm__ volatile("sgdt %0" : "=m"(pointer));
	memcpy(gdt, (const void *)pointer.base, pointer.limit + 1u);
	gdt[USER_CODE / 8] = USER_CODE_DESCRIPTOR;
	gdt[USER_DATA / 8] = USER_DATA_DESCRIPTOR;
	pointer = (struct table_pointer){ sizeof(gdt) - 1, (uintptr_t)gdt };
	__asm__ volatile("lgdt %0" : : "m"(pointer));
	/* QEMU 7.2 ends with "invalid tss type" when a 32-bit CPU comes back from ring 3 with a TSS that was busy when
	 * a virtual machine was entered with it, which is how KVM_SET_SREGS leaves TR: it is loaded anew. */
	gdt[TSS / 8] &= ~DESCRIPTOR_BUSY;
	__asm__ volatile("ltr %w0" : : "r"(TSS));
	/* iret to ring 3 would empty data segments of ring 0, and these are as good there. */
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(USER_DATA));
	memcpy(&hs_tss[1], &top, sizeof(top));
#ifndef __x86_64__
	hs_tss[2] = KERNEL_DATA;
#endif
}

static void cpuid(uint32_t leaf, uint32_t *eax, uint32_t *edx)
{
	uint32_t ebx, ecx;
	__asm__ volatile("cpuid" : "=a"(*eax), "=b"(ebx), "=c"(ecx), "=d"(*edx) : "a"(leaf), "c"(0));
}

static void offer(struct touch_offer *to)
{
	uint32_t features, width, rest;
	cpuid(0x80000001, &rest, &features);
	cpuid(0x80000008, &width, &rest);
	*to = (struct touch_offer){
		.code = (uintptr_t)touch_code,
		.physical_bits = width & 0xFF,
		.large_1g = features >> 26 & 1,
	};
}

/* The host has changed the page tables, and perhaps CR3. */
static void forget_translations(void)
{
	uintptr_t root;
	__asm__ volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r"(root) : : "memory");
}

int main(int argc, char **argv)
{
	static const unsigned int vectors[] = { 6, 12, 13, 14 };
	const struct touch_list *list = (const void *)(uintptr_t)hs_boot_info()->input_start;
	struct touch_found *found = (void *)(uintptr_t)hs_boot_info()->output_start;

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		hs_trap_set_handler(vectors[i], on_trap);
	}
	if (argc > 1 && strcmp(argv[1], "offer") == 0) {
		offer((void *)found);
	}
	hs_out32(HS_PORT_READY, 0);
	prepare_ring_3();
	forget_translations();
	for (uint64_t i = 0; i < list->count; i++) {
		uintptr_t address = (uintptr_t)(list->items[i] & ~(uint64_t)TOUCH_FLAGS);
		bool fetch = !(list->items[i] & TOUCH_NO_FETCH);
		bool user_fetch = !(list->items[i] & TOUCH_NO_USER_FETCH);
		uintptr_t shift = (uintptr_t)list->user_code - (uintptr_t)touch_code;
		struct touch_found one = { 0 };
		uint32_t word;

		touch(address, 0, fetch, &one.result[TOUCH_READ], &one.word);
		touch(address, shift, user_fetch, &one.result[TOUCH_USER_READ], &word);
		found[i] = one;
	}
	return 0;
}
