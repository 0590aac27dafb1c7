/* SPDX-License-Identifier: MIT */
/* Places to listen at, and sockets that were handed over. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sockets.h"
#include "base/text.h"
#include "tests/unit/harness.h"

static char dir[] = "/tmp/berth-sockets-XXXXXX";

static int folder(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int no_folder(void **state)
{
	(void)state;
	return rmdir(dir); /* fails when a socket's file was left in it */
}

static void places(void **state)
{
	static const struct {
		const char *spec, *host;
		uint16_t port;
	} good[] = {
		{ "127.0.0.1:8470", "127.0.0.1", 8470 },
		{ ":80", "127.0.0.1", 80 },
		{ "localhost:0", "127.0.0.1", 0 },
		{ "0.0.0.0:65535", "0.0.0.0", 65535 },
		{ "[::1]:1", "::1", 1 },
		{ "[::]:8470", "::", 8470 },
	};
	struct socket_place p;
	char path[200];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(socket_place_parse(&p, good[i].spec, NULL), 0);
		assert_string_equal(p.host, good[i].host);
		assert_int_equal(p.port, good[i].port);
		assert_false(p.local);
	}
	assert_int_equal(socket_place_parse(&p, "unix:/run/x:1", NULL), 0);
	assert_true(p.local);
	assert_string_equal(p.path, "/run/x:1");
	/* as long as an address can be, and one byte more */
	memset(path, 'x', sizeof(path));
	memcpy(path, "unix:/", 6);
	path[5 + 107] = 0;
	assert_int_equal(socket_place_parse(&p, path, NULL), 0);
	path[5 + 107] = 'x';
	path[5 + 108] = 0;
	assert_int_equal(socket_place_parse(&p, path, NULL), -EINVAL);
}

static void no_places(void **state)
{
	static const char *const bad[] = {
		"",
		"8470",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"::1:80",
		"[::1]",
		"[]:80",
		"example.org:80",
		"127.0.0.1:-1",
		"unix:",
		"unix:a/b",
		"1.2.3:80",
		"[127.0.0.1:80",
		"127.0.0.1:80x",
		"a b:80",
		"%d%n:80",
		":18446744073709551616",
		"0000000000000000000000000000000000000000000000000000000000000000000127.0.0.1:80",
	};
	struct socket_place p;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(socket_place_parse(&p, bad[i], &e), -EINVAL);
		assert_true(e.text[0]);
	}
}

