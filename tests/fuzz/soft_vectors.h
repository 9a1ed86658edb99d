/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Instructions of x87, MMX, SSE and AVX, and the state that they work on, for the machines of soft_scene.h. */
#ifndef HS_TESTS_FUZZ_SOFT_VECTORS_H
#define HS_TESTS_FUZZ_SOFT_VECTORS_H

#include "soft_scene.h"

/** At most so many bytes are written by scene_put_vector(). */
#define SCENE_VECTOR_BYTES 20

/** An instruction of them, whose operands in memory are often in the guest's. How many bytes. */
size_t scene_put_vector(struct scene_source *source, uint8_t *at, bool is_long);

/** Contents, control words that may unmask exceptions, and what is switched on; also such as no CPU can have. */
void scene_set_vectors(struct scene_source *source, struct hs_cpu_state *cpu);

#endif
