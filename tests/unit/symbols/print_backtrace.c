/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * print_backtrace IMAGE CORE [FRAMES [DIRECTORY]]: the backtrace of a core's first CPU, a line a frame: pc, CFA or "-",
 * method, flags ("i" inlined, "s" signal frame), function, file:line; "?" for what is not known. Then why it ended.
 * What the image lacks is taken from its debug file under DIRECTORY. For tests/core/test_backtrace.py.
 */
#include "symbols/unwind.h"

#include <hindsight/coredump.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool read_core(void *context, hs_gva gva, void *ret, size_t length)
{
	size_t got = 0;

	return hs_core_read(context, gva, ret, length, &got, NULL) == HS_OK && got == length;
}

static void print(const struct hs_unwind_frame *frame)
{
	static const char *const METHODS[] = { "cpu", "cfi", "fp", "ra" };

	printf("0x%" PRIx64 " ", frame->pc);
	if (frame->has_cfa) {
		printf("0x%" PRIx64, frame->cfa);
	} else {
		printf("-");
	}
	printf(" %s %s%s%s", METHODS[frame->method], frame->is_inlined ? "i" : "", frame->is_signal_frame ? "s" : "",
	       frame->is_inlined || frame->is_signal_frame ? "" : "-");
	printf(" %s", *frame->symbol.function != '\0' ? frame->symbol.function : "?");
	if (frame->symbol.line != 0) {
		printf(" %s:%" PRIu32 "\n", frame->symbol.file, frame->symbol.line);
	} else {
		printf(" ?\n");
	}
}

int main(int argc, char **argv)
{
	struct hs_error err = { 0 };
	struct hs_symbols *symbols;
	struct hs_core *core;
	static struct hs_cpu_state cpu;
	struct hs_unwind_result result;
	size_t capacity = argc > 3 ? strtoul(argv[3], NULL, 0) : 100;
	struct hs_unwind_frame *frames = calloc(capacity, sizeof(*frames));
	int fd = argc > 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (frames == NULL || fd < 0 || hs_symbols_open(fd, argv[1], &symbols, &err) != HS_OK ||
	    hs_core_open(argv[2], &core, &err) != HS_OK) {
		fprintf(stderr, "print_backtrace: %s\n", err.message);
		return 1;
	}
	if (argc > 4 && hs_symbols_add_debug(symbols, argv[4], &err) != HS_OK) {
		fprintf(stderr, "print_backtrace: %s\n", err.message);
		return 1;
	}
	hs_core_cpu(core, 0, &cpu);
	const struct hs_unwind_input input = {
		.arch = hs_core_info(core)->arch,
		.cpu = &cpu,
		.symbols = symbols,
		.memory = { .read = read_core, .context = core },
	};

	hs_unwind(&input, frames, capacity, &result);
	for (size_t i = 0; i < result.count; i++) {
		print(&frames[i]);
	}
	printf("%s\n", hs_unwind_end_text(result.end));
	hs_symbols_close(symbols);
	hs_core_close(core);
	free(frames);
	return 0;
}
