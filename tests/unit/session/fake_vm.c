/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake_vm_private.h"

#include "arch/regs.h"
#include "base/arith.h"
#include "base/error.h"
#include "vmm/memory.h"
#include "vmm/peek.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fake_vm_script(struct hs_vm *vm, const struct fake_step *steps, size_t count)
{
	vm->steps = steps;
	vm->count = count;
	vm->next = 0;
}

void fake_vm_wait_gate(struct hs_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	while (!vm->at_gate) {
		pthread_cond_wait(&vm->changed, &vm->lock);
	}
	pthread_mutex_unlock(&vm->lock);
}

void fake_vm_release(struct hs_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->released = true;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

unsigned int fake_vm_runs(struct hs_vm *vm)
{
	return vm->runs;
}

struct hs_resume fake_vm_last_resume(struct hs_vm *vm)
{
	return vm->last_resume;
}

unsigned int fake_vm_breakpoints(struct hs_vm *vm)
{
	return vm->breakpoint_count;
}

enum hs_status hs_vm_create(const char *image_path, const struct hs_vm_config *config, struct hs_vm **ret,
			    struct hs_error *err)
{
	struct hs_vm *vm;

	(void)config;
	if (strcmp(image_path, "/missing") == 0) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "/missing: no such image");
	}
	vm = calloc(1, sizeof(*vm));
	if (!vm) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory");
	}
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->changed, NULL);
	hs_cpu_state_init(&vm->cpu);
	vm->cpu.rip = FAKE_ENTRY;
	vm->segment = (struct hs_vm_segment){
		.gva = hs_gva_of(FAKE_ENTRY),
		.gpa = hs_gpa_of(FAKE_ENTRY),
		.length = HS_PAGE_SIZE,
		.file_length = HS_PAGE_SIZE,
		.prot = HS_PROT_READ | HS_PROT_EXEC,
	};
	vm->image = (struct hs_vm_image){
		.arch = HS_ARCH_AMD64,
		.path = "/images/fake.elf",
		.fd = -1,
		.entry = FAKE_ENTRY,
		.segment_count = 1,
		.segments = &vm->segment,
	};
	*ret = vm;
	return HS_OK;
}

void hs_vm_destroy(struct hs_vm *vm)
{
	if (!vm) {
		return;
	}
	pthread_cond_destroy(&vm->changed);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

/* The lock is held. */
static void spin(struct hs_vm *vm)
{
	while (!vm->interrupted) {
		pthread_cond_wait(&vm->changed, &vm->lock);
	}
	vm->interrupted = false;
}

/* The lock is held. A gate does not notice interrupts: the event behind it wins the race. */
static void stand_at_gate(struct hs_vm *vm)
{
	vm->at_gate = true;
	pthread_cond_broadcast(&vm->changed);
	while (!vm->released) {
		pthread_cond_wait(&vm->changed, &vm->lock);
	}
	vm->at_gate = false;
	vm->released = false;
}

/* The lock is held. */
static enum hs_status play(struct hs_vm *vm, struct hs_event *ret, struct hs_error *err)
{
	const struct fake_step *step;

	if (vm->has_exited) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	if (vm->interrupted) {
		vm->interrupted = false;
		*ret = (struct hs_event){ .kind = HS_EVENT_INTERRUPTED };
		return HS_OK;
	}
	if (vm->has_crashed) {
		*ret = vm->steps[vm->next - 1].event;
		return HS_OK;
	}
	if (vm->next == vm->count) {
		return hs_error_set(err, HS_ERR_BACKEND, 0, 0, "the script is over");
	}
	step = &vm->steps[vm->next++];
	if (step->fail) {
		return hs_error_set(err, step->fail, 0, 0, "as the script says");
	}
	if (step->gate) {
		stand_at_gate(vm);
	}
	if (step->spin) {
		spin(vm);
		*ret = (struct hs_event){ .kind = HS_EVENT_INTERRUPTED };
		return HS_OK;
	}
	*ret = step->event;
	vm->has_crashed = ret->kind == HS_EVENT_CRASHED;
	vm->has_exited = ret->kind == HS_EVENT_EXITED;
	return HS_OK;
}

enum hs_status hs_vm_run(struct hs_vm *vm, const struct hs_resume *resume, struct hs_event *ret, struct hs_error *err)
{
	enum hs_status st;

	pthread_mutex_lock(&vm->lock);
	vm->runs++;
	vm->last_resume = *resume;
	st = play(vm, ret, err);
	pthread_mutex_unlock(&vm->lock);
	return st;
}

void hs_vm_interrupt(struct hs_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->interrupted = true;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

uint64_t hs_vm_xcr0_offered(const struct hs_vm *vm)
{
	(void)vm;
	return 7;
}

enum hs_status hs_vm_cpu_get(struct hs_vm *vm, struct hs_cpu_state *ret, struct hs_error *err)
{
	(void)err;
	*ret = vm->cpu;
	return HS_OK;
}

const struct hs_cpu_state *hs_vm_peek(struct hs_vm *vm, bool all, struct hs_error *err)
{
	(void)all;
	(void)err;
	return &vm->cpu;
}

enum hs_status hs_vm_cpu_set(struct hs_vm *vm, const struct hs_cpu_state *state, struct hs_error *err)
{
	(void)err;
	vm->cpu = *state;
	vm->has_crashed = false;
	return HS_OK;
}

enum hs_status hs_vm_mem_read(struct hs_vm *vm, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
			      struct hs_error *err)
{
	if (gva.v >= FAKE_MEMORY_BYTES) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gva.v, "0x%llx is not mapped",
				    (unsigned long long)gva.v);
	}
	*ret_length = hs_min_u64(length, FAKE_MEMORY_BYTES - gva.v);
	memcpy(buffer, vm->memory + gva.v, *ret_length);
	return HS_OK;
}

