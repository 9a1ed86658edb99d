/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The remote debugging stub: serves a struct hs_target to gdb and lldb over the gdb remote serial protocol.
 *
 * There are two ways in. struct hs_gdb is the protocol alone, a machine that turns bytes from a client into
 * bytes for the client and calls of the target: it opens nothing, waits for nothing, and suits a program with
 * an event loop of its own. hs_gdb_listen() and hs_gdb_serve() put a socket and a poll loop around it.
 *
 * The life of a target under the stub. While no client has spoken, it runs or is stopped as the caller left
 * it. The first well-formed packet of a client stops it. A client that detaches sets it running without
 * breakpoints; a client that vanishes (closes, crashes, is cut off) leaves it stopped, without breakpoints,
 * for the next client. Nothing a client sends ends it but k, vKill, or what it makes the guest do. A client in extended
 * mode may run it again then, if the target can be put back to where it began.
 *
 * Protocol: gdb manual, "Remote Protocol"; lldb's docs/lldb-gdb-remote.txt. docs/gdb-remote.md lists what is served.
 */
#ifndef HINDSIGHT_GDB_H
#define HINDSIGHT_GDB_H

#include <hindsight/error.h>
#include <hindsight/target.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Largest packet a client may send, in bytes between '$' and '#' (the PacketSize that is announced). */
#define HS_GDB_PACKET_SIZE 0x40000u

/** One stub serving one target to at most one client at a time. */
struct hs_gdb;

/** Where a stub stands; see hs_gdb_phase(). */
enum hs_gdb_phase {
	HS_GDB_ABSENT,  /**< no client is connected */
	HS_GDB_PRESENT, /**< a client is connected: go on feeding it */
	HS_GDB_LEAVING, /**< the client has detached: send it what is left of the output, then close */
	HS_GDB_BROKEN,  /**< the connection cannot go on (no memory for a reply): close */
	/* These two only once no client is there that may run the guest again (in extended mode). */
	HS_GDB_EXITED, /**< the guest has ended, and the client, if any, has its W or X in the output */
	HS_GDB_KILLED, /**< a client has killed the guest */
};

/**
 * Make a stub for a target.
 *
 * @param target   borrowed until hs_gdb_destroy(); the struct itself is copied
 * @param running  true when the target has been resumed already, so that it must be interrupted for a client
 * @param ret      owned by the caller, for hs_gdb_destroy()
 * @return HS_OK or HS_ERR_NOMEM (nothing changed)
 */
HS_MUST_CHECK enum hs_status hs_gdb_create(const struct hs_target *target, bool running, struct hs_gdb **ret,
					   struct hs_error *err);
/** Free a stub. The target is left as it is, breakpoints included. NULL is allowed. */
void hs_gdb_destroy(struct hs_gdb *gdb);

/** A client has connected: all of the last one's settings are forgotten. The target notices when it speaks. */
void hs_gdb_connect(struct hs_gdb *gdb);
/** The client is gone. Unless it had detached, breakpoints are removed and the target stops, as soon as it can. */
void hs_gdb_disconnect(struct hs_gdb *gdb);

/**
 * Bytes from the client, cut anywhere.
 *
 * The model is a pipe that can be full: while a reply waits for the target to stop, or much output waits to be fetched,
 * nothing more is taken. Offer the rest again after hs_gdb_output_consume() or hs_gdb_target_stopped();
 * meanwhile do not read from the client. A running target does not hold up the pipe, so an interrupt (0x03)
 * always comes through.
 *
 * @return how many bytes were taken, 0 to length
 */
size_t hs_gdb_feed(struct hs_gdb *gdb, const void *bytes, size_t length);
/** True when hs_gdb_feed() would take something. */
bool hs_gdb_wants_input(const struct hs_gdb *gdb);

/** Bytes for the client: *ret_length of them, borrowed until the next call on this stub. */
const uint8_t *hs_gdb_output(const struct hs_gdb *gdb, size_t *ret_length);
/** The first length bytes of the output have been sent. */
void hs_gdb_output_consume(struct hs_gdb *gdb, size_t length);

/** The target's event_fd became readable: take the stop and do what it was awaited for. Harmless without a stop. Of a
 *  target with step() it is this that executes instructions, some thousands in a call. */
void hs_gdb_target_stopped(struct hs_gdb *gdb);
/** True while the target runs: its event_fd is to be watched, or, where it has none, hs_gdb_target_stopped() called. */
bool hs_gdb_target_running(const struct hs_gdb *gdb);

/** Where the stub stands. */
enum hs_gdb_phase hs_gdb_phase(const struct hs_gdb *gdb);

/** A place where clients connect. */
struct hs_gdb_listener;

/**
 * Listen for debuggers.
 *
 * address is one of
 *   ":PORT"         TCP on 127.0.0.1
 *   "HOST:PORT"     TCP; HOST is "localhost" or a numeric address ("127.0.0.1", "[::1]"); port 0 takes a free one
 *   "unix:PATH"     a unix socket of mode 0600; a socket there that nobody listens on is replaced, anything else is not
 *   "stdio"         one client, on descriptors 0 and 1
 *
 * @param allow_remote  an address that is not loopback is refused without it: whoever connects owns the guest
 * @param ret           owned by the caller, for hs_gdb_listener_close()
 * @return HS_OK; HS_ERR_INVALID (not an address); HS_ERR_BUSY (in use, named in the message); HS_ERR_PERMISSION (not
 *         loopback and not allowed, or refused by the host); HS_ERR_IO; HS_ERR_NOMEM. Nothing is left behind
 *         on failure.
 */
HS_MUST_CHECK enum hs_status hs_gdb_listen(const char *address, bool allow_remote, struct hs_gdb_listener **ret,
					   struct hs_error *err);
/** What a client has to be told: "127.0.0.1:41234", "unix:PATH" or "stdio". Borrowed from the listener. */
const char *hs_gdb_listener_address(const struct hs_gdb_listener *listener);
/** Stop listening and remove an own unix socket (not one that has replaced it since). NULL is allowed. */
void hs_gdb_listener_close(struct hs_gdb_listener *listener);

/** Why hs_gdb_serve() came back. */
enum hs_gdb_end {
	HS_GDB_END_EXITED,  /**< the guest has ended; the target knows how */
	HS_GDB_END_KILLED,  /**< a client killed the guest */
	HS_GDB_END_STOPPED, /**< stop_fd is readable; the target may run, and was asked to stop if a client had it */
	HS_GDB_END_CLOSED,  /**< the one client of "stdio" is gone without a detach; the target is stopped */
};

struct hs_gdb_serve_options {
	int stop_fd;  /**< come back when this is readable (a signalfd, a pipe); -1 for none. Not read from. */
	bool running; /**< the target runs already */
};

/**
 * Serve the target to one client after the other until the guest has ended, a client has killed it, or stop_fd says so.
 *
 * Sleeps in poll() whenever there is nothing to do, which is never while a target without event_fd runs. A second
 * client is refused with an error message while one is there. A connection is a client from its first packet on: one
 * that says nothing keeps nobody out.
 *
 * @param listener  borrowed for the call, and usable for another one afterwards
 * @param target    borrowed for the call
 * @param options   may be NULL: no stop_fd, not running
 * @return HS_OK, HS_ERR_NOMEM or HS_ERR_IO (poll failed)
 */
HS_MUST_CHECK enum hs_status hs_gdb_serve(struct hs_gdb_listener *listener, const struct hs_target *target,
					  const struct hs_gdb_serve_options *options, enum hs_gdb_end *ret,
					  struct hs_error *err);

#ifdef __cplusplus
}
#endif
#endif
