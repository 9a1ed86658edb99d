/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The notes of a core, in the order in which Linux writes them (fs/binfmt_elf.c, fill_note_info and write_note_info,
 * 6.x): first CPU's NT_PRSTATUS, NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE, the first CPU's other registers, then all
 * registers of each further CPU. Ours come last, and their last one is the checksum of all others.
 *
 * In: the input of a core. Out: the bytes of its PT_NOTE.
 */
#ifndef HS_COREDUMP_NOTES_H
#define HS_COREDUMP_NOTES_H

#include "base/buf.h"
#include "coredump/vmnote.h"

#include <hindsight/coredump.h>

/** Sizes and places that the reader shares. */
enum {
	HS_PRPSINFO64_BYTES = 136,
	HS_PRPSINFO32_BYTES = 124,
	HS_PRPSINFO_NAME_BYTES = 16, /* pr_fname */
	HS_PRPSINFO_LINE_BYTES = 80, /* pr_psargs, the last field */
	HS_SIGINFO_BYTES = 128,
};

/** Where pr_fname is in NT_PRPSINFO. */
size_t hs_prpsinfo_name_offset(enum hs_arch arch);
/** Where si_addr is in NT_SIGINFO. */
size_t hs_siginfo_address_offset(enum hs_arch arch);

/**
 * The id that the notes give the CPU of this index, for pr_pid: debuggers number threads by it, and 0 is none. That of
 * the first CPU tells the address space, the index of its root + 1; further CPUs come behind all spaces.
 */
static inline uint32_t hs_core_thread_id(const struct hs_core_input *input, size_t cpu)
{
	size_t spaces = input->space_count > 0 ? input->space_count : 1;

	return (uint32_t)(cpu == 0 ? input->space_index + 1 : spaces + cpu);
}

/** Put all notes into an empty buffer. Failing to grow is the buffer's sticky state, checked by the caller. */
void hs_notes_put(struct hs_buf *buf, const struct hs_core_input *input, const struct hs_vmnote *vmnote);

#endif
