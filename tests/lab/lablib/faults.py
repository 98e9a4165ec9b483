# SPDX-License-Identifier: GPL-2.0-or-later
"""What the chaos lab does to a cluster, and how each is undone. A fault is a row of KINDS.

begin(lab, victim) makes it happen, end(lab, victim) undoes it; both raise Skip where that makes no sense now (the node
is down already: another fault was first). Whatever a round has left behind, mend() puts right.

Not here, for want of a way: a step of CLOCK_REALTIME (one clock for all machines; a time namespace has offsets for the
others only, fixed at its first process). No program of a node but the log uses that clock.
"""
import contextlib
import random
import signal
import subprocess
from dataclasses import dataclass
from typing import Callable

from . import net
from .lab import LINKS, kill_process
from .ns import LabError, signal_pid


class Skip(Exception):
    """This fault cannot happen now."""


@dataclass(frozen=True)
class Kind:
    name: str
    where: str                  # "owner" (of a group), "other", "node", "array"
    weight: int
    hold: tuple                 # seconds, from and to; (0, 0): nothing to undo
    begin: Callable
    end: Callable = lambda lab, victim: None
    slow: bool = False          # begin() waits for the cluster, which may wait for another fault to end: in a thread


def _alive(lab, name):
    m = lab.machine(name)
    if not m.pid() or m.frozen():
        raise Skip(f"{name} is down or stands still")
    return m


def _pid(lab, name, program, *words):
    pids = _alive(lab, name).pids_of(program, *words)
    if not pids:
        raise Skip(f"{program} does not run on {name}")
    return pids[0]


# ---- machines
def power_off(lab, name):
    if not lab.machine(name).pid():
        raise Skip(f"{name} is down")
    lab.kill(name)


def power_on(lab, name):
    if not lab.machine(name).pid():
        lab.boot(name)


def shut_down(lab, name):
    _alive(lab, name).stop(timeout=90)


def pause(lab, name):
    _alive(lab, name).freeze()


def resume(lab, name):
    if lab.machine(name).pid():
        lab.resume(name)


# ---- processes
def signalled(program, sig):
    def begin(lab, name):
        kill_process(_pid(lab, name, program), sig)
    return begin


def woken(program):
    def end(lab, name):
        for pid in lab.machine(name).pids_of(program):
            signal_pid(pid, signal.SIGCONT)
    return end


def start_corosync(lab, name):
    m = lab.machine(name)
    if m.pid() and not m.frozen():
        m.command("start", service="corosync")


def restart_corosync(lab, name):
    m = _alive(lab, name)
    m.command("stop", service="corosync", timeout=60)
    m.command("start", service="corosync")


# ---- cables
def cut(*links):
    return lambda lab, name: net.set_links(lab.switch, _alive(lab, name), links, up=False)


def plug_in(lab, name):
    m = lab.machine(name)
    if m.pid():
        net.set_links(lab.switch, m, LINKS[lab.role(name)], up=True)


# ---- the disk with the records
def fill(lab, name):
    _alive(lab, name).run(["sh", "-c", "cat /dev/zero >/var/lib/lunward/fill"], check=False)


def unfill(lab, name):
    m = lab.machine(name)
    if m.pid() and not m.frozen():
        m.run(["rm", "-f", "/var/lib/lunward/fill"], check=False)


# ---- the administrator
def _asked(lab, *words):
    for n in lab.nodes:
        m = lab.machine(n)
        if m.pid() and not m.frozen():
            with contextlib.suppress(LabError, subprocess.TimeoutExpired):
                if lab.ctl(n, *words, check=False, timeout=20).returncode == 0:
                    return
    raise Skip("nobody did it")


def move(lab, name):
    group, _, to = name.partition(">")
    _asked(lab, "group", "move", group, to)


def stop_group(lab, name):
    _asked(lab, "group", "stop", name)


def start_group(lab, name):
    _asked(lab, "group", "start", name)


