/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HS_TESTS_SNAPSHOT_MANY_H
#define HS_TESTS_SNAPSHOT_MANY_H

#include "scene.h"

/** A small run and a restore, so many times: memory, descriptors, mappings and regions are what they were. */
bool check_many(struct scene *scene, const struct hs_snapshot *snapshot, unsigned long cycles);

#endif
