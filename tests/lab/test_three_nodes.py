# SPDX-License-Identifier: GPL-2.0-or-later
"""Three nodes: quorum decides who may stay."""
from lablib.bench import main, test
from lablib.ns import wait_for


@test(rounds=3, nodes=3)
def node_without_quorum_stops(b):
    """The owner, cut off, stops at once and does not defend; a node of the majority takes over."""
    lab = b.up()
    h = b.history("g1")
    for _ in range(b.rounds):
        owner = b.owner("g1")
        rest = [n for n in lab.nodes if n != owner]
        at = b.now()
        lab.cut(owner, "ring")
        h.wait_recovered(at)
        b.wait_group("another owner", lambda g: g["state"] == "active" and g["owner"] in rest, node=rest[0])
        new = b.owner("g1", rest[0])
        b.wait_address_only(new)
        b.record_gap(h, at, new)
        lab.heal(owner, "ring")
        b.wait_in_sync()
        assert b.owner("g1") == new
        b.figures["rounds"] += 1
    b.finish()


@test(nodes=3)
def two_of_three_killed(b):
    """One of three left is not quorate: it must not serve. A second one back: it goes on, with the reservations."""
    lab = b.up()
    h = b.history("g1", io_ms=120000, login_ms=60000)
    first = b.owner("g1")
    at = lab.kill(first)
    h.wait_recovered(at)
    second = b.owner("g1")
    last = next(n for n in lab.nodes if n not in (first, second))
    at = lab.kill(second)
    wait_for(f"{last} alone and not quorate", lambda: lab.members(last) == (1, False))
    b.wait_group("not served", lambda g: g["state"] != "active" and g.get("why"), node=last)
    assert not b.address_on("g1") and not h.since(at + 1, "first-io"), "a node without quorum served"
    lab.boot(first)
    h.wait_recovered(at)
    b.finish()


if __name__ == "__main__":
    main()
