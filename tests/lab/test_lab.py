# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself: it leaves nothing behind, whatever happens to it."""
import os
import subprocess
import sys

from lablib.bench import main, test
from lablib.lab import Lab
from lablib.ns import marked

LAB = os.path.join(os.path.dirname(os.path.realpath(__file__)), "lab")


def links():
    return sorted(os.listdir("/sys/class/net"))


def mounts():
    with open("/proc/self/mounts", encoding="utf-8") as f:
        return f.read()


@test(rounds=3, quick=1)
def lab_leaves_nothing(b):
    """`lab up` killed at several moments, then `lab down`: no process, namespace, mount, cable or file is left."""
    before = links(), mounts()
    for i in range(b.rounds):
        p = subprocess.Popen([sys.executable, "-B", LAB, "--dir", b.lab.dir, "up", "--no-wait"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            p.wait(timeout=0.08 + 0.12 * i)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        Lab(b.lab.dir).down()
        b.figures["rounds"] += 1
        assert not marked(b.lab.dir), f"processes left: {marked(b.lab.dir)}"
        assert not os.path.exists(b.lab.dir), "the directory is left"
        assert (links(), mounts()) == before, "links or mounts are left on the host"


@test()
def two_labs_side_by_side(b):
    """Two labs share nothing: the same addresses, two clusters, two arrays."""
    other = Lab(b.lab.dir + "-other")
    try:
        b.lab.up(array="none")
        inside = set(map(str, b.lab.node("alpha").processes()))
        other.up(array="none")
        assert other.members("alpha") == (2, True) and b.lab.members("alpha") == (2, True)
        assert not inside & set(map(str, other.node("alpha").processes()))
    finally:
        other.down()
    assert b.lab.members("alpha") == (2, True), "the first lab suffered from the second"


if __name__ == "__main__":
    main()
