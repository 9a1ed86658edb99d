/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signatures, for tests with the fake VM: every one is one, and everything belongs to it. */
#include "vmm/signature.h"

bool hs_call_name_ok(const char *name, size_t length)
{
	(void)name;
	return length > 0;
}

enum hs_status hs_signature_check(const char *signature, struct hs_error *err)
{
	(void)signature;
	(void)err;
	return HS_OK;
}

enum hs_status hs_signature_takes(const char *signature, const char *name, const struct hs_value *values, size_t count,
				  struct hs_error *err)
{
	(void)signature;
	(void)name;
	(void)values;
	(void)count;
	(void)err;
	return HS_OK;
}

enum hs_status hs_signature_gives(const char *signature, const char *name, const struct hs_value *value,
				  struct hs_error *err)
{
	(void)signature;
	(void)name;
	(void)value;
	(void)err;
	return HS_OK;
}
