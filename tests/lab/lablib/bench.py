# SPDX-License-Identifier: GPL-2.0-or-later
"""A test's frame. A test file holds functions marked @test and ends with main().

Each test gets a Bench: a lab of its own, the history clients, rounds, figures. What it prints is one line; what it
measured goes to RESULTS/NAME.json; when it fails, the logs of all machines go to RESULTS/NAME.logs and their ends
are shown. Nothing here asserts a time: limits are for hanging only.
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import sys
import time
import traceback

from . import config
from .history import History
from .lab import Lab, kill_process
from .ns import LabError, remove, wait_for

PHASES = ("detection", "drain", "fence", "activate", "address", "reconnect")
TESTS = []
LATE_LBA = 500000        # beyond what any client uses


def test(rounds=1, quick=None, **lab_options):
    """Mark a test. @rounds: how often its event happens (@quick: with --quick); the rest goes to Lab.up()."""
    def mark(f):
        TESTS.append((f, rounds, quick or min(rounds, 2), lab_options))
        return f
    return mark


def p50(values):
    return statistics.median(values) if values else None


class Bench:
    def __init__(self, name, rounds, results, lab_options):
        self.name, self.rounds, self.results = name, rounds, results
        self.lab_options = dict(lab_options)
        self.lab = Lab(os.environ.get("LAB_DIR") or f"/var/tmp/lunward-test-{os.getpid()}")
        self.clients = []
        self.closing = []       # functions that end what a test has started beside the lab
        self.figures = {"test": name, "rounds": 0, "gap_ms": [], "phases_ms": []}

    @staticmethod
    def now():
        return time.time()

    # ---- a cluster that serves
    def up(self, groups=("g1",), apply=True, **options):
        """A lab with the groups served; returns when each has an owner, and every node could take over."""
        self.lab.up(**self.lab_options)
        if apply:
            self.lab.apply(groups=groups, **options)
            for g in groups:
                self.wait_active(g)
            self.wait_in_sync(groups=groups)
        return self.lab

    def history(self, group="g1", **options):
        h = History(self.lab, group, **options)
        self.clients.append(h)
        return h

    def finish(self):
        """End every client: each must have verified all it wrote."""
        out = [h.finish() for h in self.clients]
        self.clients.clear()
        self.figures["clients"] = out
        return out

    # ---- what the cluster says
    def status(self, node=None):
        return self.lab.ctl(node or self.lab.first_up(), "status", "--json")

    def group(self, name="g1", node=None):
        for g in self.status(node)["groups"]:
            if g["name"] == name:
                return g
        raise LabError(f"no group {name} in the status")

    def owner(self, name="g1", node=None):
        g = self.group(name, node)
        return g.get("owner") or None

    def wait_group(self, what, condition, name="g1", node=None, timeout=30):
        """Await something of a group's status."""
        last = {}

        def look():
            try:
                last["group"] = self.group(name, node)
            except (LabError, ValueError) as e:
                last["group"] = str(e)
                return None
            return last["group"] if condition(last["group"]) else None
        return wait_for(lambda: f"{name}: {what}; it is {json.dumps(last.get('group'))}", look, timeout, 0.05)

    def wait_active(self, name="g1", node=None, timeout=30, on=None):
        return self.wait_group(f"active{' on ' + on if on else ''}",
                               lambda g: g["state"] == "active" and (on is None or g["owner"] == on), name, node, timeout)

    def wait_in_sync(self, names=None, groups=("g1",), timeout=60):
        """Every node is a member, its clusterd answers, and it holds a current record of each group."""
        names = names or self.lab.nodes
        self.lab.wait_members(names, timeout=timeout)
        self.lab.wait_clusterd(names, timeout)
        for g in groups:
            for n in names:
                self.wait_group(f"record of {n} current", lambda s, n=n: any(
                    r["node"] == n and r.get("current") for r in s.get("records", [])), g, n, timeout)

    def events(self, node, after=0.0):
        """clusterd's events on a node since a time, oldest first, with `at` in seconds."""
        events = self.lab.ctl(node, "events", "--json")
        for e in events:
            e["at"] = int(e["at_us"]) / 1e6
        return [e for e in events if e["at"] >= after]

    # ---- where things are
    def address_on(self, group="g1"):
        """Nodes whose kernel has the group's portal address."""
        want = config.portal(group)
        found = []
        for n in self.lab.nodes:
            m = self.lab.node(n)
            if m.pid():
                out = m.run(["ip", "-j", "addr", "show", "dev", "client"]).stdout
                if any(a.get("local") == want for link in json.loads(out) for a in link["addr_info"]):
                    found.append(n)
        return found

    def wait_address_only(self, node, group="g1", timeout=10):
        wait_for(lambda: f"address of {group} on {node} only (it is on {self.address_on(group)})",
                 lambda: self.address_on(group) == [node], timeout)

    def target_pids(self, node, group="g1"):
        """The target process of a group on a node: its host pid, by its command line."""
        return self.lab.node(node).pids_of("lunward-target", group)

    def kill_process(self, pid, sig=signal.SIGKILL):
        at = time.time()
        kill_process(pid, sig)
        return at

    # ---- the array's side: who holds a LUN, and what becomes of a dead node's write
    def array_luns(self, group="g1"):
        """URLs of a group's LUNs on the array."""
        luns = next(x for name, _, x in config.GROUPS if name == group)
        return [f"{config.array_url(self.lab.conf['array'])}/{n}" for n in luns]

    def pr_read(self, url):
        """Reservation, keys and nexuses of a LUN of the array, asked by a machine that takes no part."""
        return json.loads(self.lab.array.run(["lunward-pr", "read", url, "--json"]).stdout)

    def nexuses(self, node, group="g1"):
        """The I_T nexuses a node is registered with on each LUN of a group: [(url, initiator, isid)]."""
        out = []
        for url in self.array_luns(group):
            for n in self.pr_read(url)["nexuses"]:
                name, _, isid = n["initiator"].partition(",i,0x")
                if name.endswith(":" + node):
                    out.append((url, name, isid))
        return out

    def only_writer(self, node, group="g1"):
        """Invariant 1 as the array sees it: every LUN is held by @node, and no other node stays registered.

        A node that was away may join the old key, see that another holds the LUN, and leave, before any I/O."""
        number = self.lab.nodes.index(node) + 1
        for url in self.array_luns(group):
            r = self.pr_read(url)
            assert r["holder"]["node"] == number and r["type"] in (5, 6), f"{url}: held by {r['holder']}"
            wait_for(lambda url=url: f"nobody but {node} registered with {url}: {self.strangers(url, node)}",
                     lambda url=url: not self.strangers(url, node), 5)

    def strangers(self, url, node):
        return [n for n in self.pr_read(url)["nexuses"] if not n["initiator"].partition(",")[0].endswith(":" + node)]

    def late_io(self, nexuses, via):
        """Writes and reads as a dead node's nexuses, from the SAN: how many; each must get RESERVATION CONFLICT."""
        assert nexuses, "no nexus of the dead node is known"
        for url, name, isid in nexuses:
            for what in ("write-test", "read-test"):
                r = self.lab.machine(via).run(["lunward-pr", what, url, "--initiator", name, "--isid", isid, "--lba",
                                               str(LATE_LBA)], check=False)
                assert r.returncode == 3 and "CONFLICT" in r.stdout, f"{what} as {name} {isid}: {r.stdout}{r.stderr}"
        return len(nexuses)

    # ---- figures
    def record_gap(self, client, at, node, first="detection"):
        """Note how long the I/O stood still after an event at @at, and on what that was spent (events of @node).

        @first: what the time until fencing begins is called: detection of a dead node, or drain of a live one."""
        ms, _, _ = client.gap(at)
        phases = self.phases(client, at, node, client.group, first)
        self.figures["gap_ms"].append(round(ms, 1))
        self.figures["phases_ms"].append(phases)
        return ms, phases

    def phases(self, client, at, node, group="g1", first="detection"):
        """The way from the event to the first I/O, cut at clusterd's events; milliseconds each."""
        marks = {}
        for e in self.events(node, at):
            if not e.get("group") or e["group"] == group:
                marks.setdefault(e["kind"], e["at"])
        ends = [marks.get("member-lost") or marks.get("fence-start"), marks.get("fence-won"), marks.get("activated"),
                marks.get("announced") or marks.get("address-up"), client.first_back(at)]
        out, t = {}, at
        for name, end in zip((first, "fence", "activate", "address", "reconnect"), ends):
            if end is not None:
                out[name] = round(max(0.0, end - t) * 1000, 1)
                t = max(t, end)
        return out

    def summary(self):
        f = self.figures
        if not f["gap_ms"]:
            return ""
        text = f"gap p50 {p50(f['gap_ms']) / 1000:.2f} s, max {max(f['gap_ms']) / 1000:.2f} s"
        parts = []
        for name in PHASES:
            values = [p[name] for p in f["phases_ms"] if name in p]
            if values and max(values) >= 1:
                parts.append(f"{name} {p50(values):.0f}")
        return text + (f" (p50 ms: {', '.join(parts)})" if parts else "")

    # ---- ends
    def close(self, failed):
        for end in self.closing:
            with contextlib.suppress(Exception):
                end()
        for h in self.clients:
            with contextlib.suppress(Exception):
                h.kill()
        if failed and os.path.isdir(self.lab.dir):
            os.environ["LAB_LOGS"] = os.path.join(self.results, self.name + ".logs")
            with contextlib.suppress(Exception):
                self.save_status()
            with contextlib.suppress(Exception):
                self.show_logs(self.lab.keep_logs())
        leftover = self.lab.dir + ".failed"         # logs of an `up` that failed
        if os.path.isdir(leftover):
            shutil.rmtree(os.path.join(self.results, self.name + ".logs"), ignore_errors=True)
            shutil.move(leftover, os.path.join(self.results, self.name + ".logs"))
        remove(self.lab.dir)

    def save_status(self):
        """What each node says at the moment of failure, beside its logs."""
        for n in self.lab.nodes:
            m = self.lab.node(n)
            if m.pid() and not m.frozen():
                for name, words in (("status", ["lunwardctl", "status"]), ("events", ["lunwardctl", "events"]),
                                    ("addresses", ["ip", "addr"]), ("sockets", ["ss", "-tan"])):
                    r = m.run(words, check=False, timeout=10)
                    with open(os.path.join(m.dir, "log", name + ".txt"), "w", encoding="utf-8") as f:
                        f.write(r.stdout + r.stderr)

    @staticmethod
    def show_logs(where):
        print(f"  logs: {where}")
        found = [(n != "status.txt", m, n) for m in os.listdir(where) for n in os.listdir(os.path.join(where, m))
                 if n not in ("init.log", "corosync.log", "events.txt", "addresses.txt", "sockets.txt")]
        for _, machine, name in sorted(found):          # what each node says first: short, and the best witness
            with open(os.path.join(where, machine, name), encoding="utf-8", errors="replace") as f:
                lines = f.readlines()[-(25 if name == "status.txt" else 10):]
            if lines:
                print(f"  --- {machine} {name}")
                print("".join("  | " + line[:300].rstrip("\n") + "\n" for line in lines), end="")


