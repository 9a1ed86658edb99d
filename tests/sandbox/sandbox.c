/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sandbox kvm|soft CASE GUEST: what <hindsight/sandbox.h> promises, one case a run, with the guest functions.elf
 * (guest/programs/functions.c). Status 0 when it holds; else a line on stderr says where not. Without arguments: the
 * names of the cases. Run by test_sandbox.py.
 */
#include "cases.h"

#include <stdlib.h>
#include <string.h>

static const char *backend;
static const char *guest;

void failed_at(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	exit(1);
}

void expect_at(const char *file, int line, enum hs_status got, enum hs_status wanted, const char *text,
	       const struct hs_error *err)
{
	if (got != wanted || (got && !strstr(err->message, text))) {
		fprintf(stderr, "%s:%d: status %d and not %d '%s': %s\n", file, line, got, wanted, text,
			got ? err->message : "");
		exit(1);
	}
}

const char *image(void)
{
	return guest;
}

struct hs_sandbox_config configured(void)
{
	return (struct hs_sandbox_config){
		.vm.backend = strcmp(backend, "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT,
	};
}

struct hs_sandbox *made(const struct hs_sandbox_config *config)
{
	struct hs_sandbox_config defaults = configured();
	struct hs_sandbox *sandbox;
	struct hs_error err;

	EXPECT(hs_sandbox_create(guest, config ? config : &defaults, &sandbox, &err), HS_OK, "");
	return sandbox;
}

struct hs_sandbox *started(const struct hs_sandbox_config *config)
{
	struct hs_sandbox *sandbox = made(config);
	struct hs_error err;

	EXPECT(hs_sandbox_start(sandbox, &err), HS_OK, "");
	return sandbox;
}

struct hs_snapshot *snapshot_of(struct hs_sandbox *sandbox)
{
	struct hs_snapshot *snapshot;
	struct hs_error err;

	EXPECT(hs_sandbox_snapshot(sandbox, &snapshot, &err), HS_OK, "");
	return snapshot;
}

void restore(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot)
{
	struct hs_error err;

	EXPECT(hs_sandbox_restore(sandbox, snapshot, &err), HS_OK, "");
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_READY);
	CHECK(!hs_sandbox_crash(sandbox));
}

uint64_t counted(struct hs_sandbox *sandbox)
{
	struct hs_value result;
	struct hs_error err;

	EXPECT(hs_sandbox_call(sandbox, "counter", NULL, 0, &result, &err), HS_OK, "");
	CHECK(result.type == HS_TYPE_ULONG);
	return result.ul;
}

enum hs_status call_text(struct hs_sandbox *sandbox, const char *name, const char *text, struct hs_error *err)
{
	const struct hs_value argument = a_string(text);

	return hs_sandbox_call(sandbox, name, &argument, 1, NULL, err);
}

enum hs_status call_back(struct hs_sandbox *sandbox, const char *name, struct hs_error *err)
{
	const struct hs_value arguments[] = { a_string(name), an_int(7) };

	return hs_sandbox_call(sandbox, "call_back", arguments, 2, NULL, err);
}

int main(int argc, char **argv)
{
	if (argc == 1) {
		for (size_t i = 0; i < case_count; i++) {
			printf("%s\n", cases[i].name);
		}
		return 0;
	}
	if (argc != 4) {
		fprintf(stderr, "usage: sandbox kvm|soft CASE GUEST\n");
		return 2;
	}
	backend = argv[1];
	guest = argv[3];
	for (size_t i = 0; i < case_count; i++) {
		if (strcmp(cases[i].name, argv[2]) == 0) {
			cases[i].run();
			return 0;
		}
	}
	fprintf(stderr, "sandbox: no case '%s'\n", argv[2]);
	return 2;
}
