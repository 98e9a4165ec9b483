# SPDX-License-Identifier: GPL-2.0-or-later
"""All nodes stopped and started in either order."""
from lablib.bench import main, test
from lablib.ns import wait_for


def make_outdated(b, h):
    """Kill the owner, let the other take over; then stop that one too. The first one's record is now too old."""
    lab = b.lab
    old = b.owner("g1")
    newest = next(n for n in lab.nodes if n != old)
    at = lab.kill(old)
    h.wait_recovered(at)
    b.wait_active("g1", node=newest, on=newest)
    h.wait_checked(b.now())
    return old, newest


@test(wait_for_all=False)
def outdated_node_refuses(b):
    """Invariant 3: the node with the older record, started first, does not serve and says why; then all is there."""
    lab = b.up()
    h = b.history("g1", aptpl=True, power_cycles=True, io_ms=120000, login_ms=60000)
    old, newest = make_outdated(b, h)
    lab.stop(newest)
    stopped = b.now()
    lab.boot(old)
    lab.wait_members([old], 1)
    lab.wait_clusterd([old])
    g = b.wait_group("refused, with the reason",
                     lambda s: s["state"] == "blocked" and "record" in s.get("why", ""), node=old)
    assert newest in g["why"] and "epoch" in g["why"], f"it does not say what it lacks, and who has it: {g['why']}"
    assert not b.address_on("g1"), "an address is up although nobody serves"
    assert not h.since(stopped, "first-io"), "somebody served"
    b.figures["why"] = g["why"]
    lab.boot(newest)
    b.wait_in_sync()
    b.wait_active("g1")
    h.wait_recovered(stopped)
    b.figures["rounds"] += 1
    b.finish()


@test(wait_for_all=False)
def newest_node_serves_alone(b):
    """The other order: the node with the current record serves at once, alone, with the reservations (APTPL)."""
    lab = b.up()
    h = b.history("g1", aptpl=True, power_cycles=True, io_ms=120000, login_ms=60000)
    old, newest = make_outdated(b, h)
    lab.kill(newest)
    stopped = b.now()
    lab.boot(newest)
    b.wait_active("g1", node=newest, on=newest)
    h.wait_recovered(stopped)
    lab.boot(old)
    b.wait_in_sync()
    h.wait_checked(b.now())
    assert b.owner("g1") == newest
    b.finish()


@test()
def without_aptpl_a_power_cycle_clears(b):
    """SPC-4 5.13.5: reservations without APTPL end with a power loss of the whole cluster; those with it do not."""
    lab = b.up(groups=("g1", "g2"))
    for g, aptpl in (("g1", True), ("g2", False)):
        b.history(g, sessions=2, region=64, keep_pr=True, **({"aptpl": True} if aptpl else {}))
    b.finish()
    before = reservations(b)
    assert all(before[g] for g in ("g1", "g2")), before
    for n in lab.nodes:
        lab.kill(n)
    for n in lab.nodes:
        lab.boot(n)
    lab.wait_members()
    lab.wait_clusterd()
    for g in ("g1", "g2"):
        b.wait_active(g)
    wait_for(lambda: f"registrations of g1 kept, of g2 gone: {reservations(b)}",
             lambda: reservations(b) == {"g1": before["g1"], "g2": []})


def reservations(b):
    """{group: sorted (target, LUN, type, sorted keys)} of LUNs that have registrations."""
    out = {}
    for g in b.lab.ctl(b.lab.first_up(), "pr", "show", "--json")["groups"]:
        out[g["group"]] = sorted((lu["target"], lu.get("lun", 0), lu.get("type", 0),
                                  tuple(sorted(str(r["key"]) for r in lu.get("registrations", []))))
                                 for lu in g.get("lus", []) if lu.get("registrations"))
    return out


if __name__ == "__main__":
    main()
