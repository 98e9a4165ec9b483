# SPDX-License-Identifier: GPL-2.0-or-later
"""Block commands (SBC-3) that need a target process and several sessions: who is alone with blocks, and who waits.

Each test has a target of its own (behavior.py).
"""
import os
import select
import signal
import struct
import threading

import behavior
from bench import Clock
from behavior import CHECK, GOOD, NO_TAG, PREEMPT_ABORT, REGISTER, RESERVE, answer, post, pr_out, sense, settle, silent
from initiator import TMF, TMF_RSP, bhs, rw16

TESTS = []
MISCOMPARE = (0xe, 0x1d, 0)


def test(f):
    TESTS.append(f)
    return f


def caw(lba, blocks=1):
    return struct.pack('>BBQxxxBBB', 0x89, 0, lba, blocks, 0, 0)


def block(n):
    """A block that is all counter: one that was torn shows."""
    return struct.pack('>Q', n) * 64


def abort_task(i, itt):
    tag = i.tag()
    i.send(bhs(TMF | 0x40, 0x81, itt=tag, tail=struct.pack('>I', itt) + i.sn(immediate=True) + struct.pack('>I', i.cmdsn)))
    return tag


def together(works):
    """Run them at the same time; the first exception of any is raised."""
    wrong = []

    def guarded(work):
        try:
            work()
        except Exception as e:  # pylint: disable=broad-except
            wrong.append(e)

    threads = [threading.Thread(target=guarded, args=(w,)) for w in works]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if wrong:
        raise wrong[0]


def increment(i, lun, lba, blocks, times):
    """Add one to the counter of each of these blocks, by COMPARE AND WRITE; again when somebody else was faster."""
    tries = 0
    for _ in range(times):
        while True:
            tries += 1
            old = i.command(rw16(0x88, lba, blocks), lun=lun, read=512 * blocks)[1]
            counts = [struct.unpack_from('>Q', old, 512 * k)[0] for k in range(blocks)]
            assert old == b''.join(map(block, counts)), 'a read saw half of a COMPARE AND WRITE'
            status, _, raw = i.command(caw(lba, blocks), lun=lun, data=old + b''.join(block(n + 1) for n in counts))
            if status == GOOD:
                break
            assert status == CHECK and sense(raw) == MISCOMPARE, (status, raw)
    return tries


@test
def compare_and_write_counts(b):
    """SBC-3 5.2: no increment is lost, over all sessions and reactors; ranges that overlap in part, writes beside them."""
    times = 60
    t = b.target(luns={0: '{ram: 16MiB}', 1: '{file: %s/disk.img, size: 16MiB}' % b.base}, args=('--reactors', '2'))
    for lun in (0, 1):
        sessions = [t.ready(n, name='iqn.2026-11.org.example:i%d' % n) for n in range(1, 9)]
        for i in sessions:
            while i.command(bytes(6), lun=lun)[0] != GOOD:
                pass

        def beside(i, lba):
            for n in range(4 * times):
                assert i.command(rw16(0x8a, lba, 1), lun=lun, data=block(n))[0] == GOOD
                assert i.command(rw16(0x88, lba, 1), lun=lun, read=512)[1] == block(n)

        together([lambda i=i: increment(i, lun, 8, 1, times) for i in sessions[:3]]
                 + [lambda i=i: increment(i, lun, 7, 2, times) for i in sessions[3:5]]
                 + [lambda: increment(sessions[5], lun, 7, 1, times)]
                 + [lambda: beside(sessions[6], 6), lambda: beside(sessions[7], 9)])
        got = sessions[0].command(rw16(0x88, 7, 2), lun=lun, read=1024)[1]
        assert got == block(3 * times) + block(5 * times), [struct.unpack_from('>Q', got, n)[0] for n in (0, 512)]
        for i in sessions:
            i.close()


