/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of the host's in a guest, by the public interface and on each CPU: test_session_mapped GUEST..., of the two
 * architectures guest/programs/mapping.c. */
#include <hindsight/hindsight.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GPA 0x10000000u

static char memory[2 * HS_PAGE_SIZE] __attribute__((aligned(HS_PAGE_SIZE)));
static char output[4096];
static const char *const *images;

struct trial {
	const char *image;
	enum hs_backend_choice backend;
	bool writable;
	const char *mode;
};

static void on_output(void *ctx, const void *bytes, size_t length)
{
	(void)ctx;
	strncat(output, bytes, length < sizeof(output) - strlen(output) ? length : 0);
}

/* Run the guest over `memory`, the second page of which is the one that it is given; false where this host cannot. */
static bool run(const struct trial *trial, struct hs_event *ret)
{
	static const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
	const char *const args[] = { "mapping", "host", trial->mode };
	const struct hs_vm_mapping mapping = {
		.label = "host",
		.gpa = { GPA },
		.host = memory + HS_PAGE_SIZE,
		.length = HS_PAGE_SIZE,
		.writable = trial->writable,
	};
	const struct hs_vm_config config = { .backend = trial->backend,
					     .args = args,
					     .args_count = 3,
					     .mappings = &mapping,
					     .mapping_count = 1,
					     .console = on_output };
	const struct hs_vm_mapped *mapped;
	struct hs_error err = { 0 };
	struct hs_vm *vm = NULL;
	size_t count;

	memset(memory, 0, sizeof(memory));
	strcpy(memory + HS_PAGE_SIZE, "hello host");
	output[0] = '\0';
	if (hs_vm_create(trial->image, &config, &vm, &err)) {
		if (trial->backend == HS_BACKEND_SOFT) {
			fail_msg("%s", err.message);
		}
		return false;
	}
	mapped = hs_vm_mappings(vm, &count);
	assert_int_equal(count, 1);
	assert_string_equal(mapped->label, "host");
	assert_int_equal(mapped->gva.v, GPA);
	assert_null(mapped->path);
	/* A debugger may write where the guest may, and the host's constants stay. */
	assert_int_equal(hs_vm_mem_write(vm, hs_gva_of(GPA + 100), "x", 1, NULL),
			 trial->writable ? HS_OK : HS_ERR_PERMISSION);
	if (hs_vm_run(vm, &go, ret, &err)) {
		fail_msg("%s", err.message);
	}
	hs_vm_destroy(vm);
	return true;
}

/* Every guest on every CPU. */
static void each(bool writable, const char *mode, void (*check)(const struct hs_event *event))
{
	static const enum hs_backend_choice backends[] = { HS_BACKEND_SOFT, HS_BACKEND_KVM };

	for (const char *const *image = images; *image; image++) {
		for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
			const struct trial trial = { *image, backends[i], writable, mode };
			struct hs_event event;

			if (run(&trial, &event)) {
				check(&event);
			}
		}
	}
}

static void check_written(const struct hs_event *event)
{
	assert_int_equal(event->kind, HS_EVENT_EXITED);
	assert_non_null(strstr(output, "host, 4096 bytes at gpa 0x10000000, writable, first of 1: GUEST host;"));
	assert_string_equal(memory + HS_PAGE_SIZE, "GUEST host");
	assert_int_equal(memory[HS_PAGE_SIZE + 100], 'x');
}

static void test_mapped_memory_of_the_host_is_shared_with_it(void **state)
{
	(void)state;
	each(true, "write", check_written);
}

static void check_read(const struct hs_event *event)
{
	assert_int_equal(event->kind, HS_EVENT_EXITED);
	assert_non_null(strstr(output, "read-only, first of 1: hello host;"));
}

static void check_page_fault(const struct hs_event *event)
{
	assert_int_equal(event->kind, HS_EVENT_CRASHED);
	assert_int_equal(event->crash.reason, HS_CRASH_EXCEPTION);
	assert_int_equal(event->crash.fault_address, GPA);
	assert_string_equal(memory + HS_PAGE_SIZE, "hello host");
}

static void check_read_only(const struct hs_event *event)
{
	assert_int_equal(event->kind, HS_EVENT_CRASHED);
	assert_int_equal(event->crash.reason, HS_CRASH_READ_ONLY);
	assert_int_equal(event->crash.gpa, GPA);
	assert_string_equal(memory + HS_PAGE_SIZE, "hello host");
}

static void test_mapped_memory_that_is_read_only_cannot_be_written_by_any_means(void **state)
{
	(void)state;
	each(false, "read", check_read);
	each(false, "write", check_page_fault);
	each(false, "force", check_read_only);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mapped_memory_of_the_host_is_shared_with_it),
		cmocka_unit_test(test_mapped_memory_that_is_read_only_cannot_be_written_by_any_means),
	};

	if (argc < 2) {
		printf("1..0 # SKIP no guests are built\n");
		return 0;
	}
	images = (const char *const *)argv + 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
