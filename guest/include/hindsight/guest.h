/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest written against the hindsight SDK may call. A program defines main() and links with the runtime; it runs
 * at privilege level 0 with paging on and no operating system below it. docs/guest-abi.md tells the whole story.
 *
 * The runtime owns one stack and one heap, both provided by the host, and is not reentrant: a trap handler must not
 * call the heap when the code it interrupted may have been in it.
 */
#ifndef HINDSIGHT_GUEST_H
#define HINDSIGHT_GUEST_H

#include <hindsight/abi.h>
#include <hindsight/call.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The program. Returning ends the guest with that exit status (its low byte). argv[argc] is NULL. */
int main(int argc, char **argv);

#ifdef __cplusplus
extern "C" {
#endif

/** The boot information the host passed at entry; valid for the life of the guest. */
const struct hs_abi_boot *hs_boot_info(void);

/**
 * Memory that the host has put beside the guest's own (docs/guest-abi.md, "Mappings"): its start, length and flags.
 *
 * @return the mapping with this label; NULL when there is none
 */
const struct hs_abi_mapping *hs_guest_mapping(const char *label);

/** End the guest with status & 0xff. */
__attribute__((noreturn)) void hs_exit(int status);
/** End the guest: it is done, status 0. */
__attribute__((noreturn)) void hs_halt(void);
/** End the guest as crashed, with a message. The stack stays as it is, for the debugger and the core. */
__attribute__((noreturn)) void hs_abort(const char *message);

/** Write bytes to the console. */
void hs_write(const void *bytes, size_t length);
/** Write a string to the console. */
void hs_print(const char *string);
/**
 * Formatted output to the console, a subset of printf: %d %i %u %x %X %p %c %s %%, with the flags - and 0, a width, a
 * precision for %s, and the lengths h, hh, l, ll and z. What it does not know it prints as it stands.
 *
 * @return the number of bytes written
 */
__attribute__((format(printf, 1, 2))) int hs_printf(const char *format, ...);
__attribute__((format(printf, 1, 0))) int hs_vprintf(const char *format, va_list args);
/** The same into a buffer: always NUL-terminated when size is not 0. @return the bytes the whole text would take */
__attribute__((format(printf, 3, 4))) int hs_snprintf(char *buffer, size_t size, const char *format, ...);
__attribute__((format(printf, 3, 0))) int hs_vsnprintf(char *buffer, size_t size, const char *format, va_list args);

/**
 * A function that the host calls. The number and the types of the arguments are those of its signature, and so is the
 * type of *ret, whose value it sets. Strings and bytes among the arguments are there until it returns; those of the
 * result must still be there then: in the heap, or in static memory.
 */
typedef void hs_guest_fn(const struct hs_value *args, size_t count, struct hs_value *ret);

struct hs_guest_function {
	const char *name;
	size_t name_length;
	const char *signature;
	hs_guest_fn *call;
};

/**
 * Define a function that the host can call, by its name and with a signature of <hindsight/call.h>:
 *
 *     HS_GUEST_FUNCTION(add, "i(ii)")
 *     {
 *             ret->i = args[0].i + args[1].i;
 *     }
 */
#define HS_GUEST_FUNCTION(function, signature)                                                                         \
	static hs_guest_fn hs_guest_call_##function;                                                                   \
	static const struct hs_guest_function hs_guest_function_##function = {                                         \
		#function,                                                                                             \
		sizeof(#function) - 1,                                                                                 \
		signature,                                                                                             \
		hs_guest_call_##function,                                                                              \
	};                                                                                                             \
	HS_GUEST_FUNCTION_LIST(function) = &hs_guest_function_##function;                                              \
	static void hs_guest_call_##function(__attribute__((unused)) const struct hs_value *args,                      \
					     __attribute__((unused)) size_t count,                                     \
					     __attribute__((unused)) struct hs_value *ret)
/* A pointer to it in the list that the linker script keeps. */
#define HS_GUEST_FUNCTION_LIST(function)                                                                               \
	static const struct hs_guest_function *const hs_guest_function_at_##function                                   \
		__attribute__((used, section(".hs_functions")))

