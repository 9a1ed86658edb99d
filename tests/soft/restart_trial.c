/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "restart_trial.h"

#include "base/bytes.h"
#include "vmm/tss32.h"

#include <stdlib.h>
#include <string.h>

#define ENTRY_PRESENT 1u
#define ENTRY_WRITABLE 2u
#define ENTRY_USER 4u
#define ENTRY_NO_EXECUTE (UINT64_C(1) << 63)

#define ERROR_PRESENT 1u
#define ERROR_WRITE 2u
#define ERROR_USER 4u
#define ERROR_FETCH 16u

#define RFLAGS_DF 0x400u
/* All of the flags of arithmetic. */
#define RFLAGS_BEFORE 0x8D7u
/* CF, PF, ZF and the bit that is always set. */
#define RFLAGS_POKED 0x47u

#define TSS64_RSP1 12u

static uint64_t border_of(unsigned int page)
{
	static const uint64_t borders[] = { TRIAL_SRC, TRIAL_DST, TRIAL_STK, TRIAL_CODE };

	return borders[page / 2];
}

static uint64_t gva_of(unsigned int page)
{
	return border_of(page) - (page % 2 ? 0 : HS_PAGE_SIZE);
}

static uint64_t resolve(const struct trial *trial, enum poke_value value)
{
	unsigned int cpl = trial->machine->config.cpl;
	const struct hs_cpu_state *cpu = &trial->machine->cpu;

	switch (value) {
	case POKE_TARGET:
		return TRIAL_TARGET;
	case POKE_CODE:
		return cpu->seg[HS_CS].selector;
	case POKE_DATA:
		return cpu->seg[HS_DS].selector;
	case POKE_USER_CODE:
		return (trial->machine->config.mode == MACHINE_COMPAT ? MACHINE_CS3_32 : MACHINE_CS3_64) | 3;
	case POKE_USER_DATA:
		return MACHINE_DS3 | 3;
	case POKE_FLAGS:
		return RFLAGS_POKED;
	case POKE_STACK:
		return TRIAL_STACK;
	case POKE_GATE:
		return MACHINE_GATE1 | cpl;
	case POKE_GDT_LIMIT:
		return cpu->gdt.limit;
	case POKE_GDT_BASE:
		return cpu->gdt.base;
	default:
		return 0;
	}
}

static void poke(struct trial *trial, const struct poke *poke)
{
	unsigned int size = poke->size ? poke->size : trial->word;
	uint64_t at = trial->at[poke->place] + (uint64_t)(int64_t)(poke->offset + poke->words * (int)trial->word);
	uint8_t *memory = machine_at(trial->machine, at);

	if (poke->value == POKE_FXSAVE) {
		memcpy(memory, trial->machine->cpu.xsave, size);
		memset(memory + HS_XSAVE_XMM0, 0x5A, 64);
	} else {
		hs_put_le(memory, resolve(trial, poke->value), size);
	}
}

/* Where the places are this time; a repeated instruction crosses the border in any case. */
static void place(struct trial *trial)
{
	static const int data[TRIAL_VARIANTS] = { -1, -2, -3, -5, 0 };
	static const int stack[TRIAL_VARIANTS] = { -4, -2, 0, 2, 4 };
	unsigned int variant = trial->variant;
	int align = trial->row->align ? (int)trial->row->align : 1;
	int stack_align = align == 16 ? 8 : align;

	trial->at[SRC] = TRIAL_SRC + (uint64_t)(int64_t)(data[variant] * align + trial->row->src);
	trial->at[DST] =
		TRIAL_DST + (uint64_t)(int64_t)(data[(variant + 2) % TRIAL_VARIANTS] * align + trial->row->dst);
	trial->at[STK] = TRIAL_STK + (uint64_t)(int64_t)(stack[variant] * stack_align);
}

