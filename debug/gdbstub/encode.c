/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packets of payloads: a frame, escapes, run-length encoding and the checksum, in one pass. Most bytes stand for
 * themselves; they are looked at, copied and added up by blocks, and the others one by one.
 */
#include "gdbstub/packet.h"

#include "base/bytes.h"
#include "base/hex.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define ESCAPE '}'
#define ESCAPE_XOR 0x20
/* What an escape adds to the sum: the four bytes that need one have the bit that it flips. */
#define ESCAPE_SUM (ESCAPE - ESCAPE_XOR)

/* Run-length encoding (gdb manual, Overview): "x*" and a character of code n + 29 stand for x and n more of it.
 * The code must be printable, so n is 3 (code 32) to 97 (code 126); and it must not be '#' or '$'. '+' and '-' are
 * avoided as well, as a client that lost its place would take them for acknowledgements. */
#define RUN_BIAS 29
#define RUN_LEAST 3
#define RUN_MOST 97

/* Bytes that are looked at together: a vector of GNU C, which each CPU has an instruction or a few for. */
#define BLOCK 16u
typedef uint8_t block __attribute__((vector_size(BLOCK)));

/* Bytes whose digits are made and encoded while they are in the nearest cache. */
#define TILE_BYTES 2048u

/* A packet that is being made. */
struct packet {
	uint8_t *at; /* where the next byte goes */
	uint8_t sum; /* of the payload so far */
};

/* Which bytes stand for themselves. */
enum alphabet {
	BYTES,  /* all but four */
	DIGITS, /* all of them: hex digits */
};

static bool needs_escape(uint8_t byte)
{
	return byte == '#' || byte == '$' || byte == '*' || byte == ESCAPE;
}

/* How many of the repeats more copies of a byte one run code can stand for. */
static size_t run_length(size_t repeats)
{
	size_t run = repeats > RUN_MOST ? RUN_MOST : repeats;
	uint8_t code = (uint8_t)(run + RUN_BIAS);

	if (code == '+' || code == '-') {
		return run - 1;
	}
	if (code == '#' || code == '$') {
		return (size_t)('"' - RUN_BIAS);
	}
	return run;
}

/* How many more of the first byte follow it, RUN_MOST at most. */
static size_t count_repeats(const uint8_t *bytes, size_t length)
{
	size_t most = length - 1 < RUN_MOST ? length - 1 : RUN_MOST;
	size_t repeats = 0;

	if (most == 0 || bytes[1] != bytes[0]) {
		return 0;
	}
	/* Bytes that equal those one further on are all the same: of zeros there are many. */
	if (memcmp(bytes, bytes + 1, most) == 0) {
		return most;
	}
	while (bytes[repeats + 1] == bytes[0]) {
		repeats++;
	}
	return repeats;
}

static void put(struct packet *packet, uint8_t byte)
{
	*packet->at++ = byte;
	packet->sum = (uint8_t)(packet->sum + byte);
}

/* Encode the first byte and those that it is repeated by; returns how many that are. */
static size_t encode_byte(struct packet *packet, const uint8_t *payload, size_t length)
{
	size_t repeats;

	/* Clients expand runs before or after they undo escapes: an escaped byte is never part of a run. */
	if (needs_escape(*payload)) {
		put(packet, ESCAPE);
		put(packet, *payload ^ ESCAPE_XOR);
		return 1;
	}
	put(packet, *payload);
	repeats = count_repeats(payload, length);
	if (repeats < RUN_LEAST) {
		return 1;
	}
	repeats = run_length(repeats);
	put(packet, '*');
	put(packet, (uint8_t)(repeats + RUN_BIAS));
	return 1 + repeats;
}

/*
 * Encode bytes by blocks, up to the first run, or to something else that takes longer, or to near the end; returns how
 * many. What is behind them in the last block is written as well and does not count: there is room for twice as many
 * bytes as are left, or for as many if they are digits.
 */
typedef size_t copy_fn(struct packet *packet, const uint8_t *bytes, size_t length, enum alphabet alphabet);

/* The place of the first byte that is not 0; BLOCK if there is none. */
static size_t first_set(const block *bytes)
{
	uint8_t lanes[BLOCK];

	memcpy(lanes, bytes, BLOCK);
	for (size_t half = 0; half < BLOCK; half += 8) {
		uint64_t word = hs_get_le64(lanes + half);

		if (word) {
			return half + (size_t)__builtin_ctzll(word) / 8;
		}
	}
	return BLOCK;
}

