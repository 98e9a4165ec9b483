/* SPDX-License-Identifier: GPL-2.0-or-later */
/* messages.c - a cluster in good health, one in trouble, and what its initiators did */
#include <string.h>

#include "tests/unit/ctl/fake.h"

#define SEC UINT64_C(1000)
#define IQN "iqn.2026-11.org.example:vmstore"
#define HV1 "iqn.1991-05.com.microsoft:hv1"
#define HV2 "iqn.1993-08.org.debian:01:fedcba987654"
#define WWN "/dev/disk/by-id/wwn-0x5000c500a0b1c2d3"

/* Each macro's defaults (strings are never NULL) are meant to be overridden by its arguments. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define NODE(...) &(Lunward__NodeStatus){ .base = PROTOBUF_C_MESSAGE_INIT(&lunward__node_status__descriptor), \
	.name = "", .note = "", __VA_ARGS__ }
#define RECORD(...) &(Lunward__RecordStatus){ .base = PROTOBUF_C_MESSAGE_INIT(&lunward__record_status__descriptor), \
	.node = "", __VA_ARGS__ }
#define PORTAL(...) &(Lunward__PortalStatus){ .base = PROTOBUF_C_MESSAGE_INIT(&lunward__portal_status__descriptor), \
	.address = "", .device = "", .error = "", __VA_ARGS__ }
#define FENCE(...) &(Lunward__FenceStatus){ .base = PROTOBUF_C_MESSAGE_INIT(&lunward__fence_status__descriptor), \
	.device = "", .owner = "", .state = "", .error = "", __VA_ARGS__ }
#define LUN(...) &(Lunward__LunInfo){ .base = PROTOBUF_C_MESSAGE_INIT(&lunward__lun_info__descriptor), \
	.target = IQN, .backing = "", .state = "", .error = "", .identity = "", __VA_ARGS__ }
#define GROUP(...) &(Lunward__GroupStatus){ .base = PROTOBUF_C_MESSAGE_INIT(&lunward__group_status__descriptor), \
	.name = "", .state = "", .owner = "", .why = "", __VA_ARGS__ }
#define STATUS(...) (Lunward__CtlStatus){ .base = PROTOBUF_C_MESSAGE_INIT(&lunward__ctl_status__descriptor), \
	.cluster = "prod", .software = "0.1.0", __VA_ARGS__ }

static char *both[] = { "alpha", "beta" };
static Lunward__CtlStatus status;

const Lunward__CtlStatus *fake_status_healthy(void)
{
	static Lunward__NodeStatus *nodes[2];
	static Lunward__RecordStatus *records[2];
	static Lunward__PortalStatus *portals[2], *home_portals[1];
	static Lunward__FenceStatus *fence[2];
	static Lunward__LunInfo *luns[2];
	static Lunward__GroupStatus *groups[2];
	static Lunward__NodeStatus n[2];
	static Lunward__RecordStatus r[2];
	static Lunward__PortalStatus p[3];
	static Lunward__FenceStatus f[2];
	static Lunward__LunInfo l[2];
	static Lunward__GroupStatus g[2];
	uint64_t now = ctl_now_ms();

	n[0] = *NODE(.name = "alpha", .id = 1, .online = true, .self = true, .config_version = 7);
	n[1] = *NODE(.name = "beta", .id = 2, .online = true, .config_version = 7);
	r[0] = *RECORD(.node = "alpha", .epoch = 12, .by_node = 1, .seq = 345, .current = true);
	r[1] = *RECORD(.node = "beta", .epoch = 12, .by_node = 1, .seq = 345, .current = true);
	p[0] = *PORTAL(.address = "192.0.2.50/24", .device = "eth1", .up = true, .lease_ms = 1640);
	p[1] = *PORTAL(.address = "2001:db8::50/64", .device = "eth1", .up = true, .lease_ms = 1640);
	p[2] = *PORTAL(.address = "192.0.2.51/24", .device = "eth1", .up = true, .lease_ms = 1700);
	f[0] = *FENCE(.device = WWN, .arbitrates = true, .key = 0x4c57ab120100000c, .owner = "alpha", .epoch = 12,
		      .state = "held");
	f[1] = *FENCE(.device = "iscsi://192.0.2.9/iqn.2026-11.org.example:array/1", .key = 0x4c57ab120100000c,
		      .owner = "alpha", .epoch = 12, .state = "held");
	l[0] = *LUN(.lun = 0, .backing = WWN, .blocks = 1ull << 30, .block_size = 512, .state = "open",
		    .identity = "3d1c2b0a99887766");
	l[1] = *LUN(.lun = 1, .backing = "iscsi://192.0.2.9/iqn.2026-11.org.example:array/1", .blocks = 3145728,
		    .block_size = 4096, .state = "open", .identity = "36abcdef01234567");
	for (int i = 0; i < 2; i++) {
		nodes[i] = &n[i];
		records[i] = &r[i];
		portals[i] = &p[i];
		fence[i] = &f[i];
		luns[i] = &l[i];
		groups[i] = &g[i];
	}
	home_portals[0] = &p[2];
	g[0] = *GROUP(.name = "vmstore", .state = "active", .owner = "alpha", .since_ms = now - 185 * SEC, .n_nodes = 2,
		      .nodes = both, .epoch = 12, .seq = 345, .n_records = 2, .records = records, .n_portals = 2,
		      .portals = portals, .n_fence = 2, .fence = fence, .n_luns = 2, .luns = luns, .sessions = 4);
	g[1] = *GROUP(.name = "home", .state = "active", .owner = "beta", .since_ms = now - 50 * 3600 * SEC, .n_nodes = 2,
		      .nodes = both, .epoch = 3, .seq = 9, .n_portals = 1, .portals = home_portals, .sessions = 1);
	status = STATUS(.quorate = true, .config_version = 7, .n_nodes = 2, .nodes = nodes, .n_groups = 2,
			.groups = groups);
	return &status;
}

const Lunward__CtlStatus *fake_status_trouble(void)
{
	static Lunward__GroupStatus *groups[4], g[2];
	static Lunward__LunInfo failed, *luns[1];
	static Lunward__FenceStatus foreign, *fence[1];
	Lunward__CtlStatus *s = (Lunward__CtlStatus *)fake_status_healthy();
	Lunward__GroupStatus *vm = s->groups[0];
	uint64_t now = ctl_now_ms();

	s->nodes[1]->online = false;
	s->nodes[1]->config_version = 6;
	s->nodes[1]->note = "last seen 12 s ago";
	vm->records[1]->current = false;
	vm->portals[1]->up = false;
	vm->portals[1]->error = "no network device has 2001:db8::/64; give one: 2001:db8::50/64@DEVICE";
	failed = *LUN(.lun = 1, .state = "failed", .error = "Connection refused by 192.0.2.9:3260");
	luns[0] = &failed;
	vm->luns = luns;
	vm->n_luns = 1;
	foreign = *FENCE(.device = "/dev/disk/by-id/wwn-0x5000c500deadbeef", .arbitrates = true, .key = 0xfeedface,
			 .state = "foreign", .error = "held by key 0x00000000feedface, which is not of this cluster");
	fence[0] = &foreign;
	g[0] = *GROUP(.name = "backup", .state = "blocked", .since_ms = now - 12 * SEC, .n_nodes = 2, .nodes = both,
		      .why = "blocked: the LUNs carry the key of somebody else, who may be writing to them. Find out who holds "
			     "it (lunward-pr read /dev/disk/by-id/wwn-0x5000c500deadbeef). If nobody does any more: lunwardctl "
			     "group release --force backup, then lunwardctl group start backup.",
		      .n_fence = 1, .fence = fence);
	g[1] = *GROUP(.name = "scratch", .state = "stopped", .n_nodes = 2, .nodes = both,
		      .why = "alpha: stopped by the administrator; beta: stopped by the administrator");
	groups[0] = vm;
	groups[1] = s->groups[1];
	groups[2] = &g[0];
	groups[3] = &g[1];
	s->groups = groups;
	s->n_groups = 4;
	return s;
}

/* corosync has never been reached */
const Lunward__CtlStatus *fake_status_lonely(void)
{
	static Lunward__NodeStatus n, *nodes[1];

	n = *NODE(.name = "gamma", .self = true, .note = "corosync does not answer: systemctl start corosync");
	nodes[0] = &n;
	status = STATUS(.n_nodes = 1, .nodes = nodes);
	return &status;
}