static void set_registers(struct trial *trial)
{
	struct hs_cpu_state *cpu = &trial->machine->cpu;
	bool wide = trial->machine->config.mode == MACHINE_64;

	for (int i = 0; i < HS_GPR_COUNT; i++) {
		cpu->gpr[i] = i < 8 || wide ? 0x81828384u + 0x01010101u * (unsigned int)i : 0;
	}
	cpu->gpr[HS_RCX] = trial->row->count ? trial->row->count : 69;
	cpu->gpr[HS_RDX] = wide ? UINT64_MAX - 32 : UINT32_MAX - 32;
	cpu->gpr[HS_RSI] = cpu->gpr[HS_RBX] = cpu->gpr[HS_RBP] = trial->at[SRC];
	cpu->gpr[HS_RDI] = trial->at[DST];
	cpu->gpr[HS_RSP] = trial->row->to_ring_1 ? TRIAL_STACK : trial->at[STK];
	cpu->rflags = RFLAGS_BEFORE | (trial->row->backwards ? RFLAGS_DF : 0);
	for (unsigned int i = 0; i < 8 * 16; i++) {
		cpu->xsave[HS_XSAVE_XMM0 + i] = (uint8_t)(i * 5 + 3);
	}
	hs_put_le64(cpu->xsave + HS_XSAVE_XSTATE_BV, hs_get_le64(cpu->xsave + HS_XSAVE_XSTATE_BV) | 3);
	if (trial->row->to_ring_1 && trial->machine->config.mode == MACHINE_32) {
		hs_put_le32(machine_at(trial->machine, MACHINE_TSS + HS_TSS32_ESP0 + 8), (uint32_t)trial->at[STK]);
	} else if (trial->row->to_ring_1) {
		hs_put_le64(machine_at(trial->machine, MACHINE_TSS + TSS64_RSP1), trial->at[STK]);
	}
}

/* The instruction lies across the border, more of it above in each variant; one of a single byte lies behind it. */
static void set_code(struct trial *trial)
{
	static const uint8_t hlt = 0xF4;
	uint64_t length = trial->code.length;
	uint64_t below = length > 1 ? 1 + trial->variant % (length - 1) : 0;
	uint64_t rip = TRIAL_CODE - below;

	memcpy(machine_at(trial->machine, rip), trial->code.bytes, length);
	*machine_at(trial->machine, rip + length) = hlt;
	*machine_at(trial->machine, TRIAL_TARGET) = hlt;
	trial->machine->cpu.rip = rip;
}

static uint64_t address_of(const struct trial *trial, const struct access *access, unsigned int round)
{
	const struct row *row = trial->row;
	int64_t word = row->to_ring_1 && access->place == STK ? trial->cpu_word : trial->word;
	int64_t moved = (int64_t)round * row->element * (row->backwards ? -1 : 1);

	return trial->at[access->place] + (uint64_t)(access->offset + access->words * word + moved);
}

static unsigned int size_of(const struct trial *trial, const struct access *access)
{
	if (access->size) {
		return access->size;
	}
	return trial->row->to_ring_1 && access->place == STK ? trial->cpu_word : trial->word;
}

static bool overlaps(unsigned int page, uint64_t address, uint64_t length)
{
	return address < gva_of(page) + HS_PAGE_SIZE && address + length > gva_of(page);
}

static unsigned int rounds_of(const struct row *row)
{
	return row->count ? row->count : 1;
}

static unsigned int used_pages(const struct trial *trial)
{
	unsigned int used = 0;

	for (unsigned int page = 0; page < TRIAL_PAGES; page++) {
		bool is_used = overlaps(page, trial->machine->cpu.rip, trial->code.length);

		for (unsigned int round = 0; round < rounds_of(trial->row); round++) {
			for (const struct access *a = trial->row->accesses; a->is_used; a++) {
				is_used |= overlaps(page, address_of(trial, a, round), size_of(trial, a));
			}
		}
		used |= is_used ? 1u << page : 0;
	}
	return used;
}

