# SPDX-License-Identifier: GPL-2.0-or-later
"""The interconnect is cut and healed: two nodes that cannot hear each other, and one LUN that can hear both."""
from lablib.bench import main, test
from lablib.ns import wait_for

# the key moved in the window; a preempt failed; or it had moved before the first look, and our record is too old for it
BACKED_OFF = ("owner-alive", "fence-lost", "blocked")


@test(rounds=4)
def interconnect_cut(b):
    """The owner stays owner, no connection is lost, nothing moves: the challenger sees the key move and backs off."""
    lab = b.up(groups=("g1", "g2"))
    clients = [b.history("g1"), b.history("g2", pr=6, sessions=2, rate=80)]
    owners = {g: b.owner(g) for g in ("g1", "g2")}
    for i in range(b.rounds):
        epochs = {g: b.group(g)["epoch"] for g in owners}
        node = lab.nodes[i % 2]
        at = b.now()
        lab.cut(node, "ring")
        for n in lab.nodes:
            wait_for(lambda n=n: f"{n} alone", lambda n=n: lab.members(n)[0] == 1)
        for g, owner in owners.items():
            b.wait_group("epoch raised by its owner", lambda s, g=g, owner=owner: s["owner"] == owner
                         and s["epoch"] > epochs[g] and s["state"] == "active", g, node=owner)
            other = next(n for n in lab.nodes if n != owner)
            wait_for(lambda n=other: f"{n} challenged and backed off: {[e['kind'] for e in b.events(n, at)]}",
                     lambda n=other, g=g: any(e["kind"] in BACKED_OFF and e.get("group") == g
                                              for e in b.events(n, at)))
        for h in clients:
            h.wait_checked(b.now())
            assert not h.lost(at), f"{h.group} lost a connection: {h.lost(at)[0]}"
        for g, owner in owners.items():
            assert b.address_on(g) == [owner], f"address of {g} on {b.address_on(g)}"
            b.only_writer(owner, g)
        b.figures["gap_ms"].append(round(clients[0].gap(at)[0], 1))
        lab.heal(node, "ring")
        b.wait_in_sync(groups=("g1", "g2"))
        for h in clients:
            h.wait_checked(b.now())
            assert not h.lost(at), f"{h.group} lost a connection after healing: {h.lost(at)[0]}"
        for g, owner in owners.items():
            assert b.owner(g) == owner, f"{g} moved to {b.owner(g)}"
        b.figures["rounds"] += 1
    b.finish()


if __name__ == "__main__":
    main()
