/* SPDX-License-Identifier: MIT */
/* berth bridge status: the telemetry pages of bridges, for people and for programs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bar-forward/status.h"
#include "base/json.h"
#include "base/telem.h"
#include "base/text.h"

/* --- words --- */

static const char *state_of(const struct telem_page *p, enum telem_life life)
{
	static const char *const names[TELEM_BRIDGE_STATE_COUNT] = {
		[TELEM_BRIDGE_STARTING] = "starting", [TELEM_BRIDGE_WAITING] = "waiting",
		[TELEM_BRIDGE_RUNNING] = "running",   [TELEM_BRIDGE_RESTARTING] = "restarting",
		[TELEM_BRIDGE_LOST] = "LOST",         [TELEM_BRIDGE_STOPPED] = "stopped",
		[TELEM_BRIDGE_FAILED] = "FAILED",
	};
	uint32_t state = p->bridge.state;
	bool ended = state == TELEM_BRIDGE_STOPPED || state >= TELEM_BRIDGE_FAILED;

	if (!ended && life != TELEM_ALIVE)
		return life == TELEM_DEAD ? "DEAD" : "STALLED";
	return names[state < TELEM_BRIDGE_STATE_COUNT ? state : TELEM_BRIDGE_FAILED];
}

/* A member of the counts, or of a region, by its key. */
struct row {
	const char *key;
	size_t offset;
};

#define COUNTED(key_, member)                                                                      \
	{                                                                                          \
		key_, offsetof(struct telem_bridge_counts, member)                                 \
	}

static const struct row counts[] = {
	COUNTED("errors", errors),
	COUNTED("refused_messages", refused),
	COUNTED("retries", retries),
	COUNTED("worker_restarts", worker_restarts),
	COUNTED("restart_gap_ns", restart_gap_ns),
	COUNTED("clients", clients),
	COUNTED("dma_maps", dma_maps),
	COUNTED("dma_bytes", dma_bytes),
	COUNTED("dma_refused", dma_refused),
	COUNTED("interrupts", interrupts),
	COUNTED("recorder_bytes", recorder_bytes),
	COUNTED("recorder_drops", recorder_drops),
	COUNTED("latency_ns_max", latency_max_ns),
};

/* The first are summed up over all regions, too. */
enum { SUMMED = 6 };
static const struct row of_region[] = {
	{ "reads", offsetof(struct telem_region, reads) },
	{ "writes", offsetof(struct telem_region, writes) },
	{ "posted", offsetof(struct telem_region, posted) },
	{ "denied", offsetof(struct telem_region, denied) },
	{ "logged", offsetof(struct telem_region, logged) },
	{ "mapped_bytes", offsetof(struct telem_region, mapped_bytes) },
	{ "size_bytes", offsetof(struct telem_region, size_bytes) },
};

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

static uint64_t member(const void *of, size_t offset)
{
	uint64_t n;

	memcpy(&n, (const char *)of + offset, sizeof(n));
	return n;
}

static uint64_t sum(const struct telem_bridge *b, size_t offset)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < TELEM_REGIONS; i++)
		if (__builtin_add_overflow(all, member(&b->regions[i], offset), &all))
			return UINT64_MAX - 1;
	return all;
}

/* --- for programs --- */

static void put_count(json_t *o, const char *key, uint64_t n)
{
	if (n == TELEM_UNKNOWN)
		json_put_null(o, key);
	else
		json_put_int(o, key, n > INT64_MAX ? INT64_MAX : (int64_t)n);
}

static void put_pid(json_t *o, const char *key, int32_t pid)
{
	if (pid > 0)
		json_put_int(o, key, pid);
	else
		json_put_null(o, key);
}

static json_t *regions_json(const struct telem_bridge *b)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < TELEM_REGIONS; i++) {
		json_t *o = json_object();

		json_put_text(o, "name", telem_region_name(i));
		for (size_t k = 0; k < N_OF(of_region); k++)
			put_count(o, of_region[k].key, member(&b->regions[i], of_region[k].offset));
		if (b->regions[i].size_bytes)
			json_array_append(list, o);
		json_decref(o);
	}
	return list;
}

static void put_latency(json_t *o, const struct telem_bridge *b)
{
	static const struct {
		const char *key;
		double share;
	} shares[] = { { "latency_ns_p50", 0.5 }, { "latency_ns_p99", 0.99 } };
	json_t *list = json_array();

	for (size_t i = 0; i < N_OF(shares); i++) {
		double ns = telem_percentile(b->latency, shares[i].share);

		json_object_set_new(o, shares[i].key, ns < 0 ? json_null() : json_real(ns));
	}
	for (uint32_t i = 0; i < TELEM_LATENCY; i++)
		json_array_append_new(list, json_integer(b->latency[i] > INT64_MAX
								 ? INT64_MAX
								 : (int64_t)b->latency[i]));
	json_object_set_new(o, "latency_log2_ns", list);
}

