/* SPDX-License-Identifier: MIT */
/* The telemetry page of a bridge, as a reader finds it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bar-forward/serve_priv.h"
#include "tests/unit/harness.h"

/* It is listed before its device is open, and says where it will be and what drives it. */
static void a_page_says_whose_it_is_from_the_start(void **state)
{
	static const struct device_ops ops = { .name = "memory" };
	const struct serve_opts o = {
		.socket = "/run/gpu.sock", .pci = "0000:03:00.0", .guest = "win11", .ops = &ops
	};
	char dir[] = "/tmp/berth-page-XXXXXX";
	struct telem_page read = { 0 };
	static struct telem_bridge now, worker;
	static struct trace off;
	struct serve_page p = { .now = &now, .trace = &off, .worker = &worker };
	enum telem_life life;
	char path[512];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(setenv("BERTH_RUNTIME_DIR", dir, 1), 0);
	assert_int_equal(serve_page_open(&p, &o, NULL), 0);
	snprintf(path, sizeof(path), "%s", p.writer.path);
	assert_int_equal(telem_read(path, &read, &life, NULL), 0);
	assert_string_equal(read.bridge.socket, "/run/gpu.sock");
	assert_string_equal(read.bridge.pci, "0000:03:00.0");
	assert_string_equal(read.bridge.guest, "win11");
	assert_string_equal(read.bridge.backend, "memory");
	assert_int_equal(read.bridge.state, TELEM_BRIDGE_STARTING);
	assert_int_equal(read.bridge.generation, 1);
	serve_page_close(&p);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_says_whose_it_is_from_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
