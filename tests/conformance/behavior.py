# SPDX-License-Identifier: GPL-2.0-or-later
"""What the target promises beyond single PDUs and commands: order, patience, persistence, coming and going.

Each test has targets of its own. Where a disk has to be slow, it is an iSCSI LUN of a second target that is stopped
(SIGSTOP) at the right moment; where something must not have happened yet, another session's answer proves that the
target had every opportunity.
"""
import os
import select
import signal
import socket
import struct
import subprocess
import tempfile

from bench import IQN, Bench
from initiator import (ASYNC, DATA_IN, LOGIN_RSP, NO_TAG, NOP_IN, NOP_OUT, SCSI_CMD, SCSI_RSP, TMF, TMF_RSP, Closed,
                       Initiator, bhs, rw16)

TESTS = []
CHECK, CONFLICT, GOOD = 2, 0x18, 0
REGISTER, RESERVE, PREEMPT_ABORT = 0, 1, 5


def test(f):
    TESTS.append(f)
    return f


def post(i, cdb, data=b'', read=0, attr=1):
    """Send a command with all its data as immediate data; do not wait. Return: its tag."""
    itt = i.tag()
    flags = 0x80 | (0x40 if read else 0) | (0x20 if data else 0) | attr
    i.send(bhs(SCSI_CMD, flags, itt=itt, dlen=len(data), tail=struct.pack('>I', read or len(data)) + i.sn()
               + cdb.ljust(16, b'\0')), data)
    return itt


def answer(i, itt):
    """Status and sense of a posted command."""
    while True:
        pdu = i.recv()
        if pdu.itt == itt and (pdu.opcode == SCSI_RSP or (pdu.opcode == DATA_IN and pdu.bhs[1] & 1)):
            return pdu.bhs[3], pdu.data[2:] if pdu.opcode == SCSI_RSP else b''


def silent(i):
    """Nothing has come, and nothing is coming that was sent before now."""
    return not select.select([i.sock], [], [], 0)[0]


def pr_out(i, action, key=0, sakey=0, kind=0, aptpl=False):
    cdb = struct.pack('>BBBxxLx', 0x5f, action, kind, 24)
    out = struct.pack('>QQ', key, sakey) + bytes([0, 0, 0, 0, int(aptpl), 0, 0, 0])
    return i.command(cdb, data=out)


def settle(t):
    """Until what other sessions have sent took effect on every reactor: a registration goes the same way, and is answered."""
    bystander = t.ready(99, name='iqn.2026-11.org.example:settle')
    assert pr_out(bystander, 6, sakey=99)[0] == GOOD
    bystander.close()


def keys(i):
    status, data, _ = i.command(struct.pack('>BBxxxxxHx', 0x5e, 0, 512), read=512)
    assert status == GOOD, status
    n = struct.unpack_from('>I', data, 4)[0] // 8
    return list(struct.unpack_from('>%dQ' % n, data, 8))


def sense(raw):
    """(key, asc, ascq) of fixed format sense data."""
    return raw[2] & 15, raw[12], raw[13]


def begin_login(t, isid, name='iqn.2026-11.org.example:i'):
    """A whole login request; the response is not read."""
    i = Initiator(('127.0.0.1', t.port), name=name, isid=b'\x80\0\0\0\0' + bytes([isid]))
    text = b''.join(k.encode() + b'\0' for k in ('InitiatorName=' + name, 'SessionType=Normal', 'TargetName=' + IQN))
    i.send(i.login_bhs(csg=1, nsg=3, dlen=len(text)), text)
    return i


