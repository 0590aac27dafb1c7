/* SPDX-License-Identifier: MIT */
/*
 * Inside probe/: where files are read from, what each library answered, and how the answers become
 * one report. collect.c alone knows the order.
 */
#ifndef BERTH_PROBE_PRIV_H
#define BERTH_PROBE_PRIV_H

#include "base/cpulist.h"
#include "base/field.h"
#include "probe/nvml_priv.h"
#include "probe/probe.h"

#define PATH_SIZE    512 /* of paths below a machine's root */
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* --- pure parsers (parse.c): any bytes in, values out ------------------------------------- */

/* One line of power/runtime_status. */
enum awake parse_runtime_status(const char *text);

/* MemTotal and MemAvailable of /proc/meminfo, bytes. */
void parse_meminfo(const char *text, struct fact *total, struct fact *available);

/* What hwloc tells better: the model's name, logical CPUs, cores and packages of /proc/cpuinfo. */
void parse_cpuinfo(const char *text, struct cpu *c);

/* amdgpu's pp_dpm_sclk and its like: the level in force and the highest one, MHz. */
void parse_clock_levels(const char *text, struct fact *now, struct fact *max);

/*
 * Keep the lines whose key (before a colon, or in a line without one before a blank) is in keys[] (ends
 * with NULL). In place: what a capture stores of files that also hold serial numbers.
 */
void keep_lines(char *text, const char *const *keys);

/* --- a source of files (source.c), and its recorder (capture.c) ------------------------------------ */

struct record;

struct source {
	const struct machine *m;
	struct record *rec; /* NULL: nothing is captured */
	json_t *errors; /* a captured machine's answers/errors.json: path -> name of the errno; or NULL */
};

/* As machine_read and its sisters; every answer is recorded when there is a recorder. */
long src_read(const struct source *s, const char *path, char *buf, size_t size);
/* As machine_read_bytes. */
long src_read_bytes(const struct source *s, const char *path, void *buf, size_t size);
int src_read_u64(const struct source *s, const char *path, uint64_t *v);
int src_read_i64(const struct source *s, const char *path, int64_t *v);
int src_link(const struct source *s, const char *path, char *buf, size_t size);
int src_link_name(const struct source *s, const char *path, char *buf, size_t size);
bool src_exists(const struct source *s, const char *path); /* a folder */
/* A file that is not read, as that would wake its device. A capture remembers that it is there: EAGAIN. */
bool src_there(const struct source *s, const char *dir, const char *name);

/*
 * As src_read, but only the lines with these keys (keep_lines): what else the file holds, as serial
 * numbers, is neither returned nor recorded.
 */
long src_read_lines(const struct source *s, const char *path, const char *const *keys, char *buf,
		    size_t size);

/*
 * The real folder that a link of sysfs leads to ("sys/class/drm/card0" is "sys/devices/..."), by its
 * letters alone; the path itself when it is no link that can be followed. Recorded. 0, or what
 * machine_link() says of the link.
 */
int src_folder(const struct source *s, const char *path, char *dir, size_t size);

/* "dir/name" read into buf, which is empty on failure. -EFBIG when the path does not fit. */
long src_read_in(const struct source *s, const char *dir, const char *name, char *buf, size_t size);

/* An id or class, "0x10de"; 0, which is nobody's, when it cannot be read. */
uint32_t src_id(const struct source *s, const char *dir, const char *name);

/* A file of one number as a fact: unknown with the errno's reason; outside min..max is garbled. */
struct fact src_fact(const struct source *s, const char *dir, const char *name, int64_t min,
		     int64_t max, enum src src);
/* A file of one line as a fact; an empty one is not exported. */
struct fact_text src_fact_text(const struct source *s, const char *dir, const char *name,
			       enum src src);

/*
 * A whole file of at most max bytes, however long it is: *text is one allocation. The length or a
 * negative errno, as machine_read; nothing is recorded.
 */
long read_whole(const struct machine *m, const char *path, size_t max, char **text);

/* Why a fact is unknown after this errno of a read. */
enum why why_of(int rc);

/*
 * Begin to write a machine folder at `dir`, which must not exist or be empty. It appears complete, by
 * rename, in record_finish; record_drop (NULL is fine) removes what was written and frees.
 */
int record_begin(struct record **rec, const char *dir, struct err *e);
int record_finish(struct record **rec, struct err *e);
void record_drop(struct record *rec);

/* What was read. Failures are kept and reported by record_finish. */
void record_file(struct record *rec, const char *path, const char *text);
void record_bytes(struct record *rec, const char *path, const void *bytes, size_t n);
void record_link(struct record *rec, const char *path, const char *target);
void record_dir(struct record *rec, const char *path);
void record_error(struct record *rec, const char *path, int rc);
void record_answer(struct record *rec, const char *name, const json_t *o);

