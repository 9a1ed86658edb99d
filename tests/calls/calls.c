/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * calls BACKEND CASE IMAGE: one case of calls between host and guest, over vmm/call.h. Without arguments: the names of
 * the cases and of their guest programs.
 *
 * Exit status 0, 1 with what is wrong, 77 when the backend cannot run the guest here.
 */
#include "caller.h"

#include <stdio.h>
#include <string.h>

static const struct call_case *find(const struct call_case *cases, const char *name)
{
	for (; cases->name; cases++) {
		if (strcmp(cases->name, name) == 0) {
			return cases;
		}
	}
	return NULL;
}

static void list(const struct call_case *cases)
{
	for (; cases->name; cases++) {
		printf("%s %s\n", cases->name, cases->image);
	}
}

static int run(const char *backend, const struct call_case *wanted, const char *image)
{
	static struct caller caller;
	enum hs_status st = caller_start(&caller, backend, image, wanted->word);
	int status = 0;

	if (st == HS_ERR_UNSUPPORTED || st == HS_ERR_NOT_FOUND || st == HS_ERR_PERMISSION) {
		fprintf(stderr, "%s\n", caller.error.message);
		status = 77;
	} else if (st || !wanted->run(&caller)) {
		fprintf(stderr, "%s\n", st ? caller.error.message : "the case fails");
		status = 1;
	}
	caller_end(&caller);
	return status;
}

int main(int argc, char **argv)
{
	const struct call_case *wanted;

	if (argc == 1) {
		list(good_cases);
		list(bad_cases);
		list(register_cases);
		return 0;
	}
	if (argc != 4) {
		fprintf(stderr, "usage: calls [kvm|soft CASE IMAGE]\n");
		return 2;
	}
	wanted = find(good_cases, argv[2]);
	wanted = wanted ? wanted : find(bad_cases, argv[2]);
	wanted = wanted ? wanted : find(register_cases, argv[2]);
	if (!wanted) {
		fprintf(stderr, "there is no case '%s'\n", argv[2]);
		return 2;
	}
	return run(argv[1], wanted, argv[3]);
}
