# SPDX-License-Identifier: GPL-2.0-or-later
"""Connection recovery (RFC 7143 6.3.4, 6.3.6, 7.1.4.3, 7.2.2, 11.5, 11.14; error recovery level 2): lost connections.

Each test has a target of its own (behavior.py) with two reactors, so that connections that come back have to move.
"""
import random
import signal
import struct

import behavior
from behavior import CONFLICT, GOOD, RESERVE, REGISTER, answer, post, pr_out, sense
from bench import IQN
from initiator import (ASYNC, DATA_IN, DATA_OUT, LOGOUT, LOGOUT_RSP, R2T, SCSI_CMD, SCSI_RSP, TMF, TMF_RSP, Initiator, bhs,
                       rw16)
from losing import Loser
from sessions import NAME, NO_SESSION, TOO_MANY, further, is_closed, join, pong, status_of

TESTS = []
COMPLETE, NO_TASK, STILL_ALLEGIANT, NO_REASSIGN = 0, 1, 3, 4
SEGMENT, BURST = 4096, 16384
LEVEL2 = ('InitiatorName=' + NAME, 'TargetName=' + IQN, 'ErrorRecoveryLevel=2', 'MaxConnections=4', 'InitialR2T=Yes',
          'DefaultTime2Wait=0', 'MaxBurstLength=%d' % BURST, 'MaxRecvDataSegmentLength=%d' % SEGMENT)
OPTIONS = 'options: {error-recovery-level: 2}\n'


def test(f):
    TESTS.append(f)
    return f


def target(b, options=OPTIONS, **kw):
    return b.target(args=('--reactors', '2'), options=options, luns={0: '{ram: 64MiB}'}, **kw)


def session(t, n=1, keys=(), isid=1):
    lead = Initiator(('127.0.0.1', t.port), name=NAME, isid=b'\x80\0\0\0\0' + bytes([isid]))
    rsp = lead.login_raw([*LEVEL2, *keys])
    assert rsp.bhs[36:38] == b'\0\0' and b'ErrorRecoveryLevel=2\0' in rsp.data, rsp.data
    lead.shared.tsih = struct.unpack_from('>H', rsp.bhs, 14)[0]
    lead.ready()
    return [lead] + [join(t, lead, cid) for cid in range(1, n)]


def lose(t, i):
    """The connection is closed, and the target has seen it."""
    t.losses = getattr(t, 'losses', 0) + 1
    i.close()
    t.wait_log('(tasks may be reassigned(?s:.*)){%d}' % t.losses)


def again(t, i, cid=None):
    """The same CID logs in again, which is a logout for recovery, or another one of the session."""
    return join(t, i, i.cid if cid is None else cid)


def reassign(i, ref, datasn=0):
    """TASK REASSIGN, immediate. Return: its response, which comes before anything of the task."""
    itt = i.tag()
    i.send(bhs(TMF | 0x40, 0x88, itt=itt, tail=struct.pack('>I', ref) + i.sn(immediate=True) + struct.pack('>II', 0, datasn)))
    rsp = i.recv()
    assert rsp.opcode == TMF_RSP and rsp.itt == itt, rsp.bhs
    return rsp.bhs[2]


def logout(i, reason, cid):
    """Return: response, Time2Wait, Time2Retain"""
    itt = i.tag()
    i.send(bhs(LOGOUT, 0x80 | reason, itt=itt, tail=struct.pack('>HH', cid, 0) + i.sn()))
    rsp = i.recv()
    assert rsp.opcode == LOGOUT_RSP and rsp.itt == itt, rsp.bhs
    return (rsp.bhs[2], *struct.unpack_from('>HH', rsp.bhs, 40))


def begin_write(i, lba, blocks):
    itt = i.tag()
    i.send(bhs(SCSI_CMD, 0xa1, itt=itt, tail=struct.pack('>I', blocks * 512) + i.sn() + rw16(0x8a, lba, blocks)))
    return itt


def out(i, r2t, data, sn, off, n, final):
    i.send(bhs(DATA_OUT, 0x80 if final else 0, dlen=n, itt=r2t.itt,
               tail=struct.pack('>IIIIIII', r2t.u32(20), 0, i.expstatsn, 0, sn, off, 0)), data[off:off + n])


