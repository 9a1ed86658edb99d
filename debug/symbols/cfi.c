/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Call-frame information: the table, and what its instructions say. See cfi.h. */
#include "symbols/cfi.h"

#include "symbols/cursor.h"

#include <stdlib.h>
#include <string.h>

/** Most functions, and bytes of instructions, that are kept: a Linux kernel has some 200,000 in 10 MiB. */
#define FDES_MAX (1u << 22)
#define BYTES_MAX ((size_t)256 << 20)

/** How far a lookup goes back over functions that end before the address: one does not lie in another. */
#define BACK_MAX 8u

/** Depth of DW_CFA_remember_state; compilers nest it not at all. */
#define STATES_MAX 8u

/** The instructions (DWARF 5, 7.24; the GNU ones: LSB Core 5.0, 10.5.2). The first three have an operand in the low six
 *  bits. */
enum operation {
	ADVANCE_LOC = 0x40,
	OFFSET = 0x80,
	RESTORE = 0xC0,
	OPERAND_MASK = 0x3F,
	NOP = 0x00,
	ADVANCE_LOC1 = 0x02,
	ADVANCE_LOC2 = 0x03,
	ADVANCE_LOC4 = 0x04,
	OFFSET_EXTENDED = 0x05,
	RESTORE_EXTENDED = 0x06,
	UNDEFINED = 0x07,
	SAME_VALUE = 0x08,
	REGISTER = 0x09,
	REMEMBER_STATE = 0x0A,
	RESTORE_STATE = 0x0B,
	DEF_CFA = 0x0C,
	DEF_CFA_REGISTER = 0x0D,
	DEF_CFA_OFFSET = 0x0E,
	DEF_CFA_EXPRESSION = 0x0F,
	EXPRESSION = 0x10,
	OFFSET_EXTENDED_SF = 0x11,
	DEF_CFA_SF = 0x12,
	DEF_CFA_OFFSET_SF = 0x13,
	VAL_OFFSET = 0x14,
	VAL_OFFSET_SF = 0x15,
	VAL_EXPRESSION = 0x16,
	GNU_ARGS_SIZE = 0x2E,
	GNU_NEGATIVE_OFFSET_EXTENDED = 0x2F,
};

/** Instructions while they are executed. */
struct machine {
	const struct hs_cfi_cie *cie;
	struct hs_cursor code;
	uint64_t at, address; /* the row's address so far, and the wanted one */
	struct hs_cfi_row row, initial;
	struct hs_cfi_row states[STATES_MAX];
	size_t state_count;
	bool broken;
};

void hs_cfi_init(struct hs_cfi_table *table)
{
	*table = (struct hs_cfi_table){ 0 };
	hs_buf_init(&table->bytes, BYTES_MAX);
}

void hs_cfi_deinit(struct hs_cfi_table *table)
{
	free(table->cies);
	free(table->fdes);
	hs_buf_deinit(&table->bytes);
	*table = (struct hs_cfi_table){ 0 };
}

/** Make room for one more; false when there is none. */
static bool reserve(void **items, size_t count, size_t *capacity, size_t item_bytes)
{
	if (count < *capacity) {
		return true;
	}
	size_t larger_capacity = 2 * *capacity + 64;
	void *larger = larger_capacity <= FDES_MAX ? reallocarray(*items, larger_capacity, item_bytes) : NULL;

	if (larger == NULL) {
		return false;
	}
	*items = larger;
	*capacity = larger_capacity;
	return true;
}

bool hs_cfi_add_cie(struct hs_cfi_table *table, struct hs_cfi_cie cie, const uint8_t *instructions, uint32_t *ret)
{
	void *items = table->cies;

	if (!reserve(&items, table->cie_count, &table->cie_capacity, sizeof(cie))) {
		return false;
	}
	table->cies = items;
	cie.instructions = table->bytes.length;
	*ret = (uint32_t)table->cie_count;
	table->cies[table->cie_count++] = cie;
	return hs_buf_append(&table->bytes, instructions, cie.length);
}

bool hs_cfi_add_fde(struct hs_cfi_table *table, struct hs_cfi_fde fde, const uint8_t *instructions)
{
	void *items = table->fdes;

	if (!reserve(&items, table->fde_count, &table->fde_capacity, sizeof(fde))) {
		return false;
	}
	table->fdes = items;
	fde.instructions = table->bytes.length;
	fde.order = (uint32_t)table->fde_count;
	table->fdes[table->fde_count++] = fde;
	return hs_buf_append(&table->bytes, instructions, fde.length);
}

