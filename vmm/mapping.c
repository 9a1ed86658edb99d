/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/mapping.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum hs_status check_label(const struct hs_vm_config *config, size_t index, struct hs_error *err)
{
	const char *label = config->mappings[index].label;
	size_t length = label ? strnlen(label, HS_MAPPING_LABEL_BYTES) : 0;

	if (length == 0) {
		return hs_error_set(err, HS_ERR_RANGE, 0, index, "mapping %zu has no label", index + 1);
	}
	if (length == HS_MAPPING_LABEL_BYTES) {
		return hs_error_set(err, HS_ERR_RANGE, 0, index,
				    "mapping %zu: the label '%.20s...' is longer than %d bytes", index + 1, label,
				    HS_MAPPING_LABEL_BYTES - 1);
	}
	for (size_t i = 0; i < index; i++) {
		if (strcmp(config->mappings[i].label, label) == 0) {
			return hs_error_set(err, HS_ERR_INVALID, 0, index, "two mappings have the label '%s'", label);
		}
	}
	return HS_OK;
}

static enum hs_status check(const struct hs_vm_config *config, struct hs_error *err)
{
	if (config->mapping_count > HS_MAPPINGS_MAX) {
		return hs_error_set(err, HS_ERR_RANGE, 0, config->mapping_count, "%zu mappings: %d are the most",
				    config->mapping_count, HS_MAPPINGS_MAX);
	}
	if (config->mapping_count > 0 && !config->mappings) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%zu mappings are counted but none is given",
				    config->mapping_count);
	}
	for (size_t i = 0; i < config->mapping_count; i++) {
		const struct hs_vm_mapping *mapping = &config->mappings[i];
		enum hs_status st = check_label(config, i, err);

		if (st) {
			return st;
		}
		if (!mapping->path == !mapping->host || (mapping->path && mapping->length > 0)) {
			return hs_error_set(err, HS_ERR_INVALID, 0, i,
					    "mapping '%s' is to be a whole file or a length of host memory",
					    mapping->label);
		}
	}
	return HS_OK;
}

/* O_NONBLOCK: nobody waits for the other end of a FIFO. */
static enum hs_status open_file(const struct hs_vm_mapping *mapping, struct hs_mapping_entry *entry,
				struct hs_vm_mapped *mapped, struct hs_error *err)
{
	struct stat info;
	char *path;

	entry->fd = open(mapping->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (entry->fd < 0 || fstat(entry->fd, &info)) {
		return hs_error_os(err, errno, "mapping '%s': cannot open %s", mapping->label, mapping->path);
	}
	if (!S_ISREG(info.st_mode)) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "mapping '%s': %s is not a regular file", mapping->label,
				    mapping->path);
	}
	if (info.st_size == 0) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "mapping '%s': %s is empty", mapping->label,
				    mapping->path);
	}
	mapped->length = (uint64_t)info.st_size;
	path = realpath(mapping->path, NULL);
	if (!path) {
		return hs_error_os(err, errno, "mapping '%s': cannot find %s", mapping->label, mapping->path);
	}
	mapped->path = path;
	return HS_OK;
}

static enum hs_status fill(struct hs_mappings *mappings, size_t index, const struct hs_vm_mapping *asked,
			   struct hs_error *err)
{
	struct hs_mapping_entry *entry = &mappings->entries[index];
	struct hs_vm_mapped *mapped = &mappings->mapped[index];
	enum hs_status st = HS_OK;

	*entry = (struct hs_mapping_entry){ .fd = -1, .host = asked->host };
	*mapped = (struct hs_vm_mapped){
		.label = strdup(asked->label),
		.gpa = asked->gpa,
		.length = asked->length,
		.writable = asked->writable,
	};
	if (asprintf(&entry->name, "mapping '%s'", asked->label) < 0) {
		entry->name = NULL;
	}
	if (!mapped->label || !entry->name) {
		st = hs_error_os(err, ENOMEM, "mapping '%s'", asked->label);
	} else if (asked->path) {
		st = open_file(asked, entry, mapped, err);
	}
	mappings->list[index] = *asked;
	mappings->list[index].length = mapped->length;
	return st;
}

enum hs_status hs_mappings_open(const struct hs_vm_config *config, struct hs_mappings *ret, struct hs_error *err)
{
	enum hs_status st = check(config, err);

	ret->count = 0;
	for (size_t i = 0; !st && i < config->mapping_count; i++) {
		st = fill(ret, i, &config->mappings[i], err);
		ret->count++;
	}
	if (st) {
		hs_mappings_close(ret);
	}
	return st;
}

void hs_mappings_close(struct hs_mappings *mappings)
{
	for (size_t i = 0; i < mappings->count; i++) {
		struct hs_mapping_entry *entry = &mappings->entries[i];

		free((char *)mappings->mapped[i].label);
		free((char *)mappings->mapped[i].path);
		free(entry->name);
		if (entry->fd >= 0) {
			close(entry->fd);
		}
	}
	mappings->count = 0;
}

enum hs_status hs_mappings_add(struct hs_mappings *mappings, const struct hs_layout *layout, struct hs_ram *ram,
			       struct hs_error *err)
{
	for (size_t i = 0; i < mappings->count; i++) {
		struct hs_mapping_entry *entry = &mappings->entries[i];
		const struct hs_area *area = hs_layout_mapping(layout, i);
		const struct hs_ram_source source = {
			.kind = entry->host ? HS_RAM_BORROWED : HS_RAM_PRIVATE,
			.name = entry->name,
			.read_only = !mappings->mapped[i].writable,
			.fd = entry->fd,
			.host = entry->host,
		};
		enum hs_status st = hs_ram_add(ram, area->gpa, area->length, &source, err);

		if (st) {
			return st;
		}
		mappings->mapped[i].gva = area->gva;
	}
	return HS_OK;
}
