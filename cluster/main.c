/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c - lunward-clusterd: options, start, loop, end */
#include "cluster/shell.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <zmq.h>

#include <qb/qblog.h>

#define PROGRAM "lunward-clusterd"

struct options {
	const char *state_dir, *run_dir;
	bool debug, syslog;
};

static const char USAGE[] =
	"Usage: " PROGRAM " [OPTION]...\n"
	"Serve the groups of a Lunward cluster on this node: membership, fencing, addresses, target processes.\n"
	"It runs in the foreground; systemd starts it. Nothing is served before `lunwardctl apply FILE`.\n\n"
	"  -f, --foreground      the default, accepted for clarity\n"
	"      --state-dir=DIR   records and configuration (default " LUNWARD_STATE_DIR ", or LUNWARD_STATE_DIR)\n"
	"      --run-dir=DIR     sockets (default " LUNWARD_RUN_DIR ", or LUNWARD_RUN_DIR)\n"
	"      --syslog          log to syslog instead of stderr\n"
	"      --debug           log more\n"
	"      --help            this text\n"
	"      --version         version and nothing else\n\n"
	"SIGTERM gives the groups to other nodes, then ends; SIGUSR1 writes the flight recorder to\n"
	"STATE_DIR/blackbox (read it with qb-blackbox).\n";

/* Return: -1 to go on, else the exit code */
static int parse_options(int argc, char **argv, struct options *o)
{
	enum { O_STATE_DIR = 256, O_RUN_DIR, O_SYSLOG, O_DEBUG, O_HELP, O_VERSION };
	static const struct option LONG[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "state-dir", required_argument, NULL, O_STATE_DIR },
		{ "run-dir", required_argument, NULL, O_RUN_DIR },
		{ "syslog", no_argument, NULL, O_SYSLOG },
		{ "debug", no_argument, NULL, O_DEBUG },
		{ "help", no_argument, NULL, O_HELP },
		{ "version", no_argument, NULL, O_VERSION },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "f", LONG, NULL)) != -1)
		switch (c) {
		case 'f':
			break;
		case O_STATE_DIR:
			o->state_dir = optarg;
			break;
		case O_RUN_DIR:
			o->run_dir = optarg;
			break;
		case O_SYSLOG:
			o->syslog = true;
			break;
		case O_DEBUG:
			o->debug = true;
			break;
		case O_HELP:
			fputs(USAGE, stdout);
			return 0;
		case O_VERSION:
			puts(PROGRAM " " PACKAGE_VERSION);
			return 0;
		default:
			fputs("Try '" PROGRAM " --help'.\n", stderr);
			return 2;
		}
	if (optind < argc) {
		fprintf(stderr, PROGRAM ": unexpected argument '%s'\nTry '" PROGRAM " --help'.\n", argv[optind]);
		return 2;
	}
	return -1;
}

static const char *setting(const char *option, const char *variable, const char *dflt)
{
	const char *env = getenv(variable);

	return option ? option : env && env[0] ? env : dflt;
}

