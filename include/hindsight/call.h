/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Typed values of calls between host and guest; both sides include this file.
 *
 * A signature is a string: the type of the result, then those of the arguments in parentheses, each a letter of enum
 * hs_type: "i(sU)" takes a string and a ulong and gives an int, "v()" neither takes nor gives anything.
 */
#ifndef HINDSIGHT_CALL_H
#define HINDSIGHT_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most arguments of a call. */
#define HS_CALL_ARGUMENTS_MAX 16
/** Longest name of a function in bytes, without its NUL. Names are printing ASCII without spaces. */
#define HS_CALL_NAME_MAX 63

/** The types, by their letters in a signature. */
enum hs_type {
	HS_TYPE_VOID = 'v', /**< of a result only */
	HS_TYPE_INT = 'i',
	HS_TYPE_UINT = 'u',
	HS_TYPE_LONG = 'I',
	HS_TYPE_ULONG = 'U',
	HS_TYPE_FLOAT = 'f',
	HS_TYPE_DOUBLE = 'd',
	HS_TYPE_BOOL = 'b',
	HS_TYPE_STRING = 's', /**< of any bytes but NUL */
	HS_TYPE_BYTES = 'y',
};

/** One value. Its type says which member counts. */
struct hs_value {
	enum hs_type type;
	union {
		int32_t i;
		uint32_t u;
		int64_t l;   /**< HS_TYPE_LONG: 64 bits on both architectures */
		uint64_t ul; /**< HS_TYPE_ULONG */
		float f;
		double d;
		bool b;
		struct {
			const void *data; /**< of a string: with a NUL behind it */
			size_t length;    /**< bytes, a NUL not counted */
		} bytes;                  /**< HS_TYPE_STRING and HS_TYPE_BYTES */
	};
};

#ifdef __cplusplus
}
#endif
#endif
