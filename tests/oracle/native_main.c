/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that executes cases on the host's CPU: a program of its own, started by native.c, so that no sanitizer's
 * memory is where a case may look. It finds the shared batch and a socket as descriptors.
 *
 * It lives in one signal handler: the handler stores what the case before has left in its signal frame, writes the next
 * case's registers into that frame with TF set, and returns. The kernel loads them, the CPU executes one instruction,
 * and the single-step trap or the fault comes back as a signal. The frame also holds the vector, the error code and CR2
 * (<asm/sigcontext.h>), so that nothing has to be guessed from a signal's number, and a case costs two switches between
 * kernel and process, which is a tenth of what ptrace costs.
 *
 * 32-bit code runs in the same process: the frame's CS is 0x23. The handler was installed by 64-bit code, which is what
 * the kernel decides by, so the frame is a 64-bit one all the same. It runs on a stack of its own, since a case's stack
 * pointer has any value; before its first C code it clears the flags that C does not expect (AC, DF, NT).
 */
#include "native.h"

#include <hindsight/types.h>

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_BYTES (256u << 10)

/* The child's own: there is one a process, and a signal handler is given nothing. */
static struct {
	struct oracle_batch *batch;
	struct oracle_world world;
	uint32_t at;
	bool running; /* a case is being executed */
} self;

/* What the entry finds in the segment registers that a signal frame does not have, and the base of the process's own
 * FS. Assembly knows them by these names. */
__attribute__((used)) uint16_t oracle_native_selectors[SEG_COUNT];
__attribute__((used)) uint64_t oracle_native_fs_base;

