/* SPDX-License-Identifier: MIT */
/*
 * Whether this build has a sanitizer: what it asks the kernel for, the memory it takes and the time it needs are no business
 * of the program's own limits.
 */
#ifndef BERTH_SANITIZED_H
#define BERTH_SANITIZED_H

/* gcc defines a name for each, clang answers a question. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED_ADDRESSES 1
#elif __has_feature(thread_sanitizer)
#define SANITIZED_THREADS 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED_ADDRESSES 1
#endif
#ifdef __SANITIZE_THREAD__
#define SANITIZED_THREADS 1
#endif

#if defined(SANITIZED_ADDRESSES) || defined(SANITIZED_THREADS)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#ifdef SANITIZED_ADDRESSES
#include <sanitizer/lsan_interface.h>
/* Before an end that runs nothing of what a program does at its end. Does not return when something was lost. */
#define sanitized_end() __lsan_do_leak_check()
#else
#define sanitized_end() ((void)0)
#endif

#endif
