/* SPDX-License-Identifier: MIT */
/*
 * The one file that sees libmicrohttpd. Each socket has a thread of the library; a call that waits for
 * the engine is suspended there and resumed by it. One more thread watches what the library does not:
 * clients that left while their call was suspended, and clients that take for ever to ask.
 */
#include <microhttpd.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/text.h"
#include "core/call.h"
#include "core/guard.h"
#include "core/routes.h"
#include "core/server.h"

#define BODY_MAX        (UINT64_C(8) << 20)
#define BODIES_MAX      (UINT64_C(96) << 20) /* of all calls together */
#define CONNECTIONS_MAX 512
#define CLIENT_S        30
#define HEADER_MAX      (24 << 10) /* a request's line and headers, and the library's own needs */
#define SPARE           32         /* connections beyond the limit, to be told so */
#define WATCH_MS        200
#define PRESSED_MS      2000 /* for who has not asked, when connections run out */
#define STOP_MS         5000 /* for the engine to end the requests of a server that stops */
#define RETRY_AFTER     "1"

struct listener {
	struct server *server;
	struct MHD_Daemon *daemon;
	struct listening socket;
};

/* A connection, from accept to close. */
struct conn {
	struct conn *next, **slot;
	struct listener *listener;
	int fd;
	int64_t since_ms;    /* it owes us a request since then; -1: it owes none */
	struct visit *waits; /* its call is with the engine, or its answer on the way */
};

struct server {
	struct server_options o;
	struct listener listeners[SOCKETS_MAX];
	uint32_t n_listeners;
	atomic_bool stopping;
	atomic_uint_fast64_t bodies, ids;
	pthread_mutex_t lock; /* of the list and what the watcher looks at in it */
	struct conn *conns;
	uint32_t n_conns, n_waiting;
	pthread_t watcher;
	bool has_watcher;
};

/* One request on a connection. */
struct visit {
	struct listener *listener;
	struct conn *conn;
	struct MHD_Connection *connection;
	const struct route *route;
	struct refusal why; /* status 0: fine so far */
	const char *allow;  /* with 405 */
	char origin[256];   /* allowed, to be told so; "" */
	char model[256];    /* ROUTE_MODEL: the rest of the path */
	struct bytes body;
	uint64_t dropped; /* bytes of a body that is refused already */
	bool called;      /* call is initialised */
	struct call call;
};

/* --- connections, and the watcher --- */

static void on_connection(void *arg, struct MHD_Connection *connection, void **slot,
			  enum MHD_ConnectionNotificationCode what)
{
	struct listener *l = arg;
	struct server *s = l->server;
	struct conn *c = *slot;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *fd = MHD_get_connection_info(
			connection, MHD_CONNECTION_INFO_CONNECTION_FD);

		*slot = c = calloc(1, sizeof(*c));
		if (!c)
			return;
		*c = (struct conn) { .listener = l,
				     .fd = fd ? fd->connect_fd : -1,
				     .since_ms = clock_ms() };
		pthread_mutex_lock(&s->lock);
		c->next = s->conns;
		c->slot = &s->conns;
		if (c->next)
			c->next->slot = &c->next;
		s->conns = c;
		s->n_conns++;
		pthread_mutex_unlock(&s->lock);
	} else if (c) {
		pthread_mutex_lock(&s->lock);
		*c->slot = c->next;
		if (c->next)
			c->next->slot = c->slot;
		s->n_conns--;
		pthread_mutex_unlock(&s->lock);
		free(c);
		*slot = NULL;
	}
}

/* What a connection is about now: waiting for its call, answered, or owing a request. */
static void set_conn(struct visit *v, int64_t since_ms, struct visit *waits)
{
	struct server *s = v->listener->server;

	if (!v->conn)
		return;
	pthread_mutex_lock(&s->lock);
	s->n_waiting += (waits != NULL);
	s->n_waiting -= (v->conn->waits != NULL);
	v->conn->since_ms = since_ms;
	v->conn->waits = waits;
	pthread_mutex_unlock(&s->lock);
}

