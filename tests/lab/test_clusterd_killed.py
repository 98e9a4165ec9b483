# SPDX-License-Identifier: GPL-2.0-or-later
"""clusterd dies and is started again; its targets go on serving."""
import signal

from lablib.bench import main, test
from lablib.ns import wait_for


@test(rounds=4)
def clusterd_killed(b):
    """Nobody takes over, no connection is lost; afterwards reservations can be changed again."""
    lab = b.up(groups=("g1", "g2"))
    h = b.history("g1")
    owner = b.owner("g1")
    epoch = b.group("g1")["epoch"]
    pids = b.target_pids(owner)
    for i in range(b.rounds):
        node = owner if i % 3 != 2 else next(n for n in lab.nodes if n != owner)
        starts = lab.node(node).command("status")["services"]["clusterd"]["starts"]
        at = b.kill_process(lab.node(node).pids_of("lunward-clusterd")[0], signal.SIGKILL)
        wait_for("clusterd started again",
                 lambda: lab.node(node).command("status")["services"]["clusterd"]["starts"] > starts)
        lab.wait_clusterd()
        b.wait_in_sync()
        b.wait_active("g1", on=owner, node=owner)
        h.wait_checked(at)
        b.wait_address_only(owner)
        assert b.target_pids(owner) == pids, "the target process did not outlive clusterd"
        assert not h.lost(at), f"connections were lost: {h.lost(at)[0]}"
        b.figures["gap_ms"].append(round(h.gap(at)[0], 1))
        commits_work(b)
        b.figures["rounds"] += 1
    assert b.group("g1")["epoch"] >= epoch
    b.finish()


def commits_work(b):
    """A reservation is registered, taken, watched and cleared: each is a commit on every node."""
    b.history("g2", sessions=1, luns=(0,), rate=50, region=64)
    b.clients.pop().finish()


if __name__ == "__main__":
    main()
