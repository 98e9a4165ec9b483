# SPDX-License-Identifier: GPL-2.0-or-later
"""Task management, function by function: SAM-5 7, RFC 7143 11.5, RFC 7144; and what others hear of it (TAS, SPC-4 7.5.8).

Where a command has to be in flight, its disk is a target that is stopped. Nothing waits for time to pass: what must not
come is shown by an answer that came after it.
"""
import signal
import struct

from behavior import (CHECK, CONFLICT, GOOD, PREEMPT_ABORT, REGISTER, RESERVE, answer, keys, post, pr_out, sense, settle)
from initiator import LOGOUT, LOGOUT_RSP, NO_TAG, R2T, SCSI_CMD, TMF, TMF_RSP, Closed, bhs, rw16

TESTS = []
(ABORT_TASK, ABORT_TASK_SET, CLEAR_ACA, CLEAR_TASK_SET, LUN_RESET, WARM_RESET, COLD_RESET, TASK_REASSIGN, QUERY_TASK,
 QUERY_TASK_SET, NEXUS_RESET, QUERY_ASYNC_EVENT) = range(1, 13)
COMPLETE, NO_TASK, NO_LUN, NOT_ALLEGIANT, NOT_SUPPORTED, SUCCEEDED = 0, 1, 2, 4, 5, 7
PREEMPT, TASK_ABORTED = 4, 0x40
LEVEL2 = ('iSCSIProtocolLevel=2',)
RESERVE6 = b'\x16' + bytes(5)
TWO = {0: '{ram: 16MiB}', 1: '{ram: 16MiB}'}


def test(f):
    TESTS.append(f)
    return f


def ask(i, function, lun=0, ref=NO_TAG, ref_cmdsn=0):
    """Send an immediate request. Return: its tag."""
    itt = i.tag()
    i.send(bhs(TMF | 0x40, 0x80 | function, lun=lun << 48, itt=itt,
               tail=struct.pack('>I', ref) + i.sn(immediate=True) + struct.pack('>I', ref_cmdsn)))
    return itt


def response(i, itt):
    """(response, additional information)"""
    pdu = i.recv()
    assert pdu.opcode == TMF_RSP and pdu.itt == itt, pdu.bhs
    return pdu.bhs[2], bytes(pdu.bhs[8:11])


def manage(i, *what, **kw):
    return response(i, ask(i, *what, **kw))[0]


def attention(i):
    """The next unit attention, or None."""
    status, _, raw = i.command(bytes(6))
    if status == GOOD:
        return None
    assert status == CHECK and raw[2] & 15 == 6, (status, raw)
    return raw[12], raw[13]


def set_tas(i):
    page = bytes([0x0a, 10, 0, 0x10, 0, 0x40]) + bytes(6)
    assert i.command(bytes([0x15, 0x10, 0, 0, 16, 0]), data=bytes(4) + page)[0] == GOOD


def half_a_write(i, lba=0, blocks=1):
    """A WRITE that the target has asked the data of. Return: its tag and the R2T."""
    itt = i.tag()
    i.send(bhs(SCSI_CMD, 0x80 | 0x20 | 1, itt=itt, tail=struct.pack('>I', 512 * blocks) + i.sn()
               + rw16(0x8a, lba, blocks).ljust(16, b'\0')))
    r2t = i.recv()
    assert r2t.opcode == R2T and r2t.itt == itt, r2t.bhs
    return itt, r2t


@test
def abort_task(b):
    """One command: it is never answered, never executed; the others are."""
    t = b.target()
    i = t.ready(1)
    itt, r2t = half_a_write(i, 5)
    other, r2t_other = half_a_write(i, 6)
    assert manage(i, ABORT_TASK, ref=itt) == COMPLETE
    assert manage(i, ABORT_TASK, ref=itt, ref_cmdsn=i.cmdsn - 2) == NO_TASK
    i.data_out(r2t, 0, itt, b'a' * 512)
    i.data_out(r2t_other, 0, other, b'b' * 512)
    assert answer(i, other)[0] == GOOD
    assert i.ping() == [], 'the aborted command was answered'
    assert i.command(rw16(0x88, 5, 2), read=1024)[1] == bytes(512) + b'b' * 512
    assert attention(i) is None


