/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/telem.h"
#include "base/text.h"
#include "core/batch_priv.h"

/* --- from any thread --- */

static void ring(struct batch *b)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then the thread wakes anyway */
	if (write(b->wake_fd, &one, sizeof(one)) < 0)
		return;
}

int batch_submit(struct batch *b, struct request *r)
{
	int rc = 0;

	r->submitted_ns = telem_now_ns();
	pthread_mutex_lock(&b->lock);
	if (b->closed) {
		rc = -ESHUTDOWN;
	} else if (b->stats.queued >= b->o.queue_max) {
		rc = -EAGAIN;
	} else {
		r->next = NULL;
		*b->last = request_ref(r);
		b->last = &r->next;
		b->stats.queued++;
		b->stats.counts.requests++;
	}
	pthread_mutex_unlock(&b->lock);
	if (rc == 0)
		ring(b);
	return rc;
}

void batch_cancel(struct batch *b, struct request *r)
{
	request_cancel(r);
	ring(b);
}

void batch_stats(struct batch *b, struct batch_stats *s)
{
	pthread_mutex_lock(&b->lock);
	*s = b->stats;
	pthread_mutex_unlock(&b->lock);
}

const struct batch_model *batch_model(const struct batch *b)
{
	return &b->model;
}

/* --- the engine's thread --- */

/* Take the first of the queue, or all that were cancelled in it. */
static struct request *dequeue(struct batch *b, bool only_cancelled)
{
	struct request **at, *r = NULL;

	pthread_mutex_lock(&b->lock);
	for (at = &b->first; *at && !r;) {
		if (only_cancelled && !atomic_load(&(*at)->cancelled)) {
			at = &(*at)->next;
			continue;
		}
		r = *at;
		*at = r->next;
		if (b->last == &r->next)
			b->last = at;
		b->stats.queued--;
		b->stats.cancelled += only_cancelled;
	}
	pthread_mutex_unlock(&b->lock);
	return r;
}

static void end_cancelled(struct batch *b)
{
	struct request *r;

	while ((r = dequeue(b, true))) {
		request_finish(r, REQUEST_CANCELLED);
		request_unref(r);
	}
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct slot *s = &b->slots[i];

		if (s->request && atomic_load(&s->request->cancelled))
			slot_end(b, s, REQUEST_CANCELLED);
	}
}

static uint32_t count_busy(const struct batch *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_slots; i++)
		n += b->slots[i].request != NULL;
	return n;
}

static void begin_requests(struct batch *b)
{
	struct request *r;

	while (count_busy(b) < b->n_slots && (r = dequeue(b, false)))
		slot_begin(b, r);
}

static void set_state(struct batch *b, enum batch_state state, uint32_t busy)
{
	static const enum telem_state shows[] = { [BATCH_LOADING] = TELEM_STARTING,
						  [BATCH_READY] = TELEM_READY,
						  [BATCH_ASLEEP] = TELEM_ASLEEP,
						  [BATCH_STOPPING] = TELEM_STOPPING };
	enum telem_state shown = state == BATCH_READY && busy ? TELEM_GENERATING : shows[state];

	pthread_mutex_lock(&b->lock);
	b->stats.state = state;
	if (busy)
		b->stats.idle_since_ns = 0;
	else if (!b->stats.idle_since_ns)
		b->stats.idle_since_ns = telem_now_ns();
	b->stats.busy = busy;
	pthread_mutex_unlock(&b->lock);
	if (shown != b->shown && shown == TELEM_ASLEEP)
		page_sleep(b->o.page);
	else if (shown != b->shown)
		page_state(b->o.page, shown);
	b->shown = shown;
}

static bool is_queued(struct batch *b)
{
	pthread_mutex_lock(&b->lock);
	bool queued = b->first != NULL;
	pthread_mutex_unlock(&b->lock);
	return queued;
}

static void go_to_sleep(struct batch *b)
{
	engine_unload(b->o.engine);
	if (b->o.draft)
		engine_unload(b->o.draft);
	for (uint32_t i = 0; i < b->n_slots; i++)
		b->slots[i].n_cached = b->slots[i].n_tokens = b->slots[i].n_drafted = 0;
	b->loaded = false;
	pthread_mutex_lock(&b->lock);
	b->stats.ctx_used_max = 0;
	b->stats.ctx_used_sum = 0;
	for (uint32_t i = 0; i < b->stats.n_devices; i++) {
		b->stats.devices[i].weights_bytes = 0;
		b->stats.devices[i].kv_bytes = 0;
		b->stats.devices[i].compute_bytes = 0;
	}
	pthread_mutex_unlock(&b->lock);
	set_state(b, BATCH_ASLEEP, 0);
}

