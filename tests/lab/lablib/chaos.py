# SPDX-License-Identifier: GPL-2.0-or-later
"""Random faults from one seed, under clients that judge every answer; see ../chaos.

A round is a few faults that overlap; then all is mended, and the cluster has to get well by itself: every group served,
every session doing I/O, every record current. Safety is judged all the time by the clients (history, walk_reservations)
and after each round by looking: addresses, keys on the LUNs, epochs.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

from . import config
from .bench import Bench, p50
from .faults import KINDS, Skip, mend, mend_san, plan
from .history import History
from .lab import TOP
from .ns import LabError, wait_for

WELL_S = 90             # for hanging only: how long a mended cluster may take
SYNC_SHARE = 3          # every so many rounds the records must be current before the next one; else service is enough


class Walker:
    """walk_reservations.py in the client machine."""

    def __init__(self, lab, group, lun, seed):
        self.group, self.lab = group, lab
        self.log = os.path.join(lab.client.dir, "log", f"walk-{group}.jsonl")
        argv = [sys.executable, "-B", os.path.join(TOP, "tests", "lab", "walk_reservations.py"), config.portal(group), "3260",
                config.group_iqn(group), str(lun), str(seed), self.log]
        with open(os.path.join(lab.client.dir, "log", f"walk-{group}.log"), "w", encoding="utf-8") as err:
            self.proc = lab.client.popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, text=True)

    def check(self):
        if self.proc.poll() is not None:
            raise LabError(f"violation: reservations of {self.group}: {self.proc.communicate()[0]}")

    def refused(self, since):
        """Changes that were refused for want of room, since a time."""
        with open(self.log, encoding="utf-8") as f:
            return [line for line in f if '"refused"' in line and json.loads(line)["t"] / 1e6 >= since]

    def finish(self):
        for pid in self.lab.client.pids_of(os.path.basename(sys.executable), self.log) or self.lab.client.pids_of("python3", self.log):
            os.kill(pid, signal.SIGTERM)
        out, _ = self.proc.communicate(timeout=150)
        summary = json.loads(out.strip().splitlines()[-1])
        if not summary["ok"]:
            raise LabError(f"violation: reservations of {self.group}: {summary}")
        return summary

    def kill(self):
        self.proc.kill()


class Chaos:
    def __init__(self, bench, seed, groups, kinds=None, say=print):
        self.b, self.lab, self.seed, self.groups, self.say = bench, bench.lab, seed, groups, say
        self.kinds = kinds
        self.clients, self.walkers = [], []
        self.epochs, self.owners, self.failovers = {}, {}, 0
        self.faults = {k: {"n": 0, "skipped": 0, "failovers": 0, "gap_ms": []} for k in KINDS if not kinds or k in kinds}
        self.timeline = []

    # ---- what runs all the time
    def start(self):
        for i, g in enumerate(self.groups):
            last = i == len(self.groups) - 1
            for lun in (0,) if last else (0, 1):
                h = History(self.lab, g, sessions=2, pr=(5, 6)[lun], rate=40, luns=(lun,), region=512, aptpl=True, power_cycles=True,
                            io_ms=60000, gap_ms=200, login_ms=60000, seed=self.seed + 10 * i + lun, name=f"{g}-{lun}")
                self.b.clients.append(h)
                self.clients.append(h)
            if last:
                w = Walker(self.lab, g, 1, self.seed)
                self.b.closing.append(w.kill)
                self.walkers.append(w)
        self.look_at_keys()

    def safe(self):
        for h in self.clients:
            v = h.violations()
            if v:
                raise LabError(f"violation seen by {h.name}: {v[0]}")
            if h.proc.poll() is not None:
                raise LabError(f"client {h.name} ended early: {h.errors()}")
        for w in self.walkers:
            w.check()

    # ---- one round
    def round(self, n, steps):
        began = time.time()
        self.say(f"round {n}: " + "; ".join(f"{s.at:.1f} {s.kind} {s.victim} {s.hold:.1f}" for s in steps))
        todo = sorted([(s.at, 0, i, s) for i, s in enumerate(steps)] + [(s.until, 1, i, s) for i, s in enumerate(steps)])
        done, before, threads = {}, self.failovers, []
        for at, ending, i, s in todo:
            wait_until(began + at, self.safe)
            if ending and i in done:
                self.attempt(s, lambda s=s, i=i: KINDS[s.kind].end(self.lab, done[i]), "not undone")
            elif not ending:
                t = threading.Thread(target=self.begin, args=(s, i, done))
                t.start()
                threads.append(t)
                if not KINDS[s.kind].slow:
                    t.join()
        mend_san(self.lab)
        for t in threads:
            t.join()
        mend(self.lab)
        mended = time.time()
        self.get_well(began, n % SYNC_SHARE == 0)
        for w in self.walkers:
            if w.refused(began) and not any(s.kind == "disk-full" for s in steps):
                raise LabError(f"violation: a reservation command was refused although no disk was full: {w.refused(began)[0]}")
        self.account(steps, done, began, before)
        self.timeline.append({"round": n, "at": began, "steps": [[s.at, s.kind, done.get(i), s.hold] for i, s in enumerate(steps)],
                              "well_s": round(time.time() - mended, 2)})

    def begin(self, s, i, done):
        victim = self.resolve(s.victim)
        if self.attempt(s, lambda: KINDS[s.kind].begin(self.lab, victim), "skipped"):
            done[i] = victim

    def attempt(self, s, action, otherwise):
        try:
            action()
            return True
        except (Skip, LabError, ProcessLookupError, subprocess.TimeoutExpired) as e:
            self.say(f"  {s.kind} {s.victim}: {otherwise}: {e}")
            return False

    def resolve(self, victim):
        """The machine a step means. The owner as last seen: to ask takes too long, and need not be right."""
        role, _, group = victim.partition(":")
        if not group:
            return victim
        owner = self.owners.get(group) or self.lab.nodes[0]
        return owner if role == "owner" else next(n for n in self.lab.nodes if n != owner)

    def get_well(self, began, sync):
        end = time.monotonic() + WELL_S
        for g in self.groups:
            with contextlib.suppress(Skip):
                if any(s.kind == "group-stop" for s in self.steps):
                    KINDS["group-stop"].end(self.lab, g)
        since = time.time()
        wait_for(lambda: f"served again after all was mended: {self.unserved(since)}; {self.why()}", lambda: not self.unserved(since),
                 end - time.monotonic(), 0.1)
        if sync:
            self.b.wait_in_sync(groups=self.groups, timeout=max(1, end - time.monotonic()))
            for g in self.groups:
                owner = wait_for(lambda g=g: f"an owner of {g}", lambda g=g: self.b.owner(g), 10)
                self.b.wait_address_only(owner, g)
                self.b.only_writer(owner, g)
        self.look_at_keys()
        self.safe()

    def unserved(self, since):
        """Clients with a session that has done no I/O since it was lost, or since then."""
        self.safe()
        return [h.name for h in self.clients if not h.progress(since)]

    def why(self):
        with contextlib.suppress(LabError, ValueError, subprocess.TimeoutExpired, KeyError):
            return {g["name"]: (g["state"], g.get("owner"), g.get("why")) for g in self.b.status()["groups"]}
        return "no status"

    def look_at_keys(self):
        """Epochs never go back; counts failovers. The first LUN tells."""
        for g in self.groups:
            r = self.b.pr_read(self.b.array_luns(g)[0])["holder"]
            if r["epoch"] < self.epochs.get(g, 0):
                raise LabError(f"violation: the key of {g} went back from epoch {self.epochs[g]} to {r['epoch']}")
            owner = self.lab.nodes[r["node"] - 1]
            self.failovers += g in self.owners and owner != self.owners[g]
            self.epochs[g], self.owners[g] = r["epoch"], owner

    def account(self, steps, done, began, before):
        gap = max((h.gap(began)[0] for h in self.clients), default=0)
        for i, s in enumerate(steps):
            f = self.faults[s.kind]
            f["n" if i in done else "skipped"] += 1
            if len(steps) == 1 and i in done:                # otherwise nobody knows whose it was
                f["gap_ms"].append(round(gap))
                f["failovers"] += self.failovers - before

    # ---- all of it
    def run(self, seconds):
        end = time.monotonic() + seconds
        rounds = plan(self.seed, self.lab.nodes, self.groups, self.kinds)
        n = 0
        while time.monotonic() < end:
            n += 1
            self.steps = next(rounds)
            self.round(n, self.steps)
        out = [h.finish() for h in self.clients]
        self.b.clients.clear()
        return n, out, [w.finish() for w in self.walkers]


def wait_until(at, look, every=0.2):
    """To a point of time: the schedule of a round."""
    while time.time() < at:
        look()
        time.sleep(max(0, min(every, at - time.time())))


def table(faults):
    rows = [("fault", "times", "skipped", "alone", "failovers", "gap p50 s", "gap max s")]
    for name, f in faults.items():
        g = f["gap_ms"]
        rows.append((name, f["n"], f["skipped"], len(g), f["failovers"], f"{p50(g) / 1000:.2f}" if g else "", f"{max(g) / 1000:.2f}" if g else ""))
    return "\n".join(f"{r[0]:18}" + "".join(f"{str(x):>11}" for x in r[1:]) for r in rows)


def totals(clients, walkers):
    keys = ("reads", "writes", "reissued", "reconnects", "verified_blocks", "pr_checks", "outsider_conflicts", "violations")
    out = {k: sum(c[k] for c in clients) for k in keys}
    out["pr_commands"] = sum(w["commands"] for w in walkers)
    out["pr_refused"] = sum(w["refused"] for w in walkers)
    out["pr_unanswered"] = sum(w["unanswered"] for w in walkers)
    out["violations"] += sum(w["violations"] for w in walkers)
    return out


def play(directory, results, seed, seconds, nodes, groups, kinds=None):
    """A whole run. Return: the figures; the logs are kept in @results when it failed."""
    os.environ["LAB_DIR"] = directory
    b = Bench("chaos", 1, results, {"nodes": nodes, "state_kib": 2048, "in_memory": True})
    fig = {"seed": seed, "nodes": nodes, "groups": list(groups), "seconds": seconds, "ok": False, "why": None}
    c = Chaos(b, seed, groups, kinds, say=lambda text: print(text, flush=True))
    began = time.monotonic()
    try:
        b.up(groups=groups)
        c.start()
        fig["rounds"], clients, walkers = c.run(seconds)
        fig.update(totals(clients, walkers), clients=clients, ok=True)
    except (LabError, AssertionError, subprocess.TimeoutExpired) as e:
        fig["why"] = f"{type(e).__name__}: {e}"
    finally:
        fig.update(failovers=c.failovers, faults=c.faults, epochs=c.epochs, timeline=c.timeline, ran_s=round(time.monotonic() - began, 1))
        b.close(not fig["ok"])
        with open(os.path.join(results, "chaos.json"), "w", encoding="utf-8") as out:
            json.dump(fig, out, indent=1)
    return fig
