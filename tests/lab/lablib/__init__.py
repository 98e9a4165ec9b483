# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: several nodes, a SAN array and a client on one machine, as namespaces.

Which file answers what:
  ns.py       a machine: namespaces made, entered, frozen, killed; its processes
  init.py     what runs as process 1 in a machine: mounts, services, restarts
  net.py      the switch: three bridges, cables, cutting and healing them
  config.py   every generated file: corosync.conf, the array's and the cluster's YAML
  lab.py      the lab as a whole: up, down, boot, kill, status
  cli.py      the command line (tests/lab/lab)
  history.py  runs the history client and answers questions about what it saw
  tour.py     what ./quickstart shows
  bench.py    a test's frame: rounds, figures, failures, logs of all machines
"""
