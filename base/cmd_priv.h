/* SPDX-License-Identifier: MIT */
/* What cmd.c, cmd_doc.c and the front share. */
#ifndef BERTH_CMD_PRIV_H
#define BERTH_CMD_PRIV_H

#include <stdio.h>

#include "base/cmd.h"

/* The usage text of --help. */
void cmd_help(const struct cmd *c, FILE *to);

/* "man", "bash", "zsh" or "fish"; -EINVAL for another word. */
int cmd_doc(const struct cmd *c, const char *how, FILE *to);

/* The name nearest to a mistyped one, or NULL when none is near. */
const char *cmd_nearest(const char *name, const char *const *names, size_t n);

#endif
