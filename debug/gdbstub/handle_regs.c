/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registers: the g packet is the rows of the register table that the target's CPU has, one after the other, each of its
 * own size; the number of a register is its place among them. The target description is written from the same rows.
 */
#include "gdbstub/stub.h"

#include "base/error.h"

#include <string.h>

static const struct hs_reg *reg_of(const struct hs_gdb *gdb, uint64_t number)
{
	return number < gdb->reg_count ? gdb->regs[number] : NULL;
}

static size_t all_bytes(const struct hs_gdb *gdb)
{
	size_t bytes = 0;

	for (size_t i = 0; i < gdb->reg_count; i++) {
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
	for (size_t i = 0; i < gdb->reg_count; i++) {
		hs_reg_get(gdb->regs[i], &cpu, at);
		at += gdb->regs[i]->bytes;
	}
	return HS_REPLY_HEX;
}

enum hs_reply hs_handle_regs_write(struct hs_gdb *gdb, const struct hs_request *request)
{
	const uint8_t *at = request->reg.value.data;
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
	for (size_t i = 0; i < gdb->reg_count; i++) {
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
