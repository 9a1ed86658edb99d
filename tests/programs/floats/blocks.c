/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory and strings as libraries go through them, sixteen or thirty-two bytes at a time; checksums, ciphers and hashes
 * by the instructions that there are for them. Which are tried is asked of the CPU, not of the build.
 */
#include "float.h"

#define ROOM 320
#define SSE2 __attribute__((target("sse2"), noinline))
#define AVX2 __attribute__((target("avx2"), noinline))

SSE2 static void copy_16(uint8_t *to, const uint8_t *from, size_t length)
{
	for (; length >= 16; to += 16, from += 16, length -= 16) {
		__asm__ volatile("movdqu %1, %%xmm0\n\tmovups %%xmm0, %0"
				 : "=m"(*(u8x16 *)to)
				 : "m"(*(const u8x16 *)from)
				 : "xmm0", "xmm1");
	}
	for (; length > 0; length--) {
		*to++ = *from++;
	}
}

AVX2 static void copy_32(uint8_t *to, const uint8_t *from, size_t length)
{
	for (; length >= 32; to += 32, from += 32, length -= 32) {
		__asm__ volatile("vmovdqu %1, %%ymm0\n\tvmovups %%ymm0, %0"
				 : "=m"(*(u8x32 *)to)
				 : "m"(*(const u8x32 *)from)
				 : "xmm0", "xmm1");
	}
	__asm__ volatile("vzeroupper");
	copy_16(to, from, length);
}

/* Whole vectors from an aligned address on, as strlen() may read them. */
SSE2 static size_t find_16(const uint8_t *from, uint8_t byte)
{
	const uint8_t *at = (const uint8_t *)((uintptr_t)from & ~(uintptr_t)15);
	uint32_t found;
	u8x16 bytes;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = byte;
	}
	for (;; at += 16) {
		__asm__("movdqa %1, %%xmm0\n\tpcmpeqb %2, %%xmm0\n\tpmovmskb %%xmm0, %0"
			: "=r"(found)
			: "m"(*(const u8x16 *)at), "m"(bytes)
			: "xmm0", "xmm1");
		if (at < from) {
			found &= ~0u << (from - at);
		}
		if (found) {
			return (size_t)(at - from) + (size_t)__builtin_ctz(found);
		}
	}
}

AVX2 static size_t find_32(const uint8_t *from, const uint8_t *byte)
{
	const uint8_t *at = (const uint8_t *)((uintptr_t)from & ~(uintptr_t)31);
	uint32_t found;

	for (;; at += 32) {
		__asm__("vpbroadcastb %2, %%ymm1\n\tvpcmpeqb %1, %%ymm1, %%ymm0\n\tvpmovmskb %%ymm0, %0\n\tvzeroupper"
			: "=r"(found)
			: "m"(*(const u8x32 *)at), "m"(*byte)
			: "xmm0", "xmm1");
		if (at < from) {
			found &= ~0u << (from - at);
		}
		if (found) {
			return (size_t)(at - from) + (size_t)__builtin_ctz(found);
		}
	}
}

void topic_blocks(void)
{
	static uint8_t from[ROOM], to[ROOM];
	struct features has = features();
	struct source s = source(0xB10C5);
	uint64_t d = 0;

	for (size_t i = 0; i < ROOM; i++) {
		from[i] = (uint8_t)next(&s);
	}
	for (unsigned int i = 0; i < 40; i++) {
		size_t start = (size_t)(next(&s) % 64);
		size_t length = (size_t)(next(&s) % 200);

		if (has.sse2) {
			copy_16(to + start, from + i, length);
			d = mix_bytes(d, to, sizeof(to));
		}
		if (has.avx2) {
			copy_32(to + i, from + start, length);
			d = mix_bytes(d, to, sizeof(to));
		}
	}
	say("copied", d);
}

/* Where a text has one of four letters, and where another text, by the instructions for strings (SDM vol. 2B). */
static uint64_t find_text(const uint8_t *text)
{
	static const uint8_t letters[16] = "xyz#";
	static const uint8_t word[16] = "needle";
	static const uint8_t ranges[16] = "09AF";
	uint32_t any;
	uint32_t equal;
	uint32_t range;
	uint8_t none;
	u8x16 mask;

	__asm__("movdqu %4, %%xmm0\n\tpcmpistri $0, %5, %%xmm0\n\tsetnc %3\n\tmov %%ecx, %0\n\t"
		"movdqu %6, %%xmm0\n\tpcmpistri $0x0C, %5, %%xmm0\n\tmov %%ecx, %1\n\t"
		"movdqu %7, %%xmm0\n\tpcmpistri $0x14, %5, %%xmm0\n\tmov %%ecx, %2"
		: "=&rm"(any), "=&rm"(equal), "=&rm"(range), "=&qm"(none)
		: "m"(*(const u8x16 *)text), "m"(*(const u8x16 *)text), "m"(word), "m"(ranges)
		: "ecx", "cc", CHANGES_VECTORS);
	uint64_t d = mix(mix(any, equal), mix(range, none));

	__asm__("movdqu %1, %%xmm1\n\tmovl $4, %%eax\n\tmovl $9, %%edx\n\tpcmpestrm $0x40, %2, %%xmm1\n\t"
		"movdqu %%xmm0, %0"
		: "=m"(mask)
		: "m"(letters), "m"(*(const u8x16 *)text)
		: "eax", "edx", "cc", CHANGES_VECTORS);
	return mix_bytes(d, &mask, sizeof(mask));
}

