/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What names the page-table roots of a guest, and what of it is refused: the list that a guest registers, which may say
 * anything, a variable, and what a function of the host says. The VM is a memory with an address space, and this
 * program is its image.
 */
#include "session/roots.h"
#include "vmm/memory.h"

#include "ram.h"

#include <hindsight/abi.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* All of it is mapped where it is, but the last page. The variables of this program are in it by their offsets. */
#define MEMORY_BYTES UINT64_C(0x1000000)
#define HOLE (MEMORY_BYTES - HS_PAGE_SIZE)
#define TABLES UINT64_C(0x800000)
/* Roots that are not the CPU's; nothing looks into them. */
#define ROOTS UINT64_C(0x900000)
#define REGISTERED UINT64_C(0xa00000)
#define LIST UINT64_C(0xa00100)
#define PAGING 0x80000000u
#define PAE 0x20u
#define LONG_MODE 0x500u

uint64_t roots_of_the_guest[4];

struct hs_vm {
	struct ram ram;
	struct hs_root root;
	struct hs_cpu_state cpu;
	struct hs_vm_image image;
	struct hs_vm_guest guest;
};

struct hs_phys hs_vm_phys(struct hs_vm *vm)
{
	return vm->ram.phys;
}

const struct hs_vm_image *hs_vm_image(const struct hs_vm *vm)
{
	return &vm->image;
}

struct hs_vm_guest hs_vm_guest(const struct hs_vm *vm)
{
	return vm->guest;
}

void hs_vm_set_guest(struct hs_vm *vm, const struct hs_vm_guest *guest)
{
	vm->guest = *guest;
}

static int setup(void **state)
{
	/* Registers are aligned to 64 bytes. */
	struct hs_vm *vm = aligned_alloc(64, (sizeof(*vm) + 63) & ~(size_t)63);
	struct hs_mapping mapping = { .length = HOLE, .prot = HS_PROT_READ | HS_PROT_WRITE };

	assert_non_null(vm);
	memset(vm, 0, sizeof(*vm));
	ram_init(&vm->ram, true);
	ram_add(&vm->ram, 0, MEMORY_BYTES);
	ram_set_tables(&vm->ram, TABLES, 0x80000);
	vm->root = (struct hs_root){ .format = HS_PAGING_4LEVEL };
	assert_int_equal(vm->ram.source.take(vm->ram.source.ctx, &vm->root.base, NULL), HS_OK);
	assert_int_equal(ram_map(&vm->ram, &vm->root, &mapping), HS_OK);
	vm->cpu.cr0 = PAGING | 1;
	vm->cpu.cr4 = PAE;
	vm->cpu.msr.efer = LONG_MODE;
	vm->cpu.cr3 = vm->root.base.v;
	vm->image = (struct hs_vm_image){ .fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), .path = "self" };
	assert_true(vm->image.fd >= 0);
	*state = vm;
	return 0;
}

static int teardown(void **state)
{
	struct hs_vm *vm = *state;

	close(vm->image.fd);
	ram_deinit(&vm->ram);
	free(vm);
	return 0;
}

static void put(struct hs_vm *vm, uint64_t gpa, uint64_t value)
{
	ram_put(&vm->ram, gpa, 8, value);
}

static void register_list(struct hs_vm *vm, uint64_t at, uint64_t list, uint64_t count)
{
	put(vm, at, sizeof(struct hs_abi_roots));
	put(vm, at + 8, list);
	put(vm, at + 16, count);
	vm->guest.roots = at;
}

static void expect_found(struct hs_vm *vm, const struct hs_roots_spec *spec, const uint64_t *bases, uint32_t count,
			 uint32_t current)
{
	struct hs_roots roots;
	struct hs_error err = { 0 };

	if (hs_roots_find(vm, spec, &vm->cpu, &roots, &err)) {
		fail_msg("%s", err.message);
	}
	assert_int_equal(roots.count, count);
	assert_int_equal(roots.current, current);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(roots.items[i].base.v, bases[i]);
		assert_int_equal(roots.items[i].format, HS_PAGING_4LEVEL);
	}
	hs_roots_deinit(&roots);
}

