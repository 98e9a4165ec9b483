# SPDX-License-Identifier: GPL-2.0-or-later
"""multipath-tools with their defaults over two portals of a group: both paths go and come back with its node."""
from lablib import config
from lablib.bench import main, test
from vmlib.events import moved, node_killed, target_killed, under_load
from vmlib.linux import Linux

IQN, SECOND = config.group_iqn("g1"), "192.0.2.60"


@test(rounds=3)
def multipath_failovers(b):
    b.up(more_portals=[SECOND + "/24"])
    linux = Linux(b)
    disk = linux.multipath([config.portal("g1"), SECOND], IQN, 2)[0]
    shown = linux.run(f"multipathd show map {disk[12:]} topology")
    assert "features='0'" in shown and "hwhandler='1 alua'" in shown and "prio=50" in shown, shown
    linux.run(f"mkfs.ext4 -q {disk} && mount {disk} /mnt")
    gaps = b.figures["events"] = {what.__name__: [] for what in (moved, target_killed, node_killed)}
    for _ in range(b.rounds):
        for what in (moved, target_killed, node_killed):
            gaps[what.__name__].append(round(under_load(b, linux, what, "/mnt/data")))
        b.figures["rounds"] += 1
    linux.run(f"umount /mnt && fsck.ext4 -fn {disk}")
    errors = linux.kernel_errors()
    assert not errors, "the kernel says: " + "; ".join(errors[:5])


if __name__ == "__main__":
    main()
