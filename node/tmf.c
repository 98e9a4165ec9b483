/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tmf.c - task management within one session; what reaches further goes to the control thread (tmf_all.c)
 *
 * RFC 7143 11.5, RFC 7144 6, SAM-5 7: a function is answered when the tasks it means are gone.
 */
#include <syslog.h>

#include "node/node.h"
#include "node/util/wire.h"

static void answer(struct tmf *f, enum isc_tmf_response response)
{
	struct conn *c = f->conn;

	isc_tmf_complete(f->isc, response);
	if (f->fn == ISC_TMF_TARGET_COLD_RESET && response == ISC_TMF_COMPLETE)
		session_finish(c->sess, "target cold reset");
	free(f);
	c->n_held--;
	conn_task_gone(c);
}

static void gone(struct abort_req *q)
{
	answer(container_of(q, struct tmf, abort), ISC_TMF_COMPLETE);
}

static void answered(struct msg *m, void *reactor)
{
	struct tmf *f = container_of(m, struct tmf, msg);

	(void)reactor;
	answer(f, f->response);
}

/* ABORT TASK, ABORT TASK SET */
static void here(struct tmf *f)
{
	f->abort = (struct abort_req){ .sess = f->conn->sess, .lu = f->lu, .gone = gone };
	if (f->isc->fn == ISC_TMF_ABORT_TASK) {
		if (!f->isc->task) {
			answer(f, ISC_TMF_NO_TASK);
			return;
		}
		f->abort.lu = NULL;
		f->abort.only = task_of(f->isc->task);
	}
	tasks_abort(f->conn->r, &f->abort);
}

static void everywhere(struct tmf *f)
{
	f->fn = f->isc->fn;
	f->answered = answered;
	f->msg.run = tmf_all_request;
	control_send(f->conn->r->ctl, &f->msg);
}

/* RFC 7143 11.6.1: who sees only some of the LUNs has no say over all of them. */
static void whole_target(struct tmf *f)
{
	if (f->conn->sess->masked)
		answer(f, ISC_TMF_AUTH_FAILED);
	else
		everywhere(f);
}

/* ---- queries: SAM-5 7.8 to 7.10. "Complete" is no, "succeeded" is yes. ---- */

static void say(struct tmf *f, bool yes)
{
	answer(f, yes ? ISC_TMF_SUCCEEDED : ISC_TMF_COMPLETE);
}

static void query_task(struct tmf *f)
{
	say(f, f->isc->found);
}

static void query_task_set(struct tmf *f)
{
	const struct task *t;
	bool any = false;

	list_for_each(t, &f->conn->r->tasks, link)
		any |= t->lu == f->lu && !task_dead(t) && sc_nexus_equal(&t->sess->nexus, &f->conn->nexus);
	say(f, any);
}

/* SAM-5 table 42: how deep (1: one, 2: more), sense key; ASC, ASCQ. It is not thereby reported. */
static void query_async_event(struct tmf *f)
{
	const struct sc_ua *ua = &itl_find(f->conn->sess, f->lu->lu)->sc.ua;
	uint16_t code = sc_ua_peek(ua);

	if (code) {
		f->isc->info[0] = (uint8_t)((ua->n > 1 ? 2 : 1) << 4 | SC_KEY_UNIT_ATTENTION);
		put_be16(f->isc->info + 1, code);
	}
	say(f, code);
}

static void not_supported(struct tmf *f)
{
	answer(f, ISC_TMF_NOT_SUPPORTED);
}

static const struct {
	const char *name;
	bool no_lun;
	void (*run)(struct tmf *f);
} functions[] = {
	[ISC_TMF_ABORT_TASK] = { "ABORT TASK", false, here },
	[ISC_TMF_ABORT_TASK_SET] = { "ABORT TASK SET", false, here },
	[ISC_TMF_CLEAR_ACA] = { "CLEAR ACA", false, not_supported },  /* NormACA is 0 */
	[ISC_TMF_CLEAR_TASK_SET] = { "CLEAR TASK SET", false, everywhere },
	[ISC_TMF_LUN_RESET] = { "LOGICAL UNIT RESET", false, everywhere },
	[ISC_TMF_TARGET_WARM_RESET] = { "TARGET WARM RESET", true, whole_target },
	[ISC_TMF_TARGET_COLD_RESET] = { "TARGET COLD RESET", true, whole_target },
	[ISC_TMF_TASK_REASSIGN] = { "TASK REASSIGN", false, not_supported },
	[ISC_TMF_QUERY_TASK] = { "QUERY TASK", false, query_task },
	[ISC_TMF_QUERY_TASK_SET] = { "QUERY TASK SET", false, query_task_set },
	[ISC_TMF_NEXUS_RESET] = { "I_T NEXUS RESET", true, everywhere },
	[ISC_TMF_QUERY_ASYNC_EVENT] = { "QUERY ASYNCHRONOUS EVENT", false, query_async_event },
};

void tmf_request(struct isc_tmf *isc)
{
	struct conn *c = isc_conn_user(isc->conn);
	struct tmf *f = calloc(1, sizeof(*f));
	int k = itl_index(c->sess, sc_lun_decode(isc->lun));

	if (!f) {
		isc_tmf_complete(isc, ISC_TMF_REJECTED);
		return;
	}
	f->isc = isc;
	f->conn = c;
	f->lu = k >= 0 ? c->sess->itl[k]->lu : NULL;
	c->n_held++;
	rlog(c->r, LOG_INFO, "%s: %s, LUN %d", c->name, functions[isc->fn].name,
	     functions[isc->fn].no_lun ? -1 : sc_lun_decode(isc->lun));
	if (!f->lu && !functions[isc->fn].no_lun)
		answer(f, ISC_TMF_NO_LUN);
	else
		functions[isc->fn].run(f);
}
