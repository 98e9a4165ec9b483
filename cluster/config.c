/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.c - the document in force on this node, and how it changes
 *
 * Theory of operation. There is one document for the cluster, with a version. A change comes as ConfigPush in CPG's
 * order: PREPARE asks every member whether it could take the document; COMMIT has it stored, and once it is on
 * stable storage it is in force here and acknowledged (apply.c drives both). A node that was away tells an older
 * version in its NodeState; of the members with the newest one the node with the lowest id sends it (SYNC). Two
 * documents of one version (both halves of a split cluster were forced) are told apart by a hash: the larger hash
 * wins everywhere, and it is said aloud.
 *
 * A document that is stored but damaged, or that this version of the software does not understand, is as good as
 * none: the members have it.
 */
#include "cluster/shell.h"

#include <errno.h>
#include <string.h>

#include <qb/qblog.h>

/* ---- for the core ---- */

struct made_conf {
	struct core_conf conf;   /* first: is what callers see */
	struct pool pool;
};

static const uint8_t *group_nodes(struct clusterd *d, struct pool *p, const struct conf_group *cg, unsigned *n)
{
	uint8_t *ids = pool_alloc(p, cg->n_node + 1);

	*n = 0;
	for (size_t i = 0; i < cg->n_node; i++) {
		unsigned id = shell_node_id(d, cg->node[i]);

		if (id)
			ids[(*n)++] = (uint8_t)id;
		else
			event_add(d, cg->name, CORE_WARNING, "node-unknown", "%s is configured for this group, but corosync's "
				  "nodelist has no node of that name with an id of 1 to %u", cg->node[i], NODE_ID_MAX);
	}
	return ids;
}

static void fill_group(struct clusterd *d, struct pool *p, const struct conf_group *cg, struct core_group_conf *ret)
{
	const char **luns = pool_alloc(p, (cg->n_fence + 1) * sizeof(*luns));

	for (size_t i = 0; i < cg->n_fence; i++)
		luns[i] = pool_text(p, cg->fence[i].path);
	*ret = (struct core_group_conf){
		.name = pool_text(p, cg->name),
		.luns = luns,
		.n_luns = (unsigned)cg->n_fence,
		.failback = cg->failback_auto,
	};
	ret->nodes = group_nodes(d, p, cg, &ret->n_nodes);
}

struct core_conf *config_core(struct clusterd *d)
{
	struct made_conf *m = calloc(1, sizeof(*m));
	struct core_node_conf *nodes;
	struct core_group_conf *groups;
	unsigned n = 0;

	if (!m)
		abort();
	nodes = pool_alloc(&m->pool, (d->nodes.n + 1) * sizeof(*nodes));
	for (size_t i = 0; i < d->nodes.n && n < CORE_MAX_NODES; i++)
		if (d->nodes.node[i].id <= NODE_ID_MAX)
			nodes[n++] = (struct core_node_conf){ (uint8_t)d->nodes.node[i].id,
							      pool_text(&m->pool, d->nodes.node[i].name) };
	m->conf.version = d->config_version;
	m->conf.nodes = nodes;
	m->conf.n_nodes = n;
	if (!d->conf)
		return &m->conf;
	groups = pool_alloc(&m->pool, (d->conf->n_group + 1) * sizeof(*groups));
	for (size_t i = 0; i < d->conf->n_group; i++)
		fill_group(d, &m->pool, &d->conf->group[i], &groups[i]);
	m->conf.groups = groups;
	m->conf.n_groups = (unsigned)d->conf->n_group;
	return &m->conf;
}

void config_core_free(struct core_conf *c)
{
	struct made_conf *m = (struct made_conf *)c;

	pool_free(&m->pool);
	free(m);
}

/* ---- in force ---- */

