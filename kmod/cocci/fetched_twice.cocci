// SPDX-License-Identifier: GPL-2.0-only
// A program may change its request between two reads of it: what has been checked is what was copied.
virtual report

@twice exists@
expression to1, to2, from, n1, n2;
position p;
@@
	copy_from_user(to1, from, n1)
	... when any
	    when != from = ...
	copy_from_user@p(to2, from, n2)

@script:python depends on report@
p << twice.p;
@@
coccilib.report.print_report(p[0], "a second copy of what was copied before")
