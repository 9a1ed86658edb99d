/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the HTML page share. */
#ifndef HS_CLI_REPORT_HTML_H
#define HS_CLI_REPORT_HTML_H

#include "base/buf.h"
#include "session/report.h"

/** Text that is no markup, between tags and within quotes; bytes that are not UTF-8 become U+FFFD. */
void hs_html_text(const char *text, struct hs_buf *out);

/** The style sheet. */
extern const char hs_report_style[];

/** The address spaces: each drawn to scale, and listed. */
void hs_report_map(const struct hs_report *report, struct hs_buf *out);

#endif