void trial_init(struct trial *trial, struct machine *machine, const struct row *row, unsigned int variant,
		const uint8_t *fresh)
{
	enum machine_mode mode = machine->config.mode;

	memset(trial, 0, sizeof(*trial));
	trial->machine = machine;
	trial->row = row;
	trial->code = row->code[mode == MACHINE_64 ? 0 : 1];
	trial->variant = variant;
	trial->word = mode == MACHINE_64 ? 8 : 4;
	trial->cpu_word = mode == MACHINE_32 ? 4 : 8;
	memcpy(machine->ram, fresh, MACHINE_BYTES);
	for (uint64_t gpa = MACHINE_DATA; gpa < MACHINE_FRAMES; gpa++) {
		*machine_at(machine, gpa) = (uint8_t)(0x40 + ((gpa * 7 + (gpa >> 12)) & 0x3F));
	}
	place(trial);
	set_registers(trial);
	set_code(trial);
	for (unsigned int i = 0; i < ROW_POKES && row->pokes[i].value != POKE_NOTHING; i++) {
		poke(trial, &row->pokes[i]);
	}
	if (row->same) {
		memcpy(machine_at(machine, trial->at[DST]), machine_at(machine, trial->at[SRC]), 64);
	}
	/* The target is reached from ring 3 too. */
	machine_change_entry(machine, TRIAL_TARGET, 0, ENTRY_USER);
	trial->used = used_pages(trial);
	trial->before = machine_copy_memory(machine);
}

void trial_deinit(struct trial *trial)
{
	free(trial->before);
}

void trial_obstruct(struct trial *trial, unsigned int pages, enum obstacle obstacle)
{
	static const uint64_t cleared[OBSTACLES] = { ENTRY_PRESENT, ENTRY_WRITABLE, ENTRY_USER, 0 };
	static const uint64_t set[OBSTACLES] = { 0, 0, 0, ENTRY_NO_EXECUTE };

	memcpy(trial->machine->ram, trial->before, MACHINE_BYTES);
	trial->pages = pages;
	trial->obstacle = obstacle;
	trial->rounds = 0;
	for (unsigned int page = 0; page < TRIAL_PAGES; page++) {
		if (pages & 1u << page) {
			trial->entries[page] = machine_entry(trial->machine, gva_of(page), -1);
			machine_change_entry(trial->machine, gva_of(page), cleared[obstacle], set[obstacle]);
		}
	}
	machine_touched(trial->machine, 0, MACHINE_BYTES);
}

void trial_let_through(struct trial *trial, unsigned int page)
{
	trial->pages &= ~(1u << page);
	machine_set_entry(trial->machine, gva_of(page), -1, trial->entries[page]);
}

/* An access as the page tables see it. */
struct touch {
	uint64_t address;
	unsigned int size;
	bool is_write, is_fetch, is_user;
};

static bool is_stopped_by(const struct touch *touch, enum obstacle obstacle)
{
	switch (obstacle) {
	case READ_ONLY:
		return touch->is_write;
	case SUPERVISOR:
		return touch->is_user;
	case NO_EXECUTE:
		return touch->is_fetch;
	default:
		return true;
	}
}

/* Bits of the page that is not let through first, and the fault's address and error code. */
static bool find_fault(const struct trial *trial, const struct touch *touch, struct trial_fault *ret)
{
	bool has_fetch_bit = trial->machine->root.nxe;
	bool found = false;

	if (!is_stopped_by(touch, trial->obstacle)) {
		return false;
	}
	for (unsigned int page = 0; !found && page < TRIAL_PAGES; page++) {
		if (!(trial->pages & 1u << page) || !overlaps(page, touch->address, touch->size)) {
			continue;
		}
		found = true;
		ret->page = page;
		ret->address = touch->address > gva_of(page) ? touch->address : gva_of(page);
		ret->error_code = (trial->obstacle != NOT_PRESENT ? ERROR_PRESENT : 0) |
				  (touch->is_write ? ERROR_WRITE : 0) | (touch->is_user ? ERROR_USER : 0) |
				  (touch->is_fetch && has_fetch_bit ? ERROR_FETCH : 0);
	}
	return found;
}

static bool find_fetch_fault(const struct trial *trial, struct trial_fault *ret)
{
	const struct touch touch = {
		.address = trial->machine->cpu.rip,
		.size = (unsigned int)trial->code.length,
		.is_fetch = true,
		.is_user = trial->machine->config.cpl == 3,
	};

	return find_fault(trial, &touch, ret);
}

static bool find_access_fault(const struct trial *trial, const struct access *access, unsigned int round,
			      struct trial_fault *ret)
{
	const struct touch touch = {
		.address = address_of(trial, access, round),
		.size = size_of(trial, access),
		.is_write = access->is_write,
		.is_user = trial->machine->config.cpl == 3 && !(trial->row->to_ring_1 && access->place == STK),
	};

