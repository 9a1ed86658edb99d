/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checksums and hashes, each over the same bytes; CRC-32 and SHA-256 of "abc" are in their standards. */
#include "../program.h"

static uint32_t rotate(uint32_t a, unsigned int by)
{
	return a << by | a >> (32 - by);
}

static NOINLINE uint32_t crc_by_bit(const unsigned char *from, size_t length)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < length; i++) {
		crc ^= from[i];
		for (unsigned int bit = 0; bit < 8; bit++) {
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
		}
	}
	return ~crc;
}

static NOINLINE uint64_t crc64(const unsigned char *from, size_t length)
{
	uint64_t table[16];
	uint64_t crc = UINT64_MAX;

	for (unsigned int i = 0; i < 16; i++) {
		table[i] = i;
		for (unsigned int bit = 0; bit < 4; bit++) {
			table[i] = table[i] >> 1 ^ (UINT64_C(0xC96C5795D7870F42) & (0 - (table[i] & 1)));
		}
	}
	for (size_t i = 0; i < length; i++) {
		crc = crc >> 4 ^ table[(crc ^ from[i]) & 15];
		crc = crc >> 4 ^ table[(crc ^ from[i] >> 4) & 15];
	}
	return ~crc;
}

static NOINLINE uint32_t adler(const unsigned char *from, size_t length)
{
	uint32_t a = 1;
	uint32_t b = 0;

	for (size_t i = 0; i < length; i++) {
		a = (a + from[i]) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

static NOINLINE uint16_t internet(const unsigned char *from, size_t length)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < length; i += 2) {
		sum += (uint32_t)from[i] << 8 | from[i + 1];
	}
	while (sum >> 16) {
		sum = (sum & 0xFFFF) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

void topic_checksums(void)
{
	struct source s = source(0xC4C);
	unsigned char bytes[160];

	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (unsigned char)next(&s);
	}
	say("crc32 of abc", crc_by_bit((const unsigned char *)"abc", 3));
	say("crc32", crc_by_bit(bytes, sizeof(bytes)));
	say("crc64", crc64(bytes, sizeof(bytes)));
	say("adler32", adler(bytes, sizeof(bytes)));
	say("internet", internet(bytes, sizeof(bytes)));
}

/* RFC 1321, but for the table of sines: what comes in its place does the same work. */
static const uint8_t md5_shifts[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } };

static NOINLINE void md5_block(uint32_t state[4], const unsigned char *block, const uint32_t sines[64])
{
	uint32_t words[16];
	uint32_t a = state[0];
	uint32_t b = state[1];
	uint32_t c = state[2];
	uint32_t d = state[3];

	memcpy(words, block, sizeof(words));
	for (unsigned int i = 0; i < 64; i++) {
		uint32_t f = i < 16   ? (b & c) | (~b & d)
			     : i < 32 ? (d & b) | (~d & c)
			     : i < 48 ? b ^ c ^ d
				      : c ^ (b | ~d);
		unsigned int at = i < 16 ? i : i < 32 ? 5 * i + 1 : i < 48 ? 3 * i + 5 : 7 * i;
		uint32_t was = d;

		d = c;
		c = b;
		b += rotate(a + f + sines[i] + words[at & 15], md5_shifts[i / 16][i & 3]);
		a = was;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
}

static const uint32_t sha_primes[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* FIPS 180-4, 6.2. */
static NOINLINE void sha256_block(uint32_t state[8], const unsigned char *block)
{
	uint32_t w[64];
	uint32_t v[8];

	for (unsigned int i = 0; i < 64; i++) {
		if (i < 16) {
			memcpy(&w[i], block + 4 * i, 4);
			w[i] = __builtin_bswap32(w[i]);
			continue;
		}
		uint32_t s0 = rotate(w[i - 15], 25) ^ rotate(w[i - 15], 14) ^ w[i - 15] >> 3;
		uint32_t s1 = rotate(w[i - 2], 15) ^ rotate(w[i - 2], 13) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	memcpy(v, state, sizeof(v));
	for (unsigned int i = 0; i < 64; i++) {
		uint32_t s1 = rotate(v[4], 26) ^ rotate(v[4], 21) ^ rotate(v[4], 7);
		uint32_t s0 = rotate(v[0], 30) ^ rotate(v[0], 19) ^ rotate(v[0], 10);
		uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha_primes[i] + w[i];
		uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, sizeof(v) - sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (unsigned int i = 0; i < 8; i++) {
		state[i] += v[i];
	}
}

static uint64_t rotate64(uint64_t a, unsigned int by)
{
	return a << by | a >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate64(v[1], 13) ^ v[0];
	v[0] = rotate64(v[0], 32);
	v[2] += v[3];
	v[3] = rotate64(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate64(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate64(v[1], 17) ^ v[2];
	v[2] = rotate64(v[2], 32);
}

/* SipHash 2-4 (Aumasson, Bernstein) of whole words. */
static NOINLINE uint64_t siphash(const uint64_t *words, size_t count, uint64_t key)
{
	uint64_t v[4] = { key ^ UINT64_C(0x736f6d6570736575), ~key ^ UINT64_C(0x646f72616e646f6d),
			  key ^ UINT64_C(0x6c7967656e657261), ~key ^ UINT64_C(0x7465646279746573) };

	for (size_t i = 0; i < count; i++) {
		v[3] ^= words[i];
		sip_round(v);
		sip_round(v);
		v[0] ^= words[i];
	}
	v[2] ^= 0xFF;
	for (unsigned int i = 0; i < 4; i++) {
		sip_round(v);
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void topic_hashes(void)
{
	struct source s = source(0x4A54);
	uint32_t md5[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	uint32_t sha[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	unsigned char block[64] = "abc\x80";
	uint32_t sines[64];
	uint64_t words[16];

	block[63] = 24; /* bits */
	sha256_block(sha, block);
	say("sha256 of abc", (uint64_t)sha[0] << 32 | sha[7]);
	for (unsigned int i = 0; i < COUNT(sines); i++) {
		sines[i] = (uint32_t)next(&s);
		words[i / 4] = next(&s);
	}
	for (unsigned int i = 0; i < 3; i++) {
		memcpy(block, words + i, sizeof(block));
		sha256_block(sha, block);
		md5_block(md5, block, sines);
	}
	say("sha256", mix_bytes(0, sha, sizeof(sha)));
	say("as md5", mix_bytes(0, md5, sizeof(md5)));
	say("siphash", siphash(words, COUNT(words), hide(0x0706050403020100)));
}
