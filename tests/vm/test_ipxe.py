# SPDX-License-Identifier: GPL-2.0-or-later
"""iPXE boots from one of our LUNs, and goes on booting when the node that serves it dies in the middle."""
import os

from lablib import config
from lablib.bench import main, test
from vmlib.events import moved, node_killed, target_killed
from vmlib.ipxe import DOTS, Diskless, make_disk

IQN, PORTAL = config.group_iqn("g1"), config.portal("g1")


def booted(b, want, what=None):
    """One boot. Return: seconds from power on to the end."""
    m = Diskless(b.lab.dir, "diskless")
    began = b.now()
    m.boot(b, "192.0.2.210", PORTAL, IQN)
    off = None
    m.wait("to have begun", lambda: m.dots() > DOTS // 8)
    if what:
        off = what(b)
        assert "sum " not in m.said(), "it had read all before the node was dead: nothing was tested"
    m.wait(f"to say {want}", lambda: want in m.said())
    took = b.now() - began
    m.kill()
    if off:
        b.lab.boot(off)
    b.wait_in_sync()
    return round(took, 1)


@test(rounds=3)
def ipxe_boot(b):
    """Undisturbed, and through a move and two deaths, each @rounds times."""
    b.up()
    want = make_disk(os.path.join(b.lab.array.dir, "disks", "lun0"), b.lab.dir)
    took = b.figures["boot_s"] = {what: [] for what in ("undisturbed", "moved", "target_killed", "node_killed")}
    for _ in range(b.rounds):
        took["undisturbed"].append(booted(b, want))
        for what in (moved, target_killed, node_killed):
            took[what.__name__].append(booted(b, want, what))
        b.figures["rounds"] += 1


if __name__ == "__main__":
    main()
