/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A report as text for people, as one JSON object and as one HTML page (docs/crashes.md). Each is appended to a buffer,
 * whose failed state says whether all of it is there.
 */
#ifndef HS_CLI_REPORT_PRINT_H
#define HS_CLI_REPORT_PRINT_H

#include "base/buf.h"
#include "session/report.h"

/** Room for any report, as a buffer's limit. */
#define HS_REPORT_BYTES_MAX (64u << 20)

/**
 * @param with_head  begin with guest, reason, signal and the like: not where they have been said already
 * @param colour     whether it is for a terminal that wants colours
 */
void hs_report_text(const struct hs_report *report, bool with_head, bool colour, struct hs_buf *out);
void hs_report_json(const struct hs_report *report, struct hs_buf *out);
/** A page that needs nothing beside itself: no script, no font, no picture from elsewhere. */
void hs_report_html(const struct hs_report *report, struct hs_buf *out);

#endif
