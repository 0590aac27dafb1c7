/* SPDX-License-Identifier: MIT */
/* A bridge for programs, part of "berth.top/1". */
#include "tui/json_priv.h"

static void put_pid(json_t *o, const char *key, int32_t pid)
{
	if (pid > 0)
		json_put_int(o, key, pid);
	else
		json_put_null(o, key);
}

static json_t *region_json(uint32_t index, const struct telem_region *r)
{
	json_t *o = json_object();

	json_put_text(o, "name", telem_region_name(index));
	top_put_count(o, "size_bytes", r->size_bytes);
	top_put_count(o, "mapped_bytes", r->mapped_bytes);
	top_put_count(o, "reads", r->reads);
	top_put_count(o, "writes", r->writes);
	top_put_count(o, "posted", r->posted);
	top_put_count(o, "denied", r->denied);
	top_put_count(o, "logged", r->logged);
	return o;
}

static json_t *regions_json(const struct telem_bridge *b)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < TELEM_REGIONS; i++)
		if (b->regions[i].size_bytes)
			top_append(list, region_json(i, &b->regions[i]));
	return list;
}

static json_t *latency_json(const struct telem_bridge *b)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < TELEM_LATENCY; i++)
		top_append(list, json_integer(b->latency[i] > INT64_MAX ? INT64_MAX
									: (int64_t)b->latency[i]));
	return list;
}

static void put_percentile(json_t *o, const char *key, const struct telem_bridge *b, double share)
{
	double ns = judge_latency(b, share);

	top_put(o, key, ns < 0 ? json_null() : json_real(ns));
}

static void put_counts(json_t *o, const struct telem_bridge *b)
{
	const struct telem_bridge_counts *c = &b->counts;
	const struct traffic t = judge_traffic(b);

	top_put_count(o, "reads", t.reads);
	top_put_count(o, "writes", t.writes);
	top_put_count(o, "posted", t.posted);
	top_put_count(o, "denied", t.denied);
	top_put_count(o, "logged", t.logged);
	top_put_count(o, "mapped_bytes", t.mapped_bytes);
	top_put_count(o, "errors", c->errors);
	top_put_count(o, "refused_messages", c->refused);
	top_put_count(o, "retries", c->retries);
	top_put_count(o, "worker_restarts", c->worker_restarts);
	top_put_count(o, "restart_gap_ns", c->restart_gap_ns);
	top_put_count(o, "clients", c->clients);
	top_put_count(o, "dma_maps", c->dma_maps);
	top_put_count(o, "dma_bytes", c->dma_bytes);
	top_put_count(o, "dma_refused", c->dma_refused);
	top_put_count(o, "interrupts", c->interrupts);
	top_put_count(o, "recorder_bytes", c->recorder_bytes);
	top_put_count(o, "recorder_drops", c->recorder_drops);
}

json_t *bridge_json(const struct bridge_seen *seen)
{
	const struct telem_bridge *b = &seen->page;
	json_t *o = json_object();

	json_put_text(o, "page", seen->file);
	json_put_text(o, "pci", b->pci);
	json_put_text(o, "guest", b->guest);
	json_put_text(o, "socket", b->socket);
	json_put_text(o, "backend", b->backend);
	json_put_text(o, "mode", b->mode ? telem_mode_name(b->mode) : "unknown");
	json_put_text(o, "state", bridge_state_name(judge_bridge(seen)));
	json_put_text(o, "trouble", b->trouble);
	json_put_bool(o, "writer_alive", seen->life != TELEM_DEAD);
	put_pid(o, "pid", seen->pid);
	put_pid(o, "worker_pid", b->worker_pid);
	put_pid(o, "client_pid", b->client_pid);
	json_put_int(o, "generation", b->generation);
	put_counts(o, b);
	put_percentile(o, "latency_ns_p50", b, 0.5);
	put_percentile(o, "latency_ns_p99", b, 0.99);
	top_put_count(o, "latency_ns_max", b->counts.latency_max_ns);
	top_put(o, "latency_log2_ns", latency_json(b));
	top_put(o, "regions", regions_json(b));
	return o;
}
