/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a snapshot must have beside registers and memory, said by what the guest finds when it goes on from where it was
 * ready. Its argument says what:
 *   devices   the registers of the serial port, and a message of an abort that is half sent
 *   overflow  nothing: then it runs out of stack
 *   string    it is not: it says so twice in one instruction, which is a bad call
 *   handler   nothing; it is ready in the handler of a trap, on the stack that the CPU has switched to
 */
#include <hindsight/guest.h>

#define LINE_CONTROL (HS_PORT_UART + 3)
#define SCRATCH (HS_PORT_UART + 7)
/* 'a' and 'b' of a message, and the end of one after 'c'. */
#define ABORT_AB ('b' << 16 | 'a' << 8 | 2)
#define ABORT_C_END (0xFF << 16 | 'c' << 8 | 2)

static volatile unsigned int traps;

static void show_devices(void)
{
	hs_printf("line control %02x, scratch %02x\n", hs_in8(LINE_CONTROL), hs_in8(SCRATCH));
}

static void devices(void)
{
	hs_out8(LINE_CONTROL, 0x83);
	hs_out8(SCRATCH, 0x5a);
	hs_out32(HS_PORT_ABORT, ABORT_AB);
	hs_out32(HS_PORT_READY, 0);
	show_devices();
	hs_out8(LINE_CONTROL, 0x03);
	hs_out8(SCRATCH, 0xa5);
	show_devices();
	hs_out32(HS_PORT_ABORT, ABORT_C_END);
}

__attribute__((noinline)) static uint32_t descend(uint32_t depth)
{
	volatile uint32_t here[64] = { depth };

	return here[0] == UINT32_MAX ? 0 : descend(depth + 1) + here[0];
}

static bool on_int3(struct hs_trap_frame *frame)
{
	(void)frame;
	if (traps++ == 0) {
		hs_out32(HS_PORT_READY, 0);
		/* A trap that is delivered while the first one is handled. */
		__asm__ volatile("int3");
		hs_printf("%u traps\n", traps);
	}
	return true;
}

static void handler(void)
{
	hs_trap_set_handler(3, on_int3);
	__asm__ volatile("int3");
	__asm__ volatile("int3");
	hs_printf("%u traps in all\n", traps);
}

static void string(void)
{
	static const uint32_t words[2];
	const void *from = words;
	uintptr_t count = 2;

	__asm__ volatile("rep outsl" : "+S"(from), "+c"(count) : "d"(HS_PORT_READY) : "memory");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "devices") == 0) {
		devices();
	} else if (strcmp(what, "overflow") == 0) {
		hs_out32(HS_PORT_READY, 0);
		hs_printf("%u\n", descend(0));
	} else if (strcmp(what, "string") == 0) {
		string();
	} else if (strcmp(what, "handler") == 0) {
		handler();
	}
	return 7;
}