KINDS = {k.name: k for k in (
    Kind("node-power", "node", 10, (2, 8), power_off, power_on),
    Kind("node-shutdown", "node", 4, (1, 4), shut_down, power_on, slow=True),
    Kind("node-paused", "node", 8, (0.3, 12), pause, resume),
    Kind("corosync-killed", "node", 4, (1, 5), signalled("corosync", signal.SIGKILL), start_corosync),
    Kind("corosync-restart", "node", 4, (0, 0), restart_corosync, slow=True),
    Kind("corosync-paused", "node", 3, (0.5, 6), signalled("corosync", signal.SIGSTOP), woken("corosync")),
    Kind("clusterd-killed", "node", 8, (0, 0), signalled("lunward-clusterd", signal.SIGKILL)),
    Kind("clusterd-paused", "node", 6, (0.3, 9), signalled("lunward-clusterd", signal.SIGSTOP), woken("lunward-clusterd")),
    Kind("target-killed", "node", 8, (0, 0), signalled("lunward-target", signal.SIGKILL)),
    Kind("target-paused", "node", 5, (0.3, 12), signalled("lunward-target", signal.SIGSTOP), woken("lunward-target")),
    Kind("ring-cut", "node", 8, (0.2, 8), cut("ring"), plug_in),
    Kind("san-cut", "node", 6, (0.2, 4), cut("san"), plug_in),
    Kind("client-cut", "node", 4, (0.2, 6), cut("client"), plug_in),
    Kind("ring-and-san-cut", "node", 5, (0.5, 4), cut("ring", "san"), plug_in),
    Kind("all-cut", "node", 5, (0.5, 4), cut("ring", "san", "client"), plug_in),
    Kind("array-power", "array", 4, (0.5, 4), power_off, power_on),
    Kind("array-restart", "array", 4, (0, 0), signalled("lunward-target", signal.SIGKILL)),
    Kind("array-cut", "array", 3, (0.2, 4), cut("san"), plug_in),
    Kind("disk-full", "node", 5, (1, 8), fill, unfill),
    Kind("group-move", "move", 8, (0, 0), move, slow=True),
    Kind("group-stop", "group", 3, (0.5, 3), stop_group, start_group, slow=True),
)}
SAN = ("san-cut", "ring-and-san-cut", "all-cut", "array-power", "array-restart", "array-cut")   # the target gives I/O up after 15 s


@dataclass(frozen=True)
class Step:
    """A fault at a time of its round; @victim: "alpha", "array", "owner:g1", "other:g1", "g1>alpha", "g1"."""
    at: float
    kind: str
    victim: str
    hold: float

    @property
    def until(self):
        return self.at + self.hold


def _victim(r, kind, nodes, groups):
    g = r.choice(groups)
    if kind.where == "node":
        return r.choice((r.choice(nodes), f"owner:{g}", f"owner:{g}", f"other:{g}"))
    return {"array": "array", "move": f"{g}>{r.choice(nodes)}", "group": g}[kind.where]


def plan(seed, nodes, groups, kinds=None):
    """Rounds without end, each a list of one to three steps in order of time. The same seed gives the same."""
    r = random.Random(seed)
    chosen = [k for k in KINDS.values() if not kinds or k.name in kinds]
    while True:
        steps, at, used_san = [], 0.0, False
        for _ in range(r.choices((1, 2, 3), (5, 4, 2))[0]):
            k = r.choices(chosen, [k.weight for k in chosen])[0]
            hold = round(r.uniform(*k.hold), 2)
            victim = _victim(r, k, nodes, groups)
            if k.name in SAN and used_san:
                continue
            used_san |= k.name in SAN
            steps.append(Step(round(at, 2), k.name, victim, hold))
            at += r.choice((0.05, 0.3, r.uniform(0, 3)))
        yield steps


def mend_san(lab):
    """What others may be waiting for: the array, and all cables."""
    power_on(lab, "array")
    for name in ("array", *lab.nodes):
        plug_in(lab, name)


def mend(lab):
    """Undo whatever may still be there: power, life, cables, corosync, room on the disk."""
    for name in ("array", *lab.nodes):
        m = lab.machine(name)
        if m.pid():
            m.thaw()
        power_on(lab, name)
        plug_in(lab, name)
    for name in lab.nodes:
        start_corosync(lab, name)
        unfill(lab, name)
