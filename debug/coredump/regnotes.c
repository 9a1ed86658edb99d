/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Register notes. See regnotes.h. */
#include "coredump/regnotes.h"

#include "base/arith.h"
#include "base/bytes.h"

#include <string.h>

/** Offset of XCR0 in NT_X86_XSTATE: the first word of the 48 bytes that the FXSAVE image leaves to software (SDM vol. 1
 *  10.5.1, bytes 464..511). Linux stores xfeatures there (struct _fpx_sw_bytes is for signal frames; cores have
 *  USER_XSTATE_XCR0_WORD = 0), and gdb reads it (I386_LINUX_XSAVE_XCR0_OFFSET). */
#define XSTATE_XCR0_OFFSET 464u

/** struct elf_prstatus: where the fields lie. */
struct prstatus_layout {
	uint16_t bytes, cursig, pid, registers, register_bytes, fpvalid;
};

static const struct prstatus_layout PRSTATUS[] = {
	/* siginfo 0..11, cursig 12, sigpend 16, sighold 24, pid 32 .. sid 44, four struct timeval of 16 from 48, 27
	 * registers of 8 from 112, fpvalid 328. */
	[HS_ARCH_AMD64] = { HS_PRSTATUS64_BYTES, 12, 32, 112, 27 * 8, 328 },
	/* siginfo 0..11, cursig 12, sigpend 16, sighold 20, pid 24 .. sid 36, four struct timeval of 8 from 40, 17
	 * registers of 4 from 72, fpvalid 140. */
	[HS_ARCH_I686] = { HS_PRSTATUS32_BYTES, 12, 24, 72, 17 * 4, 140 },
};

size_t hs_prstatus_bytes(enum hs_arch arch)
{
	return PRSTATUS[arch].bytes;
}

void hs_prstatus_put(enum hs_arch arch, const struct hs_cpu_state *cpu, int signal, uint32_t pid, uint8_t *ret)
{
	const struct prstatus_layout *layout = &PRSTATUS[arch];
	uint8_t *registers = ret + layout->registers;
	size_t count;
	const struct hs_reg *rows = hs_regs(arch, &count);

	memset(ret, 0, layout->bytes);
	hs_put_le32(ret, (uint32_t)signal); /* pr_info.si_signo */
	hs_put_le16(ret + layout->cursig, (uint16_t)signal);
	hs_put_le32(ret + layout->pid, pid);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].prstatus >= 0 && rows[i].prstatus + rows[i].bytes <= layout->register_bytes) {
			hs_reg_get(&rows[i], cpu, registers + rows[i].prstatus);
		}
	}
	hs_put_le32(ret + layout->fpvalid, 1);
}

void hs_prstatus_get(enum hs_arch arch, const uint8_t *desc, struct hs_cpu_state *ret)
{
	const struct prstatus_layout *layout = &PRSTATUS[arch];
	size_t count;
	const struct hs_reg *rows = hs_regs(arch, &count);

	for (size_t i = 0; i < count; i++) {
		if (rows[i].prstatus >= 0 && rows[i].prstatus + rows[i].bytes <= layout->register_bytes) {
			hs_reg_set(&rows[i], ret, desc + layout->registers + rows[i].prstatus);
		}
	}
}

int hs_prstatus_signal(enum hs_arch arch, const uint8_t *desc)
{
	return hs_get_le16(desc + PRSTATUS[arch].cursig);
}

/** The low 32 bits of a register by gdb's name; 0 when the table has no such row. */
static uint32_t register32(const struct hs_cpu_state *cpu, const char *name)
{
	const struct hs_reg *row = hs_reg_by_name(HS_ARCH_I686, name);
	uint8_t bytes[HS_REG_BYTES_MAX] = { 0 };

	if (row != NULL) {
		hs_reg_get(row, cpu, bytes);
	}
	return hs_get_le32(bytes);
}

void hs_fsave_put(const struct hs_cpu_state *cpu, uint8_t *ret)
{
	/* struct user_i387_ia32_struct: cwd, swd, twd, fip, fcs, foo, fos, then eight registers of 10 bytes. The upper
	 * halves of 16-bit fields read as ones, as FSAVE writes them (SDM vol. 1 figure 8-9), but that of fcs, which
	 * has the opcode. */
	hs_put_le32(ret, 0xFFFF0000u | register32(cpu, "fctrl"));
	hs_put_le32(ret + 4, 0xFFFF0000u | register32(cpu, "fstat"));
	hs_put_le32(ret + 8, 0xFFFF0000u | register32(cpu, "ftag"));
	hs_put_le32(ret + 12, register32(cpu, "fioff"));
	hs_put_le32(ret + 16, (register32(cpu, "fiseg") & 0xFFFFu) | register32(cpu, "fop") << 16);
	hs_put_le32(ret + 20, register32(cpu, "fooff"));
	hs_put_le32(ret + 24, 0xFFFF0000u | register32(cpu, "foseg"));
	for (unsigned int i = 0; i < 8; i++) {
		memcpy(ret + 28 + 10 * i, cpu->xsave + HS_XSAVE_ST0 + 16 * i, 10);
	}
}

size_t hs_xstate_bytes(uint64_t xcr0, uint32_t known)
{
	/* Component (bit of XCR0) and its end in the standard format: 2 AVX 576 + 256, 3 BNDREGS 960 + 64, 4 BNDCSR
	 * 1024 + 64, 5 opmask 1088 + 64, 6 ZMM_Hi256 1152 + 512, 7 Hi16_ZMM 1664 + 1024, 9 PKRU 2688 + 8. */
	static const struct {
		uint8_t bit;
		uint16_t end;
	} COMPONENTS[] = { { 2, 832 }, { 3, 1024 }, { 4, 1088 }, { 5, 1152 }, { 6, 1664 }, { 7, 2688 }, { 9, 2696 } };
	size_t bytes = HS_XSTATE_MIN_BYTES;

	if (known >= HS_XSTATE_MIN_BYTES && known <= HS_XSAVE_SIZE) {
		return known;
	}
	for (size_t i = 0; i < sizeof(COMPONENTS) / sizeof(COMPONENTS[0]); i++) {
		if (xcr0 >> COMPONENTS[i].bit & 1) {
			bytes = COMPONENTS[i].end;
		}
	}
	return bytes;
}

void hs_xstate_put(const struct hs_cpu_state *cpu, size_t length, uint8_t *ret)
{
	memcpy(ret, cpu->xsave, length);
	memset(ret + XSTATE_XCR0_OFFSET, 0, HS_FXSAVE_BYTES - XSTATE_XCR0_OFFSET);
	/* The legacy area always holds x87 and SSE, also of a guest that uses FXSAVE and never set XCR0[1]. */
	hs_put_le64(ret + XSTATE_XCR0_OFFSET, cpu->xcr0 | 3);
}

void hs_xstate_get(const uint8_t *desc, size_t length, struct hs_cpu_state *ret)
{
	memset(ret->xsave, 0, sizeof(ret->xsave));
	memcpy(ret->xsave, desc, hs_min_u64(length, sizeof(ret->xsave)));
	memset(ret->xsave + XSTATE_XCR0_OFFSET, 0, HS_FXSAVE_BYTES - XSTATE_XCR0_OFFSET);
	ret->xcr0 = hs_get_le64(desc + XSTATE_XCR0_OFFSET);
}