/* --- what each library said ----------------------------------------------------------------------- */

struct pci_fn {
	char pci[24];
	uint32_t vendor, device, subvendor, subdevice, class, revision;
	bool bars_known; /* reading them takes the config space: only of an awake device, and on demand */
	struct bar bars[PROBE_BARS];
	struct fact_text vendor_name, device_name;
	struct fact_text board; /* who made the card and, where pci.ids knows, what it is called */
};

/* `asked` false in each: nobody asked, or the captured folder holds no answer. */
struct pci_view {
	bool asked;
	bool listed; /* fns[] is every display function libpciaccess sees; else only names were asked */
	uint32_t n;
	struct pci_fn fns[PROBE_GPUS_MAX];
};

struct drm_fn {
	char pci[24];
	struct fact_text card, render;
};

struct drm_view {
	bool asked;
	bool no_nodes; /* no /dev/dri here, as in most containers */
	uint32_t n;
	struct drm_fn fns[PROBE_GPUS_MAX];
};

struct topo_fn {
	char pci[24];
	struct fact numa_node; /* whose CPUs cover the device's local ones */
};

struct topo_view {
	bool asked;
	struct cpu cpu; /* without RAM */
	uint32_t n;
	struct topo_fn fns[PROBE_GPUS_MAX];
};

struct run {
	const struct machine *m; /* while collecting */
	struct report scan;      /* the files' own view */
	struct report merged;    /* with what the libraries added */
	struct pci_view pci;
	struct drm_view drm;
	struct topo_view topo;
	struct nvml_view nvml;
	struct {
		int64_t scan, files, rest;
	} took_us; /* listing the bus; the subjects' files; libraries, drivers and deciding */
	uint32_t n_notes; /* answers of a captured machine that were ignored, for stderr */
	char notes[4][200];
};

/* --- the sources ----------------------------------------------------------------------------------- */

struct evidence;

struct want {
	bool wake;
	bool no_nvml;
	bool topology; /* load hwloc */
	bool no_procs; /* leave out other processes */
	bool check;    /* also list by libpciaccess, with the BARs of devices that are awake */
	struct record *rec;
	/*
	 * Also collect what doctor looks at; it points into the run, and is freed by evidence_free().
	 * A capture keeps it in any case.
	 */
	struct evidence **evidence;
	const char *log; /* a file with the kernel log, in place of the machine's; or NULL */
};

/* Read everything. *out is one allocation; free() it. */
int run_collect(const struct machine *m, const struct want *w, struct run **out, struct err *e);

void host_read(const struct source *s, struct report *r); /* names, kernel, RAM */
struct cpu_time;
bool host_parse_time(const char *text, struct cpu_time *t); /* of /proc/stat; false: garbled */
void host_cpuinfo(const struct source *s, struct cpu *c);   /* fills only what is unknown */
void host_nodes(const struct source *s, struct cpu *c);     /* the same: NUMA nodes with CPUs */

/* 0, or the negative errno of listing the bus; -ENOENT: there is no PCI bus. */
int sysfs_scan(const struct source *s, struct report *r);

/*
 * Whether a function fell asleep since the scan: others may have taken their time to answer. Asked right
 * before what would wake it.
 */
bool asleep_now(const struct machine *m, const char *pci);

/* A device is as awake as the sleepiest bridge above it; dir is its real folder. */
enum awake sysfs_awake(const struct source *s, const char *dir);

/* As presence_of(), with its folder ("": none) and how awake it was found, from the same reads. */
enum presence presence_look(const struct machine *m, const char *pci, char dir[PATH_SIZE],
			    enum awake *awake);

/* The folder of a function, "sys/devices/pci0000:00/0000:00:02.0". 0, or as src_folder(). */
int sysfs_dir(const struct source *s, const char *pci, char *dir, size_t size);

/* Memory (never wakes) and sensors (only when awake, or with wake). */
void hwmon_read(const struct source *s, struct gpu *g, bool wake);

/* The hwmonN folder of the function in `dir`; false when its driver has none. */
bool hwmon_dir(const struct source *s, const char *dir, char *out, size_t size);

struct sensor_dir {
	const struct source *s;
	const char *dir; /* where the files are */
	bool amdgpu;     /* its -EPERM means asleep, not forbidden */
};

/* A file of one number that cannot be negative, times mul / div; both at least 1. */
struct fact sensor_read(const struct sensor_dir *d, const char *name, int64_t mul, int64_t div,
			enum src src);

