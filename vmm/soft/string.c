/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * movs, cmps, scas, lods, stos, with and without rep. ins and outs are port.c's.
 *
 * A rep does one iteration a call and asks for the next, so that it is interrupted and faults between two of them like
 * the hardware (SDM vol. 2B, REP). Where it goes up through plain memory it does as many at once as stay within one
 * page of each operand; they are counted, and end at a limit, as if done one by one.
 *
 * A fault of a repeated cmps or scas finds the flags of the last comparison, as on AMD's CPUs; Intel's have those from
 * before the first one again. Nothing that started the instruction has to be remembered from one iteration to the next,
 * so that a state saved between two of them is all there is.
 */
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* rsi, rdi and rcx are as wide as the address size. */
static inline uint64_t narrow(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int reg)
{
	return hs_soft_reg(cpu, reg, op->address_bits / 8);
}

static inline void add(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int reg, uint64_t bytes)
{
	hs_soft_set_reg(cpu, reg, op->address_bits / 8, cpu->r[reg] + bytes);
}

static inline void step(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int reg, unsigned int bytes)
{
	add(cpu, op, reg, cpu->rflags & HS_FLAG_DF ? -(uint64_t)bytes : bytes);
}

/* ---- One iteration each; false when it faults ---- */

static inline bool movs(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	uint64_t value;

	if (!hs_soft_load(cpu, op->segment, narrow(cpu, op, HS_RSI), bytes, &value) ||
	    !hs_soft_store(cpu, HS_ES, narrow(cpu, op, HS_RDI), bytes, value)) {
		return false;
	}
	step(cpu, op, HS_RSI, bytes);
	step(cpu, op, HS_RDI, bytes);
	return true;
}

static inline bool stos(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	if (!hs_soft_store(cpu, HS_ES, narrow(cpu, op, HS_RDI), bytes, cpu->r[HS_RAX])) {
		return false;
	}
	step(cpu, op, HS_RDI, bytes);
	return true;
}

static inline bool lods(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	uint64_t value;

	if (!hs_soft_load(cpu, op->segment, narrow(cpu, op, HS_RSI), bytes, &value)) {
		return false;
	}
	hs_soft_set_reg(cpu, HS_RAX, bytes, value);
	step(cpu, op, HS_RSI, bytes);
	return true;
}

static inline bool cmps(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	uint64_t a, b;

	if (!hs_soft_load(cpu, op->segment, narrow(cpu, op, HS_RSI), bytes, &a) ||
	    !hs_soft_load(cpu, HS_ES, narrow(cpu, op, HS_RDI), bytes, &b)) {
		return false;
	}
	hs_soft_flags_sub(cpu, a, b, a - b, bytes);
	step(cpu, op, HS_RSI, bytes);
	step(cpu, op, HS_RDI, bytes);
	return true;
}

static inline bool scas(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	uint64_t a = hs_soft_reg(cpu, HS_RAX, bytes);
	uint64_t b;

	if (!hs_soft_load(cpu, HS_ES, narrow(cpu, op, HS_RDI), bytes, &b)) {
		return false;
	}
	hs_soft_flags_sub(cpu, a, b, a - b, bytes);
	step(cpu, op, HS_RDI, bytes);
	return true;
}

/* ---- Many at once: how many of count iterations were done, 0 when they have to be done one by one ---- */

/* How many of count iterations from this offset on stay in one page, and where it does not wrap around. */
static inline uint64_t within_page(const struct hs_soft_op *op, uint64_t offset, uint64_t gva, unsigned int bytes,
				   uint64_t count)
{
	uint64_t room = HS_PAGE_SIZE - gva % HS_PAGE_SIZE;

	if (op->address_bits < 64 && (UINT64_C(1) << op->address_bits) - offset < room) {
		room = (UINT64_C(1) << op->address_bits) - offset;
	}
	return count < room / bytes ? count : room / bytes;
}

/*
 * The host's address of what rsi or rdi points to, when the page may be read or written there without further ado;
 * *count is cut to what stays in it. Else NULL. The TLB is only the first to be asked: two pages may share an entry.
 */
static inline uint8_t *plain_memory(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int reg, int prot,
				    unsigned int bytes, uint64_t *count)
{
	unsigned int seg = reg == HS_RSI ? op->segment : HS_ES;
	uint64_t offset = narrow(cpu, op, reg);
	uint64_t gva = hs_soft_gva(cpu, seg, offset);
	struct hs_soft_page page;
	uint8_t *direct;

	*count = within_page(op, offset, gva, bytes, *count);
	if (*count == 0 || !(cpu->seg_flat[seg] & prot)) {
		return NULL;
	}
	direct = hs_soft_direct(cpu, seg, gva, bytes, prot);
	if (direct) {
		return direct;
	}
	if (!hs_soft_translate(cpu, cpu->space, gva, prot, &page)) {
		return NULL; /* the iteration that is done alone says so again */
	}
	if (atomic_load_explicit(&cpu->attention, memory_order_relaxed) & HS_SOFT_LOOK_UP) {
		*count = 1; /* tables change, and the code is looked for behind the first element */
	}
	return page.watched || (prot == HS_PROT_WRITE && page.code) ? NULL : page.host;
}