static int compare_fdes(const void *left, const void *right)
{
	const struct hs_cfi_fde *a = left, *b = right;

	if (a->start != b->start) {
		return a->start < b->start ? -1 : 1;
	}
	/* The first one comes last: a lookup goes backwards. */
	return a->order > b->order ? -1 : a->order < b->order;
}

void hs_cfi_sort(struct hs_cfi_table *table)
{
	if (table->fde_count > 0) {
		qsort(table->fdes, table->fde_count, sizeof(*table->fdes), compare_fdes);
	}
}

const struct hs_cfi_fde *hs_cfi_at(const struct hs_cfi_table *table, uint64_t address)
{
	size_t low = 0, high = table->fde_count;

	/* Behind the last one that starts at or before the address. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->fdes[middle].start <= address) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	for (size_t back = 0; back < BACK_MAX && back < low; back++) {
		const struct hs_cfi_fde *fde = &table->fdes[low - 1 - back];

		if (address < fde->end) {
			return fde;
		}
	}
	return NULL;
}

/** The rule of a register; registers that are not kept (vectors) have one that nobody looks at. */
static struct hs_cfi_rule *rule_of(struct machine *machine, uint64_t reg, struct hs_cfi_rule *other)
{
	return reg < HS_UNWIND_REGISTERS ? &machine->row.registers[reg] : other;
}

static int64_t factored(const struct machine *machine, uint64_t offset)
{
	return (int64_t)(offset * (uint64_t)machine->cie->data_alignment);
}

static void take_block(struct machine *machine, struct hs_cfi_rule *rule, enum hs_cfi_how how)
{
	uint64_t length = hs_cursor_unsigned(&machine->code);
	const uint8_t *bytes = hs_cursor_take(&machine->code, length);

	*rule = (struct hs_cfi_rule){ .how = how, .expression = bytes, .expression_length = length };
}

/** To a later row. False when the wanted one ends there. */
static bool advance(struct machine *machine, uint64_t delta)
{
	uint64_t next = machine->at + delta * machine->cie->code_alignment;

	if (next > machine->address || next < machine->at) {
		return false;
	}
	machine->at = next;
	return true;
}

/** Instructions about the CFA. False when it is none of them. */
static bool execute_cfa(struct machine *machine, unsigned int operation)
{
	struct hs_cfi_rule *cfa = &machine->row.cfa;
	struct hs_cursor *code = &machine->code;

	switch (operation) {
	case DEF_CFA:
	case DEF_CFA_SF:
		*cfa = (struct hs_cfi_rule){ .how = HS_CFI_REGISTER };
		cfa->reg = (uint32_t)hs_cursor_unsigned(code);
		cfa->offset = operation == DEF_CFA ? (int64_t)hs_cursor_unsigned(code)
						   : factored(machine, (uint64_t)hs_cursor_signed(code));
		return true;
	case DEF_CFA_REGISTER:
		machine->broken = machine->broken || cfa->how != HS_CFI_REGISTER;
		cfa->reg = (uint32_t)hs_cursor_unsigned(code);
		return true;
	case DEF_CFA_OFFSET:
	case DEF_CFA_OFFSET_SF:
		machine->broken = machine->broken || cfa->how != HS_CFI_REGISTER;
		cfa->offset = operation == DEF_CFA_OFFSET ? (int64_t)hs_cursor_unsigned(code)
							  : factored(machine, (uint64_t)hs_cursor_signed(code));
		return true;
	case DEF_CFA_EXPRESSION:
		take_block(machine, cfa, HS_CFI_VAL_EXPRESSION);
		return true;
	default:
		return false;
	}
}

/** Instructions about a register, whose number is their first operand. False when it is none of them. */
static bool execute_rule(struct machine *machine, unsigned int operation)
{
	struct hs_cursor *code = &machine->code, start = *code;
	uint64_t reg = hs_cursor_unsigned(code);
	struct hs_cfi_rule other = { 0 }, *rule = rule_of(machine, reg, &other);

	switch (operation) {
	case OFFSET_EXTENDED:
	case VAL_OFFSET:
		*rule = (struct hs_cfi_rule){ .offset = factored(machine, hs_cursor_unsigned(code)) };
		rule->how = operation == VAL_OFFSET ? HS_CFI_VAL_OFFSET : HS_CFI_OFFSET;
		return true;
	case OFFSET_EXTENDED_SF:
	case VAL_OFFSET_SF:
		*rule = (struct hs_cfi_rule){ .offset = factored(machine, (uint64_t)hs_cursor_signed(code)) };
		rule->how = operation == VAL_OFFSET_SF ? HS_CFI_VAL_OFFSET : HS_CFI_OFFSET;
		return true;
	case GNU_NEGATIVE_OFFSET_EXTENDED:
		*rule = (struct hs_cfi_rule){ .how = HS_CFI_OFFSET };
		rule->offset = factored(machine, -hs_cursor_unsigned(code));
		return true;
	case RESTORE_EXTENDED:
		if (reg < HS_UNWIND_REGISTERS) {
			*rule = machine->initial.registers[reg];
		}
		return true;
	case UNDEFINED:
	case SAME_VALUE:
		*rule = (struct hs_cfi_rule){ .how = operation == UNDEFINED ? HS_CFI_UNDEFINED : HS_CFI_SAME };
		return true;
	case REGISTER:
		*rule = (struct hs_cfi_rule){ .how = HS_CFI_REGISTER, .reg = (uint32_t)hs_cursor_unsigned(code) };
		return true;
	case EXPRESSION:
	case VAL_EXPRESSION:
		take_block(machine, rule, operation == EXPRESSION ? HS_CFI_EXPRESSION : HS_CFI_VAL_EXPRESSION);
		return true;
	default:
		*code = start;
		return false;
	}
}

/** What is left. False when the wanted row ends here. */
static bool execute_other(struct machine *machine, unsigned int operation)
{
	struct hs_cursor *code = &machine->code;

	switch (operation) {
	case NOP:
		return true;
	case ADVANCE_LOC1:
		return advance(machine, hs_cursor_fixed(code, 1));
	case ADVANCE_LOC2:
		return advance(machine, hs_cursor_fixed(code, 2));
	case ADVANCE_LOC4:
		return advance(machine, hs_cursor_fixed(code, 4));
	case GNU_ARGS_SIZE: /* what exception handling in C++ pops */
		hs_cursor_unsigned(code);
		return true;
	case REMEMBER_STATE:
		machine->broken = machine->broken || machine->state_count == STATES_MAX;
		if (!machine->broken) {
			machine->states[machine->state_count++] = machine->row;
		}
		return true;
	case RESTORE_STATE:
		machine->broken = machine->broken || machine->state_count == 0;
		if (!machine->broken) {
			machine->row = machine->states[--machine->state_count];
		}
		return true;
	default:
		/* Among them DW_CFA_set_loc, whose operand has an encoding of its own; gas makes none of it. */
		machine->broken = true;
		return true;
	}
}

static bool execute_one(struct machine *machine)
{
	unsigned int operation = (unsigned int)hs_cursor_fixed(&machine->code, 1);
	unsigned int operand = operation & OPERAND_MASK;
	struct hs_cfi_rule other = { 0 }, *rule = rule_of(machine, operand, &other);

	switch (operation & ~(unsigned int)OPERAND_MASK) {
	case ADVANCE_LOC:
		return advance(machine, operand);
	case OFFSET:
		*rule = (struct hs_cfi_rule){ .how = HS_CFI_OFFSET };
		rule->offset = factored(machine, hs_cursor_unsigned(&machine->code));
		return true;
	case RESTORE:
		if (operand < HS_UNWIND_REGISTERS) {
			*rule = machine->initial.registers[operand];
		}
		return true;
	default:
		return execute_cfa(machine, operation) || execute_rule(machine, operation) ||
		       execute_other(machine, operation);
	}
}

static bool execute(struct machine *machine, const uint8_t *instructions, size_t length)
{
	machine->code = (struct hs_cursor){ .bytes = instructions, .length = length };
	while (machine->code.at < machine->code.length && !machine->broken && !machine->code.failed) {
		if (!execute_one(machine)) {
			break;
		}
	}
	return !machine->broken && !machine->code.failed;
}

bool hs_cfi_row_at(const struct hs_cfi_table *table, const struct hs_cfi_fde *fde, uint64_t address,
		   struct hs_cfi_row *ret)
{
	const struct hs_cfi_cie *cie = &table->cies[fde->cie];
	struct machine machine = { .cie = cie, .at = fde->start, .address = address };

	if (!execute(&machine, table->bytes.data + cie->instructions, cie->length)) {
		return false;
	}
	machine.initial = machine.row;
	if (!execute(&machine, table->bytes.data + fde->instructions, fde->length)) {
		return false;
	}
	machine.row.return_column = cie->return_column;
	machine.row.is_signal_frame = cie->is_signal_frame;
	*ret = machine.row;
	return ret->cfa.how != HS_CFI_UNSPECIFIED && ret->return_column < HS_UNWIND_REGISTERS;
}
