/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c - lunwardctl */
#include "cluster/ctl/ctl.h"

int main(int argc, char **argv)
{
	int r = ctl_main(argc, argv, stdout, stderr);

	if (fflush(stdout) && r == CTL_OK) {
		perror("lunwardctl: standard output");
		r = CTL_FAILED;
	}
	return r;
}
