/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arch/xml.h"

#include "arch/regs.h"
#include "base/error.h"

#include <string.h>

/* One bit of a flags type. gdb prints the names of the bits that are set. */
struct bit {
	const char *name;
	uint8_t position;
};

struct flags {
	const char *id;
	const struct bit *bits;
	size_t count;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* EFLAGS (SDM vol. 1, figure 3-8), the names gdb uses; IOPL has two bits and no flag, as in gdb's own. */
static const struct bit eflags_bits[] = {
	{ "CF", 0 },  { "", 1 },    { "PF", 2 },   { "AF", 4 },   { "ZF", 6 },  { "SF", 7 },
	{ "TF", 8 },  { "IF", 9 },  { "DF", 10 },  { "OF", 11 },  { "NT", 14 }, { "RF", 16 },
	{ "VM", 17 }, { "AC", 18 }, { "VIF", 19 }, { "VIP", 20 }, { "ID", 21 },
};

/* MXCSR (SDM vol. 1, figure 10-3). */
static const struct bit mxcsr_bits[] = {
	{ "IE", 0 }, { "DE", 1 }, { "ZE", 2 }, { "OE", 3 },  { "UE", 4 },  { "PE", 5 },  { "DAZ", 6 },
	{ "IM", 7 }, { "DM", 8 }, { "ZM", 9 }, { "OM", 10 }, { "UM", 11 }, { "PM", 12 }, { "FZ", 15 },
};

/* CR0, CR4 (SDM vol. 3A 2.5) and EFER (SDM vol. 3A 2.2.1; AMD64 APM vol. 2 3.1.7 for SVME to TCE). */
static const struct bit cr0_bits[] = {
	{ "PE", 0 },  { "MP", 1 },  { "EM", 2 },  { "TS", 3 },  { "ET", 4 },  { "NE", 5 },
	{ "WP", 16 }, { "AM", 18 }, { "NW", 29 }, { "CD", 30 }, { "PG", 31 },
};
static const struct bit cr4_bits[] = {
	{ "VME", 0 },   { "PVI", 1 },   { "TSD", 2 },   { "DE", 3 },        { "PSE", 4 },         { "PAE", 5 },
	{ "MCE", 6 },   { "PGE", 7 },   { "PCE", 8 },   { "OSFXSR", 9 },    { "OSXMMEXCPT", 10 }, { "UMIP", 11 },
	{ "LA57", 12 }, { "VMXE", 13 }, { "SMXE", 14 }, { "FSGSBASE", 16 }, { "PCIDE", 17 },      { "OSXSAVE", 18 },
	{ "SMEP", 20 }, { "SMAP", 21 }, { "PKE", 22 },  { "CET", 23 },      { "PKS", 24 },
};
static const struct bit efer_bits[] = {
	{ "SCE", 0 },   { "LME", 8 },    { "LMA", 10 },   { "NXE", 11 },
	{ "SVME", 12 }, { "LMSLE", 13 }, { "FFXSR", 14 }, { "TCE", 15 },
};

static const struct flags core_flags[] = { { "i386_eflags", eflags_bits, COUNT(eflags_bits) } };
static const struct flags sse_flags[] = { { "i386_mxcsr", mxcsr_bits, COUNT(mxcsr_bits) } };
static const struct flags control_flags[] = {
	{ "i386_cr0", cr0_bits, COUNT(cr0_bits) },
	{ "i386_cr4", cr4_bits, COUNT(cr4_bits) },
	{ "i386_efer", efer_bits, COUNT(efer_bits) },
};

/* The ways to look at an XMM register, in gdb's order: a vector type each, and the field of vec128 that shows it. */
struct view {
	const char *id;
	const char *element;
	int count;
	const char *field;
};

static const struct view vec128_views[] = {
	{ "v8bf16", "bfloat16", 8, "v8_bfloat16" }, { "v8h", "ieee_half", 8, "v8_half" },
	{ "v4f", "ieee_single", 4, "v4_float" },    { "v2d", "ieee_double", 2, "v2_double" },
	{ "v16i8", "int8", 16, "v16_int8" },        { "v8i16", "int16", 8, "v8_int16" },
	{ "v4i32", "int32", 4, "v4_int32" },        { "v2i64", "int64", 2, "v2_int64" },
};

struct feature {
	const char *name;
	const struct flags *flags;
	size_t flags_count;
};

static const struct feature features[HS_REG_FEATURE_COUNT] = {
	[HS_REG_CORE] = { "org.gnu.gdb.i386.core", core_flags, COUNT(core_flags) },
	[HS_REG_SSE] = { "org.gnu.gdb.i386.sse", sse_flags, COUNT(sse_flags) },
	[HS_REG_SEGMENTS] = { "org.gnu.gdb.i386.segments", NULL, 0 },
	[HS_REG_LINUX] = { "org.gnu.gdb.i386.linux", NULL, 0 },
	[HS_REG_AVX] = { "org.gnu.gdb.i386.avx", NULL, 0 },
	[HS_REG_AVX512] = { "org.gnu.gdb.i386.avx512", NULL, 0 },
	[HS_REG_PKEYS] = { "org.gnu.gdb.i386.pkeys", NULL, 0 },
	[HS_REG_CONTROL] = { "org.hindsight.i386.control", control_flags, COUNT(control_flags) },
};

/* A flags type is as wide as the register that has it, so cr0 of i686 and of amd64 differ. */
static size_t type_size(enum hs_arch arch, const char *id)
{
	size_t count;
	const struct hs_reg *regs = hs_regs(arch, &count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(regs[i].gdb_type, id) == 0) {
			return regs[i].bytes;
		}
	}
	return 4;
}