/* The client has closed its side: nobody reads the answer. */
static bool has_left(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void watch_once(struct server *s, int64_t now)
{
	int64_t limit = (int64_t)s->o.client_s * 1000;

	pthread_mutex_lock(&s->lock);
	if (s->n_conns >= s->o.connections_max / 4 * 3 && limit > PRESSED_MS)
		limit = PRESSED_MS;
	for (struct conn *c = s->conns; c; c = c->next) {
		if (c->waits && has_left(c->fd))
			call_cancel(&c->waits->call);
		/* The library sees its end and frees it */
		if (!c->waits && c->since_ms >= 0 && now - c->since_ms > limit)
			shutdown(c->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&s->lock);
}

static void *watch(void *arg)
{
	struct server *s = arg;

	while (!atomic_load(&s->stopping)) {
		watch_once(s, clock_ms());
		poll(NULL, 0, WATCH_MS);
	}
	return NULL;
}

/* --- answers --- */

static void put_headers(const struct visit *v, struct MHD_Response *r, int status)
{
	if (v->origin[0]) {
		MHD_add_response_header(r, "Access-Control-Allow-Origin", v->origin);
		MHD_add_response_header(r, "Vary", "Origin");
	}
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(r, "Retry-After", RETRY_AFTER);
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED && v->allow)
		MHD_add_response_header(r, "Allow", v->allow);
}

/* Answer with `b`, whose memory goes along; MHD_NO, which closes the connection, when it is lost. */
static enum MHD_Result answer(struct visit *v, int status, const char *type, struct bytes *b)
{
	struct MHD_Response *r = NULL;
	enum MHD_Result done;

	if (!b->lost)
		r = MHD_create_response_from_buffer(b->n, b->p, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		bytes_fini(b);
		return MHD_NO;
	}
	*b = (struct bytes) { .p = NULL };
	MHD_add_response_header(r, "Content-Type", type);
	put_headers(v, r, status);
	if (!v->conn ||
	    !v->conn->waits) /* else until the answer is out: server_stop waits for it */
		set_conn(v, -1, NULL);
	done = MHD_queue_response(v->connection, (unsigned)status, r);
	MHD_destroy_response(r);
	return done;
}

static bool speaks_ollama(const struct visit *v)
{
	if (v->route)
		return strncmp(v->route->path, "/api/", 5) == 0;
	return v->listener->socket.ollama;
}

static enum MHD_Result answer_refusal(struct visit *v, const struct refusal *why)
{
	struct bytes b = { .p = NULL };

	reply_error(&b, speaks_ollama(v), why);
	return answer(v, why->status, "application/json", &b);
}

static ssize_t read_stream(void *arg, uint64_t at, char *buf, size_t max);

static enum MHD_Result answer_stream(struct visit *v)
{
	struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 << 10,
								   read_stream, v, NULL);
	enum MHD_Result done;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type",
				speaks_ollama(v) ? "application/x-ndjson" : "text/event-stream");
	MHD_add_response_header(r, "Cache-Control", "no-cache");
	put_headers(v, r, MHD_HTTP_OK);
	done = MHD_queue_response(v->connection, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return done;
}

/* --- calls --- */

static void suspend(void *arg)
{
	struct visit *v = arg;

	MHD_suspend_connection(v->connection);
}

static void resume(void *arg)
{
	struct visit *v = arg;

	MHD_resume_connection(v->connection);
}

static ssize_t read_stream(void *arg, uint64_t at, char *buf, size_t max)
{
	struct visit *v = arg;
	long n = call_read(&v->call, buf, max, suspend);

	(void)at;
	return n >= 0    ? n
	       : n == -1 ? MHD_CONTENT_READER_END_OF_STREAM
			 : MHD_CONTENT_READER_END_WITH_ERROR;
}

static enum MHD_Result go_on(struct visit *v)
{
	switch (call_next(&v->call, suspend)) {
	case CALL_SLEEP:
		return MHD_YES;
	case CALL_REFUSED:
		return answer_refusal(v, &v->call.why);
	case CALL_STREAM:
		return answer_stream(v);
	default:
		return answer(v, MHD_HTTP_OK, "application/json", &v->call.out);
	}
}