static void opened(void **state)
{
	struct sockets s = { 0 }, other = { 0 };
	struct err e = { 0 };
	char spec[100];
	struct stat st;

	(void)state;
	assert_int_equal(sockets_open(&s, "127.0.0.1:0", false, &e), 0);
	assert_true(s.list[0].local);
	assert_memory_equal(s.list[0].where, "127.0.0.1:", 10);
	assert_string_not_equal(s.list[0].where, "127.0.0.1:0");
	/* somebody is there */
	assert_int_equal(sockets_open(&other, s.list[0].where, false, &e), -EACCES);
	assert_non_null(strstr(e.text, "in use"));
	assert_int_equal(other.n, 0);
	/* no key is asked for there, so nobody else may come */
	assert_int_equal(sockets_open(&other, "0.0.0.0:0", true, &e), -EACCES);
	assert_non_null(strstr(e.text, "loopback"));
	assert_int_equal(sockets_open(&other, "0.0.0.0:0", false, &e), 0);
	assert_false(other.list[0].local);
	sockets_close(&other);

	snprintf(spec, sizeof(spec), "unix:%s/s", dir);
	assert_int_equal(sockets_open(&s, spec, false, &e), 0);
	assert_string_equal(s.list[1].where, spec);
	assert_int_equal(stat(spec + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(sockets_open(&other, spec, false, &e), -EACCES);
	assert_int_equal(stat(spec + 5, &st), 0); /* is still the first one's */
	assert_int_equal(accept4(s.list[1].fd, NULL, NULL, SOCK_CLOEXEC),
			 -1); /* nobody has come to it */
	assert_int_equal(errno, EAGAIN);
	sockets_close(&s);
	assert_int_equal(stat(spec + 5, &st), -1);
	assert_int_equal(s.n, 0);
}

/* What a killed run left is no obstacle; a file that is no socket is none of ours. */
static void stale(void **state)
{
	struct sockets s = { 0 };
	struct err e = { 0 };
	char spec[100];
	int fd;

	(void)state;
	snprintf(spec, sizeof(spec), "unix:%s/s", dir);
	assert_int_equal(sockets_open(&s, spec, false, &e), 0);
	close(s.list[0].fd);
	s.n = 0;
	assert_int_equal(sockets_open(&s, spec, false, &e), 0);
	sockets_close(&s);
	fd = open(spec + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sockets_open(&s, spec, false, &e), -EACCES);
	assert_int_equal(unlink(spec + 5), 0);
}

static void number(const char *name, long v)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", v);
	setenv(name, text, 1);
}

/* In a process of its own, since they come at descriptor 3 and after it. Exits with what is wrong, or 0. */
static int inherit(const char *names, int n, const char *const *places, uint32_t n_places,
		   const char *ollama, int (*look)(const struct sockets *s, int rc))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct sockets s = { 0 };
		struct err e = { 0 };

		for (int i = 0; i < n; i++) {
			int fd = socket(AF_INET, SOCK_STREAM, 0);

			if (fd < 0 || listen(fd, 1) < 0 || dup2(fd, 30 + i) < 0)
				_exit(100);
			close(fd);
		}
		for (int i = 0; i < n; i++)
			dup2(30 + i, 3 + i);
		number("LISTEN_PID", getpid());
		number("LISTEN_FDS", n);
		if (names)
			setenv("LISTEN_FDNAMES", names, 1);
		int rc = sockets_open_all(&s, places, n_places, ollama, &e);

		_exit(look(&s, rc));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int two_came(const struct sockets *s, int rc)
{
	if (rc || s->n != 2 || s->list[0].fd != 3 || s->list[1].fd != 4)
		return 1;
	if (getenv("LISTEN_PID") || getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES"))
		return 2;
	if (!(fcntl(3, F_GETFD) & FD_CLOEXEC) || !(fcntl(3, F_GETFL) & O_NONBLOCK))
		return 3;
	return s->list[0].ollama || s->list[1].ollama ? 4 : 0;
}

static int refused(const struct sockets *s, int rc)
{
	return (rc == -EACCES || rc == -EINVAL) && s->n == 0 ? 0 : 1;
}

static int one_and_ollama(const struct sockets *s, int rc)
{
	return !rc && s->n == 2 && !s->list[0].ollama && s->list[1].ollama ? 0 : 1;
}

static void handed_over(void **state)
{
	static const char *const taken[] = { "127.0.0.1:0" };

	(void)state;
	/* instead of the places, not besides them */
	assert_int_equal(inherit(NULL, 2, taken, 1, NULL, two_came), 0);
	assert_int_equal(inherit("openai:a.socket", 2, taken, 1, NULL, two_came), 0);
	/* an unbound socket listens at 0.0.0.0: not for Ollama's clients */
	assert_int_equal(inherit("openai:ollama", 2, NULL, 0, NULL, refused), 0);
	assert_int_equal(inherit(NULL, 9, NULL, 0, NULL, refused), 0);
	assert_int_equal(inherit("openai", 1, NULL, 0, "127.0.0.1:0", one_and_ollama), 0);
}

static void not_for_us(void **state)
{
	static const char *const place[] = { "127.0.0.1:0" };
	struct sockets s = { 0 };
	struct err e = { 0 };

	(void)state;
	number("LISTEN_PID", getpid() + 1);
	number("LISTEN_FDS", 1);
	assert_int_equal(sockets_open_all(&s, place, 1, NULL, &e), 0);
	assert_int_equal(s.n, 1);
	assert_true(s.list[0].fd > 2);
	sockets_close(&s);
	/* no listening socket is there */
	int fd = open("/dev/null", O_RDONLY);

	if (fd != 3)
		assert_int_equal(dup2(fd, 3), 3);
	number("LISTEN_PID", getpid());
	assert_int_equal(sockets_open_all(&s, place, 1, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.text, "no listening socket"));
	setenv("LISTEN_FDS", "many", 1);
	number("LISTEN_PID", getpid());
	assert_int_equal(sockets_inherit(&s, &e), -EINVAL);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),      cmocka_unit_test(no_places),
		cmocka_unit_test(opened),      cmocka_unit_test(stale),
		cmocka_unit_test(handed_over), cmocka_unit_test(not_for_us),
	};

	return cmocka_run_group_tests(tests, folder, no_folder);
}
