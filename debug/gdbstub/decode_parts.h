/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shapes of arguments that decode.c's table names, a function each. They get what follows the packet's name, fill
 * the request and return false for what they do not understand to the last byte.
 */
#ifndef HS_GDBSTUB_DECODE_PARTS_H
#define HS_GDBSTUB_DECODE_PARTS_H

#include "gdbstub/request.h"
#include "gdbstub/text.h"

/* decode_run.c */
bool hs_parse_continue(struct hs_text *text, struct hs_request *ret);
bool hs_parse_step(struct hs_text *text, struct hs_request *ret);
bool hs_parse_continue_signal(struct hs_text *text, struct hs_request *ret);
bool hs_parse_step_signal(struct hs_text *text, struct hs_request *ret);
bool hs_parse_vcont(struct hs_text *text, struct hs_request *ret);
bool hs_parse_run(struct hs_text *text, struct hs_request *ret);
bool hs_parse_breakpoint(struct hs_text *text, struct hs_request *ret);

/* decode_data.c */
bool hs_parse_regs_read(struct hs_text *text, struct hs_request *ret);
bool hs_parse_regs_write(struct hs_text *text, struct hs_request *ret);
bool hs_parse_reg_read(struct hs_text *text, struct hs_request *ret);
bool hs_parse_reg_write(struct hs_text *text, struct hs_request *ret);
bool hs_parse_mem_read(struct hs_text *text, struct hs_request *ret);
bool hs_parse_mem_write(struct hs_text *text, struct hs_request *ret);
bool hs_parse_mem_write_binary(struct hs_text *text, struct hs_request *ret);
bool hs_parse_search(struct hs_text *text, struct hs_request *ret);
bool hs_parse_xfer(struct hs_text *text, struct hs_request *ret);
bool hs_parse_hex_text(struct hs_text *text, struct hs_request *ret);
bool hs_parse_file_open(struct hs_text *text, struct hs_request *ret);
bool hs_parse_file_pread(struct hs_text *text, struct hs_request *ret);
bool hs_parse_file_handle(struct hs_text *text, struct hs_request *ret);

#endif
