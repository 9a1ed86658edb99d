/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loops as a compiler writes them. */
#include "loops.h"

#include <stdbool.h>
#include <stddef.h>

#define NUMBERS 512u
#define BYTES 4096u
#define POLYNOMIAL 0xEDB88320u /* of CRC-32, ISO 3309 */

static void shell_sort(uint32_t *numbers)
{
	for (size_t gap = NUMBERS / 2; gap > 0; gap /= 2) {
		for (size_t i = gap; i < NUMBERS; i++) {
			uint32_t number = numbers[i];
			size_t at = i;

			for (; at >= gap && numbers[at - gap] > number; at -= gap) {
				numbers[at] = numbers[at - gap];
			}
			numbers[at] = number;
		}
	}
}

void loop_sort(unsigned long rounds)
{
	static volatile uint32_t least;
	static uint32_t numbers[NUMBERS];
	uint32_t seed = 1;

	for (unsigned long round = 0; round < rounds; round++) {
		for (size_t i = 0; i < NUMBERS; i++) {
			seed = seed * 1664525 + 1013904223;
			numbers[i] = seed >> 8;
		}
		shell_sort(numbers);
		least = numbers[0];
	}
	(void)least;
}

static const uint32_t *crc_table(void)
{
	static uint32_t table[256];

	for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
		uint32_t crc = i;

		for (unsigned int bit = 0; bit < 8; bit++) {
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		}
		table[i] = crc;
	}
	return table;
}

void loop_crc(unsigned long rounds)
{
	static volatile uint32_t sum;
	static uint8_t bytes[BYTES];
	const uint32_t *table = crc_table();

	for (unsigned long round = 0; round < rounds; round++) {
		uint32_t crc = 0xFFFFFFFF;

		bytes[0] = (uint8_t)round;
		for (size_t i = 0; i < BYTES; i++) {
			crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xFF];
		}
		sum = ~crc;
	}
	(void)sum;
}
