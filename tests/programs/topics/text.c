/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text: a formatter with widths and bases, a parser and evaluator of expressions, an interpreter. */
#include "../program.h"

struct line {
	char text[128];
	size_t length;
};

static void append(struct line *line, char c)
{
	if (line->length < sizeof(line->text)) {
		line->text[line->length++] = c;
	}
}

struct field {
	bool left, zeros, plus;
	unsigned int width;
	unsigned int longs;
};

static void append_padded(struct line *line, const struct field *field, const char *text, size_t length)
{
	size_t padding = field->width > length ? field->width - length : 0;

	for (size_t i = 0; i < padding && !field->left; i++) {
		append(line, field->zeros ? '0' : ' ');
	}
	for (size_t i = 0; i < length; i++) {
		append(line, text[i]);
	}
	for (size_t i = 0; i < padding && field->left; i++) {
		append(line, ' ');
	}
}

static void append_number(struct line *line, const struct field *field, uint64_t value, unsigned int base,
			  bool negative)
{
	char digits[66];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	if (negative || field->plus) {
		digits[--at] = negative ? '-' : '+';
	}
	append_padded(line, field, digits + at, sizeof(digits) - at);
}

static const char *read_field(const char *format, struct field *field, va_list *list)
{
	for (;; format++) {
		if (*format == '-') {
			field->left = true;
		} else if (*format == '+') {
			field->plus = true;
		} else if (*format == '0') {
			field->zeros = true;
		} else {
			break;
		}
	}
	if (*format == '*') {
		field->width = va_arg(*list, unsigned int);
		format++;
	}
	for (; *format >= '0' && *format <= '9'; format++) {
		field->width = field->width * 10 + (unsigned int)(*format - '0');
	}
	for (; *format == 'l'; format++) {
		field->longs++;
	}
	return format;
}

static void append_field(struct line *line, const struct field *field, char kind, va_list *list)
{
	if (kind == 's') {
		const char *text = va_arg(*list, const char *);

		append_padded(line, field, text, strlen(text));
	} else if (kind == 'c') {
		char c = (char)va_arg(*list, int);

		append_padded(line, field, &c, 1);
	} else if (kind == 'd') {
		int64_t value = field->longs > 1 ? va_arg(*list, long long) : va_arg(*list, int);

		append_number(line, field, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, value < 0);
	} else {
		uint64_t value = field->longs > 1 ? va_arg(*list, unsigned long long) : va_arg(*list, unsigned int);

		append_number(line, field, value, kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10, false);
	}
}

static NOINLINE size_t format(struct line *line, const char *text, ...)
{
	va_list list;

	va_start(list, text);
	line->length = 0;
	while (*text) {
		struct field field = { 0 };

		if (*text != '%') {
			append(line, *text++);
			continue;
		}
		text = read_field(text + 1, &field, &list);
		append_field(line, &field, *text++, &list);
	}
	va_end(list);
	return line->length;
}

void topic_formatting(void)
{
	struct source s = source(0xF02347);
	struct line line;
	uint64_t d = 0;

	for (unsigned int i = 0; i < 6; i++) {
		uint64_t v = next_wide(&s);

		format(&line, "%d|%-8u|%08x|%o|%b", (int)v, (unsigned int)v, (unsigned int)v, (unsigned int)v & 0xFFF,
		       (unsigned int)v & 0xFF);
		say_text("32 bits", line.text, line.length);
		format(&line, "%lld|%+22lld|%-22llu|%llx", (long long)v, (long long)v, (unsigned long long)v,
		       (unsigned long long)v);
		say_text("64 bits", line.text, line.length);
	}
	for (int i = 0; i < 10; i++) {
		format(&line, "%*s|%-*c|%0*d", (unsigned int)i, "abc", (unsigned int)i, 'x', (unsigned int)i,
		       i * 37 - 100);
		d = mix_bytes(d, line.text, line.length);
	}
	say("padded", d);
}

/* sum = product { (+|-) product }; product = factor { (*|/|%) factor }; factor = number | ( sum ) | - factor */
struct parser {
	const char *at;
	unsigned int errors;
};

static int64_t parse_sum(struct parser *parser);

static int64_t parse_factor(struct parser *parser)
{
	int64_t value = 0;

	if (*parser->at == '-') {
		parser->at++;
		return -parse_factor(parser);
	}
	if (*parser->at == '(') {
		parser->at++;
		value = parse_sum(parser);
		parser->errors += *parser->at != ')';
		parser->at++;
		return value;
	}
	parser->errors += *parser->at < '0' || *parser->at > '9';
	while (*parser->at >= '0' && *parser->at <= '9') {
		value = value * 10 + (*parser->at++ - '0');
	}
	return value;
}

