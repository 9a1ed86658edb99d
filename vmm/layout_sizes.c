/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the sizes somebody asked for to sizes that can be planned with: defaults, whole pages, least and largest. */
#include "vmm/layout_parts.h"

#include "base/arith.h"
#include "base/error.h"

#include <hindsight/abi.h>

#include <string.h>

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* The defaults of guest-abi.md. */
#define HEAP_DEFAULT (128 * KIB)
#define STACK_DEFAULT (64 * KIB)
#define SCRATCH_DEFAULT (288 * KIB)
#define CALL_BUFFER_DEFAULT (16 * KIB)
#define CALL_BUFFER_LEAST (8 * KIB)
#define MEMORY_DEFAULT GIB

/* More than any physical address space of ours, little enough that a few of them never overflow when added. */
#define SIZE_MOST (1ull << 46)
/* Linux allows 2 MiB by default (a quarter of the stack limit); a guest that needs more reads a file. */
#define ARGS_MOST MIB

/* One size: name as in a message, its default and its least value. */
struct size_rule {
	const char *name;
	uint64_t fallback, least;
};

static enum hs_status take_size(const struct size_rule *rule, uint64_t asked, uint64_t *ret, struct hs_error *err)
{
	if (asked == 0) {
		*ret = rule->fallback;
		return HS_OK;
	}
	if (asked < rule->least) {
		return hs_error_set(err, HS_ERR_RANGE, 0, asked,
				    "the %s of %llu bytes is too small: the smallest is %llu bytes", rule->name,
				    (unsigned long long)asked, (unsigned long long)rule->least);
	}
	if (asked > SIZE_MOST) {
		return hs_error_set(err, HS_ERR_RANGE, 0, asked,
				    "the %s of %llu bytes is too large: the largest is %llu bytes", rule->name,
				    (unsigned long long)asked, SIZE_MOST);
	}
	*ret = hs_align_down(asked + HS_PAGE_SIZE - 1, HS_PAGE_SIZE);
	return HS_OK;
}

static enum hs_status take_args(const struct hs_vm_config *config, struct hs_layout_sizes *sizes, struct hs_error *err)
{
	if (config->args_count > 0 && !config->args) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%zu guest arguments are counted but none is given",
				    config->args_count);
	}
	for (size_t i = 0; i < config->args_count; i++) {
		if (!config->args[i]) {
			return hs_error_set(err, HS_ERR_INVALID, 0, i, "guest argument %zu is NULL", i);
		}
		sizes->args += strlen(config->args[i]) + 1;
		if (sizes->args > ARGS_MOST) {
			return hs_error_set(err, HS_ERR_RANGE, 0, i,
					    "the guest's arguments are longer than %llu bytes in all", ARGS_MOST);
		}
	}
	return HS_OK;
}

enum hs_status hs_layout_take_sizes(const struct hs_vm_config *config, struct hs_layout_sizes *ret,
				    struct hs_error *err)
{
	static const struct hs_vm_config defaults;
	const struct hs_vm_config *asked = config ? config : &defaults;
	struct hs_layout_sizes sizes = { .scratch_given = asked->scratch_bytes };
	const struct {
		struct size_rule rule;
		uint64_t asked;
		uint64_t *to;
	} rows[] = {
		{ { "heap", HEAP_DEFAULT, 1 }, asked->heap_bytes, &sizes.heap },
		{ { "stack", STACK_DEFAULT, 1 }, asked->stack_bytes, &sizes.stack },
		{ { "input buffer", CALL_BUFFER_DEFAULT, CALL_BUFFER_LEAST }, asked->input_bytes, &sizes.input },
		{ { "output buffer", CALL_BUFFER_DEFAULT, CALL_BUFFER_LEAST }, asked->output_bytes, &sizes.output },
		{ { "scratch region", SCRATCH_DEFAULT, 1 }, asked->scratch_bytes, &sizes.scratch },
		{ { "guest memory", MEMORY_DEFAULT, 1 }, asked->memory_bytes, &sizes.memory },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum hs_status st = take_size(&rows[i].rule, rows[i].asked, rows[i].to, err);

		if (st) {
			return st;
		}
	}
	enum hs_status st = take_args(asked, &sizes, err);

	if (st) {
		return st;
	}
	sizes.boot = hs_align_down(sizeof(struct hs_abi_boot) + asked->mapping_count * sizeof(struct hs_abi_mapping) +
					   sizes.args + HS_PAGE_SIZE - 1,
				   HS_PAGE_SIZE);
	*ret = sizes;
	return HS_OK;
}

void hs_layout_top_of(enum hs_arch arch, struct hs_layout_top *ret)
{
	if (arch == HS_ARCH_I686) {
		*ret = (struct hs_layout_top){
			.gpa = (uint64_t)HS_I686_SCRATCH_TOP_GPA + 1,
			.gva = (uint64_t)HS_I686_SCRATCH_TOP_GVA + 1,
			.low_end = (uint64_t)HS_I686_SCRATCH_TOP_GVA + 1,
		};
		return;
	}
	*ret = (struct hs_layout_top){
		.gpa = (uint64_t)HS_AMD64_SCRATCH_TOP_GPA + 1,
		.gva = (uint64_t)HS_AMD64_SCRATCH_TOP_GVA + 1,
		/* The end of the low canonical half (SDM vol. 1 3.3.7.1). */
		.low_end = 1ull << 47,
	};
}
