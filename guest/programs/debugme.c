/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Something to debug: calls with locals, a structure, an array, a global that a loop writes, recursion, a string
 * instruction. Ends with status 0; with the argument "crash" it stores through a null pointer in store_price().
 */
#include <hindsight/guest.h>

/* Kept as functions of their own, so that every backtrace has them. */
#define FUNCTION __attribute__((noinline)) static

struct item {
	char name[16];
	unsigned int count;
	int price;
};

struct order {
	unsigned int number;
	struct item items[3];
	const struct item *dearest;
};

/* Written once in each round of count_up(): something to watch. */
volatile unsigned int counter;

FUNCTION unsigned int count_up(unsigned int rounds)
{
	for (unsigned int i = 0; i < rounds; i++) {
		counter += i;
	}
	return counter;
}

FUNCTION unsigned long factorial(unsigned long n)
{
	if (n <= 1) {
		return 1;
	}
	unsigned long below = factorial(n - 1);
	return n * below;
}

/* One instruction that copies: stepping over it must end behind all of it. */
FUNCTION void copy_bytes(void *to, const void *from, size_t length)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
}

FUNCTION void fill_item(struct item *item, const char *name, unsigned int count, int price)
{
	copy_bytes(item->name, name, strlen(name) + 1);
	item->count = count;
	item->price = price;
}

FUNCTION void store_price(int *where, int price)
{
	*where = price;
}

FUNCTION const struct item *find_item(const struct order *order, const char *name)
{
	for (size_t i = 0; i < sizeof(order->items) / sizeof(order->items[0]); i++) {
		if (strcmp(order->items[i].name, name) == 0) {
			return &order->items[i];
		}
	}
	return NULL;
}

FUNCTION int total_of(const struct order *order)
{
	int total = 0;
	for (size_t i = 0; i < sizeof(order->items) / sizeof(order->items[0]); i++) {
		const struct item *item = &order->items[i];
		total += item->price * (int)item->count;
	}
	return total;
}

FUNCTION void raise_price(struct order *order, const char *name, int by)
{
	const struct item *item = find_item(order, name);
	/* The fault of this program: an item that the order does not have is not looked for. */
	store_price(item != NULL ? (int *)(uintptr_t)&item->price : NULL, by);
}

FUNCTION int process(struct order *order, const char *name)
{
	int before = total_of(order);
	raise_price(order, name, 30);
	int after = total_of(order);
	return after - before;
}

FUNCTION int run(const char *name)
{
	struct order order = { .number = 1234 };
	fill_item(&order.items[0], "rope", 2, 10);
	fill_item(&order.items[1], "lamp", 1, 25);
	fill_item(&order.items[2], "oil", 4, 3);
	order.dearest = &order.items[1];
	int difference = process(&order, name);
	hs_printf("order %u: %d more\n", order.number, difference);
	return difference;
}

int main(int argc, char **argv)
{
	bool crash = argc > 1 && strcmp(argv[1], "crash") == 0;
	unsigned int counted = count_up(5);
	unsigned long product = factorial(5);
	hs_printf("counted %u, factorial %lu\n", counted, product);
	int difference = run(crash ? "sail" : "lamp");
	return difference == 5 ? 0 : 1;
}
