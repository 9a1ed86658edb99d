/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What gdbserver serves in the benchmarks of the stub: a process with memory at a known name, and instructions to step
 * over for as long as one likes. */
#include <stdint.h>

uint8_t peer_memory[64 << 20] = { 1 };
volatile unsigned long peer_counter;

int main(void)
{
	for (;;) {
		peer_counter++;
	}
	return peer_memory[1];
}