# ---- sessions ----
@test
def reinstatement_waits_for_writes_in_flight(b):
    """RFC 7143 6.3.5: a late write of the old session must never land after a write of the new one."""
    array, t = b.slow()
    bystander = t.ready(9, name='iqn.2026-11.org.example:bystander')
    old = t.ready(1)
    array.signal(signal.SIGSTOP)
    post(old, rw16(0x8a, 0, 1), b'o' * 512)
    bystander.command(bytes([0x12, 0, 0, 0, 36, 0]), read=36)   # same reactor: the write has been taken by now
    new = begin_login(t, 1)
    t.wait_log('the same initiator port has logged in again')
    t.login(8, name='iqn.2026-11.org.example:other').close()    # others are admitted meanwhile
    assert silent(new), 'the login was answered while a write of the old session was in flight'
    array.signal(signal.SIGCONT)
    rsp = new.recv()
    assert rsp.opcode == LOGIN_RSP and rsp.bhs[36:38] == b'\0\0', rsp.bhs
    new.ready()
    assert new.command(rw16(0x8a, 0, 1), data=b'n' * 512)[0] == GOOD
    assert new.command(rw16(0x88, 0, 1), read=512)[1] == b'n' * 512


@test
def login_timeout(b):
    """A connection that does not log in is given up; others do not notice."""
    t = b.target(options='options: {login-timeout: 1s}\n')
    i = t.ready(1)
    idle = socket.create_connection(('127.0.0.1', t.port), timeout=20)
    try:
        assert idle.recv(1) == b'', 'bytes came'
    except ConnectionResetError:
        pass
    assert i.command(bytes(6))[0] == GOOD


@test
def nop_in_policy(b):
    """Only an initiator that has answered a NOP-In before is dropped for not answering (boot firmware never does)."""
    t = b.target(options='options: {nop-interval: 1s, nop-timeout: 1s}\n')
    mute, polite = t.ready(1, name='iqn.2026-11.org.example:mute'), t.ready(2, name='iqn.2026-11.org.example:polite')
    ping = polite.recv()
    assert ping.opcode == NOP_IN and ping.u32(20) != NO_TAG, ping.bhs
    polite.send(bhs(NOP_OUT | 0x40, tail=ping.bhs[20:24] + polite.sn(immediate=True)))
    try:
        while True:
            polite.recv()
    except Closed:
        pass
    assert mute.command(bytes(6))[0] == GOOD, 'an initiator that never answered was dropped'


@test
def reader_that_stops_reading(b):
    """Its answers wait for it; nobody else does."""
    t = b.target(args=('--reactors', '1'))
    lazy, busy = t.ready(1), t.ready(2)
    tags = [post(lazy, rw16(0x88, 0, 2048), read=1 << 20) for _ in range(64)]
    for n in range(50):
        assert busy.command(rw16(0x8a, n, 1), data=bytes([n]) * 512)[0] == GOOD
        assert busy.command(rw16(0x88, n, 1), read=512)[1] == bytes([n]) * 512
    assert [answer(lazy, tag)[0] for tag in tags] == [GOOD] * 64


@test
def out_of_descriptors(b):
    """EMFILE: the connection waits in the backlog until there is one; the target goes on."""
    t = b.target(preexec_fn=lambda: __import__('resource').setrlimit(__import__('resource').RLIMIT_NOFILE, (48, 48)))
    first = t.ready(1)
    many = [socket.create_connection(('127.0.0.1', t.port), timeout=20) for _ in range(60)]
    t.wait_log('cannot accept: Too many open files')
    assert first.command(bytes(6))[0] == GOOD
    for s in many:
        s.close()
    assert t.ready(2).command(bytes(6))[0] == GOOD