/* The sum of all bytes, modulo 256. */
static uint8_t sum_of_block(const block *bytes)
{
	const uint64_t even = 0x00FF00FF00FF00FFull;
	uint64_t words[2];

	memcpy(words, bytes, sizeof(words));
	/* Four sums of four bytes, which the product adds up in its highest quarter. */
	words[0] = (words[0] & even) + (words[0] >> 8 & even) + (words[1] & even) + (words[1] >> 8 & even);
	return (uint8_t)(words[0] * 0x0001000100010001ull >> 48);
}

static size_t copy_plain(struct packet *packet, const uint8_t *bytes, size_t length, enum alphabet alphabet)
{
	const block lane = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	block sums = { 0 };
	uint8_t *to = packet->at;
	size_t plain = BLOCK;
	size_t done = 0;

	while (plain == BLOCK && length - done >= BLOCK + RUN_LEAST) {
		block here, next, third, fourth, stop;

		memcpy(&here, bytes + done, BLOCK);
		memcpy(&next, bytes + done + 1, BLOCK);
		memcpy(&third, bytes + done + 2, BLOCK);
		memcpy(&fourth, bytes + done + 3, BLOCK);
		stop = (block)(here == next) & (block)(here == third) & (block)(here == fourth);
		if (alphabet == BYTES) {
			stop |= (block)(here == '#') | (block)(here == '$') | (block)(here == '*') |
				(block)(here == ESCAPE);
		}
		memcpy(to + done, &here, BLOCK);
		plain = first_set(&stop);
		sums += plain == BLOCK ? here : here & (block)(lane < (uint8_t)plain);
		done += plain;
	}
	packet->sum = (uint8_t)(packet->sum + sum_of_block(&sums));
	packet->at += done;
	return done;
}

#if defined(__x86_64__)
/* Bytes of such a vector. */
#define WIDE ((size_t)32)

__attribute__((target("avx2"))) static inline __m256i load_wide(const uint8_t *at)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

__attribute__((target("avx2"))) static inline void store_wide(uint8_t *at, __m256i bytes)
{
	_mm256_storeu_si256((__m256i *)(void *)at, bytes);
}

/* A bit for each byte of a block at which a run begins. */
__attribute__((target("avx2"))) static inline uint32_t runs_of(__m256i here, const uint8_t *at)
{
	__m256i pairs = _mm256_and_si256(_mm256_cmpeq_epi8(here, load_wide(at + 1)),
					 _mm256_cmpeq_epi8(here, load_wide(at + 2)));

	return (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(pairs, _mm256_cmpeq_epi8(here, load_wide(at + 3))));
}

/* A bit for each byte of a block that is escaped. */
__attribute__((target("avx2"))) static inline uint32_t escapes_of(__m256i here)
{
	__m256i frame = _mm256_or_si256(_mm256_cmpeq_epi8(here, _mm256_set1_epi8('#')),
					_mm256_cmpeq_epi8(here, _mm256_set1_epi8('$')));
	__m256i marks = _mm256_or_si256(_mm256_cmpeq_epi8(here, _mm256_set1_epi8('*')),
					_mm256_cmpeq_epi8(here, _mm256_set1_epi8(ESCAPE)));

	return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(frame, marks));
}

/* The first bytes of a block and the escapes in them; as many as a block has are written and looked at behind them.
 * Returns where the next byte goes. */
__attribute__((target("avx2"))) static inline uint8_t *put_with_escapes(uint8_t *to, const uint8_t *bytes, size_t count,
									uint64_t escapes)
{
	const uint8_t *end = bytes + count;

	while (escapes) {
		size_t plain = (size_t)__builtin_ctzll(escapes);

		store_wide(to, load_wide(bytes));
		to[plain] = ESCAPE;
		to[plain + 1] = bytes[plain] ^ ESCAPE_XOR;
		to += plain + 2;
		bytes += plain + 1;
		escapes >>= plain + 1;
	}
	store_wide(to, load_wide(bytes));
	return to + (end - bytes);
}

/* The first of a block's bytes, and 0 for the others. */
__attribute__((target("avx2"))) static inline __m256i first_of(__m256i here, size_t count)
{
	static const uint8_t masks[2 * WIDE] = { [0 ... WIDE - 1] = 0xFF };

	return _mm256_and_si256(here, load_wide(masks + WIDE - count));
}

