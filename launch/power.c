/* SPDX-License-Identifier: MIT */
#include "launch/power.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "launch/ledger.h"
#include "launch/powerwish.h"
#include "launch/runtime.h"

#define DEVICE_TIMEOUT_MS 60000 /* it has its own limits, which are shorter */

#define DEVICE_WORDS 12

/* --- berth device, as a child --- */

/* Which errno stands for an exit code of `berth device`; what is not here is the environment's. */
static const struct {
	int exit, rc;
} exits[] = {
	{ EXIT_NO, -ENODEV },
	{ EXIT_UNKNOWN, -ENODATA },
	{ EXIT_BAD_INPUT, -EINVAL },
	{ EXIT_LOST, -ENXIO },
};

static int judge(const struct child_answer *a, struct err *e)
{
	static const char mark[] = "berth device: ";
	const char *says = a->said;
	int rc = -EACCES;

	if (a->exit == EXIT_YES)
		return 0;
	if (strncmp(says, mark, sizeof(mark) - 1) == 0)
		says += sizeof(mark) - 1;
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
		if (exits[i].exit == a->exit)
			rc = exits[i].rc;
	return err_set(e, rc, "%s", says[0] ? says : "`berth device` did not say why");
}

/*
 * `berth device` with these words, which end with NULL. 0, and in txn[] (which may be NULL) the transaction
 * that it carried out; else an errno with its sentence in *e.
 */
static int device(const char *const words[DEVICE_WORDS], char txn[LEDGER_TXN_MAX], struct err *e)
{
	own_free struct core_start *s = calloc(1, sizeof(*s));
	char program[PATH_MAX];
	struct child_answer a;
	json_t *o;
	int rc = s ? runtime_program("device", program, sizeof(program), e)
		   : err_set(e, -ENOMEM, "out of memory");

	if (rc)
		return rc;
	s->argv[s->argc++] = program;
	for (uint32_t i = 0; i < DEVICE_WORDS && words[i]; i++)
		s->argv[s->argc++] = words[i];
	rc = child_ask(s, DEVICE_TIMEOUT_MS, &a, e);
	if (rc)
		return rc;
	rc = judge(&a, e);
	/* without a change there is none */
	o = rc == 0 && txn ? json_parse(a.out, a.n, "the answer of berth device", NULL) : NULL;
	if (txn)
		txn[0] = '\0';
	if (o)
		json_get_text(o, "transaction", txn, LEDGER_TXN_MAX);
	json_decref(o);
	free(a.out);
	return rc;
}

/* --- which --- */

static bool wish_of(const struct job *j, struct power_wish *w)
{
	return power_wish_parse(w, j->o.power_cap, NULL) == 0 && (w->all[0] || w->n);
}

/* The d-th device's limit; NULL: none is asked for, or it has no address. */
static const char *cap_of(const struct power_wish *w, const struct plan *p, uint32_t d)
{
	return p->devices[d].pci[0] ? power_wish_of(w, p->devices[d].pci) : NULL;
}

int power_check(const struct job *j, struct err *e)
{
	struct power_wish w;
	uint32_t n = 0;
	int rc;

	if (!wish_of(j, &w))
		return 0;
	rc = power_wish_check(&w, &j->plan, e);
	for (uint32_t d = 0; d < j->plan.n_devices && rc == 0; d++) {
		const char *pci = j->plan.devices[d].pci, *cap = cap_of(&w, &j->plan, d);
		const char *const words[DEVICE_WORDS] = { "power",  pci,         "--cap", cap,
							  "--wake", "--dry-run", "--json" };

		n += cap != NULL;
		rc = cap ? device(words, NULL, e) : 0;
	}
	if (rc == 0 && n == 0)
		log_warn(&j->log,
			 "--power-cap limits nothing: the plan uses no GPU that has an address");
	return rc;
}

/* --- set --- */

/* A device that is gone took its limit with it; one that somebody else has set since, keeps that. */
static void pay_one(struct ledger *l, struct ledger_cap *c, const struct log *log)
{
	const char *const words[DEVICE_WORDS] = { "undo", "--for", c->whom, "--json" };
	char txn[LEDGER_TXN_MAX];
	struct err e = { 0 };
	int rc = device(words, txn, &e);

	if (rc && rc != -ENODEV && rc != -ENXIO) {
		log_warn(log,
			 "the power limit of %s could not be taken back: %s; `berth device undo "
			 "--for '%s'` does it",
			 c->pci, e.text, c->whom);
		return;
	}
	ledger_paid(l, c);
	if (rc)
		log_note(log, "the power limit of %s is not taken back: %s", c->pci, e.text);
	else if (txn[0]) /* else it never was set, or was so before */
		log_note(log, "the power limit of %s is taken back", c->pci);
}

