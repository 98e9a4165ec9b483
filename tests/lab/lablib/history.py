# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the history client in the lab's client machine and answers questions about what it saw.

The client writes JSON lines; here they are read as they come. Times are seconds of the clock all machines share.
"""
import itertools
import json
import os
import signal
import subprocess

from . import config
from .ns import LabError, wait_for


class History:
    def __init__(self, lab, group, sessions=3, pr=5, rate=150, depth=4, luns=(0, 1), region=2048, name=None, **options):
        """@name: of one of several clients of a group, each with LUNs and an initiator name of its own."""
        self.lab, self.group, self.sessions, self.pr, self.name = lab, group, sessions, pr, name or group
        self.log = os.path.join(lab.client.dir, "log", f"history-{self.name}.jsonl")
        if os.path.exists(self.log):
            os.unlink(self.log)
        argv = [lab.program("tests/lab/history"), "--portal", config.portal(group), "--target", config.group_iqn(group),
                "--log", self.log, "--sessions", str(sessions), "--rate", str(rate), "--depth", str(depth),
                "--luns", ",".join(map(str, luns)), "--region", str(region)]
        argv += ["--pr", str(pr)] if pr else []
        argv += ["--initiator", f"iqn.2026-11.org.example:history-{name}"] if name else []
        for k, v in options.items():
            argv += ["--" + k.replace("_", "-")] + ([] if v is True else [str(v)])
        self.err = open(os.path.join(lab.client.dir, "log", f"history-{self.name}.log"), "w+", encoding="utf-8")
        self.proc = lab.client.popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.err, text=True)
        self.events, self._violations = [], []
        self._rest = ""
        self._at = 0
        self.wait("set-up", timeout=60)

    # ---- what it says
    def poll(self):
        """Read what is new; all events so far."""
        try:
            with open(self.log, encoding="utf-8") as f:
                f.seek(self._at)
                text = f.read()
                self._at = f.tell()
        except FileNotFoundError:
            text = ""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            e = json.loads(line)
            e["at"] = e["t"] / 1e6
            if e["ev"] == "violation":
                self._violations.append(e)
            self.events.append(e)
        return self.events

    def since(self, at, ev=None):
        """Events since a time, oldest first; those of a kind if @ev."""
        new = itertools.takewhile(lambda e: e["at"] >= at, reversed(self.poll()))
        return [e for e in new if ev is None or e["ev"] == ev][::-1]

    def wait(self, ev, after=0.0, timeout=60):
        """The first event of a kind after a time."""
        def look():
            if self.proc.poll() is not None and not self.since(after, ev):
                raise LabError(f"history client of {self.group} ended early: {self.errors()}")
            return self.since(after, ev)
        return wait_for(lambda: f"history client of {self.group}: {ev}; its last words: {self.last_words()}", look,
                        timeout, 0.02)[0]

    def last_words(self):
        return "; ".join(json.dumps({k: v for k, v in e.items() if k != "at"}) for e in self.poll()[-4:])

    def errors(self):
        self.err.seek(0)
        return self.err.read()[-1500:]

    def violations(self):
        self.poll()
        return self._violations

    def lost(self, at):
        return self.since(at, "lost")

    def progress(self, at):
        """Does every session do I/O after @at? By the client's own word: one line a session and second."""
        return {e["s"] for e in self.since(at, "alive")} >= set(range(self.sessions))

    # ---- judging one event
    def wait_recovered(self, at, timeout=60):
        """Every session lost its connection after @at, is back, does I/O and has checked the reservations again."""
        def done():
            v = self.violations()
            if v:
                raise LabError(f"violation: {v[0]}")
            if self.proc.poll() is not None:
                raise LabError(f"history client ended early: {self.errors()}")
            return all(self._recovered(s, at) for s in range(self.sessions)) and self._outsider_refused(at)
        wait_for(lambda: f"sessions of {self.group} to recover "
                 f"({[s for s in range(self.sessions) if not self._recovered(s, at)]} have not); "
                 f"last words: {self.last_words()}", done, timeout, 0.02)

    def _recovered(self, s, at):
        lost = [e["at"] for e in self.since(at, "lost") if e.get("s") == s]
        if not lost:
            return False
        back = [e["at"] for e in self.since(lost[-1], "first-io") if e.get("s") == s]
        return bool(back) and (not self.pr or any(e.get("s") == s for e in self.since(lost[-1], "pr-checked")))

    def _outsider_refused(self, at):
        lost = [e["at"] for e in self.since(at, "lost") if e.get("s") == self.sessions]
        return not self.pr or bool(lost and self.since(lost[-1], "outsider-refused"))

    def wait_checked(self, at, timeout=30):
        """I/O goes on and the reservations are what they were, some time after @at."""
        if self.pr:
            self.wait("pr-checked", after=at, timeout=timeout)
        v = self.violations()
        if v:
            raise LabError(f"violation: {v[0]}")

    def gap(self, at):
        """The longest pause any session had that ended after @at: (ms, from, to); (0, at, at) when there was none."""
        gaps = [e for e in self.since(at, "gap") if e["from"] / 1e6 > at - 1]
        if not gaps:
            return 0.0, at, at
        g = max(gaps, key=lambda e: e["ms"])
        return g["ms"], g["from"] / 1e6, g["to"] / 1e6

    def first_back(self, at):
        """When the first session did I/O again after a loss that followed @at."""
        lost = self.since(at, "lost")
        back = self.since(lost[0]["at"], "first-io") if lost else []
        return back[0]["at"] if back else None

    # ---- its end
    def finish(self, timeout=120):
        """Stop it: drain, read everything back. Its summary; raises unless all was well."""
        if self.proc.poll() is None:
            self._signal(signal.SIGTERM)
        try:
            out, _ = self.proc.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise LabError(f"history client of {self.group} does not end; last words: {self.last_words()}") from None
        if not out.strip():
            raise LabError(f"history client of {self.group} ended with {self.proc.returncode}: {self.errors()}")
        summary = json.loads(out.strip().splitlines()[-1])
        if not summary["ok"]:
            raise LabError(f"history of {self.group}: {json.dumps(summary)}; first: {self.violations()[:2]}; "
                           f"last words: {self.last_words()}")
        if not summary["verified_blocks"]:
            raise LabError(f"history of {self.group}: nothing was read back")
        return summary

    def _signal(self, sig):
        """To the client itself, not to nsenter."""
        for pid in self.lab.client.pids_of("history", self.log):
            os.kill(pid, sig)

    def kill(self):
        if self.proc.poll() is None:
            self._signal(signal.SIGKILL)
            self.proc.kill()
            self.proc.wait()
        self.err.close()

