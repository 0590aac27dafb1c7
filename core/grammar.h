/* SPDX-License-Identifier: MIT */
/*
 * A look at a client's GBNF before the engine reads it: the engine recurses and searches without bounds, so
 * that some short texts overflow its stack, or hold it for ever. Pure.
 */
#ifndef BERTH_CORE_GRAMMAR_H
#define BERTH_CORE_GRAMMAR_H

#include "base/err.h"

/* 0; -EINVAL with *e: it has one of those; -ENOMEM. What is no GBNF the engine refuses. */
int grammar_check(const char *text, struct err *e);

#endif
