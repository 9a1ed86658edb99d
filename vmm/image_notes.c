/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The notes and the dynamic section of a guest image: what says how it wants to be entered, and what says that it
 * cannot be a guest because somebody would have to link or relocate it first.
 *
 * Sources: gABI chapter 5 (note section, dynamic section); xen/include/public/elfnote.h for XEN_ELFNOTE_PHYS32_ENTRY.
 */
#include "vmm/image_file.h"

#include "base/bytes.h"

#include <hindsight/abi.h>

#include <string.h>

/* A Xen note of this type holds the gpa of the 32-bit PVH entry point in 4 or 8 bytes. */
#define XEN_NOTE_NAME "Xen"
#define XEN_NOTE_PHYS32_ENTRY 18

/* Most bytes of notes or of a dynamic section that are read: a thousand times what real ones have. */
#define SECTION_BYTES_MAX (1u << 20)

/* One note, its parts borrowed from libelf until elf_end(). */
struct note {
	const char *name;
	size_t name_length; /* without the NUL */
	uint32_t type;
	const uint8_t *desc;
	size_t desc_length;
};

static bool is_note(const struct note *note, const char *name, uint32_t type)
{
	return note->type == type && note->name_length == strlen(name) &&
	       memcmp(note->name, name, note->name_length) == 0;
}

static enum hs_status take_native(struct hs_image *image, const struct note *note, struct hs_error *err)
{
	uint32_t version;

	if (note->desc_length != 8) {
		return hs_image_fail(image->path, HS_ERR_FORMAT, 0, err,
				     "has a note \"" HS_NOTE_NAME "\" of %zu bytes instead of 8", note->desc_length);
	}
	version = hs_get_le32(note->desc);
	if (version != HS_NOTE_VERSION) {
		return hs_image_fail(image->path, HS_ERR_UNSUPPORTED, 0, err,
				     "is made for version %u of the guest interface; this hindsight has version %u",
				     version, HS_NOTE_VERSION);
	}
	image->kind = HS_IMAGE_NATIVE;
	image->features = hs_get_le32(note->desc + 4);
	return HS_OK;
}

static enum hs_status take_pvh(struct hs_image *image, const struct note *note, struct hs_error *err)
{
	uint64_t entry;

	if (note->desc_length != 4 && note->desc_length != 8) {
		return hs_image_fail(image->path, HS_ERR_FORMAT, 0, err,
				     "has a PVH entry note of %zu bytes instead of 4 or 8", note->desc_length);
	}
	entry = hs_get_le(note->desc, (unsigned int)note->desc_length);
	if (entry > UINT32_MAX) {
		return hs_image_fail(image->path, HS_ERR_FORMAT, entry, err,
				     "has a PVH entry point above 4 GiB (0x%llx)", (unsigned long long)entry);
	}
	image->pvh_entry = (uint32_t)entry;
	if (image->kind == HS_IMAGE_BARE) {
		image->kind = HS_IMAGE_PVH;
	}
	return HS_OK;
}

static void take_build_id(struct hs_image *image, const struct note *note)
{
	size_t length = note->desc_length;

	if (length > sizeof(image->build_id)) {
		length = sizeof(image->build_id);
	}
	memcpy(image->build_id, note->desc, length);
	image->build_id_length = (uint32_t)length;
}

static enum hs_status take_note(struct hs_image *image, const struct note *note, struct hs_error *err)
{
	if (is_note(note, HS_NOTE_NAME, HS_NOTE_TYPE)) {
		return take_native(image, note, err);
	}
	if (is_note(note, XEN_NOTE_NAME, XEN_NOTE_PHYS32_ENTRY)) {
		return take_pvh(image, note, err);
	}
	if (is_note(note, ELF_NOTE_GNU, NT_GNU_BUILD_ID)) {
		take_build_id(image, note);
	}
	return HS_OK;
}

