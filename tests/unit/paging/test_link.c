/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries that name tables: made with their own flags, linked to an owner's table, moved; and what is refused. */
#include "ram.h"

#include <hindsight/spaces.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct hs_root ours = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .nxe = true };
static const struct hs_root theirs = { .format = HS_PAGING_4LEVEL, .base = { 0x2000 }, .nxe = true };

/* Our tables are the root's alone; theirs lead from address 0x200000 on to a page of each right. */
static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, 0x1000, 64 * 4096);
	ram_set_tables(&ram, 0x10000, 16 * 4096);
	ram_put(&ram, 0x2000, 8, 0x3007);
	ram_put(&ram, 0x3000, 8, 0x4007);
	ram_put(&ram, 0x4008, 8, 0x5007);
	ram_put(&ram, 0x5000, 8, 0x30007);
	*state = &ram;
	return 0;
}

static enum hs_status make_table(struct ram *ram, const struct hs_root *root, unsigned int depth, uint64_t gva,
				 uint64_t entry)
{
	return hs_build_table(&ram->phys, root, depth, hs_gva_of(gva), entry, &ram->source, NULL);
}

static uint64_t entry_at(struct ram *ram, uint64_t gpa)
{
	uint64_t entry = 0;

	for (unsigned int i = 8; i-- > 0;) {
		entry = entry << 8 | *ram_at(ram, gpa + i);
	}
	return entry;
}

static void test_build_table_keeps_the_flags_it_is_given(void **state)
{
	struct ram *ram = *state;

	/* An address in the entry does not matter; every other bit does. */
	assert_int_equal(make_table(ram, &ours, 1, 0, UINT64_C(0x8000000077777e3d)), HS_OK);
	assert_int_equal(entry_at(ram, 0x1000), UINT64_C(0x8000000000010e3d));
	assert_int_equal(make_table(ram, &ours, 2, UINT64_C(3) << 30, 7), HS_OK);
	assert_int_equal(entry_at(ram, 0x10018), 0x11007);
	assert_int_equal(make_table(ram, &ours, 3, (UINT64_C(3) << 30) + (5 << 21), 1), HS_OK);
	assert_int_equal(entry_at(ram, 0x11028), 0x12001);
}

static void test_build_table_of_every_format(void **state)
{
	struct hs_root pae = { .format = HS_PAGING_PAE, .base = { 0x1020 } };
	struct hs_root i686 = { .format = HS_PAGING_32BIT, .base = { 0x2000 } };
	struct hs_root five = { .format = HS_PAGING_5LEVEL, .base = { 0x3000 } };
	struct ram *ram = *state;

	memset(ram_at(ram, 0x1000), 0, 0x8000);
	assert_int_equal(make_table(ram, &pae, 1, 0xc0000000, 0x19), HS_OK);
	assert_int_equal(entry_at(ram, 0x1038), 0x10019);
	assert_int_equal(make_table(ram, &i686, 1, 0xffc00000, 0x85), HS_OK);
	assert_int_equal(entry_at(ram, 0x2ff8), UINT64_C(0x1108500000000));
	assert_int_equal(make_table(ram, &five, 1, UINT64_C(0xff00000000000000), 3), HS_OK);
	assert_int_equal(entry_at(ram, 0x3800), 0x12003);
	/* With CR4.PSE that entry of 0x85 is a leaf; a PDPTE has no R/W. */
	i686.pse = true;
	assert_int_equal(make_table(ram, &i686, 1, 0, 0x85), HS_ERR_INVALID);
	assert_int_equal(make_table(ram, &pae, 1, 0, 3), HS_ERR_INVALID);
	assert_int_equal(make_table(ram, &pae, 3, 0, 3), HS_ERR_INVALID);
	assert_int_equal(ram->tables_taken, 3);
}

