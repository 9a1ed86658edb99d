/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where control goes: tables of jumps, jumps out of nested calls, calculated gotos. */
#include "../program.h"

static NOINLINE uint32_t dense(unsigned int which, uint32_t a)
{
	switch (which) {
	case 0:
		return a + 1;
	case 1:
		return a * 3;
	case 2:
		return a ^ 0x55;
	case 3:
		return a >> 2;
	case 4:
		return ~a;
	case 5:
		return a << 7 | a >> 25;
	case 6:
	case 7:
		return a - which;
	case 9:
		return a % 1000;
	case 12:
		return a | 1;
	default:
		return 0;
	}
}

static NOINLINE int sparse(int64_t value)
{
	switch (value) {
	case -5000000000:
		return 1;
	case -100:
		return 2;
	case 0:
		return 3;
	case 77:
		return 4;
	case 4096:
		return 5;
	case 1 << 30:
		return 6;
	case 5000000000:
		return 7;
	default:
		return value < 0 ? -1 : 0;
	}
}

static NOINLINE unsigned int classify(unsigned char c)
{
	switch (c) {
	case '0' ... '9':
		return 1;
	case 'a' ... 'z':
	case 'A' ... 'Z':
	case '_':
		return 2;
	case ' ':
	case '\t':
	case '\n':
		return 3;
	case '+':
	case '-':
	case '*':
	case '/':
		return 4;
	default:
		return 0;
	}
}

/* A table that compilers turn into data. */
static NOINLINE const char *month(unsigned int number)
{
	switch (number) {
	case 1:
		return "January";
	case 2:
		return "February";
	case 3:
		return "March";
	case 4:
		return "April";
	case 5:
		return "May";
	case 6:
		return "June";
	default:
		return "later";
	}
}

/* From one case into the next. */
static NOINLINE uint64_t fall(unsigned int which, uint64_t a)
{
	switch (which & 7) {
	case 7:
		a = mix(a, 7);
		__attribute__((fallthrough));
	case 5:
		a += 5;
		__attribute__((fallthrough));
	case 4:
		a ^= a >> 4;
		break;
	case 3:
		a *= 3;
		__attribute__((fallthrough));
	case 1:
		a--;
		break;
	default:
		a = ~a;
	}
	return a;
}

void topic_switches(void)
{
	struct source s = source(0x5717C4);
	static const int64_t keys[] = {
		-5000000000, -100, 0, 77, 4096, 1 << 30, 5000000000, -4999999999, 78, INT64_MIN
	};
	uint64_t d = 0;
	unsigned int classes[5] = { 0 };

	for (unsigned int i = 0; i < 100; i++) {
		d = mix(d, dense(i % 14, (uint32_t)next(&s)));
		d = mix(d, (uint64_t)sparse(keys[i % COUNT(keys)]));
		d = mix(d, fall((unsigned int)next(&s), d));
		d = mix(d, (unsigned char)month(i % 8)[1]);
	}
	say("switches", d);
	for (unsigned int i = 0; i < 256; i++) {
		classes[classify((unsigned char)i)]++;
	}
	for (unsigned int i = 0; i < COUNT(classes); i++) {
		say("class", classes[i]);
	}
}

#define DEPTH_MAX 100

/* Own setjmp: the registers that calls keep (System V psABI 3.2.1, i386 psABI 2.2.1), sp and where to go on. */
struct context {
	uintptr_t kept[8];
};

int context_save(struct context *context) __attribute__((returns_twice));
__attribute__((noreturn)) void context_restore(const struct context *context, int value);

