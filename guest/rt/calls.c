/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls between the host and this guest (abi.h, "Records"): functions of the program that the host calls by name, and
 * functions of the host that the program calls. The host writes well-formed records; one that is not is refused.
 */
#include "rt.h"

/* A call of up to so many bytes, strings included, is copied to the stack, a larger one to the heap. */
#define ON_STACK_BYTES 256u

/* The linker script puts the program's functions between these. */
extern const struct hs_guest_function *const hs_functions_start[];
extern const struct hs_guest_function *const hs_functions_stop[];

/* What hs_fail() has said about the function that runs. */
static bool has_failed;
static char failure[128];

static struct hs_abi_record *input(void)
{
	return (struct hs_abi_record *)(uintptr_t)hs_boot_info()->input_start;
}

static struct hs_abi_record *output(void)
{
	return (struct hs_abi_record *)(uintptr_t)hs_boot_info()->output_start;
}

static size_t padded(size_t length)
{
	return (length + 7) & ~(size_t)7;
}

static struct hs_value string_of(const char *text)
{
	return (struct hs_value){ .type = HS_TYPE_STRING, .bytes = { text, strlen(text) } };
}

static bool is_bytes(enum hs_type type)
{
	return type == HS_TYPE_STRING || type == HS_TYPE_BYTES;
}

/* Bytes of a value's number; strings and bytes have none. */
static size_t number_bytes(enum hs_type type)
{
	switch (type) {
	case HS_TYPE_BOOL:
		return 1;
	case HS_TYPE_INT:
	case HS_TYPE_UINT:
	case HS_TYPE_FLOAT:
		return 4;
	case HS_TYPE_LONG:
	case HS_TYPE_ULONG:
	case HS_TYPE_DOUBLE:
		return 8;
	default:
		return 0;
	}
}

static size_t payload_of(const struct hs_value *value)
{
	if (is_bytes(value->type)) {
		return value->bytes.length + (value->type == HS_TYPE_STRING);
	}
	return number_bytes(value->type);
}

/* Bytes, filled up with zeros. */
static uint8_t *put_bytes(uint8_t *next, const void *bytes, size_t length, size_t whole)
{
	uint8_t *end = next + padded(whole);
	if (end > next) {
		__builtin_memset(end - 8, 0, 8);
	}
	memcpy(next, bytes, length);
	return end;
}

static uint8_t *put_value(uint8_t *next, const struct hs_value *value)
{
	size_t length = payload_of(value);
	*(struct hs_abi_value *)next = (struct hs_abi_value){ (uint32_t)value->type, (uint32_t)length };
	next += sizeof(struct hs_abi_value);
	if (is_bytes(value->type)) {
		return put_bytes(next, value->bytes.data, value->bytes.length, length);
	}
	/* A number begins where all members do, and its bytes are in the order of the record. */
	return put_bytes(next, &value->i, length, length);
}

/* Write a record to the output buffer; false when it does not fit. */
static bool put_record(const struct hs_abi_record *head, const char *name, const struct hs_value *values)
{
	struct hs_abi_record record = *head;
	size_t room = (size_t)hs_boot_info()->output_length - sizeof(record);
	size_t bytes = padded((size_t)record.name_length);
	for (size_t i = 0; i < record.value_count; i++) {
		/* Each by itself first: lengths that are no lengths must not wrap the sum. */
		size_t payload = payload_of(&values[i]);
		if (payload > room) {
			return false;
		}
		bytes += sizeof(struct hs_abi_value) + padded(payload);
	}
	if (bytes > room) {
		return false;
	}
	record.bytes = sizeof(record) + bytes;
	*output() = record;
	uint8_t *next =
		put_bytes((uint8_t *)(output() + 1), name, (size_t)record.name_length, (size_t)record.name_length);
	for (size_t i = 0; i < record.value_count; i++) {
		next = put_value(next, &values[i]);
	}
	return true;
}

static void put_error(uint32_t code, const char *message)
{
	const struct hs_abi_record head = { .kind = HS_RECORD_ERROR, .code = code, .value_count = 1 };
	const struct hs_value text = string_of(message);
	put_record(&head, "", &text);
}

