# SPDX-License-Identifier: GPL-2.0-or-later
"""Who sees what, in a cluster: the document decides on every node, and changes while groups are served."""
import os
import re

from lablib import config
from lablib.bench import main, test
from lablib.ns import wait_for

NAME = "iqn.2026-11.org.example:"


def luns(b, who):
    """LUNs that iscsi-ls shows to an initiator of this name."""
    p = b.lab.machine("client").run(["iscsi-ls", "-s", "-i", NAME + who, f"iscsi://{config.portal('g1')}"], check=False)
    return sorted({int(n) for n in re.findall(r"^Lun:(\d+)", p.stdout, re.M)})  # once by each portal


def apply(b, name, edit):
    path = os.path.join(b.lab.dir, name + ".yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(edit(config.cluster_yaml(b.lab.nodes, b.lab.conf["array"], ("g1",))))
    b.lab.apply(path)


def hide(text):
    """LUN 1 for the friend alone."""
    return re.sub(r'(          1: \{iscsi: "[^"]*")\}', r'\1, initiators: [%sfriend]}' % NAME, text)


@test()
def hidden_luns_follow_the_group(b):
    """A list that is applied while the group is served, and still holds on the node that it moves to."""
    b.up(apply=False)
    apply(b, "open", lambda text: text)
    b.wait_active()
    b.wait_in_sync()
    assert luns(b, "friend") == [0, 1] and luns(b, "guest") == [0, 1]
    h = b.history("g1")
    apply(b, "hidden", hide)
    wait_for("LUN 1 is hidden", lambda: luns(b, "guest") == [0])
    assert luns(b, "friend") == [0, 1]
    assert not h.lost(0), "a session that sees what it saw was dropped"
    owner = b.owner()
    other = next(n for n in b.lab.nodes if n != owner)
    b.lab.ctl(owner, "group", "move", "g1", other)
    b.wait_active(on=other)
    assert luns(b, "friend") == [0, 1] and luns(b, "guest") == [0]
    b.figures["rounds"] += 1


@test()
def reactors_of_the_document(b):
    """options.reactors reaches the target processes that clusterd starts."""
    b.up(apply=False)
    apply(b, "three", lambda text: text.replace("groups:", "options: {reactors: 3}\ngroups:", 1))
    b.wait_active()
    for n in b.lab.nodes:
        for pid in b.target_pids(n):
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                assert b"\0--reactors\x003\0" in f.read()
            b.figures["rounds"] += 1
    assert b.figures["rounds"] == len(b.lab.nodes)


if __name__ == "__main__":
    main()