enum hs_status hs_vm_mem_write(struct hs_vm *vm, hs_gva gva, const void *buffer, size_t length, struct hs_error *err)
{
	if (!hs_range_within(gva.v, length, FAKE_MEMORY_BYTES)) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gva.v, "0x%llx is not mapped",
				    (unsigned long long)gva.v);
	}
	memcpy(vm->memory + gva.v, buffer, length);
	vm->has_crashed = false;
	return HS_OK;
}

static unsigned int find_breakpoint(struct hs_vm *vm, const struct hs_breakpoint *breakpoint)
{
	unsigned int i = 0;

	while (i < vm->breakpoint_count &&
	       (vm->breakpoints[i].kind != breakpoint->kind || vm->breakpoints[i].gva.v != breakpoint->gva.v)) {
		i++;
	}
	return i;
}

enum hs_status hs_vm_break_insert(struct hs_vm *vm, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	unsigned int i = find_breakpoint(vm, breakpoint);

	if (i == BREAKPOINTS_MAX) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0, "too many breakpoints");
	}
	if (i == vm->breakpoint_count) {
		vm->breakpoints[vm->breakpoint_count++] = *breakpoint;
	}
	return HS_OK;
}

enum hs_status hs_vm_break_remove(struct hs_vm *vm, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	unsigned int i = find_breakpoint(vm, breakpoint);

	if (i == vm->breakpoint_count) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "no such breakpoint");
	}
	vm->breakpoints[i] = vm->breakpoints[--vm->breakpoint_count];
	return HS_OK;
}

void hs_vm_break_clear(struct hs_vm *vm)
{
	vm->breakpoint_count = 0;
}

void hs_vm_break_clear_space(struct hs_vm *vm, uint32_t space)
{
	for (unsigned int i = vm->breakpoint_count; i > 0; i--) {
		if (vm->breakpoints[i - 1].space == space) {
			vm->breakpoints[i - 1] = vm->breakpoints[--vm->breakpoint_count];
		}
	}
}

bool hs_vm_break_has_spaces(const struct hs_vm *vm)
{
	for (unsigned int i = 0; i < vm->breakpoint_count; i++) {
		if (vm->breakpoints[i].space != 0) {
			return true;
		}
	}
	return false;
}

enum hs_status hs_vm_break_spaces(struct hs_vm *vm, const struct hs_root *roots, uint32_t count, struct hs_error *err)
{
	(void)vm;
	(void)roots;
	(void)count;
	(void)err;
	return HS_OK;
}

static enum hs_status phys_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	struct hs_vm *vm = ctx;

	if (!hs_range_within(gpa.v, length, FAKE_MEMORY_BYTES)) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gpa.v, "no memory there");
	}
	memcpy(buffer, vm->memory + gpa.v, length);
	return HS_OK;
}

static const uint8_t *phys_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	struct hs_vm *vm = ctx;

	if (gpa.v >= FAKE_MEMORY_BYTES) {
		return NULL;
	}
	*ret_length = FAKE_MEMORY_BYTES - gpa.v;
	return vm->memory + gpa.v;
}

static int phys_next_region(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	(void)ctx;
	if (gpa.v >= FAKE_MEMORY_BYTES) {
		return 0;
	}
	*ret_start = gpa;
	*ret_length = FAKE_MEMORY_BYTES - gpa.v;
	return 1;
}

enum hs_status hs_vm_tables_written(struct hs_vm *vm, struct hs_error *err)
{
	(void)vm;
	(void)err;
	return HS_OK;
}

