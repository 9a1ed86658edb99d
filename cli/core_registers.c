/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/core_registers.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/hex.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 1024

static enum hs_status wrong(struct hs_error *err, const char *where, const char *what, const char *text, size_t length)
{
	return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%s: '%.*s' is %s", where, (int)length, text, what);
}

/** Hexadecimal digits of any number, as long as what they say fits into size bytes. */
static bool parse_hex(const char *text, size_t length, uint8_t *ret, size_t size)
{
	memset(ret, 0, size);
	for (size_t i = 0; i < length; i++) {
		int digit = hs_hex_digit(text[length - 1 - i]);

		if (digit < 0 || (digit > 0 && i / 2 >= size)) {
			return false;
		}
		if (digit > 0) {
			ret[i / 2] |= (uint8_t)(digit << (i % 2 * 4));
		}
	}
	return length > 0;
}

static bool parse_value(const char *text, size_t length, uint8_t *ret, size_t size)
{
	char number[24];
	uint64_t value;
	uint8_t bytes[8];

	if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		return parse_hex(text + 2, length - 2, ret, size);
	}
	if (length == 0 || length >= sizeof(number)) {
		return false;
	}
	memcpy(number, text, length);
	number[length] = '\0';
	if (!hs_opts_number(number, &value) || (size < sizeof(bytes) && value >> (8 * size) != 0)) {
		return false;
	}
	hs_put_le64(bytes, value);
	memset(ret, 0, size);
	memcpy(ret, bytes, size < sizeof(bytes) ? size : sizeof(bytes));
	return true;
}

/** "rip=0x1000", "rip   0x1000   4096". where: what a message begins with. */
static enum hs_status parse_one(const char *text, const char *where, enum hs_arch arch, struct hs_cpu_state *ret,
				struct hs_error *err)
{
	static const char blanks[] = " \t=\r\n";
	uint8_t bytes[HS_REG_BYTES_MAX];
	char name[32];
	size_t length = strcspn(text, blanks);
	const char *value = text + length + strspn(text + length, blanks);
	size_t value_length = strcspn(value, blanks);

	if (length >= sizeof(name)) {
		return wrong(err, where, "no register", text, length);
	}
	memcpy(name, text, length);
	name[length] = '\0';
	const struct hs_reg *reg = hs_reg_by_name(arch, name);

	if (reg == NULL) {
		return wrong(err, where, arch == HS_ARCH_AMD64 ? "no register of amd64" : "no register of i686", text,
			     length);
	}
	if (!parse_value(value, value_length, bytes, reg->bytes)) {
		return wrong(err, where, "not a value of that register", value, value_length);
	}
	hs_reg_enable(reg, ret); /* what has a value was in use */
	hs_reg_set(reg, ret, bytes);
	return HS_OK;
}

static enum hs_status parse_file(const char *path, enum hs_arch arch, struct hs_cpu_state *ret, struct hs_error *err)
{
	FILE *in = fopen(path, "re");
	char line[LINE_BYTES], where[4200];
	enum hs_status st = HS_OK;

	if (in == NULL) {
		return hs_error_os(err, errno, "cannot open %s", path);
	}
	for (unsigned int number = 1; !st && fgets(line, sizeof(line), in); number++) {
		const char *text = line + strspn(line, " \t\r\n");

		snprintf(where, sizeof(where), "%s:%u", path, number);
		if (*text != '\0' && *text != '#') {
			st = parse_one(text, where, arch, ret, err);
		}
	}
	if (!st && ferror(in)) {
		st = hs_error_os(err, errno, "cannot read %s", path);
	}
	fclose(in);
	return st;
}

enum hs_status hs_core_registers_parse(const struct hs_opt_strings *values, enum hs_arch arch, struct hs_cpu_state *ret,
				       struct hs_error *err)
{
	for (size_t i = 0; i < values->count; i++) {
		const char *text = values->values[i];
		enum hs_status st = strchr(text, '=') != NULL ? parse_one(text, "--regs", arch, ret, err)
							      : parse_file(text, arch, ret, err);

		if (st) {
			return st;
		}
	}
	return HS_OK;
}