static json_t *bridge_json(const char *path, const struct telem_page *p, enum telem_life life)
{
	const struct telem_bridge *b = &p->bridge;
	const char *slash = strrchr(path, '/');
	json_t *o = json_object();

	json_put_text(o, "page", slash ? slash + 1 : path);
	json_put_text(o, "pci", b->pci);
	json_put_text(o, "guest", b->guest);
	json_put_text(o, "socket", b->socket);
	json_put_text(o, "backend", b->backend);
	json_put_text(o, "mode", b->mode ? telem_mode_name(b->mode) : "unknown");
	json_put_text(o, "state", state_of(p, life));
	json_put_text(o, "trouble", b->trouble);
	json_put_bool(o, "writer_alive", life != TELEM_DEAD);
	put_pid(o, "pid", p->header.writer_pid);
	put_pid(o, "worker_pid", b->worker_pid);
	put_pid(o, "client_pid", b->client_pid);
	json_put_int(o, "generation", b->generation);
	for (size_t i = 0; i < SUMMED; i++)
		put_count(o, of_region[i].key, sum(b, of_region[i].offset));
	for (size_t i = 0; i < N_OF(counts); i++)
		put_count(o, counts[i].key, member(&b->counts, counts[i].offset));
	put_latency(o, b);
	json_object_set_new(o, "regions", regions_json(b));
	return o;
}

/* --- for people --- */

static void show_mapped(const struct telem_bridge *b)
{
	const char *between = "  mapped      ";
	char size[TEXT_SIZE_MAX];

	for (uint32_t i = 0; i < TELEM_REGIONS; i++) {
		if (!b->regions[i].mapped_bytes)
			continue;
		printf("%s%s of %s", between, text_size(size, b->regions[i].mapped_bytes),
		       telem_region_name(i));
		between = ", ";
	}
	if (between[0] == ',')
		printf("; what is done there is not counted\n");
}

static void show(const struct telem_page *p, enum telem_life life)
{
	const struct telem_bridge *b = &p->bridge;
	double ns = telem_percentile(b->latency, 0.5);
	char size[TEXT_SIZE_MAX];

	printf("%s  %s", b->socket, state_of(p, life));
	if (b->client_pid > 0)
		printf(", process %" PRId32 " is the client", b->client_pid);
	printf("\n  device      %s%sgeneration %" PRIu32 " (%s, pid %" PRId32 ")\n", b->pci,
	       b->pci[0] ? ", " : "", b->generation, b->backend, p->header.writer_pid);
	if (b->guest[0])
		printf("  guest       %s\n", b->guest);
	printf("  accesses    %" PRIu64 " reads, %" PRIu64 " writes (%" PRIu64 " posted), %" PRIu64
	       " denied, %" PRIu64 " logged",
	       sum(b, of_region[0].offset), sum(b, of_region[1].offset),
	       sum(b, of_region[2].offset), sum(b, of_region[3].offset),
	       sum(b, of_region[4].offset));
	if (ns >= 0)
		printf("; half of them below %.1f us", ns / 1000);
	printf("\n");
	show_mapped(b);
	printf("  memory      %" PRIu64 " maps, %s of the guest's\n", b->counts.dma_maps,
	       text_size(size, b->counts.dma_bytes));
	if (b->counts.errors || b->counts.refused || b->counts.dma_refused)
		printf("  went wrong  %" PRIu64 " accesses, %" PRIu64 " messages, %" PRIu64
		       " maps\n",
		       b->counts.errors, b->counts.refused, b->counts.dma_refused);
	if (b->trouble[0])
		printf("  trouble     %s\n", b->trouble);
}

/* A page that cannot be read is told of, and passed over. */
static bool read_page(const char *path, struct telem_page *p, enum telem_life *life,
		      const struct log *log)
{
	struct err e = { 0 };
	int rc = telem_read(path, p, life, &e);

	if (rc && rc != -ENOENT)
		log_note(log, "%s", e.text);
	return rc == 0 && p->header.kind == TELEM_BRIDGE;
}

int status_verb(const struct ask *a, struct err *e)
{
	json_t *answer = json_answer("berth.bridge/1"), *list = json_array();
	struct telem_page page;
	enum telem_life life;
	char **paths = NULL;
	int n = telem_list(&paths), shown = 0;
	int rc = n < 0 ? err_set(e, n, "cannot list the telemetry pages: %s", strerror(-n)) : 0;

	for (char **p = paths; !rc && p && *p; p++) {
		if (!read_page(*p, &page, &life, a->log))
			continue;
		if (a->o->json)
			json_array_append_new(list, bridge_json(*p, &page, life));
		else
			show(&page, life);
		shown++;
	}
	telem_list_free(paths);
	json_object_set_new(answer, "bridges", list);
	if (!rc && a->o->json)
		rc = json_print(answer, stdout) ? err_set(e, -EACCES, "cannot write the answer")
						: 0;
	else if (!rc && shown == 0)
		log_note(a->log, "no bridge runs");
	json_decref(answer);
	return rc;
}
