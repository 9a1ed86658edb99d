/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of changing code share: a case is run on machines of all kinds, freely and step by step. */
#ifndef HS_TESTS_SOFT_CODE_SCENE_H
#define HS_TESTS_SOFT_CODE_SCENE_H

#include "machine.h"

/* What is called: a page of its own, one that is its border, an alias of the first one, and another frame. */
#define CALLED 0x9100u
#define BORDER 0xA000u
#define ALIAS 0x39000u
#define OTHER 0x3A000u

/* add eax, n; ret. The immediate is the third byte. */
#define ADD_RET "\x83\xC0\x01\xC3"
/* add eax, 0x11223344; ret with the border behind the first two bytes. */
#define BORDER_CODE "\x05\x44\x33\x22\x11\xC3"
#define BORDER_AT (BORDER - 2)

/** One case on one machine. */
struct scene {
	struct machine machine;
	bool is_64;
	bool by_steps;
	size_t which; /* twice the index of the configuration, plus 1 by steps */
	struct machine_stop stop;
};

/** Run a case on every machine for which the condition (which may be NULL) holds; skips when there is none. */
void scene_everywhere(void (*run_case)(struct scene *scene), bool (*condition)(const struct machine_config *config));
bool scene_has_paging(const struct machine_config *config);
bool scene_is_kernel_with_paging(const struct machine_config *config);

/** The code for the machine's mode. */
struct code scene_choose(const struct scene *scene, struct code code64, struct code code32);
/** Give the machine its state and run it until something comes. */
void scene_start(struct scene *scene);
/** It is at a hlt, and eax is this. */
void scene_assert_eax(const struct scene *scene, uint32_t expected);

#endif
