/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitor commands that tell of the guest as it stands. */
#include "session/monitor.h"

#include "arch/regs.h"
#include "base/arith.h"
#include "session/crash.h"

#include <stdio.h>

#define REG_TEXT_MAX (2 + 2 * HS_REG_BYTES_MAX + 1)

static void put_stop(const struct hs_live *live, struct hs_buf *out)
{
	switch (live->end) {
	case HS_LIVE_EXITED:
		hs_buf_printf(out, "state     exited with status %d\n", live->result.event.exit_status);
		return;
	case HS_LIVE_CRASHED:
		hs_buf_printf(out, "state     ended by a crash: %s\n", live->result.event.crash.text);
		return;
	case HS_LIVE_KILLED:
		hs_buf_append_string(out, "state     killed\n");
		return;
	case HS_LIVE_FAILED:
		hs_buf_printf(out, "state     failed: %s\n", live->result.error.message);
		return;
	case HS_LIVE_NOT_ENDED:
		break;
	}
	if (live->crash_pending) {
		hs_buf_printf(out, "state     stopped at a crash (%s): %s\n",
			      hs_crash_reason_name(live->result.event.crash.reason), live->result.event.crash.text);
	} else {
		hs_buf_append_string(out, "state     stopped\n");
	}
}

/* Where the page tables have a segment now: a guest may have moved it, and a snapshot does. */
struct places {
	hs_gpa first;
	uint64_t mapped, pieces;
};

static void find_segment(const struct hs_phys *phys, const struct hs_root *root, const struct hs_vm_segment *segment,
			 struct places *ret)
{
	uint64_t next = 0; /* gpa at which the piece would go on */

	*ret = (struct places){ .mapped = 0 };
	for (uint64_t done = 0; done < segment->length;) {
		uint64_t gva = segment->gva.v + done;
		struct hs_range range;
		uint64_t length;
		uint64_t gpa;

		hs_translate(phys, root, hs_gva_of(gva), &range);
		length = hs_min_u64(range.length - (gva - range.start.v), segment->length - done);
		gpa = range.gpa.v + (gva - range.start.v);
		done += length;
		if (range.kind != HS_RANGE_MAPPED) {
			continue;
		}
		if (ret->pieces == 0) {
			ret->first = hs_gpa_of(gpa);
		}
		ret->pieces += ret->pieces == 0 || gpa != next;
		ret->mapped += length;
		next = gpa + length;
	}
}

static void put_segment(const struct hs_phys *phys, const struct hs_root *root, const struct hs_vm_segment *segment,
			struct hs_buf *out)
{
	struct places places;

	find_segment(phys, root, segment, &places);
	hs_buf_printf(out, "segment   0x%llx..0x%llx %c%c%c ", (unsigned long long)segment->gva.v,
		      (unsigned long long)(segment->gva.v + segment->length), segment->prot & HS_PROT_READ ? 'r' : '-',
		      segment->prot & HS_PROT_WRITE ? 'w' : '-', segment->prot & HS_PROT_EXEC ? 'x' : '-');
	if (places.pieces == 0) {
		hs_buf_append_string(out, "not mapped\n");
		return;
	}
	hs_buf_printf(out, "gpa 0x%llx", (unsigned long long)places.first.v);
	if (places.pieces > 1) {
		hs_buf_printf(out, " and %llu more places", (unsigned long long)places.pieces - 1);
	}
	if (places.mapped < segment->length) {
		hs_buf_printf(out, ", 0x%llx bytes not mapped", (unsigned long long)(segment->length - places.mapped));
	}
	hs_buf_append_byte(out, '\n');
}

enum hs_status hs_monitor_info(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	const struct hs_vm_image *image = hs_vm_image(live->vm);
	struct hs_phys phys = hs_vm_phys(live->vm);
	struct hs_cpu_state cpu;
	struct hs_root root;
	enum hs_status st = hs_vm_cpu_get(live->vm, &cpu, err);

	(void)argument;
	if (st) {
		return st;
	}
	hs_root_of_cpu(&cpu, &root);
	hs_buf_printf(out, "image     %s (%s, %s)\n", image->path, hs_arch_name(image->arch),
		      image->native ? "native" : "bare");
	hs_buf_printf(out, "backend   %s\n", hs_vm_backend_name(live->vm));
	put_stop(live, out);
	hs_buf_printf(out, "paging    %s, root at gpa 0x%llx\n", hs_paging_format_name(root.format),
		      (unsigned long long)root.base.v);
	for (size_t i = 0; i < image->segment_count; i++) {
		put_segment(&phys, &root, &image->segments[i], out);
	}
	return HS_OK;
}

static void reg_text(const struct hs_reg *reg, const struct hs_cpu_state *cpu, char *text)
{
	uint8_t bytes[HS_REG_BYTES_MAX];

	hs_reg_get(reg, cpu, bytes);
	text += sprintf(text, "0x");
	for (unsigned int i = reg->bytes; i > 0; i--) {
		text += sprintf(text, "%02x", bytes[i - 1]);
	}
}

enum hs_status hs_monitor_regs(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_cpu_state cpu;
	const struct hs_reg *regs;
	size_t count;
	enum hs_status st = hs_vm_cpu_get(live->vm, &cpu, err);

	(void)argument;
	if (st) {
		return st;
	}
	regs = hs_regs(hs_vm_image(live->vm)->arch, &count);
	for (size_t i = 0; i < count; i++) {
		char text[REG_TEXT_MAX];

		if (!hs_reg_enabled(&regs[i], &cpu)) {
			continue;
		}
		reg_text(&regs[i], &cpu, text);
		hs_buf_printf(out, "%-10s %s\n", regs[i].name, text);
	}
	return HS_OK;
}
