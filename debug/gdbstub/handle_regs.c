/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registers: the g packet is the rows of the register table that the target's CPU has, one after the other, each of its
 * own size; the number of a register is its place among them. The target description is written from the same rows.
 */
#include "gdbstub/stub.h"

#include "base/error.h"

#include <string.h>

/*
 * A client that has asked for no description has an idea of its own of the registers: gdb that was built without expat,
 * or has set target-features-packet off. It fails at a g packet that is longer than what it expects, and has other
 * registers behind the vectors, by other numbers. All agree on those up to mxcsr, and these come first in the table.
 */
static size_t known_count(const struct hs_gdb *gdb)
{
	size_t count = 0;

	if (gdb->client.knows_registers) {
		return gdb->reg_count;
	}
	while (count < gdb->reg_count &&
	       (gdb->regs[count]->feature == HS_REG_CORE || gdb->regs[count]->feature == HS_REG_SSE)) {
		count++;
	}
	return count;
}

/*
 * Whether a number is that of a register behind those that known_count() counts, whatever the client takes it for. It
 * reads as unavailable. -1 may be written and changes nothing: gdb's Linux ABI does it to its orig_rax with each pc.
 */
static bool is_unknown(const struct hs_gdb *gdb, uint64_t number)
{
	return !gdb->client.knows_registers && number >= known_count(gdb) && number < gdb->reg_count;
}

static bool is_minus_one(struct hs_span value)
{
	for (size_t i = 0; i < value.length; i++) {
		if (value.data[i] != 0xff) {
			return false;
		}
	}
	return value.length > 0;
}

static const struct hs_reg *reg_of(const struct hs_gdb *gdb, uint64_t number)
{
	return number < known_count(gdb) ? gdb->regs[number] : NULL;
}

static size_t all_bytes(const struct hs_gdb *gdb)
{
	size_t count = known_count(gdb);
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		bytes += gdb->regs[i]->bytes;
	}
	return bytes;
}

/*
 * Set a register unless it has that value already: what a client writes back unchanged must not disturb the rest, such
 * as the exact state of an x87 stack that the full tag word only describes, nor be refused.
 */
static enum hs_status set_reg(const struct hs_reg *reg, struct hs_cpu_state *cpu, const uint8_t *value,
			      struct hs_error *err)
{
	uint8_t present[HS_REG_BYTES_MAX];

	hs_reg_get(reg, cpu, present);
	if (memcmp(present, value, reg->bytes) == 0) {
		return HS_OK;
	}
	if (!hs_reg_enabled(reg, cpu)) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "%s: the guest has it switched off (XCR0 is 0x%llx)",
				    reg->name, (unsigned long long)cpu->xcr0);
	}
	hs_reg_set(reg, cpu, value);
	return HS_OK;
}

/* Registers of a process that is not on the CPU are nowhere: "x" for each digit says so (gdb manual, Packets, g). */
static enum hs_reply put_unavailable(struct hs_gdb *gdb, size_t bytes)
{
	for (size_t i = 0; i < 2 * bytes; i++) {
		hs_buf_append_byte(&gdb->payload, 'x');
	}
	return HS_REPLY_PAYLOAD;
}

static enum hs_reply refuse_write(struct hs_gdb *gdb)
{
	return hs_reply_error(gdb, HS_ERR_STATE, "the CPU is not in this address space");
}

enum hs_reply hs_handle_regs_read(struct hs_gdb *gdb, const struct hs_request *request)
{
	size_t count = known_count(gdb);
	struct hs_cpu_state cpu;
	enum hs_status st;
	uint8_t *at;

	(void)request;
	if (!hs_gdb_has_cpu(gdb)) {
		return put_unavailable(gdb, all_bytes(gdb));
	}
	st = gdb->target.ops->cpu_read(gdb->target.ctx, &cpu, &gdb->err);
	if (st) {
		return hs_reply_status(gdb, st);
	}
	hs_buf_clear(&gdb->scratch);
	at = hs_buf_extend(&gdb->scratch, all_bytes(gdb));
	if (!at) {
		return hs_reply_error(gdb, HS_ERR_NOMEM, "no memory for the registers");
	}
	for (size_t i = 0; i < count; i++) {
		hs_reg_get(gdb->regs[i], &cpu, at);
		at += gdb->regs[i]->bytes;
	}
	return HS_REPLY_HEX;
}

enum hs_reply hs_handle_regs_write(struct hs_gdb *gdb, const struct hs_request *request)
{
	const uint8_t *at = request->reg.value.data;
	size_t count = known_count(gdb);
	struct hs_cpu_state cpu;
	enum hs_status st;

	if (request->reg.value.length != all_bytes(gdb)) {
		return hs_reply_error(gdb, HS_ERR_RANGE, "the registers are %zu bytes, not %zu", all_bytes(gdb),
				      request->reg.value.length);
	}
	if (!hs_gdb_has_cpu(gdb)) {
		return refuse_write(gdb);
	}
	st = gdb->target.ops->cpu_read(gdb->target.ctx, &cpu, &gdb->err);
	if (st) {
		return hs_reply_status(gdb, st);
	}
	for (size_t i = 0; i < count; i++) {
		st = set_reg(gdb->regs[i], &cpu, at, &gdb->err);
		if (st) {
			return hs_reply_status(gdb, st);
		}
		at += gdb->regs[i]->bytes;
	}
	return hs_reply_status(gdb, gdb->target.ops->cpu_write(gdb->target.ctx, &cpu, &gdb->err));
}

enum hs_reply hs_handle_reg_read(struct hs_gdb *gdb, const struct hs_request *request)
{
	const struct hs_reg *reg = reg_of(gdb, request->reg.number);
	uint8_t value[HS_REG_BYTES_MAX];
	struct hs_cpu_state cpu;
	enum hs_status st;

	if (is_unknown(gdb, request->reg.number)) {
		return put_unavailable(gdb, sizeof(uint64_t));
	}
	if (!reg) {
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "no such register");
	}
	if (!hs_gdb_has_cpu(gdb)) {
		return put_unavailable(gdb, reg->bytes);
	}
	st = gdb->target.ops->cpu_read(gdb->target.ctx, &cpu, &gdb->err);
	if (st) {
		return hs_reply_status(gdb, st);
	}
	hs_reg_get(reg, &cpu, value);
	hs_buf_append_hex(&gdb->payload, value, reg->bytes);
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_handle_reg_write(struct hs_gdb *gdb, const struct hs_request *request)
{
	const struct hs_reg *reg = reg_of(gdb, request->reg.number);
	struct hs_cpu_state cpu;
	enum hs_status st;

	if (is_unknown(gdb, request->reg.number) && is_minus_one(request->reg.value)) {
		return HS_REPLY_OK;
	}
	if (!reg) {
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "no such register");
	}
	if (request->reg.value.length != reg->bytes) {
		return hs_reply_error(gdb, HS_ERR_RANGE, "%s has %u bytes, not %zu", reg->name,
				      (unsigned int)reg->bytes, request->reg.value.length);
	}
	if (!hs_gdb_has_cpu(gdb)) {
		return refuse_write(gdb);
	}
	st = gdb->target.ops->cpu_read(gdb->target.ctx, &cpu, &gdb->err);
	if (st) {
		return hs_reply_status(gdb, st);
	}
	st = set_reg(reg, &cpu, request->reg.value.data, &gdb->err);
	if (st) {
		return hs_reply_status(gdb, st);
	}
	return hs_reply_status(gdb, gdb->target.ops->cpu_write(gdb->target.ctx, &cpu, &gdb->err));
}
