# SPDX-License-Identifier: GPL-2.0-or-later
"""An administrator moves a group."""
from lablib.bench import main, test


@test(rounds=6)
def group_move(b):
    """`lunwardctl group move`: the other node serves, with everything the initiators had."""
    lab = b.up(groups=("g1",))
    h = b.history("g1")
    for _ in range(b.rounds):
        old = b.owner("g1")
        new = next(n for n in lab.nodes if n != old)
        at = b.now()
        lab.ctl(old, "group", "move", "g1", new)
        h.wait_recovered(at)
        b.wait_active("g1", on=new)
        b.wait_address_only(new)
        b.only_writer(new)
        b.record_gap(h, at, new, "drain")
        b.wait_in_sync()
        b.figures["rounds"] += 1
    b.finish()


if __name__ == "__main__":
    main()
