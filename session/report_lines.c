/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A few lines of a source file. The name comes from debug information, so it can be anything. */
#include "session/report_parts.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* No source is longer, and no line that is to be read by people. */
#define SOURCE_BYTES_MAX (16 << 20)
#define LINE_BYTES_MAX 400u

static FILE *open_source(const char *path)
{
	/* O_NONBLOCK: a FIFO of that name must not hold us up. */
	int fd = path[0] == '\0' ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat info;
	FILE *file = NULL;

	if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= SOURCE_BYTES_MAX) {
		file = fdopen(fd, "r");
	}
	if (fd >= 0 && !file) {
		close(fd);
	}
	return file;
}

size_t hs_report_lines_read(const char *path, uint32_t line, struct hs_report_line *lines)
{
	uint32_t first = line > HS_REPORT_CONTEXT ? line - HS_REPORT_CONTEXT : 1;
	FILE *file = line > 0 ? open_source(path) : NULL;
	HS_FREE char *text = NULL;
	size_t room = 0;
	size_t count = 0;
	ssize_t length;

	if (!file) {
		return 0;
	}
	for (uint32_t number = 1; number <= line + HS_REPORT_CONTEXT; number++) {
		length = getline(&text, &room, file);
		if (length < 0) {
			break;
		}
		if (number < first) {
			continue;
		}
		text[strcspn(text, "\r\n")] = '\0';
		lines[count].text = strndup(text, LINE_BYTES_MAX);
		if (!lines[count].text) {
			break;
		}
		hs_utf8_make_printable(lines[count].text);
		lines[count++].number = number;
	}
	fclose(file);
	/* A file that ends before the line is not the source that was compiled. */
	if (count > 0 && lines[count - 1].number >= line) {
		return count;
	}
	while (count > 0) {
		free(lines[--count].text);
	}
	return 0;
}
