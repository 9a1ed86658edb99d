/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scene.h"

#include "vmm/memory.h"
#include "vmm/probe.h"
#include "vmm/vm_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANNOT_RUN_HERE 77

struct hs_error scene_error;

bool scene_fail(const char *format, ...)
{
	va_list args;

	fputs("traces: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "%s%s\n", scene_error.message[0] ? ": " : "", scene_error.message);
	return false;
}

static void console(void *ctx, const void *bytes, size_t length)
{
	struct scene *scene = ctx;

	if (length == 1 && *(const char *)bytes == TRACES_READY) {
		if (scene->interrupts) {
			hs_vm_interrupt(scene->vm);
		}
		return;
	}
	if (length > OUTPUT_MAX - 1 - scene->output_length) {
		length = OUTPUT_MAX - 1 - scene->output_length;
	}
	memcpy(scene->output + scene->output_length, bytes, length);
	scene->output_length += length;
	scene->output[scene->output_length] = '\0';
}

/* What the guest may do is told by words: KVM's emulator knows no XSAVE; and QEMU 7.2 ends when armed debug registers
 * come and go with a VM under its KVM, which is one where they never fire. */
static size_t list_words(enum hs_backend_choice backend, const char *image, const char *ret[4])
{
	struct hs_probe probe;
	size_t count = 0;

	hs_probe(&probe);
	ret[count++] = image;
	ret[count++] = "wait";
	if (backend == HS_BACKEND_KVM && probe.vectors == HS_ANSWER_YES) {
		ret[count++] = "vectors";
	}
	if (backend == HS_BACKEND_SOFT || probe.hardware_data == HS_ANSWER_YES) {
		ret[count++] = "watch";
	}
	return count;
}

bool scene_create(struct scene *scene, const char *backend, const char *image, bool waits)
{
	const char *words[4] = { image };
	struct hs_vm_config config = {
		.backend = strcmp(backend, "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT,
		/* Small: some KVMs take a microsecond for each word that the guest looks at. */
		.heap_bytes = 3 * (uint64_t)HS_PAGE_SIZE,
		.stack_bytes = 2 * (uint64_t)HS_PAGE_SIZE,
		.input_bytes = 2 * (uint64_t)HS_PAGE_SIZE,
		.output_bytes = 2 * (uint64_t)HS_PAGE_SIZE,
		.scratch_bytes = 52 * (uint64_t)HS_PAGE_SIZE,
		.args = words,
		.args_count = 1,
		.console = console,
		.console_ctx = scene,
		.seed = 1,
	};
	enum hs_status st;

	if (waits) {
		config.args_count = list_words(config.backend, image, words);
	} else {
		/* Another guest's places are others. */
		config.scratch_bytes = 80 * (uint64_t)HS_PAGE_SIZE;
	}
	*scene = (struct scene){ .interrupts = true };
	st = hs_vm_create(image, &config, &scene->vm, &scene_error);
	if (st == HS_ERR_UNSUPPORTED || st == HS_ERR_NOT_FOUND || st == HS_ERR_PERMISSION) {
		fprintf(stderr, "%s\n", scene_error.message);
		exit(CANNOT_RUN_HERE);
	}
	return st ? scene_fail("create") : true;
}

bool scene_create_from(struct scene *scene, const char *backend, const struct hs_snapshot *snapshot)
{
	const struct hs_vm_config config = {
		.backend = strcmp(backend, "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT,
		.console = console,
		.console_ctx = scene,
	};

	*scene = (struct scene){ .interrupts = true };
	return hs_vm_create_from(snapshot, &config, &scene->vm, &scene_error) ? scene_fail("create for a snapshot")
									      : true;
}

void scene_destroy(struct scene *scene)
{
	hs_vm_destroy(scene->vm);
	scene->vm = NULL;
}

bool scene_run(struct scene *scene, struct hs_event *ret)
{
	const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };

	scene->output_length = 0;
	scene->output[0] = '\0';
	return hs_vm_run(scene->vm, &on, ret, &scene_error) ? scene_fail("run") : true;
}

bool scene_start(struct scene *scene)
{
	struct hs_event event = { .exit_status = 0 };

	if (!scene_run(scene, &event)) {
		return false;
	}
	return event.kind == HS_EVENT_INTERRUPTED ||
	       scene_fail("the guest did not come to where it waits: event %d at 0x%llx %s", event.kind,
			  (unsigned long long)event.crash.rip, event.kind == HS_EVENT_CRASHED ? event.crash.text : "");
}

bool scene_request(struct scene *scene, uint32_t request)
{
	hs_gva mailbox = hs_vm_bounds(scene->vm).scratch_gva;

	return hs_vm_mem_write(scene->vm, mailbox, &request, sizeof(request), &scene_error) ? scene_fail("request")
											    : true;
}

bool scene_ask(struct scene *scene, uint32_t request)
{
	struct hs_event event;

	if (!scene_request(scene, request) || !scene_run(scene, &event)) {
		return false;
	}
	return (event.kind == HS_EVENT_EXITED && event.exit_status == 0) ||
	       scene_fail("request %u: event %d, status %d %s; %s", request & 0xff, event.kind, event.exit_status,
			  event.kind == HS_EVENT_CRASHED ? event.crash.text : "", scene->output);
}

bool scene_restore(struct scene *scene, const struct hs_snapshot *snapshot, bool share)
{
	uint64_t written;

	if (hs_vm_stand_on(scene->vm, snapshot, share, &scene_error) ||
	    hs_vm_pages_written(scene->vm, &written, &scene_error)) {
		return scene_fail("restore");
	}
	return written == 0 || scene_fail("%llu pages count as written after a restore", (unsigned long long)written);
}

/* FNV-1a, 64 bits (draft-eastlake-fnv), of words. */
static void hash(uint64_t *digest, const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, (const uint8_t *)bytes + i, length - i < sizeof(word) ? length - i : sizeof(word));
		*digest = (*digest ^ word) * UINT64_C(0x100000001b3);
	}
}

bool scene_digest(struct scene *scene, uint64_t *ret)
{
	static struct hs_cpu_state cpu;
	struct hs_phys phys = hs_vm_phys(scene->vm);
	uint64_t digest = UINT64_C(0xcbf29ce484222325);
	uint64_t length;
	hs_gpa at = { 0 };

	/* Not what the VM thinks it has given to the CPU. */
	if (scene->vm->ops->get_state(scene->vm->backend, HS_STATE_ALL, &cpu, &scene_error)) {
		return scene_fail("registers");
	}
	cpu.msr.tsc = 0; /* goes on */
	hash(&digest, &cpu, sizeof(cpu));
	while (phys.ops->next_region(phys.ctx, at, &at, &length)) {
		for (uint64_t i = 0; i < length; i += HS_PAGE_SIZE) {
			uint8_t page[HS_PAGE_SIZE];

			if (phys.ops->read(phys.ctx, hs_gpa_of(at.v + i), page, sizeof(page), &scene_error)) {
				return scene_fail("memory");
			}
			hash(&digest, page, sizeof(page));
		}
		at.v += length;
	}
	*ret = digest;
	return true;
}
