/* SPDX-License-Identifier: MIT */
#include "bar-forward/guest.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/own.h"
#include "base/text.h"

#define MIB (UINT64_C(1) << 20)

/*
 * QEMU's client waits so long for an answer before it gives the device up: 5 s by default, which a card that comes back
 * from a reset or from sleep can take.
 */
#define MSG_TIMEOUT_MS 60000

/* A path of a socket that QEMU and we agree about; `of`: the option that it came by. */
static int check_path(const char *path, const char *of, struct err *e)
{
	struct sockaddr_un un;

	if (path[0] != '/')
		return err_set(e, -EINVAL,
			       "%s %s is not an absolute path; QEMU may run in another folder", of,
			       path);
	if (strlen(path) >= sizeof(un.sun_path))
		return err_set(e, -EINVAL, "%s has %zu bytes; a socket's path has at most %zu", of,
			       strlen(path), sizeof(un.sun_path) - 1);
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_set(e, -EINVAL, "%s has a control character", of);
	if (!text_is_utf8(path))
		return err_set(e, -EINVAL,
			       "%s is not UTF-8, which QEMU's and libvirt's options are", of);
	return 0;
}

int guest_check(const struct guest *g, struct err *e)
{
	int rc = check_path(g->socket, "--socket", e);

	if (!rc && g->qmp)
		rc = check_path(g->qmp, "--qmp", e);
	if (rc)
		return rc;
	if (g->memory % MIB)
		return err_set(e, -EINVAL,
			       "--memory %" PRIu64
			       " is not a whole number of MiB, as a guest's memory is",
			       g->memory);
	return 0;
}

static void add(struct guest_words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct guest_words *w, const char *fmt, ...)
{
	va_list ap;

	assert(w->n < GUEST_WORDS_MAX);
	va_start(ap, fmt);
	vsnprintf(w->v[w->n++], sizeof(w->v[0]), fmt, ap);
	va_end(ap);
}

/* On one line, in the order of the keys as they were set. */
static void add_json(struct guest_words *w, json_t *o)
{
	own_free char *line = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);

	assert(line && strlen(line) < sizeof(w->v[0]));
	add(w, "%s", line ? line : "");
	json_decref(o);
}

/*
 * A port of its own: a card behind one can be unplugged from a running guest, and shows its PCI Express capability.
 * Ports differ by chassis and slot; the address makes them unlike those of others, and chassis 200 unlike libvirt's.
 */
static void add_port(const struct guest *g, const char *id, struct guest_words *w)
{
	unsigned domain = 0, bus = 0, device = 0, function = 0;
	json_t *o = json_object();

	sscanf(g->pci, "%x:%x:%x.%x", &domain, &bus, &device, &function);
	json_put_text(o, "driver", "pcie-root-port");
	json_put_text(o, "id", id);
	json_put_int(o, "chassis", 200 + function);
	json_put_int(o, "slot", (int64_t)((bus << 5 | device) & 0x1fff));
	add(w, "-device");
	add_json(w, o);
}

static void add_device(const struct guest *g, const char *id, const char *port,
		       struct guest_words *w)
{
	json_t *o = json_object(), *at = json_object();

	json_put_text(at, "type", "unix");
	json_put_text(at, "path", g->socket);
	json_put_text(o, "driver", "vfio-user-pci");
	json_put_text(o, "id", id);
	json_put_text(o, "bus", port);
	json_object_set_new(o, "socket", at);
	json_put_int(o, "x-msg-timeout", MSG_TIMEOUT_MS);
	add(w, "-device");
	add_json(w, o);
}

/* "berth-0000-01-00.0": a colon would be no part of a name. */
static void name_of(const struct guest *g, const char *head, char *id, size_t size)
{
	snprintf(id, size, "%s-%s", head, g->pci);
	for (char *c = id; *c; c++)
		if (*c == ':')
			*c = '-';
}

static void add_devices(const struct guest *g, struct guest_words *w)
{
	char id[64], port[64];

	name_of(g, "berth", id, sizeof(id));
	name_of(g, "berth-port", port, sizeof(port));
	add_port(g, port, w);
	add_device(g, id, port, w);
}