@test
def or_write_sets_every_bit(b):
    """SBC-3 5.8: 64 bits of one block, each set by another command, from sessions on both reactors: none is lost."""
    t = b.target(args=('--reactors', '2'))
    sessions = [t.ready(n, name='iqn.2026-11.org.example:i%d' % n) for n in range(1, 9)]

    def bits(i, n):
        for k in range(8):
            assert i.command(rw16(0x8b, 3, 1), data=struct.pack('>Q', 1 << (8 * n + k)) * 64)[0] == GOOD

    together([lambda i=i, n=n: bits(i, n) for n, i in enumerate(sessions)])
    assert sessions[0].command(rw16(0x88, 3, 1), read=512)[1] == b'\xff' * 512


@test
def writes_wait_behind_compare_and_write(b):
    """A write to its blocks waits; all three are done one after the other."""
    for reactors in ('1', '2'):
        array = b.target('array' + reactors, {0: '{ram: 16MiB}'})
        t = b.target('front' + reactors, {0: '{iscsi: "%s"}' % array.url()}, args=('--reactors', reactors))
        one, two = t.ready(1), t.ready(2, name='iqn.2026-11.org.example:two')
        array.signal(signal.SIGSTOP)
        first = post(one, caw(4), block(0) + block(1))
        one.ping()
        held = post(two, rw16(0x8a, 4, 1), block(9))
        last = post(one, caw(4), block(9) + block(10))
        one.ping(), two.ping()
        assert silent(one) and silent(two)
        array.signal(signal.SIGCONT)
        got = answer(one, first)[0], answer(two, held)[0], answer(one, last)[0]
        now = two.command(rw16(0x88, 4, 1), read=512)[1]
        # one after the other, in some order; within a reactor in the order of arrival
        fhl, hfl = (GOOD, GOOD, GOOD, block(10)), (CHECK, GOOD, GOOD, block(10))
        flh = (GOOD, GOOD, CHECK, block(9))
        assert (*got, now) in ([fhl] if reactors == '1' else [fhl, hfl, flh]), (reactors, got, now[:8])


@test
def compare_and_write_waits_for_what_came_before(b):
    """A WRITE SAME that goes in pieces is over before the COMPARE AND WRITE looks at its last block."""
    for reactors in ('1', '2'):
        array = b.target('array' + reactors, {0: '{ram: 16MiB}'})
        t = b.target('front' + reactors, {0: '{iscsi: "%s"}' % array.url()}, args=('--reactors', reactors))
        one, two = t.ready(1), t.ready(2, name='iqn.2026-11.org.example:two')
        array.signal(signal.SIGSTOP)
        first = post(one, struct.pack('>BBQIBB', 0x93, 0, 0, 16384, 0, 0), block(5))
        one.ping()
        last = post(two, caw(16383), block(0) + block(1))
        two.ping()
        array.signal(signal.SIGCONT)
        assert answer(one, first)[0] == GOOD
        status, raw = answer(two, last)
        assert status == CHECK and sense(raw) == MISCOMPARE, (status, raw)
        assert two.command(rw16(0x88, 16383, 1), read=512)[1] == block(5)


