/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame_scene.h"

#include "base/bytes.h"
#include "vmm/boot_tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

void scene_init(struct scene *scene, bool is_64)
{
	const struct hs_area *stack;

	booted_init_small(&scene->guest, is_64, NULL);
	stack = hs_layout_area(&scene->guest.layout, HS_AREA_STACK);
	scene->cpu = scene->guest.cpu;
	scene->word_bytes = is_64 ? 8 : 4;
	scene->sp = stack->gva.v + 0x800;
	/* Values that show when one lands in another's place. */
	for (int i = 0; i < HS_GPR_COUNT; i++) {
		scene->cpu.gpr[i] = is_64 ? 0x1111111111111111u * (unsigned int)i : 0x11111111u * (unsigned int)(i % 8);
	}
	scene->cpu.gpr[HS_RSP] = scene->sp;
	scene->cpu.rip = hs_boot_stub(&scene->guest.layout, 3);
}

void scene_deinit(struct scene *scene)
{
	booted_deinit(&scene->guest);
}

void scene_put_words(const struct scene *scene, uint64_t gva, const uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[8];

		hs_put_le64(bytes, words[i]);
		booted_write(&scene->guest, gva + i * scene->word_bytes, bytes, scene->word_bytes);
	}
}

/* Rewind; the test fails when that is refused. scene->cpu becomes the interrupted state. */
struct hs_exception_frame scene_rewind_good(struct scene *scene)
{
	struct hs_exception_frame frame = { 0 };
	struct hs_error err = { 0 };

	if (hs_exception_frame_rewind(&scene->guest.phys, &scene->cpu, &frame, &err)) {
		fail_msg("refused: %s", err.message);
	}
	return frame;
}

void scene_assert_refused(struct scene *scene, enum hs_status status, const char *problem)
{
	const struct hs_exception_frame untouched = { .vector = 77, .error_code = 88 };
	struct hs_exception_frame frame = untouched;
	struct hs_cpu_state before = scene->cpu;
	struct hs_error err = { 0 };
	enum hs_status st = hs_exception_frame_rewind(&scene->guest.phys, &scene->cpu, &frame, &err);

	if (st != status || !strstr(err.message, problem)) {
		fail_msg("status %s, \"%s\" instead of %s, \"%s\"", hs_status_name(st), err.message,
			 hs_status_name(status), problem);
	}
	assert_memory_equal(&scene->cpu, &before, sizeof(before));
	assert_int_equal(frame.vector, untouched.vector);
	assert_int_equal(frame.error_code, untouched.error_code);
}
