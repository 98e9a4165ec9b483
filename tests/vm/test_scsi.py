# SPDX-License-Identifier: GPL-2.0-or-later
"""Fencing on the kernel's own SCSI devices (SG_IO), against the kernel's own target."""
import json
import os

from lablib.bench import main, test
from lablib.lab import build_dir
from vmlib.linux import Linux, initiator
from vmlib.lio import IQN, Lio
from vmlib.overlay import overlay

CONFLICT = 3            # exit code of lunward-pr


def nodes(b, names=("one", "two")):
    """An array in a guest, and guests that see its LUN over a path each: {name: (guest, device)}."""
    b.lab.up(nodes=1, services=False, array="none", wait=False)
    over = overlay([os.path.join(build_dir(), "fencing", "lunward-pr")], os.path.join(b.lab.dir, "overlay"))
    Lio(b, [initiator(n) for n in names])
    found = {}
    for i, n in enumerate(names):
        g = Linux(b, n, [("san", f"198.51.100.{30 + i}/24")], over).login(Lio.ADDRESSES[i], IQN, 1)
        found[n] = g, g.disk(0)
    return found


def pr(node, verb, *words, node_id=0, code=0):
    """lunward-pr in a guest; what it says as JSON."""
    guest, dev = node
    who = f"--cluster lab --node {node_id}" if node_id else ""
    text = guest.run(f"lunward-pr {verb} {dev} --json {who} {' '.join(words)} >/run/pr 2>&1; echo $? >>/run/pr; cat /run/pr")
    *said, rc = text.splitlines()
    assert int(rc) == code, f"{verb} {words}: exit {rc}, not {code}: {said}"
    return json.loads("\n".join(said)) if code == 0 and said and said[0].startswith("{") else said


@test()
def scsi_take_over(b):
    """Take, defend, lose, by SG_IO: the kernel's late writes of the loser are refused, and it hears of it."""
    n = nodes(b)
    one, two = n["one"], n["two"]
    pr(one, "take", node_id=1)
    held = pr(one, "read")
    assert held["holder"]["node"] == 1, held
    one[0].run(f"dd if=/dev/zero of={one[1]} bs=4k count=1 oflag=direct 2>&1")
    two[0].run(f"! dd if=/dev/zero of={two[1]} bs=4k count=1 oflag=direct 2>&1")
    mine = pr(one, "bump", node_id=1)["own"]["key"]
    pr(two, "take", node_id=2)
    held = pr(two, "read")
    assert held["holder"]["node"] == 2 and len(held["keys"]) == 1, held
    one[0].run(f"! dd if=/dev/zero of={one[1]} bs=4k count=1 oflag=direct 2>&1")
    pr(one, "bump", "--expect", mine, node_id=1, code=CONFLICT)
    two[0].run(f"dd if=/dev/zero of={two[1]} bs=4k count=1 oflag=direct 2>&1")
    b.figures["rounds"] += 1


@test()
def scsi_unit_attentions(b):
    """A LUN reset between two commands of the fence: its unit attention is taken for what it is."""
    n = nodes(b, ("one",))
    one = n["one"]
    pr(one, "take", node_id=1)
    one[0].run(f"sg_reset -d {one[1]}")
    pr(one, "bump", node_id=1)
    assert pr(one, "read")["holder"]["node"] == 1
    pr(one, "release", node_id=1)
    assert not pr(one, "read")["keys"]
    b.figures["rounds"] += 1


if __name__ == "__main__":
    main()
