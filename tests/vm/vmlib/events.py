# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to a lab's group while a guest uses it: each takes a Bench and returns when the group is served again."""


def node_killed(b):
    """Return: the node that is off now."""
    owner = b.owner()
    b.lab.kill(owner)
    b.wait_active(node=next(n for n in b.lab.nodes if n != owner))
    return owner


def target_killed(b):
    owner = b.owner()
    b.kill_process(b.target_pids(owner)[0])
    b.wait_active(node=owner, on=owner)


def moved(b):
    other = next(n for n in b.lab.nodes if n != b.owner())
    b.lab.ctl(b.lab.nodes[0], "group", "move", "g1", other)
    b.wait_active(on=other)


def under_load(b, linux, what, path):
    """One event under load; everything that was written is there afterwards. Return: the longest pause, ms."""
    job = linux.load(path)
    off = what(b)
    linux.wait_ticks(job, b.now(), 3)
    gap, ops = linux.stop_load(job)
    b.figures["gap_ms"].append(round(gap, 1))
    b.figures.setdefault("operations", []).append(ops)
    if off:
        b.lab.boot(off)
    b.wait_in_sync()
    return gap
