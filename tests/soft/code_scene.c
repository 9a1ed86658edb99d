/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "code_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct machine_config configs[] = {
	{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_5LEVEL, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_NONE, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 3 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 0 },
};

void scene_start(struct scene *scene)
{
	machine_load(&scene->machine);
	if (scene->by_steps) {
		machine_run_by_steps(&scene->machine, &scene->stop);
	} else {
		machine_run(&scene->machine, &scene->stop);
	}
}

struct code scene_choose(const struct scene *scene, struct code code64, struct code code32)
{
	return scene->is_64 ? code64 : code32;
}

void scene_assert_eax(const struct scene *scene, uint32_t expected)
{
	if (scene->stop.kind != MACHINE_HLT || (uint32_t)scene->stop.cpu.gpr[HS_RAX] != expected) {
		fail_msg("run %zu: exit %d, vector %u, rip 0x%llx, eax 0x%x, not 0x%x", scene->which,
			 (int)scene->stop.exit.kind, scene->stop.vector, (unsigned long long)scene->stop.cpu.rip,
			 (uint32_t)scene->stop.cpu.gpr[HS_RAX], expected);
	}
}

void scene_everywhere(void (*run_case)(struct scene *scene), bool (*condition)(const struct machine_config *config))
{
	struct scene *scene = aligned_alloc(64, (sizeof(*scene) + 63) & ~(size_t)63);
	unsigned int count = 0;

	assert_non_null(scene);
	for (size_t i = 0; i < 2 * sizeof(configs) / sizeof(configs[0]); i++) {
		const struct machine_config *config = &configs[i / 2];

		if (machine_missing(config) || (condition && !condition(config))) {
			continue;
		}
		memset(scene, 0, sizeof(*scene));
		machine_init(&scene->machine, config);
		scene->is_64 = config->mode == MACHINE_64;
		scene->by_steps = i % 2;
		scene->which = i;
		run_case(scene);
		machine_deinit(&scene->machine);
		count++;
	}
	free(scene);
	if (count == 0) {
		skip();
	}
}

bool scene_has_paging(const struct machine_config *config)
{
	return config->format != HS_PAGING_NONE;
}

bool scene_is_kernel_with_paging(const struct machine_config *config)
{
	return scene_has_paging(config) && config->cpl == 0;
}
