/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of `hindsight core` that have a file of their own: each as main(), returning the exit status. */
#ifndef HS_CLI_CORE_WORDS_H
#define HS_CLI_CORE_WORDS_H

int hs_core_report(int argc, char **argv);

#endif