static inline void copy_up(uint8_t *to, const uint8_t *from, unsigned int bytes, uint64_t count)
{
	/* Unless an element is read that has been written before. */
	if ((uintptr_t)to - (uintptr_t)from >= count * bytes) {
		memmove(to, from, count * bytes);
		return;
	}
	for (uint64_t i = 0; i < count; i++) {
		uint64_t element = hs_soft_get_bytes(from + i * bytes, bytes);

		memcpy(to + i * bytes, &element, bytes);
	}
}

static inline uint64_t bulk_movs(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes,
				 uint64_t count)
{
	const uint8_t *from = plain_memory(cpu, op, HS_RSI, HS_PROT_READ, bytes, &count);
	uint8_t *to = from ? plain_memory(cpu, op, HS_RDI, HS_PROT_WRITE, bytes, &count) : NULL;

	if (!to) {
		return 0;
	}
	copy_up(to, from, bytes, count);
	add(cpu, op, HS_RSI, count * bytes);
	add(cpu, op, HS_RDI, count * bytes);
	return count;
}

static inline uint64_t bulk_stos(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes,
				 uint64_t count)
{
	uint8_t *to = plain_memory(cpu, op, HS_RDI, HS_PROT_WRITE, bytes, &count);
	uint64_t value = cpu->r[HS_RAX];

	if (!to) {
		return 0;
	}
	for (uint64_t i = 0; i < count; i++) {
		memcpy(to + i * bytes, &value, bytes);
	}
	add(cpu, op, HS_RDI, count * bytes);
	return count;
}

/* repe goes on while ZF is set, repne while it is clear. */
static inline bool goes_on(const struct hs_soft_op *op, bool equal)
{
	return equal == !(op->prefixes & HS_SOFT_REPNE);
}

static inline uint64_t bulk_scas(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes,
				 uint64_t count)
{
	const uint8_t *from = plain_memory(cpu, op, HS_RDI, HS_PROT_READ, bytes, &count);
	uint64_t a = hs_soft_reg(cpu, HS_RAX, bytes);
	uint64_t done = 0;
	uint64_t b;

	if (!from) {
		return 0;
	}
	do {
		b = hs_soft_get_bytes(from + done * bytes, bytes);
		done++;
	} while (done < count && goes_on(op, a == b));
	hs_soft_flags_sub(cpu, a, b, a - b, bytes);
	add(cpu, op, HS_RDI, done * bytes);
	return done;
}

static inline uint64_t bulk_cmps(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes,
				 uint64_t count)
{
	const uint8_t *left = plain_memory(cpu, op, HS_RSI, HS_PROT_READ, bytes, &count);
	const uint8_t *right = left ? plain_memory(cpu, op, HS_RDI, HS_PROT_READ, bytes, &count) : NULL;
	uint64_t done = 0;
	uint64_t a, b;

	if (!right) {
		return 0;
	}
	do {
		a = hs_soft_get_bytes(left + done * bytes, bytes);
		b = hs_soft_get_bytes(right + done * bytes, bytes);
		done++;
	} while (done < count && goes_on(op, a == b));
	hs_soft_flags_sub(cpu, a, b, a - b, bytes);
	add(cpu, op, HS_RSI, done * bytes);
	add(cpu, op, HS_RDI, done * bytes);
	return done;
}

/* ---- rep ---- */

/* How many of count iterations may be done in one call. */
static inline uint64_t within_limits(const struct hs_soft_cpu *cpu, uint64_t count)
{
	uint64_t left = cpu->limit - cpu->executed;

	if (cpu->careful || (cpu->rflags & HS_FLAG_DF)) {
		return 1;
	}
	return count < left ? count : left;
}