/* A value of a record that ends at end; the next one, or NULL when it is broken. */
static const uint8_t *get_value(const uint8_t *next, const uint8_t *end, struct hs_value *ret)
{
	const struct hs_abi_value *head = (const struct hs_abi_value *)next;
	if ((size_t)(end - next) < sizeof(*head)) {
		return NULL;
	}
	next += sizeof(*head);
	size_t length = head->length;
	ret->type = (enum hs_type)head->type;
	if (length > (size_t)(end - next)) {
		return NULL;
	}
	if (is_bytes(ret->type)) {
		size_t nul = ret->type == HS_TYPE_STRING;
		if (length < nul) {
			return NULL;
		}
		ret->bytes.data = next;
		ret->bytes.length = length - nul;
	} else if (length == number_bytes(ret->type)) {
		memcpy(&ret->i, next, length);
	} else {
		return NULL;
	}
	return next + padded(length);
}

/* The values of a record, which begins 8-byte aligned; false when it is broken. */
static bool get_values(const struct hs_abi_record *record, struct hs_value *ret)
{
	const uint8_t *next = (const uint8_t *)(record + 1);
	const uint8_t *end = (const uint8_t *)record + record->bytes;
	if (record->value_count > HS_CALL_ARGUMENTS_MAX || record->name_length > HS_CALL_NAME_MAX) {
		return false;
	}
	next += padded((size_t)record->name_length);
	for (size_t i = 0; i < record->value_count; i++) {
		next = get_value(next, end, &ret[i]);
		if (next == NULL) {
			return false;
		}
	}
	return true;
}

static const struct hs_guest_function *find_function(const struct hs_abi_record *call)
{
	const char *name = (const char *)(call + 1);
	size_t length = (size_t)call->name_length;
	for (const struct hs_guest_function *const *each = hs_functions_start; each != hs_functions_stop; each++) {
		if ((*each)->name_length == length && memcmp((*each)->name, name, length) == 0) {
			return *each;
		}
	}
	return NULL;
}

/* The first argument, from 1, that is not that of the signature, "i(sU)", or is missing; 0 if all are right. */
static unsigned int first_wrong(const char *signature, const struct hs_value *arguments, size_t count)
{
	const char *letter = signature + 2;
	size_t i = 0;
	while (i < count && *letter == (char)arguments[i].type) {
		i++;
		letter++;
	}
	return i == count && *letter == ')' ? 0 : (unsigned int)i + 1;
}

static void put_result(const struct hs_guest_function *function, const struct hs_value *result)
{
	const struct hs_abi_record head = { .kind = HS_RECORD_RESULT, .value_count = 1 };
	if (has_failed) {
		put_error(HS_CALL_FAILED, failure);
	} else if ((char)result->type != function->signature[0]) {
		put_error(HS_CALL_SIGNATURE, "the result is of another type than the signature's");
	} else if (result->type == HS_TYPE_STRING && memchr(result->bytes.data, 0, result->bytes.length)) {
		put_error(HS_CALL_SIGNATURE, "the result is a string with a NUL in it");
	} else if (!put_record(&head, "", result)) {
		put_error(HS_CALL_TOO_LARGE, "the result does not fit in the output buffer");
	}
}

/* Run what a record asks for, and leave the answer in the output buffer. */
static void run_call(const struct hs_abi_record *call)
{
	struct hs_value arguments[HS_CALL_ARGUMENTS_MAX];
	if (call->kind != HS_RECORD_CALL || !get_values(call, arguments)) {
		put_error(HS_CALL_FORMAT, "the guest cannot read the call");
		return;
	}
	const struct hs_guest_function *function = find_function(call);
	if (function == NULL) {
		put_error(HS_CALL_NO_FUNCTION, "the guest has no function of this name");
		return;
	}
	const unsigned int wrong = first_wrong(function->signature, arguments, (size_t)call->value_count);
	if (wrong != 0) {
		char text[96];
		hs_snprintf(text, sizeof(text), "argument %u is not as in the function's signature, %s", wrong,
			    function->signature);
		put_error(HS_CALL_SIGNATURE, text);
		return;
	}
	struct hs_value result = { .type = (enum hs_type)function->signature[0] };
	has_failed = false;
	function->call(arguments, (size_t)call->value_count, &result);
	put_result(function, &result);
}

