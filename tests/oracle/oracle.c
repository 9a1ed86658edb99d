/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The native oracle: for each instruction form, random states executed on the host's CPU in a child process and on a
 * CPU backend; registers, flags, memory and the kind of fault must agree.
 *
 * A case is known by mode, form, seed and number: whatever is printed can be run again alone. Exit status: 0 all agree,
 * 1 not, 77 this host cannot be an oracle, or is none of AMD's and differs.
 */
#include "compare.h"
#include "native.h"
#include "options.h"
#include "pointers.h"
#include "print.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define SKIPPED 77

/* What belongs to a case on this side of the batch. */
struct slot {
	size_t form;
	unsigned int number;
	enum oracle_step step;
	struct oracle_code code;
};

struct tally {
	uint64_t cases, faults, differences, not_there, undefined, excused;
};

struct run {
	struct oracle_options options;
	uint8_t *before;
	struct oracle_native *native;
	const struct hs_backend_ops *ops; /* of the other side; NULL when that is the host again */
	struct oracle_guest *guests[ORACLE_MODES];
	struct oracle_forms forms;
	unsigned int bits;
	struct tally *form_tallies;
	struct slot slots[ORACLE_BATCH];
	struct oracle_result twin[ORACLE_BATCH]; /* of the host's CPU against itself */
	uint32_t count;
	struct tally total;
	uint64_t excuses[ORACLE_EXCUSES];
	uint64_t vectors[32]; /* how often the host raised each */
	uint64_t form_count, forms_not_there, forms_skipped, cases_skipped;
	uint64_t not_offered[ZYDIS_ISA_SET_MAX_VALUE + 1]; /* forms */
};