@test
def chap_and_access(b):
    """Wrong secrets and strangers get their status (RFC 7143 11.13.5); libiscsi's CHAP gets in."""
    os.makedirs(os.path.join(b.base, 't'), exist_ok=True)
    secret = os.path.join(b.base, 't', 'secret')
    with open(secret, 'w') as f:
        f.write('thirteen-bytes\n')
    os.chmod(secret, 0o600)
    closed, private = IQN + '.chap', IQN + '.private'
    t = b.target(targets='      - iqn: %s\n        chap: {user: hv, secret-file: %s}\n        luns: {0: {ram: 1MiB}}\n'
                 '      - iqn: %s\n        initiators: [iqn.2026-11.org.example:friend]\n        luns: {0: {ram: 1MiB}}\n'
                 % (closed, secret, private))
    for iqn, wanted in ((closed, '0x0201'), (private, '0x0202'), (IQN + '.none', '0x0203')):
        try:
            Initiator(('127.0.0.1', t.port)).login(iqn)
            raise AssertionError('logged in to ' + iqn)
        except RuntimeError as e:
            assert wanted in str(e), (iqn, str(e))
    Initiator(('127.0.0.1', t.port), name='iqn.2026-11.org.example:friend').login(private)
    for user, ok in (('hv%thirteen-bytes', True), ('hv%another-secret', False), ('me%thirteen-bytes', False)):
        p = subprocess.run(['iscsi-inq', 'iscsi://%s@127.0.0.1:%d/%s/0' % (user, t.port, closed)], timeout=30,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert (p.returncode == 0) == ok, (user, p.stdout)


# ---- tasks ----
@test
def preempt_and_abort_waits_for_the_victims_tasks(b):
    """SPC-4 5.13.11.2.6: the victim's commands are gone before it is answered, and are never answered themselves."""
    array, t = b.slow()
    victim, winner = t.ready(1), t.ready(2)
    bystander = t.ready(9, name='iqn.2026-11.org.example:bystander')
    assert pr_out(victim, REGISTER, sakey=0x11)[0] == GOOD
    assert pr_out(winner, REGISTER, sakey=0x22)[0] == GOOD
    assert pr_out(victim, RESERVE, key=0x11, kind=5)[0] == GOOD
    array.signal(signal.SIGSTOP)
    post(victim, rw16(0x8a, 0, 1), b'v' * 512)
    victim.ping()
    out = struct.pack('>QQ', 0x22, 0x11) + bytes(8)
    tag = post(winner, struct.pack('>BBBxxLx', 0x5f, PREEMPT_ABORT, 5, 24), out)
    winner.ping()
    for _ in range(3):
        assert bystander.command(bytes([0x12, 0, 0, 0, 36, 0]), read=36)[0] == GOOD
    assert keys(bystander) == [0x22], 'the new state is not in force'
    assert silent(winner), 'answered while a command of the victim was in flight'
    array.signal(signal.SIGCONT)
    assert answer(winner, tag)[0] == GOOD
    assert victim.ping() == [], 'an aborted command was answered'
    status, _, raw = victim.command(bytes(6))
    assert status == CHECK and sense(raw) == (6, 0x2a, 5), (status, raw)
    status, _, raw = victim.command(bytes(6))
    assert status == CHECK and sense(raw) == (6, 0x2f, 0), (status, raw)  # and it had commands: SAM-5 5.6
    assert victim.command(rw16(0x8a, 0, 1), data=b'w' * 512)[0] == CONFLICT


@test
def preempt_and_abort_does_not_wait_for_a_dead_victim(b):
    """A victim that lost power takes no answers and finishes no data; it must not hold up the command that fences it."""
    t = b.target(args=('--reactors', '1'))
    deaf, mute, winner = t.ready(1), t.ready(2), t.ready(3)
    for n, i in enumerate((deaf, mute, winner), 1):
        assert pr_out(i, REGISTER, sakey=n)[0] == GOOD
    assert pr_out(deaf, RESERVE, key=1, kind=6)[0] == GOOD
    for _ in range(64):                             # more than the kernel takes for a peer that does not read
        post(deaf, rw16(0x88, 0, 2048), read=1 << 20)
    itt = mute.tag()                                # the first half of a PDU, and never the second
    head = bhs(SCSI_CMD, 0x80 | 0x20 | 1, itt=itt, dlen=65536, tail=struct.pack('>I', 65536) + mute.sn()
               + rw16(0x8a, 0, 128).ljust(16, b'\0'))
    mute.sock.sendall(head + bytes(32768))
    assert [winner.command(rw16(0x88, 0, 1), read=512)[0] for _ in range(20)] == [GOOD] * 20
    assert select.select([deaf.sock], [], [], 20)[0], 'the target has not begun to answer'
    for victim in (1, 2):
        assert pr_out(winner, PREEMPT_ABORT, key=3, sakey=victim, kind=6)[0] == GOOD
    assert keys(winner) == [3]


@test
def lun_reset_waits_for_tasks_of_all(b):
    """SAM-5 6.3.3, RFC 7143 11.5.1: answered when no command is left, and everybody hears of it."""
    array, t = b.slow()
    one, two = t.ready(1), t.ready(2)
    array.signal(signal.SIGSTOP)
    post(one, rw16(0x8a, 0, 1), b'1' * 512)
    one.ping()
    itt = two.tag()
    two.send(bhs(TMF | 0x40, 0x80 | 5, itt=itt, tail=struct.pack('>I', NO_TAG) + two.sn(immediate=True)))
    settle(t)
    assert silent(two), 'answered while a command was in flight'
    array.signal(signal.SIGCONT)
    rsp = two.recv()
    assert rsp.opcode == TMF_RSP and rsp.itt == itt and rsp.bhs[2] == 0, rsp.bhs
    assert one.ping() == [], 'an aborted command was answered'
    for i in (one, two):
        status, _, raw = i.command(bytes(6))
        assert status == CHECK and sense(raw) == (6, 0x29, 3), (status, raw)


@test
def lun_reset_behind_a_write(b):
    """RFC 7143 11.6: the WRITE ahead of it is answered before the reset or not at all, and the reset is carried out."""
    t = b.target()
    i = t.ready(1)
    for n in range(20):
        write = post(i, rw16(0x8a, 0, 8), bytes([n]) * 4096)
        itt = i.tag()
        i.send(bhs(TMF | 0x40, 0x80 | 5, itt=itt, tail=struct.pack('>I', NO_TAG) + i.sn(immediate=True)))
        came = [i.recv()]
        if came[0].itt == write:
            assert came[0].opcode == SCSI_RSP and came[0].bhs[3] == GOOD, came[0].bhs
            came.append(i.recv())
        assert came[-1].opcode == TMF_RSP and came[-1].itt == itt and came[-1].bhs[2] == 0, came[-1].bhs
        assert i.ping() == [], 'something came after the reset'
        status, _, raw = i.command(bytes(6))
        assert status == CHECK and sense(raw) == (6, 0x29, 3), (status, raw)


@test
def ordered_commands(b):
    """SAM-5 8.7: ORDERED after all before it, SIMPLE after an ORDERED before it, HEAD OF QUEUE before both."""
    t = b.target()
    i = t.ready(1)
    for attr, next_attr in ((1, 2), (2, 1)):
        new = bytes([attr]) * 512
        write = i.tag()  # its data is asked for by R2T, so it is certainly not executed before the others arrive
        i.send(bhs(SCSI_CMD, 0xa0 | attr, itt=write, tail=struct.pack('>I', 512) + i.sn() + rw16(0x8a, 0, 1)))
        r2t = i.recv()
        late, early = post(i, rw16(0x88, 0, 1), read=512, attr=next_attr), post(i, rw16(0x88, 0, 1), read=512, attr=3)
        pdu = i.recv()
        assert pdu.itt == early and pdu.data != new, 'HEAD OF QUEUE waited'
        i.ping()
        assert silent(i), 'a command went before one that it has to follow'
        i.data_out(r2t, 0, write, new)
        assert answer(i, write)[0] == GOOD
        pdu = i.recv()
        assert pdu.itt == late and pdu.data == new, pdu.data[:4]


@test
def array_lost_and_back(b):
    """Commands wait for an array that comes back; what was acknowledged is there."""
    disk = os.path.join(b.base, 'disk.img')
    array = b.target('array', {0: '{file: %s, size: 16MiB}' % disk})
    t = b.target('front', {0: '{iscsi: "%s"}' % array.url()})
    i = t.ready(1, timeout=30)
    assert i.command(rw16(0x8a, 8, 1), data=b'x' * 512)[0] == GOOD
    array.proc.kill()
    array.proc.wait()
    tag = post(i, rw16(0x8a, 9, 1), b'y' * 512)
    assert i.command(bytes([0x12, 0, 0, 0, 36, 0]), read=36)[0] == GOOD, 'INQUIRY needs no disk'
    array.start()
    assert answer(i, tag)[0] == GOOD
    assert i.command(rw16(0x88, 8, 2), read=1024)[1] == b'x' * 512 + b'y' * 512


# ---- persistence ----
@test
def aptpl_survives_a_crash(b):
    """SPC-4 5.13.5: with APTPL reservations are there after a restart, without they are not."""
    t = b.target(luns={0: '{file: %s/d0, size: 1MiB}' % b.base})
    i = t.ready(1)
    assert pr_out(i, REGISTER, sakey=0xabc, aptpl=True)[0] == GOOD
    assert pr_out(i, RESERVE, key=0xabc, kind=6)[0] == GOOD
    t.proc.kill()
    t.proc.wait()
    t.start()
    i, other = t.ready(1), t.ready(2)
    assert keys(other) == [0xabc]
    assert other.command(rw16(0x88, 0, 1), read=512)[0] == CONFLICT
    assert i.command(rw16(0x88, 0, 1), read=512)[0] == GOOD
    assert pr_out(i, REGISTER, key=0xabc, sakey=0xabd)[0] == GOOD    # APTPL 0
    t.proc.kill()
    t.proc.wait()
    t.start()
    assert keys(t.ready(2)) == []


@test
def refused_when_it_cannot_be_kept(b):
    """No stable storage, no GOOD: INSUFFICIENT REGISTRATION RESOURCES, and nothing has changed."""
    t = b.target()
    i = t.ready(1)
    os.rename(t.state(), t.state() + '.away')
    status, _, raw = pr_out(i, REGISTER, sakey=0xabc, aptpl=True)
    assert status == CHECK and sense(raw) == (5, 0x55, 4), (status, raw)
    assert keys(i) == []
    os.rename(t.state() + '.away', t.state())
    assert pr_out(i, REGISTER, sakey=0xabc, aptpl=True)[0] == GOOD
    assert keys(i) == [0xabc]


@test
def damaged_record_is_not_served(b):
    """A record that cannot be read may hold somebody's reservation: its group stays down, and the log says why."""
    t = b.target()
    assert pr_out(t.ready(1), REGISTER, sakey=0xabc, aptpl=True)[0] == GOOD
    assert t.stop() == 0
    with open(os.path.join(t.state(), 'g.record'), 'r+b') as f:
        f.write(b'\xff' * 8)
    t.start()
    t.wait_log('g.record: .* group g is not served')
    i = begin_login(t, 1)
    t.wait_log('ready: ')
    assert silent(i), 'the login was answered'


# ---- coming and going ----
@test
def reload_adds_and_removes(b):
    """SIGHUP: what did not change is not touched; sessions hear of new LUNs (SPC-4 6.33)."""
    t = b.target()
    i = t.ready(1)
    assert i.command(rw16(0x8a, 0, 1), data=b'k' * 512)[0] == GOOD
    t.write({0: '{ram: 16MiB}', 7: '{ram: 1MiB}'})
    t.signal(signal.SIGHUP)
    t.wait_log('all LUNs are open')
    status, _, raw = i.command(bytes(6))
    assert status == CHECK and sense(raw) == (6, 0x3f, 0x0e), (status, raw)
    status, luns, _ = i.command(struct.pack('>BxxxxxIxx', 0xa0, 256), read=256)
    assert status == GOOD and struct.unpack_from('>I', luns)[0] == 16, luns[:8]
    assert i.command(bytes(6), lun=7)[0] in (GOOD, CHECK)
    assert i.command(rw16(0x8a, 0, 1), lun=7, data=b'7' * 512)[0] in (GOOD, CHECK)
    assert i.command(rw16(0x88, 0, 1), read=512)[1] == b'k' * 512
    t.write({0: '{ram: 16MiB}'})
    t.signal(signal.SIGHUP)
    t.wait_log(r'(?s)(applied.*){2}')
    i.ping()
    for _ in range(20):  # the LUN goes when its last command has ended
        status, _, raw = i.command(bytes(6), lun=7)
        if status == CHECK and sense(raw) == (5, 0x25, 0):
            break
    else:
        raise AssertionError('LUN 7 is still there')
    with open(t.conf, 'a') as f:
        f.write('nonsense: 1\n')
    t.signal(signal.SIGHUP)
    t.wait_log('the configuration stays as it was')
    assert i.command(rw16(0x88, 0, 1), read=512) in ((GOOD, b'k' * 512, b''),) or i.command(
        rw16(0x88, 0, 1), read=512)[1] == b'k' * 512


@test
def reload_closes_what_is_no_longer_allowed(b):
    """A target that was removed, an initiator that may not any more: the session ends, others go on."""
    t = b.target(targets='      - iqn: %s.b\n        luns: {0: {ram: 1MiB}}\n' % IQN)
    stays = t.ready(1)
    goes = Initiator(('127.0.0.1', t.port), name='iqn.2026-11.org.example:g')
    goes.login(IQN + '.b')
    t.write({0: '{ram: 16MiB}'})
    t.signal(signal.SIGHUP)
    goodbye = goes.recv()
    assert goodbye.opcode == ASYNC and goodbye.bhs[36] == 3, goodbye.bhs
    try:
        goes.recv()
        raise AssertionError('still there')
    except Closed:
        pass
    assert stays.command(bytes(6))[0] == GOOD


@test
def portal_in_use(b):
    """A portal that cannot be listened on: exit status 2 and the address."""
    t = b.target()
    p = subprocess.run([b.program, '--standalone', t.conf, '--state-dir', b.base], timeout=30, text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert p.returncode == 2 and '127.0.0.1:%d: cannot listen: Address already in use' % t.port in p.stdout, p.stdout


@test
def sigterm_finishes_and_says_goodbye(b):
    """Commands in flight are answered, then Async Message 2 with Time2Wait 0 (RFC 7143 11.9.1), then the end."""
    array, t = b.slow()
    i = t.ready(1)
    array.signal(signal.SIGSTOP)
    tag = post(i, rw16(0x8a, 0, 1), b'z' * 512)
    i.ping()
    t.signal(signal.SIGTERM)
    t.wait_log('active -> quiescing')
    array.signal(signal.SIGCONT)
    assert answer(i, tag)[0] == GOOD
    goodbye = i.recv()
    assert goodbye.opcode == ASYNC and goodbye.bhs[36] == 2 and goodbye.bhs[40:42] == b'\0\0', goodbye.bhs
    try:
        i.recv()
        raise AssertionError('still there')
    except Closed:
        pass
    assert t.proc.wait(30) == 0


def run(program, report, only=None, tests=TESTS, suite='behavior'):
    for f in tests:
        if only and f.__name__ not in only:
            continue
        with tempfile.TemporaryDirectory(prefix='lunward-behavior.') as base:
            b, why = Bench(program, base), ''
            try:
                f(b)
            except Exception as e:  # pylint: disable=broad-except
                why = '%s: %s' % (type(e).__name__, e)
            for name, status, tail in b.close():
                if status != 0 and not why:
                    why = '%s ended with status %s' % (name, status)
                if why:
                    why += '\n---- %s\n%s' % (name, tail)
            report('%s/%s' % (suite, f.__name__), not why, why)
