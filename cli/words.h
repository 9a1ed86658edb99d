/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands that take a word first (hindsight core info): their words, their help, and the way to the right word. */
#ifndef HS_CLI_WORDS_H
#define HS_CLI_WORDS_H

#include <stddef.h>

struct hs_word {
	const char *name;
	const char *summary;
	int (*main)(int argc, char **argv); /* argv[0] is the word */
};

struct hs_words {
	const char *command;
	const char *usage;   /* behind "hindsight COMMAND " */
	const char *summary; /* a sentence */
	const struct hs_word *words;
	size_t count;
};

/** Run the word that argv[1] is, or print the help. The exit status. */
int hs_words_run(const struct hs_words *words, int argc, char **argv);

#endif
