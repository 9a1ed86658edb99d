/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Things that point at each other: lists, a balanced tree, a table of hashes, a queue, all in a small arena. */
#include "../program.h"

#define NODES 160

struct node {
	struct node *left, *right;
	uint32_t key;
	int8_t height;
	uint16_t hits;
};

struct arena {
	struct node nodes[NODES];
	unsigned int used;
};

static int height(const struct node *node)
{
	return node ? node->height : 0;
}

static void measure(struct node *node)
{
	int left = height(node->left);
	int right = height(node->right);

	node->height = (int8_t)((left > right ? left : right) + 1);
}

static struct node *turn_right(struct node *node)
{
	struct node *top = node->left;

	node->left = top->right;
	top->right = node;
	measure(node);
	measure(top);
	return top;
}

static struct node *turn_left(struct node *node)
{
	struct node *top = node->right;

	node->right = top->left;
	top->left = node;
	measure(node);
	measure(top);
	return top;
}

/* Adelson-Velsky, Landis. */
static struct node *balance(struct node *node)
{
	int tilt = height(node->left) - height(node->right);

	measure(node);
	if (tilt > 1) {
		if (height(node->left->left) < height(node->left->right)) {
			node->left = turn_left(node->left);
		}
		return turn_right(node);
	}
	if (tilt < -1) {
		if (height(node->right->right) < height(node->right->left)) {
			node->right = turn_right(node->right);
		}
		return turn_left(node);
	}
	return node;
}

static NOINLINE struct node *insert(struct arena *arena, struct node *node, uint32_t key)
{
	if (!node) {
		node = &arena->nodes[arena->used++];
		*node = (struct node){ .key = key, .height = 1 };
		return node;
	}
	if (key == node->key) {
		node->hits++;
		return node;
	}
	if (key < node->key) {
		node->left = insert(arena, node->left, key);
	} else {
		node->right = insert(arena, node->right, key);
	}
	return balance(node);
}

static NOINLINE uint64_t walk(const struct node *node, uint64_t d, unsigned int depth)
{
	if (!node) {
		return d;
	}
	d = walk(node->left, d, depth + 1);
	d = mix(d, (uint64_t)node->key << 16 | (uint64_t)depth << 8 | node->hits);
	return walk(node->right, d, depth + 1);
}

static NOINLINE struct node *reverse(struct node *list)
{
	struct node *done = NULL;

	while (list) {
		struct node *rest = list->right;

		list->right = done;
		done = list;
		list = rest;
	}
	return done;
}

/* Open addressing; 0 is no key. */
struct slot {
	uint32_t key;
	uint32_t value;
};

static NOINLINE struct slot *look_up(struct slot *slots, size_t count, uint32_t key)
{
	size_t at = (key * 2654435761u) % count;

	while (slots[at].key != 0 && slots[at].key != key) {
		at = at + 1 == count ? 0 : at + 1;
	}
	return &slots[at];
}

static uint64_t use_table(struct source *s)
{
	struct slot slots[67] = { { 0, 0 } };
	uint64_t d = 0;

	for (unsigned int i = 0; i < 150; i++) {
		uint32_t key = (uint32_t)(next(s) >> 9) % 50 + 1;
		struct slot *slot = look_up(slots, COUNT(slots), key);

		slot->key = key;
		slot->value += i;
	}
	for (size_t i = 0; i < COUNT(slots); i++) {
		d = mix(d, (uint64_t)slots[i].key << 32 | slots[i].value);
	}
	return d;
}

static uint64_t use_queue(struct source *s)
{
	uint16_t ring[16];
	unsigned int head = 0;
	unsigned int tail = 0;
	uint64_t d = 0;

	for (unsigned int i = 0; i < 200; i++) {
		if (next(s) >> 13 & 1 && head - tail < COUNT(ring)) {
			ring[head++ % COUNT(ring)] = (uint16_t)i;
		} else if (head != tail) {
			d = mix(d, ring[tail++ % COUNT(ring)]);
		}
	}
	return mix(d, head - tail);
}

void topic_containers(void)
{
	struct source s = source(0xC047);
	static struct arena arena;
	struct node *tree = NULL;
	struct node *list = NULL;
	uint64_t d = 0;

	for (unsigned int i = 0; i < NODES; i++) {
		uint32_t key = i % 3 ? (uint32_t)(next(&s) >> 5) % 200 : i;

		tree = insert(&arena, tree, key);
	}
	say("height", (uint64_t)height(tree));
	say("tree", walk(tree, 0, 0));
	for (unsigned int i = 0; i < arena.used; i++) {
		arena.nodes[i].right = list;
		list = &arena.nodes[i];
	}
	for (list = reverse(list); list; list = list->right) {
		d = mix(d, list->key);
	}
	say("list", d);
	say("table", use_table(&s));
	say("queue", use_queue(&s));
}
