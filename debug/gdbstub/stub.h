/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of struct hs_gdb, for the files of this folder: what the handlers share.
 *
 * A handler gets one typed request and returns one kind of reply; whatever text belongs to it is in gdb->payload or
 * gdb->err. It never touches gdb->out: dispatch.c turns what it returned into exactly one packet, so that no
 * handler can answer twice or not at all.
 */
#ifndef HS_GDBSTUB_STUB_H
#define HS_GDBSTUB_STUB_H

#include "gdbstub/agent_points.h"
#include "gdbstub/packet.h"
#include "gdbstub/request.h"
#include "gdbstub/space.h"

#include "arch/regs.h"
#include "base/buf.h"

#include <hindsight/gdb.h>

enum hs_reply {
	HS_REPLY_UNSUPPORTED, /* the empty packet */
	HS_REPLY_OK,
	HS_REPLY_PAYLOAD, /* gdb->payload */
	HS_REPLY_HEX,     /* gdb->scratch, as hex digits */
	HS_REPLY_ERROR,   /* gdb->err */
	HS_REPLY_STOP,    /* the reply is the next stop of the target, sent when it happens */
	HS_REPLY_SILENCE, /* the protocol has no reply for this request */
};

/* What to do with the next stop of a running target. */
enum hs_goal {
	HS_GOAL_FREE,   /* nobody debugs it: let it run on, and deliver its faults */
	HS_GOAL_REPORT, /* the client waits for it */
	HS_GOAL_ATTACH, /* a client has spoken, its first packet is held until the target stands */
	HS_GOAL_STAY,   /* the client vanished: stand still for the next one */
	HS_GOAL_DETACH, /* the client detached while it ran: remove breakpoints, run on */
	HS_GOAL_KILL,   /* the client killed it while it ran */
};

/* What one client asked for or announced; forgotten when the next one connects. */
struct hs_gdb_client {
	bool connected;
	bool attached; /* it has spoken and not detached: the target is its */
	bool detached; /* it has detached and may do no more than attach again */
	bool no_ack;
	bool extended;
	bool binary_upload; /* gdb's form of the x packet */
	bool error_message; /* takes "E.text" for an error */
	bool error_strings; /* takes "Enn;hextext" (lldb) */
	bool multiprocess;
	bool swbreak;
	bool hwbreak;
	bool lists_threads;       /* QListThreadsInStopReply: lldb */
	bool libraries_due;       /* the first stop reply tells lldb to fetch the list of images */
	bool image_placed;        /* it has asked where the image is: see xfer_libraries() */
	bool knows_registers;     /* it has asked which there are: see known_count() */
	unsigned int files;       /* open handles, a bit each */
	unsigned int debug_files; /* those of them that are of the debug file, and not of the image */
	bool physical;            /* addresses of memory are guest-physical: see handle_phys.c */
	bool knows_stop;          /* it has spoken since the last stop reply went out */
	bool stepped;             /* that stop was the end of a step */
	uint64_t received, sent;  /* packets */
	bool interrupt_due;       /* it asked for an interrupt before the resume that it means: see take_interrupt() */
	uint32_t attaching;       /* the next stop is the reply to vAttach of this process; 0: it is not */
	struct hs_gdb_processes processes;
};

/* Where a target stands that has step() and no operations to run by. (stepper.c) */
struct hs_stepper {
	struct hs_stop stop;
	struct hs_resume how;
	bool interrupted;
};

struct hs_gdb {
	struct hs_target target;
	struct hs_target
		control; /* whose operations set breakpoints, run and stop it: its own, or those of stepper.c */
	struct hs_stepper stepper;
	struct hs_target_info info;
	const struct hs_reg *regs[HS_REGS_MAX]; /* by number */
	size_t reg_count;

	struct hs_gdb_client client;
	struct hs_packet_framer framer;
	bool held; /* framer.payload is a packet that waits until the target has stopped (HS_GOAL_ATTACH) */

	struct hs_agent_points points; /* what the client has set, with conditions and commands */

	bool running;
	bool parked;             /* running for the client, standing still at a hit that it does not want to know of,
				  *   until it has taken some output: hs_gdb_target_stopped() */
	bool interrupt_asked;    /* since the client's resume, by the client */
	struct hs_resume resume; /* what a hit that the client does not want to know of is gone on with */
	enum hs_goal goal;
	bool clear_breaks; /* at the next stop */
	bool ended;        /* the guest is over: exited or crashed */
	bool killed;

	struct hs_buf out;     /* packets on their way to the client */
	struct hs_buf last;    /* the last packet, in case the client did not get it whole */
	struct hs_buf payload; /* of the reply that is being made */
	struct hs_buf scratch; /* raw bytes on their way into a reply */
	struct hs_error err;   /* of the request that is being handled */
};

/* Largest payload of a reply: as large as what the client may send. */
#define HS_GDB_REPLY_MAX HS_GDB_PACKET_SIZE
/* While this much output waits, no input is taken. */
#define HS_GDB_OUTPUT_HIGH (1u << 20)

/* Handle one complete packet: decode, check, call its handler, send its reply. (dispatch.c) */
void hs_gdb_dispatch(struct hs_gdb *gdb, uint8_t *payload, size_t length);
/* Answer a packet that could not even be decoded. (dispatch.c) */
void hs_gdb_refuse_packet(struct hs_gdb *gdb, enum hs_status status, const char *why);
/* Send gdb->payload as a packet of its own: the stop reply that a resume was waiting for. (dispatch.c) */
void hs_gdb_send_payload(struct hs_gdb *gdb);
/* gdb->err becomes the payload, in words if the client takes them here, and else by its number. (dispatch.c) */
void hs_gdb_put_error(struct hs_gdb *gdb, bool words);

