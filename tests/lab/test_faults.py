# SPDX-License-Identifier: GPL-2.0-or-later
"""Things that break under a cluster that goes on: corosync, the array, a LUN, the disk records are kept on."""
import subprocess
import time

from lablib import config
from lablib.bench import main, test
from lablib.ns import wait_for

AWAY_S = 2          # how long the array is off; the target gives I/O up only after 15 s


@test(rounds=3, quick=1)
def corosync_killed(b):
    """A node without corosync is no member: it lets go, the other takes over; invariants 1 and 5."""
    lab = b.up()
    h = b.history("g1")
    for _ in range(b.rounds):
        owner = b.owner("g1")
        other = next(n for n in lab.nodes if n != owner)
        at = b.kill_process(lab.node(owner).pids_of("corosync")[0])
        h.wait_recovered(at)
        b.wait_active("g1", node=other, on=other)
        b.wait_address_only(other)
        b.record_gap(h, at, other)
        lab.node(owner).command("start", service="corosync")
        b.wait_in_sync()
        h.wait_checked(b.now())
        assert b.owner("g1") == other
        b.figures["rounds"] += 1
    b.finish()


@test(rounds=3, quick=1)
def array_power_cycled(b):
    """The array goes and comes back (its reservations are APTPL): I/O stands still, then goes on; nothing moves."""
    lab = b.up()
    h = b.history("g1")
    owner = b.owner("g1")
    for _ in range(b.rounds):
        at = lab.kill("array")
        time.sleep(AWAY_S)
        lab.boot("array")
        h.wait("gap", after=at, timeout=30)
        h.wait_checked(b.now())
        b.wait_active("g1")
        assert b.owner("g1") == owner, f"moved to {b.owner('g1')}"
        b.figures["gap_ms"].append(round(h.gap(at)[0], 1))
        b.figures["rounds"] += 1
    b.finish()


@test()
def lun_missing(b):
    """A group whose LUN is not there is blocked and says which; other groups are served."""
    lab = b.up()
    h = b.history("g1")
    text = config.cluster_yaml(lab.nodes, "lunward", ("g1", "g2")).replace("/3\"", "/99\"")
    path = lab.dir + "/missing.yaml"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    at = b.now()
    lab.apply(path)
    g = b.wait_group("blocked, with the LUN's name",
                     lambda s: s["state"] != "active" and any("99" in str(x) for x in (s.get("why"), s.get("fence"))), "g2")
    b.figures["why"] = g.get("why")
    h.wait_checked(b.now())
    assert not h.lost(at), "g1 was disturbed"
    lab.apply(groups=("g1", "g2"))
    b.wait_active("g2")
    b.finish()


def fill_disk(lab, node):
    r = lab.node(node).run(["sh", "-c", "cat /dev/zero >/var/lib/lunward/fill"], check=False)
    assert "No space" in r.stderr, r.stderr


def register(lab, key):
    """A PERSISTENT RESERVE OUT REGISTER from the client, by libiscsi's own test of it; True when it was accepted."""
    url = f"iscsi://{config.portal('g2')}/{config.group_iqn('g2')}/0"
    try:
        r = lab.client.run(["iscsi-test-cu", "--dataloss", "-t", f"ALL.ProutRegister.{key}", url], check=False, timeout=30)
    except subprocess.TimeoutExpired:
        return False
    return "[FAILED]" not in r.stdout + r.stderr


@test(state_kib=512)
def record_disk_full(b):
    """Where the owner cannot store a record, a reservation command is refused and nothing changes; I/O goes on."""
    lab = b.up(groups=("g1", "g2"))
    h = b.history("g1")
    owner = b.owner("g2")
    assert register(lab, "Simple"), "registering does not even work with room on the disk"
    fill_disk(lab, owner)
    assert not register(lab, "Simple"), "a reservation was accepted that cannot be stored"
    h.wait_checked(b.now())
    lab.node(owner).run(["rm", "/var/lib/lunward/fill"])
    wait_for("registering works again", lambda: register(lab, "Simple"))
    assert b.owner("g2") == owner
    b.finish()


if __name__ == "__main__":
    main()
