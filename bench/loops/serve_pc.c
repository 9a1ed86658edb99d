/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * As a kernel for a PC: commands come over the first serial port, a letter and four bytes of rounds, lowest first; a
 * full stop goes back when the loop is done, and once at the start; a dash if the CPU lacks what the loop needs. 'q'
 * ends the machine (QEMU's isa-debug-exit).
 */
#include "loops.h"

#define UART_DATA 0x3F8
#define UART_FIFO 0x3FA
#define UART_LINE 0x3FB
#define UART_STATUS 0x3FD
#define UART_HAS_DATA 1
#define UART_DIVISOR 0x80
#define UART_8_BITS 3
#define DEBUG_EXIT 0xF4

void serve(void);

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %w1" : : "a"(value), "d"(port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %w1, %0" : "=a"(value) : "d"(port));
	return value;
}

static uint8_t receive(void)
{
	while (!(in8(UART_STATUS) & UART_HAS_DATA)) {
	}
	return in8(UART_DATA);
}

/* As fast as it can be set, 115200 baud, and with its FIFO: QEMU lets characters take their time. */
static void set_speed(void)
{
	out8(UART_LINE, UART_DIVISOR);
	out8(UART_DATA, 1);
	out8(UART_DATA + 1, 0);
	out8(UART_LINE, UART_8_BITS);
	out8(UART_FIFO, 1);
}

void serve(void)
{
	bool done = true;

	set_speed();
	for (;;) {
		uint32_t rounds = 0;
		char letter;

		out8(UART_DATA, done ? '.' : '-');
		letter = (char)receive();
		if (letter == 'q') {
			out8(DEBUG_EXIT, 0);
		}
		for (unsigned int i = 0; i < 4; i++) {
			rounds |= (uint32_t)receive() << 8 * i;
		}
		done = loop_run(letter, rounds);
	}
}