void topic_searches(void)
{
	static _Alignas(32) uint8_t text[ROOM];
	struct features has = features();
	struct source s = source(0x5EA6C4);
	uint64_t d = 0;
	uint64_t strings = 0;

	for (unsigned int i = 0; i < 60; i++) {
		size_t start = (size_t)(next(&s) % 64);
		uint8_t byte = (uint8_t)next(&s);

		for (size_t j = 0; j < ROOM; j++) {
			text[j] = (uint8_t)(next(&s) >> 30);
		}
		text[start + next(&s) % 200] = byte;
		if (has.sse2) {
			d = mix(d, find_16(text + start, byte));
		}
		if (has.avx2) {
			d = mix(d, find_32(text + start, &byte));
		}
		memcpy(text + start + byte % 16, i & 1 ? "needle" : "#zF", 3 + 3 * (i & 1));
		text[start + 12] = 0;
		if (has.sse42) {
			strings = mix(strings, find_text(text + start));
		}
	}
	say("found", d);
	say("strings", strings);
}

/* CRC-32C of bytes and words. */
static uint32_t crc32c(const uint8_t *from, size_t length)
{
	uint32_t crc = ~0u;

	for (; length >= 4; from += 4, length -= 4) {
		__asm__("crc32l %1, %0" : "+r"(crc) : "m"(*(const uint32_t *)from));
	}
	for (; length > 0; from++, length--) {
		__asm__("crc32b %1, %0" : "+r"(crc) : "m"(*from));
	}
	return ~crc;
}

/* 128 bits by 128 bits without carries, folded as checksums do. */
static void multiply_plain(u8x16 *a, const u8x16 *b)
{
	__asm__("movdqu %0, %%xmm0\n\tmovdqu %1, %%xmm1\n\tmovdqa %%xmm0, %%xmm2\n\tmovdqa %%xmm0, %%xmm3\n\t"
		"pclmulqdq $0x00, %%xmm1, %%xmm0\n\tpclmulqdq $0x11, %%xmm1, %%xmm2\n\t"
		"pclmulqdq $0x10, %%xmm1, %%xmm3\n\t"
		"pslldq $8, %%xmm3\n\tpxor %%xmm3, %%xmm0\n\tpxor %%xmm2, %%xmm0\n\tmovdqu %%xmm0, %0"
		: "+m"(*a)
		: "m"(*b)
		: CHANGES_VECTORS);
}

/* FIPS 197, AES-128 of one block: the key schedule, ten rounds, and back. */
#define SHIFT_IN "pslldq $4, %%xmm3\n\tpxor %%xmm3, %%xmm1\n\t"
#define EXPAND(round, constant)                                                                                        \
	"aeskeygenassist $" #constant ", %%xmm1, %%xmm2\n\tpshufd $0xFF, %%xmm2, %%xmm2\n\t"                           \
	"movdqa %%xmm1, %%xmm3\n\t" SHIFT_IN SHIFT_IN SHIFT_IN "pxor %%xmm2, %%xmm1\n\t" round " %%xmm1, %%xmm0\n\t"
static void encrypt(u8x16 *block, const u8x16 *key)
{
	__asm__("movdqu %0, %%xmm0\n\tmovdqu %1, %%xmm1\n\tpxor %%xmm1, %%xmm0\n\t" EXPAND("aesenc", 1)
			EXPAND("aesenc", 2) EXPAND("aesenc", 4) EXPAND("aesenc", 8) EXPAND("aesenc", 16)
				EXPAND("aesenc", 32) EXPAND("aesenc", 64) EXPAND("aesenc", 128) EXPAND("aesenc", 27)
					EXPAND("aesenclast", 54) "movdqu %%xmm0, %0"
		: "+m"(*block)
		: "m"(*key)
		: CHANGES_VECTORS);
}