@test
def abort_task_set(b):
    """All commands of this nexus on this logical unit, nobody else's, and nobody hears of it."""
    t = b.target(luns=TWO)
    one, two = t.ready(1), t.ready(2)
    while one.command(bytes(6), lun=1)[0] != GOOD:
        pass
    mine, _ = half_a_write(one)
    elsewhere = one.tag()
    one.send(bhs(SCSI_CMD, 0x80 | 0x20 | 1, lun=1 << 48, itt=elsewhere,
                 tail=struct.pack('>I', 512) + one.sn() + rw16(0x8a, 0, 1).ljust(16, b'\0')))
    r2t_elsewhere = one.recv()
    theirs, r2t = half_a_write(two)
    assert manage(one, ABORT_TASK_SET) == COMPLETE
    two.data_out(r2t, 0, theirs, b't' * 512)
    assert answer(two, theirs)[0] == GOOD
    one.data_out(r2t_elsewhere, 1, elsewhere, b'e' * 512)
    assert answer(one, elsewhere)[0] == GOOD
    assert one.ping() == [], mine
    assert attention(one) is None and attention(two) is None


@test
def clear_task_set_in_silence(b):
    """TAS 0: others' commands end without a word, and COMMANDS CLEARED BY ANOTHER INITIATOR for who lost some."""
    t = b.target()
    one, two, three = t.ready(1), t.ready(2), t.ready(3)
    half_a_write(one)
    half_a_write(two)
    assert manage(one, CLEAR_TASK_SET) == COMPLETE
    assert two.ping() == [] and one.ping() == []
    assert attention(one) is None and attention(three) is None
    assert attention(two) == (0x2f, 0) and attention(two) is None


@test
def clear_task_set_told(b):
    """TAS 1: others' commands end with TASK ABORTED, and there is no unit attention; one's own still end in silence."""
    t = b.target()
    one, two = t.ready(1), t.ready(2)
    set_tas(one)
    assert attention(two) == (0x2a, 1)
    mine, _ = half_a_write(one, 7)
    theirs, r2t = half_a_write(two, 8)
    assert manage(one, CLEAR_TASK_SET) == COMPLETE
    two.data_out(r2t, 0, theirs, b'x' * 512)            # the answer waits for data on its way (11.4.2)
    assert answer(two, theirs)[0] == TASK_ABORTED
    assert one.ping() == [], mine
    assert attention(one) is None and attention(two) is None
    assert one.command(rw16(0x88, 7, 2), read=1024)[1] == bytes(1024)


@test
def told_when_the_disk_is_done(b):
    """TAS 1 and a command that the disk works on: the function waits for it, then it says TASK ABORTED."""
    array, t = b.slow()
    one, two = t.ready(1), t.ready(2)
    set_tas(one)
    assert attention(two) == (0x2a, 1)
    array.signal(signal.SIGSTOP)
    theirs = post(two, rw16(0x8a, 0, 1), b'x' * 512)
    two.ping()
    itt = ask(one, CLEAR_TASK_SET)
    settle(t)
    assert one.ping() == [], 'answered while a command was in flight'
    array.signal(signal.SIGCONT)
    assert response(one, itt)[0] == COMPLETE
    assert answer(two, theirs)[0] == TASK_ABORTED


@test
def told_before_it_takes_effect(b):
    """TAS 1 and a reservation command whose parameter list is on its way: it registers nobody any more."""
    t = b.target()
    one, two = t.ready(1), t.ready(2)
    set_tas(one)
    assert attention(two) == (0x2a, 1)
    itt = two.tag()
    two.send(bhs(SCSI_CMD, 0x80 | 0x20 | 1, itt=itt, tail=struct.pack('>I', 24) + two.sn()
                 + struct.pack('>BBBxxLx', 0x5f, REGISTER, 0, 24).ljust(16, b'\0')))
    r2t = two.recv()
    assert manage(one, CLEAR_TASK_SET) == COMPLETE
    two.data_out(r2t, 0, itt, struct.pack('>QQ', 0, 7) + bytes(8))
    assert answer(two, itt)[0] == TASK_ABORTED
    assert keys(one) == []


