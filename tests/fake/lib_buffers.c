/* SPDX-License-Identifier: MIT */
/*
 * Counts what the engine allocates, to the byte: its log rounds to hundredths of a MiB. Preloaded, it stands before
 * ggml's functions that make and free buffers, and writes to the file BUFFERS names
 *
 *	+ BUFFER TYPE BYTES
 *	- BUFFER
 *
 * one line each, with the address that tells buffers apart. Programs without an engine never call it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OURS __attribute__((visibility("default")))

static void *next(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (!f)
		abort();
	return f;
}

/* ggml's function of this name that takes a pointer and tells something of it */
static const char *text_of(const char *name, void *of)
{
	const char *(*f)(void *) = (const char *(*)(void *))next(name);

	return f(of);
}

static void say(const char *line, int n)
{
	const char *path = getenv("BUFFERS");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

	if (fd < 0 || write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

static void say_new(void *buffer)
{
	size_t (*size)(void *) = (size_t(*)(void *))next("ggml_backend_buffer_get_size");
	char line[256];

	if (!buffer || size(buffer) == 0)
		return;
	say(line, snprintf(line, sizeof(line), "+ %p %s %zu\n", buffer,
			   text_of("ggml_backend_buffer_name", buffer), size(buffer)));
}

OURS void *ggml_backend_buft_alloc_buffer(void *type, size_t size);
OURS void *ggml_backend_buft_alloc_buffer(void *type, size_t size)
{
	void *(*f)(void *,
		   size_t) = (void *(*)(void *, size_t))next("ggml_backend_buft_alloc_buffer");
	void *buffer = f(type, size);

	say_new(buffer);
	return buffer;
}

/* A model's file, mapped: its pages are the buffer. */
OURS void *ggml_backend_dev_buffer_from_host_ptr(void *device, void *at, size_t size, size_t most);
OURS void *ggml_backend_dev_buffer_from_host_ptr(void *device, void *at, size_t size, size_t most)
{
	void *(*f)(void *, void *, size_t,
		   size_t) = (void *(*)(void *, void *, size_t,
					size_t))next("ggml_backend_dev_buffer_from_host_ptr");
	void *buffer = f(device, at, size, most);

	say_new(buffer);
	return buffer;
}

OURS void ggml_backend_buffer_free(void *buffer);
OURS void ggml_backend_buffer_free(void *buffer)
{
	void (*f)(void *) = (void (*)(void *))next("ggml_backend_buffer_free");
	char line[64];

	if (buffer)
		say(line, snprintf(line, sizeof(line), "- %p\n", buffer));
	f(buffer);
}