@test
def held_commands_can_be_aborted(b):
    """Behind a gate on a disk that hangs: ABORT TASK and a lost connection end held commands at once, and they never land."""
    for reactors in ('1', '2'):
        array = b.target('array' + reactors, {0: '{ram: 16MiB}'})
        t = b.target('front' + reactors, {0: '{iscsi: "%s"}' % array.url()}, args=('--reactors', reactors))
        one = t.ready(1)
        others = [t.ready(n, name='iqn.2026-11.org.example:i%d' % n) for n in range(2, 8)]
        array.signal(signal.SIGSTOP)
        first = post(one, caw(4), block(0) + block(1))
        one.ping()
        held = [post(i, rw16(0x8a, 4, 1), block(100)) if n % 2 else post(i, caw(4), block(1) + block(200))
                for n, i in enumerate(others)]
        for i in others:
            i.ping()
        for i, itt in list(zip(others, held))[:4]:
            tag = abort_task(i, itt)
            if reactors == '2':
                continue  # those on the other reactor may have passed before the gate came, and hang with the disk
            rsp = i.recv()
            assert rsp.opcode == TMF_RSP and rsp.itt == tag and rsp.bhs[2] == 0, rsp.bhs
        for i in others[4:]:
            i.close()
        array.signal(signal.SIGCONT)
        assert answer(one, first)[0] in (GOOD, CHECK)
        assert one.command(rw16(0x8a, 5, 1), data=block(7))[0] == GOOD
        if reactors == '1':
            assert one.command(rw16(0x88, 4, 1), read=512)[1] == block(1), 'an aborted command reached the disk'
        status = one.command(rw16(0x8a, 4, 1), data=block(1))[0]
        assert status == GOOD and one.command(caw(4), data=block(1) + block(2))[0] == GOOD


@test
def preempt_and_abort_ends_held_commands(b):
    """SPC-4 5.13.11.2.6 and a gate: the victim's held COMPARE AND WRITE is gone before the answer, and leaves no gate behind."""
    array, t = b.slow()
    victim, winner = t.ready(1), t.ready(2, name='iqn.2026-11.org.example:winner')
    assert pr_out(victim, REGISTER, sakey=0x11)[0] == GOOD
    assert pr_out(winner, REGISTER, sakey=0x22)[0] == GOOD
    assert pr_out(winner, RESERVE, key=0x22, kind=5)[0] == GOOD
    array.signal(signal.SIGSTOP)
    first = post(winner, caw(4), block(0) + block(1))
    winner.ping()
    post(victim, caw(4), block(1) + block(66))
    victim.ping()
    out = struct.pack('>QQ', 0x22, 0x11) + bytes(8)
    status = winner.command(struct.pack('>BBBxxLx', 0x5f, PREEMPT_ABORT, 5, 24), data=out)[0]
    assert status == GOOD
    array.signal(signal.SIGCONT)
    assert answer(winner, first)[0] == GOOD
    assert winner.command(caw(4), data=block(1) + block(2))[0] == GOOD
    assert winner.command(rw16(0x88, 4, 1), read=512)[1] == block(2)


@test
def lun_reset_ends_held_commands(b):
    """LOGICAL UNIT RESET waits for what the disk has, not for what is held."""
    array, t = b.slow()
    one, two = t.ready(1), t.ready(2, name='iqn.2026-11.org.example:two')
    array.signal(signal.SIGSTOP)
    post(one, caw(4), block(0) + block(1))
    one.ping()
    post(two, caw(4), block(1) + block(2))
    tag = two.tag()
    two.send(bhs(TMF | 0x40, 0x85, itt=tag, tail=struct.pack('>I', NO_TAG) + two.sn(immediate=True)))
    settle(t)
    assert silent(two)
    array.signal(signal.SIGCONT)
    rsp = two.recv()
    assert rsp.opcode == TMF_RSP and rsp.itt == tag and rsp.bhs[2] == 0, rsp.bhs
    two.ready()
    now = two.command(rw16(0x88, 4, 1), read=512)[1]
    assert now in (block(0), block(1))
    assert two.command(caw(4), data=now + block(7))[0] == GOOD