/* Refused, by an error of this address that has the words, and nothing is changed. */
static void expect_refused(struct hs_vm *vm, const struct hs_roots_spec *spec, enum hs_status status, uint64_t where,
			   const char *words)
{
	struct hs_vm_guest before = vm->guest;
	struct hs_roots roots = { .count = 77 };
	struct hs_error err = { 0 };

	assert_int_equal(hs_roots_find(vm, spec, &vm->cpu, &roots, &err), status);
	assert_int_equal(err.where, where);
	if (!strstr(err.message, words)) {
		fail_msg("'%s' is not in: %s", words, err.message);
	}
	assert_int_equal(roots.count, 77);
	assert_int_equal(vm->guest.variable.gva, before.variable.gva);
	assert_int_equal(vm->guest.variable.count, before.variable.count);
}

static void test_roots_nothing_registered_is_the_root_of_the_cpu(void **state)
{
	struct hs_vm *vm = *state;

	expect_found(vm, NULL, &vm->root.base.v, 1, 0);
	register_list(vm, REGISTERED, LIST, 0);
	expect_found(vm, NULL, &vm->root.base.v, 1, 0);
}

/* The root that the CPU is on has one place, wherever the list names it. */
static void test_roots_registered_list_is_followed_wherever_the_cpu_is(void **state)
{
	struct hs_vm *vm = *state;
	uint64_t bases[] = { ROOTS, vm->root.base.v, ROOTS + 0x1000 };
	uint64_t without[] = { ROOTS, ROOTS + 0x1000, vm->root.base.v };

	register_list(vm, REGISTERED, LIST, 4);
	for (unsigned int i = 0; i < 3; i++) {
		put(vm, LIST + 8 * i, bases[i]);
	}
	/* The fourth is none. */
	expect_found(vm, NULL, bases, 3, 1);
	put(vm, LIST + 8, 0);
	expect_found(vm, NULL, without, 3, 2);
}

static void expect_spaces(struct hs_vm *vm, uint32_t count, uint32_t current)
{
	struct hs_roots roots;

	assert_int_equal(hs_roots_find(vm, NULL, &vm->cpu, &roots, NULL), HS_OK);
	assert_int_equal(roots.named > 0 ? roots.named : 1, count);
	assert_int_equal(hs_roots_current_space(&roots), current);
	hs_roots_deinit(&roots);
}

static void test_roots_are_spaces_but_for_one_that_nothing_names(void **state)
{
	struct hs_vm *vm = *state;

	expect_spaces(vm, 1, 1);
	register_list(vm, REGISTERED, LIST, 3);
	put(vm, LIST, ROOTS);
	put(vm, LIST + 8, ROOTS + 0x1000);
	put(vm, LIST + 16, vm->root.base.v);
	expect_spaces(vm, 3, 3);
	put(vm, LIST + 16, 0);
	expect_spaces(vm, 2, 1);
}

static void test_roots_registered_list_that_is_none_is_refused_by_its_place(void **state)
{
	struct hs_vm *vm = *state;

	/* The structure: unmapped, half of it, at the end of all addresses. */
	vm->guest.roots = HOLE + 8;
	expect_refused(vm, NULL, HS_ERR_UNREADABLE, HOLE + 8, "is not in its memory");
	vm->guest.roots = HOLE - 8;
	expect_refused(vm, NULL, HS_ERR_UNREADABLE, HOLE, "is not in its memory");
	vm->guest.roots = UINT64_MAX - 7;
	expect_refused(vm, NULL, HS_ERR_UNREADABLE, UINT64_MAX - 7, "is not in its memory");
	vm->guest.roots = UINT64_C(0x800000000000);
	expect_refused(vm, NULL, HS_ERR_UNREADABLE, UINT64_C(0x800000000000), "is not in its memory");

	/* The list likewise. */
	register_list(vm, REGISTERED, HOLE, 1);
	expect_refused(vm, NULL, HS_ERR_UNREADABLE, HOLE, "is not in its memory");
	register_list(vm, REGISTERED, HOLE - 12, 3);
	expect_refused(vm, NULL, HS_ERR_UNREADABLE, HOLE, "is not in its memory");
	register_list(vm, REGISTERED, UINT64_MAX - 3, 2);
	expect_refused(vm, NULL, HS_ERR_UNREADABLE, UINT64_MAX - 3, "is not in its memory");

	register_list(vm, REGISTERED, LIST, HS_ROOTS_MAX + 1);
	expect_refused(vm, NULL, HS_ERR_RANGE, HS_ROOTS_MAX + 1, "are more than 4096");
	register_list(vm, REGISTERED, LIST, UINT64_MAX);
	expect_refused(vm, NULL, HS_ERR_RANGE, UINT64_MAX, "are more than 4096");
}