@test
def preempt_and_abort_told(b):
    """TAS 1: the victim's command ends with TASK ABORTED, and it hears of its registration only."""
    t = b.target()
    victim, winner = t.ready(1), t.ready(2)
    set_tas(winner)
    assert attention(victim) == (0x2a, 1)
    assert pr_out(victim, REGISTER, sakey=1)[0] == GOOD and pr_out(winner, REGISTER, sakey=2)[0] == GOOD
    itt, r2t = half_a_write(victim)
    assert pr_out(winner, PREEMPT_ABORT, key=2, sakey=1, kind=5)[0] == GOOD
    victim.data_out(r2t, 0, itt, b'x' * 512)
    assert answer(victim, itt)[0] == TASK_ABORTED
    assert attention(victim) == (0x2a, 5) and attention(victim) is None


@test
def preempt_leaves_commands(b):
    """SPC-4 5.13.1: a command that has begun stays allowed; PREEMPT AND ABORT ends it. A new one is in conflict."""
    t = b.target()
    victim, winner = t.ready(1), t.ready(2)
    for action, data, lba in ((PREEMPT, b'p', 1), (PREEMPT_ABORT, b'q', 2)):
        assert pr_out(victim, REGISTER, sakey=1)[0] == GOOD
        if action == PREEMPT:
            assert pr_out(winner, REGISTER, sakey=2)[0] == GOOD
            assert pr_out(victim, RESERVE, key=1, kind=3)[0] == GOOD
        itt, r2t = half_a_write(victim, lba) if action == PREEMPT else (None, None)
        assert pr_out(winner, action, key=2, sakey=1, kind=3)[0] == GOOD
        if action == PREEMPT:
            victim.data_out(r2t, 0, itt, data * 512)
            assert answer(victim, itt)[0] == GOOD, 'a command that had begun'
        assert attention(victim) == (0x2a, 5)
        assert victim.command(rw16(0x88, 0, 1), read=512)[0] == CONFLICT
    assert winner.command(rw16(0x88, 1, 1), read=512)[1] == b'p' * 512


@test
def two_preempt_and_aborts_of_one_nexus(b):
    """Each is to end the other. One does; it must not wait for the one that waits for it."""
    t = b.target(args=('--reactors', '1'))
    other = t.ready(2)
    out = struct.pack('>QQ', 1, 1) + bytes(8)
    cdb = struct.pack('>BBBxxLx', 0x5f, PREEMPT_ABORT, 3, 24)
    for _ in range(20):
        i = t.ready(1)                                  # waits until nothing of the session before is left
        assert pr_out(i, 6, sakey=1)[0] == GOOD
        assert pr_out(i, RESERVE, key=1, kind=3)[0] == GOOD
        both = post(i, cdb, out), post(i, cdb, out)
        pdu = i.recv()                                  # one may have ended the other, after it took effect itself
        assert pdu.itt in both and pdu.bhs[3] == GOOD, pdu.bhs
        assert keys(other) == [1]
        i = t.ready(1)
        assert pr_out(i, 3, key=1)[0] == GOOD
    assert attention(other) is None