struct hs_root hs_vm_last_root(const struct hs_vm *vm)
{
	(void)vm;
	return (struct hs_root){ .format = HS_PAGING_4LEVEL, .base = { FAKE_LAST_ROOT } };
}

struct hs_vm_bounds hs_vm_bounds(const struct hs_vm *vm)
{
	(void)vm;
	return (struct hs_vm_bounds){ .scratch_gpa = { 0 } };
}

struct hs_vm_guest hs_vm_guest(const struct hs_vm *vm)
{
	(void)vm;
	return (struct hs_vm_guest){ .features = 0 };
}

void hs_vm_set_guest(struct hs_vm *vm, const struct hs_vm_guest *guest)
{
	(void)vm;
	(void)guest;
}

struct hs_devices hs_vm_devices(const struct hs_vm *vm)
{
	(void)vm;
	return (struct hs_devices){ 0 };
}

void hs_vm_set_devices(struct hs_vm *vm, const struct hs_devices *devices)
{
	(void)vm;
	(void)devices;
}

void hs_vm_set_image(struct hs_vm *vm, const struct hs_vm_image *image)
{
	(void)vm;
	(void)image;
}

enum hs_status hs_vm_create_for(const struct hs_vm_origin *origin, const struct hs_vm_config *config,
				struct hs_vm **ret, struct hs_error *err)
{
	(void)origin;
	return hs_vm_create("", config, ret, err);
}

enum hs_status hs_vm_restore(struct hs_vm *vm, const struct hs_memory_image *image, bool share,
			     const struct hs_cpu_state *cpu, struct hs_error *err)
{
	(void)image;
	(void)share;
	(void)cpu;
	(void)err;
	/* One that came before is forgotten with what was under way. */
	pthread_mutex_lock(&vm->lock);
	vm->interrupted = false;
	pthread_mutex_unlock(&vm->lock);
	return HS_OK;
}

bool hs_vm_is_on(const struct hs_vm *vm, const struct hs_memory_image *image)
{
	return !vm && !image;
}

bool hs_vm_is_restored(const struct hs_vm *vm)
{
	return vm != NULL;
}

bool hs_vm_is_untouched(const struct hs_vm *vm)
{
	return !vm;
}

enum hs_status hs_vm_pages_written(struct hs_vm *vm, uint64_t *ret, struct hs_error *err)
{
	(void)vm;
	(void)err;
	*ret = 1;
	return HS_OK;
}

void hs_vm_serve_calls(struct hs_vm *vm, bool serve)
{
	vm->serves_calls = serve;
}

bool fake_vm_serves_calls(const struct hs_vm *vm)
{
	return vm->serves_calls;
}

enum hs_status hs_vm_record_put(struct hs_vm *vm, const struct hs_record *record, struct hs_error *err)
{
	(void)err;
	vm->record = *record;
	return HS_OK;
}

/* Every call has the result 42, and the guest has nothing to say but "log". */
enum hs_status hs_vm_record_take(struct hs_vm *vm, uint8_t **bytes, size_t *capacity, struct hs_record *ret,
				 struct hs_error *err)
{
	(void)bytes;
	(void)capacity;
	(void)err;
	*ret = (struct hs_record){ .kind = HS_RECORD_RESULT, .count = 1 };
	if (vm->steps[vm->next - 1].event.kind == HS_EVENT_LOG) {
		ret->kind = HS_RECORD_LOG;
		ret->code = HS_LOG_INFO;
		ret->values[0] = (struct hs_value){ .type = HS_TYPE_STRING, .bytes = { "log", 3 } };
	} else {
		ret->values[0] = (struct hs_value){ .type = HS_TYPE_INT, .i = 42 };
	}
	return HS_OK;
}

struct hs_phys hs_vm_phys(struct hs_vm *vm)
{
	static const struct hs_phys_ops ops = {
		.read = phys_read,
		.pointer = phys_pointer,
		.next_region = phys_next_region,
	};

	return (struct hs_phys){ .ops = &ops, .ctx = vm };
}

const struct hs_vm_mapped *hs_vm_mappings(const struct hs_vm *vm, size_t *ret_count)
{
	static const struct hs_vm_mapped mappings[] = {
		{ .label = "memory", .gva = { 0x300000 }, .length = HS_PAGE_SIZE },
		{ .label = "data", .path = "/files/data", .gva = { FAKE_MAPPING }, .length = HS_PAGE_SIZE + 1 },
	};

	(void)vm;
	*ret_count = sizeof(mappings) / sizeof(mappings[0]);
	return mappings;
}

const struct hs_vm_image *hs_vm_image(const struct hs_vm *vm)
{
	return &vm->image;
}

const char *hs_vm_backend_name(const struct hs_vm *vm)
{
	(void)vm;
	return "fake";
}
