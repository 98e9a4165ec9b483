# SPDX-License-Identifier: GPL-2.0-or-later
"""Two guests that fence each other by reservations on our LUNs, with fence_scsi.

What they agreed on holds through every failover of the target below: who is registered may write, who was fenced may not.
"""
import re

from lablib import config
from lablib.bench import main, test
from vmlib.events import moved, node_killed, target_killed
from vmlib.image import AGENTS
from vmlib.linux import Linux

IQN, PORTAL = config.group_iqn("g1"), config.portal("g1")


class Node:
    """A guest with fence_scsi, its disk, its key."""

    def __init__(self, b, number):
        self.key = str(number)
        self.linux = Linux(b, f"n{number}", (("client", f"192.0.2.{200 + number}/24"),), made_of=AGENTS, memory=512)
        self.disk = self.linux.login(PORTAL, IQN, 1).disk(0)

    def fence(self, action, key):
        """fence_scsi -o ACTION for the node with @key."""
        return self.linux.run(f"fence_scsi -o {action} -k {key} -d {self.disk}", timeout=300)

    def writes(self):
        return "refused" not in self.linux.run(
            f"dd if=/dev/urandom of={self.disk} bs=4k count=1 seek={100 + int(self.key)} oflag=direct 2>&1 || echo refused")

    def state(self):
        """What the LUN says: the keys of all registrations, the holder's, the type. TEST UNIT READY takes what it has to
        tell first, as fence_scsi does it."""
        keys, held = (self.linux.run(f"sg_turs {self.disk} >/dev/null 2>&1; sg_persist -n -i -{c} -d {self.disk}").lower() for c in "kr")
        return sorted(re.findall(r"^\s+0x(\w+)\s*$", keys, re.M)), re.findall(r"key=0x(\w+)", held), \
            re.findall(r"type: (.*\S)", held)


def event(b, what):
    off = what(b)
    if off:
        b.lab.boot(off)
    b.wait_in_sync()


@test(rounds=3)
def fence_scsi(b):
    """Unfence both, fail over, fence one, fail over, let it back in; the state before and after each is the same."""
    b.up()
    one, two = Node(b, 1), Node(b, 2)
    for n in (one, two):
        n.fence("on", n.key)
    assert one.writes() and two.writes()
    for what in (moved, target_killed, node_killed)[:b.rounds]:
        before = one.state()
        assert before[:2] == (["1", "2"], ["1"]), before
        event(b, what)
        assert one.state() == before == two.state(), f"{what.__name__}: {before}, then {one.state()}"
        assert one.writes() and two.writes(), f"{what.__name__}: a registered node cannot write"
        one.fence("off", two.key)
        alone = one.state()
        assert alone[:2] == (["1"], ["1"]), alone
        assert one.writes() and not two.writes(), "a fenced node writes"
        event(b, what)
        assert one.state() == alone, f"{what.__name__}: {alone}, then {one.state()}"
        assert one.writes() and not two.writes(), f"{what.__name__}: a fenced node writes"
        two.fence("on", two.key)
        assert one.writes() and two.writes()
        b.figures["rounds"] += 1


if __name__ == "__main__":
    main()
