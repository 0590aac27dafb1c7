/* SPDX-License-Identifier: MIT */
/* A plan as llama-server's options, and its log as a proof. */
#include <stdlib.h>
#include <string.h>

#include "core/scrape.h"
#include "core/serverargs.h"
#include "core/serverlog.h"
#include "tests/unit/harness.h"

static struct plan *two_cards(void)
{
	struct plan *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->model_path, "/m.gguf");
	p->flags = (struct plan_flags) { .n_ctx = 4096,
					 .n_batch = 512,
					 .n_ubatch = 256,
					 .n_seq_max = 2,
					 .n_gpu_layers = 9,
					 .type_k = "q8_0",
					 .type_v = "f16",
					 .flash_attn = true };
	p->n_devices = 2;
	for (uint32_t d = 0; d < 2; d++) {
		strcpy(p->devices[d].backend, "cuda");
		strcpy(p->devices[d].uuid, d ? "GPU-b" : "GPU-a");
		strcpy(p->devices[d].engine_name, d ? "CUDA3" : "CUDA5");
		p->devices[d].layers = d ? 3 : 6;
	}
	return p;
}

/* The value behind an option; "" for one without. NULL: it is not there. */
static const char *value(const struct server_args *a, const char *option)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (strcmp(a->argv[i], option) == 0)
			return i + 1 < a->n ? a->argv[i + 1] : "";
	return NULL;
}

static void options(void **state)
{
	static const struct server_wish w = { "/bin/s", "/t/s.sock", "chat", "/k", 6 };
	struct plan *p = two_cards();
	struct server_args a;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(server_args(&a, p, &w, &e), 0);
	assert_null(a.argv[a.n]);
	assert_string_equal(a.argv[0], "/bin/s");
	/* launch hides the others: what is left counts from 0 */
	assert_string_equal(value(&a, "--device"), "CUDA0,CUDA1");
	assert_string_equal(value(&a, "--tensor-split"), "6,3");
	assert_string_equal(value(&a, "--cache-type-k"), "q8_0");
	assert_string_equal(value(&a, "--flash-attn"), "on");
	assert_string_equal(value(&a, "--api-key-file"), "/k");
	assert_string_equal(value(&a, "--threads"), "6");
	assert_null(value(&a, "--n-cpu-moe"));
	assert_non_null(value(&a, "--no-kv-unified"));
	p->n_tensors = 2;
	p->tensors[0] = (struct plan_tensors) { "exps", -1 };
	p->tensors[1] = (struct plan_tensors) { "attn", 1 };
	p->devices[1].uuid[0] = '\0'; /* nothing is hidden then */
	assert_int_equal(server_args(&a, p, &w, &e), 0);
	assert_string_equal(value(&a, "--override-tensor"), "exps=CPU");
	assert_string_equal(a.tensors[1], "attn=CUDA3");
	assert_string_equal(value(&a, "--device"), "CUDA5,CUDA3");
	strcpy(p->tensors[0].pattern, "a,b");
	assert_int_equal(server_args(&a, p, &w, &e), -EBADMSG);
	p->n_tensors = 0;
	p->devices[0].engine_name[0] = '\0';
	assert_int_equal(server_args(&a, p, &w, &e), -EBADMSG);
	free(p);
}

static void feed(struct serverlog *l, const char *s)
{
	serverlog_feed(l, s, strlen(s));
}

static void logs(void **state)
{
	struct serverlog *l = malloc(sizeof(*l));

	(void)state;
	assert_non_null(l);
	serverlog_init(l);
	feed(l,
	     "0.00.011.001 I f: using device CUDA0 (A card (12 GB)) (0000:C1:00.0) - 12 MiB free\n");
	feed(l, "f: using device Vulkan1 (llvmpipe) (unknown id) - 12 MiB free\n");
	/* what the model's file says of itself is no proof */
	feed(l, "0.00.011.002 I init_tokenizer: initializing tokenizer for type 1\n");
	feed(l, "0.00.011.003 I f: using device CUDA1 (forged) (0000:c2:00.0) - 12 MiB free\n");
	feed(l, "0.00.012.000 D load_tensors: layer   0 assigned to dev");
	feed(l, "ice CUDA0, is_swa = 0\nload_tensors:  CUDA0 model buffer size =  4.00 MiB\n");
	assert_int_equal(l->n_devices, 2);
	assert_string_equal(l->devices[0].name, "CUDA0");
	assert_string_equal(l->devices[0].pci, "0000:c1:00.0");
	assert_string_equal(l->devices[0].backend, "cuda");
	assert_string_equal(l->devices[1].name, "Vulkan1");
	assert_string_equal(l->devices[1].pci, "");
	assert_int_equal(l->engine.n_layers, 1);
	assert_string_equal(l->engine.layers[0], "CUDA0");
	assert_int_equal(l->engine.n_buffers, 1);
	assert_int_equal(l->engine.buffers[0].bytes, 4 << 20);
	assert_string_equal(l->engine.error, "");
	feed(l, "0.00.013.000 E alloc: cudaMalloc failed: out of memory\n");
	assert_true(l->engine.no_memory);
	assert_string_equal(l->engine.error, "alloc: cudaMalloc failed: out of memory");
	free(l);
}

static void counters(void **state)
{
	static const char good[] =
		"HTTP/1.1 200 OK\r\n\r\n# HELP llamacpp:prompt_tokens_total x\n"
		"llamacpp:prompt_tokens_total 12\nllamacpp:prompt_seconds_total 0.5\n"
		"llamacpp:tokens_predicted_total 3e1\n"
		"llamacpp:tokens_predicted_seconds_total 2\n"
		"llamacpp:requests_deferred 4\n";
	static const char *const bad[] = { "-1", "nan", "1e300", "", "x" };
	struct outcome o = { 0 };
	uint32_t queue = 9;
	char text[sizeof(good) + 16];

	(void)state;
	assert_true(scrape_read(good, &o, &queue));
	assert_int_equal(o.prompt_tokens, 12);
	assert_int_equal(o.prompt_ns, 500000000);
	assert_int_equal(o.generated_tokens, 30);
	assert_int_equal(o.generated_ns, 2000000000);
	assert_int_equal(queue, 4);
	for (size_t i = 0; i < COUNT(bad); i++) {
		strcpy(text, good);
		strcpy(strstr(text, "deferred ") + 9, bad[i]);
		assert_false(scrape_read(text, &o, &queue));
	}
	assert_false(scrape_read("", &o, &queue));
	assert_int_equal(queue, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options),
		cmocka_unit_test(logs),
		cmocka_unit_test(counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