static uint64_t hash_of(const char *yaml)
{
	uint64_t h = 0xcbf29ce484222325ull;   /* FNV-1a */

	for (const char *p = yaml; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	return h;
}

void config_spread(struct clusterd *d)
{
	struct group *g;

	for (size_t i = 0; d->conf && i < d->conf->n_group; i++)
		shell_group(d, d->conf->group[i].name);
	list_for_each(g, &d->groups, link) {
		const struct conf_group *cg = d->conf ? conf_group_find(d->conf, g->name) : NULL;

		g->configured = cg != NULL;
		portals_configure(g, cg);
		fences_configure(g, cg);
	}
	if (d->core) {
		struct core_conf *cc = config_core(d);
		struct core_event ev = { .type = CORE_EV_CONFIG, .conf = *cc };

		shell_feed(d, &ev);
		config_core_free(cc);
	}
}

static void put_in_force(struct clusterd *d, struct conf *conf, const char *yaml, uint64_t version)
{
	struct conf *old = d->conf;

	free(d->yaml);
	d->yaml = strdup(yaml);
	if (!d->yaml)
		abort();
	d->conf = conf;
	d->config_version = version;
	d->config_hash = hash_of(yaml);
	d->config_note[0] = 0;
	config_spread(d);
	conf_free(old);
	event_add(d, NULL, CORE_INFO, "config", "configuration %llu is in force: %zu groups",
		  (unsigned long long)version, conf->n_group);
}

static bool newer(uint64_t version, uint64_t hash, uint64_t than_version, uint64_t than_hash)
{
	return version != than_version ? version > than_version : hash > than_hash;
}

/* ---- what comes over CPG ---- */

static void ack(struct clusterd *d, const Lunward__ConfigPush *m, const char *error)
{
	Lunward__ClusterMessage pb = LUNWARD__CLUSTER_MESSAGE__INIT;
	Lunward__ConfigAck a = LUNWARD__CONFIG_ACK__INIT;

	if (!m->requester)
		return;   /* SYNC: nobody waits */
	a.version = m->version;
	a.ok = !error;
	a.error = (char *)(error ? error : "");
	a.cookie = m->cookie;
	a.requester = m->requester;
	pb.msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_CONFIG_ACK;
	pb.config_ack = &a;
	corosync_send_pb(d, &pb);
}

/* What this node lacks for the groups it is to serve: devices, secrets. Return: findings, or NULL; malloc()ed */
static char *missing_here(struct clusterd *d, const struct conf *conf, const char *name)
{
	_cleanup_diags_ struct conf_diags diags = CONF_DIAGS_INIT;
	char self[CORE_NAME_MAX];
	size_t n = 0;

	shell_node_name(d, d->self, self);
	diags.name = strdup(name);
	for (size_t i = 0; i < conf->n_group; i++)
		if (conf_group_rank(&conf->group[i], self) >= 0)
			n += conf_check_files(conf, conf->group[i].name, &diags);
	return n ? conf_diags_text(&diags) : NULL;
}

static void prepare(struct clusterd *d, const Lunward__ConfigPush *m)
{
	_cleanup_diags_ struct conf_diags diags = CONF_DIAGS_INIT;
	_cleanup_conf_ struct conf *conf = NULL;
	_cleanup_free_ char *text = NULL;
	char stale[128];

	if (conf_parse(m->yaml, strlen(m->yaml), m->name, CONF_CLUSTER, &conf, &diags) < 0)
		text = conf_diags_text(&diags);
	else if (!m->force)
		text = missing_here(d, conf, m->name);
	snprintf(stale, sizeof(stale), "it has configuration %llu already: somebody else has changed it, apply again",
		 (unsigned long long)d->config_version);
	ack(d, m, m->version <= d->config_version ? stale : text);
}

struct storing {
	struct clusterd *d;
	struct conf *conf;
	Lunward__ConfigPush *m;
};

static void on_stored(void *data, uint64_t cookie, int error)
{
	struct storing *s = data;
	struct clusterd *d = s->d;
	char why[160];

	(void)cookie;
	if (error) {
		snprintf(why, sizeof(why), "it cannot be stored below %s: %s", d->state_dir, strerror(-error));
		event_add(d, NULL, CORE_ERROR, "config-not-stored", "configuration %llu: %s",
			  (unsigned long long)s->m->version, why);
		conf_free(s->conf);
	} else if (newer(s->m->version, hash_of(s->m->yaml), d->config_version, d->config_hash)) {
		put_in_force(d, s->conf, s->m->yaml, s->m->version);
	} else {
		conf_free(s->conf);
	}
	ack(d, s->m, error ? why : NULL);
	lunward__config_push__free_unpacked(s->m, NULL);
	free(s);
}

/* A message lives as long as its delivery: keep a copy. */
static Lunward__ConfigPush *copy_push(const Lunward__ConfigPush *m, uint8_t **ret_packed, size_t *ret_len)
{
	*ret_len = lunward__config_push__get_packed_size(m);
	*ret_packed = malloc(*ret_len + 1);
	if (!*ret_packed)
		abort();
	lunward__config_push__pack(m, *ret_packed);
	return lunward__config_push__unpack(NULL, *ret_len, *ret_packed);
}

static void commit(struct clusterd *d, const Lunward__ConfigPush *m)
{
	_cleanup_diags_ struct conf_diags diags = CONF_DIAGS_INIT;
	struct storing *s = calloc(1, sizeof(*s));
	_cleanup_free_ uint8_t *packed = NULL;
	_cleanup_free_ char *text = NULL;
	struct conf *conf = NULL;
	size_t len;

	if (!s)
		abort();
	if (conf_parse(m->yaml, strlen(m->yaml), m->name, CONF_CLUSTER, &conf, &diags) < 0) {
		text = conf_diags_text(&diags);
		event_add(d, NULL, CORE_ERROR, "config-not-understood", "configuration %llu: %s",
			  (unsigned long long)m->version, text);
		ack(d, m, text);
		free(s);
		return;
	}
	*s = (struct storing){ .d = d, .conf = conf, .m = copy_push(m, &packed, &len) };
	if (!s->m)
		abort();
	if (store_write(d->store, "config", STORE_CONFIG, false, packed, len, on_stored, s, 0) < 0)
		on_stored(s, 0, -ENOMEM);
}

void config_push(struct clusterd *d, uint8_t from, const Lunward__ConfigPush *m)
{
	char name[CORE_NAME_MAX];
	uint64_t hash = hash_of(m->yaml);

	if (m->phase == LUNWARD__CONFIG_PUSH__PHASE__PREPARE) {
		prepare(d, m);
		return;
	}
	if (m->version == d->config_version && hash == d->config_hash) {
		ack(d, m, NULL);
		return;
	}
	if (!newer(m->version, hash, d->config_version, d->config_hash)) {
		ack(d, m, "it has a newer configuration already");
		return;
	}
	if (m->version == d->config_version)
		event_add(d, NULL, CORE_WARNING, "config-conflict", "two different configurations have number %llu: the one "
			  "of %s is taken (was it applied with --force on both sides of a split?)",
			  (unsigned long long)m->version, shell_node_name(d, from, name));
	commit(d, m);
}

/* Are we the one of those with the newest document who sends it? */
static bool we_send(const struct clusterd *d)
{
	for (unsigned i = 1; i < d->self; i++)
		if (d->peer[i].live && d->peer[i].config_version == d->config_version &&
		    d->peer[i].config_hash == d->config_hash)
			return false;
	return true;
}

void config_peer(struct clusterd *d, uint8_t from, uint64_t version, uint64_t hash)
{
	Lunward__ClusterMessage pb = LUNWARD__CLUSTER_MESSAGE__INIT;
	Lunward__ConfigPush m = LUNWARD__CONFIG_PUSH__INIT;

	d->peer[from].config_version = version;
	d->peer[from].config_hash = hash;
	if (from == d->self || !d->yaml || !newer(d->config_version, d->config_hash, version, hash) || !we_send(d))
		return;
	m.phase = LUNWARD__CONFIG_PUSH__PHASE__SYNC;
	m.version = d->config_version;
	m.yaml = d->yaml;
	m.name = (char *)"stored";
	pb.msg_case = LUNWARD__CLUSTER_MESSAGE__MSG_CONFIG_PUSH;
	pb.config_push = &m;
	corosync_send_pb(d, &pb);
}

/* ---- at start-up ---- */

static void take_stored(struct clusterd *d, const Lunward__ConfigPush *m)
{
	_cleanup_diags_ struct conf_diags diags = CONF_DIAGS_INIT;
	_cleanup_free_ char *text = NULL;
	struct conf *conf;

	if (conf_parse(m->yaml, strlen(m->yaml), "stored", CONF_CLUSTER, &conf, &diags) == 0) {
		put_in_force(d, conf, m->yaml, m->version);
		return;
	}
	text = conf_diags_text(&diags);
	snprintf(d->config_note, sizeof(d->config_note), "the stored configuration %llu is not understood by this version: "
		 "%s", (unsigned long long)m->version, text);
	event_add(d, NULL, CORE_ERROR, "config-not-understood", "%s", d->config_note);
}

void config_load(struct clusterd *d)
{
	struct store_file f = { 0 };
	const char *why = NULL;
	Lunward__ConfigPush *m = NULL;
	int r = store_read(d->store, "config", STORE_CONFIG, &f, &why);

	if (r == -ENOENT)
		return;
	if (r == 0)
		m = lunward__config_push__unpack(NULL, f.len, f.payload);
	free(f.payload);
	if (m) {
		take_stored(d, m);
		lunward__config_push__free_unpacked(m, NULL);
		return;
	}
	snprintf(d->config_note, sizeof(d->config_note), "the stored configuration is damaged (%s): it is taken from another "
		 "node, or apply it again", why ? why : r < 0 ? strerror(-r) : "no such message");
	event_add(d, NULL, CORE_ERROR, "config-damaged", "%s", d->config_note);
}
