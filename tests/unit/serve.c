/* SPDX-License-Identifier: MIT */
/* The pure parts of the core's HTTP: who may come in, what a body asks, what an answer says. */
#include <string.h>

#include "core/guard.h"
#include "core/query.h"
#include "core/reply.h"
#include "core/textout.h"
#include "tests/unit/harness.h"

static void hosts(void **state)
{
	static const char *const allowed[] = { "gpu.lan" };
	static const char *const good[] = { "localhost",   "LOCALHOST:8470", "127.0.0.1",
					    "127.8.9.1:1", "[::1]:8470",     "gpu.lan:80",
					    "GPU.lan",     "localhost.:80",  "gpu.lan." };
	static const char *const bad[] = { "",
					   "evil.example",
					   "localhost.evil.example",
					   "127.0.0.1.nip",
					   "[::1",
					   "::1",
					   "localhost:8a",
					   "0x7f.0.0.1",
					   "128.0.0.1",
					   "gpu.lan..",
					   ".",
					   "[::1.]",
					   "127.0.0.1%00",
					   "localhost@evil.example",
					   "[localhost",
					   "localhost:80:80" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(guard_host(good[i], allowed, 1));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(guard_host(bad[i], allowed, 1));
	assert_false(guard_host(NULL, allowed, 1));
	assert_true(guard_origin("https://gpu.lan", allowed, 1));
	assert_false(guard_origin("https://gpu.lan", NULL, 0));
	assert_false(guard_origin("file://localhost", allowed, 1));
	assert_false(guard_origin("null", allowed, 1));
	assert_false(guard_origin("", allowed, 1));
	assert_false(guard_origin("http://", allowed, 1));
	assert_true(guard_origin("HTTP://LOCALHOST.:3000", allowed, 1));
	assert_false(guard_origin("http://localhost:3000/path", allowed, 1));
}

static void keys(void **state)
{
	static const char key[] = "0123456789abcdef";

	(void)state;
	assert_true(guard_key("Bearer 0123456789abcdef", key));
	assert_true(guard_key("bearer  0123456789abcdef", key));
	assert_false(guard_key("Bearer 0123456789abcdeF", key));
	/* a key said twice repeats every byte of it */
	assert_false(guard_key("Bearer 0123456789abcdef0123456789abcdef", key));
	assert_false(guard_key("Bearer ", key));
	assert_false(guard_key("Basic 0123456789abcdef", key));
	assert_false(guard_key(NULL, key));
}

static int parse(struct query *q, enum query_kind kind, const char *body, struct refusal *why)
{
	const struct query_model m = { .name = "m", .chats = true, .n_embd = 4 };

	return query_parse(q, kind, &m, body, strlen(body), why);
}

static void queries(void **state)
{
	struct refusal why;
	struct query q;

	(void)state;
	assert_int_equal(
		parse(&q, QUERY_COMPLETION,
		      "{\"model\":\"m\",\"prompt\":[7,8],\"max_tokens\":5,\"temperature\":0.5,"
		      "\"stop\":[\"a\",\"\"],\"seed\":3,\"logit_bias\":{\"9\":-100}}",
		      &why),
		0);
	assert_int_equal(q.n, 1);
	assert_int_equal(q.requests[0]->n_tokens, 2);
	assert_int_equal(q.requests[0]->max_tokens, 5);
	assert_int_equal(q.requests[0]->n_stop, 1);
	assert_true(q.requests[0]->sampling.seeded);
	assert_true(q.requests[0]->sampling.temperature == 0.5f);
	assert_true(q.requests[0]->bias[0].bias < -1e30f);
	query_fini(&q);
	assert_int_equal(parse(&q, QUERY_OLLAMA_GENERATE,
			       "{\"model\":\"m:latest\",\"prompt\":\"x\",\"system\":\"s\","
			       "\"options\":{\"num_predict\":0}}",
			       &why),
			 0);
	assert_true(q.stream);
	assert_true(q.requests[0]->empty);
	assert_int_equal(q.requests[0]->n_messages, 2);
	query_fini(&q);
	assert_int_equal(parse(&q, QUERY_OLLAMA_GENERATE,
			       "{\"model\":\"m\",\"prompt\":\"\",\"suffix\":\"s\"}", &why),
			 0);
	assert_string_equal(q.requests[0]->suffix, "s");
	assert_string_equal(q.requests[0]->text, "");
	query_fini(&q);
	assert_int_equal(parse(&q, QUERY_COMPLETION,
			       "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"n\":2,\"seed\":9}",
			       &why),
			 0);
	assert_int_equal(q.n, 4);
	assert_string_equal(q.requests[1]->text, "a");
	assert_string_equal(q.requests[2]->text, "b");
	assert_int_equal(q.requests[3]->sampling.seed, 10);
	assert_false(q.alike);
	query_fini(&q);
	assert_int_equal(parse(&q, QUERY_OLLAMA_CHAT, "{\"model\":\"m\"}", &why), 0);
	assert_true(q.load_only);
	query_fini(&q);
}

/* One text is not to be held many times over, whatever part of the body it is. */
static void copies_refused(void **state)
{
	const size_t size = (size_t)9 << 20;
	char *body = malloc(size), *at;
	struct refusal why;
	struct query q;

	(void)state;
	assert_non_null(body);
	at = stpcpy(body, "{\"model\":\"m\",\"prompt\":[\"a\",\"b\",\"c\"],\"suffix\":\"");
	memset(at, 'x', (size_t)6 << 20);
	strcpy(at + ((size_t)6 << 20), "\"}");
	assert_int_equal(parse(&q, QUERY_COMPLETION, body, &why), -1);
	assert_string_equal(why.param, "suffix");
	at = stpcpy(body, "{\"model\":\"m\",\"prompt\":\"a\",\"stop\":\"");
	memset(at, 'x', TEXTOUT_STOP_BYTES + 1);
	strcpy(at + TEXTOUT_STOP_BYTES + 1, "\"}");
	assert_int_equal(parse(&q, QUERY_COMPLETION, body, &why), -1);
	assert_string_equal(why.param, "stop");
	strcpy(at + TEXTOUT_STOP_BYTES, "\"}");
	assert_int_equal(parse(&q, QUERY_COMPLETION, body, &why), 0);
	query_fini(&q);
	free(body);
}

/* Each answer to a body has the grammar of its schema. */
static void schema_for_all(void **state)
{
	struct refusal why;
	struct query q;

	(void)state;
	assert_int_equal(parse(&q, QUERY_COMPLETION,
			       "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"n\":2,"
			       "\"response_format\":{\"type\":\"json_object\"}}",
			       &why),
			 0);
	assert_int_equal(q.n, 4);
	assert_true(strlen(q.requests[0]->grammar) > 20);
	for (size_t i = 1; i < q.n; i++)
		assert_string_equal(q.requests[i]->grammar, q.requests[0]->grammar);
	query_fini(&q);
}

static void queries_refused(void **state)
{
	struct refusal why;
	struct query q;

	(void)state;
	assert_int_equal(parse(&q, QUERY_COMPLETION,
			       "{\"model\":\"m\",\"prompt\":[1],\"suffix\":\"s\"}", &why),
			 -1);
	assert_string_equal(why.param, "suffix");
	/* OpenAI's clients add no tag */
	assert_int_equal(parse(&q, QUERY_COMPLETION, "{\"model\":\"m:latest\"}", &why), -1);
	assert_int_equal(why.status, 404);
	assert_int_equal(parse(&q, QUERY_EMBEDDINGS,
			       "{\"model\":\"m\",\"input\":\"x\",\"dimensions\":3}", &why),
			 -1);
	assert_string_equal(why.param, "dimensions");
	assert_int_equal(parse(&q, QUERY_COMPLETION,
			       "{\"model\":\"m\",\"prompt\":\"x\",\"top_k\":1e300}", &why),
			 -1);
	assert_string_equal(why.param, "top_k");
}

/* A label's value has a backslash before a backslash, a quote and, as \n, the end of a line. */
static void labels(void **state)
{
	static const struct batch_stats stats = { .counts.requests = 3,
						  .counts.first_token_ns = 1500000000 };
	struct bytes b = { .p = NULL };

	(void)state;
	reply_metrics(&b, "a\"b\\c\nd", &stats);
	bytes_add(&b, "", 1);
	assert_non_null(strstr(b.p, "\nberth_requests_total{run=\"a\\\"b\\\\c\\nd\"} 3\n"));
	assert_non_null(
		strstr(b.p, "\nberth_first_token_seconds_total{run=\"a\\\"b\\\\c\\nd\"} 1.5"));
	bytes_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),          cmocka_unit_test(keys),
		cmocka_unit_test(queries),        cmocka_unit_test(copies_refused),
		cmocka_unit_test(schema_for_all), cmocka_unit_test(queries_refused),
		cmocka_unit_test(labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