static int limit(struct job *j, const char *pci, const char *cap, struct err *e)
{
	struct ledger *l = j->power;
	char other[64], txn[LEDGER_TXN_MAX];
	struct ledger_cap *c;
	int rc;

	c = ledger_find(l, pci);
	if (c && c->doubtful)
		pay_one(l, c, &j->log);
	if (ledger_find(l, pci))
		return 0;
	if (ledgers_limit(pci, l, other))
		return err_set(
			e, -EACCES,
			"%s is limited for the run %s already; two limits cannot both be taken "
			"back",
			pci, other);
	c = ledger_owe(l, pci, cap, e);
	if (!c)
		return -EACCES;
	const char *const words[DEVICE_WORDS] = { "power",  pci,     "--cap", cap,
						  "--wake", "--for", c->whom, "--json" };

	rc = device(words, txn, e);
	if (rc) /* nothing is set, or it took it back; should it have died, --for finds out */
		return rc;
	ledger_set(l, c, txn);
	log_note(&j->log, "%s is limited to %s%s", pci, cap,
		 strcasecmp(cap, "default") == 0 ? "" : " W");
	return 0;
}

int power_apply(struct job *j, struct err *e)
{
	struct power_wish w;
	int rc = 0;

	if (!wish_of(j, &w))
		return 0;
	if (!j->power) {
		j->power = calloc(1, sizeof(*j->power));
		if (!j->power)
			return err_set(e, -ENOMEM, "out of memory");
		rc = ledger_begin(j->power, j->name[0] ? j->name : "launch", e);
	}
	for (uint32_t d = 0; d < j->plan.n_devices && rc == 0; d++) {
		const char *cap = cap_of(&w, &j->plan, d);

		rc = cap ? limit(j, j->plan.devices[d].pci, cap, e) : 0;
	}
	return rc;
}

/* --- take back --- */

void power_lost(struct job *j, const char *pci)
{
	struct ledger_cap *c = j->power && pci[0] ? ledger_find(j->power, pci) : NULL;

	if (!c)
		return;
	if (j->losses.open && presence_of(&j->losses.machine, pci) == PRESENCE_GONE)
		ledger_paid(j->power, c);
	else
		c->doubtful = true;
}

static void pay(struct ledger *l, const struct log *log)
{
	for (uint32_t i = l->n; i-- > 0;)
		if (l->caps[i].owed)
			pay_one(l, &l->caps[i], log);
	ledger_end(l);
}

void power_restore(struct job *j)
{
	if (!j->power)
		return;
	pay(j->power, &j->log);
	free(j->power);
	j->power = NULL;
}

void power_recover(const struct log *log)
{
	own_free struct ledger *list = calloc(LEDGERS_MAX, sizeof(*list));
	int n = list ? ledgers_orphaned(list) : 0;

	for (int i = 0; i < n; i++) {
		log_note(log, "a launch of %s was killed before it took its power limits back",
			 list[i].run);
		pay(&list[i], log);
	}
}

void power_record(const struct job *j, struct run_record *r)
{
	const struct ledger *l = j->power;

	r->n_caps = 0;
	for (uint32_t i = 0; l && i < l->n && r->n_caps < RUN_CAPS_MAX; i++) {
		struct run_cap *to = &r->caps[r->n_caps];

		if (!l->caps[i].owed)
			continue;
		text_copy(to->pci, sizeof(to->pci), l->caps[i].pci);
		text_copy(to->cap, sizeof(to->cap), l->caps[i].cap);
		text_copy(to->txn, sizeof(to->txn), l->caps[i].txn);
		r->n_caps++;
	}
}

/* --- words --- */

void power_text(struct text *t, const struct job *j)
{
	struct power_wish w;

	for (uint32_t d = 0; wish_of(j, &w) && d < j->plan.n_devices; d++) {
		const char *cap = cap_of(&w, &j->plan, d);

		if (cap)
			text_add(t, "\npower limit: %s %s%s", j->plan.devices[d].pci, cap,
				 strcasecmp(cap, "default") == 0 ? "" : " W");
	}
}

json_t *power_json(const struct job *j)
{
	json_t *list = json_array();
	struct power_wish w;

	for (uint32_t d = 0; wish_of(j, &w) && d < j->plan.n_devices; d++) {
		const char *cap = cap_of(&w, &j->plan, d);
		json_t *o = cap ? json_object() : NULL;

		if (!o)
			continue;
		json_put_text(o, "pci", j->plan.devices[d].pci);
		json_put_text(o, "cap", cap);
		json_array_append_new(list, o);
	}
	return list;
}
