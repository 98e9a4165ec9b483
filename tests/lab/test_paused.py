# SPDX-License-Identifier: GPL-2.0-or-later
"""The owner's node stands still for ten seconds: its kernel goes on answering, its processes do not."""
import time

from lablib import config
from lablib.bench import main, test
from lablib.ns import wait_for

PAUSE_S = 10


@test(rounds=4)
def owner_paused(b):
    """The other node takes over; the owner, resumed, finds itself fenced, lets go of everything and says so."""
    lab = b.up(groups=("g1",))
    h = b.history("g1")
    for _ in range(b.rounds):
        victim = b.owner("g1")
        survivor = next(n for n in lab.nodes if n != victim)
        before = b.group("g1")["epoch"]
        at = b.now()
        lab.pause(victim)
        h.wait_recovered(at)
        b.wait_active("g1", node=survivor, on=survivor)
        b.record_gap(h, at, survivor)
        time.sleep(max(0, at + PAUSE_S - b.now()))          # the pause itself, not a wait for something
        woke = b.now()
        lab.resume(victim)
        says_fenced(b, victim, survivor, woke)
        b.wait_in_sync()
        b.wait_address_only(survivor)
        b.only_writer(survivor)
        h.wait_checked(b.now())
        assert not h.lost(woke), f"the resumed node disturbed a session: {h.lost(woke)[0]}"
        assert b.owner("g1") == survivor and b.group("g1")["epoch"] > before
        b.figures["rounds"] += 1
    b.finish()


def says_fenced(b, victim, survivor, woke):
    """It serves nothing, holds no connection, and tells why: in its events, its log and its status."""
    m = b.lab.node(victim)
    b.lab.wait_clusterd([victim])
    wait_for(lambda: f"{victim} reports that it was fenced: {b.events(victim, woke)}",
             lambda: [e for e in b.events(victim, woke) if e["kind"] in ("fenced", "conflict", "dropped")])
    b.wait_group(f"{victim} knows that {survivor} serves", lambda g: g["owner"] == survivor, node=victim)
    portal = config.portal("g1")
    wait_for(f"no connection to {portal} on {victim}",
             lambda: f"{portal}:3260" not in m.run(["ss", "-Htn", "state", "established"]).stdout)
    log = m.tail("clusterd", 400)
    assert "fenced" in log or "CONFLICT" in log, f"the log of {victim} does not say that it was fenced"


if __name__ == "__main__":
    main()
