/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DWARF expressions: a stack machine. See expression.h. */
#include "symbols/expression.h"

#include "symbols/cursor.h"

/** Compilers use three places; nothing sensible takes this many operations. */
#define STACK_MAX 32u
#define STEPS_MAX 1000u

/** The operations (DWARF 5, 7.7.1). */
enum operation {
	ADDR = 0x03,
	DEREF = 0x06,
	CONST1U = 0x08,
	CONST1S = 0x09,
	CONST2S = 0x0B,
	CONST4S = 0x0D,
	CONST8S = 0x0F,
	CONSTU = 0x10,
	CONSTS = 0x11,
	DUP = 0x12,
	DROP = 0x13,
	OVER = 0x14,
	PICK = 0x15,
	SWAP = 0x16,
	ROT = 0x17,
	ABS = 0x19,
	AND = 0x1A,
	DIV = 0x1B,
	MINUS = 0x1C,
	MOD = 0x1D,
	MUL = 0x1E,
	NEG = 0x1F,
	NOT = 0x20,
	OR = 0x21,
	PLUS = 0x22,
	PLUS_UCONST = 0x23,
	SHL = 0x24,
	SHR = 0x25,
	SHRA = 0x26,
	XOR = 0x27,
	BRA = 0x28,
	EQ = 0x29,
	GE = 0x2A,
	GT = 0x2B,
	LE = 0x2C,
	LT = 0x2D,
	NE = 0x2E,
	SKIP = 0x2F,
	LIT0 = 0x30,
	LIT31 = 0x4F,
	BREG0 = 0x70,
	BREG31 = 0x8F,
	BREGX = 0x92,
	DEREF_SIZE = 0x94,
	NO_OPERATION = 0x96,
};

struct machine {
	const struct hs_expression_context *context;
	struct hs_cursor code;
	uint64_t stack[STACK_MAX];
	size_t depth;
	bool failed;
};

/** Cut to the size of an address. */
static uint64_t fit(const struct machine *machine, uint64_t value)
{
	return machine->context->address_bytes == 4 ? (uint32_t)value : value;
}

/** With the sign that the size of an address gives it. */
static int64_t with_sign(const struct machine *machine, uint64_t value)
{
	return machine->context->address_bytes == 4 ? (int32_t)value : (int64_t)value;
}

static void push(struct machine *machine, uint64_t value)
{
	if (machine->depth == STACK_MAX) {
		machine->failed = true;
		return;
	}
	machine->stack[machine->depth++] = fit(machine, value);
}

static uint64_t pop(struct machine *machine)
{
	if (machine->depth == 0) {
		machine->failed = true;
		return 0;
	}
	return machine->stack[--machine->depth];
}

/** The value that many places below the top. */
static uint64_t pick(struct machine *machine, size_t index)
{
	if (index >= machine->depth) {
		machine->failed = true;
		return 0;
	}
	return machine->stack[machine->depth - 1 - index];
}

static void push_register(struct machine *machine, uint64_t reg, int64_t offset)
{
	const struct hs_unwind_registers *registers = machine->context->registers;

	if (reg >= HS_UNWIND_REGISTERS || !(registers->known >> reg & 1)) {
		machine->failed = true;
		return;
	}
	push(machine, registers->value[reg] + (uint64_t)offset);
}

static void push_memory(struct machine *machine, uint64_t address, uint64_t size)
{
	const struct hs_unwind_memory *memory = machine->context->memory;
	uint8_t bytes[8];

	if (machine->failed || size == 0 || size > machine->context->address_bytes ||
	    !memory->read(memory->context, hs_gva_of(address), bytes, size)) {
		machine->failed = true;
		return;
	}
	push(machine, hs_get_le(bytes, (unsigned int)size));
}

static void jump(struct machine *machine, int16_t distance)
{
	struct hs_cursor *code = &machine->code;
	int64_t target = (int64_t)code->at + distance;

	if (target < 0 || target > (int64_t)code->length) {
		machine->failed = true;
		return;
	}
	code->at = (size_t)target;
}

/** DW_OP_const1u to DW_OP_const8s: sizes double, and every other one has a sign. */
static uint64_t fixed_constant(struct machine *machine, unsigned int operation)
{
	uint64_t value = hs_cursor_fixed(&machine->code, 1u << ((operation - CONST1U) / 2));

	switch (operation) {
	case CONST1S:
		return (uint64_t)(int8_t)value;
	case CONST2S:
		return (uint64_t)(int16_t)value;
	case CONST4S:
		return (uint64_t)(int32_t)value;
	default:
		return value;
	}
}

/** Operations that put something on the stack. False when it is none of them. */
static bool execute_push(struct machine *machine, unsigned int operation)
{
	struct hs_cursor *code = &machine->code;

	if (operation >= LIT0 && operation <= LIT31) {
		push(machine, operation - LIT0);
	} else if (operation >= BREG0 && operation <= BREG31) {
		push_register(machine, operation - BREG0, hs_cursor_signed(code));
	} else if (operation >= CONST1U && operation <= CONST8S) {
		push(machine, fixed_constant(machine, operation));
	} else if (operation == BREGX) {
		uint64_t reg = hs_cursor_unsigned(code);

		push_register(machine, reg, hs_cursor_signed(code));
	} else if (operation == ADDR) {
		push(machine, hs_cursor_fixed(code, machine->context->address_bytes));
	} else if (operation == CONSTU) {
		push(machine, hs_cursor_unsigned(code));
	} else if (operation == CONSTS) {
		push(machine, (uint64_t)hs_cursor_signed(code));
	} else {
		return false;
	}
	return true;
}