/* one: an iteration; many: as many of count as can be had at once. */
static inline __attribute__((always_inline)) enum hs_soft_flow
repeat(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes,
       bool (*one)(struct hs_soft_cpu *, const struct hs_soft_op *, unsigned int),
       uint64_t (*many)(struct hs_soft_cpu *, const struct hs_soft_op *, unsigned int, uint64_t), bool compares)
{
	uint64_t count = narrow(cpu, op, HS_RCX);
	uint64_t allowed = within_limits(cpu, count);
	uint64_t done = 0;

	if (count == 0) {
		return HS_SOFT_NEXT;
	}
	if (many && allowed > 1) {
		done = many(cpu, op, bytes, allowed);
	}
	if (done == 0) {
		if (!one(cpu, op, bytes)) {
			return HS_SOFT_FAULT;
		}
		done = 1;
	}
	add(cpu, op, HS_RCX, -done);
	cpu->executed += done - 1; /* the loop adds the last one */
	if (done < count && (!compares || goes_on(op, hs_soft_zf(cpu)))) {
		return HS_SOFT_REPEAT;
	}
	cpu->r[HS_SOFT_RIP] = hs_soft_next_rip(cpu, op);
	return HS_SOFT_BRANCH;
}

/* ---- Handlers of one size: alone, and repeated ---- */

#define HANDLER(name, body)                                                                                            \
	static enum hs_soft_flow execute_##name(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)                  \
	{                                                                                                              \
		return body;                                                                                           \
	}

#define PLAIN(name, bytes) HANDLER(name##_##bytes, name(cpu, op, bytes) ? HS_SOFT_NEXT : HS_SOFT_FAULT)
#define MOVING(name, bytes)                                                                                            \
	PLAIN(name, bytes)                                                                                             \
	HANDLER(rep_##name##_##bytes, repeat(cpu, op, bytes, name, bulk_##name, false))
#define LOADING(name, bytes)                                                                                           \
	PLAIN(name, bytes)                                                                                             \
	HANDLER(rep_##name##_##bytes, repeat(cpu, op, bytes, name, NULL, false))
#define COMPARING(name, bytes)                                                                                         \
	PLAIN(name, bytes)                                                                                             \
	HANDLER(rep_##name##_##bytes, repeat(cpu, op, bytes, name, bulk_##name, true))
#define SIZES(kind, name) kind(name, 1) kind(name, 2) kind(name, 4) kind(name, 8)

SIZES(MOVING, movs)
SIZES(MOVING, stos)
SIZES(LOADING, lods)
SIZES(COMPARING, cmps)
SIZES(COMPARING, scas)

/* ---- Selection ---- */

struct handlers {
	/* By the logarithm of the operand size; without and with a prefix that repeats. */
	enum hs_soft_flow (*plain[4])(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);
	enum hs_soft_flow (*rep[4])(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);
};

#define HANDLERS(name)                                                                                                 \
	static const struct handlers name##_handlers = {                                                               \
		{ execute_##name##_1, execute_##name##_2, execute_##name##_4, execute_##name##_8 },                    \
		{ execute_rep_##name##_1, execute_rep_##name##_2, execute_rep_##name##_4, execute_rep_##name##_8 },    \
	}

HANDLERS(movs);
HANDLERS(stos);
HANDLERS(lods);
HANDLERS(cmps);
HANDLERS(scas);

static const struct handlers *handlers_of(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOVSB:
	case ZYDIS_MNEMONIC_MOVSW:
	case ZYDIS_MNEMONIC_MOVSD:
	case ZYDIS_MNEMONIC_MOVSQ:
		return &movs_handlers;
	case ZYDIS_MNEMONIC_STOSB:
	case ZYDIS_MNEMONIC_STOSW:
	case ZYDIS_MNEMONIC_STOSD:
	case ZYDIS_MNEMONIC_STOSQ:
		return &stos_handlers;
	case ZYDIS_MNEMONIC_LODSB:
	case ZYDIS_MNEMONIC_LODSW:
	case ZYDIS_MNEMONIC_LODSD:
	case ZYDIS_MNEMONIC_LODSQ:
		return &lods_handlers;
	case ZYDIS_MNEMONIC_CMPSB:
	case ZYDIS_MNEMONIC_CMPSW:
	case ZYDIS_MNEMONIC_CMPSD:
	case ZYDIS_MNEMONIC_CMPSQ:
		return &cmps_handlers;
	case ZYDIS_MNEMONIC_SCASB:
	case ZYDIS_MNEMONIC_SCASW:
	case ZYDIS_MNEMONIC_SCASD:
	case ZYDIS_MNEMONIC_SCASQ:
		return &scas_handlers;
	default:
		return NULL;
	}
}

bool hs_soft_select_string(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	const struct handlers *handlers = NULL;
	unsigned int size = (unsigned int)__builtin_ctz(op->bytes | 8u);

	/* movsd and cmpsd are names of SSE2 as well. */
	if (decoded->insn.meta.category == ZYDIS_CATEGORY_STRINGOP) {
		handlers = handlers_of(decoded->insn.mnemonic);
	}
	if (!handlers) {
		return false;
	}
	op->execute = op->prefixes & (HS_SOFT_REP | HS_SOFT_REPNE) ? handlers->rep[size] : handlers->plain[size];
	return true;
}