@test
def mutual_preempt_and_abort(b):
    """Two who preempt each other at once: one wins, the other is told, nobody hangs."""
    t = b.target(args=('--reactors', '2'))
    one, two = t.ready(1), t.ready(2)
    for _ in range(20):
        assert pr_out(one, 6, sakey=1)[0] == GOOD and pr_out(two, 6, sakey=2)[0] == GOOD
        tags = [(i, post(i, struct.pack('>BBBxxLx', 0x5f, PREEMPT_ABORT, 5, 24), struct.pack('>QQ', k, 3 - k) + bytes(8)))
                for i, k in ((one, 1), (two, 2))]
        left = keys(t.ready(9, name='iqn.2026-11.org.example:bystander'))
        while len(left) != 1:
            left = keys(t.ready(9, name='iqn.2026-11.org.example:bystander'))
        winner, tag = tags[left[0] - 1]
        loser, lost = tags[2 - left[0]]
        assert answer(winner, tag)[0] == GOOD
        came = loser.ping()
        assert not came or (came[0].itt == lost and came[0].bhs[3] in (CHECK, CONFLICT)), came[0].bhs
        told = [a for a in iter(lambda: attention(loser), None)]
        told += [sense(came[0].data[2:])[1:]] if came and came[0].bhs[3] == CHECK else []
        assert (0x2a, 5) in told, told
        assert attention(winner) is None
        assert pr_out(winner, 3, key=left[0])[0] == GOOD


@test
def lun_reset(b):
    """SAM-5 6.3.3: 29/03 for everybody, SPC-2 reservation gone, persistent one kept (SPC-4 5.13.5.1)."""
    t = b.target(luns=TWO)
    one, two = t.ready(1), t.ready(2)
    while one.command(bytes(6), lun=1)[0] != GOOD:
        pass
    assert one.command(RESERVE6)[0] == GOOD
    assert two.command(bytes(6))[0] == CONFLICT
    assert manage(two, LUN_RESET) == COMPLETE
    assert attention(one) == attention(two) == (0x29, 3)
    assert two.command(rw16(0x8a, 0, 1), data=b'2' * 512)[0] == GOOD
    assert one.command(bytes(6), lun=1)[0] == GOOD, 'the other logical unit'
    assert pr_out(one, REGISTER, sakey=1)[0] == GOOD and pr_out(one, RESERVE, key=1, kind=3)[0] == GOOD
    assert manage(two, LUN_RESET) == COMPLETE
    assert attention(one) == attention(two) == (0x29, 3)
    assert two.command(rw16(0x88, 0, 1), read=512)[0] == CONFLICT


@test
def target_warm_reset(b):
    """All logical units of the target, and those of no other; reservations as with a reset of each."""
    t = b.target(luns=TWO)
    one, two = t.ready(1), t.ready(2)
    assert one.command(RESERVE6)[0] == GOOD
    assert pr_out(two, 6, sakey=1)[0] == CONFLICT
    half, _ = half_a_write(one)
    assert manage(two, WARM_RESET) == COMPLETE
    assert one.ping() == [], half
    for i in (one, two):
        assert attention(i) == (0x29, 2) and attention(i) is None
        status, _, raw = i.command(bytes(6), lun=1)
        assert status == CHECK and sense(raw)[1] == 0x29, raw
    assert two.command(rw16(0x8a, 0, 1), data=b'2' * 512)[0] == GOOD


@test
def target_cold_reset(b):
    """As warm, and every session of the target ends: the one that asked after its answer. Registrations stay."""
    t = b.target()
    one, two = t.ready(1), t.ready(2)
    assert pr_out(one, REGISTER, sakey=1)[0] == GOOD
    assert manage(two, COLD_RESET) == COMPLETE
    for i in (one, two):
        try:
            i.recv()
            raise AssertionError('still there')
        except Closed:
            pass
    assert keys(t.ready(1)) == [1]


@test
def not_for_this_target(b):
    """CLEAR ACA: NormACA is 0. TASK REASSIGN: error recovery level 0 or one connection. RFC 7144 without having agreed."""
    t = b.target()
    i = t.ready(1)
    assert manage(i, CLEAR_ACA) == NOT_SUPPORTED
    assert manage(i, TASK_REASSIGN) in (NO_TASK, NOT_ALLEGIANT, NOT_SUPPORTED)
    for f in (QUERY_TASK, QUERY_TASK_SET, NEXUS_RESET, QUERY_ASYNC_EVENT, 13, 0):
        assert manage(i, f) == NOT_SUPPORTED, f
    for f in (ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET):
        assert manage(i, f, lun=77) == NO_LUN, f


