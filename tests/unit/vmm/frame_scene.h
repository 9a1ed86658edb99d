/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A booted guest whose CPU stands at the out of an exception stub. For cmocka tests. */
#ifndef HS_TEST_FRAME_SCENE_H
#define HS_TEST_FRAME_SCENE_H

#include "boot_fixture.h"
#include "vmm/exception_frame.h"

/* EFLAGS of the interrupted code: RF, IF, ZF, PF and the bit that is always 1. */
#define FLAGS 0x10246u
#define FLAGS_NT 0x4000u

struct scene {
	struct booted guest;
	struct hs_cpu_state cpu; /* at the out */
	unsigned int word_bytes;
	uint64_t sp; /* where the frame is, if a test does not move it */
};

void scene_init(struct scene *scene, bool is_64);
void scene_deinit(struct scene *scene);

/** Write words of the guest's size at gva. */
void scene_put_words(const struct scene *scene, uint64_t gva, const uint64_t *words, size_t count);
/** Rewind; the test fails when that is refused. scene->cpu becomes the interrupted state. */
struct hs_exception_frame scene_rewind_good(struct scene *scene);
/** Rewinding is refused with this status and text, and nothing changes. */
void scene_assert_refused(struct scene *scene, enum hs_status status, const char *problem);

#endif
