# SPDX-License-Identifier: GPL-2.0-or-later
"""The owner's node loses power."""
from lablib.bench import main, test


@test(rounds=6)
def node_killed(b):
    """Invariants 1 to 6: the other node fences the dead one and goes on; nothing acknowledged is lost."""
    lab = b.up(groups=("g1", "g2"))
    clients = [b.history("g1", pr=5), b.history("g2", pr=7, sessions=2, rate=80)]
    for _ in range(b.rounds):
        victim = b.owner("g1")
        survivor = next(n for n in lab.nodes if n != victim)
        moved = [h for h in clients if b.owner(h.group) == victim]
        nexuses = b.nexuses(victim)
        at = lab.kill(victim)
        for h in moved:
            h.wait_recovered(at)
        for g in ("g1", "g2"):
            b.wait_active(g, node=survivor, on=survivor)
            b.wait_address_only(survivor, g)
            b.only_writer(survivor, g)
        b.late_io(nexuses, "array")
        b.record_gap(clients[0], at, survivor)
        lab.boot(victim)
        b.wait_in_sync(groups=("g1", "g2"))
        for h in clients:
            h.wait_checked(at)
        assert b.owner("g1") == survivor, "the group moved back on its own"
        b.figures["rounds"] += 1
    b.finish()


if __name__ == "__main__":
    main()