/* Where the frame has the registers, in the order of their encoding. */
static const uint8_t numbers[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				     REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

static void store_result(const greg_t *gregs, struct oracle_result *result)
{
	for (unsigned int i = 0; i < 16; i++) {
		result->out.gpr[i] = (uint64_t)gregs[numbers[i]];
	}
	result->out.seg[SEG_ES] = oracle_native_selectors[SEG_ES];
	result->out.seg[SEG_CS] = (uint16_t)gregs[REG_CSGSFS];
	result->out.seg[SEG_SS] = (uint16_t)((uint64_t)gregs[REG_CSGSFS] >> 48);
	result->out.seg[SEG_DS] = oracle_native_selectors[SEG_DS];
	result->out.seg[SEG_FS] = oracle_native_selectors[SEG_FS];
	result->out.seg[SEG_GS] = oracle_native_selectors[SEG_GS];
	result->out.rip = (uint64_t)gregs[REG_RIP];
	result->out.rflags = (uint64_t)gregs[REG_EFL];
	result->vector = (uint32_t)gregs[REG_TRAPNO];
	result->error = (uint32_t)gregs[REG_ERR];
	result->cr2 = result->vector == 14 ? (uint64_t)gregs[REG_CR2] : 0;
	/* Those are left from a fault before where an exception has none of its own. */
	if (result->vector == ORACLE_STEPPED || result->vector == 3 || result->vector == 4) {
		result->error = 0;
	}
}

/* In the frame there is an XSAVE area in the standard format (<asm/sigcontext.h>, struct _xstate). */
static uint8_t *xsave_of(ucontext_t *frame)
{
	return (uint8_t *)frame->uc_mcontext.fpregs;
}

static void load_case(const struct oracle_case *test, greg_t *gregs)
{
	uint64_t selectors = (uint64_t)gregs[REG_CSGSFS] & UINT64_C(0x0000ffffffff0000);

	for (unsigned int i = 0; i < 16; i++) {
		gregs[numbers[i]] = (greg_t)test->in.gpr[i];
	}
	gregs[REG_RIP] = (greg_t)test->in.rip;
	gregs[REG_EFL] = (greg_t)test->in.rflags;
	selectors |= test->bits == 64 ? ORACLE_CS64 : ORACLE_CS32;
	selectors |= (uint64_t)ORACLE_DS << 48; /* SS */
	gregs[REG_CSGSFS] = (greg_t)selectors;
}

/* The last thing before the return to a case: with FS gone, nothing of the C library works. */
static void load_data_segments(const struct oracle_state *in)
{
	__asm__ volatile("movw %w0, %%ds\n\tmovw %w1, %%es\n\tmovw %w2, %%gs" ::"r"(in->seg[SEG_DS]),
			 "r"(in->seg[SEG_ES]), "r"(in->seg[SEG_GS]));
	if (in->seg[SEG_FS]) {
		__asm__ volatile("movw %w0, %%fs" ::"r"(in->seg[SEG_FS]));
	}
}

/* Wait for the parent to give work; without a parent there is none. */
static void next_batch(bool first)
{
	char byte = 0;

	if (!first && write(ORACLE_NATIVE_SOCKET, &byte, 1) != 1) {
		_exit(0);
	}
	if (read(ORACLE_NATIVE_SOCKET, &byte, 1) != 1) {
		_exit(0);
	}
	self.at = 0;
}

/* The handler proper, on its own stack. */
__attribute__((used)) static void handle(int number, siginfo_t *info, void *context)
{
	ucontext_t *frame = context;
	greg_t *gregs = frame->uc_mcontext.gregs;

	(void)info;
	if (self.running) {
		struct oracle_result *result = &self.batch->results[self.at];

		store_result(gregs, result);
		if (self.batch->cases[self.at].vectors) {
			oracle_xsave_take(result->out.xsave, xsave_of(frame));
		}
		oracle_world_collect(&self.world, result);
		self.at++;
		if (self.at == self.batch->count) {
			next_batch(false);
		}
	} else if (number == SIGUSR1) {
		next_batch(true);
		self.running = true;
	} else {
		_exit(number);
	}
	self.batch->at = self.at;
	oracle_world_patch(&self.world, &self.batch->cases[self.at]);
	load_case(&self.batch->cases[self.at], gregs);
	if (self.batch->cases[self.at].vectors) {
		oracle_xsave_put(xsave_of(frame), self.batch->cases[self.at].in.xsave);
	}
	load_data_segments(&self.batch->cases[self.at].in);
}

/*
 * Flags and segment registers as C wants them, then on. The stack is aligned here, so that AC does not strike at once;
 * the mask keeps all but NT, DF, AC, ID: sigreturn takes the last one from the flags of now, not from the frame. FS's
 * base comes back by arch_prctl(ARCH_SET_FS).
 */
__asm__(".text\n"
	".type oracle_native_entry, @function\n"
	"oracle_native_entry:\n"
	"	pushfq\n"
	"	andl $0xffdbbbff, (%rsp)\n"
	"	popfq\n"
	"	movw %es, oracle_native_selectors(%rip)\n"
	"	movw %ds, 6 + oracle_native_selectors(%rip)\n"
	"	movw %fs, 8 + oracle_native_selectors(%rip)\n"
	"	movw %gs, 10 + oracle_native_selectors(%rip)\n"
	"	movl $0x2b, %eax\n"
	"	movl %eax, %ds\n"
	"	movl %eax, %es\n"
	"	xorl %eax, %eax\n"
	"	movl %eax, %fs\n"
	"	pushq %rdi\n"
	"	pushq %rsi\n"
	"	pushq %rdx\n"
	"	movl $158, %eax\n"
	"	movl $0x1002, %edi\n"
	"	movq oracle_native_fs_base(%rip), %rsi\n"
	"	syscall\n"
	"	popq %rdx\n"
	"	popq %rsi\n"
	"	popq %rdi\n"
	"	jmp handle\n"
	".size oracle_native_entry, . - oracle_native_entry\n");
void oracle_native_entry(int number, siginfo_t *info, void *context);

static bool map_areas(int memory)
{
	for (size_t i = 0; i < ORACLE_AREAS; i++) {
		const struct oracle_area *area = &oracle_areas[i];
		/* hs_prot has the bits of PROT_*. */
		int prot = area->prot & (PROT_READ | PROT_WRITE | PROT_EXEC);

		if (!oracle_area_is_there(area)) {
			continue;
		}
		if (mmap((void *)(uintptr_t)area->at, area->pages * ORACLE_PAGE, prot,
			 MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, memory,
			 (off_t)(area->first * ORACLE_PAGE)) != (void *)(uintptr_t)area->at) {
			fprintf(stderr, "oracle: cannot map 0x%llx: %s\n", (unsigned long long)area->at,
				strerror(errno));
			return false;
		}
	}
	return true;
}

/* The world has two mappings: where the instructions see it, with their rights, and one to prepare it by. */
static bool make_world(const uint8_t *before)
{
	int memory = memfd_create("oracle", MFD_CLOEXEC);

	if (memory < 0 || ftruncate(memory, (off_t)ORACLE_WORLD) != 0) {
		perror("oracle: memfd");
		return false;
	}
	self.world.bytes = mmap(NULL, ORACLE_WORLD, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory, 0);
	if (self.world.bytes == MAP_FAILED) {
		perror("oracle: mmap");
		return false;
	}
	memcpy(self.world.bytes, before, ORACLE_WORLD);
	self.world.before = before;
	return map_areas(memory);
}

static bool write_ldt(void)
{
	for (unsigned int i = 0; i < ORACLE_DESCRIPTORS; i++) {
		const struct oracle_descriptor *from = &oracle_descriptors[i];
		struct user_desc descriptor = {
			.entry_number = i,
			.base_addr = from->base,
			.limit = from->limit,
			.seg_32bit = 1,
			.contents = from->contents,
			.read_exec_only = from->fixed,
			.limit_in_pages = from->in_pages,
			.seg_not_present = from->not_present,
		};

		if (syscall(SYS_modify_ldt, 0x11, &descriptor, sizeof(descriptor)) != 0) {
			perror("oracle: modify_ldt");
			return false;
		}
	}
	return syscall(SYS_arch_prctl, ARCH_GET_FS, &oracle_native_fs_base) == 0;
}

static bool install_handler(void)
{
	static const int signals[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGUSR1 };
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t stack = { .ss_size = STACK_BYTES };

	stack.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) != 0) {
		perror("oracle: sigaltstack");
		return false;
	}
	action.sa_sigaction = oracle_native_entry;
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaction(signals[i], &action, NULL) != 0) {
			perror("oracle: sigaction");
			return false;
		}
	}
	return true;
}

int main(void)
{
	self.batch = mmap(NULL, sizeof(*self.batch), PROT_READ | PROT_WRITE, MAP_SHARED, ORACLE_NATIVE_BATCH, 0);
	if (self.batch == MAP_FAILED) {
		fputs("this is for the program oracle to start\n", stderr);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!make_world(self.batch->before) || !write_ldt() || !install_handler()) {
		return 1;
	}
	raise(SIGUSR1);
	return 1; /* not reached: the handler never returns to here */
}
