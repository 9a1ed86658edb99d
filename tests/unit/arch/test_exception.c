/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arch/exception: every vector has a row, and the rows say what Linux tells a process. */
#include "arch/exception.h"
#include "base/bytes.h"

#include <hindsight/cpu.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_exception_every_vector_has_a_complete_row(void **state)
{
	(void)state;
	for (unsigned int vector = 0; vector < 256; vector++) {
		const struct hs_exception *row = hs_exception_of((uint8_t)vector);

		assert_non_null(row);
		assert_non_null(row->mnemonic);
		assert_non_null(row->name);
		assert_non_null(hs_signal_name(row->signal));
		assert_int_not_equal(row->code, 0);
	}
	assert_string_equal(hs_exception_of(15)->name, "reserved exception");
	assert_string_equal(hs_exception_of(31)->name, "reserved exception");
	assert_string_equal(hs_exception_of(32)->name, "interrupt");
	assert_string_equal(hs_exception_of(255)->name, "interrupt");
}

/* SDM vol. 3A table 6-1, column "Error Code", and AMD's 29 and 30. */
static void test_exception_error_code_is_pushed_by_these_vectors_alone(void **state)
{
	static const uint8_t pushing[] = { 8, 10, 11, 12, 13, 14, 17, 21, 29, 30 };

	(void)state;
	for (unsigned int vector = 0; vector < 256; vector++) {
		bool wanted = vector != 0 && memchr(pushing, (int)vector, sizeof(pushing)) != NULL;

		assert_int_equal(hs_exception_of((uint8_t)vector)->has_error_code, wanted);
	}
}

static void assert_row(uint8_t vector, const char *mnemonic, int signal, int code)
{
	assert_string_equal(hs_exception_of(vector)->mnemonic, mnemonic);
	assert_int_equal(hs_exception_of(vector)->signal, signal);
	assert_int_equal(hs_exception_of(vector)->code, code);
}

static void test_exception_signals_are_those_of_linux(void **state)
{
	(void)state;
	assert_row(HS_VECTOR_DE, "#DE", SIGFPE, FPE_INTDIV);
	assert_row(HS_VECTOR_BP, "#BP", SIGTRAP, SI_KERNEL);
	assert_row(HS_VECTOR_UD, "#UD", SIGILL, ILL_ILLOPN);
	assert_row(HS_VECTOR_GP, "#GP", SIGSEGV, SI_KERNEL);
	assert_row(HS_VECTOR_SS, "#SS", SIGBUS, SI_KERNEL);
	assert_row(HS_VECTOR_PF, "#PF", SIGSEGV, SEGV_MAPERR);
	assert_row(HS_VECTOR_AC, "#AC", SIGBUS, BUS_ADRALN);
	assert_row(HS_VECTOR_XM, "#XM", SIGFPE, FPE_FLTINV);
	assert_true(hs_exception_of(HS_VECTOR_BP)->is_trap);
	assert_false(hs_exception_of(HS_VECTOR_PF)->is_trap);
}

static void test_exception_page_fault_code_follows_the_present_bit(void **state)
{
	(void)state;
	assert_int_equal(hs_exception_pf_code(HS_PF_W | HS_PF_U), SEGV_MAPERR);
	assert_int_equal(hs_exception_pf_code(HS_PF_P), SEGV_ACCERR);
	assert_int_equal(hs_exception_pf_code(HS_PF_P | HS_PF_I), SEGV_ACCERR);
}

static int float_code(uint8_t vector, uint16_t control, uint16_t status, uint32_t mxcsr)
{
	uint8_t xsave[HS_XSAVE_XMM0] = { 0 };
	const struct hs_float_exception *exception;

	hs_put_le16(xsave + HS_XSAVE_FCW, control);
	hs_put_le16(xsave + HS_XSAVE_FSW, status);
	hs_put_le32(xsave + HS_XSAVE_MXCSR, mxcsr);
	exception = hs_float_exception_of(vector, xsave);
	return exception ? exception->code : 0;
}

/* fpu__exception_code() of Linux. */
static void test_float_exception_is_the_first_that_is_not_masked(void **state)
{
	(void)state;
	assert_int_equal(float_code(HS_VECTOR_MF, 0x340, 0x80BF, 0), FPE_FLTINV);
	assert_int_equal(float_code(HS_VECTOR_MF, 0x341, 0x80BF, 0), FPE_FLTDIV);
	assert_int_equal(float_code(HS_VECTOR_MF, 0x345, 0x80BF, 0), FPE_FLTOVF);
	assert_int_equal(float_code(HS_VECTOR_MF, 0x34D, 0x80BF, 0), FPE_FLTUND);
	assert_int_equal(float_code(HS_VECTOR_MF, 0x34F, 0x80BF, 0), FPE_FLTUND);
	assert_int_equal(float_code(HS_VECTOR_MF, 0x35F, 0x80BF, 0), FPE_FLTRES);
	assert_int_equal(float_code(HS_VECTOR_MF, 0x37F, 0x80BF, 0), 0);
	assert_int_equal(float_code(HS_VECTOR_XM, 0x37F, 0, 0x1D84), FPE_FLTDIV);
	assert_int_equal(float_code(HS_VECTOR_XM, 0x340, 0x80BF, 0x1FBF), 0);
	assert_int_equal(float_code(HS_VECTOR_GP, 0x340, 0x80BF, 0x3F), 0);
}

/* This host is x86 Linux (the only one the library builds on), so its own names are an independent list. */
static void test_signal_names_are_those_of_the_c_library(void **state)
{
	(void)state;
	for (int signal = 1; signal < 32; signal++) {
		const char *name = sigabbrev_np(signal);

		assert_non_null(name);
		assert_memory_equal(hs_signal_name(signal), "SIG", 3);
		/* The C library says POLL where signal(7) prefers its synonym IO. */
		assert_string_equal(hs_signal_name(signal) + 3, signal == SIGIO ? "IO" : name);
	}
	assert_null(hs_signal_name(0));
	assert_null(hs_signal_name(-1));
	assert_null(hs_signal_name(32));
	assert_null(hs_signal_name(1 << 30));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exception_every_vector_has_a_complete_row),
		cmocka_unit_test(test_exception_error_code_is_pushed_by_these_vectors_alone),
		cmocka_unit_test(test_exception_signals_are_those_of_linux),
		cmocka_unit_test(test_exception_page_fault_code_follows_the_present_bit),
		cmocka_unit_test(test_float_exception_is_the_first_that_is_not_masked),
		cmocka_unit_test(test_signal_names_are_those_of_the_c_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
