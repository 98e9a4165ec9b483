# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions of several connections (RFC 7143 4.2.2, 6.3, 11.14): order, allegiance, reinstatement, logout.

The targets have two reactors: connections are accepted by both in turn, so that half of the further ones have to move.
"""
import random
import signal
import struct

import behavior
from behavior import GOOD, answer, post
from bench import IQN
from initiator import (ASYNC, LOGIN_RSP, LOGOUT, LOGOUT_RSP, NOP_IN, NOP_OUT, TMF, TMF_RSP, Closed, Initiator, bhs, rw16)

TESTS = []
NAME = 'iqn.2026-11.org.example:i'
NO_SESSION, TOO_MANY, ORDERED = 0x020a, 0x0206, 2


def test(f):
    TESTS.append(f)
    return f


def further(t, lead, cid, **kw):
    """A connection that has asked to join the session of lead; its answer is not read."""
    i = Initiator(('127.0.0.1', t.port), name=kw.get('name', NAME), isid=kw.get('isid', lead.isid), lead=lead, cid=cid)
    text = b''.join(k.encode() + b'\0' for k in ('InitiatorName=' + i.name, 'TargetName=' + IQN))
    i.send(i.login_bhs(csg=1, nsg=3, dlen=len(text), tsih=kw.get('tsih')), text)
    return i


def status_of(i):
    rsp = i.recv()
    assert rsp.opcode == LOGIN_RSP, rsp.bhs
    return struct.unpack_from('>H', rsp.bhs, 36)[0]


def join(t, lead, cid):
    i = further(t, lead, cid)
    status = status_of(i)
    assert status == 0, hex(status)
    return i


def session(t, n, keys=()):
    """A session of n connections, CIDs 0 …; unit attentions are read."""
    lead = t.login(1, extra=('MaxConnections=%d' % max(n, 4), *keys))
    lead.ready()
    return [lead] + [join(t, lead, cid) for cid in range(1, n)]


def two_reactors(b, **kw):
    return b.target(args=('--reactors', '2'), **kw)


def is_closed(i):
    try:
        i.recv()
    except Closed:
        return True
    return False


def logout(i, reason, cid):
    itt = i.tag()
    i.send(bhs(LOGOUT, 0x80 | reason, itt=itt, tail=struct.pack('>HH', cid, 0) + i.sn()))
    rsp = i.recv()
    assert rsp.opcode == LOGOUT_RSP and rsp.itt == itt, rsp.bhs
    return rsp.bhs[2]


def scattered(b, n):
    """Ordered writes and reads over all connections, those of a round sent in any order: CmdSN decides."""
    t = two_reactors(b)
    conns, r = session(t, n), random.Random(n)
    disk = {}
    for _ in range(30):
        first, jobs, expect = conns[0].cmdsn, [], {}
        for k in range(8):
            jobs.append((first + k, r.choice(conns), r.randrange(4), bytes([r.randrange(256)]) * 512, r.random() < .5))
        for sn, _, lba, data, write in jobs:     # in the order of CmdSN, whatever comes first
            expect[sn] = None if write else disk.get(lba, bytes(512))
            if write:
                disk[lba] = data
        tags = {}
        for k in r.sample(range(8), 8):
            sn, c, lba, data, write = jobs[k]
            c.cmdsn = sn
            tags[sn] = post(c, rw16(0x8a if write else 0x88, lba, 1), data if write else b'', 0 if write else 512, ORDERED)
        conns[0].cmdsn = first + 8
        for sn, c, lba, data, write in jobs:
            collect(c, tags, jobs, expect)
    last = [c.command(rw16(0x88, lba, 1), read=512)[1] for c in conns for lba in range(4)]
    assert last == [disk.get(lba, bytes(512)) for _ in conns for lba in range(4)]


def collect(c, tags, jobs, expect):
    """One more answer on c: its status, and what a read gave."""
    while True:
        pdu = c.recv()
        sn = next((s for s, tag in tags.items() if tag == pdu.itt), None)
        assert sn is not None, pdu.bhs
        assert next(j[1] for j in jobs if j[0] == sn) is c, 'answered on another connection'
        if pdu.opcode == 0x25:
            assert pdu.data == expect[sn], 'wrong data for CmdSN %d' % sn
            if not pdu.bhs[1] & 1:
                continue
        assert pdu.bhs[3] == GOOD, pdu.bhs
        return


@test
def two_connections(b):
    """Simple commands may be reordered by a device server; this disk is one, and each is begun in CmdSN order."""
    scattered(b, 2)


@test
def four_connections(b):
    scattered(b, 4)


@test
def a_hole_holds_up_the_others(b):
    """A command whose predecessor has not come on its connection waits; immediate requests do not."""
    a, c = session(two_reactors(b), 2)
    sn = a.cmdsn
    c.cmdsn = sn + 1
    later = post(c, bytes(6))
    assert c.ping() == [], 'answered before its turn'
    a.cmdsn = sn
    first = post(a, bytes(6))
    assert answer(a, first)[0] == GOOD
    assert answer(c, later)[0] == GOOD


@test
def unit_attentions_are_the_sessions(b):
    t = two_reactors(b)
    lead = t.login(1, extra=('MaxConnections=2',))
    c = join(t, lead, 1)
    assert c.command(bytes(6))[0] == 2       # power on
    assert lead.command(bytes(6))[0] == GOOD


@test
def a_connection_dies_and_comes_back(b):
    """The others go on; the same CID is taken again; a CID that is in use is taken from its connection (6.3.4)."""
    t = two_reactors(b)
    conns = session(t, 4)
    assert conns[2].command(rw16(0x8a, 5, 1), data=b'5' * 512)[0] == GOOD
    conns[2].close()
    for c in (conns[0], conns[1], conns[3]):
        assert c.command(rw16(0x88, 5, 1), read=512)[1] == b'5' * 512
    conns[2] = join(t, conns[0], 2)
    assert conns[2].command(rw16(0x88, 5, 1), read=512)[1] == b'5' * 512
    again = join(t, conns[0], 3)
    assert is_closed(conns[3])
    for c in (conns[0], conns[1], conns[2], again):
        assert c.command(rw16(0x88, 5, 1), read=512)[1] == b'5' * 512
    conns[0].close()                          # the leading one is no exception
    first = join(t, conns[1], 0)
    assert first.command(rw16(0x88, 5, 1), read=512)[1] == b'5' * 512


@test
def the_only_connection_comes_back(b):
    """It is still there when its CID logs in again: the session goes on, with its numbers and without unit attentions."""
    t = two_reactors(b)
    lead, = session(t, 1)
    again = join(t, lead, 0)
    assert is_closed(lead)
    assert again.command(bytes(6))[0] == GOOD
    tsih = again.shared.tsih
    again.close()                             # now it is gone, and with it the session (error recovery level 0)
    t.wait_log('closed by the initiator')
    late = further(t, again, 0, tsih=tsih)
    assert status_of(late) == NO_SESSION


@test
def reinstatement_of_a_connection_waits_for_writes(b):
    """6.3.4: a late write of the old connection must never land after a write of the new one."""
    array, t = b.slow()
    lead, c = session(t, 2)
    array.signal(signal.SIGSTOP)
    post(c, rw16(0x8a, 0, 1), b'o' * 512)
    c.ping()
    again = further(t, lead, 1)
    t.wait_log('its CID has logged in again')
    lead.ping()
    assert behavior.silent(again), 'answered while a write of the old connection was in flight'
    array.signal(signal.SIGCONT)
    assert status_of(again) == 0
    assert again.command(rw16(0x8a, 0, 1), data=b'n' * 512)[0] == GOOD
    assert lead.command(rw16(0x88, 0, 1), read=512)[1] == b'n' * 512


@test
def reinstatement_of_the_session(b):
    """TSIH 0 of the same initiator port ends all connections of the older session (6.3.5)."""
    t = two_reactors(b)
    conns = session(t, 3)
    t.ready(1)
    for c in conns:
        assert is_closed(c)


@test
def refused(b):
    t = two_reactors(b)
    lead = t.login(1, extra=('MaxConnections=2',))
    other = join(t, lead, 1)
    assert status_of(further(t, lead, 2)) == TOO_MANY
    assert status_of(further(t, lead, 2, tsih=lead.shared.tsih + 1)) == NO_SESSION
    assert status_of(further(t, lead, 2, isid=b'\x80\0\0\0\0\7')) == NO_SESSION
    assert status_of(further(t, lead, 2, name=NAME + 'x')) == NO_SESSION
    lead.ready()
    other.ready()


@test
def abort_on_another_connection(b):
    """ABORT TASK of a command on another connection: answered when it is gone; no status for it."""
    array, t = b.slow()
    lead, c = session(t, 2)
    array.signal(signal.SIGSTOP)
    sn = lead.cmdsn
    tag = post(c, rw16(0x8a, 0, 1), b'o' * 512)
    c.ping()
    itt = lead.tag()
    lead.send(bhs(TMF | 0x40, 0x81, itt=itt, tail=struct.pack('>I', tag) + lead.sn(immediate=True)
                  + struct.pack('>I', sn)))
    assert lead.ping() == [], 'answered while the write was in flight'
    array.signal(signal.SIGCONT)
    rsp = lead.recv()
    assert rsp.opcode == TMF_RSP and rsp.itt == itt and rsp.bhs[2] == 0, rsp.bhs
    assert c.ping() == [], 'a status for an aborted command'


@test
def log_out_another(b):
    """Reason 1 with another CID closes that one; reason 2 is not supported at level 0; reason 0 ends all."""
    t = two_reactors(b)
    conns = session(t, 4)
    assert logout(conns[0], 1, 9) == 1        # no such CID
    assert logout(conns[0], 2, 1) == 2        # no recovery
    assert logout(conns[0], 1, 3) == 0
    assert is_closed(conns[3])
    assert logout(conns[1], 1, 1) == 0        # itself
    assert is_closed(conns[1])
    for c in (conns[0], conns[2]):
        assert c.command(bytes(6))[0] == GOOD
    conns[1] = join(t, conns[0], 1)
    assert logout(conns[2], 0, 0) == 0
    for c in conns:
        assert is_closed(c)
    assert status_of(further(t, conns[0], 1)) == NO_SESSION


@test
def nobody_joins_what_is_logged_out(b):
    """A login for a session that is being closed (reason 0) gets 020A, however long its last tasks take."""
    array, t = b.slow()
    lead, busy = session(t, 2)
    array.signal(signal.SIGSTOP)
    post(busy, rw16(0x8a, 0, 1), b'w' * 512)
    busy.ping()
    lead.send(bhs(LOGOUT, 0x80, itt=lead.tag(), tail=bytes(4) + lead.sn()))
    assert is_closed(busy), 'the logout has begun'
    status = status_of(further(t, lead, 2))
    array.signal(signal.SIGCONT)
    assert status == NO_SESSION, hex(status)
    assert lead.recv().opcode == LOGOUT_RSP


@test
def log_out_waits_for_writes(b):
    """11.14: the answer says that the connection's tasks are gone, and a write in flight may still change the disk."""
    array, t = b.slow()
    lead, c = session(t, 2)
    array.signal(signal.SIGSTOP)
    post(c, rw16(0x8a, 0, 1), b'o' * 512)
    c.ping()
    itt = lead.tag()
    lead.send(bhs(LOGOUT, 0x81, itt=itt, tail=struct.pack('>HH', 1, 0) + lead.sn()))
    assert lead.ping() == [], 'answered while a write of the connection was in flight'
    array.signal(signal.SIGCONT)
    rsp = lead.recv()
    assert rsp.opcode == LOGOUT_RSP and rsp.itt == itt and rsp.bhs[2] == 0, rsp.bhs
    assert lead.command(rw16(0x88, 0, 1), read=512)[1] == b'o' * 512


