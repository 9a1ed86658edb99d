/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <hindsight/types.h>

const char *hs_arch_name(enum hs_arch arch)
{
	return arch == HS_ARCH_I686 ? "i686" : "amd64";
}