static void test_build_table_refuses_before_it_writes(void **state)
{
	struct hs_root none = { .format = HS_PAGING_NONE };
	struct hs_root narrow = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .maxphyaddr = 32 };
	struct ram *ram = *state;

	assert_int_equal(make_table(ram, &none, 1, 0, 7), HS_ERR_INVALID);
	assert_int_equal(make_table(ram, &ours, 0, 0, 7), HS_ERR_INVALID);
	assert_int_equal(make_table(ram, &ours, 4, 0, 7), HS_ERR_INVALID);
	assert_int_equal(make_table(ram, &ours, 1, 0, 6), HS_ERR_INVALID);
	assert_int_equal(make_table(ram, &ours, 1, 0, 0x87), HS_ERR_INVALID);
	assert_int_equal(make_table(ram, &narrow, 1, 0, UINT64_C(1) << 63 | 7), HS_ERR_INVALID);
	assert_int_equal(make_table(ram, &ours, 1, UINT64_C(1) << 50, 7), HS_ERR_RANGE);
	assert_int_equal(make_table(ram, &ours, 2, 0, 7), HS_ERR_STATE);
	assert_int_equal(make_table(ram, &theirs, 3, 0x200000, 7), HS_ERR_BUSY);
	assert_int_equal(make_table(ram, &theirs, 1, 0, 7), HS_ERR_BUSY);
	ram_put(ram, 0x3008, 8, 0x40000087);
	assert_int_equal(make_table(ram, &theirs, 2, 0x40000000, 7), HS_ERR_BUSY);
	assert_int_equal(make_table(ram, &theirs, 3, 0x40000000, 7), HS_ERR_BUSY);
	ram_put(ram, 0x3010, 8, 0x40002087);
	assert_int_equal(make_table(ram, &theirs, 2, 0x80000000, 7), HS_ERR_FORMAT);
	ram_put(ram, 0x3018, 8, 0x70000007);
	assert_int_equal(make_table(ram, &theirs, 3, 0xc0000000, 7), HS_ERR_UNREADABLE);
	ram->ops.write = NULL;
	assert_int_equal(make_table(ram, &ours, 1, 0, 7), HS_ERR_INVALID);
	assert_int_equal(ram->tables_taken, 0);
	assert_int_equal(ram->writes, 0);
}

/* Our slot for address 0 is to be the table that is theirs at 0x200000, read-only and without fetches. */
static struct hs_space_item alias_of_theirs(void)
{
	return (struct hs_space_item){
		.kind = HS_SPACE_ALIAS,
		.space = 1,
		.depth = 3,
		.entry = UINT64_C(0x8000000000077005),
		.owner_gva = { 0x200000 },
	};
}

static void test_link_takes_the_owners_table_and_our_flags(void **state)
{
	struct hs_space_item alias = alias_of_theirs();
	struct ram *ram = *state;
	struct hs_range range;

	assert_int_equal(make_table(ram, &ours, 1, 0, 7), HS_OK);
	assert_int_equal(make_table(ram, &ours, 2, 0, 7), HS_OK);
	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &theirs, NULL), HS_OK);
	assert_int_equal(entry_at(ram, 0x11000), UINT64_C(0x8000000000005005));
	hs_translate(&ram->phys, &ours, hs_gva_of(0), &range);
	assert_int_equal(range.gpa.v, 0x30000);
	assert_int_equal(range.prot, HS_PROT_READ);
	assert_true(range.user);
	/* One table: what the owner maps later is ours too. */
	ram_put(ram, 0x5008, 8, 0x31007);
	hs_translate(&ram->phys, &ours, hs_gva_of(0x1000), &range);
	assert_int_equal(range.gpa.v, 0x31000);
	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &theirs, NULL), HS_ERR_BUSY);
}