static void test_roots_registered_roots_that_are_none_are_refused_by_name(void **state)
{
	struct hs_vm *vm = *state;

	register_list(vm, REGISTERED, LIST, 2);
	put(vm, LIST, ROOTS);
	put(vm, LIST + 8, ROOTS + 8);
	expect_refused(vm, NULL, HS_ERR_INVALID, ROOTS + 8, "0x900008 is not aligned");
	/* CR3's flags are none of the address. */
	put(vm, LIST + 8, ROOTS + 0x1018);
	expect_refused(vm, NULL, HS_ERR_INVALID, ROOTS + 0x1018, "0x901018 is not aligned");
	put(vm, LIST + 8, ROOTS);
	expect_refused(vm, NULL, HS_ERR_INVALID, ROOTS, "0x900000 is named twice");
	put(vm, LIST + 8, MEMORY_BYTES);
	expect_refused(vm, NULL, HS_ERR_UNREADABLE, MEMORY_BYTES, "0x1000000 is not in the guest's memory");
	put(vm, LIST + 8, ~UINT64_C(0xfff));
	expect_refused(vm, NULL, HS_ERR_UNREADABLE, ~UINT64_C(0xfff), "is not in the guest's memory");
}

/* A guest may have as many as it may register, and the CPU one that it has not. */
static void test_roots_as_many_as_there_may_be_are_found(void **state)
{
	struct hs_vm *vm = *state;
	struct hs_roots roots;

	register_list(vm, REGISTERED, LIST, HS_ROOTS_MAX);
	for (unsigned int i = 0; i < 0x700; i++) {
		put(vm, LIST + 8 * i, 0x1000 + i * HS_PAGE_SIZE);
	}
	assert_int_equal(hs_roots_find(vm, NULL, &vm->cpu, &roots, NULL), HS_OK);
	assert_int_equal(roots.count, 0x701);
	assert_int_equal(roots.current, 0x700);
	assert_int_equal(roots.pointer_count, 0x700);
	assert_int_equal(roots.pointers[0x6ff].gva.v, LIST + 8 * 0x6ff);
	hs_roots_deinit(&roots);
}

/* What a function of the host answers. */
struct answer {
	size_t write; /* so many roots, one page behind the other ... */
	size_t count; /* ... and says so many */
	bool twice;   /* the last one as the first */
	enum hs_status status;
	uint64_t cr3; /* seen */
};

static enum hs_status answer(void *ctx, const struct hs_phys *phys, uint64_t cr3, hs_gpa *roots, size_t capacity,
			     size_t *ret_count, struct hs_error *err)
{
	struct answer *answer = ctx;
	uint8_t byte;

	answer->cr3 = cr3;
	assert_int_equal(phys->ops->read(phys->ctx, hs_gpa_of(cr3), &byte, 1, NULL), HS_OK);
	if (answer->status) {
		*err = (struct hs_error){ .status = answer->status, .message = "the host knows no roots" };
		return answer->status;
	}
	for (size_t i = 0; i < answer->write && i < capacity; i++) {
		roots[i] = hs_gpa_of(ROOTS + (answer->twice && i == answer->write - 1 ? 0 : i * HS_PAGE_SIZE));
	}
	*ret_count = answer->count;
	return HS_OK;
}

