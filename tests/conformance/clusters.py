#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What cluster managers do with reservations, step by step: fence_scsi, fence_mpath, a Windows failover cluster, SPC-2.
(And what else initiators leave behind: kept.py.)

Each is a generator over hosts of several paths. Where it yields, its connections may be lost and the target may change
hands; it is told whether they were. `yield 'now'`: that happens while it goes on. What it expects afterwards is what the standard promises: registrations, the
reservation and its holder, and unit attentions that nobody had read yet.

Run as a program it takes part in a lab test: it says `yield` or `yield now`, and goes on when it reads a line ("lost",
or "kept").
"""
import struct
import sys
import time

import kept
from initiator import Closed, Initiator, rw16

GOOD, CHECK, BUSY, CONFLICT = 0, 2, 8, 0x18
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, REGISTER_IGNORE = range(7)
RESERVATIONS_PREEMPTED, RESERVATIONS_RELEASED, REGISTRATIONS_PREEMPTED = (0x2a, 3), (0x2a, 4), (0x2a, 5)
PATIENCE = 60


class Path:
    """One session. What is lost with a connection is for the caller to find out."""

    def __init__(self, addr, target, name, isid, lun):
        self.addr, self.target, self.name, self.isid, self.lun = addr, target, name, isid, lun
        self.i, self.told, self.losses = None, [], 0

    def connect(self):
        end = time.monotonic() + PATIENCE
        while self.i is None:
            try:
                self.i = Initiator(self.addr, name=self.name, isid=self.isid, timeout=5)
                self.i.login(self.target)
            except (Closed, OSError, RuntimeError) as e:
                self.drop()
                assert time.monotonic() < end, 'no login: %s' % e
                time.sleep(0.05)

    def drop(self):
        if self.i:
            self.i.close()
        self.i = None

    def once(self, cdb, data=b'', read=0):
        """One attempt. Return: (status, data), or None: the connection was lost, and with it what became of it."""
        self.connect()
        try:
            status, got, sense = self.i.command(cdb, lun=self.lun, data=data, read=read)
        except (Closed, OSError):
            self.losses += 1
            self.drop()
            return None
        if status != CHECK:
            return status, got
        key, code = sense[2] & 15, (sense[12], sense[13])
        if key == 6:
            self.told.append(code)
            return self.once(cdb, data, read)
        assert key == 2, 'sense %x/%02x/%02x' % (key, *code)
        return BUSY, b''

    def command(self, cdb, data=b'', read=0, again=True):
        """As an operating system does it: until there is an answer; not @again: None when the connection was lost."""
        end = time.monotonic() + PATIENCE
        while True:
            got = self.once(cdb, data, read)
            if got and got[0] != BUSY:
                return got
            if not got and not again:
                return None
            assert time.monotonic() < end, 'no answer to %s' % cdb.hex()
            time.sleep(0.02)


class Host:
    """A member of a cluster: its paths, its key."""

    def __init__(self, paths, key):
        self.paths, self.key = paths, key

    def pr_out(self, action, sark=0, kind=0, key=None, aptpl=True, path=0, again=True):
        """Return: status; None when the connection was lost and it may or may not have been done."""
        cdb = struct.pack('>BBBxxLx', 0x5f, action, kind, 24)
        out = struct.pack('>QQ', self.key if key is None else key, sark) + bytes([0, 0, 0, 0, int(aptpl), 0, 0, 0])
        got = self.paths[path].command(cdb, data=out, again=again)
        return got and got[0]

    def pr_in(self, action, path=0):
        status, data = self.paths[path].command(struct.pack('>BBxxxxxHx', 0x5e, action, 1024), read=1024)
        assert status == GOOD, 'PERSISTENT RESERVE IN: status %02x' % status
        return data[8:8 + struct.unpack_from('>I', data, 4)[0]]

    def keys(self):
        raw = self.pr_in(0)
        return sorted(struct.unpack('>%dQ' % (len(raw) // 8), raw))

    def reservation(self):
        """(key, type) or None"""
        raw = self.pr_in(1)
        return (struct.unpack_from('>Q', raw)[0], raw[13] & 15) if raw else None

    def join(self):
        """REGISTER AND IGNORE EXISTING KEY through every path: may be repeated."""
        for n in range(len(self.paths)):
            assert self.pr_out(REGISTER_IGNORE, self.key, path=n) == GOOD
        assert self.keys().count(self.key) == len(self.paths)

    def writes(self, path=0):
        return self.paths[path].command(rw16(0x8a, 0, 1), data=b'w' * 512)[0]

    def reads(self, path=0):
        return self.paths[path].command(rw16(0x88, 0, 1), read=512)[0]

    def hears(self, code):
        """It has been told, on each path, since it was last asked."""
        for p in self.paths:
            p.command(bytes(6))
            assert code in p.told, 'told %s, not %s' % (p.told, code)
            p.told.clear()

    def hears_of_loss(self):
        """29/07, or 29/00 that says more: nobody remembers a session whose connection ended long ago."""
        for p in self.paths:
            p.command(bytes(6))
            assert [c for c in p.told if c in ((0x29, 7), (0x29, 0))], p.told
            p.told.clear()

    def hears_nothing(self, of=0x2a):
        for p in self.paths:
            p.command(bytes(6))
            assert not [c for c in p.told if c[0] == of], p.told
            p.told.clear()

    def evict(self, other, action=PREEMPT_ABORT, kind=5):
        """As fencing does it: until the key is not there any more. A conflict, or no answer, proves nothing."""
        while other.key in self.keys():
            assert self.pr_out(action, other.key, kind, again=False) in (GOOD, CONFLICT, None)


class Cluster:
    """Where hosts come from: one logical unit."""

    def __init__(self, addr, target, lun=0, label='c'):
        self.addr, self.target, self.lun, self.label, self.paths = addr, target, lun, label, []

    def host(self, n, paths=1, key=None):
        made = []
        for p in range(paths):
            made.append(Path(self.addr, self.target, 'iqn.2026-11.org.example:%s%d' % (self.label, n),
                             b'\x80\0\0' + bytes([self.lun, n, len(self.paths) + p]), self.lun))
            made[-1].connect()
            made[-1].command(bytes(6))
            made[-1].told.clear()
        self.paths += made
        return Host(made, key or 0xc0de000000000000 + n)

    def drop(self):
        for p in self.paths:
            p.drop()


# ---- fence_scsi: unfence registers and reserves type 5; fence preempts and aborts; monitor reads keys ----

def unfence(h):
    h.join()
    if h.reservation() is None:
        assert h.pr_out(RESERVE, kind=5) in (GOOD, CONFLICT)
    assert h.reservation()[1] == 5


def fence_scsi(c):
    a, b, stranger = c.host(1), c.host(2), c.host(3)
    assert a.keys() == []
    unfence(a)
    unfence(b)
    assert a.writes() == b.writes() == GOOD
    assert stranger.writes() == CONFLICT and stranger.reads() == GOOD
    yield
    assert a.keys() == [a.key, b.key] and a.reservation() == (a.key, 5)
    assert a.writes() == b.writes() == GOOD and stranger.writes() == CONFLICT
    b.hears_nothing()
    yield 'now'
    a.evict(b)
    yield                                           # the victim has not been told yet
    assert a.keys() == [a.key] and a.reservation() == (a.key, 5)
    assert b.writes() == CONFLICT and a.writes() == GOOD
    b.hears(REGISTRATIONS_PREEMPTED)
    stranger.hears_nothing()
    unfence(b)                                      # it has been rebooted
    assert b.writes() == GOOD
    b.evict(a)                                      # the holder: the reservation changes hands in one step
    assert b.reservation() == (b.key, 5) and a.writes() == CONFLICT
    again = c.host(4, key=b.key)                    # b with another ISID: preempts what is left of itself
    assert again.pr_out(REGISTER_IGNORE, again.key) == GOOD
    assert again.keys() == [b.key, b.key]
    assert again.pr_out(PREEMPT, b.key, 5) == GOOD
    assert again.keys() == [b.key] and again.reservation() == (b.key, 5)
    assert again.writes() == GOOD and b.writes() == CONFLICT
    yield
    assert again.writes() == GOOD and b.writes() == a.writes() == stranger.writes() == CONFLICT
    assert again.pr_out(CLEAR) == GOOD


# ---- fence_mpath: the same through mpathpersist, which registers each path with the host's key ----

def fence_mpath(c):
    a, b = c.host(1, paths=2), c.host(2, paths=2)
    a.join()
    b.join()
    assert a.pr_out(RESERVE, kind=5, path=1) == GOOD
    for h in (a, b):
        assert h.writes(0) == h.writes(1) == GOOD
    yield
    assert a.keys() == [a.key, a.key, b.key, b.key] and b.reservation() == (a.key, 5)
    for h in (a, b):
        assert h.writes(0) == h.writes(1) == GOOD
    # not the holder: GOOD, and nothing is released; so mpathpersist releases through every path
    assert a.pr_out(RELEASE, kind=5, path=0) == GOOD and a.reservation() == (a.key, 5)
    yield 'now'
    b.evict(a)                                      # both registrations and the reservation, with one command
    yield
    assert b.keys() == [b.key, b.key] and b.reservation() == (b.key, 5)
    assert a.writes(0) == a.writes(1) == CONFLICT
    a.hears(REGISTRATIONS_PREEMPTED)
    for path in (0, 1):
        assert b.pr_out(RELEASE, kind=5, path=path) == GOOD
    assert b.reservation() is None and a.writes() == GOOD
    assert b.pr_out(CLEAR) == GOOD
    b.paths[1].command(bytes(6))
    assert RESERVATIONS_PREEMPTED in b.paths[1].told and RESERVATIONS_PREEMPTED not in b.paths[0].told
    assert b.keys() == []


# ---- a Windows failover cluster: challenge and defence; validation goes through the types ----

def windows(c):
    a, b = c.host(1), c.host(2)
    for kind in (1, 3, 5, 6, 7):                    # cluster validation
        assert a.pr_out(REGISTER, a.key, key=0) == GOOD
        assert b.pr_out(REGISTER, b.key, key=0) == GOOD
        assert a.pr_out(RESERVE, kind=kind) == GOOD
        assert b.pr_out(RESERVE, kind=kind) == (GOOD if kind == 7 else CONFLICT)
        assert b.reservation() == (0 if kind == 7 else a.key, kind)
        assert b.writes() == (GOOD if kind in (5, 6, 7) else CONFLICT)
        assert b.reads() == (CONFLICT if kind == 3 else GOOD)
        assert a.pr_out(RELEASE, kind=kind) == GOOD
        assert a.pr_out(REGISTER, 0) == GOOD and b.pr_out(REGISTER, 0) == GOOD
        assert a.keys() == []
    b.paths[0].told.clear()
    a.join()                                        # a brings the disk online
    assert a.pr_out(RESERVE, kind=5) == GOOD
    b.join()                                        # b arbitrates: registers, looks, and waits
    assert b.reservation() == (a.key, 5) and b.pr_out(RESERVE, kind=5) == CONFLICT
    a.evict(b, PREEMPT)                             # a defends, every 3 s: removes whoever registered
    yield
    assert a.keys() == [a.key] and a.reservation() == (a.key, 5)
    b.hears(REGISTRATIONS_PREEMPTED)
    assert a.writes() == GOOD and b.writes() == CONFLICT
    b.join()                                        # again; this time nobody defends
    yield
    assert b.keys() == [a.key, b.key]
    b.evict(a, PREEMPT)
    assert b.reservation() == (b.key, 5) and b.writes() == GOOD and a.writes() == CONFLICT
    a.hears(REGISTRATIONS_PREEMPTED)
    a.join()                                        # a member that shares the disk
    assert a.writes() == GOOD
    assert b.pr_out(RELEASE, kind=5) == GOOD        # b takes it offline
    yield
    a.hears(RESERVATIONS_RELEASED)
    assert a.reservation() is None and a.keys() == [a.key, b.key]
    assert a.pr_out(CLEAR) == GOOD                  # Clear-ClusterDiskReservation
    yield
    b.hears(RESERVATIONS_PREEMPTED)
    assert b.keys() == []


# ---- RESERVE(6) of SPC-2: ends with its nexus, and so cannot outlive its holder ----

def spc2(c):
    a, b = c.host(1), c.host(2)
    reserve, release = b'\x16' + bytes(5), b'\x17' + bytes(5)
    assert a.paths[0].command(reserve)[0] == GOOD
    assert b.writes() == CONFLICT and b.paths[0].command(reserve)[0] == CONFLICT
    lost = yield
    if lost:
        assert b.writes() == GOOD, 'nobody is there who could release it'
        a.hears_of_loss()
        assert a.paths[0].command(reserve)[0] == GOOD
    assert b.writes() == CONFLICT
    assert b.pr_out(REGISTER_IGNORE, b.key) == CONFLICT
    assert a.paths[0].command(release)[0] == GOOD
    assert b.writes() == GOOD


def spc2_and_settings(c):
    """One after the other, on one logical unit."""
    yield from spc2(c)
    yield from kept.settings(c)


SEQUENCES = (fence_scsi, fence_mpath, windows, spc2_and_settings)


def run(sequence, cluster, at_yield):
    """@at_yield: do something to the target or the connections; returns whether the nexuses were lost."""
    steps, said = sequence(cluster), None
    while True:
        try:
            steps.send(said)
        except StopIteration:
            break
        said = at_yield(cluster)
    cluster.drop()


def main():
    """clusters.py ADDRESS PORT TARGET LUN=SEQUENCE…: side by side, each on its own logical unit."""
    addr, target = (sys.argv[1], int(sys.argv[2])), sys.argv[3]
    by_name = {f.__name__: f for f in SEQUENCES}
    todo, said = [], None                           # name, generator, what it waits for
    for word in sys.argv[4:]:
        lun, name = word.split('=')
        todo.append([name, by_name[name](Cluster(addr, target, int(lun), name.replace('_', '-'))), None])
    while todo:
        for t in [t for t in todo if t[2] == 'now'] or list(todo):
            try:
                t[2] = t[1].send(said)
            except StopIteration:
                todo.remove(t)
                print('done %s' % t[0], flush=True)
            except AssertionError as e:
                todo.remove(t)
                print('failed %s: line %d: %s' % (t[0], e.__traceback__.tb_next.tb_lineno, e), flush=True)
        if todo:
            now = any(t[2] == 'now' for t in todo)
            print('yield now' if now else 'yield', flush=True)
            line = sys.stdin.readline().strip()
            if not line:
                return 1
            said = line == 'lost'
    return 0


if __name__ == '__main__':
    sys.exit(main())