static enum MHD_Result begin_query(struct visit *v)
{
	struct server *s = v->listener->server;
	const struct batch_model *m = batch_model(s->o.batch);
	const struct query_model about = {
		.name = s->o.name, .chats = m->chats, .embeds = m->embeds, .n_embd = m->n_embd
	};

	call_init(&v->call, s->o.batch, resume, v);
	v->called = true;
	if (query_parse(&v->call.query, v->route->kind, &about, v->body.p ? v->body.p : "",
			v->body.n, &v->why))
		return answer_refusal(v, &v->why);
	atomic_fetch_sub(&s->bodies, v->body.n);
	bytes_fini(&v->body);
	if (v->route->kind == QUERY_OLLAMA_SHOW) {
		reply_show(&v->call.out, m);
		return answer(v, MHD_HTTP_OK, "application/json", &v->call.out);
	}
	set_conn(v, -1, v);
	call_begin(&v->call, s->o.name, atomic_fetch_add(&s->ids, 1));
	return go_on(v);
}

static void unknown_model(struct visit *v, const char *name)
{
	v->why = (struct refusal) { .status = MHD_HTTP_NOT_FOUND, .code = "model_not_found" };
	snprintf(v->why.sentence, sizeof(v->why.sentence),
		 "model \"%.120s\" not found; this run is \"%.120s\"", v->model, name);
	text_clean(v->why.sentence);
}

static enum MHD_Result tell(struct visit *v)
{
	const struct server_options *o = &v->listener->server->o;
	const struct batch_model *m = batch_model(o->batch);
	struct bytes b = { .p = NULL };
	const char *type = "application/json";
	struct batch_stats stats;
	int status = MHD_HTTP_OK;

	batch_stats(o->batch, &stats);
	switch (v->route->what) {
	case ROUTE_MODEL:
		if (strcmp(v->model, o->name) != 0) {
			unknown_model(v, o->name);
			return answer_refusal(v, &v->why);
		}
		reply_model(&b, o->name, m);
		break;
	case ROUTE_MODELS:
		reply_models(&b, o->name, m);
		break;
	case ROUTE_HEALTH:
		reply_health(&b, &stats);
		/* Asleep is healthy: the next request wakes it */
		if (stats.state == BATCH_LOADING || stats.state == BATCH_STOPPING)
			status = MHD_HTTP_SERVICE_UNAVAILABLE;
		break;
	case ROUTE_METRICS:
		reply_metrics(&b, o->name, &stats);
		type = "text/plain; version=0.0.4; charset=utf-8";
		break;
	case ROUTE_TAGS:
		reply_tags(&b, o->name, m);
		break;
	case ROUTE_PS:
		reply_ps(&b, o->name, m, &stats);
		break;
	case ROUTE_VERSION:
		reply_version(&b);
		break;
	default:
		bytes_text(&b, "Ollama is running");
		type = "text/plain; charset=utf-8";
		break;
	}
	return answer(v, status, type, &b);
}

/* --- who may come in --- */

static void refuse(struct visit *v, int status, const char *code, const char *sentence)
{
	if (v->why.status)
		return;
	v->why = (struct refusal) { .status = status, .code = code };
	text_copy(v->why.sentence, sizeof(v->why.sentence), sentence);
}

static const char *header(const struct visit *v, const char *name)
{
	return MHD_lookup_connection_value(v->connection, MHD_HEADER_KIND, name);
}

static void check_origin(struct visit *v)
{
	const struct server_options *o = &v->listener->server->o;
	const char *origin = header(v, "Origin");

	if (!guard_host(header(v, "Host"), o->hosts, o->n_hosts))
		refuse(v, MHD_HTTP_FORBIDDEN, "host_not_allowed",
		       "the Host of this request is not one that this run answers to; --allow-host "
		       "NAME adds one");
	if (origin && !guard_origin(origin, o->hosts, o->n_hosts))
		refuse(v, MHD_HTTP_FORBIDDEN, "origin_not_allowed",
		       "pages of this origin may not use this run; those of localhost may");
	else if (origin)
		text_copy(v->origin, sizeof(v->origin), origin);
}