/* The bytes of a program header, translated by libelf; NULL with *err filled. */
static enum hs_status read_chunk(const struct hs_image_file *file, size_t index, const GElf_Phdr *phdr, Elf_Type type,
				 Elf_Data **ret, struct hs_error *err)
{
	enum hs_status st = hs_image_check_in_file(file, index, phdr->p_offset, phdr->p_filesz, err);
	Elf_Data *data;

	if (st) {
		return st;
	}
	if (phdr->p_filesz > SECTION_BYTES_MAX) {
		return hs_image_fail(file->image->path, HS_ERR_FORMAT, phdr->p_offset, err,
				     "is broken: program header %zu is a note or dynamic section of %llu bytes", index,
				     (unsigned long long)phdr->p_filesz);
	}
	data = elf_getdata_rawchunk(file->elf, (int64_t)phdr->p_offset, phdr->p_filesz, type);
	if (!data) {
		return hs_image_fail(file->image->path, HS_ERR_IO, phdr->p_offset, err,
				     "cannot be read at program header %zu: %s", index, elf_errmsg(-1));
	}
	*ret = data;
	return HS_OK;
}

static enum hs_status read_note_segment(const struct hs_image_file *file, size_t index, const GElf_Phdr *phdr,
					struct hs_error *err)
{
	Elf_Data *data = NULL;
	/* Notes of 8-byte alignment pad their parts to 8 (gABI draft of 2018; .note.gnu.property is one). */
	Elf_Type type = phdr->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR;
	enum hs_status st = read_chunk(file, index, phdr, type, &data, err);
	GElf_Nhdr header;
	size_t name;
	size_t desc;

	if (st) {
		return st;
	}
	/* Ends at the first note that is cut off: linkers pad, and a broken note is one that nobody wrote for us. */
	for (size_t at = 0; (at = gelf_getnote(data, at, &header, &name, &desc)) > 0;) {
		struct note note = {
			.name = (const char *)data->d_buf + name,
			.name_length = header.n_namesz > 0 ? header.n_namesz - 1 : 0,
			.type = header.n_type,
			.desc = (const uint8_t *)data->d_buf + desc,
			.desc_length = header.n_descsz,
		};

		st = take_note(file->image, &note, err);
		if (st) {
			return st;
		}
	}
	return HS_OK;
}

enum hs_status hs_image_read_notes(const struct hs_image_file *file, struct hs_error *err)
{
	GElf_Phdr phdr;

	for (size_t i = 0; i < file->header.e_phnum; i++) {
		if (!gelf_getphdr(file->elf, (int)i, &phdr) || phdr.p_type != PT_NOTE || phdr.p_filesz == 0) {
			continue;
		}
		enum hs_status st = read_note_segment(file, i, &phdr, err);

		if (st) {
			return st;
		}
	}
	return HS_OK;
}

/* Whether an entry of the dynamic section is work for a dynamic linker. The tags that only say where a table is
 * (DT_RELA, DT_JMPREL) are there in many static images with an empty table; the sizes decide. */
static bool needs_linker(const GElf_Dyn *entry)
{
	switch (entry->d_tag) {
	case DT_NEEDED:
		return true;
	case DT_RELASZ:
	case DT_RELSZ:
	case DT_RELRSZ:
	case DT_PLTRELSZ:
		return entry->d_un.d_val > 0;
	default:
		return false;
	}
}

static enum hs_status refuse_dynamic(const struct hs_image_file *file, struct hs_error *err)
{
	return hs_image_fail(file->image->path, HS_ERR_UNSUPPORTED, 0, err,
			     "is a dynamic executable (link with -static -no-pie)");
}

static enum hs_status check_dynamic(const struct hs_image_file *file, size_t index, const GElf_Phdr *phdr,
				    struct hs_error *err)
{
	Elf_Data *data = NULL;
	enum hs_status st = read_chunk(file, index, phdr, ELF_T_DYN, &data, err);
	GElf_Dyn entry;

	if (st) {
		return st;
	}
	for (int i = 0; gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL; i++) {
		if (needs_linker(&entry)) {
			return refuse_dynamic(file, err);
		}
	}
	return HS_OK;
}

enum hs_status hs_image_check_static(const struct hs_image_file *file, struct hs_error *err)
{
	GElf_Phdr phdr;

	for (size_t i = 0; i < file->header.e_phnum; i++) {
		enum hs_status st = HS_OK;

		if (!gelf_getphdr(file->elf, (int)i, &phdr)) {
			continue;
		}
		if (phdr.p_type == PT_INTERP) {
			st = refuse_dynamic(file, err);
		} else if (phdr.p_type == PT_DYNAMIC && phdr.p_filesz > 0) {
			st = check_dynamic(file, i, &phdr, err);
		}
		if (st) {
			return st;
		}
	}
	return HS_OK;
}