static void start_log(const struct options *o)
{
	qb_log_init(PROGRAM, LOG_DAEMON, o->debug ? LOG_DEBUG : LOG_INFO);
	qb_log_ctl(QB_LOG_SYSLOG, QB_LOG_CONF_ENABLED, o->syslog);
	qb_log_format_set(QB_LOG_STDERR, "%T %p %b");
	qb_log_filter_ctl(QB_LOG_STDERR, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*", o->debug ? LOG_DEBUG : LOG_INFO);
	qb_log_ctl(QB_LOG_STDERR, QB_LOG_CONF_ENABLED, !o->syslog);
	qb_log_filter_ctl(QB_LOG_BLACKBOX, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*", LOG_DEBUG);
	qb_log_ctl(QB_LOG_BLACKBOX, QB_LOG_CONF_SIZE, 1 << 20);
	qb_log_ctl(QB_LOG_BLACKBOX, QB_LOG_CONF_ENABLED, QB_TRUE);
}

/* ---- signals and the clock of seconds ---- */

static int32_t on_term(int32_t sig, void *data)
{
	struct clusterd *d = data;
	struct core_event ev = { .type = CORE_EV_SHUTDOWN };

	if (d->exiting || !d->core) {
		qb_loop_stop(d->loop);
		return 0;
	}
	qb_log(LOG_NOTICE, "signal %d: giving up what is served here, then ending", sig);
	d->exiting = true;   /* once more ends at once */
	shell_feed(d, &ev);
	return 0;
}

static int32_t on_usr1(int32_t sig, void *data)
{
	struct clusterd *d = data;
	char path[PATH_MAX];

	(void)sig;
	snprintf(path, sizeof(path), "%s/blackbox", d->state_dir);
	qb_log_blackbox_write_to_file(path);
	qb_log(LOG_NOTICE, "flight recorder written to %s", path);
	return 0;
}

/* A group that left the configuration, and whose process and devices are gone, is forgotten. */
static void sweep(struct group *g)
{
	struct core_group_view v;

	if (g->configured || g->target.life != LIFE_NONE || !list_empty(&g->fences) || shell_group_view(g->d, g->name, &v))
		return;
	process_forget(g);
	portals_free(g);
	list_del(&g->link);
	free(g);
}

static void on_second(void *data)
{
	struct clusterd *d = data;
	struct group *g, *tmp;
	uint64_t now = mono_ns();
	bool paused = now - d->looked_ns > 3 * NSEC_PER_SEC;   /* it was us who stood still */

	d->looked_ns = now;
	list_for_each(g, &d->groups, link) {
		if (paused)
			g->target.heard_ns = now;
		process_tick(g);
		fences_tick(g);
	}
	list_for_each_safe(g, tmp, &d->groups, link)
		sweep(g);
	ctlsrv_tick(d);
	qb_loop_timer_add(d->loop, QB_LOOP_LOW, NSEC_PER_SEC, d, on_second, &d->second);
}

/* ---- start and end ---- */

static bool step_ok(const char *what, int r)
{
	if (r < 0)
		qb_log(LOG_ERR, "cannot %s: %s", what, strerror(-r));
	return r >= 0;
}

static int make_run_dir(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (stat(dir, &st) < 0)
		return -errno;
	return (st.st_mode & 077) && chmod(dir, 0700) < 0 ? -errno : 0;
}

static int start_fences(struct clusterd *d)
{
	d->fences = fence_mailbox_new();
	if (!d->fences)
		return -errno;
	return qb_loop_poll_add(d->loop, QB_LOOP_HIGH, fence_mailbox_fd(d->fences), POLLIN, d, fences_mail);
}

static bool start(struct clusterd *d)
{
	qb_loop_signal_handle handle;
	int r = store_open(&d->store, d->loop, d->state_dir, NULL, NULL);

	if (r == -EBUSY) {
		qb_log(LOG_ERR, "another " PROGRAM " uses %s", d->state_dir);
		return false;
	}
	if (!step_ok("open the state directory", r) || !step_ok("make the run directory", make_run_dir(d->run_dir)) ||
	    !step_ok("open netlink", netlink_open(&d->netlink)) ||
	    !step_ok("open a packet socket", announcer_new(&d->announcer, d->loop)) ||
	    !step_ok("open a raw socket", tickler_new(&d->tickler, d->loop)) ||
	    !step_ok("start fencing", start_fences(d)) || !step_ok("start", report_init(d)) ||
	    !step_ok("listen for lunwardctl", ctlsrv_start(d)))
		return false;
	qb_loop_signal_add(d->loop, QB_LOOP_HIGH, SIGTERM, d, on_term, &handle);
	qb_loop_signal_add(d->loop, QB_LOOP_HIGH, SIGINT, d, on_term, &handle);
	qb_loop_signal_add(d->loop, QB_LOOP_LOW, SIGUSR1, d, on_usr1, &handle);
	config_load(d);
	portals_leftover(d);
	portals_renew_all(d);
	on_second(d);
	return step_ok("start", corosync_start(d));
}

static void end(struct clusterd *d)
{
	struct group *g, *tmp;

	list_for_each(g, &d->groups, link)
		if (d->exiting && d->target_sock && g->target.life == LIFE_RUNNING)
			targetlink_stop(g);   /* without us it has nobody to record its changes */
	apply_cancel(d);
	report_fini(d);
	corosync_stop(d);
	ctlsrv_stop(d);
	zsock_close(d->target_sock);
	list_for_each_safe(g, tmp, &d->groups, link) {
		process_forget(g);
		fences_free(g);
		portals_free(g);
		list_del(&g->link);
		free(g);
	}
	if (d->fences)
		fence_mailbox_free(d->fences);
	store_close(d->store);
	core_free(d->core);
	tickler_free(d->tickler);
	announcer_free(d->announcer);
	netlink_close(d->netlink);
	events_free(&d->events);
	conf_free(d->conf);
	free(d->yaml);
}

/* Type=notify: tell systemd that lunwardctl can be used. */
static void notify_systemd(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	socklen_t len;

	if (!path || strlen(path) >= sizeof(to.sun_path))
		return;
	strcpy(to.sun_path, path);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (to.sun_path[0] == '@')
		to.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&to, len) < 0)
		qb_log(LOG_WARNING, "systemd cannot be told that we are ready: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct clusterd *d;
	int r = parse_options(argc, argv, &o);

	if (r >= 0)
		return r;
	signal(SIGPIPE, SIG_IGN);
	start_log(&o);
	d = calloc(1, sizeof(*d));
	if (!d)
		return 1;
	list_init(&d->groups);
	list_init(&d->late);
	d->state_dir = (char *)setting(o.state_dir, "LUNWARD_STATE_DIR", LUNWARD_STATE_DIR);
	d->run_dir = (char *)setting(o.run_dir, "LUNWARD_RUN_DIR", LUNWARD_RUN_DIR);
	setenv("LUNWARD_RUN_DIR", d->run_dir, 1);   /* for the targets */
	if (getrandom(&d->incarnation, sizeof(d->incarnation), 0) != sizeof(d->incarnation))
		d->incarnation = (uint32_t)mono_ns();
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		qb_log(LOG_INFO, "memory is not locked: %s", strerror(errno));
	d->loop = qb_loop_create();
	d->zmq = zmq_ctx_new();
	d->exit_code = start(d) ? 0 : 1;
	if (d->exit_code == 0) {
		qb_log(LOG_NOTICE, PROGRAM " " PACKAGE_VERSION " started");
		notify_systemd();
		qb_loop_run(d->loop);
	}
	r = d->exit_code;
	end(d);
	zmq_ctx_term(d->zmq);
	qb_loop_destroy(d->loop);
	free(d);
	qb_log_fini();
	return r;
}
