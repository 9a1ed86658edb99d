/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For the test that compares with gdb: print_xml amd64|i686 XCR0 prints the target description of a CPU that can have
 * that XCR0, print_xml amd64|i686 XCR0 --table a line "number name bytes" for each register.
 */
#include "arch/regs.h"
#include "arch/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_description(enum hs_arch arch, uint64_t xcr0)
{
	struct hs_error err;
	struct hs_buf xml;
	int failed = 0;

	hs_buf_init(&xml, 65536);
	if (hs_arch_target_xml(arch, xcr0, &xml, &err)) {
		fprintf(stderr, "%s\n", err.message);
		failed = 1;
	} else {
		fwrite(xml.data, 1, xml.length, stdout);
	}
	hs_buf_deinit(&xml);
	return failed;
}

static int print_table(enum hs_arch arch, uint64_t xcr0)
{
	const struct hs_reg *regs[HS_REGS_MAX];
	size_t count = hs_regs_of(arch, xcr0, regs);

	for (size_t i = 0; i < count; i++) {
		printf("%zu %s %d\n", i, regs[i]->name, regs[i]->bytes);
	}
	return 0;
}

int main(int argc, char **argv)
{
	enum hs_arch arch = argc > 1 && strcmp(argv[1], "i686") == 0 ? HS_ARCH_I686 : HS_ARCH_AMD64;

	uint64_t xcr0 = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;

	return argc > 3 ? print_table(arch, xcr0) : print_description(arch, xcr0);
}
