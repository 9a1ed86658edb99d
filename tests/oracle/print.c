/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "print.h"

#include <inttypes.h>
#include <stdio.h>

static void print_state(const char *who, const struct oracle_state *state)
{
	printf("%s rip %" PRIx64 " rflags %" PRIx64, who, state->rip, state->rflags);
	for (unsigned int i = 0; i < 16; i++) {
		printf(" r%u %" PRIx64, i, state->gpr[i]);
	}
	printf(" es %x ds %x fs %x gs %x\n", state->seg[SEG_ES], state->seg[SEG_DS], state->seg[SEG_FS],
	       state->seg[SEG_GS]);
}

static void print_vectors(const char *who, const struct oracle_state *state)
{
	printf("%s", who);
	for (unsigned int i = 0; i < ORACLE_XSAVE_FIELDS; i++) {
		const struct oracle_xsave_field *field = &oracle_xsave_fields[i];

		for (unsigned int j = 0; j < field->count; j++) {
			printf(" %s%u ", field->name, j);
			for (unsigned int byte = field->bytes; byte-- > 0;) {
				printf("%02x", state->xsave[field->at + j * field->stride + byte]);
			}
		}
	}
	puts("");
}

void oracle_print_case(const struct oracle_case *test, const struct oracle_result *host)
{
	print_state("before", &test->in);
	print_state("host", &host->out);
	if (test->vectors) {
		print_vectors("before", &test->in);
		print_vectors("host", &host->out);
	}
	printf("host vector %u error 0x%x cr2 0x%" PRIx64 "\n", host->vector, host->error, host->cr2);
	for (uint32_t i = 0; i < test->patch_count; i++) {
		printf("at 0x%" PRIx64 ":", test->patches[i].at);
		for (uint32_t j = 0; j < test->patches[i].length; j++) {
			printf(" %02x", test->patches[i].bytes[j]);
		}
		puts("");
	}
}
