/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pr_model.h - reservations a second time: a logical unit as the standard describes it, sentence by sentence
 *
 * Shares nothing with node/scsi. Nexuses are numbers: initiator port (4) times target port (2). What a step is, and
 * what comes of it, is in terms of the standard, not of any C structure under test.
 */
#ifndef PR_MODEL_H
#define PR_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum { IPORTS = 4, TPORTS = 2, NX = IPORTS * TPORTS };
#define NX_OF(ip, tp) ((ip) * TPORTS + (tp))
#define IPORT(nx) ((nx) / TPORTS)
#define TPORT(nx) ((nx) % TPORTS)

enum { NAMES = 3, NOBODY = NAMES };           /* a name that no port has */
extern const int model_name_of[IPORTS];       /* two ports have the first name */

/* PERSISTENT RESERVE OUT service actions are 0 to 8; then */
enum { DO_RESERVE6 = 16, DO_RELEASE6, DO_RESERVE10, DO_RELEASE10, EV_NEXUS_LOSS, EV_RESET, EV_POWER_LOSS, EV_LOSE };

struct model_tid { bool name_only; int who; };  /* a name (or NOBODY), or an initiator port */

struct step {
	int what, nx;
	uint8_t scope_type;
	uint64_t key, sark;
	bool aptpl, all_tg_pt, spec_i_pt, unreg;
	int move_port;                        /* target port number from 0; TPORTS: there is none */
	unsigned n_tids;
	struct model_tid tid[2];              /* SPEC_I_PT, or where to move */
	unsigned known;                       /* mask of initiator ports that are logged in */
};

struct model {
	uint64_t key[NX];                     /* registered reservation keys; zero: not registered */
	uint32_t prgeneration;
	int type;                             /* 0: no persistent reservation */
	int holder;                           /* nexus, for types 1, 3, 5, 6 */
	bool aptpl, lost;
	int spc2;                             /* nexus, -1: none */
};

struct outcome {
	uint8_t status;
	uint8_t sense_key;
	uint16_t asc;
	uint16_t ua[NX];
	bool abort[NX];
};

void model_init(struct model *m);
void model_step(struct model *m, const struct step *s, struct outcome *o);
/* What the nexus is told when it reads, writes, or says TEST UNIT READY: 0, 0x18 (conflict), or 2 (information lost) */
int model_access(const struct model *m, int nx, char how);

#endif