/* libpciaccess. Names only, from pci.ids, for the gpus of r. */
void pci_ask_names(const struct report *r, struct pci_view *v);
/* Also its own list, with the BARs of devices that are awake, or with wake. */
void pci_ask_list(const struct machine *m, const struct report *r, bool wake, struct pci_view *v);

void drm_ask(struct drm_view *v);                           /* libdrm */
void topo_ask(const struct report *r, struct topo_view *v); /* hwloc */

/* --- answers/ of a captured machine ----------------------------------------------------------------- */

json_t *pci_view_to_json(const struct pci_view *v);
json_t *drm_view_to_json(const struct drm_view *v);
json_t *topo_view_to_json(const struct topo_view *v);
void pci_view_from_json(struct pci_view *v, const json_t *o);
void drm_view_from_json(struct drm_view *v, const json_t *o);
void topo_view_from_json(struct topo_view *v, const json_t *o);

/*
 * answers/NAME.json, which the caller drops. NULL when it is absent, or is no JSON object: then *e says
 * so, else it is untouched.
 */
json_t *answer_read(const struct machine *m, const char *name, struct err *e);

/* Sizes, counts and sensors below zero are garbage, which fields_from_json cannot know. */
void drop_negative(const struct field *rows, size_t n, void *obj);

/* Every fact of an object unknown for this reason. */
void rows_unknown(const struct field *rows, size_t n, void *obj, enum why why);

/* As fields_from_json, of a hostile object: an absent key was not asked, a number below zero is garbled. */
void rows_from_json(const json_t *o, const struct field *rows, size_t n, void *obj);

/* The same of what fields_to_json_changed() wrote: what has no key is as before. */
void rows_follow(const json_t *change, const struct field *rows, size_t n, void *obj);

/* Numbers above their limit are garbled. */
struct fact_limit {
	struct fact *f;
	int64_t max;
};
void facts_limit(const struct fact_limit *limits, size_t n);

/* More used than there is: wrong numbers are no numbers. */
void pair_check(struct fact *total, struct fact *used);

/* Total, used and free of one pool that contradict each other are garbled. */
void memory_check(struct fact *total, struct fact *used, struct fact *free_bytes);

/* --- merging, checking, printing --------------------------------------------------------------------- */

/* *to needs no initialisation beyond n_gpus entries: the rest is left as it is. */
void report_copy(struct report *to, const struct report *from);

/* Pure: scan and views in, run->merged out. */
void run_merge(struct run *run);

struct check {
	json_t *disagreements; /* arrays of texts */
	json_t *notes;
};

/* Pure: every disagreement between the scan and the libraries. The caller drops both arrays. */
void run_check(const struct run *run, struct check *c);

struct driver {
	const char *name;
	bool compute;
	bool nvml;            /* facts come from NVIDIA's library */
	bool vram_sysfs;      /* mem_info_* files */
	const char *busy;     /* file of the device's folder; NULL: none */
	const char *power[2]; /* hwmon files in microwatts, first that reads */
	const char *power_cap[3];
	const char *temp; /* hwmon file in thousandths of a degree */
	const char *note; /* what being bound to it means, when that is not plain; may be NULL */
};

/* The row of a driver, or NULL. */
const struct driver *driver_find(const char *name);
/* The row of a GPU's driver; NULL: none is bound, or it has no row. */
const struct driver *driver_of(const struct gpu *g);
/* Whether this driver is bound, with a row or without. */
bool gpu_has_driver(const struct gpu *g, const char *driver);
/* Whether NVIDIA's library knows it. */
bool gpu_has_nvml(const struct gpu *g);
/* Kernel modules that could drive a vendor's devices; ends with NULL. Never NULL itself. */
const char *const *driver_modules(uint32_t vendor);
/* "AMD"; NULL for a vendor without a row. */
const char *vendor_short(uint32_t vendor);

/* Rows of struct gpu, struct cpu and struct report: the text, the JSON and the answers use them. */
extern const struct field gpu_fields[];
extern const size_t n_gpu_fields;
extern const struct field cpu_fields[];
extern const size_t n_cpu_fields;
extern const size_t n_cpu_topo_fields; /* the first rows: without RAM */

/* One element of berth.probe/1's `gpus`. */
json_t *gpu_to_json(const struct report *r, const struct gpu *g);
json_t *bars_to_json(const struct bar bars[PROBE_BARS]);
void bars_from_json(struct bar bars[PROBE_BARS], const json_t *a);

const char *class_name(uint32_t class); /* "VGA", "3D", "display", "accelerator", "co-processor" */

#endif
