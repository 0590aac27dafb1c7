/* SPDX-License-Identifier: MIT */
/* How a monitor is asked to unplug a device: which of its devices, and what may go wrong. */
#include <string.h>

#include "bar-forward/qmp.h"
#include "tests/unit/harness.h"

#define HELLO                                                                                                   \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 3, \"minor\": 1, \"major\": 11}, \"package\": \"x\"}, " \
	"\"capabilities\": [\"oob\"]}}"
#define NONE "{\"return\": [{\"name\": \"type\", \"type\": \"string\"}]}"

static struct qmp q;
static char out[QMP_COMMAND];
static struct err why;

/* What it is asked next. */
static int take(const char *object)
{
	why = (struct err) { 0 };
	return qmp_take(&q, object, strlen(object), out, sizeof(out), &why);
}

static void next(const char *object, const char *wanted)
{
	if (take(object))
		fail_msg("%s", why.text);
	assert_string_equal(out, wanted);
}

static void begin(const char *socket, bool msix)
{
	qmp_begin(&q, socket, msix);
	next(HELLO, "{\"execute\":\"qmp_capabilities\"}\n");
	next("{\"return\": {}}",
	     "{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral\"}}\n");
}

#define ANON "{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral-anon\"}}\n"
#define GPU0 "{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral/gpu0\"}}\n"
#define DEV0                                                                                       \
	"{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral-anon/device[0]\"}}\n"
#define LISTS                                                                                      \
	"{\"return\": [{\"name\": \"gpu0\", \"type\": \"child<vfio-user-pci>\"}, {\"name\": \"net\", \"type\": \"child<e1000>\"}]}"
#define AT(path)                                                                                   \
	"{\"return\": [{\"name\": \"addr\", \"type\": \"str\"}, {\"name\": \"vfio-user:" path      \
	" base BAR 0[0]\", \"type\": \"child<memory-region>\"}]}"

static void a_device_is_found_and_unplugged(void **state)
{
	(void)state;
	begin("/run/gpu.sock", false);
	next("{\"timestamp\": {}, \"event\": \"NIC_RX_FILTER_CHANGED\", \"data\": {}}", "");
	next(LISTS, ANON);
	next(NONE, GPU0);
	next(AT("\\\\x2frun\\\\x2fgpu.sock"),
	     "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"gpu0\"}}\n");
	assert_string_equal(q.version, "11.1.3");
	next("{\"return\": {}}", "");
	assert_int_equal(q.step, QMP_WAIT);
	next("{\"event\": \"DEVICE_DELETED\", \"data\": {\"path\": \"/machine/peripheral/gpu0/virtio\"}}",
	     "");
	next("{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"net\", \"path\": \"/machine/peripheral/net\"}}",
	     "");
	assert_int_equal(q.step, QMP_WAIT);
	next("{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"gpu0\", \"path\": \"/machine/peripheral/gpu0\"}}",
	     "");
	assert_int_equal(q.step, QMP_DONE);
}

/* Two devices, one without an id; the monitor sees our socket elsewhere, as in a root of its own. */
static void its_socket_tells_which_it_is(void **state)
{
	(void)state;
	begin("/var/lib/root/srv/s2", false);
	next(LISTS, ANON);
	next("{\"return\": [{\"name\": \"device[0]\", \"type\": \"child<vfio-user-pci>\"}]}", GPU0);
	next(AT("/srv/s"), DEV0);
	next(AT("/srv/s2"),
	     "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"/machine/peripheral-anon/device[0]\"}}\n");
	/* gone before the answer of device_del */
	next("{\"event\": \"DEVICE_DELETED\", \"data\": {\"path\": \"/machine/peripheral-anon/device[0]\"}}",
	     "");
	assert_int_equal(q.step, QMP_DONE);
}

static void another_machine_is_left_alone(void **state)
{
	(void)state;
	begin("/run/gpu.sock", false);
	next(LISTS, ANON);
	next(NONE, GPU0);
	assert_int_equal(take(AT("/run/other.sock")), -ENOENT);
	assert_non_null(strstr(why.text, "no vfio-user-pci device at /run/gpu.sock"));
	assert_string_equal(out, "");
	begin("/run/gpu.sock", false);
	next("{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"x\"}}", ANON);
	assert_int_equal(take(NONE), -ENOENT);
	begin("/run/s", false); /* two that are called so, neither exactly ours */
	next("{\"return\": [{\"name\": \"gpu0\", \"type\": \"child<vfio-user-pci>\"},"
	     "{\"name\": \"gpu1\", \"type\": \"child<vfio-user-pci>\"}]}",
	     ANON);
	next(NONE, GPU0);
	assert_int_equal(take(AT("/a/s")), 0);
	assert_int_equal(take(AT("/b/s")), -ENOENT);
	assert_non_null(strstr(why.text, "2 vfio-user-pci devices"));
}

/* A QEMU whose regions have other names: the only device is it. */
static void the_only_one(void **state)
{
	(void)state;
	begin("/run/gpu.sock", false);
	next(LISTS, ANON);
	next(NONE, GPU0);
	next(NONE, "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"gpu0\"}}\n");
}

static void an_abort_is_not_asked_for(void **state)
{
	(void)state;
	begin("/run/gpu.sock", true);
	next(LISTS, ANON);
	next(NONE, GPU0);
	assert_int_equal(take(AT("/run/gpu.sock")), -EPERM);
	assert_non_null(strstr(why.text, "QEMU 11.1.3 would abort"));
	assert_string_equal(out, "");
}

static void refusals(void **state)
{
	(void)state;
	qmp_begin(&q, "/s", false);
	assert_int_equal(take("{\"return\": {}}"), -EBADMSG);
	assert_int_equal(take("220 mail.example.org"), -EBADMSG);
	begin("/s", false);
	next(LISTS, ANON);
	next(NONE, GPU0);
	next(NONE, "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"gpu0\"}}\n");
	assert_int_equal(
		take("{\"error\": {\"class\": \"GenericError\", \"desc\": \"Device is busy\"}}"),
		-EACCES);
	assert_non_null(strstr(why.text,
			       "QEMU refuses to unplug /machine/peripheral/gpu0: Device is busy"));
	q.step = QMP_WAIT;
	assert_int_equal(
		take("{\"event\": \"DEVICE_UNPLUG_GUEST_ERROR\", \"data\": {\"path\": \"/machine/peripheral/gpu0\"}}"),
		-EBUSY);
}

/* What libvirt hands on: no greeting, no events. */
static void without_a_greeting(void **state)
{
	(void)state;
	qmp_begin_mute(&q, "/run/gpu.sock", false, out, sizeof(out));
	assert_string_equal(
		out,
		"{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral\"}}\n");
	next("{\"return\":[{\"name\":\"gpu0\",\"type\":\"child<vfio-user-pci>\"}],\"id\":\"libvirt-9\"}",
	     ANON);
	next(NONE, GPU0);
	next(AT("/run/gpu.sock"), "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"gpu0\"}}\n");
	next("{\"return\":{},\"id\":\"libvirt-10\"}", "");
	assert_int_equal(q.step, QMP_WAIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_is_found_and_unplugged),
		cmocka_unit_test(its_socket_tells_which_it_is),
		cmocka_unit_test(another_machine_is_left_alone),
		cmocka_unit_test(the_only_one),
		cmocka_unit_test(an_abort_is_not_asked_for),
		cmocka_unit_test(refusals),
		cmocka_unit_test(without_a_greeting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
