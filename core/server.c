/* SPDX-License-Identifier: MIT */
/*
 * The one file that sees libmicrohttpd. Each socket has a thread of the library; a call that waits for
 * the engine is suspended there and resumed by it.
 */
#include <microhttpd.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "core/admit.h"
#include "core/conns.h"
#include "core/server.h"
#include "core/tell.h"

#define BODY_MAX        (UINT64_C(8) << 20)
#define BODIES_MAX      (UINT64_C(96) << 20) /* of all calls together */
#define CONNECTIONS_MAX 512
#define CLIENT_S        30
#define HEADER_MAX      (24 << 10) /* a request's line and headers, and the library's own needs */
#define SPARE           32         /* connections beyond the limit, to be told so */
#define STOP_MS         5000       /* for the engine to end the requests of a server that stops */
#define RETRY_AFTER     "1"
#define JSON            "application/json"

struct listener {
	struct server *server;
	struct MHD_Daemon *daemon;
	struct listening socket;
};

struct server {
	struct server_options o;
	struct house house;
	struct listener listeners[SOCKETS_MAX];
	uint32_t n_listeners;
	atomic_bool stopping;
	atomic_uint_fast64_t bodies, ids;
	struct conns *conns;
};

/* One request on a connection. */
struct visit {
	struct listener *listener;
	struct conn *conn;
	struct MHD_Connection *connection;
	struct admission in;
	struct bytes body;
	uint64_t dropped; /* bytes of a body that is refused already */
	bool called;      /* call is initialised */
	struct call call;
};

static void on_connection(void *arg, struct MHD_Connection *connection, void **slot,
			  enum MHD_ConnectionNotificationCode what)
{
	struct server *s = arg;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *fd = MHD_get_connection_info(
			connection, MHD_CONNECTION_INFO_CONNECTION_FD);

		*slot = conn_add(s->conns, fd ? fd->connect_fd : -1);
	} else {
		conn_remove(*slot);
		*slot = NULL;
	}
}

/* --- answers --- */

static void put_headers(const struct visit *v, struct MHD_Response *r, int status)
{
	if (v->in.origin[0]) {
		MHD_add_response_header(r, "Access-Control-Allow-Origin", v->in.origin);
		MHD_add_response_header(r, "Vary", "Origin");
	}
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(r, "Retry-After", RETRY_AFTER);
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED && v->in.allow)
		MHD_add_response_header(r, "Allow", v->in.allow);
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
	conn_served(v->conn);
	done = MHD_queue_response(v->connection, (unsigned)status, r);
	MHD_destroy_response(r);
	return done;
}

static bool speaks_ollama(const struct visit *v)
{
	if (v->in.route)
		return strncmp(v->in.route->path, "/api/", 5) == 0;
	return v->listener->socket.ollama;
}

static enum MHD_Result answer_refusal(struct visit *v, const struct refusal *why)
{
	struct bytes b = { .p = NULL };

	reply_error(&b, speaks_ollama(v), why);
	return answer(v, why->status, JSON, &b);
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
		return answer(v, MHD_HTTP_OK, JSON, &v->call.out);
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
	if (query_parse(&v->call.query, v->in.route->kind, &about, v->body.p ? v->body.p : "",
			v->body.n, &v->in.why))
		return answer_refusal(v, &v->in.why);
	atomic_fetch_sub(&s->bodies, v->body.n);
	bytes_fini(&v->body);
	if (v->in.route->kind == QUERY_OLLAMA_SHOW) {
		reply_show(&v->call.out, m);
		return answer(v, MHD_HTTP_OK, JSON, &v->call.out);
	}
	conn_waits(v->conn, &v->call);
	call_begin(&v->call, s->o.name, atomic_fetch_add(&s->ids, 1));
	return go_on(v);
}

static enum MHD_Result answer_told(struct visit *v)
{
	const struct server_options *o = &v->listener->server->o;
	struct batch_stats stats;
	struct told t;

	batch_stats(o->batch, &stats);
	tell(&t, &v->in, o->name, batch_model(o->batch), &stats);
	return answer(v, t.status, t.type, &t.body);
}

