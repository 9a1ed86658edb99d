/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random code on random machines: the software CPU must neither harm its host nor contradict itself.
 *
 *   - no access outside the guest's memory: the host cannot touch the pages around it, and ASan and UBSan watch;
 *   - read-only memory stays as it is, and exits say what is true;
 *   - so many instructions in one run, and the same number of single steps, give the same exit, the same state and the
 *     same memory: what is decoded, translated or looked up once and kept is what it would be when looked up again.
 *
 * A guest can fault for ever without completing an instruction; a timer then ends the run.
 */
#include "driver.h"
#include "soft_scene.h"

#include "vmm/backend.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#define INSTRUCTIONS 300u
#define CR0_PG 0x80000000u
#define EXITS_MAX 40u
#define TICK_MS 2
#define TICKS_MAX 4

/* What the timer's handler needs. */
static struct hs_backend *volatile running;
static volatile sig_atomic_t ticks;

static void on_tick(int signal_number)
{
	(void)signal_number;
	ticks = ticks + 1;
	if (ticks > TICKS_MAX && running) {
		hs_soft_backend_ops.interrupt(running);
	}
}

static void start_timer(void)
{
	const struct itimerval interval = { .it_interval.tv_usec = TICK_MS * 1000, .it_value.tv_usec = TICK_MS * 1000 };
	struct sigaction action = { .sa_handler = on_tick, .sa_flags = SA_RESTART };

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &interval, NULL) == 0);
}