static void take_account(struct batch *b)
{
	const struct account *a = b->o.account;

	pthread_mutex_lock(&b->lock);
	b->stats.n_devices = a->n_devices < BATCH_DEVICES_MAX ? a->n_devices : BATCH_DEVICES_MAX;
	for (uint32_t i = 0; i < b->stats.n_devices; i++) {
		const struct account_device *d = &a->devices[i];

		text_copy(b->stats.devices[i].name, sizeof(b->stats.devices[i].name), d->name);
		text_copy(b->stats.devices[i].pci, sizeof(b->stats.devices[i].pci), d->pci);
		b->stats.devices[i].weights_bytes = d->bytes.weights;
		b->stats.devices[i].kv_bytes = d->bytes.kv;
		b->stats.devices[i].compute_bytes = d->bytes.compute;
	}
	b->stats.loads++;
	pthread_mutex_unlock(&b->lock);
}

/* The first load was proven to be as planned; another one must be the same. */
static enum failure check_layers(const struct batch *b, struct err *e)
{
	const struct account *a = b->o.account;

	for (uint32_t i = 0; i < a->n_devices && i < BATCH_DEVICES_MAX; i++) {
		if (a->devices[i].layers == b->layers[i])
			continue;
		err_set(e, -EIO, "loaded again, %s has %u layers; it had %u", a->devices[i].name,
			a->devices[i].layers, b->layers[i]);
		return FAILURE_LOAD;
	}
	return FAILURE_NONE;
}

static enum failure wake_up(struct batch *b, struct err *e)
{
	uint64_t start = telem_now_ns();
	enum failure f;

	set_state(b, BATCH_LOADING, 0);
	f = b->o.load(b->o.arg, e);
	if (f || b->o.control->stop)
		return f;
	f = check_layers(b, e);
	if (f)
		return f;
	take_account(b);
	page_account(b->o.page, b->o.account, b->facts.n_ctx);
	pthread_mutex_lock(&b->lock);
	b->stats.load_ns = telem_now_ns() - start;
	pthread_mutex_unlock(&b->lock);
	b->loaded = true;
	set_state(b, BATCH_READY, 0);
	return FAILURE_NONE;
}

/* Nothing to do: wait for a request or a word, and sleep when it takes long. */
static void rest(struct batch *b)
{
	uint64_t rung;
	uint64_t since = b->stats.idle_since_ns; /* written by this thread only */

	control_poll(b->o.control, 500);
	if (read(b->wake_fd, &rung, sizeof(rung)) < 0)
		rung = 0;
	page_beat(b->o.page);
	if (b->loaded && b->o.sleep_s && !is_queued(b) &&
	    telem_now_ns() - since >= b->o.sleep_s * UINT64_C(1000000000))
		go_to_sleep(b);
}

static enum failure work(struct batch *b, struct err *e)
{
	enum failure f = FAILURE_NONE;

	if (!b->loaded)
		f = wake_up(b, e);
	if (f || !b->loaded)
		return f;
	begin_requests(b);
	set_state(b, BATCH_READY, count_busy(b));
	f = batch_step(b, e);
	page_beat(b->o.page);
	control_poll(b->o.control, 0);
	set_state(b, BATCH_READY, count_busy(b));
	return f;
}

/* Whoever waits still hears that nothing will come. */
static void close_queue(struct batch *b)
{
	struct request *r;

	pthread_mutex_lock(&b->lock);
	b->closed = true;
	pthread_mutex_unlock(&b->lock);
	set_state(b, BATCH_STOPPING, count_busy(b));
	for (uint32_t i = 0; i < b->n_slots; i++) {
		if (b->slots[i].request)
			slot_fail(b, &b->slots[i], REQUEST_UNAVAILABLE, "the core is stopping");
	}
	while ((r = dequeue(b, false))) {
		request_fail(r, REQUEST_UNAVAILABLE, "the core is stopping");
		request_unref(r);
	}
}

enum failure batch_run(struct batch *b, bool drain, struct err *e)
{
	enum failure f = FAILURE_NONE;