/* One more monitor: what a person or libvirt has stays theirs. A comma in a value is doubled. */
static void add_monitor(const struct guest *g, struct guest_words *w)
{
	char path[256];
	size_t n = 0;

	for (const char *c = g->qmp; *c && n + 2 < sizeof(path); c++) {
		path[n++] = *c;
		if (*c == ',')
			path[n++] = ',';
	}
	path[n] = '\0';
	add(w, "-qmp");
	add(w, "unix:%s,server=on,wait=off", path);
}

void guest_qemu(const struct guest *g, struct guest_words *w)
{
	w->n = 0;
	if (g->memory) {
		add(w, "-m");
		add(w, "%" PRIu64 "M", g->memory / MIB);
		/* The bridge maps the guest's memory by its descriptor, so it has to have one, and to be shared. */
		add(w, "-object");
		add(w, "memory-backend-memfd,id=berth-memory,size=%" PRIu64 "M,share=on",
		    g->memory / MIB);
		add(w, "-machine");
		add(w, "q35,memory-backend=berth-memory");
	}
	add_devices(g, w);
	if (g->qmp)
		add_monitor(g, w);
}

static bool is_plain(const char *word)
{
	return word[0] &&
	       strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "-_=,./:+@%") == strlen(word);
}

int guest_print(const struct guest_words *w, FILE *to)
{
	for (uint32_t i = 0; i < w->n; i++) {
		if (i)
			fputc(' ', to);
		if (is_plain(w->v[i])) {
			fputs(w->v[i], to);
			continue;
		}
		fputc('\'', to);
		for (const char *c = w->v[i]; *c; c++)
			*c == '\'' ? fputs("'\\''", to) : fputc(*c, to);
		fputc('\'', to);
	}
	fputc('\n', to);
	return ferror(to) ? -EIO : 0;
}

/* --- libvirt --- */

static void put_xml(const char *s, FILE *to)
{
	static const struct {
		char c;
		const char *as;
	} names[] = {
		{ '&', "&amp;" },
		{ '<', "&lt;" },
		{ '>', "&gt;" },
		{ '\'', "&apos;" },
	};

	for (; *s; s++) {
		const char *as = NULL;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (*s == names[i].c)
				as = names[i].as;
		as ? fputs(as, to) : fputc(*s, to);
	}
}

/*
 * libvirt (12.8) has no element for vfio-user: its schemas know vhost-user alone. So QEMU's own arguments go in through
 * <qemu:commandline>, and the shared memory through the element that vhost-user needs, too.
 */
int guest_libvirt(const struct guest *g, FILE *to)
{
	struct guest_words *w = calloc(1, sizeof(*w));
	char id[64];

	if (!w)
		return -ENOMEM;
	add_devices(g, w);
	name_of(g, "berth", id, sizeof(id));
	/* no name has two hyphens in a row, which would end the remark */
	fprintf(to,
		"<!-- To give it to another domain, by `virsh edit`: take over <memoryBacking>, <qemu:commandline>, and the\n"
		"     xmlns:qemu of <domain>. To unplug it: virsh qemu-monitor-command DOMAIN\n"
		"     '{\"execute\":\"device_del\",\"arguments\":{\"id\":\"%s\"}}'",
		id);
	fputs(" -->\n<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n",
	      to);
	fprintf(to, "  <name>%s</name>\n", id);
	fprintf(to, "  <memory unit='MiB'>%" PRIu64 "</memory>\n", g->memory / MIB);
	fputs("  <memoryBacking>\n    <source type='memfd'/>\n    <access mode='shared'/>\n  </memoryBacking>\n"
	      "  <vcpu>2</vcpu>\n"
	      "  <os>\n    <type arch='x86_64' machine='q35'>hvm</type>\n  </os>\n"
	      "  <features>\n    <acpi/>\n    <apic/>\n  </features>\n"
	      "  <cpu mode='host-passthrough'/>\n"
	      "  <devices>\n    <console type='pty'/>\n  </devices>\n"
	      "  <qemu:commandline>\n",
	      to);
	for (uint32_t i = 0; i < w->n; i++) {
		fputs("    <qemu:arg value='", to);
		put_xml(w->v[i], to);
		fputs("'/>\n", to);
	}
	fputs("  </qemu:commandline>\n</domain>\n", to);
	free(w);
	return ferror(to) ? -EIO : 0;
}
