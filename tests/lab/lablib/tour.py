# SPDX-License-Identifier: GPL-2.0-or-later
"""What ./quickstart shows once everything is built: a cluster, an initiator, a node that dies while I/O runs."""
import math
import os
import sys
import time

from . import config
from .bench import PHASES, Bench
from .cli import TOOL
from .lab import default_dir
from .ns import LabError, remove

TTY = sys.stdout.isatty()
BOLD, DIM, GREEN, OFF = ("\033[1m", "\033[2m", "\033[32m", "\033[0m") if TTY else ("", "", "", "")
EXPLAIN = {
    "detection": "corosync notices that the node is silent (token 1000 ms + consensus 300 ms)",
    "fence": "challenge window, then PREEMPT AND ABORT of the dead node's key on the LUNs",
    "activate": "LUNs opened under the new key, reservations and sessions restored",
    "address": "portal address added and announced",
    "reconnect": "the initiators log in again and go on",
}


def say(text=""):
    print(text, flush=True)


def title(text):
    say(f"\n{BOLD}{text}{OFF}")


def step(text):
    say(f"  {text}")


def done(text):
    say(f"  {GREEN}✓{OFF} {text}")


class Tour:
    def __init__(self, directory):
        os.environ["LAB_DIR"] = directory
        self.b = Bench("quickstart", 1, os.path.join(directory, "results"), {})
        self.lab = self.b.lab
        self.client = None
        self.nexuses = []

    def run(self):
        self.start()
        self.write()
        victim, survivor = self.kill()
        self.check(victim, survivor)

    def start(self):
        title("A cluster of two nodes")
        t0 = time.monotonic()
        self.lab.up()
        step(f"alpha and beta with corosync, a SAN array, a client: up in {time.monotonic() - t0:.1f} s")
        self.lab.apply(groups=("g1",))
        g = self.b.wait_active("g1")
        step(f"group g1 (target {config.group_iqn('g1')}, 2 LUNs) is served by {BOLD}{g['owner']}{OFF} "
             f"at {config.portal('g1')}")
        say()
        self.show_status(g["owner"])

    def show_status(self, node):
        say(f"  {DIM}{node}# lunwardctl status{OFF}")
        for line in self.lab.ctl(node, "status").stdout.splitlines():
            say("  " + line)

    def write(self):
        title("An initiator logs in and writes")
        self.client = self.b.history("g1", sessions=3, pr=5, rate=300)
        step("3 sessions; each registered its key; session 0 reserved both LUNs "
             "(Write Exclusive, Registrants Only)")
        self.watch(2.0)

    def watch(self, seconds):
        """Let it write, with a count that moves on a terminal."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.2)
            self.client.wait_checked(0)
        step("it writes and reads tagged blocks; a stranger's writes are refused with RESERVATION CONFLICT")

    def kill(self):
        b, lab = self.b, self.lab
        victim = b.owner("g1")
        survivor = next(n for n in lab.nodes if n != victim)
        self.nexuses = b.nexuses(victim)
        title(f"{victim} loses power")
        at = lab.kill(victim)
        step(f"{0:7.3f} s  {victim}, the owner of g1, is dead; I/O stands still")
        self.follow(at, survivor)
        self.client.wait_recovered(at)
        ms, _, _ = self.client.gap(at)
        phases = b.phases(self.client, at, survivor)
        title(f"The I/O gap was {ms:.0f} ms")
        longest = max(list(phases.values()) + [1])
        for name in PHASES:
            if name in phases:
                bar = "█" * min(24, math.ceil(phases[name] / longest * 24 - 0.01))
                step(f"{name:10}{phases[name]:7.0f} ms  {bar:24}  {DIM}{EXPLAIN[name]}{OFF}")
        return victim, survivor

    def follow(self, at, node):
        """Print clusterd's events on the survivor as they happen, until the first I/O."""
        seen, end = set(), time.monotonic() + 60
        while time.monotonic() < end:
            for e in self.b.events(node, at):
                if e["id"] not in seen:
                    seen.add(e["id"])
                    step(f"{e['at'] - at:7.3f} s  {node}  {e['kind']:12}  {DIM}{e.get('text', '')}{OFF}")
            back = self.client.first_back(at)
            if back:
                step(f"{back - at:7.3f} s  client: first I/O after the failover")
                return
            time.sleep(0.05)
        raise LabError("no I/O within 60 s")

    def check(self, victim, survivor):
        title("What is true now")
        self.b.wait_address_only(survivor)
        checks = len(self.client.since(0, "pr-checked"))
        step(f"g1 is served by {BOLD}{self.b.owner('g1')}{OFF}, its address answers there and nowhere else")
        s = self.client.finish()
        self.b.clients.clear()
        done(f"every acknowledged byte is there: {s['writes']} writes, {s['reads']} reads, "
             f"{s['verified_blocks']} blocks read back, no violation")
        done(f"the persistent reservation holds: registrations, holder and generation compared {checks} times; "
             f"the stranger was refused {s['outsider_conflicts']} times")
        n = self.b.late_io(self.nexuses, "array")
        done(f"a late write of {victim} is refused: sent as each of its {n} nexuses, answered RESERVATION CONFLICT")


def next_steps(kept):
    title("What to type next")
    tool = os.path.relpath(TOOL)
    rows = [("exec alpha lunwardctl status", "what is served where, and why not"),
            ("client iscsi-ls -s iscsi://" + config.portal("g1"), "what an initiator sees"),
            ("kill beta", "power loss; then: boot beta"),
            ("pause alpha", "a node that stands still; then: resume alpha"),
            ("cut alpha ring", "a cable pulled; then: heal"),
            ("exec alpha lunwardctl group move g1 beta", "a planned move"),
            ("exec beta lunwardctl events", "what happened"),
            ("down", "everything is removed")]
    if not kept:
        rows = [("up", "such a cluster again (or: ./quickstart --keep)"), ("apply", "groups g1 and g2")] + rows
    for words, what in rows:
        step(f"{tool + ' ' + words:56} {DIM}{what}{OFF}")
    step(f"{'./runtests':56} {DIM}everything that is claimed here, tested{OFF}")


def main():
    keep = "--keep" in sys.argv[1:]
    directory = default_dir()
    tour = Tour(directory)
    failed = True
    try:
        tour.run()
        failed = False
    except (LabError, AssertionError) as e:
        say(f"\nThis did not go as it should: {e}")
        os.makedirs(directory + ".failed", exist_ok=True)
        tour.b.results = directory + ".failed"
    except KeyboardInterrupt:
        say("\ninterrupted")
    finally:
        if not keep or failed:
            tour.b.close(failed)
            remove(directory)
    if not failed:
        if keep:
            victims = [n for n in tour.lab.nodes if not tour.lab.node(n).pid()]
            for n in victims:
                tour.lab.boot(n)
            tour.b.wait_in_sync()
            step(f"the lab stays up at {directory} ({', '.join(victims)} booted again)")
        next_steps(keep)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
