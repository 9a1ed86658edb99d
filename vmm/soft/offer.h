/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of the list of instruction sets (isa.h) depends on the host, for whoever tells people of it. The answers are the
 * same for as long as the process lives.
 */
#ifndef HS_SOFT_OFFER_H
#define HS_SOFT_OFFER_H

#include <stdbool.h>

/** Whether guests have MMX and SSE: not where this process may have no executable memory (native.h). */
bool hs_soft_offers_sse2(void);

/** Whether guests have AVX2: not without SSE2, nor where the host's CPU or its kernel has none. */
bool hs_soft_offers_avx2(void);

#endif