	ret->rounds = round;
	return find_fault(trial, &touch, ret);
}

bool trial_next_fault(const struct trial *trial, struct trial_fault *ret)
{
	*ret = (struct trial_fault){ .rounds = trial->rounds };
	if (find_fetch_fault(trial, ret)) {
		return true;
	}
	for (unsigned int round = trial->rounds; round < rounds_of(trial->row); round++) {
		for (const struct access *a = trial->row->accesses; a->is_used; a++) {
			if (find_access_fault(trial, a, round, ret)) {
				return true;
			}
		}
	}
	return false;
}

bool trial_next_fault_at(const struct trial *trial, uint64_t address, struct trial_fault *ret)
{
	const struct row *row = trial->row;
	struct trial_fault fault;

	if (!trial_next_fault(trial, ret)) {
		return false;
	}
	for (const struct access *a = row->accesses; (row->any_order || row->to_ring_1) && a->is_used; a++) {
		bool is_open = row->any_order || a->place == STK;

		if (is_open && !find_fetch_fault(trial, &fault) && find_access_fault(trial, a, 0, &fault) &&
		    fault.address == address) {
			*ret = fault;
		}
	}
	return true;
}

bool trial_blocks_ring_0(const struct trial *trial, uint64_t gva, uint64_t length)
{
	for (unsigned int page = 0; page < TRIAL_PAGES; page++) {
		if ((trial->pages & 1u << page) && overlaps(page, gva, length) &&
		    (trial->obstacle == NOT_PRESENT || trial->obstacle == READ_ONLY)) {
			return true;
		}
	}
	return false;
}

static bool uses(const struct row *row, enum place place)
{
	return row->accesses[0].place == place || (row->accesses[1].is_used && row->accesses[1].place == place);
}

/* The flags of a - b (SDM vol. 1 appendix A). */
static uint64_t flags_of_sub(uint64_t flags, uint64_t a, uint64_t b, unsigned int bytes)
{
	unsigned int top = 8 * bytes - 1;
	uint64_t result = (a - b) & (~UINT64_C(0) >> (63 - top));
	uint64_t now = 0;

	now |= a < b ? 1u : 0;
	now |= __builtin_parityll(result & 0xFF) ? 0 : 4u;
	now |= ((a ^ b ^ result) & 0x10);
	now |= result == 0 ? 0x40u : 0;
	now |= result >> top & 1 ? 0x80u : 0;
	now |= ((a ^ b) & (a ^ result)) >> top & 1 ? 0x800u : 0;
	return (flags & ~(uint64_t)0x8D5) | now;
}

void trial_do_rounds(const struct trial *trial, unsigned int rounds, struct hs_cpu_state *cpu, uint8_t *memory)
{
	const struct row *row = trial->row;
	bool stores = row->accesses[0].is_write || row->accesses[1].is_write;
	uint64_t step = row->backwards ? 0 - (uint64_t)row->element : row->element;

	for (unsigned int i = 0; row->count && i < rounds; i++) {
		uint64_t src = cpu->gpr[HS_RSI];
		uint64_t dst = cpu->gpr[HS_RDI];

		if (row->sets_flags) {
			uint64_t a = uses(row, SRC) ? hs_get_le(memory + src, row->element) : cpu->gpr[HS_RAX];

			a &= ~UINT64_C(0) >> (64 - 8 * row->element);
			cpu->rflags = flags_of_sub(cpu->rflags, a, hs_get_le(memory + dst, row->element), row->element);
		} else if (stores && uses(row, SRC)) {
			memmove(memory + dst, memory + src, row->element);
		} else if (stores) {
			hs_put_le(memory + dst, cpu->gpr[HS_RAX], row->element);
		} else if (!uses(row, DST)) {
			uint64_t mask = row->element >= 4 ? 0 : ~UINT64_C(0) << (8 * row->element);

			cpu->gpr[HS_RAX] = (cpu->gpr[HS_RAX] & mask) | hs_get_le(memory + src, row->element);
		}
		cpu->gpr[HS_RSI] += uses(row, SRC) ? step : 0;
		cpu->gpr[HS_RDI] += uses(row, DST) ? step : 0;
		cpu->gpr[HS_RCX]--;
	}
}
