/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image that the client tests debug. It is never executed: the fake target only shows its bytes. */
int counter = 42;
const char greeting[] = "hello from the sample";

int twice(int value);
int middle(int value);
void _start(void);

int twice(int value)
{
	int result = value * 2;

	counter += result;
	return result;
}

int middle(int value)
{
	return twice(value + 1) + 1;
}

void _start(void)
{
	counter = middle(counter);
	for (;;) {
		counter++;
	}
}