def want(i, opcode):
    pdu = i.recv()
    assert pdu.opcode == opcode, hex(pdu.opcode)
    return pdu


def want_r2t(i, sn, off, n):
    pdu = want(i, R2T)
    assert (pdu.u32(36), pdu.u32(40), pdu.u32(44)) == (sn, off, n), pdu.bhs
    return pdu


def random_bytes(n, seed):
    return random.Random(seed).randbytes(n)


# ---- what is in progress goes on ----
@test
def reads_and_writes_at_the_disk(b):
    """They are with a slow disk when the connection is lost: they end meanwhile, and answer on the new one."""
    array, t = b.slow(options=OPTIONS)
    i, = session(t)
    old, new = random_bytes(8192, 1), random_bytes(4096, 2)
    assert i.command(rw16(0x8a, 0, 16), data=old)[0] == GOOD
    array.signal(signal.SIGSTOP)
    read, write = post(i, rw16(0x88, 0, 16), read=8192), post(i, rw16(0x8a, 100, 8), new)
    i.ping()
    lose(t, i)
    i = again(t, i)
    assert reassign(i, read) == COMPLETE and reassign(i, write) == COMPLETE
    assert i.ping() == [], 'answered before the disk did'
    array.signal(signal.SIGCONT)
    got, left = {}, {read, write}
    while left:
        pdu = i.recv()
        if pdu.opcode == DATA_IN:
            got[pdu.u32(40)] = pdu.data
        if pdu.opcode == SCSI_RSP or pdu.bhs[1] & 1:
            assert pdu.bhs[3] == GOOD
            left.remove(pdu.itt)
    assert b''.join(got[off] for off in sorted(got)) == old
    assert i.command(rw16(0x88, 100, 8), read=4096)[1] == new


