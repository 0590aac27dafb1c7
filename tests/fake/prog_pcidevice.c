/* SPDX-License-Identifier: MIT */
/* The config space of a described device after a reset, as `lspci -F` reads it. */
#include <stdio.h>
#include <stdlib.h>

#include "bar-forward/pcispace.h"
#include "base/own.h"

int main(int argc, char **argv)
{
	static struct pcispace space;
	static char buf[PCISPACE_TEXT];
	own_free struct pcidesc *d = NULL;
	struct err e = { 0 };
	struct text t;

	if (argc != 2)
		return EXIT_USAGE;
	if (pcidesc_read(&d, argv[1], &e) || pcispace_build(&space, d, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return err_exit(e.rc);
	}
	text_init(&t, buf, sizeof(buf));
	pcispace_text(space.first, d->name, &t);
	fputs(buf, stdout);
	return t.cut;
}
