/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One request of a client as a typed value: the only thing handlers see of what came over the wire. decode.c
 * makes it and is the one place where packet text is parsed.
 */
#ifndef HS_GDBSTUB_REQUEST_H
#define HS_GDBSTUB_REQUEST_H

#include <hindsight/target.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hs_request_kind {
	HS_REQUEST_UNKNOWN,   /* not a packet we know: the empty reply, as the protocol wants */
	HS_REQUEST_MALFORMED, /* one we know, with arguments that make no sense */

	/* session */
	HS_REQUEST_SUPPORTED,
	HS_REQUEST_NO_ACK,
	HS_REQUEST_EXTENDED,
	HS_REQUEST_ATTACHED,
	HS_REQUEST_ATTACH,
	HS_REQUEST_DETACH,
	HS_REQUEST_KILL,          /* vKill */
	HS_REQUEST_KILL_SILENTLY, /* k */
	HS_REQUEST_RUN,
	HS_REQUEST_RESTART,
	HS_REQUEST_SYMBOL,
	HS_REQUEST_NON_STOP,
	HS_REQUEST_TRACE_STATUS,
	HS_REQUEST_TRACE_LIST, /* qTfP, qTsP, qTfV, qTsV */

	/* threads: there is one */
	HS_REQUEST_THREAD_SELECT,
	HS_REQUEST_THREAD_ALIVE,
	HS_REQUEST_THREAD_CURRENT,
	HS_REQUEST_THREADS_FIRST,
	HS_REQUEST_THREADS_NEXT,
	HS_REQUEST_THREAD_NAME,

	/* run */
	HS_REQUEST_STOP_REASON,
	HS_REQUEST_THREAD_STOP,
	HS_REQUEST_RESUME_KINDS,
	HS_REQUEST_RESUME,
	HS_REQUEST_INTERRUPT,

	/* registers */
	HS_REQUEST_REGS_READ,
	HS_REQUEST_REGS_WRITE,
	HS_REQUEST_REG_READ,
	HS_REQUEST_REG_WRITE,

	/* memory */
	HS_REQUEST_MEM_READ,
	HS_REQUEST_MEM_READ_BINARY,
	HS_REQUEST_MEM_WRITE,
	HS_REQUEST_SEARCH,
	HS_REQUEST_CRC,
	HS_REQUEST_QEMU_FEATURES,
	HS_REQUEST_PHYS_MODE,
	HS_REQUEST_PHYS_MODE_SET,

	/* breakpoints */
	HS_REQUEST_BREAK_INSERT,
	HS_REQUEST_BREAK_REMOVE,

	/* objects and files */
	HS_REQUEST_XFER,
	HS_REQUEST_OFFSETS,
	HS_REQUEST_FILE_SETFS,
	HS_REQUEST_FILE_OPEN,
	HS_REQUEST_FILE_PREAD,
	HS_REQUEST_FILE_FSTAT,
	HS_REQUEST_FILE_CLOSE,
	HS_REQUEST_FILE_READLINK,

	HS_REQUEST_MONITOR,

	/* lldb's */
	HS_REQUEST_THREAD_SUFFIX,
	HS_REQUEST_LIST_THREADS,
	HS_REQUEST_ERROR_STRINGS,
	HS_REQUEST_HOST_INFO,
	HS_REQUEST_PROCESS_INFO,
	HS_REQUEST_SERVER_VERSION,
	HS_REQUEST_REGISTER_INFO,
	HS_REQUEST_ALLOCATE,
	HS_REQUEST_MEM_REGION,
	HS_REQUEST_THREADS_JSON,

	HS_REQUEST_KIND_COUNT,
};

/* The objects of qXfer that are served. */
enum hs_xfer_object {
	HS_XFER_FEATURES,
	HS_XFER_EXEC_FILE,
	HS_XFER_SIGINFO,
	HS_XFER_AUXV,
	HS_XFER_LIBRARIES_SVR4,
	HS_XFER_LIBRARIES,
	HS_XFER_MEMORY_MAP,
	HS_XFER_THREADS,
	HS_XFER_OSDATA,
};

/* Bytes of the packet, borrowed until the next one. Not terminated. */
struct hs_span {
	const uint8_t *data;
	size_t length;
};

/* A thread by the two numbers of "thread-id" (gdb manual, Packets). A process is an address space, and has one thread,
 * number 1. */
struct hs_thread_id {
	uint32_t process; /* HS_ID_ANY where the packet names none */
	uint32_t thread;
};
#define HS_ID_ANY 0u
#define HS_ID_ALL UINT32_MAX
#define HS_ID_NONE (UINT32_MAX - 1)

/* Most actions of one vCont that count. */
#define HS_ACTIONS_MAX 16

struct hs_action {
	struct hs_resume how; /* signal is a Linux number */
	bool nothing;         /* it leaves the thread stopped (vCont;t) */
	struct hs_thread_id id;
};

struct hs_request {
	enum hs_request_kind kind;
	union {
		struct hs_span text; /* SUPPORTED: the client's features; MONITOR, FILE_READLINK: decoded hex */
		uint64_t number;     /* REGISTER_INFO, MEM_REGION, NON_STOP, PHYS_MODE_SET */
		struct hs_thread_id
			id; /* THREAD_ALIVE, _NAME, _STOP; of ATTACH, DETACH, KILL the process alone counts */
		struct {
			struct hs_thread_id id;
			bool general; /* Hg, not Hc */
		} select;             /* THREAD_SELECT */
		struct {
			uint64_t number;
			struct hs_span value; /* decoded */
		} reg;                        /* REG_READ, REG_WRITE; REGS_WRITE has a value alone */
		struct {
			hs_gva gva;
			uint64_t length;
			struct hs_span data; /* MEM_WRITE: decoded, of this length; SEARCH: what is looked for */
		} mem;
		struct {
			struct hs_action actions[HS_ACTIONS_MAX]; /* the first that names a thread is the thread's */
			size_t count;                             /* at least 1 */
			bool at_given;
			hs_gva at; /* resume here instead */
		} resume;
		struct {
			bool has_arguments; /* for the program, behind its name, which says nothing here */
		} run;                      /* RUN */
		struct {
			struct hs_breakpoint breakpoint;
			struct hs_span programs; /* BREAK_INSERT: conditions and commands: hs_agent_programs_next() */
		};
		struct {
			enum hs_xfer_object object;
			struct hs_span annex;
			uint64_t offset;
			uint64_t length;
		} xfer;
		struct {
			uint64_t handle;
			uint64_t count;
			uint64_t offset;
		} file; /* FILE_PREAD, FILE_FSTAT, FILE_CLOSE */
		struct {
			struct hs_span path; /* decoded */
			uint64_t flags;
		} open;
	};
};

/*
 * Make a request of a packet's payload. Total: every byte string is some request.
 *
 * The payload is overwritten where data is decoded in place; the request borrows from it.
 */
void hs_request_decode(uint8_t *payload, size_t length, struct hs_request *ret);

#endif
