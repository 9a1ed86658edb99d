/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The floor of making a VM: the fewest ioctls that bring a 64-bit guest to its first instruction. */
#ifndef HS_BENCH_RAW_KVM_H
#define HS_BENCH_RAW_KVM_H

#include <stdbool.h>

/** Make a VM with two memory slots, run one hlt in long mode, and close it all. *ret_ns is until the hlt's exit. */
bool hs_bench_raw_kvm(void *ctx, double *ret_ns);

#endif