/* The input buffer is overwritten when the function calls the host: the record is copied first. */
static void serve(void)
{
	uint64_t on_stack[ON_STACK_BYTES / sizeof(uint64_t)];
	size_t bytes = (size_t)input()->bytes;
	void *copy = on_stack;
	if (bytes < sizeof(struct hs_abi_record) || bytes > hs_boot_info()->input_length) {
		input()->kind = 0;
		put_error(HS_CALL_FORMAT, "the guest cannot read the call");
		return;
	}
	if (bytes > sizeof(on_stack)) {
		copy = hs_malloc(bytes);
	}
	if (copy != NULL) {
		memcpy(copy, input(), bytes);
	}
	input()->kind = 0;
	if (copy == NULL) {
		put_error(HS_CALL_TOO_LARGE, "the guest's heap has no room for the arguments");
		return;
	}
	run_call(copy);
	if (copy != on_stack) {
		hs_free(copy);
	}
}

void hs_guest_serve(void)
{
	for (;;) {
		hs_out32(HS_PORT_READY, 0);
		if (input()->kind == 0) {
			hs_halt(); /* nobody calls */
		}
		serve();
	}
}

void hs_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	hs_vsnprintf(failure, sizeof(failure), format, args);
	va_end(args);
	has_failed = true;
}

static uint32_t fail_here(uint32_t code, const char *message, struct hs_value *ret)
{
	*ret = string_of(message);
	return code;
}

uint32_t hs_call_host(const char *name, const struct hs_value *arguments, size_t count, struct hs_value *ret)
{
	const struct hs_abi_record head = {
		.kind = HS_RECORD_CALL,
		.name_length = strlen(name),
		.value_count = count,
	};
	struct hs_abi_record *answer = input();
	struct hs_value values[HS_CALL_ARGUMENTS_MAX];
	if (count > HS_CALL_ARGUMENTS_MAX || head.name_length > HS_CALL_NAME_MAX) {
		return fail_here(HS_CALL_FORMAT, "a call has a name of up to 63 bytes and up to 16 arguments", ret);
	}
	if (!put_record(&head, name, arguments)) {
		return fail_here(HS_CALL_TOO_LARGE, "the arguments do not fit in the output buffer", ret);
	}
	hs_out32(HS_PORT_CALL_HOST, 0);
	if ((answer->kind != HS_RECORD_RESULT && answer->kind != HS_RECORD_ERROR) || answer->value_count != 1 ||
	    answer->bytes > hs_boot_info()->input_length || !get_values(answer, values)) {
		return fail_here(HS_CALL_FORMAT, "the guest cannot read the answer", ret);
	}
	uint32_t code = answer->kind == HS_RECORD_ERROR ? (uint32_t)answer->code : 0;
	answer->kind = 0;
	*ret = values[0];
	return code;
}

void hs_log(uint32_t level, const char *format, ...)
{
	uint64_t wanted = hs_boot_info()->log_level ? hs_boot_info()->log_level : HS_LOG_INFO;
	if (level > wanted) {
		return;
	}
	/* Straight into its place: as much of the text as fits. */
	struct hs_abi_value *value = (struct hs_abi_value *)(output() + 1);
	char *text = (char *)(value + 1);
	size_t room = (size_t)hs_boot_info()->output_length - sizeof(*output()) - sizeof(*value);
	va_list args;
	va_start(args, format);
	struct hs_format_out out = { .buffer = text, .size = room - 1 };
	hs_format(&out, format, args);
	va_end(args);
	/* A NUL in the text, from a %c, would end it. */
	size_t length = strnlen(text, out.used);
	size_t whole = padded(length + 1);
	memset(text + length, 0, whole - length);
	*value = (struct hs_abi_value){ HS_TYPE_STRING, (uint32_t)length + 1 };
	*output() = (struct hs_abi_record){
		.kind = HS_RECORD_LOG,
		.bytes = sizeof(*output()) + sizeof(*value) + whole,
		.code = level,
		.value_count = 1,
	};
	hs_out32(HS_PORT_LOG, 0);
}
