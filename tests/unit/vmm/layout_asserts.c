/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout_asserts.h"

#include "layout_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* An image as hs_image_open() would give it; segments are to be added in ascending order. */
void layout_image_init(struct hs_image *image, enum hs_arch arch)
{
	static char path[] = "/image";

	*image = (struct hs_image){ .arch = arch, .path = path, .fd = -1 };
}

void layout_image_add(struct hs_image *image, uint64_t gva, uint64_t length, int prot)
{
	struct hs_image_segment *segment = &image->segments[image->segment_count];

	*segment = (struct hs_image_segment){ .gva = hs_gva_of(gva), .length = length, .prot = prot };
	if (image->segment_count == 0) {
		image->lowest = gva;
		image->entry = gva;
	}
	image->highest = gva + (length - 1);
	image->segment_count++;
}

/* Text and data as linkers place them. */
void layout_image_usual(struct hs_image *image, enum hs_arch arch)
{
	layout_image_init(image, arch);
	layout_image_add(image, 0x400000, 0x234, HS_PROT_READ);
	layout_image_add(image, 0x401000, 0x2345, HS_PROT_READ | HS_PROT_EXEC);
	layout_image_add(image, 0x404F00, 0x1100, HS_PROT_READ | HS_PROT_WRITE);
}

void layout_plan_good(const struct hs_image *image, const struct hs_vm_config *config, struct hs_layout *ret)
{
	struct hs_error err = { 0 };
	enum hs_status st = hs_layout_plan(image, config, ret, &err);
	const char *broken;

	if (st) {
		fail_msg("refused: %s", err.message);
	}
	broken = layout_check(image, ret);
	if (broken) {
		fail_msg("%s", broken);
	}
}

void layout_assert_refused(const struct hs_image *image, const struct hs_vm_config *config, enum hs_status status,
			   const char *problem, struct hs_error *err)
{
	static const struct hs_layout untouched;
	struct hs_layout layout = untouched;
	enum hs_status st = hs_layout_plan(image, config, &layout, err);

	if (st != status || !strstr(err->message, problem)) {
		fail_msg("status %s, \"%s\" instead of %s, \"%s\"", hs_status_name(st), err->message,
			 hs_status_name(status), problem);
	}
	assert_memory_equal(&layout, &untouched, sizeof(layout));
}