static const char *header(const struct visit *v, const char *name)
{
	return MHD_lookup_connection_value(v->connection, MHD_HEADER_KIND, name);
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
	conn_served(v->conn);
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
	struct server *s = v->listener->server;
	const struct knock k = { .method = method,
				 .path = path,
				 .host = header(v, "Host"),
				 .origin = header(v, "Origin"),
				 .authorization = header(v, "Authorization"),
				 .length = header(v, "Content-Length"),
				 .ollama = v->listener->socket.ollama };

	admit(&v->in, &s->house, &k);
	if (v->in.preflight)
		return v->in.why.status ? answer_refusal(v, &v->in.why) : preflight(v);
	if (atomic_load(&s->stopping))
		admit_refuse(&v->in, 503, NULL, "the run is stopping");
	if (conns_full(s->conns))
		admit_refuse(&v->in, 503, NULL, "there are too many connections");
	if (conn_crowds(v->conn))
		admit_refuse(&v->in, 503, NULL,
			     "this client has a quarter of all connections already");
	if (v->in.why.status && header(v, "Expect"))
		return answer_refusal(v, &v->in.why);
	return MHD_YES;
}

static enum MHD_Result body(struct visit *v, const char *data, size_t *n)
{
	struct server *s = v->listener->server;
	size_t all = v->body.n + *n;

	if (all > s->house.body_max)
		admit_refuse(&v->in, 413, NULL, ADMIT_TOO_LARGE);
	if (!v->in.why.status && atomic_fetch_add(&s->bodies, *n) + *n > BODIES_MAX) {
		atomic_fetch_sub(&s->bodies, *n);
		admit_refuse(&v->in, 503, NULL, "there is no memory for more bodies");
	}
	if (v->in.why.status) {
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
	if (v->in.why.status)
		return answer_refusal(v, &v->in.why);
	return v->in.route->what == ROUTE_QUERY ? begin_query(v) : answer_told(v);
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
	conn_owes(v->conn);
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
		NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_CONNECTION_LIMIT,
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

static void set_options(struct server *s, const struct server_options *o)
{
	uint64_t id = 0;

	s->o = *o;
	s->o.connections_max = o->connections_max ? o->connections_max : CONNECTIONS_MAX;
	s->o.client_s = o->client_s ? o->client_s : CLIENT_S;
	s->house = (struct house) { .key = o->key,
				    .hosts = o->hosts,
				    .n_hosts = o->n_hosts,
				    .body_max = o->body_max ? o->body_max : BODY_MAX };
	if (getrandom(&id, sizeof(id), 0) < 0)
		id = (uint64_t)clock_ms();
	atomic_init(&s->ids, id);
}

int server_start(struct server **out, const struct server_options *o, struct err *e)
{
	struct server *s;
	int rc = check_sockets(o, e);

	if (rc)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, -ENOMEM, "there is no memory for the server");
	set_options(s, o);
	rc = conns_open(&s->conns, s->o.connections_max, s->o.client_s);
	if (rc)
		err_set(e, rc, "there is no thread for the server");
	for (uint32_t i = 0; i < o->n_sockets && rc == 0; i++)
		rc = open_listener(s, &o->sockets[i], e);
	if (rc)
		server_stop(s);
	else
		*out = s;
	return rc;
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	atomic_store(&s->stopping, true);
	for (uint32_t i = 0; i < s->n_listeners; i++)
		MHD_quiesce_daemon(s->listeners[i].daemon); /* the socket is not closed then */
	/* The library must not be stopped with calls suspended; what is on its way out may be cut */
	for (int64_t end = clock_ms() + STOP_MS; s->conns && clock_ms() < end + STOP_MS / 5;) {
		if (conns_end_calls(s->conns, clock_ms() > end) == 0)
			break;
		poll(NULL, 0, 10);
	}
	for (uint32_t i = 0; i < s->n_listeners; i++)
		MHD_stop_daemon(s->listeners[i].daemon);
	conns_close(s->conns);
	free(s);
}
