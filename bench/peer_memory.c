/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What gdbserver serves in the read benchmark: a process with some memory at a known name. */
#include <stdint.h>
#include <unistd.h>

uint8_t peer_memory[128 << 10] = { 1 };

int main(void)
{
	return pause() + peer_memory[1];
}
