/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/bus.h"

#include "base/arith.h"
#include "base/bytes.h"

#include <hindsight/paging.h>

#include <stdio.h>
#include <string.h>

/* Registers of the 16550 (National Semiconductor PC16550D, table II), as offsets from HS_PORT_UART. */
enum { UART_DATA = 0, UART_LCR = 3, UART_LSR = 5, UART_SCRATCH = 7, UART_PORTS = 8 };
#define UART_LCR_DLAB 0x80u
#define UART_LSR_TRANSMITTER_EMPTY 0x60u

static void print(struct hs_bus *bus, const void *bytes, size_t length)
{
	if (bus->console && length > 0) {
		bus->console(bus->console_ctx, bytes, length);
	}
}

static void print_char(struct hs_bus *bus, uint32_t data)
{
	uint8_t byte = (uint8_t)data;

	print(bus, &byte, 1);
}

/* One call of the guest for a whole string: an exit costs microseconds, a character each would be felt. */
static enum hs_bus_action print_string(struct hs_bus *bus, const struct hs_phys *phys, const struct hs_cpu_state *cpu,
				       uint64_t *ret_value)
{
	hs_gva at = hs_gva_of(cpu->gpr[HS_RSI]);
	uint64_t left = cpu->gpr[HS_RCX];
	struct hs_root root;
	uint8_t chunk[1024];

	hs_root_of_cpu(cpu, &root);
	*ret_value = at.v;
	if (left > HS_BUS_PRINT_MAX) {
		return HS_BUS_BAD_PRINT;
	}
	while (left > 0) {
		size_t wanted = hs_min_u64(left, sizeof(chunk));
		size_t got;

		if (hs_vmem_read(phys, &root, at, chunk, wanted, &got, NULL)) {
			*ret_value = at.v;
			return HS_BUS_BAD_PRINT;
		}
		print(bus, chunk, got);
		at.v += got;
		left -= got;
	}
	return HS_BUS_CONTINUE;
}

/* What it says is read when it is needed; that it is there, and whole, is seen at once. */
static enum hs_bus_action register_roots(const struct hs_phys *phys, const struct hs_cpu_state *cpu,
					 uint64_t *ret_value)
{
	uint8_t bytes[sizeof(struct hs_abi_roots)];
	struct hs_root root;
	size_t length;

	*ret_value = cpu->gpr[HS_RSI];
	if (*ret_value == 0) {
		return HS_BUS_ROOTS;
	}
	hs_root_of_cpu(cpu, &root);
	if (hs_vmem_read(phys, &root, hs_gva_of(*ret_value), bytes, sizeof(bytes), &length, NULL) ||
	    length < sizeof(bytes) || hs_get_le64(bytes) < sizeof(bytes)) {
		return HS_BUS_BAD_ROOTS;
	}
	return HS_BUS_ROOTS;
}

/* As C writes it: a message goes to a terminal, which would obey what is not text. What does not fit is left out
 * whole. */
static void append_escaped(char *message, size_t size, uint8_t byte)
{
	size_t used = strlen(message);
	char text[8];
	size_t length;

	if (byte >= 0x20 && byte < 0x7f) {
		length = (size_t)snprintf(text, sizeof(text), "%c", byte);
	} else if (byte == '\n') {
		length = (size_t)snprintf(text, sizeof(text), "\\n");
	} else {
		length = (size_t)snprintf(text, sizeof(text), "\\x%02x", byte);
	}
	if (length < size - used) {
		memcpy(message + used, text, length + 1);
	}
}

/*
 * Low byte: how many of the other three are message; 0xFF among them, or as the count, ends the message. The out that
 * ends it is one that the guest is put back to, so it leaves no trace: it may be executed again.
 */
static enum hs_bus_action abort_bytes(struct hs_bus *bus, uint32_t data)
{
	unsigned int count = data & 0xFF;

