/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the first word of a command to its function. */
#include "cli/words.h"

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static void print_help(const struct hs_words *words)
{
	printf("Usage: hindsight %s %s\n"
	       "\n"
	       "%s.\n"
	       "\n"
	       "Words:\n",
	       words->command, words->usage, words->summary);
	for (size_t i = 0; i < words->count; i++) {
		printf("  %-10s %s\n", words->words[i].name, words->words[i].summary);
	}
	printf("\n"
	       "Options:\n"
	       "  --help     show this help and exit; after a word, the word's\n");
}

int hs_words_run(const struct hs_words *words, int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (!word) {
		hs_cli_say("%s: no word given (try 'hindsight %s --help')", words->command, words->command);
		return HS_EXIT_USAGE;
	}
	if (strcmp(word, "--help") == 0) {
		print_help(words);
		return HS_EXIT_OK;
	}
	for (size_t i = 0; i < words->count; i++) {
		if (strcmp(words->words[i].name, word) == 0) {
			return words->words[i].main(argc - 1, argv + 1);
		}
	}
	hs_cli_say("%s: unknown %s '%s' (try 'hindsight %s --help')", words->command,
		   word[0] == '-' ? "option" : "word", word, words->command);
	return HS_EXIT_USAGE;
}
