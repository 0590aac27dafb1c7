/* SPDX-License-Identifier: MIT */
/* The commands on runs that are there: `berth ps`, `stop`, `restart`, `logs`. Stays home. */
#ifndef BERTH_LAUNCH_VERBS_H
#define BERTH_LAUNCH_VERBS_H

int verb_ps(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_restart(int argc, char **argv);
int verb_logs(int argc, char **argv);
int verb_unit(int argc, char **argv); /* the units of a profile: unit_verb.c */

#endif