@test
def stopped_for_everybody(b):
    """START STOP UNIT (SBC-3 5.25): 02/04/02 on both reactors until somebody starts it; a reset starts it too."""
    t = b.target(args=('--reactors', '2'))
    i = [t.ready(n, name='iqn.2026-11.org.example:i%d' % n) for n in range(1, 5)]
    for restart in ('start', 'reset'):
        assert i[0].command(bytes([0x1b, 0, 0, 0, 0, 0]))[0] == GOOD
        for x in i:
            for cdb, read in ((bytes(6), 0), (rw16(0x88, 0, 1), 512)):
                status, _, raw = x.command(cdb, read=read)
                assert status == CHECK and sense(raw) == (2, 4, 2), (status, raw)
            assert x.command(bytes([0x12, 0, 0, 0, 36, 0]), read=36)[0] == GOOD
        if restart == 'start':
            assert i[3].command(bytes([0x1b, 0, 0, 0, 1, 0]))[0] == GOOD
        else:
            tag = i[3].tag()
            i[3].send(bhs(TMF | 0x40, 0x85, itt=tag, tail=struct.pack('>I', NO_TAG) + i[3].sn(immediate=True)))
            assert i[3].recv().opcode == TMF_RSP
        for x in i:
            x.ready()
            assert x.command(rw16(0x88, 0, 1), read=512)[0] == GOOD


# ---- disks that change ----
CAPACITY_CHANGED = (6, 0x2a, 9)


def capacity(i, lun=0):
    """READ CAPACITY(16): blocks."""
    status, data, raw = i.command(struct.pack('>BBQIxx', 0x9e, 0x10, 0, 32), lun=lun, read=32)
    assert status == GOOD, (status, raw)
    return struct.unpack_from('>Q', data)[0] + 1


def told(i, what, lun=0, seconds=30):
    """Until TEST UNIT READY says so."""
    end = Clock(seconds)
    while True:
        status, _, raw = i.command(bytes(6), lun=lun)
        if status == CHECK and sense(raw) == what:
            return
        assert end.left(), 'never told %s' % (what,)
        select.select([], [], [], 0.05)


@test
def disks_grow_and_shrink(b):
    """2A/09 to everybody when a file grows: by the document, or under the target; below its end: 21/00, and nothing else."""
    path = os.path.join(b.base, 'disk.img')
    small, large = ('{file: %s, size: %dMiB}' % (path, n) for n in (8, 12))
    t = b.target(luns={0: small}, args=('--reactors', '2'))
    i = [t.ready(n, name='iqn.2026-11.org.example:i%d' % n) for n in range(1, 5)]
    assert i[0].command(rw16(0x8a, 7, 1), data=block(7))[0] == GOOD
    t.write({0: large})
    t.signal(signal.SIGHUP)
    for x in i:
        told(x, CAPACITY_CHANGED)
        assert capacity(x) == 12 * 2048
        assert x.command(rw16(0x88, 7, 1), read=512)[1] == block(7), 'another disk'
    assert i[1].command(rw16(0x8a, 12 * 2048 - 1, 1), data=block(1))[0] == GOOD
    os.truncate(path, 16 << 20)
    for x in i:
        told(x, CAPACITY_CHANGED)
        assert capacity(x) == 16 * 2048
    os.truncate(path, 4 << 20)
    for x in i:
        told(x, CAPACITY_CHANGED)
        assert capacity(x) == 4 * 2048
        status, _, raw = x.command(rw16(0x88, 4 * 2048, 1), read=512)
        assert status == CHECK and sense(raw) == (5, 0x21, 0), (status, raw)
        assert x.command(rw16(0x88, 7, 1), read=512)[1] == block(7)
    t.wait_log('has SHRUNK')


@test
def arrays_grow(b):
    """A LUN of an array that grows: seen without a command, told to everybody."""
    path = os.path.join(b.base, 'array.img')
    array = b.target('array', {0: '{file: %s, size: 8MiB}' % path})
    t = b.target('front', {0: '{iscsi: "%s"}' % array.url()}, args=('--reactors', '2'))
    i = [t.ready(n, name='iqn.2026-11.org.example:i%d' % n) for n in range(1, 3)]
    os.truncate(path, 9 << 20)
    for x in i:
        told(x, CAPACITY_CHANGED)
        assert capacity(x) == 9 * 2048
        assert x.command(rw16(0x8a, 9 * 2048 - 1, 1), data=block(9))[0] == GOOD
