# SPDX-License-Identifier: GPL-2.0-or-later
"""An initiator that nobody here wrote is in the middle of its work when the owner dies."""
import os
import re
import subprocess
import threading
import time

from lablib import config
from lablib.bench import main, test
from lablib.ns import wait_for

# What can be sent twice: libiscsi repeats what was in flight when it has logged in again. One writes LUN 0, one reads LUN 1.
WORK = (("Write16", "Verify16"), ("WriteVerify10", "Read10"), ("Write10", "Verify10"), ("WriteVerify16", "Read16"))
CUT_LOGIN = "iscsi_service_reconnect_if_loggedin. Can not reconnect right now"


class Tool(threading.Thread):
    """iscsi-test-cu on the client machine, over and over: one family of tests against one LUN of a group's portal."""

    def __init__(self, lab, family, lun, group="g1"):
        super().__init__(daemon=True)
        self.lab, self.family, self.path = lab, family, os.path.join(lab.client.dir, "log", f"cu-{family}-{lun}.log")
        url = f"iscsi://{config.portal(group)}/{config.group_iqn(group)}/{lun}"
        self.argv = ["iscsi-test-cu", "--dataloss", "--verbose", "--Verbose-scsi", "-t", "ALL." + family,
                     "-i", f"iqn.2026-11.org.example:{family.lower()}", url]
        self.runs, self.proc, self.enough, self.full = [], None, False, 0   # runs: (begin, end, assertions or what is wrong)
        self.start()

    def run(self):
        while not self.enough:
            begin = time.time()
            with open(self.path, "wb") as out:
                self.proc = self.lab.client.popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
                self.proc.wait()
            said, self.full = self.verdict(), self.full or os.path.getsize(self.path)
            self.runs.append((begin, time.time(), said))
            self.enough = self.enough or not isinstance(said, int)

    def verdict(self):
        """Assertions made, if every test ran and every assertion held; 0 if its login was cut, which libiscsi does not repeat."""
        with open(self.path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        if CUT_LOGIN in text:
            return 0
        tests = re.search(r"^\s*tests\s+(\d+)\s+\1\s+\1\s+0\s+0\s*$", text, re.M)
        asserts = re.search(r"^\s*asserts\s+(\d+)\s+\1\s+\1\s+0\s", text, re.M)
        return int(asserts.group(1)) if self.proc.returncode == 0 and tests and asserts else text[-1500:]

    def under_way(self):
        """Its login is over, and so is not its work: by how much it has reported of what a whole run reports."""
        return self.full and 0.1 < os.path.getsize(self.path) / self.full < 0.6

    def wait_runs(self, after):
        """A run that began after a time has ended."""
        wait_for(f"{self.family} to go on", lambda: not self.is_alive() or any(b > after for b, _, _ in self.runs), 90)

    def finish(self, at):
        """All runs held, and one was under way at that time. Return: assertions"""
        self.enough = True
        self.join(90)
        for _, _, said in self.runs:
            assert isinstance(said, int), f"{self.family}: {said}"
        assert any(b < at < e and said for b, e, said in self.runs), f"{self.family} was not at work at {at}: {self.runs}"
        return sum(said for _, _, said in self.runs)

    def kill(self):
        self.enough = True
        self.proc.kill()


@test(rounds=2, quick=1)
def foreign_initiator(b):
    """No command of iscsi-test-cu fails, and no data is wrong, while the node that serves it loses power."""
    lab = b.up(groups=("g1",))
    b.figures["asserts"] = 0
    for n in range(b.rounds):
        tools = [Tool(lab, family, lun) for lun, family in enumerate(WORK[n % len(WORK)])]
        b.closing += [t.kill for t in tools]
        victim = b.owner("g1")
        survivor = next(x for x in lab.nodes if x != victim)
        for t in tools:
            t.wait_runs(0)
        wait_for("all to be under way", lambda: all(t.under_way() for t in tools), 60, 0.002)
        at = lab.kill(victim)
        for t in tools:
            t.wait_runs(at)
        b.figures["asserts"] += sum(t.finish(at) for t in tools)
        b.figures["gap_ms"].append(round(max(e - at for t in tools for s, e, _ in t.runs if s < at) * 1000, 1))
        b.wait_active("g1", node=survivor, on=survivor)
        b.wait_address_only(survivor)
        lab.boot(victim)
        b.wait_in_sync()
        b.figures["rounds"] += 1
    b.finish()


if __name__ == "__main__":
    main()
