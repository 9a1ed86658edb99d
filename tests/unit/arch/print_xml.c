/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For the test that compares with gdb: print_xml amd64|i686 prints the target description, print_xml amd64|i686 --table
 * a line "number name bytes" for each register.
 */
#include "arch/regs.h"
#include "arch/xml.h"

#include <stdio.h>
#include <string.h>

static int print_description(enum hs_arch arch)
{
	struct hs_error err;
	struct hs_buf xml;
	int failed = 0;

	hs_buf_init(&xml, 65536);
	if (hs_arch_target_xml(arch, &xml, &err)) {
		fprintf(stderr, "%s\n", err.message);
		failed = 1;
	} else {
		fwrite(xml.data, 1, xml.length, stdout);
	}
	hs_buf_deinit(&xml);
	return failed;
}

static int print_table(enum hs_arch arch)
{
	size_t count;
	const struct hs_reg *regs = hs_regs(arch, &count);

	for (size_t i = 0; i < count; i++) {
		printf("%zu %s %d\n", i, regs[i].name, regs[i].bytes);
	}
	return 0;
}

int main(int argc, char **argv)
{
	enum hs_arch arch = argc > 1 && strcmp(argv[1], "i686") == 0 ? HS_ARCH_I686 : HS_ARCH_AMD64;

	return argc > 2 ? print_table(arch) : print_description(arch);
}