def run_one(f, rounds, results, lab_options):
    name = f.__name__.replace("_", "-")
    b = Bench(name, rounds, results, lab_options)
    t0, why = time.monotonic(), None
    try:
        f(b)
    except (LabError, AssertionError) as e:
        where = traceback.extract_tb(e.__traceback__)
        here = [x for x in where if os.path.basename(x.filename).startswith("test_")]
        why = f"{e} [{os.path.basename(here[-1].filename)}:{here[-1].lineno}]" if here else str(e)
    except Exception:       # pylint: disable=broad-except
        why = traceback.format_exc()
    seconds = time.monotonic() - t0
    done = f" ×{b.figures['rounds']}" if rounds > 1 else ""
    print(f"{'FAILED' if why else 'passed'}  {name}{done}  {seconds:.0f} s  {b.summary()}".rstrip(), flush=True)
    if why:
        print("  " + why.replace("\n", "\n  "), flush=True)
    b.close(bool(why))
    b.figures.update(ok=not why, why=why, seconds=round(seconds, 1))
    with open(os.path.join(results, name + ".json"), "w", encoding="utf-8") as out:
        json.dump(b.figures, out, indent=1)
    return not why


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, help="instead of each test's own number")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--results", default=os.environ.get("LAB_RESULTS", "/tmp/lunward-lab-results"))
    p.add_argument("tests", nargs="*", help="names; default: all of the file")
    a = p.parse_args()
    os.makedirs(a.results, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ok = True
    for f, rounds, quick, options in TESTS:
        if not a.tests or any(t.replace("_", "-") in f.__name__.replace("_", "-") for t in a.tests):
            n = a.rounds if a.rounds and rounds > 1 else quick if a.quick else rounds
            ok &= run_one(f, n, a.results, options)
    sys.exit(0 if ok else 1)
