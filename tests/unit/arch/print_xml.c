/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Print the target description of an architecture, for the test that gives it to gdb: print_xml amd64|i686. */
#include "arch/xml.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	enum hs_arch arch = argc > 1 && strcmp(argv[1], "i686") == 0 ? HS_ARCH_I686 : HS_ARCH_AMD64;
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
