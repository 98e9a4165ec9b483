# SPDX-License-Identifier: GPL-2.0-or-later
"""Cluster managers' reservation sequences, with the owner's node losing power at every step."""
import os
import subprocess
import sys

from lablib import config
from lablib.bench import main, test
from lablib.lab import TOP
from lablib.ns import LabError

PROGRAM = os.path.join(TOP, "tests", "conformance", "clusters.py")
ROUNDS = ({0: "fence_scsi", 1: "windows"}, {0: "fence_mpath", 1: "spc2_and_settings"})


class Sequences:
    """tests/conformance/clusters.py in the client machine."""

    def __init__(self, lab, group, luns):
        argv = [sys.executable, "-B", PROGRAM, config.portal(group), "3260", config.group_iqn(group)]
        argv += [f"{lun}={name}" for lun, name in luns.items()]
        self.err = open(os.path.join(lab.client.dir, "log", "clusters.log"), "w+", encoding="utf-8")
        self.proc = lab.client.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err, text=True)
        self.done = []

    def next(self):
        """Until it yields: "yield" or "yield now"; None when all is done."""
        for line in self.proc.stdout:
            what, _, rest = line.strip().partition(" ")
            if what == "yield":
                return line.strip()
            if what == "failed":
                raise LabError(rest)
            self.done.append(rest)
        if self.proc.wait() == 0:
            return None
        self.err.seek(0)
        raise LabError("the sequences ended early: " + self.err.read()[-1500:])

    def go_on(self):
        self.proc.stdin.write("lost\n")
        self.proc.stdin.flush()


@test(rounds=2)
def reservations_across_failover(b):
    """Invariant 4, as fence_scsi, fence_mpath, a Windows cluster and SPC-2 users see it, also in mid-PREEMPT AND ABORT; and settings."""
    lab = b.up(groups=("g1",))
    for n in range(b.rounds):
        luns = ROUNDS[n % len(ROUNDS)]
        s = Sequences(lab, "g1", luns)
        while (said := s.next()):
            victim = b.owner("g1")
            survivor = next(x for x in lab.nodes if x != victim)
            if said == "yield now":
                s.go_on()
            lab.kill(victim)
            if said != "yield now":
                s.go_on()
            b.wait_active("g1", node=survivor, on=survivor)
            lab.boot(victim)
            b.wait_in_sync()
            b.figures["rounds"] += 1
        assert sorted(s.done) == sorted(luns.values()), s.done
    b.finish()


if __name__ == "__main__":
    main()