const Lunward__CtlStatus *fake_status_empty(void)
{
	static Lunward__NodeStatus n, *nodes[1];

	n = *NODE(.name = "gamma", .id = 3, .online = true, .self = true);
	nodes[0] = &n;
	status = STATUS(.n_nodes = 1, .nodes = nodes);
	return &status;
}

static ProtobufCBinaryData bin(const void *p, size_t n)
{
	return (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)(uintptr_t)p };
}

const Lunward__CtlSessions *fake_sessions(void)
{
	static const uint8_t v4[4] = { 192, 0, 2, 7 }, portal[4] = { 192, 0, 2, 50 };
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 }, portal6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x50 };
	static const uint8_t isid[6] = { 0x40, 0, 1, 0x37, 0, 0 };
	static Lunward__Connection c[4];
	static Lunward__SessionInfo i[4], *list[4];
	static Lunward__GroupSessions g[2], *groups[2];
	static Lunward__CtlSessions s;
	uint64_t now = ctl_now_ms();

	for (int k = 0; k < 4; k++) {  /* the last two are one session */
		lunward__connection__init(&c[k]);
		c[k].target = k == 1 ? "iqn.2026-11.org.example:boot" : IQN;
		c[k].initiator = k >= 2 ? HV2 : HV1;
		c[k].isid = bin(isid, 6);
		c[k].tsih = (uint32_t)(k == 3 ? k : k + 1);
		c[k].cid = k == 3;
		c[k].client_addr = k >= 2 ? bin(v6, 16) : bin(v4, 4);
		c[k].client_port = 49152u + (uint32_t)k;
		c[k].portal_addr = k >= 2 ? bin(portal6, 16) : bin(portal, 4);
		c[k].portal_port = 3260;
		c[k].since_ms = now - 90 * SEC * (uint64_t)(k + 1);
		lunward__session_info__init(&i[k]);
		i[k].connection = &c[k];
		i[k].commands = 1000;
		i[k].bytes_read = 1610612736;
		i[k].bytes_written = 4096u * (unsigned)k;
		list[k] = &i[k];
	}
	lunward__group_sessions__init(&g[0]);
	g[0].group = "vmstore";
	g[0].n_sessions = 4;
	g[0].sessions = list;
	lunward__group_sessions__init(&g[1]);
	g[1].group = "home";
	groups[0] = &g[0];
	groups[1] = &g[1];
	lunward__ctl_sessions__init(&s);
	s.n_groups = 2;
	s.groups = groups;
	return &s;
}

