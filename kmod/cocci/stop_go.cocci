// SPDX-License-Identifier: GPL-2.0-only
// Who shuts the gate of pages opens it on every way out; only the two halves of a reset are two functions.
virtual report

@stops exists@
identifier f != { bv_reset_prepare };
expression b;
position p;
@@
f(...)
{
	<+...
	bv_pages_stop@p(b);
	... when != bv_pages_go(b);
	return ...;
	...+>
}

@script:python depends on report@
p << stops.p;
@@
coccilib.report.print_report(p[0], "the gate stays shut on a way out")
