/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/debug_link.h"

#include "base/bytes.h"
#include "base/error.h"
#include "symbols/elf_open.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES (64u << 10)

static Elf_Scn *find_section(Elf *elf)
{
	size_t names;
	Elf_Scn *scn = NULL;

	if (elf_getshdrstrndx(elf, &names) != 0) {
		return NULL;
	}
	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		GElf_Shdr header;
		const char *name = gelf_getshdr(scn, &header) ? elf_strptr(elf, names, header.sh_name) : NULL;

		if (name && strcmp(name, ".gnu_debuglink") == 0) {
			return scn;
		}
	}
	return NULL;
}

/* The name with its NUL, zeros up to a multiple of 4, the checksum. */
static bool parse(const uint8_t *bytes, size_t length, char ret_name[HS_DEBUG_LINK_MAX], uint32_t *ret_crc)
{
	size_t name_length = strnlen((const char *)bytes, length);
	size_t crc_at = (name_length + 4) & ~(size_t)3;
	const char *name = (const char *)bytes;

	if (name_length == 0 || name_length >= HS_DEBUG_LINK_MAX || crc_at > length || length - crc_at < 4 ||
	    memchr(name, '/', name_length) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		return false;
	}
	memcpy(ret_name, name, name_length + 1);
	*ret_crc = hs_get_le32(bytes + crc_at);
	return true;
}

enum hs_status hs_debug_link_read(int fd, const char *name, char ret_name[HS_DEBUG_LINK_MAX], uint32_t *ret_crc,
				  struct hs_error *err)
{
	Elf_Data *data = NULL;
	Elf_Scn *scn;
	enum hs_status st;
	bool found;
	Elf *elf;

	st = hs_elf_open(fd, name, &elf, err);
	if (st) {
		return st;
	}
	scn = find_section(elf);
	data = scn ? elf_rawdata(scn, NULL) : NULL;
	found = data && data->d_buf && parse(data->d_buf, data->d_size, ret_name, ret_crc);
	elf_end(elf);
	return found ? HS_OK : hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "%s names no debug file", name);
}

/* Polynomial 0x04c11db7, least significant bit first. */
static void make_table(uint32_t ret[256])
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;

		for (unsigned int bit = 0; bit < 8; bit++) {
			value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
		}
		ret[i] = value;
	}
}

enum hs_status hs_debug_link_crc(int fd, const char *name, uint32_t *ret, struct hs_error *err)
{
	uint8_t bytes[BLOCK_BYTES];
	uint32_t crc = UINT32_MAX;
	uint32_t table[256];
	off_t at = 0;
	ssize_t got;

	make_table(table);
	while ((got = pread(fd, bytes, sizeof(bytes), at)) != 0) {
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return hs_error_os(err, errno, "cannot read %s", name);
		}
		for (ssize_t i = 0; i < got; i++) {
			crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xff];
		}
		at += got;
	}
	*ret = ~crc;
	return HS_OK;
}