static void check_route(struct visit *v, const char *method, const char *path)
{
	const struct server_options *o = &v->listener->server->o;
	bool ollama = v->listener->socket.ollama;
	int status;

	v->route = route_find(method, path, ollama, &status, &v->allow);
	if (v->route && v->route->what == ROUTE_MODEL)
		text_copy(v->model, sizeof(v->model), path + strlen(v->route->path));
	/* Without the key nothing is told, not even what there is */
	if (o->key && !ollama && !(v->route && v->route->open) &&
	    !guard_key(header(v, "Authorization"), o->key))
		refuse(v, MHD_HTTP_UNAUTHORIZED, "invalid_api_key",
		       "the key is missing or wrong; send \"Authorization: Bearer KEY\" with the key "
		       "of the run's key file");
	if (!v->route)
		refuse(v, status, NULL,
		       status == MHD_HTTP_NOT_FOUND ? "there is nothing at this path"
						    : "this path takes another method");
}

static void check_room(struct visit *v)
{
	struct server *s = v->listener->server;
	const char *length = header(v, "Content-Length");
	uint64_t n;

	if (length && (text_parse_u64(length, &n) || n > s->o.body_max))
		refuse(v, MHD_HTTP_CONTENT_TOO_LARGE, NULL,
		       "the body is larger than this run takes");
	if (atomic_load(&s->stopping))
		refuse(v, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "the run is stopping");
	pthread_mutex_lock(&s->lock);
	bool full = s->n_conns > s->o.connections_max;

	pthread_mutex_unlock(&s->lock);
	if (full)
		refuse(v, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "there are too many connections");
}

/* What a browser asks before it lets a page ask. */
static enum MHD_Result preflight(struct visit *v)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	const char *wants = header(v, "Access-Control-Request-Headers");
	enum MHD_Result done;

	if (!r)
		return MHD_NO;
	put_headers(v, r, MHD_HTTP_NO_CONTENT);
	MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
	if (wants) /* refused by the library when it is no header's value */
		MHD_add_response_header(r, "Access-Control-Allow-Headers", wants);
	MHD_add_response_header(r, "Access-Control-Max-Age", "600");
	set_conn(v, -1, NULL);
	done = MHD_queue_response(v->connection, MHD_HTTP_NO_CONTENT, r);
	MHD_destroy_response(r);
	return done;
}

/* --- one request, as the library hands it over: headers, pieces of the body, its end --- */

static struct visit *arrive(struct listener *l, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct visit *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->listener = l;
	v->connection = connection;
	v->conn = info ? info->socket_context : NULL;
	return v;
}

/*
 * A body that is refused is still read to its end: closing on a client that sends would lose the answer.
 * One that only waits to be asked for it is not asked; one without an end is not read for ever.
 */
static enum MHD_Result headers(struct visit *v, const char *method, const char *path)
{
	check_origin(v);
	if (strcmp(method, "OPTIONS") == 0)
		return v->why.status ? answer_refusal(v, &v->why) : preflight(v);
	check_route(v, method, path);
	check_room(v);
	if (v->why.status && header(v, "Expect"))
		return answer_refusal(v, &v->why);
	return MHD_YES;
}

static enum MHD_Result body(struct visit *v, const char *data, size_t *n)
{
	struct server *s = v->listener->server;
	size_t all = v->body.n + *n;

	if (!v->why.status && all > s->o.body_max)
		refuse(v, MHD_HTTP_CONTENT_TOO_LARGE, NULL,
		       "the body is larger than this run takes");
	if (!v->why.status && atomic_fetch_add(&s->bodies, *n) + *n > BODIES_MAX) {
		atomic_fetch_sub(&s->bodies, *n);
		refuse(v, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "there is no memory for more bodies");
	}
	if (v->why.status) {
		v->dropped += *n;
		*n = 0;
		return v->dropped > 4 * BODY_MAX ? MHD_NO : MHD_YES;
	}
	bytes_add(&v->body, data, *n);
	if (v->body.lost)
		return MHD_NO;
	*n = 0;
	return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *n, void **slot)
{
	struct visit *v = *slot;

	(void)version;
	if (!v) {
		v = *slot = arrive(arg, connection);
		return v ? headers(v, method, url) : MHD_NO;
	}
	if (*n)
		return body(v, data, n);
	if (v->called) /* resumed */
		return go_on(v);
	if (v->why.status)
		return answer_refusal(v, &v->why);
	return v->route->what == ROUTE_QUERY ? begin_query(v) : tell(v);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **slot,
			 enum MHD_RequestTerminationCode how)
{
	struct visit *v = *slot;

