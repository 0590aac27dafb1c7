/* SPDX-License-Identifier: MIT */
/*
 * The topology of ROCm's kernel interface, /sys/class/kfd/kfd/topology/nodes/N: which node is which PCI
 * function, what compute libraries call the chip, and the memory they are offered. Source: Linux
 * drivers/gpu/drm/amd/amdkfd/kfd_topology.c and kfd_crat.h, 6.1 to 7.2.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "probe/kfd_priv.h"
#include "probe/lines_priv.h"
#include "probe/section.h"

#define NODES     "sys/class/kfd/kfd/topology/nodes"
#define NODES_MAX 256
#define PARTS_MAX 256 /* banks or links of one node; more is no honest folder */

/* Never unique_id and hive_id: they are serial numbers of a chip and of a group of cards. */
static const char *const node_keys[] = {
	"simd_count", "mem_banks_count",  "io_links_count", "gfx_target_version",
	"domain",     "drm_render_minor", "location_id",    NULL,
};
static const char *const bank_keys[] = { "heap_type", "size_in_bytes", NULL };
static const char *const link_keys[] = { "type", "node_to", "max_bandwidth", NULL };

/* HSA_MEM_HEAP_TYPE_FB_PUBLIC and _PRIVATE: what the CPU reaches of the GPU's memory, and the rest. */
enum { HEAP_FB_PUBLIC = 1, HEAP_FB_PRIVATE = 2 };
enum { LINK_XGMI = 11 }; /* CRAT_IOLINK_TYPE_XGMI */

bool kfd_value(const char *text, const char *key, uint64_t *v)
{
	size_t len = strlen(key);

	for (const char *l = text; *l; l += strcspn(l, "\n"), l += *l == '\n') {
		char number[32];

		if (strncmp(l, key, len) != 0 || l[len] != ' ')
			continue;
		size_t n = strcspn(l + len + 1, "\n");

		if (n >= sizeof(number))
			return false;
		memcpy(number, l + len + 1, n);
		number[n] = '\0';
		return text_parse_u64(number, v) == 0;
	}
	return false;
}

static uint64_t value_or(const char *text, const char *key, uint64_t otherwise)
{
	uint64_t v;

	return kfd_value(text, key, &v) ? v : otherwise;
}

bool kfd_node_parse(const char *text, struct kfd_node *n)
{
	uint64_t domain = value_or(text, "domain", 0), location, arch;

	*n = (struct kfd_node) { .simds = value_or(text, "simd_count", 0),
				 .banks = value_or(text, "mem_banks_count", 0),
				 .links = value_or(text, "io_links_count", 0) };
	/* A node of CPUs has neither; its location is 0, which would be a PCI address. */
	if (!n->simds || !kfd_value(text, "location_id", &location) || domain > UINT32_MAX)
		return false;
	/* Bus, device and function; of a partitioned card the upper bits number the partition. */
	snprintf(n->pci, sizeof(n->pci), "%04" PRIx32 ":%02x:%02x.%x", (uint32_t)domain,
		 (unsigned)(location >> 8 & 0xff), (unsigned)(location >> 3 & 0x1f),
		 (unsigned)(location & 7));
	if (kfd_value(text, "gfx_target_version", &arch))
		kfd_arch(arch, n->arch);
	n->simds = n->simds > INT32_MAX ? 0 : n->simds;
	return true;
}

/* 90010 is version 9.0.10, written gfx90a: the last two are hexadecimal digits. */
void kfd_arch(uint64_t version, char arch[16])
{
	uint64_t major = version / 10000, minor = version / 100 % 100, step = version % 100;

	arch[0] = '\0';
	if (major && major <= 99 && minor <= 15 && step <= 15)
		snprintf(arch, 16, "gfx%u%x%x", (unsigned)major, (unsigned)minor, (unsigned)step);
}

uint64_t kfd_bank_bytes(const char *text)
{
	uint64_t heap, bytes;

	if (!kfd_value(text, "heap_type", &heap) || !kfd_value(text, "size_in_bytes", &bytes))
		return 0;
	return (heap == HEAP_FB_PUBLIC || heap == HEAP_FB_PRIVATE) && bytes <= INT64_MAX ? bytes
											 : 0;
}

