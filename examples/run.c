/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The smallest embedding: run a guest, pass its output on, say how it ended.
 *
 *     gcc run.c $(pkg-config --cflags --libs hindsight) -o run && ./run hello.elf
 */
#include <hindsight/hindsight.h>

#include <stdio.h>

static void on_console(void *ctx, const void *bytes, size_t length)
{
	fwrite(bytes, 1, length, ctx);
}

int main(int argc, char **argv)
{
	const struct hs_vm_config config = { .console = on_console, .console_ctx = stdout };
	const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;
	struct hs_error err;
	struct hs_vm *vm;

	if (argc != 2) {
		fprintf(stderr, "usage: run GUEST\n");
		return 2;
	}
	if (hs_vm_create(argv[1], &config, &vm, &err)) {
		fprintf(stderr, "run: %s\n", err.message);
		return 125;
	}
	if (hs_vm_run(vm, &go, &event, &err)) {
		fprintf(stderr, "run: %s\n", err.message);
		hs_vm_destroy(vm);
		return 125;
	}
	if (event.kind == HS_EVENT_CRASHED) {
		fprintf(stderr, "run: %s, at 0x%llx\n", event.crash.text, (unsigned long long)event.crash.rip);
	}
	hs_vm_destroy(vm);
	return event.kind == HS_EVENT_EXITED ? event.exit_status : 128 + event.crash.signal;
}