	(void)arg;
	(void)connection;
	(void)how;
	if (!v)
		return;
	/* The next request on this connection is owed from now on */
	set_conn(v, clock_ms(), NULL);
	atomic_fetch_sub(&v->listener->server->bodies, v->body.n);
	bytes_fini(&v->body);
	if (v->called)
		call_fini(&v->call);
	free(v);
	*slot = NULL;
}

/* --- start and stop --- */

static int open_listener(struct server *s, const struct listening *socket, struct err *e)
{
	struct listener *l = &s->listeners[s->n_listeners];

	*l = (struct listener) { .server = s, .socket = *socket };
	l->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
		l, MHD_OPTION_LISTEN_SOCKET, socket->fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
		NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, l, MHD_OPTION_CONNECTION_LIMIT,
		s->o.connections_max + SPARE, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HEADER_MAX, MHD_OPTION_CONNECTION_TIMEOUT, s->o.client_s, MHD_OPTION_END);
	if (!l->daemon)
		return err_set(e, -EIO, "HTTP cannot be served on %s", socket->where);
	s->n_listeners++;
	return 0;
}

static int check_sockets(const struct server_options *o, struct err *e)
{
	for (uint32_t i = 0; i < o->n_sockets; i++) {
		if (!o->key && !o->sockets[i].local)
			return err_set(
				e, -EACCES,
				"%s can be reached from other machines, and there is no key; "
				"give --key-file",
				o->sockets[i].where);
	}
	return o->n_sockets > 0 ? 0 : err_set(e, -EINVAL, "there is no socket to serve on");
}

int server_start(struct server **out, const struct server_options *o, struct err *e)
{
	struct server *s;
	uint64_t id = 0;
	int rc = check_sockets(o, e);

	if (rc)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, -ENOMEM, "there is no memory for the server");
	s->o = *o;
	s->o.body_max = o->body_max ? o->body_max : BODY_MAX;
	s->o.connections_max = o->connections_max ? o->connections_max : CONNECTIONS_MAX;
	s->o.client_s = o->client_s ? o->client_s : CLIENT_S;
	if (getrandom(&id, sizeof(id), 0) < 0)
		id = (uint64_t)clock_ms();
	atomic_init(&s->ids, id);
	pthread_mutex_init(&s->lock, NULL);
	for (uint32_t i = 0; i < o->n_sockets && rc == 0; i++)
		rc = open_listener(s, &o->sockets[i], e);
	if (rc == 0 && pthread_create(&s->watcher, NULL, watch, s) != 0)
		rc = err_set(e, -EAGAIN, "there is no thread for the server");
	s->has_watcher = rc == 0;
	if (rc)
		server_stop(s);
	else
		*out = s;
	return rc;
}

/* Cancel, or at last drop, every call that waits. Returns how many there are. */
static uint32_t end_calls(struct server *s, bool drop)
{
	uint32_t n;

	pthread_mutex_lock(&s->lock);
	for (struct conn *c = s->conns; c; c = c->next) {
		if (c->waits && drop)
			call_drop(&c->waits->call);
		else if (c->waits)
			call_cancel(&c->waits->call);
	}
	n = s->n_waiting;
	pthread_mutex_unlock(&s->lock);
	return n;
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	atomic_store(&s->stopping, true);
	if (s->has_watcher)
		pthread_join(s->watcher, NULL);
	for (uint32_t i = 0; i < s->n_listeners; i++)
		MHD_quiesce_daemon(s->listeners[i].daemon); /* the socket is not closed then */
	/* The library must not be stopped with calls suspended; what is on its way out may be cut */
	for (int64_t end = clock_ms() + STOP_MS; clock_ms() < end + STOP_MS / 5;) {
		if (end_calls(s, clock_ms() > end) == 0)
			break;
		poll(NULL, 0, 10);
	}
	for (uint32_t i = 0; i < s->n_listeners; i++)
		MHD_stop_daemon(s->listeners[i].daemon);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