__attribute__((target("avx2"))) static uint8_t sum_of_lanes(__m256i sums)
{
	/* Four sums of eight bytes each. */
	__m256i eights = _mm256_sad_epu8(sums, _mm256_setzero_si256());
	__m128i two = _mm_add_epi64(_mm256_castsi256_si128(eights), _mm256_extracti128_si256(eights, 1));

	return (uint8_t)(_mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1));
}

__attribute__((target("avx2"))) static size_t copy_plain_avx2(struct packet *packet, const uint8_t *bytes,
							      size_t length, enum alphabet alphabet)
{
	__m256i sums = _mm256_setzero_si256();
	uint8_t *to = packet->at;
	size_t plain = WIDE;
	size_t done = 0;
	size_t escaped;

	if (length < 2 * WIDE) {
		return copy_plain(packet, bytes, length, alphabet);
	}
	while (plain == WIDE && length - done >= 2 * WIDE) {
		__m256i here = load_wide(bytes + done);
		uint32_t runs = runs_of(here, bytes + done);
		uint32_t escapes = alphabet == BYTES ? escapes_of(here) : 0;

		if (runs) {
			plain = (size_t)__builtin_ctz(runs);
			here = first_of(here, plain);
			escapes &= (1u << plain) - 1;
		}
		sums = _mm256_add_epi8(sums, here);
		to = put_with_escapes(to, bytes + done, plain, escapes);
		done += plain;
	}
	/* Each escape has made a byte more of one. */
	escaped = (size_t)(to - packet->at) - done;
	packet->at = to;
	packet->sum = (uint8_t)(packet->sum + sum_of_lanes(sums) + escaped * ESCAPE_SUM);
	return done;
}
#endif

static copy_fn *copy_of_host(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2")) {
		return copy_plain_avx2;
	}
#endif
	return copy_plain;
}

/* Encode up to where no more than `keep` bytes are left; returns how many were taken. */
static size_t encode(struct packet *packet, copy_fn *copy, const uint8_t *payload, size_t length, size_t keep,
		     enum alphabet alphabet)
{
	size_t i = 0;

	while (length - i > keep) {
		i += copy(packet, payload + i, length - i, alphabet);
		/* One long run follows another. */
		while (length - i > keep) {
			size_t done = encode_byte(packet, payload + i, length - i);

			i += done;
			if (done <= RUN_LEAST) {
				break;
			}
		}
	}
	return i;
}

/* The digits of a tile, behind those that the one before has left: what may be a run that goes on is not cut. */
static void encode_tiles(struct packet *packet, const uint8_t *bytes, size_t length)
{
	copy_fn *copy = copy_of_host();
	uint8_t digits[RUN_MOST + 2 * TILE_BYTES];
	size_t left = 0;

	while (length > 0) {
		size_t part = length < TILE_BYTES ? length : TILE_BYTES;
		size_t count = left + 2 * part;
		size_t used;

		hs_hex_encode(bytes, part, (char *)digits + left);
		bytes += part;
		length -= part;
		used = encode(packet, copy, digits, count, length > 0 ? RUN_MOST : 0, DIGITS);
		left = count - used;
		memmove(digits, digits + used, left);
	}
}

/* Begin a packet whose payload becomes `most` bytes at most. */
static bool begin(struct packet *packet, struct hs_buf *out, size_t most)
{
	packet->at = hs_buf_extend(out, most + 4);
	packet->sum = 0;
	if (!packet->at) {
		return false;
	}
	*packet->at++ = '$';
	return true;
}

static void end(struct hs_buf *out, const struct packet *packet)
{
	packet->at[0] = '#';
	hs_hex_encode(&packet->sum, 1, (char *)packet->at + 1);
	out->length = (size_t)(packet->at + 3 - out->data);
}

static bool encode_by(copy_fn *copy, struct hs_buf *out, const uint8_t *payload, size_t length)
{
	struct packet packet;

	if (!begin(&packet, out, 2 * length)) {
		return false;
	}
	encode(&packet, copy, payload, length, 0, BYTES);
	end(out, &packet);
	return true;
}

bool hs_packet_encode(struct hs_buf *out, const uint8_t *payload, size_t length)
{
	return encode_by(copy_of_host(), out, payload, length);
}

bool hs_packet_encode_plain(struct hs_buf *out, const uint8_t *payload, size_t length)
{
	return encode_by(copy_plain, out, payload, length);
}

bool hs_packet_encode_hex(struct hs_buf *out, const uint8_t *bytes, size_t length)
{
	struct packet packet;

	if (!begin(&packet, out, 2 * length)) {
		return false;
	}
	encode_tiles(&packet, bytes, length);
	end(out, &packet);
	return true;
}