/**
 * Say that the guest is ready, and do what the host calls for from now on. It ends the guest, status 0, where nobody
 * calls.
 */
__attribute__((noreturn)) void hs_guest_serve(void);

/** Make the call of the function that runs fail when it returns, with a message (as hs_printf(), 127 bytes). */
__attribute__((format(printf, 1, 2))) void hs_fail(const char *format, ...);

/**
 * Call a function of the host.
 *
 * @param ret  the result or, when it failed, a string that says why; bytes are there until the next call of the host
 * @return 0, or one of HS_CALL_* of abi.h
 */
uint32_t hs_call_host(const char *name, const struct hs_value *arguments, size_t count, struct hs_value *ret);

/**
 * Log formatted text (as hs_printf()) with one of the levels HS_LOG_*. What is above the log level of the boot
 * information is left out, and so is what does not fit in the output buffer.
 */
__attribute__((format(printf, 2, 3))) void hs_log(uint32_t level, const char *format, ...);

/** length bytes, 16-byte aligned, from the heap of the boot information; NULL when there is no room. */
void *hs_malloc(size_t length);
/** count * length bytes of zero; NULL when there is no room or the product overflows. */
void *hs_calloc(size_t count, size_t length);
/** Resize: the content is kept up to the smaller length. NULL when there is no room: then nothing changed. */
void *hs_realloc(void *block, size_t length);
/** Give back. NULL is fine; what is not a block in use ends the guest with hs_abort(). */
void hs_free(void *block);

/**
 * The interrupted state as a trap handler gets it. The handler may change it: what stands here is what the CPU resumes
 * with. Names are common to both architectures: ax is rax or eax.
 */
struct hs_trap_frame {
#ifdef __x86_64__
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t di, si, bp, bx, dx, cx, ax;
	uint64_t vector, error_code; /**< error_code is 0 for vectors that have none */
	uint64_t ip, cs, flags, sp, ss;
#else
	uint32_t di, si, bp;
	uint32_t reserved; /**< where pusha leaves the handler's own esp; popa skips it */
	uint32_t bx, dx, cx, ax;
	uint32_t vector, error_code; /**< error_code is 0 for vectors that have none */
	uint32_t ip, cs, flags;
	uint32_t sp, ss; /**< there only when (cs & 3) != 0; hs_trap_sp() knows */
#endif
};

/** The interrupted stack pointer. */
static inline uintptr_t hs_trap_sp(const struct hs_trap_frame *frame)
{
#ifndef __x86_64__
	if ((frame->cs & 3) == 0) {
		return (uintptr_t)&frame->sp;
	}
#endif
	return frame->sp;
}

/**
 * A trap handler.
 *
 * @return true to resume with the frame as it is now; false to let the host see the trap, as if there were no handler
 */
typedef bool hs_trap_fn(struct hs_trap_frame *frame);

/** Vectors that can have a handler: the exceptions of the CPU. */
#define HS_TRAP_COUNT 32

/**
 * Set or (NULL) remove the handler of a vector. Without one the trap is a crash, reported by the host with the state of
 * the interrupted code. Vector 8 (double fault) cannot be resumed and never has a handler. Handlers may trap again, to
 * HS_TRAP_DEPTH levels; a trap deeper than that goes to the host.
 */
void hs_trap_set_handler(unsigned int vector, hs_trap_fn *handler);
#define HS_TRAP_DEPTH 4

/**
 * Address spaces, of which 0 is there from the start. The others begin with all that space 0 maps where its top-level
 * table has entries (of 512 GiB on amd64, 4 MiB on i686), and share those tables with it: what is mapped there later is
 * so in all of them. Elsewhere each has its own. The host knows them, and a snapshot keeps them all; it moves pages, so
 * a physical address is good until the next one only, and spaces are named by number.
 */
#define HS_SPACES_MAX 64