static int64_t parse_product(struct parser *parser)
{
	int64_t value = parse_factor(parser);

	while (*parser->at == '*' || *parser->at == '/' || *parser->at == '%') {
		char sign = *parser->at++;
		int64_t other = parse_factor(parser);

		if (sign != '*' && other == 0) {
			parser->errors++;
		} else if (sign == '*') {
			value *= other;
		} else {
			value = sign == '/' ? value / other : value % other;
		}
	}
	return value;
}

static int64_t parse_sum(struct parser *parser)
{
	int64_t value = parse_product(parser);

	while (*parser->at == '+' || *parser->at == '-') {
		bool plus = *parser->at++ == '+';
		int64_t other = parse_product(parser);

		value += plus ? other : -other;
	}
	return value;
}

void topic_parsing(void)
{
	static const char *const texts[] = {
		"1+2*3",
		"(1+2)*3",
		"-(7-12)*-3%4",
		"1000000007*998244353/12345",
		"((((((1+1)*2+1)*2+1)*2+1)*2+1)*2+1)",
		"9223372036854775807-1/3*2",
		"5/0",
		"-9223372036854775807%1000-1",
		"12*(3+4)*(5-(6-7*(8+9)))",
		"x",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct parser parser = { texts[i], 0 };
		int64_t value = parse_sum(&parser);

		say(texts[i], (uint64_t)value);
		say("errors", parser.errors);
	}
}

/* A machine with a stack. The operand of PUSH and of jumps is the next word. */
enum code { PUSH, ADD, SUB, MUL, DIV, DUP, SWAP, OVER, LESS, JUMP, JUMP_ZERO, LOAD, STORE, SAY, STOP };

struct machine {
	int32_t stack[32];
	int32_t memory[16];
	unsigned int top;
	unsigned int steps;
};

static int32_t binary(enum code code, int32_t a, int32_t b)
{
	switch (code) {
	case ADD:
		return (int32_t)((uint32_t)a + (uint32_t)b);
	case SUB:
		return (int32_t)((uint32_t)a - (uint32_t)b);
	case MUL:
		return (int32_t)((uint32_t)a * (uint32_t)b);
	case DIV:
		return b ? a / b : 0;
	default:
		return a < b;
	}
}

static void shuffle(struct machine *m, enum code code)
{
	int32_t *top = &m->stack[m->top - 1];
	int32_t value;

	switch (code) {
	case DUP:
		top[1] = top[0];
		m->top++;
		break;
	case OVER:
		top[1] = top[-1];
		m->top++;
		break;
	case SWAP:
		value = top[0];
		top[0] = top[-1];
		top[-1] = value;
		break;
	case LOAD:
		top[0] = m->memory[top[0] & 15];
		break;
	default:
		m->memory[top[0] & 15] = top[-1];
		m->top -= 2;
		break;
	}
}

static NOINLINE uint64_t interpret(struct machine *m, const int32_t *program)
{
	uint64_t d = 0;
	size_t at = 0;

	for (;; m->steps++) {
		enum code code = (enum code)program[at++];

		switch (code) {
		case PUSH:
			m->stack[m->top++] = program[at++];
			break;
		case JUMP:
			at = (size_t)program[at];
			break;
		case JUMP_ZERO:
			at = m->stack[--m->top] == 0 ? (size_t)program[at] : at + 1;
			break;
		case SAY:
			d = mix(d, (uint64_t)m->stack[--m->top]);
			break;
		case STOP:
			return d;
		case DUP:
		case SWAP:
		case OVER:
		case LOAD:
		case STORE:
			shuffle(m, code);
			break;
		default:
			m->top--;
			m->stack[m->top - 1] = binary(code, m->stack[m->top - 1], m->stack[m->top]);
		}
	}
}

void topic_interpreter(void)
{
	/* Collatz from 27: steps counted in word 0, each number said. Comments begin with the place. */
	static const int32_t collatz[] = {
		PUSH,      27,                                                  /* 0: n */
		DUP,       PUSH, 1,    SUB,  JUMP_ZERO, 43,                     /* 2: while n != 1 */
		PUSH,      0,    LOAD, PUSH, 1,         ADD,  PUSH, 0,   STORE, /* 8: count */
		DUP,       SAY,                                                 /* 17 */
		DUP,       DUP,  PUSH, 2,    DIV,       PUSH, 2,    MUL, SUB,   /* 19: n % 2 */
		JUMP_ZERO, 38,                                                  /* 28 */
		PUSH,      3,    MUL,  PUSH, 1,         ADD,  JUMP, 2,          /* 30: n = 3n + 1 */
		PUSH,      2,    DIV,  JUMP, 2,                                 /* 38: n = n / 2 */
		STOP,                                                           /* 43 */
	};
	struct machine m = { .top = 0 };

	say("numbers", interpret(&m, collatz));
	say("count", (uint64_t)m.memory[0]);
	say("steps", m.steps);
}
