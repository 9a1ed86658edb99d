/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hostile_calls: answers with a record that breaks the format, in the way that the argument of the call says. It knows
 * the records by their bytes; the runtime would write good ones.
 */
#include <hindsight/guest.h>

/* A good result: one string. */
struct answer {
	struct hs_abi_record head;
	struct hs_abi_value value;
	char text[8];
};

static struct answer *output(void)
{
	return (struct answer *)(uintptr_t)hs_boot_info()->output_start;
}

static uint64_t *input(void)
{
	return (uint64_t *)(uintptr_t)hs_boot_info()->input_start;
}

static void spoil_head(struct answer *answer, uint32_t way)
{
	const uint64_t length = hs_boot_info()->output_length;

	switch (way) {
	case 1: /* nothing at all */
		answer->head.kind = 0;
		break;
	case 2:
		answer->head.kind = 5;
		break;
	case 3:
		answer->head.kind = UINT64_MAX;
		break;
	case 4: /* as large as the buffer: what follows is not values */
		answer->head.bytes = length;
		break;
	case 5: /* beyond the buffer */
		answer->head.bytes = length + 8;
		break;
	case 6:
		answer->head.bytes = UINT64_MAX - 7;
		break;
	case 7:
		answer->head.bytes = 8;
		break;
	case 8:
		answer->head.name_length = UINT64_MAX;
		break;
	case 9:
		answer->head.value_count = UINT64_MAX;
		break;
	case 10: /* a log record in answer to a call */
		answer->head.kind = HS_RECORD_LOG;
		answer->head.code = HS_LOG_INFO;
		break;
	default: /* a call, where none can be */
		answer->head.kind = HS_RECORD_CALL;
		break;
	}
}

static void spoil_value(struct answer *answer, uint32_t way)
{
	switch (way) {
	case 12:
		answer->value.length = UINT32_MAX;
		break;
	case 13: /* its end would be before its beginning, were it added up in 32 bits */
		answer->value.length = UINT32_MAX - 7;
		break;
	case 14:
		answer->value.type = 0xFFFF;
		break;
	case 15: /* no NUL */
		memset(answer->text, 'x', sizeof(answer->text));
		break;
	case 16:
		answer->text[0] = 0;
		break;
	case 17:
		answer->value.type = HS_TYPE_BOOL;
		answer->value.length = 1;
		break;
	case 18: /* good, but of a type that nobody asked for */
		answer->value.type = HS_TYPE_BYTES;
		break;
	default: /* in place of words that were there before */
		memset(answer, 0xFF, sizeof(*answer));
		break;
	}
}

static void answer_with(uint32_t way)
{
	*output() = (struct answer){
		.head = { HS_RECORD_RESULT, sizeof(struct answer), 0, 0, 1 },
		.value = { HS_TYPE_STRING, 8 },
		.text = "sevenby",
	};
	if (way >= 12) {
		spoil_value(output(), way);
	} else if (way >= 1) {
		spoil_head(output(), way);
	}
}

/* Where a call of "spoil" has its argument: behind the header, the name in 8 bytes, and the head of the value. */
#define ARGUMENT_WORD ((40 + 8 + 8) / 8)

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (;;) {
		hs_out32(HS_PORT_READY, 0);
		if (input()[0] == 0) {
			hs_halt();
		}
		const uint32_t way = (uint32_t)input()[ARGUMENT_WORD];
		input()[0] = 0;
		answer_with(way);
		if (way >= 100) {
			/* The same where the host is called, and where it is to log. */
			answer_with(way % 100);
			hs_out32(way >= 200 ? HS_PORT_LOG : HS_PORT_CALL_HOST, 0);
			answer_with(0);
		}
	}
}
