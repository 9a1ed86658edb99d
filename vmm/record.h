/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records of <hindsight/abi.h>: what host and guest write for each other when one calls the other. Bytes in, plain data
 * out, and back.
 *
 * What a guest writes is not to be trusted. A record is decoded from a copy that the guest cannot change meanwhile, and
 * everything in it is checked here, once: whoever has a struct hs_record need not check again. There is one way to
 * write a record, so decoding one and encoding it again gives the same bytes.
 */
#ifndef HS_VMM_RECORD_H
#define HS_VMM_RECORD_H

#include <hindsight/abi.h>
#include <hindsight/call.h>
#include <hindsight/error.h>

#include <stddef.h>
#include <stdint.h>

/** A record. Caller's storage; bytes of values are borrowed from wherever they are. */
struct hs_record {
	uint32_t kind;                   /* HS_RECORD_* */
	uint32_t code;                   /* of ERROR (HS_CALL_*) and LOG (HS_LOG_*) */
	char name[HS_CALL_NAME_MAX + 1]; /* of CALL, NUL-terminated */
	size_t count;
	struct hs_value values[HS_CALL_ARGUMENTS_MAX];
};

/**
 * Read the record at the beginning of bytes. Of what is behind it nothing is looked at.
 *
 * HS_ERR_FORMAT: it is broken; the message says how, err->where is the offset.
 *
 * @param bytes   borrowed as long as *ret: strings and bytes stay there
 * @param length  how much there is; may be more than the record
 */
HS_MUST_CHECK enum hs_status hs_record_decode(const uint8_t *bytes, size_t length, struct hs_record *ret,
					      struct hs_error *err);

/**
 * Write a record.
 *
 * HS_ERR_INVALID: it is none (a string with a NUL in it, a name that is none, values of types that do not belong).
 * HS_ERR_RANGE: it does not fit; the message says how many bytes it takes. On failure the buffer is as it was.
 *
 * @param capacity    bytes of the buffer
 * @param ret_length  bytes of the record
 */
HS_MUST_CHECK enum hs_status hs_record_encode(const struct hs_record *record, uint8_t *buffer, size_t capacity,
					      size_t *ret_length, struct hs_error *err);

#endif
