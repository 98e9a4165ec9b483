# SPDX-License-Identifier: GPL-2.0-or-later
"""The target process of a group dies on a node that lives."""
import time

from lablib.bench import main, test
from lablib.ns import wait_for

APART_S = 3.2       # three deaths in quick succession would be a crash loop, and another node's turn


@test(rounds=8)
def target_killed(b):
    """It is restarted in place under the same key; other groups notice nothing."""
    b.up(groups=("g1", "g2"))
    h, other = b.history("g1"), b.history("g2", pr=0, sessions=1, rate=80)
    owner = b.owner("g1")
    epoch, began = b.group("g1")["epoch"], b.now()
    for _ in range(b.rounds):
        pids = b.target_pids(owner)
        assert len(pids) == 1, f"target processes of g1 on {owner}: {pids}"
        at = b.kill_process(pids[0])
        h.wait_recovered(at)
        b.wait_active("g1", on=owner)
        wait_for("another process", lambda: b.target_pids(owner) not in ([], pids))
        b.record_gap(h, at, owner)
        time.sleep(max(0, at + APART_S - b.now()))
        b.figures["rounds"] += 1
    bumps = [e for e in b.events(owner, began) if (e["kind"], e.get("group")) == ("bumped", "g1")]  # a peer was slow to answer
    assert b.group("g1")["epoch"] == epoch + len(bumps), "a restart in place needs no new epoch"
    assert not other.lost(0), "g2 lost connections although only g1's process died"
    b.finish()


if __name__ == "__main__":
    main()
