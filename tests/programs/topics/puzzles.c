/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small searches and grids: queens, the game of life, primes, paths, a knight, permutations. */
#include "../program.h"

static NOINLINE unsigned int queens(unsigned int all, unsigned int columns, unsigned int left, unsigned int right)
{
	unsigned int found = 0;
	unsigned int free = all & ~(columns | left | right);

	if (columns == all) {
		return 1;
	}
	while (free) {
		unsigned int bit = free & (0 - free);

		free ^= bit;
		found += queens(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
	}
	return found;
}

#define SIDE 16

static NOINLINE void live(unsigned char (*to)[SIDE], unsigned char (*from)[SIDE])
{
	for (unsigned int y = 0; y < SIDE; y++) {
		for (unsigned int x = 0; x < SIDE; x++) {
			unsigned int up = (y + SIDE - 1) % SIDE;
			unsigned int down = (y + 1) % SIDE;
			unsigned int west = (x + SIDE - 1) % SIDE;
			unsigned int east = (x + 1) % SIDE;
			unsigned int around = from[up][west] + from[up][x] + from[up][east] + from[y][west] +
					      from[y][east] + from[down][west] + from[down][x] + from[down][east];

			to[y][x] = around == 3 || (around == 2 && from[y][x]);
		}
	}
}

static void life(void)
{
	unsigned char grid[2][SIDE][SIDE] = { 0 };
	char line[SIDE];

	grid[0][0][1] = grid[0][1][2] = grid[0][2][0] = grid[0][2][1] = grid[0][2][2] = 1;
	grid[0][8][7] = grid[0][8][8] = grid[0][8][9] = grid[0][7][8] = 1;
	for (unsigned int i = 0; i < 6; i++) {
		live(grid[(i + 1) % 2], grid[i % 2]);
	}
	for (unsigned int y = 0; y < SIDE; y++) {
		for (unsigned int x = 0; x < SIDE; x++) {
			line[x] = grid[0][y][x] ? '#' : '.';
		}
		say_text("life", line, sizeof(line));
	}
}

static NOINLINE unsigned int primes(unsigned char *sieve, unsigned int limit)
{
	unsigned int count = 0;

	for (unsigned int i = 2; i < limit; i++) {
		if (sieve[i / 8] >> i % 8 & 1) {
			continue;
		}
		count++;
		for (unsigned int j = i * i; j < limit; j += i) {
			sieve[j / 8] |= (unsigned char)(1u << j % 8);
		}
	}
	return count;
}

#define PLACES 12

static NOINLINE uint64_t paths(struct source *s)
{
	uint16_t ways[PLACES][PLACES];
	uint64_t d = 0;

	for (unsigned int i = 0; i < PLACES * PLACES; i++) {
		ways[i / PLACES][i % PLACES] = (uint16_t)(next(s) >> 7) % 1000;
	}
	for (unsigned int k = 0; k < PLACES; k++) {
		for (unsigned int i = 0; i < PLACES * PLACES; i++) {
			unsigned int through = ways[i / PLACES][k] + ways[k][i % PLACES];
			uint16_t *way = &ways[i / PLACES][i % PLACES];

			*way = through < *way ? (uint16_t)through : *way;
		}
	}
	for (unsigned int i = 0; i < PLACES; i++) {
		d = mix_bytes(d, ways[i], sizeof(ways[i]));
	}
	return d;
}

/* The next in the order of the dictionary; false behind the last. */
static NOINLINE bool permute(unsigned char *values, int count)
{
	int i = count - 2;
	int j = count - 1;
	unsigned char value;

	while (i >= 0 && values[i] >= values[i + 1]) {
		i--;
	}
	if (i < 0) {
		return false;
	}
	while (values[j] <= values[i]) {
		j--;
	}
	value = values[i];
	values[i] = values[j];
	values[j] = value;
	for (i++, j = count - 1; i < j; i++, j--) {
		value = values[i];
		values[i] = values[j];
		values[j] = value;
	}
	return true;
}

void topic_puzzles(void)
{
	struct source s = source(0x9022);
	unsigned char sieve[1500 / 8 + 1] = { 0 };
	unsigned char values[] = { 1, 2, 3, 4, 5 };
	unsigned int count = 1;

	say("queens on 6", queens((unsigned int)hide(0x3F), 0, 0, 0));
	life();
	say("primes below 1500", primes(sieve, (unsigned int)hide(1500)));
	say("sieve", mix_bytes(0, sieve, sizeof(sieve)));
	say("paths", paths(&s));
	while (permute(values, COUNT(values))) {
		count++;
	}
	say("permutations of 5", count);
}

/* Arrays of several dimensions, strides of all sizes, pointers into the middle: every form of address. */
static NOINLINE uint64_t strides(const uint8_t *a, const uint16_t *b, const uint32_t *c, const uint64_t *d, long at)
{
	uint64_t sum = (uint64_t)a[at] + b[at + 1] + c[at * 2] + d[at];

	sum = mix(sum, (uint64_t)a[at * 3 + 5] - b[-at + 20] + c[at ^ 1] * 3u);
	sum = mix(sum, d[(at & 3) + 2] + (uint64_t)(&c[at] - c) +
			       *(const uint16_t *)(const void *)((const char *)b + at * 4));
	return mix(sum, d[at >> 1] << 3 | a[8 * at % 31]);
}

static NOINLINE void multiply(int32_t (*to)[6], int32_t (*a)[6], int32_t (*b)[6])
{
	for (unsigned int i = 0; i < 6; i++) {
		for (unsigned int j = 0; j < 6; j++) {
			uint32_t sum = 0;

			for (unsigned int k = 0; k < 6; k++) {
				sum += (uint32_t)a[i][k] * (uint32_t)b[k][j];
			}
			to[i][j] = (int32_t)sum;
		}
	}
}

void topic_tables(void)
{
	struct source s = source(0x7AB1E5);
	uint8_t a[64];
	uint16_t b[64];
	uint32_t c[64];
	uint64_t d[64];
	int32_t squares[3][6][6];
	uint64_t digest = 0;

	for (unsigned int i = 0; i < 64; i++) {
		a[i] = (uint8_t)next(&s);
		b[i] = (uint16_t)next(&s);
		c[i] = (uint32_t)next(&s);
		d[i] = next(&s);
	}
	for (long i = 0; i < 16; i++) {
		digest = mix(digest, strides(a, b, c, d, i));
	}
	say("strides", digest);
	memcpy(squares, c, sizeof(squares[0]));
	memcpy(squares[1], c + 20, sizeof(squares[1]));
	for (unsigned int i = 0; i < 6; i++) {
		multiply(squares[(i + 2) % 3], squares[i % 3], squares[(i + 1) % 3]);
	}
	say("squares", mix_bytes(0, squares, sizeof(squares)));
}