	memcpy(bus->abort_message, bus->devices.abort_text, sizeof(bus->abort_message));
	if (count == 0xFF) {
		return HS_BUS_ABORT;
	}
	for (unsigned int i = 1; i <= count && i <= 3; i++) {
		uint8_t byte = (uint8_t)(data >> (8 * i));

		if (byte == 0xFF) {
			return HS_BUS_ABORT;
		}
		append_escaped(bus->abort_message, sizeof(bus->abort_message), byte);
	}
	memcpy(bus->devices.abort_text, bus->abort_message, sizeof(bus->devices.abort_text));
	return HS_BUS_CONTINUE;
}

static enum hs_bus_action uart_out(struct hs_bus *bus, unsigned int reg, uint32_t data)
{
	if (reg == UART_LCR) {
		bus->devices.uart_lcr = (uint8_t)data;
	} else if (reg == UART_SCRATCH) {
		bus->devices.uart_scratch = (uint8_t)data;
	} else if (reg == UART_DATA && !(bus->devices.uart_lcr & UART_LCR_DLAB)) {
		print_char(bus, data);
	}
	return HS_BUS_CONTINUE;
}

enum hs_bus_action hs_bus_out(struct hs_bus *bus, const struct hs_phys *phys, const struct hs_cpu_state *cpu,
			      uint16_t port, uint8_t size, uint32_t data, uint64_t *ret_value)
{
	uint32_t mask = size >= 4 ? 0xFFFFFFFF : (1u << (8 * size)) - 1;

	data &= mask;
	*ret_value = 0;
	switch (port) {
	case HS_PORT_DEBUG_PRINT:
	case HS_PORT_DEBUGCON:
		print_char(bus, data);
		return HS_BUS_CONTINUE;
	case HS_PORT_PRINT:
		return print_string(bus, phys, cpu, ret_value);
	case HS_PORT_ROOTS:
		return register_roots(phys, cpu, ret_value);
	case HS_PORT_ABORT:
		return abort_bytes(bus, data);
	case HS_PORT_HALT:
		return HS_BUS_EXIT;
	case HS_PORT_EXIT:
		*ret_value = data & 0xFF;
		return HS_BUS_EXIT;
	case HS_PORT_DEBUG_EXIT:
		*ret_value = (data << 1 | 1) & 0xFF;
		return HS_BUS_EXIT;
	case HS_PORT_EXCEPTION:
		return HS_BUS_EXCEPTION;
	case HS_PORT_READY:
		return bus->calls ? HS_BUS_READY : HS_BUS_CONTINUE;
	case HS_PORT_CALL_HOST:
		return bus->calls ? HS_BUS_CALL_HOST : HS_BUS_UNKNOWN;
	case HS_PORT_LOG:
		return bus->calls ? HS_BUS_LOG : HS_BUS_CONTINUE;
	case HS_PORT_TRACE:
		return HS_BUS_CONTINUE;
	default:
		break;
	}
	if (port >= HS_PORT_UART && port < HS_PORT_UART + UART_PORTS) {
		return uart_out(bus, port - HS_PORT_UART, data);
	}
	return HS_BUS_UNKNOWN;
}

enum hs_bus_action hs_bus_in(struct hs_bus *bus, uint16_t port, uint64_t *ret_value)
{
	*ret_value = 0;
	if (port == HS_PORT_DEBUGCON) {
		*ret_value = HS_PORT_DEBUGCON; /* how a guest finds out that there is a debug console */
		return HS_BUS_CONTINUE;
	}
	if (port < HS_PORT_UART || port >= HS_PORT_UART + UART_PORTS) {
		return HS_BUS_UNKNOWN;
	}
	switch (port - HS_PORT_UART) {
	case UART_LCR:
		*ret_value = bus->devices.uart_lcr;
		break;
	case UART_LSR:
		*ret_value = UART_LSR_TRANSMITTER_EMPTY;
		break;
	case UART_SCRATCH:
		*ret_value = bus->devices.uart_scratch;
		break;
	default:
		break;
	}
	return HS_BUS_CONTINUE;
}
