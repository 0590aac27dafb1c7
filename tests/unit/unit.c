/* SPDX-License-Identifier: MIT */
/* Units of systemd: what follows from a profile. That systemd understands them is tests/cli/unit.sh. */
#include <stdio.h>
#include <string.h>

#include "launch/unit.h"
#include "tests/unit/harness.h"

static char words[UNIT_TEXT_MAX];

static const char *service(const struct unit *u)
{
	struct text t;

	text_init(&t, words, sizeof(words));
	unit_service(&t, u);
	assert_false(t.cut);
	return words;
}

/* A whole line of it. */
static bool has(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *s = text; s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
		if (strncmp(s, line, n) == 0 && (s[n] == '\n' || !s[n]))
			return true;
	return false;
}

static uint32_t count(const char *text, const char *what)
{
	uint32_t n = 0;

	for (const char *s = text; (s = strstr(s, what)); s++)
		n++;
	return n;
}

static void devices(void **state)
{
	struct unit u = { .profile = "chat", .run = "chat", .berth = "/usr/bin/berth" };

	(void)state;
	assert_true(has(service(&u), "DevicePolicy=closed"));
	assert_true(has(words, "DeviceAllow=char-drm rw"));
	assert_true(has(words, "DeviceAllow=char-nvidia* rw"));
	assert_true(has(words, "DeviceAllow=/dev/kfd rw"));
	unit_allow(&u, "0000:c1:00.0", "amdgpu", -1);
	assert_true(has(service(&u), "DeviceAllow=/dev/dri/by-path/pci-0000:c1:00.0-render rw"));
	assert_true(has(words, "DeviceAllow=/dev/kfd rw"));
	assert_int_equal(count(words, "DeviceAllow="), 2);
	unit_allow(&u, "0000:01:00.0", "nvidia", 3);
	unit_allow(&u, "0000:02:00.0", "nvidia", 0);
	assert_true(has(service(&u), "DeviceAllow=/dev/nvidia3 rw"));
	assert_true(has(words, "DeviceAllow=/dev/nvidia0 rw"));
	assert_int_equal(count(words, "DeviceAllow=/dev/nvidiactl rw"), 1);
	assert_null(strstr(words, "char-nvidia*"));
	unit_allow(&u, "0000:03:00.0", "nvidia", -1);
	assert_true(has(service(&u), "DeviceAllow=char-nvidia* rw"));
	u = (struct unit) { .profile = "chat", .run = "chat", .berth = "/usr/bin/berth" };
	unit_allow(&u, "0000:03:00.0", "xe", -1);
	assert_int_equal(count(service(&u), "DeviceAllow="), 1);
	u.cpu_only = true;
	assert_true(has(service(&u), "PrivateDevices=yes"));
	assert_null(strstr(words, "DeviceAllow"));
	/* more than there is room for is cut, never written past its end */
	for (int i = 0; i < 2 * UNIT_ALLOWED_MAX; i++) {
		char pci[24];

		snprintf(pci, sizeof(pci), "0000:%02x:00.0", i);
		unit_allow(&u, pci, "", -1);
	}
	assert_int_equal(u.n_allowed, UNIT_ALLOWED_MAX);
}

static void managers(void **state)
{
	struct unit u = {
		.profile = "chat", .run = "talk", .berth = "/opt/a b%c/bin/berth", .cpus = "0-3"
	};

	(void)state;
	assert_true(has(service(&u),
			"ExecStart=\"/opt/a b%%c/bin/berth\" launch --serve --name talk chat"));
	assert_true(has(words, "ProtectSystem=strict"));
	assert_true(has(words, "DynamicUser=yes"));
	assert_true(has(words, "ProtectHome=yes"));
	assert_true(has(words, "IPAddressDeny=any"));
	assert_true(has(words, "CPUAffinity=0-3"));
	assert_true(has(words, "WantedBy=multi-user.target"));
	u.reads_home = u.beyond_loopback = true;
	assert_true(has(service(&u), "ProtectHome=read-only"));
	assert_null(strstr(words, "IPAddress"));
	u.user = true;
	assert_true(has(service(&u), "WantedBy=default.target"));
	assert_true(has(words, "NoNewPrivileges=yes"));
	assert_null(strstr(words, "DynamicUser"));
	assert_null(strstr(words, "ProtectSystem"));
	assert_null(strstr(words, "DeviceAllow"));
}

static void sockets(void **state)
{
	struct unit u = {
		.profile = "chat", .run = "talk", .berth = "/usr/bin/berth", .ollama = true
	};
	char streams[2][UNIT_STREAM_MAX] = { "127.0.0.1:8470", "/run/x" }, name[UNIT_NAME_MAX];
	struct text t;

	(void)state;
	assert_null(strstr(service(&u), ".socket"));
	u.sockets = true;
	assert_true(has(service(&u), "Requires=berth-chat.socket"));
	assert_true(has(words, "Sockets=berth-chat-ollama.socket"));
	unit_socket_name(name, &u, "ollama");
	assert_string_equal(name, "berth-chat-ollama.socket");
	text_init(&t, words, sizeof(words));
	unit_socket(&t, &u, "openai", streams, 2);
	assert_true(has(words, "ListenStream=127.0.0.1:8470"));
	assert_true(has(words, "ListenStream=/run/x"));
	assert_true(has(words, "FileDescriptorName=openai"));
	assert_true(has(words, "Service=berth-chat.service"));
	assert_int_equal(strncmp(words, UNIT_MARK, strlen(UNIT_MARK)), 0);
}

/* The run has no rights: systemd sets its limits, and takes them back, each by its own name in the journal. */
static void limits(void **state)
{
	struct unit u = { .profile = "chat", .run = "chat", .berth = "/usr/bin/berth" };

	(void)state;
	assert_null(strstr(service(&u), "ExecStartPre"));
	assert_null(strstr(words, "power"));
	u.n_limits = 2;
	strcpy(u.limits[0].pci, "0000:03:00.0");
	strcpy(u.limits[0].cap, "250");
	strcpy(u.limits[1].pci, "0000:06:00.0");
	strcpy(u.limits[1].cap, "default");
	assert_true(has(service(&u),
			"ExecStartPre=+\"/usr/bin/berth\" device power 0000:03:00.0 --cap 250 "
			"--wake --for unit-chat-0000:03:00.0"));
	assert_true(has(words,
			"ExecStartPre=+\"/usr/bin/berth\" device power 0000:06:00.0 --cap default "
			"--wake --for unit-chat-0000:06:00.0"));
	assert_true(
		has(words,
		    "ExecStopPost=+-\"/usr/bin/berth\" device undo --for unit-chat-0000:03:00.0"));
	assert_true(
		has(words,
		    "ExecStopPost=+-\"/usr/bin/berth\" device undo --for unit-chat-0000:06:00.0"));
	assert_true(has(
		words,
		"ExecStart=\"/usr/bin/berth\" launch --serve --name chat --power-cap none chat"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices),
		cmocka_unit_test(managers),
		cmocka_unit_test(sockets),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