static void test_roots_function_of_the_host_is_asked_and_checked(void **state)
{
	struct hs_vm *vm = *state;
	struct answer said = { .write = 2, .count = 2 };
	const struct hs_roots_spec spec = { .kind = HS_ROOTS_CALLBACK, .callback = answer, .ctx = &said };
	const struct hs_roots_spec nobody = { .kind = HS_ROOTS_CALLBACK };
	const uint64_t bases[] = { ROOTS, ROOTS + 0x1000, vm->root.base.v };

	expect_found(vm, &spec, bases, 3, 2);
	assert_int_equal(said.cr3, vm->root.base.v);
	said = (struct answer){ .count = 0 };
	expect_found(vm, &spec, &vm->root.base.v, 1, 0);
	said = (struct answer){ .write = 3, .count = 3, .twice = true };
	expect_refused(vm, &spec, HS_ERR_INVALID, ROOTS, "0x900000 is named twice");
	said = (struct answer){ .write = 10000, .count = 10000 };
	expect_refused(vm, &spec, HS_ERR_RANGE, 10000, "10000 page-table roots are more than 4096");
	said = (struct answer){ .status = HS_ERR_IO };
	expect_refused(vm, &spec, HS_ERR_IO, 0, "the host knows no roots");
	expect_refused(vm, &nobody, HS_ERR_INVALID, 0, "needs the function");
}

/* Where the variable is in the guest: where this program's file has it. */
static uint64_t gva_of_variable(void)
{
	extern const char __executable_start[];

	return (uintptr_t)roots_of_the_guest - (uintptr_t)__executable_start;
}

static void test_roots_variable_is_found_and_stays_known(void **state)
{
	struct hs_vm *vm = *state;
	const struct hs_roots_spec spec = {
		.kind = HS_ROOTS_SYMBOL, .symbol = "roots_of_the_guest", .stride = 16, .count = 2
	};
	const struct hs_roots_spec current = { .kind = HS_ROOTS_CURRENT };
	const uint64_t bases[] = { ROOTS, ROOTS + 0x1000, vm->root.base.v };

	put(vm, gva_of_variable(), ROOTS);
	put(vm, gva_of_variable() + 8, 1);
	put(vm, gva_of_variable() + 16, ROOTS + 0x1000);
	expect_found(vm, &spec, bases, 3, 2);
	assert_int_equal(vm->guest.variable.gva, gva_of_variable());
	/* Before what the guest registers, and by what it is in another VM. */
	vm->guest.roots = HOLE;
	expect_found(vm, NULL, bases, 3, 2);
	expect_found(vm, &current, &vm->root.base.v, 1, 0);
}

static void test_roots_variable_that_makes_no_sense_is_refused(void **state)
{
	struct hs_vm *vm = *state;
	struct hs_roots_spec spec = { .kind = HS_ROOTS_SYMBOL, .symbol = "roots_of_nobody", .stride = 8, .count = 1 };

	expect_refused(vm, &spec, HS_ERR_NOT_FOUND, 0, "'roots_of_nobody'");
	spec.symbol = NULL;
	expect_refused(vm, &spec, HS_ERR_INVALID, 0, "needs its name");
	spec.symbol = "roots_of_the_guest";
	spec.count = 0;
	expect_refused(vm, &spec, HS_ERR_INVALID, 0, "1 to 4096 roots");
	spec.count = HS_ROOTS_MAX + 1;
	expect_refused(vm, &spec, HS_ERR_INVALID, 0, "1 to 4096 roots");
	spec.count = 2;
	spec.stride = 7;
	expect_refused(vm, &spec, HS_ERR_INVALID, 0, "8 bytes or more");
	spec.stride = UINT64_C(1) << 60;
	put(vm, gva_of_variable(), ROOTS);
	expect_refused(vm, &spec, HS_ERR_UNREADABLE, gva_of_variable() + spec.stride, "is not in its memory");
	spec.kind = (enum hs_roots_kind)9;
	expect_refused(vm, &spec, HS_ERR_INVALID, 0, "9 is no kind");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_roots_nothing_registered_is_the_root_of_the_cpu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roots_registered_list_is_followed_wherever_the_cpu_is, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_roots_are_spaces_but_for_one_that_nothing_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roots_registered_list_that_is_none_is_refused_by_its_place, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_roots_registered_roots_that_are_none_are_refused_by_name, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_roots_as_many_as_there_may_be_are_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roots_function_of_the_host_is_asked_and_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roots_variable_is_found_and_stays_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roots_variable_that_makes_no_sense_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
