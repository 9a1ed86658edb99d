/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What has become of a guest that cannot go on: plain data, from a VM that has run or from a file. */
#ifndef HINDSIGHT_CRASH_H
#define HINDSIGHT_CRASH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Why a crash is a crash. */
enum hs_crash_reason {
	HS_CRASH_EXCEPTION,    /**< an exception nobody handled: vector, error_code, cr2 */
	HS_CRASH_TRIPLE_FAULT, /**< the CPU shut down; AMD hardware resets the registers then */
	HS_CRASH_ABORT,        /**< the guest called abort: abort_message */
	HS_CRASH_UNKNOWN_PORT, /**< in or out on a port that nothing listens on: port */
	HS_CRASH_UNMAPPED,     /**< access to guest-physical memory that is not there: gpa */
	HS_CRASH_READ_ONLY,    /**< write to read-only guest-physical memory: gpa */
	HS_CRASH_BACKEND,      /**< the CPU backend could not go on: an internal error of KVM, an instruction that
				  *   it cannot emulate */
	HS_CRASH_HANG,         /**< the time limit passed; made by the session, never by hs_vm_run() */
	HS_CRASH_CALL,         /**< the guest broke the format of a call; made by the sandbox, never by hs_vm_run() */
};

/** A crash as plain data. */
struct hs_crash {
	enum hs_crash_reason reason;
	int signal;             /**< Linux signal number */
	int code;               /**< siginfo si_code */
	uint64_t fault_address; /**< siginfo si_addr */
	uint64_t rip;           /**< the faulting instruction */
	uint8_t vector;         /**< for HS_CRASH_EXCEPTION */
	bool has_error_code;
	uint32_t error_code;
	uint16_t port;
	uint64_t gpa;
	bool registers_lost;     /**< the CPU state is not that of the fault (a triple fault on AMD) */
	char abort_message[128]; /**< NUL-terminated; bytes that do not print are escaped */
	char text[256];          /**< one sentence: what happened, with addresses */
};

#ifdef __cplusplus
}
#endif
#endif