static void decrypt_round(u8x16 *block, const u8x16 *key)
{
	__asm__("movdqu %1, %%xmm1\n\taesimc %%xmm1, %%xmm2\n\tmovdqu %0, %%xmm0\n\taesdec %%xmm2, %%xmm0\n\t"
		"aesdeclast %%xmm1, %%xmm0\n\tmovdqu %%xmm0, %0"
		: "+m"(*block)
		: "m"(*key)
		: CHANGES_VECTORS);
}

/* Both of two blocks at once. */
static void rounds_of_two(u8x16 blocks[2], const u8x16 keys[2])
{
	__asm__ volatile("vmovdqu (%0), %%ymm0\n\tvmovdqu (%1), %%ymm1\n\tvaesenc (%1), %%ymm0, %%ymm0\n\t"
			 "vaesenclast %%ymm1, %%ymm0, %%ymm0\n\tvaesdec %%ymm0, %%ymm1, %%ymm1\n\t"
			 "vaesdeclast %%ymm1, %%ymm0, %%ymm0\n\tvmovdqu %%ymm0, (%0)"
			 :
			 : "r"(blocks), "r"(keys)
			 : CHANGES_VECTORS, "memory");
}

static void multiply_two(u8x16 a[2], const u8x16 b[2])
{
	__asm__ volatile("vmovdqu (%0), %%ymm0\n\tvpclmulqdq $0x10, (%1), %%ymm0, %%ymm1\n\t"
			 "vpclmulqdq $0x01, %%ymm0, %%ymm1, %%ymm0\n\tvmovdqu %%ymm0, (%0)"
			 :
			 : "r"(a), "r"(b)
			 : CHANGES_VECTORS, "memory");
}

/* Rounds of SHA-1 and SHA-256 on whatever there is. */
static void hash_rounds(u8x16 state[2], const u8x16 words[2])
{
	__asm__("movdqu %0, %%xmm1\n\tmovdqu %1, %%xmm2\n\tmovdqu %2, %%xmm0\n\tmovdqu %3, %%xmm3\n\t"
		"sha256rnds2 %%xmm1, %%xmm2\n\tsha256msg1 %%xmm3, %%xmm0\n\tsha256msg2 %%xmm3, %%xmm0\n\t"
		"sha256rnds2 %%xmm2, %%xmm1\n\tsha1msg1 %%xmm0, %%xmm3\n\tsha1msg2 %%xmm0, %%xmm3\n\t"
		"sha1rnds4 $1, %%xmm3, %%xmm1\n\tsha1nexte %%xmm0, %%xmm2\n\tsha1rnds4 $3, %%xmm0, %%xmm2\n\t"
		"movdqu %%xmm1, %0\n\tmovdqu %%xmm2, %1"
		: "+m"(state[0]), "+m"(state[1])
		: "m"(words[0]), "m"(words[1])
		: CHANGES_VECTORS);
}

void topic_crypto(void)
{
	static _Alignas(16) u8x16 blocks[8];
	struct features has = features();
	struct source s = source(0xC0DE);
	uint8_t *bytes = (uint8_t *)blocks;
	uint64_t d = 0;

	/* FIPS 197, appendix B: the first byte of the result is 39. */
	static const uint8_t key[16] = { 0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6,
					 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C };
	static const uint8_t text[16] = { 0x32, 0x43, 0xF6, 0xA8, 0x88, 0x5A, 0x30, 0x8D,
					  0x31, 0x31, 0x98, 0xA2, 0xE0, 0x37, 0x07, 0x34 };

	memcpy(&blocks[0], text, sizeof(text));
	memcpy(&blocks[1], key, sizeof(key));
	if (has.aes) {
		encrypt(&blocks[0], &blocks[1]);
		say("aes of the standard's example", mix_bytes(0, &blocks[0], 1));
	}
	if (has.sse42) {
		say("crc32c of 123456789", crc32c((const uint8_t *)"123456789", 9));
	}
	for (unsigned int i = 0; i < 32; i++) {
		for (size_t j = 0; j < sizeof(blocks); j++) {
			bytes[j] ^= (uint8_t)next(&s);
		}
		d = has.sse42 ? mix(d, crc32c(bytes + i % 7, 100)) : d;
		if (has.aes) {
			encrypt(&blocks[0], &blocks[1]);
			decrypt_round(&blocks[2], &blocks[0]);
		}
		if (has.pclmul) {
			multiply_plain(&blocks[3], &blocks[2]);
		}
		if (has.vaes) {
			rounds_of_two(&blocks[2], &blocks[6]);
		}
		if (has.vpclmul) {
			multiply_two(&blocks[4], &blocks[2]);
		}
		if (has.sha) {
			hash_rounds(&blocks[4], &blocks[6]);
		}
		d = mix_bytes(d, blocks, sizeof(blocks));
	}
	say("values", d);
}