@test
def goodbye_to_each(b):
    """When the target ends, each connection is told that it is dropped, by its CID."""
    t = two_reactors(b)
    conns = session(t, 3)
    t.signal(signal.SIGTERM)
    for cid, c in enumerate(conns):
        pdu = c.recv()
        assert pdu.opcode == ASYNC and pdu.bhs[36] == 2 and struct.unpack_from('>HHH', pdu.bhs, 38) == (cid, 0, 0), pdu.bhs
        assert is_closed(c)
    assert t.proc.wait(30) == 0


@test
def a_dead_one_is_named_to_another(b):
    """A connection that answered pings and does not any more is dropped; another one of the session hears which."""
    t = two_reactors(b, options='options: {nop-interval: 1s, nop-timeout: 1s}\n')
    lead, c = session(t, 2)
    pong(c)
    while True:                               # lead answers its own, c no more
        pdu = lead.recv()
        if pdu.opcode == ASYNC:
            break
        pong(lead, pdu)
    assert pdu.bhs[36] == 2 and struct.unpack_from('>H', pdu.bhs, 38)[0] == 1, pdu.bhs
    again = join(t, lead, 1)
    assert again.command(bytes(6))[0] == GOOD


def pong(i, pdu=None):
    """Answer a ping of the target."""
    pdu = pdu or i.recv()
    assert pdu.opcode == NOP_IN, pdu.bhs
    i.send(bhs(NOP_OUT | 0x40, itt=0xffffffff, tail=pdu.bhs[20:24] + i.sn(immediate=True)))


@test
def they_come_and_go(b):
    """Connections that join, move and die at any moment, in two sessions; the target survives, and ends cleanly."""
    t, r = two_reactors(b), random.Random(7)
    for isid in (1, 2):
        lead = t.login(isid, extra=('MaxConnections=8',))
        for n in range(60):
            i = further(t, lead, 1 + r.randrange(7))
            what = r.randrange(4)
            if what == 0:
                i.close()                     # while it is parked, or on its way
            elif what == 1:
                i.send(bytes(48))             # speaks out of turn
                i.close()
            elif status_of(i) == 0 and what == 2:
                i.close()
            if n % 20 == 19:
                lead.ready()