static uint64_t hash(uint64_t seed, const char *text, uint64_t number)
{
	uint64_t value = seed ^ UINT64_C(0xcbf29ce484222325);

	for (; *text; text++) {
		value = (value ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	}
	return value + number * UINT64_C(0x9e3779b97f4a7c15) * 3;
}

static const char *const step_names[] = { "stepped", "by TF", "run" };

static void print_case(const struct run *run, const struct slot *slot, enum oracle_mode mode, const char *text)
{
	printf("DIFFERENCE %s %s, bytes", oracle_mode_name(mode), run->forms.forms[slot->form].name);
	for (size_t i = 0; i < slot->code.length; i++) {
		printf(" %02x", slot->code.bytes[i]);
	}
	printf(" at 0x%" PRIx64 " (%s):%s run: --bits %u --form '%s' --seed %" PRIu64 " --only %u\n", slot->code.rip,
	       step_names[slot->step], text, run->bits, run->forms.forms[slot->form].name, run->options.seed,
	       slot->number);
}

/* One bit of what came out here: of a flag of MXCSR, of a tag, of any byte of a register. */
static void spoil(const struct run *run, const struct slot *slot, struct oracle_result *ours)
{
	for (unsigned int i = 0; i < ORACLE_XSAVE_FIELDS; i++) {
		const struct oracle_xsave_field *field = &oracle_xsave_fields[i];

		if (strcmp(field->name, run->options.spoil) == 0) {
			unsigned int element = slot->number % field->count, byte = slot->number % field->bytes;
			unsigned int bit = slot->number % (strcmp(field->name, "mxcsr") == 0 ? 6 : 8);

			byte = strcmp(field->name, "mxcsr") == 0 ? 0 : byte;
			ours->out.xsave[field->at + element * field->stride + byte] ^= (uint8_t)(1u << bit);
		}
	}
}

static void judge(struct run *run, uint32_t index, enum oracle_mode mode, struct oracle_result *ours)
{
	struct oracle_batch *batch = oracle_native_batch(run->native);
	struct oracle_result *host = &batch->results[index];
	const struct slot *slot = &run->slots[index];
	struct tally *tally = &run->form_tallies[slot->form];
	const struct oracle_pair pair = { &slot->code, &batch->cases[index], host, ours, slot->step, run->before };
	uint32_t excuses;
	char text[1024];

	if (run->options.only >= 0) {
		oracle_print_case(&batch->cases[index], host);
	}
	oracle_pointers_settle(&slot->code, &batch->cases[index], host);
	if (run->options.spoil) {
		spoil(run, slot, ours);
	}
	tally->cases++;
	tally->faults += !oracle_executed(&pair, host);
	run->vectors[host->vector & 31] += !oracle_executed(&pair, host);
	switch (oracle_compare(&pair, &excuses, text, sizeof(text))) {
	case ORACLE_AGREES:
		break;
	case ORACLE_EXCUSED:
		tally->excused++;
		for (unsigned int i = 0; i < ORACLE_EXCUSES; i++) {
			run->excuses[i] += excuses >> i & 1;
		}
		break;
	case ORACLE_AGREES_BUT_UNDEFINED:
		tally->undefined++;
		break;
	case ORACLE_NOT_THERE:
		tally->not_there++;
		break;
	case ORACLE_DIFFERS:
		if (tally->differences++ < run->options.shown) {
			print_case(run, slot, mode, text);
		}
		break;
	}
}

/* Ours, while the child is at work: results go to the end of the comparison in the same order. */
static void run_guest(struct run *run, enum oracle_mode mode, struct oracle_result *results, char (*texts)[128])
{
	const struct oracle_batch *batch = oracle_native_batch(run->native);

	for (uint32_t i = 0; i < run->count; i++) {
		texts[i][0] = 0;
		if (!oracle_guest_run(run->guests[mode], &batch->cases[i], run->slots[i].step, &results[i], texts[i],
				      sizeof(texts[i]))) {
			results[i].vector = ORACLE_NO_VECTOR;
		}
	}
}

static void judge_guest(struct run *run, enum oracle_mode mode, struct oracle_result *results, char (*texts)[128])
{
	for (uint32_t i = 0; i < run->count; i++) {
		const struct slot *slot = &run->slots[i];

		if (results[i].vector == ORACLE_NO_VECTOR) {
			struct tally *tally = &run->form_tallies[slot->form];

			tally->cases++;
			if (tally->differences++ < run->options.shown) {
				char text[192];

				snprintf(text, sizeof(text), " %s, host vector %u;", texts[i],
					 oracle_native_batch(run->native)->results[i].vector);
				print_case(run, slot, mode, text);
			}
		} else {
			judge(run, i, mode, &results[i]);
		}
	}
}

static bool restart_native(struct run *run)
{
	const struct oracle_batch *batch = oracle_native_batch(run->native);

	print_case(run, &run->slots[batch->at], ORACLE_MODE_64, " the process on the host's CPU died;");
	run->form_tallies[run->slots[batch->at].form].differences++;
	oracle_native_destroy(run->native);
	run->native = oracle_native_create(run->before);
	return run->native != NULL;
}

static bool is_self(const struct run *run)
{
	return strcmp(run->options.backend, "host") == 0;
}

/* The host against itself: the same batch twice. */
static bool flush_self(struct run *run)
{
	struct oracle_batch *batch = oracle_native_batch(run->native);

	memcpy(run->twin, batch->results, sizeof(run->twin));
	if (!oracle_native_start(run->native) || !oracle_native_wait(run->native)) {
		return restart_native(run);
	}
	for (uint32_t i = 0; i < run->count; i++) {
		run->slots[i].step = run->slots[i].step == ORACLE_STEP_RUN ? ORACLE_STEP_RUN : ORACLE_STEP_TF;
		oracle_pointers_settle(&run->slots[i].code, &batch->cases[i], &run->twin[i]);
		judge(run, i, ORACLE_MODE_64, &run->twin[i]);
	}
	return true;
}

static bool flush(struct run *run)
{
	static struct oracle_result results[ORACLE_MODES][ORACLE_BATCH];
	static char texts[ORACLE_MODES][ORACLE_BATCH][128];
	bool good = true;

	if (run->count == 0) {
		return true;
	}
	oracle_native_batch(run->native)->count = run->count;
	good = oracle_native_start(run->native);
	for (enum oracle_mode mode = 0; mode < ORACLE_MODES; mode++) {
		if (run->guests[mode] && oracle_mode_bits(mode) == run->bits) {
			run_guest(run, mode, results[mode], texts[mode]);
		}
	}
	if (!good || !oracle_native_wait(run->native)) {
		good = restart_native(run);
	} else if (is_self(run)) {
		good = flush_self(run);
	} else {
		for (enum oracle_mode mode = 0; mode < ORACLE_MODES; mode++) {
			if (run->guests[mode] && oracle_mode_bits(mode) == run->bits) {
				judge_guest(run, mode, results[mode], texts[mode]);
			}
		}
	}
	run->count = 0;
	return good;
}

static bool run_form(struct run *run, const ZydisDecoder *decoder, size_t index)
{
	const struct oracle_form *form = &run->forms.forms[index];

	unsigned int cases = form->vectors && run->options.vectors ? run->options.vectors : run->options.cases;

	for (unsigned int number = 0; number < cases; number++) {
		struct oracle_batch *batch = oracle_native_batch(run->native);
		struct oracle_random random = { hash(run->options.seed, form->name, number) };
		struct slot *slot = &run->slots[run->count];

		if (run->options.only >= 0 && number != (unsigned long)run->options.only) {
			continue;
		}
		if (!oracle_scene(&random, decoder, form, &batch->cases[run->count], &slot->code)) {
			run->cases_skipped++;
			continue;
		}
		slot->form = index;
		slot->number = number;
		slot->step = oracle_choose_step(&random, &slot->code, &batch->cases[run->count]);
		if (++run->count == ORACLE_BATCH && !flush(run)) {
			return false;
		}
	}
	return true;
}

static bool is_selected(const struct run *run, const struct oracle_form *form)
{
	const char *wanted = run->options.form;
	size_t length = wanted ? strlen(wanted) : 0;

	if (run->options.spoil && !form->vectors) {
		return false;
	}
	if (wanted == NULL) {
		return true;
	}
	if (length && wanted[length - 1] == '*') {
		return strncmp(form->name, wanted, length - 1) == 0;
	}
	return strcmp(form->name, wanted) == 0;
}

static void add_up(struct run *run)
{
	for (size_t i = 0; i < run->forms.count; i++) {
		const struct tally *tally = &run->form_tallies[i];

		run->form_count += tally->cases != 0;
		run->total.cases += tally->cases;
		run->total.faults += tally->faults;
		run->total.differences += tally->differences;
		run->total.undefined += tally->undefined;
		run->total.excused += tally->excused;
		run->total.not_there += tally->not_there;
		if (tally->not_there) {
			run->forms_not_there++;
			printf("NOT THERE %u %s (%" PRIu64 " of %" PRIu64 " cases: #UD)\n", run->bits,
			       run->forms.forms[i].name, tally->not_there, tally->cases);
		}
		if (tally->differences) {
			printf("FORM %u %s: %" PRIu64 " differences in %" PRIu64 " cases\n", run->bits,
			       run->forms.forms[i].name, tally->differences, tally->cases);
		}
	}
}

static bool is_offered(const struct run *run, const struct oracle_form *form)
{
	return run->ops == NULL || !form->vectors || oracle_guest_offers(run->ops, form->isa);
}

static bool run_forms(struct run *run)
{
	ZydisDecoder decoder;
	bool good = true;

	oracle_decoder_init(&decoder, run->bits);
	for (size_t i = 0; i < run->forms.count && good; i++) {
		if (!is_selected(run, &run->forms.forms[i])) {
			continue;
		}
		if (run->options.list) {
			printf("%u %s\n", run->bits, run->forms.forms[i].name);
		} else if (!oracle_isa_on_host(&run->forms.forms[i])) {
			run->forms_skipped++;
		} else if (!is_offered(run, &run->forms.forms[i])) {
			run->not_offered[run->forms.forms[i].isa]++;
		} else {
			good = run_form(run, &decoder, i);
		}
	}
	return good && flush(run);
}

static bool run_bits(struct run *run, unsigned int bits)
{
	bool good;

	if (run->options.bits && run->options.bits != bits) {
		return true;
	}
	run->bits = bits;
	oracle_forms_init(&run->forms, bits);
	run->form_tallies = calloc(run->forms.count + 1, sizeof(*run->form_tallies));
	good = run->form_tallies != NULL && !run->forms.failed && run_forms(run);
	if (good) {
		add_up(run);
	}
	free(run->form_tallies);
	oracle_forms_deinit(&run->forms);
	return good;
}

static bool make_guests(struct run *run)
{
	bool any = is_self(run);

	if (!is_self(run)) {
		run->ops = strcmp(run->options.backend, "kvm") == 0 ? &hs_kvm_backend_ops : &hs_soft_backend_ops;
	}
	for (enum oracle_mode mode = 0; mode < ORACLE_MODES && !is_self(run); mode++) {
		enum hs_arch arch = mode == ORACLE_MODE_32 ? HS_ARCH_I686 : HS_ARCH_AMD64;
		struct hs_error err = { 0 };

		if (run->ops->check(arch, &err)) {
			printf("mode %s is left out: %s\n", oracle_mode_name(mode), err.message);
			continue;
		}
		run->guests[mode] = oracle_guest_create(run->ops, mode, run->before);
		any |= run->guests[mode] != NULL;
	}
	return any;
}

static void print_summary(const struct run *run)
{
	for (unsigned int i = 0; i < ORACLE_EXCUSES; i++) {
		if (run->excuses[i]) {
			printf("explained, %" PRIu64 " cases: %s\n", run->excuses[i], oracle_excuse_reason(i));
		}
	}
	printf("faults by vector:");
	for (unsigned int i = 0; i < sizeof(run->vectors) / sizeof(run->vectors[0]); i++) {
		if (run->vectors[i]) {
			printf(" %u: %" PRIu64, i, run->vectors[i]);
		}
	}
	puts("");
	for (unsigned int set = 0; set <= ZYDIS_ISA_SET_MAX_VALUE; set++) {
		if (run->not_offered[set]) {
			printf("not offered, and so not run: %" PRIu64 " forms of %s\n", run->not_offered[set],
			       ZydisISASetGetString((ZydisISASet)set));
		}
	}
	printf("%" PRIu64 " forms, %" PRIu64 " cases (%" PRIu64 " of them faults), %" PRIu64 " differences; %" PRIu64
	       " forms not there; %" PRIu64 " forms and %" PRIu64 " cases skipped; %" PRIu64
	       " cases differ in undefined flags alone, %" PRIu64 " as explained\n",
	       run->form_count, run->total.cases, run->total.faults, run->total.differences, run->forms_not_there,
	       run->forms_skipped, run->cases_skipped, run->total.undefined, run->total.excused);
}

/* What is explained is so for AMD's processors (excuse.c); elsewhere differences are something to look at. */
static int verdict(const struct run *run)
{
	bool differs = run->total.differences > 0;

	if (run->options.spoil) {
		/* A few are what else is explained: the comparison has found them, too. */
		return run->total.differences + run->total.excused == run->total.cases &&
				       run->total.excused * 100 < run->total.cases
			       ? EXIT_SUCCESS
			       : EXIT_FAILURE;
	}
	if (run->total.not_there || (differs && __builtin_cpu_is("amd"))) {
		return EXIT_FAILURE;
	}
	if (differs) {
		puts("this host's CPU is not AMD's: nobody has looked yet at where it differs, as listed above");
	}
	return differs ? SKIPPED : EXIT_SUCCESS;
}

static int run_all(struct run *run)
{
	run->before = malloc(ORACLE_WORLD);
	if (run->before == NULL) {
		return EXIT_FAILURE;
	}
	oracle_world_fill(run->before, run->options.seed);
	run->native = oracle_native_create(run->before);
	if (run->native == NULL || !make_guests(run)) {
		return EXIT_FAILURE;
	}
	if (!oracle_native_works(run->native)) {
		puts("this host's kernel or CPU cannot be an oracle: the process for it did not start");
		return SKIPPED;
	}
	if (!run_bits(run, 64) || !run_bits(run, 32)) {
		return EXIT_FAILURE;
	}
	print_summary(run);
	return verdict(run);
}

static void on_alarm(int number)
{
	(void)number;
	oracle_guest_watchdog();
	oracle_native_watchdog();
}

static void start_watchdog(void)
{
	const struct itimerval second = { .it_interval.tv_sec = 1, .it_value.tv_sec = 1 };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &second, NULL);
}

int main(int argc, char **argv)
{
	struct run *run = calloc(1, sizeof(*run));
	int status;

	if (run == NULL || !oracle_options_parse(argc, argv, &run->options)) {
		free(run);
		return 2;
	}
	if (run->options.undefined) {
		oracle_undefined_print();
		free(run);
		return EXIT_SUCCESS;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	start_watchdog();
	status = run_all(run);
	for (enum oracle_mode mode = 0; mode < ORACLE_MODES; mode++) {
		oracle_guest_destroy(run->guests[mode]);
	}
	oracle_native_destroy(run->native);
	free(run->before);
	free(run);
	return status;
}