@test
def a_write_half_way(b):
    """Half of an R2T's data was sent: only what is missing is asked for, with the next R2TSN."""
    t = target(b)
    i, = session(t)
    data = random_bytes(2 * BURST, 3)
    itt = begin_write(i, 0, 2 * BURST // 512)
    r2t = want_r2t(i, 0, 0, BURST)
    out(i, r2t, data, 0, 0, SEGMENT, False)
    out(i, r2t, data, 1, SEGMENT, SEGMENT, False)
    i.raw(bhs(DATA_OUT, 0, dlen=SEGMENT, itt=itt, tail=struct.pack('>IIIIIII', r2t.u32(20), 0, 0, 0, 2, 2 * SEGMENT, 0))
          + data[:99])
    lose(t, i)
    i = again(t, i)
    assert reassign(i, itt, 1) == COMPLETE
    r2t = want_r2t(i, 1, 2 * SEGMENT, 2 * SEGMENT)
    out(i, r2t, data, 0, 2 * SEGMENT, 2 * SEGMENT, True)
    out(i, want_r2t(i, 2, BURST, BURST), data, 0, BURST, BURST, True)
    assert answer(i, itt)[0] == GOOD
    assert i.command(rw16(0x88, 0, len(data) // 512), read=len(data))[1] == data


@test
def an_r2t_that_nobody_saw(b):
    """It comes again under the same number; so it does for an initiator that does not say what it had (ExpDataSN 0)."""
    t = target(b)
    i, = session(t)
    data = random_bytes(4096, 4)
    itt = begin_write(i, 0, 8)
    want_r2t(i, 0, 0, 4096)
    for _ in range(3):
        lose(t, i)
        i = again(t, i)
        assert reassign(i, itt) == COMPLETE
        r2t = want_r2t(i, 0, 0, 4096)
    out(i, r2t, data, 0, 0, 4096, True)
    assert answer(i, itt)[0] == GOOD
    assert i.command(rw16(0x88, 0, 8), read=4096)[1] == data


@test
def a_write_whose_answer_was_lost(b):
    """It is answered, with a new StatSN, and not executed again."""
    t = target(b)
    i, = session(t)
    plain = t.ready(2)
    itt = post(i, rw16(0x8a, 0, 1), b'1' * 512)
    behavior.select.select([i.sock], [], [], 10)   # the answer is there; nobody reads it
    lose(t, i)
    assert plain.command(rw16(0x8a, 0, 1), data=b'2' * 512)[0] == GOOD
    i = again(t, i)
    statsn = i.expstatsn
    assert reassign(i, itt) == COMPLETE
    pdu = want(i, SCSI_RSP)
    assert (pdu.itt, pdu.bhs[3], pdu.u32(24)) == (itt, GOOD, statsn + 1), pdu.bhs
    assert reassign(i, itt) == NO_TASK             # this request acknowledges the answer
    assert plain.command(rw16(0x88, 0, 1), read=512)[1] == b'2' * 512


@test
def an_error_whose_answer_was_lost(b):
    """With its sense data."""
    t = target(b)
    i, = session(t)
    itt = post(i, rw16(0x88, 1 << 40, 1), read=512)
    behavior.select.select([i.sock], [], [], 10)
    lose(t, i)
    i = again(t, i)
    assert reassign(i, itt) == COMPLETE
    status, raw = answer(i, itt)
    assert status == 2 and sense(raw) == (5, 0x21, 0), raw


@test
def a_read_whose_end_was_lost(b):
    """From ExpDataSN on, cut as the new connection takes it (8192); all for 0; and what makes no sense is ignored."""
    t = target(b)
    plain = t.ready(2)
    data = random_bytes(8 * SEGMENT, 5)
    assert plain.command(rw16(0x8a, 0, 64), data=data)[0] == GOOD
    for have, first in ((3, 3), (0, 0), (8, 8), (9, 0)):
        i, = session(t)
        itt = post(i, rw16(0x88, 0, 64), read=len(data))
        behavior.select.select([i.sock], [], [], 10)
        plain.ping()
        for _ in range(8):
            assert i.recv().itt == itt
        lose(t, i)
        i = again(t, i)
        assert reassign(i, itt, have) == COMPLETE
        got, sn, pdu = b'', first, i.recv()
        while pdu.opcode == DATA_IN and not pdu.bhs[1] & 1:
            assert (pdu.u32(36), pdu.u32(40)) == (sn, first * SEGMENT + len(got)), pdu.bhs
            got, sn, pdu = got + pdu.data, sn + 1, i.recv()
        assert pdu.itt == itt and pdu.bhs[3] == GOOD and (pdu.opcode == SCSI_RSP) == (first == 8), pdu.bhs
        assert got + pdu.data == data[first * SEGMENT:]
        i.close()


# ---- who may, and when ----
@test
def refused(b):
    """11.6.1: nobody's task; one whose connection is there, or was not logged out; a session of level 1."""
    array, t = b.slow(options=OPTIONS)
    lead, c = session(t, 2)
    assert reassign(lead, 0x1234) == NO_TASK
    array.signal(signal.SIGSTOP)
    own, others = post(lead, rw16(0x8a, 0, 1), b'a' * 512), post(c, rw16(0x8a, 1, 1), b'b' * 512)
    c.ping()
    assert reassign(lead, own) == STILL_ALLEGIANT and reassign(lead, others) == STILL_ALLEGIANT
    lose(t, c)
    assert reassign(lead, others) == STILL_ALLEGIANT
    assert logout(lead, 2, 1) == (0, 0, 20)
    assert logout(lead, 2, 1)[0] == 1              # there is none any more
    assert reassign(lead, others) == COMPLETE
    array.signal(signal.SIGCONT)
    assert {lead.recv().itt, lead.recv().itt} == {own, others}
    low = t.login(3, extra=('ErrorRecoveryLevel=1',))
    low.ready()
    assert reassign(low, 0x1234) == NO_REASSIGN and logout(low, 2, 0)[0] == 2


@test
def a_living_connection_is_removed_for_recovery(b):
    """Another one asks for it; or itself: the response is the last that it says."""
    array, t = b.slow(options=OPTIONS)
    lead, c = session(t, 2)
    for asks in ('lead', 'itself'):
        array.signal(signal.SIGSTOP)
        itt = post(c, rw16(0x8a, 0, 1), b'a' * 512)
        c.ping()
        assert logout(lead if asks == 'lead' else c, 2, 1)[0] == 0
        assert is_closed(c)
        assert reassign(lead, itt) == COMPLETE
        array.signal(signal.SIGCONT)
        assert answer(lead, itt)[0] == GOOD
        c = join(t, lead, 1)
        assert c.command(bytes(6))[0] == GOOD


@test
def closed_for_good(b):
    """Logout reason 1 of a lost connection ends its tasks, and is answered when they are gone."""
    array, t = b.slow(options=OPTIONS)
    lead, c = session(t, 2)
    array.signal(signal.SIGSTOP)
    itt = post(c, rw16(0x8a, 0, 1), b'a' * 512)
    c.ping()
    lose(t, c)
    lead.send(bhs(LOGOUT, 0x81, itt=77, tail=struct.pack('>HH', 1, 0) + lead.sn()))
    assert lead.ping() == [], 'answered while a write was in flight'
    array.signal(signal.SIGCONT)
    assert lead.recv().opcode == LOGOUT_RSP
    assert reassign(lead, itt) == NO_TASK


@test
def nobody_takes_over(b):
    """After Time2Wait and Time2Retain the tasks are gone; with the last connection, the session."""
    t = target(b, 'options: {error-recovery-level: 2, time2retain: 1s}\n')
    lead, c = session(t, 2, keys=('DefaultTime2Retain=20',))
    itt = begin_write(c, 0, 8)
    want_r2t(c, 0, 0, 4096)
    lose(t, c)
    t.wait_log('lost connection ends: nobody has taken its tasks over')
    assert reassign(lead, itt) == NO_TASK
    lose(t, lead)
    t.wait_log('(?s)nobody has taken.*nobody has taken')
    tsih = lead.shared.tsih
    late = further(t, lead, 0, tsih=tsih)
    assert status_of(late) == NO_SESSION
    assert t.ready(1).command(rw16(0x88, 0, 8), read=4096)[1] == bytes(4096)


@test
def nothing_is_retained(b):
    """Time2Retain 0: the state is gone with the connection (13.16)."""
    t = target(b)
    lead, c = session(t, 2, keys=('DefaultTime2Retain=0',))
    itt = begin_write(c, 0, 8)
    want_r2t(c, 0, 0, 4096)
    c.close()
    t.wait_log('closed by the initiator')
    assert reassign(lead, itt) in (NO_TASK, STILL_ALLEGIANT)
    c = again(t, c)
    assert reassign(c, itt) == NO_TASK


@test
def a_tag_is_used_again(b):
    """Whoever uses a tag again has had the answer; while there was none, the tag is in use."""
    t = target(b)
    i, = session(t)
    stuck = begin_write(i, 8, 1)
    want_r2t(i, 0, 0, 512)
    done = post(i, rw16(0x8a, 0, 1), b'1' * 512)
    assert answer(i, done)[0] == GOOD
    lose(t, i)
    i = again(t, i)
    i.itt = done - 1
    assert post(i, rw16(0x88, 0, 1), read=512) == done
    assert answer(i, done)[0] == GOOD
    i.ping()
    assert reassign(i, done) == NO_TASK            # not the older one's answer
    i.itt = stuck - 1
    post(i, rw16(0x88, 0, 1), read=512)
    pdu = i.recv()
    assert pdu.opcode == 0x3f and pdu.bhs[2] == 7, pdu.bhs
    i.itt, i.cmdsn = stuck + 100, i.cmdsn - 1
    assert reassign(i, stuck) == COMPLETE
    out(i, want_r2t(i, 0, 0, 512), b'3' * 512, 0, 0, 512, True)
    assert answer(i, stuck)[0] == GOOD


# ---- the session ----
@test
def the_session_goes_on(b):
    """All connections are lost: its reservation and unit attentions stay, for others too; any CID continues it (6.3.6)."""
    t = target(b)
    conns = session(t, 3)
    other = t.ready(2, name='iqn.2026-11.org.example:other')
    assert pr_out(conns[0], REGISTER, sakey=5)[0] == GOOD
    assert pr_out(conns[0], RESERVE, key=5, kind=1)[0] == GOOD
    itt = begin_write(conns[1], 0, 1)
    want_r2t(conns[1], 0, 0, 512)
    for c in conns:
        lose(t, c)
    assert other.command(rw16(0x8a, 0, 1), data=bytes(512))[0] == CONFLICT
    reset = other.tag()
    other.send(bhs(TMF | 0x40, 0x85, itt=reset, tail=struct.pack('>I', 0xffffffff) + other.sn(immediate=True)))
    assert want(other, TMF_RSP).bhs[2] == COMPLETE
    i = again(t, conns[0], cid=9)
    assert i.command(bytes(6))[0] == 2             # the reset
    i.ready()
    assert i.command(rw16(0x8a, 0, 1), data=b'x' * 512)[0] == GOOD
    assert logout(i, 2, 1)[0] == 0
    assert reassign(i, itt) == NO_TASK             # the reset has ended it


@test
def the_only_connection_and_a_second_one(b):
    """6.3.4: at level 2 there may be a second connection, to clean up the first, whatever MaxConnections says."""
    t = target(b)
    one = t.login(5, extra=('ErrorRecoveryLevel=2', 'MaxConnections=1'))
    one.ready()
    two = join(t, one, 1)
    assert status_of(further(t, one, 2)) == TOO_MANY
    assert logout(two, 2, 0)[0] == 0
    assert is_closed(one)
    assert two.command(bytes(6))[0] == GOOD


@test
def session_reinstatement_ends_it(b):
    """TSIH 0: nothing of the old session is left, and its writes have ended before the new one begins (6.3.5)."""
    array, t = b.slow(options=OPTIONS)
    i, = session(t)
    array.signal(signal.SIGSTOP)
    itt = post(i, rw16(0x8a, 0, 1), b'o' * 512)
    i.ping()
    lose(t, i)
    new = behavior.begin_login(t, 1)
    t.wait_log('the same initiator port has logged in again')
    assert behavior.silent(new), 'the login was answered while a write of the old session was in flight'
    array.signal(signal.SIGCONT)
    assert status_of(new) == 0
    new.ready()
    assert new.command(rw16(0x8a, 0, 1), data=b'n' * 512)[0] == GOOD
    assert new.command(rw16(0x88, 0, 1), read=512)[1] == b'n' * 512
    assert reassign(new, itt) == NO_REASSIGN       # that login did not ask for level 2


@test
def the_dead_one_is_named(b):
    """The Async Message has the times within which its tasks may be reassigned."""
    t = target(b, 'options: {error-recovery-level: 2, nop-interval: 1s, nop-timeout: 1s}\n')
    lead, c = session(t, 2)
    pong(c)
    while True:
        pdu = lead.recv()
        if pdu.opcode == ASYNC:
            break
        pong(lead, pdu)
    assert pdu.bhs[36] == 2 and struct.unpack_from('>HHH', pdu.bhs, 38) == (1, 0, 20), pdu.bhs


@test
def they_hold_up_nobody(b):
    """Lost connections keep memory only while nobody else wants it."""
    t = b.target(args=('--reactors', '1'), options=OPTIONS, luns={0: '{ram: 64MiB}'})
    plain = t.ready(2)
    for n in range(6):
        i = t.login(10 + n, extra=('ErrorRecoveryLevel=2', 'MaxBurstLength=1048576'))
        i.ready()
        for _ in range(60):
            begin_write(i, 0, 2048)
        for _ in range(60):
            want(i, R2T)
        i.close()
    for n in range(20):
        assert plain.command(rw16(0x8a, 0, 2048), data=bytes([n]) * (1 << 20))[0] == GOOD


@test
def switched_off(b):
    """The default offers level 1, and retains nothing."""
    t = b.target()
    i = Initiator(('127.0.0.1', t.port))
    rsp = i.login(IQN, ['ErrorRecoveryLevel=2', 'DefaultTime2Retain=20'])
    assert b'ErrorRecoveryLevel=1\0' in rsp.data and b'DefaultTime2Retain=0\0' in rsp.data, rsp.data
    i.close()


# ---- at random ----
@test
def at_random_points(b):
    """Connections that end anywhere, in the middle of anything: each command ends once, as it should."""
    t = target(b)
    for seed in range(1, 4):
        Loser(t, seed).run(150)
