/* SPDX-License-Identifier: MIT */
#include "core/tell.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define JSON "application/json"

static void unknown_model(struct told *t, const char *said, const char *name)
{
	struct refusal why = { .status = 404, .code = "model_not_found" };

	snprintf(why.sentence, sizeof(why.sentence),
		 "model \"%.120s\" not found; this run is \"%.120s\"", said, name);
	text_clean(why.sentence);
	t->status = why.status;
	reply_error(&t->body, false, &why);
}

void tell(struct told *t, const struct admission *a, const char *name, const struct batch_model *m,
	  const struct batch_stats *stats)
{
	*t = (struct told) { .status = 200, .type = JSON };
	switch (a->route->what) {
	case ROUTE_MODEL:
		if (strcmp(a->model, name) == 0)
			reply_model(&t->body, name, m);
		else
			unknown_model(t, a->model, name);
		break;
	case ROUTE_MODELS:
		reply_models(&t->body, name, m);
		break;
	case ROUTE_HEALTH:
		reply_health(&t->body, stats);
		/* Asleep is healthy: the next request wakes it */
		if (stats->state == BATCH_LOADING || stats->state == BATCH_STOPPING)
			t->status = 503;
		break;
	case ROUTE_METRICS:
		reply_metrics(&t->body, name, stats);
		t->type = "text/plain; version=0.0.4; charset=utf-8";
		break;
	case ROUTE_TAGS:
		reply_tags(&t->body, name, m);
		break;
	case ROUTE_PS:
		reply_ps(&t->body, name, m, stats);
		break;
	case ROUTE_VERSION:
		reply_version(&t->body);
		break;
	default:
		bytes_text(&t->body, "Ollama is running");
		t->type = "text/plain; charset=utf-8";
		break;
	}
}
