/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes as a guest that has crashed: its registers, its page tables, its stack and its code are whatever the input
 * says. A report comes of it, in each of its forms, whole.
 *
 * Input: 1 byte of control (bits 0 to 2: format of paging; bit 3: the architecture; bits 4 to 6, all of them: symbols,
 * those of this program, and rip in it), 1 byte signal, then the registers, then memory, which repeats.
 */
#include "driver.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "cli/report_print.h"
#include "session/report.h"

#include <signal.h>
#include <string.h>

#define PAGE 4096u
#define PAGES 24u
#define SYMBOLS 0x70u

struct memory {
	uint8_t bytes[PAGES * PAGE];
};

static enum hs_status mem_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	struct memory *memory = ctx;

	(void)err;
	if (gpa.v >= sizeof(memory->bytes) || length > sizeof(memory->bytes) - gpa.v) {
		return HS_ERR_UNREADABLE;
	}
	memcpy(buffer, memory->bytes + gpa.v, length);
	return HS_OK;
}

static const uint8_t *mem_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	struct memory *memory = ctx;

	if (gpa.v >= sizeof(memory->bytes)) {
		return NULL;
	}
	*ret_length = sizeof(memory->bytes) - gpa.v;
	return memory->bytes + gpa.v;
}

static int mem_next_region(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	struct memory *memory = ctx;

	if (gpa.v >= sizeof(memory->bytes)) {
		return 0;
	}
	*ret_start = gpa;
	*ret_length = sizeof(memory->bytes) - gpa.v;
	return 1;
}

/* Few entries, that lead somewhere in memory more often than not: tables of tables take their time. */
static void tame_tables(struct memory *memory)
{
	for (size_t at = 0; at < 8 * PAGE; at += 8) {
		uint64_t entry = hs_get_le64(memory->bytes + at);

		if ((entry >> 12) % 32 != 0) {
			entry = 0;
		}
		hs_put_le64(memory->bytes + at, (entry & ~UINT64_C(0x000FFFFFFFFE0000)) % (PAGES * PAGE) |
							(entry & UINT64_C(0x80000000000001FF)));
	}
}

static void fill(const uint8_t *data, size_t size, struct memory *memory, struct hs_cpu_state *cpu)
{
	uint64_t *const registers[] = { &cpu->rip, &cpu->gpr[HS_RSP], &cpu->gpr[HS_RBP], &cpu->gpr[HS_RAX], &cpu->cr2 };

	hs_cpu_state_init(cpu);
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]) && size >= 8; i++) {
		*registers[i] = hs_get_le64(data) % (2 * PAGES * PAGE);
		data += 8;
		size -= 8;
	}
	for (size_t i = 0; i < sizeof(memory->bytes); i++) {
		memory->bytes[i] = size > 0 ? (uint8_t)(data[i % size] + i / PAGE) : 0;
	}
	tame_tables(memory);
}

static void check_forms(const struct hs_report *report)
{
	struct hs_buf text, json, html;

	hs_buf_init(&text, HS_REPORT_BYTES_MAX);
	hs_buf_init(&json, HS_REPORT_BYTES_MAX);
	hs_buf_init(&html, HS_REPORT_BYTES_MAX);
	hs_report_text(report, true, false, &text);
	hs_report_json(report, &json);
	hs_report_html(report, &html);
	CHECK(!text.failed && !json.failed && !html.failed);
	CHECK(!memchr(text.data, '\033', text.length));
	CHECK(json.data[0] == '{' && memcmp(json.data + json.length - 2, "}\n", 2) == 0);
	CHECK(!memmem(html.data, html.length, "<evil", 5));
	CHECK(memmem(html.data, html.length, "</html>\n", 8) == html.data + html.length - 8);
	hs_buf_deinit(&text);
	hs_buf_deinit(&json);
	hs_buf_deinit(&html);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hs_phys_ops ops = { .read = mem_read,
						.pointer = mem_pointer,
						.next_region = mem_next_region };
	static struct memory memory;
	static struct hs_cpu_state cpu;
	struct hs_report_scene scene = {
		.name = "a\033[2J<evil>",
		.reason = "<evil> \"&\xFF",
		.has_fault = true,
		.cpu = &cpu,
		.before = &cpu,
		.phys = { .ops = &ops, .ctx = &memory },
		.root_count = 1,
		.log = "one\n<evil>\n\ntwo",
	};
	struct hs_root root = { .nxe = true, .maxphyaddr = 52 };
	struct hs_report report;

	if (size < 2) {
		return 0;
	}
	fill(data + 2, size - 2, &memory, &cpu);
	root.format = (enum hs_paging_format)((data[0] & 7) % (HS_PAGING_5LEVEL + 1));
	root.pse = data[1] & 1;
	scene.roots = &root;
	scene.arch = data[0] & 8 ? HS_ARCH_I686 : HS_ARCH_AMD64;
	scene.image = (data[0] & SYMBOLS) == SYMBOLS ? "/proc/self/exe" : NULL;
	scene.signal = data[1] % 32;
	scene.fault_address = cpu.cr2;
	if (scene.image) {
		cpu.rip += (uint64_t)(uintptr_t)&check_forms & 0xFFFFFF;
	}
	CHECK(hs_report_init(&scene, &report, NULL) == HS_OK);
	check_forms(&report);
	hs_report_deinit(&report);
	return 0;
}