/* Fill gdb->err and return HS_REPLY_ERROR. */
__attribute__((format(printf, 3, 4))) enum hs_reply hs_reply_error(struct hs_gdb *gdb, enum hs_status status,
								   const char *format, ...);
/* HS_REPLY_OK for HS_OK, else HS_REPLY_ERROR. A target may have left gdb->err alone: then it is filled here. */
enum hs_reply hs_reply_status(struct hs_gdb *gdb, enum hs_status status);
/* HS_REPLY_PAYLOAD with a fixed text. */
enum hs_reply hs_reply_text(struct hs_gdb *gdb, const char *text);
/* HS_REPLY_PAYLOAD with a line for the client's user, as the reply to a "monitor" command. (handle_monitor.c) */
enum hs_reply hs_reply_words(struct hs_gdb *gdb, const char *line);
/* "m" or "l" and the part of an object that was asked for: [offset, offset + length) of it, as far as it goes. */
enum hs_reply hs_reply_part(struct hs_gdb *gdb, const void *object, size_t size, uint64_t offset, uint64_t length);

/* As hs_target_ops.mem_read, by the kind of address that the client wants. (handle_mem.c) */
enum hs_status hs_gdb_mem_read(struct hs_gdb *gdb, uint64_t address, void *buffer, size_t length, size_t *ret_length);
/* As hs_target_ops.mem_region, by that kind of address; HS_ERR_UNSUPPORTED where the target cannot tell.
 * (handle_mem.c) */
enum hs_status hs_gdb_mem_region(struct hs_gdb *gdb, uint64_t address, struct hs_target_region *ret);
/* The first address behind `address` at which something else may be: where a hole ends, or the next page. 0 for the end
 * of the address space. (handle_mem.c) */
uint64_t hs_gdb_mem_after_hole(struct hs_gdb *gdb, uint64_t address);

/* The objects of handle_image.c. */
enum hs_reply hs_xfer_libraries_svr4(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_xfer_libraries(struct hs_gdb *gdb, const struct hs_request *request);
/* Append the list of threads as lldb wants it, with the stop that the target is in. (stop.c) */
void hs_gdb_put_threads(struct hs_gdb *gdb, const struct hs_stop *stop);
/* Append the stop reply for a stop: T, W or X. It is of the process that the CPU is in, or that is being attached to,
 * and what names none is about that one from then on. (stop.c) */
void hs_gdb_put_stop(struct hs_gdb *gdb, const struct hs_stop *stop);
/* Text with the characters that XML gives a meaning written another way. (handle_image.c) */
void hs_gdb_put_xml_text(struct hs_buf *buf, const char *text);
/* qXfer:threads. (handle_space.c) */
enum hs_reply hs_gdb_xfer_threads(struct hs_gdb *gdb, const struct hs_request *request);
/* qXfer:osdata. (handle_space_list.c) */
enum hs_reply hs_gdb_xfer_osdata(struct hs_gdb *gdb, const struct hs_request *request);
/* Resume without a client that waits, as a detach does: a fault that the guest stands at is delivered. (machine.c) */
void hs_gdb_run_free(struct hs_gdb *gdb, const struct hs_stop *stop);
/* The CPU, for conditions and commands. (machine.c) */
struct hs_agent_cpu hs_gdb_agent_cpu(const struct hs_gdb *gdb);
/* Make a running target stop, by the client's wish or the stub's own. (machine.c) */
void hs_gdb_interrupt(struct hs_gdb *gdb);
/* Remove all breakpoints of a target that stands still. (machine.c) */
void hs_gdb_clear_breaks(struct hs_gdb *gdb);
/* The operations in place of those that a target with step() lacks. (stepper.c) */
struct hs_target hs_stepper_control(struct hs_gdb *gdb);
/* The target stands where it began. (stepper.c) */
void hs_stepper_reset(struct hs_gdb *gdb);
/* Kill the guest, now or as soon as it has stopped. (handle_run.c) */
void hs_gdb_kill(struct hs_gdb *gdb);

/* A handler of requests. The rows of dispatch.c say which kind goes to which, and on what conditions. */
enum hs_reply hs_handle_supported(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_no_ack(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_extended(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_attached(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_symbol(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_offsets(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_thread_select(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_thread_alive(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_thread_current(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_threads_first(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_threads_next(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_thread_name(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_attach(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_detach(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_kill(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_kill_silently(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_run(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_restart(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_stop_reason(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_thread_stop(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_resume_kinds(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_resume(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_interrupt(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_regs_read(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_regs_write(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_reg_read(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_reg_write(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_mem_read(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_mem_read_binary(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_mem_write(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_break_insert(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_break_remove(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_xfer(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_file_setfs(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_file_open(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_file_pread(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_file_fstat(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_file_close(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_file_readlink(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_monitor(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_thread_suffix(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_list_threads(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_error_strings(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_host_info(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_process_info(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_server_version(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_register_info(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_allocate(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_non_stop(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_trace_status(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_trace_list(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_search(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_crc(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_qemu_features(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_phys_mode(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_phys_mode_set(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_mem_region(struct hs_gdb *gdb, const struct hs_request *request);
enum hs_reply hs_handle_threads_json(struct hs_gdb *gdb, const struct hs_request *request);

#endif