/* --- reading ------------------------------------------------------------------------------------------- */

struct numbered {
	uint32_t number;
	struct kfd_node node;
};

struct topology {
	const struct source *s;
	uint32_t n;
	struct numbered gpus[NODES_MAX];
};

static bool is_gpu_node(const struct topology *t, uint64_t number)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->gpus[i].number == number)
			return true;
	return false;
}

/* The memory of one node, in all its banks; 0: none was told. */
static uint64_t read_banks(const struct source *s, uint32_t number, uint64_t count)
{
	char path[PATH_SIZE], text[512];
	uint64_t sum = 0;

	for (unsigned i = 0; i < count && i < PARTS_MAX; i++) {
		snprintf(path, sizeof(path), NODES "/%u/mem_banks/%u/properties", number, i);
		/* Part of the memory is not its size. */
		if (src_read_lines(s, path, bank_keys, text, sizeof(text)) < 0)
			return 0;
		if (__builtin_add_overflow(sum, kfd_bank_bytes(text), &sum) || sum > INT64_MAX)
			return 0;
	}
	return sum;
}

static void read_links(const struct topology *t, uint32_t number, uint64_t count, struct kfd *k)
{
	char path[PATH_SIZE], text[512];
	uint64_t type, to, speed;

	for (unsigned i = 0; i < count && i < PARTS_MAX; i++) {
		snprintf(path, sizeof(path), NODES "/%u/io_links/%u/properties", number, i);
		if (src_read_lines(t->s, path, link_keys, text, sizeof(text)) < 0)
			break;
		/* An APU of a server (MI300A) has such links to CPUs too. */
		if (!kfd_value(text, "type", &type) || type != LINK_XGMI ||
		    !kfd_value(text, "node_to", &to) || !is_gpu_node(t, to))
			continue;
		k->xgmi_links.v++;
		if (!kfd_value(text, "max_bandwidth", &speed) || !speed || speed > INT32_MAX)
			continue;
		if (!fact_known(&k->xgmi_mb_per_s) || (int64_t)speed < k->xgmi_mb_per_s.v)
			k->xgmi_mb_per_s = fact_of((int64_t)speed, SRC_SYSFS);
	}
}

static void add_bytes(struct kfd *k, uint64_t bytes)
{
	bool first = k->n_nodes == 0;

	/* One node that does not tell makes the sum unknown. */
	if (!bytes || (!first && !fact_known(&k->bytes))) {
		k->bytes = k->node_bytes = fact_unknown(WHY_NOT_EXPORTED);
	} else if (first) {
		k->bytes = k->node_bytes = fact_of((int64_t)bytes, SRC_SYSFS);
	} else if (__builtin_add_overflow(k->bytes.v, (int64_t)bytes, &k->bytes.v)) {
		k->bytes = k->node_bytes = fact_unknown(WHY_GARBLED);
	} else if ((int64_t)bytes < k->node_bytes.v) {
		k->node_bytes.v = (int64_t)bytes;
	}
}

static void add_node(const struct topology *t, uint32_t i, struct gpu *g)
{
	const struct kfd_node *n = &t->gpus[i].node;
	struct kfd *k = &g->kfd;

	if (!k->n_nodes) {
		g->kfd_node = fact_of(t->gpus[i].number, SRC_SYSFS);
		k->simds = fact_of(0, SRC_SYSFS);
		k->xgmi_links = fact_of(0, SRC_SYSFS);
		k->xgmi_mb_per_s = fact_unknown(WHY_NOT_APPLICABLE);
		if (n->arch[0])
			g->arch = fact_text_of(n->arch, SRC_SYSFS);
	}
	k->simds.v += (int64_t)n->simds;
	add_bytes(k, read_banks(t->s, t->gpus[i].number, n->banks));
	read_links(t, t->gpus[i].number, n->links, k);
	k->n_nodes++;
}

