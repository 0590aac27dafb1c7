/* SPDX-License-Identifier: MIT */
/* Descriptions of devices: what is refused, in which words; and the config space that comes of those that are not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bar-forward/pcispace.h"
#include "base/own.h"
#include "tests/unit/harness.h"

#define HEAD                                                                                       \
	"\"schema\":\"berth.pcidevice/1\",\"vendor\":\"0x1234\",\"device\":1,\"class\":\"0x020000\""
#define BAR0 "{\"bar\":0,\"size\":4096}"
#define BARS "{\"bar\":0,\"size\":4096},{\"bar\":1,\"size\":\"1M\",\"kind\":\"memory\",\"bits\":64}"

static void refuses(const char *members, const char *says)
{
	struct pcidesc *d = NULL;
	struct err e = { 0 };
	char text[2048];
	int n = snprintf(text, sizeof(text), "{%s}", members);

	assert_int_equal(pcidesc_parse(&d, text, (size_t)n, &e), -EBADMSG);
	if (!strstr(e.text, says))
		fail_msg("'%s' says '%s', not '%s'", text, e.text, says);
	assert_null(d);
}

static struct pcidesc *takes(const char *members)
{
	struct pcidesc *d = NULL;
	struct err e = { 0 };
	char text[4096];
	int n = snprintf(text, sizeof(text), "{" HEAD ",%s}", members);

	if (pcidesc_parse(&d, text, (size_t)n, &e))
		fail_msg("%s: %s", text, e.text);
	return d;
}

static void refused(void **state)
{
	(void)state;
	refuses("", "schema is ''");
	refuses("\"schema\":\"berth.pcidevice/2\"", "not 'berth.pcidevice/1'");
	refuses("\"schema\":\"berth.pcidevice/1\"", "no 'vendor'");
	refuses(HEAD ",\"vendr\":1", "'vendr' means nothing");
	refuses("\"schema\":\"berth.pcidevice/1\",\"vendor\":65536,\"device\":1,\"class\":0",
		"above");
	refuses("\"schema\":\"berth.pcidevice/1\",\"vendor\":-1,\"device\":1,\"class\":0",
		"no number");
	refuses(HEAD ",\"pin\":\"E\"", "none of: none, A, B, C, D");
	refuses(HEAD ",\"rom\":3000", "power of two");
	refuses(HEAD ",\"bars\":7", "no list");
	refuses(HEAD ",\"bars\":[7]", "no object");
	refuses(HEAD ",\"bars\":[{\"bar\":0,\"size\":5000}]", "power of two");
	refuses(HEAD ",\"bars\":[{\"bar\":0,\"size\":0}]", "power of two");
	refuses(HEAD ",\"bars\":[{\"bar\":0,\"size\":\"4G\"}]", "power of two");
	refuses(HEAD ",\"bars\":[{\"bar\":6,\"size\":16}]", "above");
	refuses(HEAD ",\"bars\":[" BAR0 "," BAR0 "]", "taken already");
	refuses(HEAD ",\"bars\":[{\"bar\":5,\"size\":16,\"bits\":64}]", "last BAR");
	refuses(HEAD ",\"bars\":[{\"bar\":1,\"size\":16},"
		     "{\"bar\":0,\"size\":16,\"bits\":64}]",
		"upper half");
	refuses(HEAD ",\"bars\":[" BARS ",{\"bar\":2,\"size\":16}]", "taken already");
	refuses(HEAD ",\"bars\":[{\"bar\":0,\"size\":16,\"kind\":\"ports\",\"bits\":64}]", "ports");
	refuses(HEAD ",\"bars\":[{\"bar\":0,\"size\":4096,\"map\":true}]", "only memory");
	refuses(HEAD
		",\"bars\":[{\"bar\":0,\"size\":8192,\"kind\":\"memory\",\"map\":[{\"at\":4096,\"size\":8192}]}]",
		"whole pages");
	refuses(HEAD
		",\"bars\":[{\"bar\":0,\"size\":8192,\"kind\":\"memory\",\"map\":[{\"at\":4096,\"size\":4096},"
		"{\"at\":0,\"size\":4096}]}]",
		"in order");
}

static void refused_caps(void **state)
{
#define CAPS(list) HEAD ",\"bars\":[" BARS "],\"capabilities\":[" list "]"
	(void)state;
	refuses(CAPS("{}"), "capability 1: there is no 'kind'");
	refuses(CAPS("{\"kind\":\"x\"}"), "none of: pm, pcie");
	refuses(CAPS("{\"kind\":\"pm\",\"flr\":true}"), "'flr' means nothing");
	refuses(CAPS("{\"kind\":\"pm\"},{\"kind\":\"pm\"}"), "one capability 'pm'");
	refuses(CAPS("{\"kind\":\"pcie\",\"flr\":1}"), "neither true nor false");
	refuses(CAPS("{\"kind\":\"pcie\",\"width\":3}"), "lanes");
	refuses(CAPS("{\"kind\":\"msi\",\"vectors\":3}"), "MSI has");
	refuses(CAPS("{\"kind\":\"msix\",\"vectors\":1}"), "no 'bar'");
	refuses(CAPS("{\"kind\":\"msix\",\"vectors\":2,\"bar\":0,\"table\":4080,\"pba\":0}"),
		"do not lie");
	refuses(CAPS("{\"kind\":\"msix\",\"vectors\":2,\"bar\":3,\"table\":0,\"pba\":64}"),
		"do not lie");
	refuses(CAPS("{\"kind\":\"msix\",\"vectors\":2,\"bar\":0,\"table\":4,\"pba\":64}"),
		"do not lie");
	refuses(CAPS("{\"kind\":\"msix\",\"vectors\":2,\"bar\":0,\"table\":0,\"pba\":24}"),
		"overlap");
	refuses(CAPS("{\"kind\":\"msix\",\"vectors\":2049,\"bar\":0,\"table\":0,\"pba\":24}"),
		"above");
	refuses(CAPS("{\"kind\":\"vendor\",\"bytes\":\"0\"}"), "no bytes in hex");
	refuses(CAPS("{\"kind\":\"vendor\",\"bytes\":\"zz\"}"), "no bytes in hex");
	refuses(CAPS("{\"kind\":\"vendor\",\"bytes\":\"00\",\"writable\":\"00 00\"}"),
		"more than 1");
	refuses(CAPS("{\"kind\":\"raw\",\"bytes\":\"00\"}"), "'id'");
	refuses(CAPS("{\"kind\":\"extended\",\"id\":15}"), "needs 'pcie'");
	refuses(CAPS("{\"kind\":\"rebar\",\"bar\":1,\"sizes\":[\"2M\"]}"), "not among");
	refuses(CAPS("{\"kind\":\"rebar\",\"bar\":1,\"sizes\":[\"1M\",\"3M\"]}"),
		"no power of two");
	refuses(CAPS("{\"kind\":\"rebar\",\"bar\":3,\"sizes\":[]}"), "not among");
}

static void refused_regs(void **state)
{
#define REGS(list)   HEAD ",\"bars\":[" BARS "],\"registers\":[" list "]"
#define AT(name, at) "{\"name\":\"" name "\",\"bar\":0,\"at\":" #at
	(void)state;
	refuses(REGS("{}"), "needs a 'name'");
	refuses(REGS(AT("a", 0) ",\"behaviour\":\"b\"}"), "none of: plain");
	refuses(REGS(AT("a", 4096) "}"), "not in a BAR of registers");
	refuses(REGS("{\"name\":\"a\",\"bar\":1,\"at\":0}"), "not in a BAR of registers");
	refuses(REGS(AT("a", 2) "}"), "multiple");
	refuses(REGS(AT("a", 0) ",\"width\":3}"), "1, 2, 4 or 8");
	refuses(REGS(AT("a", 0) ",\"width\":1,\"value\":256}"), "above");
	refuses(REGS(AT("a", 0) "}," AT("a", 4) "}"), "two of this name");
	refuses(REGS(AT("a", 0) ",\"width\":8}," AT("b", 4) "}"), "'a' and 'b' overlap");
	refuses(REGS(AT("a", 0) ",\"behaviour\":\"raise\"}"), "no 'status'");
	refuses(REGS(AT("a", 0) ",\"behaviour\":\"raise\",\"status\":\"b\"}"), "no register");
	refuses(REGS(AT("a", 0) ",\"behaviour\":\"raise\",\"status\":\"a\"}"), "another register");
	refuses(REGS(AT("a", 0) ",\"behaviour\":\"doorbell\"}"), "wants 'memory_bar'");
	refuses(REGS(AT("a", 0) ",\"behaviour\":\"doorbell\",\"memory_bar\":0}"), "BAR of memory");
	refuses(REGS(AT("a", 0) ",\"behaviour\":\"doorbell\",\"memory_bar\":1}"), "no 'source'");
	refuses(HEAD ",\"bars\":[" BARS
		     "],\"capabilities\":[{\"kind\":\"msix\",\"vectors\":2,\"bar\":0,\"table\":0,"
		     "\"pba\":64}],\"registers\":[" AT("a", 28) "}]",
		"structure of MSI-X");
	refuses(HEAD ",\"faults\":[{\"at\":0,\"fault\":\"gone\"}]", "from 1");
	refuses(HEAD ",\"faults\":[{\"at\":1}]", "no 'fault'");
	refuses(HEAD ",\"faults\":[{\"at\":9,\"fault\":\"gone\"},{\"at\":8,\"fault\":\"none\"}]",
		"in their order");
}

/* Every chain ends, no two capabilities overlap, and none is lost: however many there are. */
static void chains(void **state)
{
	own_free struct pcidesc *d = takes(
		"\"capabilities\":[{\"kind\":\"raw\",\"id\":9,\"bytes\":\"aabbcc\"},{\"kind\":\"pcie\"},"
		"{\"kind\":\"extended\",\"id\":15,\"bytes\":\"010203\",\"writable\":\"ff00\"},{\"kind\":\"pm\"},"
		"{\"kind\":\"extended\",\"id\":16,\"version\":3}]");
	static struct pcispace s;

	(void)state;
	assert_int_equal(pcispace_build(&s, d, NULL), 0);
	assert_int_equal(s.first[6], 0x10);
	assert_int_equal(s.first[0x34], 0x40);
	assert_memory_equal(s.first + 0x40, "\x09\x48\xaa\xbb\xcc\x00\x00\x00\x10\x84", 10);
	assert_int_equal(s.pcie, 0x48);
	assert_memory_equal(s.first + 0x84, "\x01\x00", 2);
	assert_memory_equal(s.first + 0x100, "\x0f\x00\x81\x10\x01\x02\x03\x00\x10\x00\x03\x00",
			    12);
	assert_int_equal(pcispace_write(&s, 0x104, 0x01, 0xf0), 0xf0);
	assert_int_equal(pcispace_write(&s, 0x105, 0x02, 0xf0), 0x02);
	/* status: 1 clears */
	assert_int_equal(pcispace_write(&s, 7, 0xf9, 0x30), 0xc9);
}

static void too_many(void **state)
{
	char text[8192] = "\"capabilities\":[{\"kind\":\"pcie\"}";
	static struct pcispace s;
	struct err e = { 0 };
	uint32_t n = 0;

	(void)state;
	for (int i = 0; i < 16; i++)
		strcat(text, ",{\"kind\":\"vendor\",\"bytes\":\"00000000000000000000\"}");
	strcat(text, "]");
	own_free struct pcidesc *d = takes(text);

	assert_int_equal(pcispace_build(&s, d, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "does not fit"));
	for (; d->n_caps && pcispace_build(&s, d, NULL); d->n_caps--)
		n++;
	assert_true(n > 0 && d->n_caps > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),      cmocka_unit_test(refused_caps),
		cmocka_unit_test(refused_regs), cmocka_unit_test(chains),
		cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