#ifdef __x86_64__
__asm__("context_save:\n\t"
	"movq %rbx, 0(%rdi)\n\tmovq %rbp, 8(%rdi)\n\tmovq %r12, 16(%rdi)\n\tmovq %r13, 24(%rdi)\n\t"
	"movq %r14, 32(%rdi)\n\tmovq %r15, 40(%rdi)\n\tleaq 8(%rsp), %rax\n\tmovq %rax, 48(%rdi)\n\t"
	"movq (%rsp), %rax\n\tmovq %rax, 56(%rdi)\n\txorl %eax, %eax\n\tretq\n"
	"context_restore:\n\t"
	"movq 0(%rdi), %rbx\n\tmovq 8(%rdi), %rbp\n\tmovq 16(%rdi), %r12\n\tmovq 24(%rdi), %r13\n\t"
	"movq 32(%rdi), %r14\n\tmovq 40(%rdi), %r15\n\tmovq 48(%rdi), %rsp\n\tmovl %esi, %eax\n\tjmpq *56(%rdi)");
#else
__asm__("context_save:\n\t"
	"movl 4(%esp), %edx\n\tmovl %ebx, 0(%edx)\n\tmovl %ebp, 4(%edx)\n\tmovl %esi, 8(%edx)\n\t"
	"movl %edi, 12(%edx)\n\tleal 4(%esp), %eax\n\tmovl %eax, 16(%edx)\n\tmovl (%esp), %eax\n\t"
	"movl %eax, 20(%edx)\n\txorl %eax, %eax\n\tretl\n"
	"context_restore:\n\t"
	"movl 4(%esp), %edx\n\tmovl 8(%esp), %eax\n\tmovl 0(%edx), %ebx\n\tmovl 4(%edx), %ebp\n\t"
	"movl 8(%edx), %esi\n\tmovl 12(%edx), %edi\n\tmovl 16(%edx), %esp\n\tjmpl *20(%edx)");
#endif

static NOINLINE void descend(const struct context *context, unsigned int depth, int value)
{
	volatile unsigned int frame[5] = { depth };

	if (depth > DEPTH_MAX) {
		return;
	}
	if (depth == 0) {
		context_restore(context, value);
	}
	descend(context, frame[0] - 1, value + 1);
	frame[1] = 0;
}

static NOINLINE uint64_t by_own(void)
{
	struct context context;
	volatile uint64_t d = 0;
	volatile int rounds = 0;
	int came = context_save(&context);

	d = mix(d, (uint64_t)came);
	if (rounds < 12) {
		rounds = rounds + 1;
		descend(&context, (unsigned int)rounds, came + 3);
	}
	return d;
}

static void *builtin_context[5];

static NOINLINE void throw_from(unsigned int depth)
{
	volatile unsigned int left = depth;

	if (left > DEPTH_MAX) {
		return;
	}
	if (left == 0) {
		__builtin_longjmp(builtin_context, 1);
	}
	throw_from(left - 1);
	left = 0;
}

static NOINLINE uint64_t by_builtin(void)
{
	volatile uint64_t d = 1;
	volatile unsigned int rounds = 0;

	if (__builtin_setjmp(builtin_context)) {
		d = mix(d, rounds);
	}
	rounds = rounds + 1;
	if (rounds < 10) {
		throw_from(rounds);
	}
	return d;
}

/* A walk by addresses of labels. */
static NOINLINE uint64_t by_labels(const unsigned char *steps, size_t count)
{
	static const void *const labels[] = { &&one, &&two, &&three, &&four };
	uint64_t d = 0;
	size_t at = 0;

	goto *labels[steps[0] & 3];
one:
	d += 11;
	goto next;
two:
	d = mix(d, at);
	goto next;
three:
	d ^= d >> 9;
	goto next;
four:
	d *= 5;
next:
	at++;
	if (at < count) {
		goto *labels[steps[at] & 3];
	}
	return d;
}

void topic_jumps(void)
{
	struct source s = source(0x1A6E15);
	unsigned char steps[120];

	for (size_t i = 0; i < sizeof(steps); i++) {
		steps[i] = (unsigned char)(next(&s) >> 11);
	}
	say("own setjmp", by_own());
	say("builtin setjmp", by_builtin());
	say("labels", by_labels(steps, sizeof(steps)));
}