@test
def queries(b):
    """QUERY TASK, QUERY TASK SET, QUERY ASYNCHRONOUS EVENT: yes is "succeeded", no is "complete" (RFC 7144 6.2)."""
    t = b.target()
    i, other = t.login(1, extra=LEVEL2), t.ready(2)
    assert response(i, ask(i, QUERY_ASYNC_EVENT)) == (SUCCEEDED, b'\x16\x29\x00')
    assert response(i, ask(i, QUERY_ASYNC_EVENT)) == (SUCCEEDED, b'\x16\x29\x00'), 'the question has cleared it'
    i.ready()
    assert response(i, ask(i, QUERY_ASYNC_EVENT)) == (COMPLETE, bytes(3))
    itt, r2t = half_a_write(i)
    assert manage(i, QUERY_TASK, ref=itt) == SUCCEEDED
    assert manage(i, QUERY_TASK, ref=itt + 1000) == COMPLETE
    assert manage(i, QUERY_TASK, lun=77, ref=itt) == NO_LUN
    assert manage(i, QUERY_TASK_SET) == SUCCEEDED
    i.data_out(r2t, 0, itt, b'x' * 512)
    assert answer(i, itt)[0] == GOOD
    assert manage(i, QUERY_TASK, ref=itt) == COMPLETE
    half_a_write(other)
    assert manage(i, QUERY_TASK_SET) == COMPLETE, "another nexus's commands"
    assert manage(i, QUERY_TASK_SET, lun=77) == NO_LUN
    assert pr_out(i, REGISTER, sakey=1)[0] == GOOD and pr_out(other, 6, sakey=2)[0] == GOOD
    assert pr_out(other, 3, key=2)[0] == GOOD
    assert response(i, ask(i, QUERY_ASYNC_EVENT)) == (SUCCEEDED, b'\x16\x2a\x03')


@test
def nexus_reset(b):
    """I_T NEXUS RESET (SAM-5 6.3.4): its commands, its SPC-2 reservation, 29/07; its session and others' commands stay."""
    t = b.target(luns=TWO)
    one, two = t.login(1, extra=LEVEL2), t.ready(2)
    one.ready()
    assert one.command(RESERVE6)[0] == GOOD
    half, _ = half_a_write(one)
    assert manage(one, NEXUS_RESET) == COMPLETE
    assert two.command(rw16(0x8a, 0, 1), data=b'2' * 512)[0] == GOOD, 'its SPC-2 reservation is still there'
    assert one.ping() == [], half
    assert attention(one) == (0x29, 7) and attention(one) is None
    assert attention(two) is None
    theirs, r2t = half_a_write(two)
    assert manage(one, NEXUS_RESET) == COMPLETE
    two.data_out(r2t, 0, theirs, b't' * 512)
    assert answer(two, theirs)[0] == GOOD


@test
def reservations_end_with_their_nexus(b):
    """SPC-2 reservations do: a logout, a lost connection, a new session of the same port. Persistent ones do not."""
    t = b.target()
    two = t.ready(2)

    def logout(i):
        i.send(bhs(LOGOUT | 0x40, 0x80, itt=i.tag(), tail=struct.pack('>HH', 0, 0) + i.sn(immediate=True)))
        assert i.recv().opcode == LOGOUT_RSP

    for end in (logout, lambda i: i.close(), lambda i: t.ready(1)):
        one = t.ready(1)
        assert one.command(RESERVE6)[0] == GOOD
        assert two.command(bytes(6))[0] == CONFLICT
        end(one)
        while two.command(bytes(6))[0] == CONFLICT:
            pass
    one = t.ready(1)
    assert pr_out(one, REGISTER, sakey=1)[0] == GOOD and pr_out(one, RESERVE, key=1, kind=3)[0] == GOOD
    logout(one)
    t.ready(3).close()
    assert two.command(rw16(0x88, 0, 1), read=512)[0] == CONFLICT
