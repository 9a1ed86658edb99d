/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Uses the heap: grows a list until there is no room, gives it back, and finds the whole heap in one piece again. */
#include <hindsight/guest.h>

struct link {
	struct link *next;
	char text[1000];
};

int main(int argc, char **argv)
{
	size_t most = (size_t)hs_boot_info()->heap_length / 2;
	unsigned int count = 0;
	struct link *list = NULL;
	for (struct link *link; (link = hs_malloc(sizeof(*link))) != NULL; count++) {
		link->next = list;
		hs_snprintf(link->text, sizeof(link->text), "link %u", count);
		list = link;
	}
	hs_printf("%u links, the last is \"%s\"\n", count, list != NULL ? list->text : "");
	struct link *last = list;
	while (list != NULL) {
		struct link *next = list->next;
		hs_free(list);
		list = next;
	}
	if (argc > 1 && strcmp(argv[1], "twice") == 0) {
		hs_free(last);
	}
	char *whole = hs_malloc(most);
	hs_printf("half the heap in one piece: %s\n", whole != NULL ? "yes" : "no");
	return whole != NULL ? 0 : 1;
}
