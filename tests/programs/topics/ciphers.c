/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ciphers: additions, rotates and exclusive ors, tables and swaps. */
#include "../program.h"

static uint32_t rotate(uint32_t a, unsigned int by)
{
	return a << by | a >> (32 - by);
}

static void quarter(uint32_t *x, unsigned int a, unsigned int b, unsigned int c, unsigned int d)
{
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 7);
}

/* RFC 8439, 2.3. */
static NOINLINE void chacha20(uint32_t out[16], const uint32_t in[16])
{
	memcpy(out, in, 16 * sizeof(out[0]));
	for (unsigned int i = 0; i < 10; i++) {
		for (unsigned int j = 0; j < 4; j++) {
			quarter(out, j, 4 + j, 8 + j, 12 + j);
		}
		for (unsigned int j = 0; j < 4; j++) {
			quarter(out, j, 4 + (j + 1) % 4, 8 + (j + 2) % 4, 12 + (j + 3) % 4);
		}
	}
	for (unsigned int i = 0; i < 16; i++) {
		out[i] += in[i];
	}
}

/* XTEA (Needham, Wheeler), there and back. */
static NOINLINE void xtea(uint32_t v[2], const uint32_t key[4])
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < 32; i++) {
		v[0] += ((v[1] << 4 ^ v[1] >> 5) + v[1]) ^ (sum + key[sum & 3]);
		sum += 0x9E3779B9;
		v[1] += ((v[0] << 4 ^ v[0] >> 5) + v[0]) ^ (sum + key[sum >> 11 & 3]);
	}
}

static NOINLINE void xtea_back(uint32_t v[2], const uint32_t key[4])
{
	uint32_t sum = 0x9E3779B9u * 32;

	for (unsigned int i = 0; i < 32; i++) {
		v[1] -= ((v[0] << 4 ^ v[0] >> 5) + v[0]) ^ (sum + key[sum >> 11 & 3]);
		sum -= 0x9E3779B9;
		v[0] -= ((v[1] << 4 ^ v[1] >> 5) + v[1]) ^ (sum + key[sum & 3]);
	}
}

static NOINLINE void rc4(unsigned char *bytes, size_t length, const unsigned char *key, size_t key_length)
{
	unsigned char box[256];
	unsigned char j = 0;

	for (unsigned int i = 0; i < 256; i++) {
		box[i] = (unsigned char)i;
	}
	for (unsigned int i = 0; i < 256; i++) {
		unsigned char was = box[i];

		j = (unsigned char)(j + was + key[i % key_length]);
		box[i] = box[j];
		box[j] = was;
	}
	j = 0;
	for (size_t n = 0; n < length; n++) {
		unsigned char i = (unsigned char)(n + 1);
		unsigned char was = box[i];

		j = (unsigned char)(j + was);
		box[i] = box[j];
		box[j] = was;
		bytes[n] ^= box[(unsigned char)(box[i] + was)];
	}
}

/* The S-box of AES (FIPS 197, 5.1.1), calculated: inverses in the field of 256, then an affine map. */
static NOINLINE void make_box(unsigned char box[256])
{
	unsigned char p = 1;
	unsigned char q = 1;

	do {
		p = (unsigned char)(p ^ p << 1 ^ (p & 0x80 ? 0x1B : 0));
		q = (unsigned char)(q ^ q << 1);
		q = (unsigned char)(q ^ q << 2);
		q = (unsigned char)(q ^ q << 4);
		q = (unsigned char)(q & 0x80 ? q ^ 0x09 : q);
		unsigned char turned = q;

		for (unsigned int i = 1; i < 5; i++) {
			turned = (unsigned char)(turned ^ (unsigned char)(q << i | q >> (8 - i)));
		}
		box[p] = turned ^ 0x63;
	} while (p != 1);
	box[0] = 0x63;
}

void topic_ciphers(void)
{
	struct source s = source(0xC1F4E4);
	uint32_t in[16];
	uint32_t out[16];
	uint32_t v[2];
	unsigned char box[256];
	unsigned char bytes[64] = "plain text";

	for (unsigned int i = 0; i < 16; i++) {
		in[i] = (uint32_t)next(&s);
	}
	chacha20(out, in);
	say("chacha20", mix_bytes(0, out, sizeof(out)));
	memcpy(v, in, sizeof(v));
	xtea(v, in + 4);
	say("xtea", (uint64_t)v[0] << 32 | v[1]);
	xtea_back(v, in + 4);
	say("and back", memcmp(v, in, sizeof(v)) == 0);
	rc4(bytes, sizeof(bytes), (const unsigned char *)"Key", 3);
	say("rc4", mix_bytes(0, bytes, sizeof(bytes)));
	make_box(box);
	say("box", mix_bytes(0, box, sizeof(box)));
}