/* Pages with one before and one behind them that nobody may touch. */
static uint8_t *map_guarded(size_t length)
{
	uint8_t *around = mmap(NULL, length + 2 * HS_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(around != MAP_FAILED);
	CHECK(mprotect(around + HS_PAGE_SIZE, length, PROT_READ | PROT_WRITE) == 0);
	return around + HS_PAGE_SIZE;
}

/* One of two equal machines. */
struct side {
	struct hs_backend *backend;
	uint8_t *ram, *read_only; /* for all inputs */
	struct hs_exit exit;      /* of the last run, and the state then */
	struct hs_cpu_state end;
};

static void make(struct side *side, const uint8_t *ram, const struct hs_cpu_state *cpu)
{
	const struct hs_backend_ops *ops = &hs_soft_backend_ops;

	memcpy(side->ram, ram, SCENE_RAM);
	memset(side->read_only, 0x90, HS_PAGE_SIZE);
	CHECK(!ops->create(&side->backend, NULL));
	CHECK(!ops->map(side->backend, hs_gpa_of(0), SCENE_RAM, side->ram, false, NULL));
	CHECK(!ops->map(side->backend, hs_gpa_of(SCENE_READ_ONLY), HS_PAGE_SIZE, side->read_only, true, NULL));
	CHECK(!ops->set_state(side->backend, HS_STATE_ALL, cpu, NULL));
}

static bool is_backed(uint64_t gpa)
{
	return gpa < SCENE_RAM || (gpa >= SCENE_READ_ONLY && gpa < SCENE_READ_ONLY + HS_PAGE_SIZE);
}

static void check_exit(const struct hs_exit *exit, size_t watch_count)
{
	switch (exit->kind) {
	case HS_EXIT_PORT_IN:
	case HS_EXIT_PORT_OUT:
		CHECK(exit->size == 1 || exit->size == 2 || exit->size == 4);
		break;
	case HS_EXIT_UNMAPPED:
		CHECK(!is_backed(exit->gpa));
		break;
	case HS_EXIT_READ_ONLY:
		CHECK(exit->gpa >= SCENE_READ_ONLY && exit->gpa < SCENE_READ_ONLY + HS_PAGE_SIZE);
		break;
	case HS_EXIT_WATCH:
		CHECK(exit->watch < watch_count);
		break;
	case HS_EXIT_HLT:
	case HS_EXIT_SHUTDOWN:
	case HS_EXIT_STEPPED:
	case HS_EXIT_BREAK:
	case HS_EXIT_EMULATION:
	case HS_EXIT_INTERRUPTED:
		break;
	default:
		CHECK(!"an exit that the software CPU has no use for");
	}
}

/* Whether the guest goes on behind this exit; one that would come again ends it. */
static bool goes_on(const struct hs_exit *exit)
{
	return exit->kind == HS_EXIT_PORT_IN || exit->kind == HS_EXIT_PORT_OUT || exit->kind == HS_EXIT_HLT ||
	       exit->kind == HS_EXIT_WATCH;
}

/* Nothing that was decoded is kept, as if the host had written to all memory. With paging that would drop translations
 * too, which a guest that changes its tables may rightly still be using. */
static void forget(struct side *side)
{
	const struct hs_backend_ops *ops = &hs_soft_backend_ops;

	CHECK(!ops->get_state(side->backend, HS_STATE_CORE, &side->end, NULL));
	if (!(side->end.cr0 & CR0_PG)) {
		ops->memory_written(side->backend, hs_gpa_of(0), SCENE_RAM);
	}
}

/* Run so many instructions, `stride` at a time, unless something else comes first. */
static void run(struct side *side, uint64_t instructions, uint64_t stride, const struct hs_debug_request *armed)
{
	const struct hs_backend_ops *ops = &hs_soft_backend_ops;
	struct hs_debug_request request = *armed;

	request.step = true;
	request.instructions = stride;
	CHECK(!ops->set_debug(side->backend, &request, NULL));
	running = side->backend;
	ticks = 0;
	for (uint64_t done = 0; done < instructions; done += stride) {
		if (stride == 1) {
			forget(side);
		}
		CHECK(!ops->run(side->backend, &side->exit, NULL));
		check_exit(&side->exit, armed->watch_count);
		if (side->exit.kind != HS_EXIT_STEPPED) {
			break;
		}
	}
	running = NULL;
	CHECK(!ops->get_state(side->backend, HS_STATE_ALL, &side->end, NULL));
	if (side->exit.kind == HS_EXIT_PORT_IN) {
		ops->port_in(side->backend, 0x5A5A5A5A);
	}
}

static void compare(const struct side *a, const struct side *b)
{
	CHECK(a->exit.kind == b->exit.kind);
	CHECK(a->exit.port == b->exit.port && a->exit.data == b->exit.data && a->exit.size == b->exit.size);
	CHECK(a->exit.gpa == b->exit.gpa && a->exit.is_write == b->exit.is_write);
	CHECK(a->end.rip == b->end.rip);
	CHECK(a->end.rflags == b->end.rflags);
	CHECK(memcmp(a->end.gpr, b->end.gpr, sizeof(a->end.gpr)) == 0);
	CHECK(memcmp(&a->end, &b->end, sizeof(a->end)) == 0);
	CHECK(memcmp(a->ram, b->ram, SCENE_RAM) == 0);
}

static void check_read_only(const struct side *side)
{
	for (size_t i = 0; i < HS_PAGE_SIZE; i++) {
		CHECK(side->read_only[i] == 0x90);
	}
}

static void run_both(struct side sides[2], uint64_t instructions, const struct hs_debug_request *armed)
{
	for (unsigned int exits = 0; exits < EXITS_MAX; exits++) {
		run(&sides[0], instructions, instructions, armed);
		run(&sides[1], instructions, 1, armed);
		if (sides[0].exit.kind == HS_EXIT_INTERRUPTED || sides[1].exit.kind == HS_EXIT_INTERRUPTED) {
			break;
		}
		compare(&sides[0], &sides[1]);
		if (!goes_on(&sides[0].exit)) {
			break;
		}
	}
}

static void make_once(struct side sides[2])
{
	if (!sides[0].ram) {
		for (int i = 0; i < 2; i++) {
			sides[i].ram = map_guarded(SCENE_RAM);
			sides[i].read_only = map_guarded(HS_PAGE_SIZE);
		}
		start_timer();
	}
}

static void get_reset_state(struct hs_cpu_state *cpu)
{
	struct hs_backend *backend;

	memset(cpu, 0, sizeof(*cpu));
	CHECK(!hs_soft_backend_ops.create(&backend, NULL));
	CHECK(!hs_soft_backend_ops.get_state(backend, HS_STATE_ALL, cpu, NULL));
	hs_soft_backend_ops.destroy(backend);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct side sides[2];
	static uint8_t ram[SCENE_RAM];
	static struct hs_cpu_state cpu;
	struct scene_source source = scene_source_of(data, size);
	struct hs_breakpoint watch = { .kind = HS_WATCH_WRITE, .length = 8 };
	struct hs_breakpoint stop = { .kind = HS_BREAK_SOFTWARE, .length = 1 };
	struct hs_debug_request armed = { .step = true };
	uint64_t instructions = 1 + scene_choice(&source, INSTRUCTIONS);

	make_once(sides);
	get_reset_state(&cpu);
	memset(ram, 0, sizeof(ram));
	/* Half of them; by the last byte, which machines of either kind take last. */
	scene_make(&source, size > 0 && !(data[size - 1] & 1), ram, &cpu);
	if (scene_choice(&source, 4) == 0) {
		watch.gva = hs_gva_of(scene_choice(&source, SCENE_RAM));
		armed.watches = &watch;
		armed.watch_count = 1;
	}
	if (scene_choice(&source, 4) == 0) {
		stop.gva = hs_gva_of(SCENE_CODE + scene_choice(&source, SCENE_CODE_BYTES));
		armed.breaks = &stop;
		armed.break_count = 1;
	}
	for (int i = 0; i < 2; i++) {
		make(&sides[i], ram, &cpu);
	}
	run_both(sides, instructions, &armed);
	for (int i = 0; i < 2; i++) {
		check_read_only(&sides[i]);
		hs_soft_backend_ops.destroy(sides[i].backend);
	}
	return 0;
}
