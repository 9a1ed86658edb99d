// SPDX-License-Identifier: LGPL-2.1-or-later
// A C++ program that has of hindsight the headers and the libraries of paging/ and base/, and nothing else.
#include <hindsight/paging.h>
#include <hindsight/spaces.h>

#include <cstdio>
#include <cstring>
#include <vector>

namespace
{

struct Memory {
	std::vector<uint8_t> bytes = std::vector<uint8_t>(16 * HS_PAGE_SIZE);
	uint64_t tables = 8 * HS_PAGE_SIZE;

	uint8_t *find(hs_gpa gpa, size_t length)
	{
		return gpa.v <= bytes.size() && length <= bytes.size() - gpa.v ? bytes.data() + gpa.v : nullptr;
	}
};

hs_status read(void *ctx, hs_gpa gpa, void *buffer, size_t length, hs_error *)
{
	const uint8_t *from = static_cast<Memory *>(ctx)->find(gpa, length);

	return from ? (std::memcpy(buffer, from, length), HS_OK) : HS_ERR_UNREADABLE;
}

hs_status write(void *ctx, hs_gpa gpa, const void *buffer, size_t length, hs_error *)
{
	uint8_t *to = static_cast<Memory *>(ctx)->find(gpa, length);

	return to ? (std::memcpy(to, buffer, length), HS_OK) : HS_ERR_UNREADABLE;
}

hs_status take(void *ctx, hs_gpa *ret, hs_error *)
{
	Memory *memory = static_cast<Memory *>(ctx);

	*ret = hs_gpa_of(memory->tables);
	memory->tables += HS_PAGE_SIZE;
	return HS_OK;
}

/* Two roots with one page, in tables of their own. */
bool build(const hs_phys &phys, Memory &memory, hs_root (&roots)[2])
{
	const hs_table_source tables = { take, &memory };
	hs_mapping mapping = {};

	mapping.gva = hs_gva_of(0x5000);
	mapping.gpa = hs_gpa_of(0x3000);
	mapping.length = HS_PAGE_SIZE;
	mapping.user = true;
	for (hs_root &root : roots) {
		root = {};
		root.format = HS_PAGING_32BIT;
		root.wp = true;
		if (take(&memory, &root.base, nullptr) || hs_build_map(&phys, &root, &mapping, &tables, nullptr)) {
			return false;
		}
	}
	return true;
}

} // namespace

int main()
{
	Memory memory;
	hs_phys_ops ops = {};
	hs_root roots[2];
	hs_range range;
	hs_reverse reverse;
	hs_reverse_item item;
	unsigned int found = 0;
	uint32_t code = 0;

	ops.read = read;
	ops.write = write;
	const hs_phys phys = { &ops, &memory };
	if (!build(phys, memory, roots)) {
		std::puts("cannot build");
		return 1;
	}
	hs_translate(&phys, &roots[1], hs_gva_of(0x5123), &range);
	hs_reverse_init(&reverse, &phys, roots, 2, hs_gpa_of(0x3000), 1, hs_budget_default());
	while (hs_reverse_next(&reverse, &item, nullptr) == HS_OK) {
		found++;
	}
	const bool right = range.kind == HS_RANGE_MAPPED && range.gpa.v == 0x3000 && found == 2 &&
			   hs_access_check(&roots[1], &range, HS_ACCESS_BY_USER, HS_PROT_WRITE, &code) ==
				   HS_ACCESS_PAGE_FAULT &&
			   code == (HS_PF_P | HS_PF_W | HS_PF_U);

	std::puts(right ? "right" : "wrong");
	return right ? 0 : 1;
}
