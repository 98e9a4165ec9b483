#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random reservation commands of several initiators on one LUN, one at a time, judged by a model through whatever happens.

usage: walk_reservations.py HOST PORT IQN LUN SEED LOG     (until SIGTERM; then a summary in JSON on standard output)

A command whose answer is lost was done, or was not and never will be once its nexus has logged in again (RFC 7143 6.3.5):
so that nexus is the next one to look. LOG gets a JSON line for the set-up, a violation, each change that was refused for want of room, and each return after a loss.
"""
import json
import os
import random
import signal
import struct
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "conformance")]
from clusters import BUSY, Path                                  # noqa: E402
from initiator import Closed, rw16                               # noqa: E402
from lablib import prmodel as m                                  # noqa: E402

HOSTS = 4
PAUSE_S = 0.02
PATIENCE_S = 120
KEY_BASE = 0xc4a0500000000000


class Lost(Exception):
    """No answer: nobody knows what became of it."""


class Refused(Exception):
    """INSUFFICIENT REGISTRATION RESOURCES: nothing was changed. Whether that may be is for the caller of this program."""


class Walk:
    def __init__(self, addr, target, lun, seed, log):
        self.rnd = random.Random(seed)
        self.log = log
        self.paths = [Path(addr, target, f"iqn.2026-11.org.example:walk{n}", struct.pack(">BHBH", 0x80, 0x4c57, 0, n), lun)
                      for n in range(HOSTS)]
        self.possible = m.Possible()
        self.stop = self.was_lost = False
        self.counts = {"commands": 0, "unanswered": 0, "looks": 0, "accesses": 0, "conflicts": 0, "refused": 0}

    def event(self, ev, **more):
        self.log.write(json.dumps({"t": int(time.time() * 1e6), "ev": ev, **more}) + "\n")
        self.log.flush()

    # ---- commands
    def connect(self, path):
        """Path.connect() with a patience of our own, and an end when asked to stop."""
        end = time.monotonic() + PATIENCE_S
        while path.i is None:
            try:
                path.connect()
            except AssertionError:
                if time.monotonic() > end:
                    raise
            if self.stop and time.monotonic() > end:
                raise AssertionError("no login at the end")

    def once(self, n, cdb, data=b"", read=0):
        """(status, data); Lost when the connection was lost over it."""
        path = self.paths[n]
        while True:
            self.connect(path)
            try:
                got = path.once(cdb, data, read)
            except (Closed, OSError, RuntimeError):              # an Async Message: the connection is about to go
                path.drop()
                got = None
            if got is None:
                self.was_lost = True
                raise Lost
            if got[0] != BUSY:
                if self.was_lost:
                    self.was_lost = False
                    self.event("first-io", s=n)
                return got
            time.sleep(PAUSE_S)

    def again(self, n, cdb, data=b"", read=0):
        """What changes nothing is simply sent again."""
        while True:
            try:
                return self.once(n, cdb, data, read)
            except Lost:
                continue

    def pr_in(self, n, action):
        status, data = self.again(n, struct.pack(">BBxxxxxHx", 0x5e, action, 1024), read=1024)
        assert status == m.GOOD, f"PERSISTENT RESERVE IN was answered {status:#04x}"
        return data[8:8 + struct.unpack_from(">I", data, 4)[0]]

    def look(self, n):
        raw = self.pr_in(n, 0)
        keys = tuple(sorted(struct.unpack(f">{len(raw) // 8}Q", raw)))
        raw = self.pr_in(n, 1)
        self.possible.seen(keys, (struct.unpack_from(">Q", raw)[0], raw[13] & 15) if raw else None)
        self.counts["looks"] += 1

    def change(self, n, action, sark, kind):
        cdb = struct.pack(">BBBxxLx", 0x5f, action, kind, 24)
        key = self.key(n) if action != m.REGISTER_IGNORE else 0
        out = struct.pack(">QQ", key, sark) + bytes([0, 0, 0, 0, 1, 0, 0, 0])
        command = (n, action, sark, kind)
        self.counts["commands"] += 1
        try:
            status = self.sent(n, cdb, out)
        except Lost:
            self.counts["unanswered"] += 1
            self.possible.unanswered(command)
        except Refused:
            self.counts["refused"] += 1
            self.event("refused", command=command)
        else:
            self.counts["conflicts"] += status == m.CONFLICT
            self.possible.answered(status, command)
        self.look(n)

    def sent(self, n, cdb, out):
        try:
            return self.once(n, cdb, data=out)[0]
        except AssertionError as e:                              # Path.once(): a CHECK CONDITION, by its sense
            if "5/26/0" in str(e):
                return m.CHECK
            if "5/55/04" in str(e):
                raise Refused from None
            raise

    def medium(self, n, write):
        cdb = rw16(0x8a if write else 0x88, 0, 1)
        status, _ = self.again(n, cdb, **({"data": b"w" * 512} if write else {"read": 512}))
        self.possible.accessed(status, n, write)
        self.counts["accesses"] += 1

    @staticmethod
    def key(n):
        return KEY_BASE | (n + 1)

    # ---- the walk
    def step(self):
        n, r = self.rnd.randrange(HOSTS), self.rnd
        what = r.choices(("register", "leave", "reserve", "release", "preempt", "abort", "clear", "medium", "look"),
                         (20, 8, 16, 8, 8, 8, 2, 20, 10))[0]
        held = next(iter(self.possible.states))[2]
        kind = r.choice(m.TYPES) if not held or r.random() < 0.2 else held
        if what == "medium":
            self.medium(n, r.random() < 0.5)
        elif what == "look":
            self.look(n)
        elif what in ("preempt", "abort"):
            self.change(n, m.PREEMPT if what == "preempt" else m.PREEMPT_ABORT, self.key((n + r.randrange(1, HOSTS)) % HOSTS), kind)
        else:
            action = {"register": m.REGISTER_IGNORE, "leave": m.REGISTER_IGNORE, "reserve": m.RESERVE, "release": m.RELEASE,
                      "clear": m.CLEAR}[what]
            self.change(n, action, self.key(n) if what == "register" else 0, 0 if action in (m.REGISTER_IGNORE, m.CLEAR) else kind)

    def run(self):
        for n in range(HOSTS):                                   # whatever was there
            self.again(n, bytes(6))
        self.change(0, m.REGISTER_IGNORE, self.key(0), 0)
        self.change(0, m.CLEAR, 0, 0)
        self.event("set-up")
        while not self.stop:
            self.step()
            time.sleep(PAUSE_S)


def main():
    host, port, target, lun, seed, path = sys.argv[1:]
    with open(path, "w", encoding="utf-8") as log:
        w = Walk((host, int(port)), target, int(lun), int(seed), log)
        signal.signal(signal.SIGTERM, lambda *_: setattr(w, "stop", True))
        why = None
        try:
            w.run()
        except AssertionError as e:
            why = str(e)
            w.event("violation", kind="reservation-model", why=why)
        print(json.dumps({"ok": not why, "why": why, "violations": int(bool(why)), **w.counts}))
        return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