/** How hs_space_map() maps. */
#define HS_MAP_WRITABLE 1
#define HS_MAP_USER 2
#define HS_MAP_NO_EXEC 4 /**< ignored on i686, whose entries have no such bit */
#define HS_MAP_LARGE 8   /**< in pages of HS_LARGE_PAGE_BYTES */
#define HS_MAP_KEPT 16   /**< never copy-on-write: as hs_pages_keep() */
#ifdef __x86_64__
#define HS_LARGE_PAGE_BYTES ((uintptr_t)2 << 20)
#else
#define HS_LARGE_PAGE_BYTES ((uintptr_t)4 << 20)
#endif

/** Make a space. @return its number; -1 when there are HS_SPACES_MAX or scratch memory has no page left */
int hs_space_create(void);
/** Run in another space from here on. The stack, and all that is used, must be mapped there as it is here. */
void hs_space_switch(unsigned int space);
unsigned int hs_space_current(void);
/**
 * Map memory in a space, whether or not it is the current one, where nothing is mapped. All three numbers are multiples
 * of the page size.
 *
 * @return false, with a part of it mapped perhaps, when something is there or scratch memory has no page for a table
 */
bool hs_space_map(unsigned int space, void *start, uintptr_t gpa, size_t length, unsigned int flags);
/** Take memory of zeros from scratch memory, for hs_space_map(); alignment is a power of two, a page at least.
 * @return its physical address, 0 when there is not so much */
uintptr_t hs_page_alloc(size_t length, size_t alignment);
/** The physical address of a page of the current space, to map it elsewhere too; a page that is copy-on-write is copied
 * first, so that its mappings stay together. What is part of a large page, as most of a large heap is, is so after that
 * too. @return 0 when there is none */
uintptr_t hs_page_gpa(const void *page);
/**
 * Let a snapshot never make these pages of the current space copy-on-write. For stacks on which the CPU itself
 * delivers exceptions, beyond those that the runtime has: on i686 every stack in ring 0, on amd64 those of its TSS.
 */
void hs_pages_keep(const void *start, size_t length);

/* Components of XCR0 (SDM vol. 1 13.1): x87, SSE, and the upper halves of ymm; with AVX-512 also k and zmm. */
#define HS_XCR0_AVX UINT32_C(0x7)
#define HS_XCR0_AVX512 UINT32_C(0xE7)
/**
 * Let the program use registers that the CPU has to be told of: HS_XCR0_AVX or HS_XCR0_AVX512. What is compiled for
 * them and includes this header has them before main(); this is for a program that asks CPUID what it may use. May be
 * called again, for more. What is switched on is what this function was asked for, ever: a program that sets XCR0 by
 * itself, too, loses with the next call what it has switched on beside that.
 *
 * @return false, and nothing has changed, where the CPU does not offer them
 */
bool hs_xcr0_add(uint32_t components);

/* What the runtime does first for a file that is compiled for them: the same, or hs_abort(). */
void hs_begin_avx(void);
void hs_begin_avx512(void);
#ifdef __AVX512F__
#define HS_GUEST_BEGIN hs_begin_avx512
#elif defined(__AVX__)
#define HS_GUEST_BEGIN hs_begin_avx
#endif
#ifdef HS_GUEST_BEGIN
static void (*const hs_guest_begin)(void) __attribute__((used, section(".hs_begin"))) = HS_GUEST_BEGIN;
#endif

/** Port output. */
static inline void hs_out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline void hs_out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline void hs_out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
/** Port input. */
static inline uint8_t hs_in8(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

/** The address that the last page fault was about. */
static inline uintptr_t hs_read_cr2(void)
{
	uintptr_t value;
	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

/* The C library's, as far as a guest needs them; a compiler may call the first four on its own. */
void *memcpy(void *__restrict to, const void *__restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);
void *memchr(const void *bytes, int byte, size_t length);
size_t strlen(const char *string);
size_t strnlen(const char *string, size_t limit);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);
char *strchr(const char *string, int character);
char *strrchr(const char *string, int character);
char *strstr(const char *string, const char *part);
char *strcpy(char *__restrict to, const char *__restrict from);
unsigned long strtoul(const char *string, char **end, int base);

#ifdef __cplusplus
}
#endif
#endif