const Lunward__CtlReservations *fake_reservations(void)
{
	static const uint8_t isid[6] = { 0x40, 0, 1, 0x37, 0, 0 };
	static Lunward__Registration r[2], *regs[2];
	static Lunward__LuReservations lu[5], *lus[5];
	static Lunward__GroupReservations g[2], *groups[2];
	static Lunward__CtlReservations all;

	for (int k = 0; k < 2; k++) {
		lunward__registration__init(&r[k]);
		r[k].initiator = k ? HV2 : HV1;
		r[k].isid = bin(isid, 6);
		r[k].rtpi = 1;
		r[k].key = k ? 2 : 0x6a5b4c3d00000001;
		regs[k] = &r[k];
	}
	for (int k = 0; k < 5; k++) {
		lunward__lu_reservations__init(&lu[k]);
		lu[k].target = IQN;
		lu[k].lun = (uint32_t)k;
		lu[k].generation = 5;
		lus[k] = &lu[k];
	}
	lu[0].type = 5;
	lu[0].aptpl = true;
	lu[0].holder = 1;
	lu[0].n_registrations = 2;
	lu[0].registrations = regs;
	lu[1].type = 7;
	lu[1].n_registrations = 2;
	lu[1].registrations = regs;
	lu[2].n_registrations = 1;
	lu[2].registrations = regs;
	lu[3].spc2_initiator = HV1;
	lunward__group_reservations__init(&g[0]);
	g[0].group = "vmstore";
	g[0].n_lus = 5;
	g[0].lus = lus;
	lunward__group_reservations__init(&g[1]);
	g[1].group = "home";
	groups[0] = &g[0];
	groups[1] = &g[1];
	lunward__ctl_reservations__init(&all);
	all.n_groups = 2;
	all.groups = groups;
	return &all;
}

const Lunward__CtlEvents *fake_events(unsigned first, unsigned n)
{
	static const struct { char *group, *kind, *text, *severity; } what[] = {
		{ "", "member-lost", "beta left: link lost", "warning" },
		{ "vmstore", "fence-start", "preempting key 0x4c57ab120200000b of beta", "info" },
		{ "vmstore", "fence-won", "after 2.1 ms", "info" },
		{ "home", "blocked", "the key on the LUN is not of this cluster", "error" },
	};
	static Lunward__CtlEvent e[4], *list[4];
	static Lunward__CtlEvents all;

	lunward__ctl_events__init(&all);
	for (unsigned k = 0; k < n; k++) {
		lunward__ctl_event__init(&e[k]);
		e[k].id = first + k + 1;
		e[k].at_us = UINT64_C(1795368001123456) + 1000 * (first + k);
		e[k].group = what[first + k].group;
		e[k].kind = what[first + k].kind;
		e[k].text = what[first + k].text;
		e[k].severity = what[first + k].severity;
		list[k] = &e[k];
	}
	all.n_events = n;
	all.events = list;
	return &all;
}