static void put_flags(struct hs_buf *buf, enum hs_arch arch, const struct flags *flags)
{
	hs_buf_printf(buf, "    <flags id=\"%s\" size=\"%zu\">\n", flags->id, type_size(arch, flags->id));
	for (size_t i = 0; i < flags->count; i++) {
		const struct bit *bit = &flags->bits[i];

		hs_buf_printf(buf, "      <field name=\"%s\" start=\"%d\" end=\"%d\" type=\"bool\"/>\n", bit->name,
			      bit->position, bit->position);
	}
	hs_buf_append_string(buf, "    </flags>\n");
}

static void put_vec128(struct hs_buf *buf)
{
	for (size_t i = 0; i < COUNT(vec128_views); i++) {
		const struct view *view = &vec128_views[i];

		hs_buf_printf(buf, "    <vector id=\"%s\" type=\"%s\" count=\"%d\"/>\n", view->id, view->element,
			      view->count);
	}
	hs_buf_append_string(buf, "    <union id=\"vec128\">\n");
	for (size_t i = 0; i < COUNT(vec128_views); i++) {
		hs_buf_printf(buf, "      <field name=\"%s\" type=\"%s\"/>\n", vec128_views[i].field,
			      vec128_views[i].id);
	}
	hs_buf_append_string(buf, "      <field name=\"uint128\" type=\"uint128\"/>\n    </union>\n");
}

/* What "info float" and "info vector" select by; all else is general. gdb 13 ignores save-restore on x86. */
static const char *extra_attributes(const struct hs_reg *reg)
{
	switch (reg->feature) {
	case HS_REG_CORE:
		return strcmp(reg->gdb_type, "int") == 0 ? " group=\"float\"" : "";
	case HS_REG_SSE:
		return strcmp(reg->gdb_type, "i386_mxcsr") == 0 ? " group=\"vector\"" : "";
	default:
		return "";
	}
}

static bool has_feature(const struct hs_reg *const *regs, size_t count, enum hs_reg_feature which)
{
	for (size_t i = 0; i < count; i++) {
		if (regs[i]->feature == which) {
			return true;
		}
	}
	return false;
}

/* The types that are not flags. */
static void put_types(struct hs_buf *buf, enum hs_reg_feature which, bool high_registers)
{
	if (which == HS_REG_SSE || (which == HS_REG_AVX512 && high_registers)) {
		put_vec128(buf);
	}
	if (which == HS_REG_AVX512) {
		hs_buf_append_string(buf, "    <vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>\n");
	}
}

static void put_feature(struct hs_buf *buf, enum hs_arch arch, const struct hs_reg *const *regs, size_t count,
			enum hs_reg_feature which)
{
	const struct feature *feature = &features[which];

	hs_buf_printf(buf, "  <feature name=\"%s\">\n", feature->name);
	put_types(buf, which, arch == HS_ARCH_AMD64);
	for (size_t i = 0; i < feature->flags_count; i++) {
		put_flags(buf, arch, &feature->flags[i]);
	}
	for (size_t i = 0; i < count; i++) {
		if (regs[i]->feature == which) {
			hs_buf_printf(buf, "    <reg name=\"%s\" bitsize=\"%d\" type=\"%s\" regnum=\"%zu\"%s/>\n",
				      regs[i]->name, 8 * regs[i]->bytes, regs[i]->gdb_type, i,
				      extra_attributes(regs[i]));
		}
	}
	hs_buf_append_string(buf, "  </feature>\n");
}

enum hs_status hs_arch_target_xml(enum hs_arch arch, uint64_t xcr0, struct hs_buf *ret, struct hs_error *err)
{
	const struct hs_reg *regs[HS_REGS_MAX];
	size_t count = hs_regs_of(arch, xcr0, regs);

	hs_buf_append_string(ret, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n");
	hs_buf_printf(ret, "<target version=\"1.0\">\n  <architecture>%s</architecture>\n",
		      arch == HS_ARCH_I686 ? "i386" : "i386:x86-64");
	for (int i = 0; i < HS_REG_FEATURE_COUNT; i++) {
		if (has_feature(regs, count, (enum hs_reg_feature)i)) {
			put_feature(ret, arch, regs, count, (enum hs_reg_feature)i);
		}
	}
	hs_buf_append_string(ret, "</target>\n");
	if (ret->failed) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "target description: no room for it");
	}
	return HS_OK;
}
