/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * portals.c - the addresses of a group: leased in the kernel, announced, given up
 *
 * Theory of operation. While a group serves, each of its portals is added with a lifetime of lease_ms and renewed
 * every lease_renew_ms by one timer of the loop. There is no other renewal: a clusterd that hangs or dies loses the
 * addresses by the kernel's own clock, and one that goes on after that asks the core before it takes them again.
 * A renewal also brings back what somebody removed, and finds a device that was not there. The core is told once all addresses are as wanted, or what is wrong, and again when that changes.
 *
 * Order on the way up: address, announcement, tickle (facts: a tickle before the announcement is answered to the
 * former owner's hardware address). On the way down: address first, then what is left of its sockets is destroyed,
 * so that their resets have no way out.
 */
#include "cluster/shell.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include <qb/qblog.h>

static void portal_free(struct portal *p)
{
	list_del(&p->link);
	free(p->dev);
	free(p->text);
	free(p);
}

/* ---- devices ---- */

static bool connected(const struct dev_addr *l, size_t n, int ifindex, const struct ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (l[i].ifindex == ifindex && !ip_equal(&l[i].ip, ip) && ip_in_subnet(ip, &l[i].ip, l[i].prefix))
			return true;
	return false;
}

/* Where the portal belongs now. Return: 0 or -ENODEV */
static int find_device(struct clusterd *d, struct portal *p)
{
	_cleanup_free_ struct dev_addr *list = NULL;
	size_t n = 0;
	int r = netlink_addrs(d->netlink, &list, &n);

	if (r < 0)
		return r;
	r = p->dev ? (int)if_nametoindex(p->dev) : device_choose(list, n, &p->ip);
	if (r <= 0)
		return -ENODEV;
	p->ifindex = r;
	p->prefix_route = !connected(list, n, r, &p->ip);
	return 0;
}

static void describe(const struct portal *p, char *buf, size_t size)
{
	if (p->error == -ENODEV && p->dev)
		snprintf(buf, size, "portal %s: there is no network device %s on this node", p->text, p->dev);
	else if (p->error == -ENODEV)
		snprintf(buf, size, "portal %s: no network device that is up has an address in its subnet; add one, or name "
			 "the device in the configuration (ADDRESS/LENGTH@DEVICE)", p->text);
	else
		snprintf(buf, size, "portal %s: %s", p->text, strerror(-p->error));
}

/* ---- one portal ---- */

static void lease(struct group *g, struct portal *p)
{
	struct clusterd *d = g->d;
	unsigned lease_s = d->conf ? d->conf->opt.lease_ms / 1000 : 2;
	int r = p->ifindex ? 0 : find_device(d, p);

	if (r == 0 && !p->up && p->ip.len == 16)
		netlink_mute(d->netlink, &p->ip, false);   /* should clusterd have died in sockdiag_destroy() */
	if (r == 0)
		r = netlink_addr_add(d->netlink, p->ifindex, &p->ip, p->prefix, MAX(lease_s, 1u), p->prefix_route);
	if (r < 0) {
		p->ifindex = 0;     /* look again next time */
		p->up = false;
		p->error = r;
		return;
	}
	p->renewed_ns = mono_ns();
	if (!p->up) {
		char dev[IF_NAMESIZE] = "?";

		if_indextoname((unsigned)p->ifindex, dev);
		event_add(d, g->name, CORE_INFO, "address-up", "%s on %s", p->text, dev);
	}
	p->up = true;
	p->error = 0;
}

static size_t connections(const struct core_body *body, struct tickle_conn **ret)
{
	Lunward__RecordBody *pb = body ? lunward__record_body__unpack(NULL, body->len, body->data) : NULL;
	size_t n = 0;

	*ret = pb ? calloc(pb->n_connections + 1, sizeof(**ret)) : NULL;
	for (size_t i = 0; *ret && i < pb->n_connections; i++) {
		const Lunward__Connection *c = pb->connections[i];
		struct tickle_conn *t = &(*ret)[n];

		n += ip_make(&t->portal.ip, c->portal_addr.data, c->portal_addr.len) &&
		     ip_make(&t->client.ip, c->client_addr.data, c->client_addr.len);
		t->portal.port = (uint16_t)c->portal_port;
		t->client.port = (uint16_t)c->client_port;
	}
	if (pb)
		lunward__record_body__free_unpacked(pb, NULL);
	return n;
}

static void announce(struct group *g, struct portal *p, const struct tickle_conn *conn, size_t n)
{
	struct clusterd *d = g->d;
	int r = announce_start(d->announcer, p->ifindex, &p->ip);

	if (r < 0)
		event_add(d, g->name, CORE_WARNING, "announce-failed", "%s: %s", p->text, strerror(-r));
	else
		event_add(d, g->name, CORE_INFO, "announced", "%s", p->text);
	if (!n)
		return;
	r = tickle_start(d->tickler, &p->ip, conn, n);
	if (r < 0)
		event_add(d, g->name, CORE_WARNING, "tickle-failed", "%s: %s", p->text, strerror(-r));
	else if (r > 0)
		event_add(d, g->name, CORE_INFO, "tickled", "%d connections to %s", r, p->text);
}

/* Give an address up. Return: 0 or -errno */
static int release(struct group *g, struct portal *p)
{
	struct clusterd *d = g->d;
	int r = 0, killed;

	announce_stop(d->announcer, &p->ip);
	tickle_stop(d->tickler, &p->ip);
	if (!p->ifindex && find_device(d, p) < 0)
		return 0;   /* nowhere to be */
	r = netlink_addr_del(d->netlink, p->ifindex, &p->ip, p->prefix);
	if (r == -EADDRNOTAVAIL || r == -ENODEV)
		r = 0;
	if (r < 0)
		return r;
	if (p->up)
		event_add(d, g->name, CORE_INFO, "address-down", "%s", p->text);
	p->up = false;
	p->ifindex = 0;
	p->error = 0;
	killed = sockdiag_destroy(d->netlink, &p->ip);
	if (killed > 0)
		qb_log(LOG_INFO, "%s: %d left-over connections of %s destroyed", g->name, killed, p->text);
	else if (killed < 0)
		qb_log(LOG_WARNING, "%s: left-over connections of %s stay: %s", g->name, p->text, strerror(-killed));
	return 0;
}

/* ---- a group's ---- */

/* Tell the core how the addresses are, if that is new. */
static void report(struct group *g, bool always)
{
	char text[CORE_TEXT_MAX] = "";
	struct portal *p;
	bool ok = true;
	struct core_event ev = { .type = CORE_EV_ADDRESS, .address = { .group = g->name, .up = g->serve } };

	list_for_each(p, &g->portals, link)
		if (p->error && ok) {
			describe(p, text, sizeof(text));
			ok = false;
		}
	if (!always && g->address_said && g->address_ok == ok)
		return;
	g->address_said = true;
	g->address_ok = ok;
	if (!ok)
		ev.address.error = text;
	shell_feed(g->d, &ev);
}

void portals_up(struct group *g, bool announce_them, const struct core_body *body)
{
	struct tickle_conn *conn;
	size_t n = connections(announce_them ? body : NULL, &conn);
	struct portal *p;

	g->serve = true;
	list_for_each(p, &g->portals, link) {
		bool was = p->up;

		lease(g, p);
		if (p->up && (announce_them || !was))
			announce(g, p, conn, n);
	}
	free(conn);
	report(g, true);
}

void portals_down(struct group *g)
{
	struct portal *p;
	int r;

	g->serve = false;
	list_for_each(p, &g->portals, link) {
		r = release(g, p);
		if (r < 0)
			p->error = r;
	}
	report(g, true);
}

/* The kernel has taken the addresses away meanwhile: clusterd, or all of the node, stood still. Whoever challenged
 * us in that time serves by now; to renew would put the address up twice. The core looks at the key first. */
static bool ran_out(const struct group *g)
{
	uint64_t limit = (g->d->conf ? g->d->conf->opt.lease_ms : 2000) * NSEC_PER_MSEC, now = mono_ns();
	const struct portal *p;

	list_for_each(p, &g->portals, link)
		if (p->up && now - p->renewed_ns >= limit)
			return true;
	return false;
}

static void expire(struct group *g)
{
	struct core_event ev = { .type = CORE_EV_ADDRESS, .address = { .group = g->name, .expired = true } };
	struct portal *p;

	g->serve = false;
	list_for_each(p, &g->portals, link)
		release(g, p);
	shell_feed(g->d, &ev);
}

static void renew(struct group *g)
{
	struct portal *p;

	if (ran_out(g)) {
		expire(g);
		return;
	}
	list_for_each(p, &g->portals, link) {
		bool was = p->up;

		lease(g, p);
		if (p->up && !was)
			announce(g, p, NULL, 0);
	}
	report(g, false);
}

static void on_lease(void *data)
{
	struct clusterd *d = data;

	d->lease = 0;
	portals_renew_all(d);
}

void portals_renew_all(struct clusterd *d)
{
	uint64_t every = d->conf ? d->conf->opt.lease_renew_ms : 500;
	struct group *g;

	list_for_each(g, &d->groups, link)
		if (g->serve)
			renew(g);
	qb_loop_timer_del(d->loop, d->lease);
	d->lease = 0;
	qb_loop_timer_add(d->loop, QB_LOOP_HIGH, every * NSEC_PER_MSEC, d, on_lease, &d->lease);
}

/* ---- configuration ---- */

static struct portal *find(struct group *g, const char *text)
{
	struct portal *p;

	list_for_each(p, &g->portals, link)
		if (!strcmp(p->text, text))
			return p;
	return NULL;
}

static void add(struct group *g, const struct conf_portal *cp)
{
	struct portal *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	ip_make(&p->ip, cp->addr.ip, cp->addr.len);
	p->prefix = cp->addr.prefix;
	p->dev = cp->dev ? strdup(cp->dev) : NULL;
	p->text = strdup(cp->text);
	list_add_tail(&g->portals, &p->link);
}

static bool wanted(const struct portal *p, const struct conf_group *cg)
{
	for (size_t i = 0; cg && i < cg->n_portal; i++)
		if (!strcmp(cg->portal[i].text, p->text))
			return true;
	return false;
}

/* Two portals of one address (two ports) share it: it goes only with the last of them. */
static bool address_wanted(const struct portal *p, const struct conf_group *cg)
{
	struct ip ip;

	for (size_t i = 0; cg && i < cg->n_portal; i++)
		if (ip_make(&ip, cg->portal[i].addr.ip, cg->portal[i].addr.len) && ip_equal(&ip, &p->ip))
			return true;
	return false;
}

void portals_configure(struct group *g, const struct conf_group *cg)
{
	struct portal *p, *tmp;

	list_for_each_safe(p, tmp, &g->portals, link)
		if (!wanted(p, cg)) {
			if (p->up && !address_wanted(p, cg))
				release(g, p);
			portal_free(p);
		}
	for (size_t i = 0; cg && i < cg->n_portal; i++)
		if (!find(g, cg->portal[i].text))
			add(g, &cg->portal[i]);
}

void portals_free(struct group *g)
{
	struct portal *p, *tmp;

	list_for_each_safe(p, tmp, &g->portals, link)
		portal_free(p);
}

void portals_leftover(struct clusterd *d)
{
	_cleanup_free_ struct dev_addr *list = NULL;
	size_t n = 0;
	struct group *g;
	struct portal *p;

	if (netlink_addrs(d->netlink, &list, &n) < 0)
		return;
	list_for_each(g, &d->groups, link)
		list_for_each(p, &g->portals, link)
			for (size_t i = 0; i < n; i++)
				if (ip_equal(&list[i].ip, &p->ip))
					event_add(d, g->name, CORE_INFO, "address-leftover", "%s is still there from before: it "
						  "goes within the lease unless this node still serves the group", p->text);
}
