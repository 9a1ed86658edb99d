/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ports of include/hindsight/abi.h: what an in or out means. It reads guest memory for printing and never writes
 * it.
 */
#ifndef HS_VMM_BUS_H
#define HS_VMM_BUS_H

#include <hindsight/abi.h>
#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/image.h>
#include <hindsight/mem.h>
#include <hindsight/vm.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What the VM is to do after an access. */
enum hs_bus_action {
	HS_BUS_CONTINUE,  /* done; for an in, value is the answer */
	HS_BUS_EXIT,      /* the guest has ended with value as its status */
	HS_BUS_ABORT,     /* the guest has aborted; bus->abort_message says why. The out has had no effect otherwise */
	HS_BUS_EXCEPTION, /* an exception frame is on the guest's stack */
	HS_BUS_UNKNOWN,   /* nothing listens on that port */
	HS_BUS_READY,     /* ready for calls; this and the next two only with bus->calls */
	HS_BUS_CALL_HOST, /* there is a call in the output buffer */
	HS_BUS_LOG,       /* there is something to log in the output buffer */
	HS_BUS_ROOTS,     /* HS_PORT_ROOTS: value is the address of struct hs_abi_roots, 0 for none */
	HS_BUS_BAD_ROOTS, /* HS_PORT_ROOTS with an address where it is not: value */
	HS_BUS_BAD_PRINT, /* HS_PORT_PRINT with a buffer that is not there or too long: value is its address */
};

/** Caller's storage. */
struct hs_bus {
	hs_console_fn *console; /* NULL discards */
	void *console_ctx;
	bool calls;                /* somebody serves them */
	struct hs_devices devices; /* all zero before the guest's first access */
	char abort_message[sizeof(((struct hs_devices *)NULL)->abort_text)];
};

/** Longest string of one HS_PORT_PRINT, in bytes. */
#define HS_BUS_PRINT_MAX 65536u

/** An out of size bytes. cpu is read for HS_PORT_PRINT: its general registers and its page tables. */
enum hs_bus_action hs_bus_out(struct hs_bus *bus, const struct hs_phys *phys, const struct hs_cpu_state *cpu,
			      uint16_t port, uint8_t size, uint32_t data, uint64_t *ret_value);
/** An in. */
enum hs_bus_action hs_bus_in(struct hs_bus *bus, uint16_t port, uint64_t *ret_value);

#endif
