/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conn.c - life of a connection; its states are described in priv.h */
#include <stdlib.h>

#include "node/iscsi/recover.h"
#include "node/util/util.h"

void isc_config_default(struct isc_config *cfg)
{
	*cfg = (struct isc_config){
		.window = ISC_WINDOW_DEFAULT,
		.max_recv_dsl = ISC_RECV_DSL_MAX,
		.max_burst = 1 << 20,
		.first_burst = 1 << 18,
		.max_outstanding_r2t = ISC_R2T_MAX,
		.max_connections = ISC_CONNECTIONS_DEFAULT,
		.max_send_dsl = 1 << 20,
		.immediate_data = true,
		.header_digest = ISC_DIGEST_NONE | ISC_DIGEST_CRC32C,
		.data_digest = ISC_DIGEST_NONE | ISC_DIGEST_CRC32C,
		.chap_algs = ISC_CHAP_ANY,
		.tpgt = 1,
		.time2retain = 20,
		.max_erl = 1,
	};
}

/* What holds before anything is negotiated (chapter 13) */
static const struct isc_params params_default = {
	.max_recv_dsl = 8192,
	.max_send_dsl = 8192,
	.max_burst = 262144,
	.first_burst = 65536,
	.max_outstanding_r2t = 1,
	.max_connections = 1,
	.time2wait = 2,
	.time2retain = 20,
	.protocol_level = 1,
	.header_digest = ISC_DIGEST_NONE,
	.data_digest = ISC_DIGEST_NONE,
	.initial_r2t = true,
	.immediate_data = true,
	.data_pdu_in_order = true,
	.data_sequence_in_order = true,
};

struct isc_conn *isc_conn_new(const struct isc_ops *ops, const struct isc_config *cfg, void *user)
{
	struct isc_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->ops = ops;
	c->cfg = *cfg;
	c->user = user;
	c->params = params_default;
	c->login.tpgt = cfg->tpgt;
	c->next_ttt = 1;
	c->nop_ttt = TAG_NONE;
	list_init(&c->tasks);
	list_init(&c->logouts);
	list_init(&c->link);
	isc_rx_init(c);
	isc_tx_init(c);
	return c;
}

void isc_conn_free(struct isc_conn *c)
{
	if (!c)
		return;
	c->closed = true;  /* the server knows */
	if (c->state != CONN_LOST)
		isc_conn_set_state(c, CONN_CLOSING);
	c->recovers = false;
	isc_tasks_drop(c);
	isc_tmf_drop(c);
	isc_logout_drop(c);
	isc_rx_free(c);
	isc_tx_free(c);
	isc_retain_free(c);
	isc_login_free(c);
	isc_text_free(c);
	isc_sess_leave(c);
	free(c);
}

void isc_conn_set_state(struct isc_conn *c, enum conn_state state)
{
	c->state = state;
	if (state >= CONN_LOGOUT)
		isc_sess_discard(c);
}

void isc_conn_close(struct isc_conn *c, enum isc_close why, const char *what)
{
	c->recovers = c->params.erl == 2 && why != ISC_CLOSE_LOGOUT;
	isc_conn_set_state(c, CONN_CLOSING);
	if (c->closed)
		return;
	c->closed = true;
	c->ops->closing(c, why, what);
}

uint32_t isc_new_ttt(struct isc_conn *c)
{
	uint32_t ttt = c->next_ttt++;

	if (c->next_ttt == TAG_NONE)
		c->next_ttt = 1;
	return ttt;
}

void *isc_conn_user(const struct isc_conn *c) { return c->user; }
const struct isc_login *isc_conn_login(const struct isc_conn *c) { return &c->login; }
const struct isc_params *isc_conn_params(const struct isc_conn *c) { return &c->params; }
const struct isc_stats *isc_conn_stats(const struct isc_conn *c) { return &c->stats; }
bool isc_conn_full_feature(const struct isc_conn *c) { return c->state == CONN_FULL || c->state == CONN_LOGOUT; }
bool isc_conn_parked(const struct isc_conn *c) { return c->state == CONN_PARKED; }
bool isc_conn_closing(const struct isc_conn *c) { return c->state >= CONN_CLOSING; }
struct isc_sess *isc_conn_sess(const struct isc_conn *c) { return c->sess; }
unsigned isc_conn_tasks(const struct isc_conn *c) { return c->n_tasks; }