	b->o.control->wake_fd = b->wake_fd;
	while (!f && !b->o.control->stop) {
		end_cancelled(b);
		if (count_busy(b) || is_queued(b))
			f = work(b, e);
		else if (drain)
			break;
		else
			rest(b);
	}
	b->o.control->wake_fd = -1;
	close_queue(b);
	return f;
}

/* --- opening --- */

static void describe(struct batch *b)
{
	static const struct request_message hello = { (char *)"user", (char *)"Hello" };
	struct batch_model *m = &b->model;
	const struct engine_facts *f = &b->facts;
	char *text = NULL;
	struct stat st;

	text_copy(m->path, sizeof(m->path), b->o.plan->model_path);
	text_copy(m->name, sizeof(m->name), f->name[0] ? f->name : b->o.plan->model_name);
	text_copy(m->arch, sizeof(m->arch), f->arch);
	text_copy(m->quant, sizeof(m->quant), f->quant);
	text_copy(m->digest, sizeof(m->digest), b->o.plan->header_sha256);
	m->size_bytes = f->size_bytes;
	m->n_params = f->n_params;
	m->n_ctx = f->n_ctx;
	m->n_ctx_train = f->n_ctx_train;
	m->n_embd = f->n_embd;
	m->n_layer = f->n_layer;
	m->embeds = f->embeds;
	m->fills = f->fills;
	m->modified_s = stat(m->path, &st) == 0 ? (uint64_t)st.st_mtime : 0;
	m->template = b->template;
	m->chats = b->template && !m->embeds && engine_chat(b->template, &hello, 1, &text) == 0;
	free(text);
}

static int make_slots(struct batch *b)
{
	const struct engine_facts *f = &b->facts;

	b->n_slots = f->n_seq < BATCH_SLOTS_MAX ? f->n_seq : BATCH_SLOTS_MAX;
	b->slots = calloc(b->n_slots, sizeof(*b->slots));
	b->inputs = calloc(f->n_batch, sizeof(*b->inputs));
	if (!b->slots || !b->inputs)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->n_slots; i++) {
		b->slots[i].output = -1;
		b->slots[i].tokens = calloc((size_t)f->n_ctx + 1, sizeof(int32_t));
		if (!b->slots[i].tokens)
			return -ENOMEM;
	}
	return 0;
}

static int fill(struct batch *b, struct err *e)
{
	const char *template = b->o.chat_template;

	engine_facts(b->o.engine, &b->facts);
	if (b->o.draft)
		engine_facts(b->o.draft, &b->draft_facts);
	template = template ? template : b->facts.template;
	b->template = template ? strdup(template) : NULL;
	b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->wake_fd < 0)
		return err_set(e, -errno, "no descriptor: %s", strerror(errno));
	if ((template && !b->template) || make_slots(b))
		return err_set(e, -ENOMEM, "out of memory");
	describe(b);
	for (uint32_t i = 0; i < b->o.account->n_devices && i < BATCH_DEVICES_MAX; i++)
		b->layers[i] = b->o.account->devices[i].layers;
	b->loaded = true;
	b->shown = TELEM_READY;
	b->stats.state = BATCH_READY;
	b->stats.slots = b->n_slots;
	b->stats.queue_max = b->o.queue_max;
	b->stats.ctx_tokens = b->facts.n_ctx;
	b->stats.load_ns = b->o.load_ns;
	b->stats.idle_since_ns = telem_now_ns();
	take_account(b);
	return 0;
}

int batch_open(struct batch **out, const struct batch_options *o, struct err *e)
{
	struct batch *b = calloc(1, sizeof(*b));
	int rc;

	*out = NULL;
	if (!b)
		return err_set(e, -ENOMEM, "out of memory");
	b->o = *o;
	b->wake_fd = -1;
	b->last = &b->first;
	pthread_mutex_init(&b->lock, NULL);
	rc = fill(b, e);
	if (rc) {
		batch_close(b);
		return rc;
	}
	*out = b;
	return 0;
}

void batch_close(struct batch *b)
{
	if (!b)
		return;
	for (uint32_t i = 0; b->slots && i < b->n_slots; i++) {
		free(b->slots[i].tokens);
		textout_fini(&b->slots[i].text);
	}
	free(b->slots);
	free(b->inputs);
	free(b->template);
	if (b->wake_fd >= 0)
		close(b->wake_fd);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