static int by_number(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* The nodes of GPUs, in the order of their numbers. */
static void list_nodes(struct topology *t)
{
	own_free char **names = NULL;
	char path[PATH_SIZE], text[1024];
	int n = machine_list(t->s->m, NODES, &names);
	uint64_t number;

	for (int i = 0; i < n && t->n < NODES_MAX; i++) {
		if (text_parse_u64(names[i], &number) || number > INT32_MAX ||
		    (size_t)snprintf(path, sizeof(path), NODES "/%s/properties", names[i]) >=
			    sizeof(path) ||
		    src_read_lines(t->s, path, node_keys, text, sizeof(text)) < 0 ||
		    !kfd_node_parse(text, &t->gpus[t->n].node))
			continue;
		t->gpus[t->n++].number = (uint32_t)number;
	}
	qsort(t->gpus, t->n, sizeof(t->gpus[0]), by_number);
}

static void unknown(struct gpu *g)
{
	enum why why = fact_text_known(&g->driver) ? WHY_NOT_EXPORTED : g->driver.why;

	g->kfd_node = g->kfd.simds = g->kfd.bytes = g->kfd.node_bytes = fact_unknown(why);
	g->kfd.xgmi_links = g->kfd.xgmi_mb_per_s = fact_unknown(why);
}

static void read_report(const struct source *s, struct report *r)
{
	own_free struct topology *t = calloc(1, sizeof(*t));

	for (uint32_t i = 0; i < r->n_gpus; i++)
		unknown(&r->gpus[i]);
	if (!t)
		return;
	t->s = s;
	list_nodes(t);
	for (uint32_t i = 0; i < t->n; i++)
		for (uint32_t j = 0; j < r->n_gpus; j++)
			if (strcmp(r->gpus[j].pci, t->gpus[i].node.pci) == 0)
				add_node(t, i, &r->gpus[j]);
}

/* --- showing ------------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct field rows[] = {
	FIELD(struct kfd, simds, FIELD_FACT, UNIT_NONE, "SIMDs"),
	FIELD(struct kfd, bytes, FIELD_FACT, UNIT_BYTES, "memory"),
	FIELD(struct kfd, node_bytes, FIELD_FACT, UNIT_BYTES, "of a node"),
	FIELD(struct kfd, xgmi_links, FIELD_FACT, UNIT_NONE, "xGMI links"),
	FIELD(struct kfd, xgmi_mb_per_s, FIELD_FACT, UNIT_NONE, "MB/s"),
};
/* clang-format on */

static void json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	json_t *o = g->kfd.n_nodes ? json_object() : json_null();

	(void)r;
	if (g->kfd.n_nodes) {
		json_put_int(o, "nodes", g->kfd.n_nodes);
		fields_to_json(o, rows, ARRAY_LEN(rows), &g->kfd);
	}
	json_object_set_new(gpu, "kfd", o);
}

static void text(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	const struct kfd *k = &g->kfd;
	struct line l;

	(void)r;
	(void)verbose;
	if (!k->n_nodes)
		return;
	line_init(&l);
	line_part(&l, "%s", fact_text_known(&g->arch) ? g->arch.v : "unknown architecture");
	line_part(&l, "KFD node %lld", (long long)g->kfd_node.v);
	if (k->n_nodes > 1)
		line_part(&l, "the first of its %u partitions", k->n_nodes);
	line_part(&l, "%lld SIMDs", (long long)k->simds.v);
	if (k->xgmi_links.v)
		line_part(&l, "%lld xGMI link%s to other GPUs", (long long)k->xgmi_links.v,
			  k->xgmi_links.v == 1 ? "" : "s");
	if (fact_known(&k->xgmi_mb_per_s))
		text_add(&l.t, " at %lld.%lld GB/s", (long long)k->xgmi_mb_per_s.v / 1000,
			 (long long)k->xgmi_mb_per_s.v / 100 % 10);
	line_print(to, "ROCm", l.buf);
}

const struct section section_kfd = {
	.name = "kfd",
	.json = json,
	.text = text,
	.read_report = read_report,
};