/** Operations on the stack's places, on memory, on the place in the expression. False when it is none of them. */
static bool execute_place(struct machine *machine, unsigned int operation)
{
	struct hs_cursor *code = &machine->code;
	uint64_t a, b, c;

	switch (operation) {
	case DUP:
		push(machine, pick(machine, 0));
		return true;
	case DROP:
		pop(machine);
		return true;
	case OVER:
		push(machine, pick(machine, 1));
		return true;
	case PICK:
		push(machine, pick(machine, hs_cursor_fixed(code, 1)));
		return true;
	case SWAP:
		a = pop(machine);
		b = pop(machine);
		push(machine, a);
		push(machine, b);
		return true;
	case ROT: /* the top becomes the third */
		a = pop(machine);
		b = pop(machine);
		c = pop(machine);
		push(machine, a);
		push(machine, c);
		push(machine, b);
		return true;
	case DEREF:
		push_memory(machine, pop(machine), machine->context->address_bytes);
		return true;
	case DEREF_SIZE:
		push_memory(machine, pop(machine), hs_cursor_fixed(code, 1));
		return true;
	case SKIP:
		jump(machine, (int16_t)hs_cursor_fixed(code, 2));
		return true;
	case BRA:
		a = hs_cursor_fixed(code, 2);
		jump(machine, pop(machine) != 0 ? (int16_t)a : 0);
		return true;
	case NO_OPERATION:
		return true;
	default:
		return false;
	}
}

/** Operations on the top alone. False when it is none of them. */
static bool execute_unary(struct machine *machine, unsigned int operation)
{
	switch (operation) {
	case ABS:
		push(machine, with_sign(machine, pick(machine, 0)) < 0 ? -pop(machine) : pop(machine));
		return true;
	case NEG:
		push(machine, -pop(machine));
		return true;
	case NOT:
		push(machine, ~pop(machine));
		return true;
	case PLUS_UCONST:
		push(machine, pop(machine) + hs_cursor_unsigned(&machine->code));
		return true;
	default:
		return false;
	}
}

/** Comparisons have signs (DWARF 5, 2.5.1.5). */
static bool compare(unsigned int operation, int64_t left, int64_t right)
{
	switch (operation) {
	case EQ:
		return left == right;
	case GE:
		return left >= right;
	case GT:
		return left > right;
	case LE:
		return left <= right;
	case LT:
		return left < right;
	default:
		return left != right;
	}
}

static uint64_t divide(struct machine *machine, uint64_t left, uint64_t right)
{
	int64_t dividend = with_sign(machine, left), divisor = with_sign(machine, right);

	if (divisor == 0) {
		machine->failed = true;
		return 0;
	}
	/* The quotient of the least number and -1 has no place; negating wraps. */
	return divisor == -1 ? -left : (uint64_t)(dividend / divisor);
}

static uint64_t shift(const struct machine *machine, unsigned int operation, uint64_t value, uint64_t count)
{
	bool negative = with_sign(machine, value) < 0;

	if (count >= 8 * (uint64_t)machine->context->address_bytes) {
		return operation == SHRA && negative ? UINT64_MAX : 0;
	}
	if (operation == SHL) {
		return value << count;
	}
	return operation == SHR ? value >> count : (uint64_t)(with_sign(machine, value) >> count);
}

/** Operations on the two on top. */
static void execute_binary(struct machine *machine, unsigned int operation)
{
	uint64_t right = pop(machine), left = pop(machine);

	switch (operation) {
	case AND:
		push(machine, left & right);
		break;
	case OR:
		push(machine, left | right);
		break;
	case XOR:
		push(machine, left ^ right);
		break;
	case PLUS:
		push(machine, left + right);
		break;
	case MINUS:
		push(machine, left - right);
		break;
	case MUL:
		push(machine, left * right);
		break;
	case DIV:
		push(machine, divide(machine, left, right));
		break;
	case MOD:
		machine->failed = machine->failed || right == 0;
		push(machine, right != 0 ? left % right : 0);
		break;
	case SHL:
	case SHR:
	case SHRA:
		push(machine, shift(machine, operation, left, right));
		break;
	case EQ:
	case GE:
	case GT:
	case LE:
	case LT:
	case NE:
		push(machine, compare(operation, with_sign(machine, left), with_sign(machine, right)));
		break;
	default:
		machine->failed = true;
		break;
	}
}

bool hs_expression_evaluate(const struct hs_expression_context *context, const uint8_t *bytes, size_t length,
			    const uint64_t *initial, uint64_t *ret)
{
	struct machine machine = { .context = context, .code = { .bytes = bytes, .length = length } };

	if (initial != NULL) {
		push(&machine, *initial);
	}
	for (unsigned int step = 0; machine.code.at < length && !machine.failed && !machine.code.failed; step++) {
		unsigned int operation = (unsigned int)hs_cursor_fixed(&machine.code, 1);

		machine.failed = step == STEPS_MAX;
		if (!execute_push(&machine, operation) && !execute_place(&machine, operation) &&
		    !execute_unary(&machine, operation)) {
			execute_binary(&machine, operation);
		}
	}
	if (machine.failed || machine.code.failed || machine.depth == 0) {
		return false;
	}
	*ret = machine.stack[machine.depth - 1];
	return true;
}
