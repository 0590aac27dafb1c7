/* SPDX-License-Identifier: MIT */
#include "core/admit.h"

#include <string.h>

#include "base/text.h"

void admit_refuse(struct admission *a, int status, const char *code, const char *sentence)
{
	if (a->why.status)
		return;
	a->why = (struct refusal) { .status = status, .code = code };
	text_copy(a->why.sentence, sizeof(a->why.sentence), sentence);
}

static void check_origin(struct admission *a, const struct house *h, const struct knock *k)
{
	if (!guard_host(k->host, h->hosts, h->n_hosts))
		admit_refuse(
			a, 403, "host_not_allowed",
			"the Host of this request is not one that this run answers to; --allow-host "
			"NAME adds one");
	if (k->origin && !guard_origin(k->origin, h->hosts, h->n_hosts))
		admit_refuse(a, 403, "origin_not_allowed",
			     "pages of this origin may not use this run; those of localhost may");
	else if (k->origin)
		text_copy(a->origin, sizeof(a->origin), k->origin);
}

static void check_route(struct admission *a, const struct house *h, const struct knock *k)
{
	int status;

	a->route = route_find(k->method, k->path, k->ollama, &status, &a->allow);
	if (a->route && a->route->what == ROUTE_MODEL)
		text_copy(a->model, sizeof(a->model), k->path + strlen(a->route->path));
	/* Without the key nothing is told, not even what there is */
	if (h->key && !k->ollama && !(a->route && a->route->open) &&
	    !guard_key(k->authorization, h->key))
		admit_refuse(
			a, 401, "invalid_api_key",
			"the key is missing or wrong; send \"Authorization: Bearer KEY\" with the key "
			"of the run's key file");
	if (!a->route)
		admit_refuse(a, status, NULL,
			     status == 404 ? "there is nothing at this path"
					   : "this path takes another method");
}

void admit(struct admission *a, const struct house *h, const struct knock *k)
{
	uint64_t n;

	*a = (struct admission) { .preflight = strcmp(k->method, "OPTIONS") == 0 };
	check_origin(a, h, k);
	if (a->preflight)
		return;
	check_route(a, h, k);
	if (k->length && (text_parse_u64(k->length, &n) || n > h->body_max))
		admit_refuse(a, 413, NULL, ADMIT_TOO_LARGE);
}
