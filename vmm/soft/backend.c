/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The software CPU as a backend: making and unmaking it, its memory, and the table of operations. */
#include "vmm/soft/cpu.h"
#include "vmm/soft/isa.h"

#include "base/error.h"

#include <hindsight/types.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static enum hs_status check(enum hs_arch arch, struct hs_error *err)
{
	(void)arch;
	(void)err;
	return HS_OK; /* everywhere: that is its point */
}

static void destroy(struct hs_backend *backend)
{
	if (!backend) {
		return;
	}
	hs_soft_free_code(&backend->cpu);
	hs_soft_free_debugger(&backend->cpu);
	for (size_t i = 0; i < backend->cpu.ram.count; i++) {
		free(backend->cpu.ram.regions[i].tag);
	}
	hs_ram_deinit(&backend->cpu.ram);
	munmap(backend, sizeof(*backend));
}

static enum hs_status create(struct hs_backend **ret, struct hs_error *err)
{
	/* Zero, and of what is never used nothing comes to be. */
	struct hs_backend *backend =
		mmap(NULL, sizeof(*backend), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (backend == MAP_FAILED) {
		return hs_error_os(err, errno, "cannot allocate the CPU");
	}
	hs_soft_reset(&backend->cpu);
	*ret = backend;
	return HS_OK;
}

static enum hs_status map(struct hs_backend *backend, hs_gpa gpa, uint64_t length, void *host, bool read_only,
			  struct hs_error *err)
{
	const struct hs_ram_source source = { .kind = HS_RAM_BORROWED, .host = host, .read_only = read_only };
	struct hs_soft_cpu *cpu = &backend->cpu;
	struct hs_soft_code_page **code = calloc(length / HS_PAGE_SIZE, sizeof(struct hs_soft_code_page *));
	enum hs_status st;

	if (!code) {
		return hs_error_os(err, ENOMEM, "cannot allocate the table of code pages");
	}
	st = hs_ram_add(&cpu->ram, gpa, length, &source, err);
	if (st) {
		free(code);
		return st;
	}
	hs_ram_find(&cpu->ram, gpa.v)->tag = code;
	hs_soft_flush(cpu);
	return HS_OK;
}

static void memory_written(struct hs_backend *backend, hs_gpa gpa, uint64_t length)
{
	hs_soft_code_written(&backend->cpu, gpa.v, length);
	hs_soft_tables_written(&backend->cpu, gpa.v, length);
}

static enum hs_status unmap(struct hs_backend *backend, hs_gpa gpa, struct hs_error *err)
{
	struct hs_soft_cpu *cpu = &backend->cpu;
	struct hs_ram_region *region = hs_ram_find(&cpu->ram, gpa.v);

	(void)err;
	if (!region) {
		return HS_OK;
	}
	hs_soft_free_code(cpu);
	free(region->tag);
	hs_ram_remove(&cpu->ram, (size_t)(region - cpu->ram.regions));
	hs_soft_flush(cpu);
	return HS_OK;
}

static enum hs_status track(struct hs_backend *backend, hs_note_page_fn *note, void *ctx, struct hs_error *err)
{
	(void)err;
	backend->cpu.note = note;
	backend->cpu.note_ctx = ctx;
	hs_soft_note_again(&backend->cpu);
	return HS_OK;
}

static enum hs_status collect(struct hs_backend *backend, struct hs_error *err)
{
	(void)err;
	hs_soft_note_again(&backend->cpu);
	return HS_OK;
}

static enum hs_status abandon(struct hs_backend *backend, struct hs_error *err)
{
	(void)err;
	hs_soft_abandon(&backend->cpu);
	return HS_OK;
}

static enum hs_status abilities(struct hs_backend *backend, struct hs_backend_abilities *ret, struct hs_error *err)
{
	(void)backend;
	(void)err;
	*ret = (struct hs_backend_abilities){ .own_breakpoints = true, .step = true, .counts = true };
	return HS_OK;
}

static uint64_t xcr0_offered(const struct hs_backend *backend)
{
	(void)backend;
	return hs_soft_xcr0_offered();
}

static bool executes(unsigned int set)
{
	return hs_soft_isa_offered((ZydisISASet)set);
}

static void port_in(struct hs_backend *backend, uint32_t value)
{
	backend->cpu.pending_in.value = value;
}

static enum hs_status complete(struct hs_backend *backend, struct hs_error *err)
{
	(void)err;
	hs_soft_finish_in(&backend->cpu);
	return HS_OK;
}

static void interrupt(struct hs_backend *backend)
{
	hs_soft_attend(&backend->cpu, HS_SOFT_INTERRUPT);
}

static enum hs_status translate(struct hs_backend *backend, hs_gva gva, bool *ret_mapped, hs_gpa *ret_gpa,
				struct hs_error *err)
{
	(void)err;
	*ret_mapped = hs_soft_find(&backend->cpu, gva.v, &ret_gpa->v);
	return HS_OK;
}

const struct hs_backend_ops hs_soft_backend_ops = {
	.name = "soft",
	.steps_unseen = true,
	.cr4_offered = HS_SOFT_CR4_DEFINED,
	.physical_bits = HS_SOFT_PHYSICAL_BITS,
	.check = check,
	.create = create,
	.destroy = destroy,
	.map = map,
	.unmap = unmap,
	.track = track,
	.collect = collect,
	.abandon = abandon,
	.memory_written = memory_written,
	.get_state = hs_soft_get_state,
	.set_state = hs_soft_set_state,
	.executes = executes,
	.xcr0_offered = xcr0_offered,
	.restore = hs_soft_restore,
	.abilities = abilities,
	.set_debug = hs_soft_set_debug,
	.run = hs_soft_run,
	.port_in = port_in,
	.complete = complete,
	.inject_int3 = hs_soft_inject_int3,
	.interrupt = interrupt,
	.translate = translate,
};