static void test_link_without_owner_or_slot_is_an_error(void **state)
{
	struct hs_space_item alias = alias_of_theirs();
	struct hs_root five = { .format = HS_PAGING_5LEVEL, .base = { 0x2000 } };
	struct hs_error err = { .where = 0 };
	struct ram *ram = *state;

	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &theirs, NULL), HS_ERR_STATE);
	assert_int_equal(make_table(ram, &ours, 1, 0, 7), HS_OK);
	assert_int_equal(make_table(ram, &ours, 2, 0, 7), HS_OK);
	ram->writes = 0;
	alias.owner_gva.v = 0;
	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &theirs, NULL), HS_ERR_NOT_FOUND);
	alias.owner_gva.v = UINT64_C(1) << 40;
	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &theirs, &err), HS_ERR_NOT_FOUND);
	assert_int_equal(err.where, UINT64_C(1) << 40);
	ram_put(ram, 0x3008, 8, 0x40000087);
	alias.owner_gva.v = 0x40000000;
	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &theirs, NULL), HS_ERR_NOT_FOUND);
	alias = alias_of_theirs();
	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &five, NULL), HS_ERR_INVALID);
	alias.entry = 4;
	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &theirs, NULL), HS_ERR_INVALID);
	alias = alias_of_theirs();
	alias.depth = 0;
	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &theirs, NULL), HS_ERR_INVALID);
	alias = alias_of_theirs();
	alias.kind = HS_SPACE_TABLE;
	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &theirs, NULL), HS_ERR_INVALID);
	ram_put(ram, 0x11000, 8, 0x200087);
	alias = alias_of_theirs();
	assert_int_equal(hs_build_link(&ram->phys, &ours, &alias, &theirs, NULL), HS_ERR_BUSY);
	assert_int_equal(ram->writes, 0);
}

static void test_move_table_updates_its_parent_at_every_depth(void **state)
{
	static const uint64_t parents[] = { 0, 0x2000, 0x3000, 0x4008 };
	struct ram *ram = *state;
	struct hs_range before;
	struct hs_range after;

	for (unsigned int depth = 1; depth < 4; depth++) {
		struct hs_root root = theirs;
		uint64_t old = entry_at(ram, parents[depth]);

		hs_translate(&ram->phys, &root, hs_gva_of(0x200000), &before);
		assert_int_equal(
			hs_build_move_table(&ram->phys, &root, depth, hs_gva_of(0x200000), hs_gpa_of(0x20000), NULL),
			HS_OK);
		assert_int_equal(entry_at(ram, parents[depth]), 0x20007);
		/* The old place is used no more. */
		memset(ram_at(ram, old & ~UINT64_C(0xfff)), 0xff, 4096);
		hs_translate(&ram->phys, &root, hs_gva_of(0x200000), &after);
		assert_int_equal(after.kind, HS_RANGE_MAPPED);
		assert_int_equal(after.gpa.v, before.gpa.v);
		assert_int_equal(root.base.v, theirs.base.v);
		/* And back again. */
		assert_int_equal(hs_build_move_table(&ram->phys, &root, depth, hs_gva_of(0x200000),
						     hs_gpa_of(old & ~UINT64_C(0xfff)), NULL),
				 HS_OK);
		assert_int_equal(entry_at(ram, parents[depth]), old);
	}
}

static void test_move_table_of_a_root_changes_the_root(void **state)
{
	struct hs_root root = theirs;
	struct hs_root pae = { .format = HS_PAGING_PAE, .base = { 0x7020 }, .maxphyaddr = 36 };
	struct hs_root none = { .format = HS_PAGING_NONE };
	struct ram *ram = *state;
	struct hs_range range;

	assert_int_equal(hs_build_move_table(&ram->phys, &root, 0, hs_gva_of(0), hs_gpa_of(0x20000), NULL), HS_OK);
	assert_int_equal(root.base.v, 0x20000);
	hs_translate(&ram->phys, &root, hs_gva_of(0x200000), &range);
	assert_int_equal(range.gpa.v, 0x30000);
	/* 32 bytes of a PAE root, and not a page. */
	memset(ram_at(ram, 0x7000), 0x11, 4096);
	assert_int_equal(hs_build_move_table(&ram->phys, &pae, 0, hs_gva_of(0), hs_gpa_of(0x21040), NULL), HS_OK);
	assert_int_equal(entry_at(ram, 0x21058), UINT64_C(0x1111111111111111));
	assert_int_equal(entry_at(ram, 0x21060), 0);
	assert_int_equal(hs_build_move_table(&ram->phys, &pae, 0, hs_gva_of(0), hs_gpa_of(0x21048), NULL),
			 HS_ERR_RANGE);
	assert_int_equal(pae.base.v, 0x21040);
	assert_int_equal(hs_build_move_table(&ram->phys, &none, 0, hs_gva_of(0), hs_gpa_of(0x21000), NULL),
			 HS_ERR_INVALID);
}

static void test_move_table_leaves_other_slots_to_repoint(void **state)
{
	struct hs_root root = theirs;
	struct ram *ram = *state;
	struct hs_range range;

	/* A second slot, read-only. */
	ram_put(ram, 0x4010, 8, 0x5005);
	assert_int_equal(hs_build_move_table(&ram->phys, &root, 3, hs_gva_of(0x200000), hs_gpa_of(0x20000), NULL),
			 HS_OK);
	assert_int_equal(entry_at(ram, 0x4010), 0x5005);
	assert_int_equal(hs_build_repoint(&ram->phys, &root, 3, hs_gva_of(0x400000), hs_gpa_of(0x20000), NULL), HS_OK);
	assert_int_equal(entry_at(ram, 0x4010), 0x20005);
	hs_translate(&ram->phys, &root, hs_gva_of(0x400000), &range);
	assert_int_equal(range.gpa.v, 0x30000);
	assert_int_equal(range.prot & HS_PROT_WRITE, 0);
	ram->writes = 0;
	assert_int_equal(hs_build_repoint(&ram->phys, &root, 3, hs_gva_of(0), hs_gpa_of(0x20000), NULL),
			 HS_ERR_NOT_FOUND);
	assert_int_equal(hs_build_move_table(&ram->phys, &root, 3, hs_gva_of(0), hs_gpa_of(0x20000), NULL),
			 HS_ERR_NOT_FOUND);
	assert_int_equal(hs_build_repoint(&ram->phys, &root, 3, hs_gva_of(0x400000), hs_gpa_of(0x20008), NULL),
			 HS_ERR_RANGE);
	assert_int_equal(hs_build_move_table(&ram->phys, &root, 3, hs_gva_of(0x400000), hs_gpa_of(0x20008), NULL),
			 HS_ERR_RANGE);
	assert_int_equal(ram->writes, 0);
}

static void test_map_exact_writes_rights_that_a_table_forbids(void **state)
{
	struct hs_mapping mapping = {
		.gpa = { 0x33000 }, .length = 4096, .prot = HS_PROT_WRITE | HS_PROT_EXEC, .user = true
	};
	struct ram *ram = *state;
	struct hs_range range;

	assert_int_equal(make_table(ram, &ours, 1, 0, UINT64_C(1) << 63 | 1), HS_OK);
	assert_int_equal(ram_map(ram, &ours, &mapping), HS_ERR_STATE);
	mapping.exact = true;
	assert_int_equal(ram_map(ram, &ours, &mapping), HS_OK);
	hs_translate(&ram->phys, &ours, hs_gva_of(0), &range);
	assert_int_equal(range.prot, HS_PROT_READ);
	assert_false(range.user);
	assert_int_equal(entry_at(ram, 0x12000), 0x33007);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, ram_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_build_table_keeps_the_flags_it_is_given),
		TEST(test_build_table_of_every_format),
		TEST(test_build_table_refuses_before_it_writes),
		TEST(test_link_takes_the_owners_table_and_our_flags),
		TEST(test_link_without_owner_or_slot_is_an_error),
		TEST(test_move_table_updates_its_parent_at_every_depth),
		TEST(test_move_table_of_a_root_changes_the_root),
		TEST(test_move_table_leaves_other_slots_to_repoint),
		TEST(test_map_exact_writes_rights_that_a_table_forbids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
