# SPDX-License-Identifier: GPL-2.0-or-later
"""Malformed PDUs of every class: the specified answer, the connection or the target unharmed.

Each class makes a PDU from a seeded generator and names the outcomes that RFC 7143 allows for it. All the while
another session writes and reads back; a single wrong byte or error there fails the run.
"""
import random
import struct
import threading

from bench import IQN
from initiator import (ASYNC, Closed, DATA_OUT, Initiator, LOGIN, LOGIN_RSP, LOGOUT, NOP_IN, NO_TAG, NOP_OUT,
                       REJECT, SCSI_CMD, SCSI_RSP, SNACK, TEXT, TMF, TMF_RSP, LOGOUT_RSP, TEXT_RSP, bhs, rw16)

FULL, LOGIN_PHASE = [], []


def full(*allowed):
    """A class of the full feature phase; allowed: 'reject', ('reject', reason), 'close', 'check', opcode, 'silent'."""
    return lambda fn: FULL.append((fn.__name__, fn, allowed)) or fn


def login(*allowed):
    """A class of the login phase; allowed: (status class, detail), 'close'."""
    return lambda fn: LOGIN_PHASE.append((fn.__name__, fn, allowed)) or fn


# ---- full feature phase: each sends one PDU ----
@full(('reject', 5))
def unknown_opcode(i, r):                      # 11.17.1: command not supported
    i.send(bhs(r.choice([0x07, 0x08, 0x0a, 0x0f, 0x11, 0x1b, 0x1c, 0x1f]), itt=i.tag(), tail=b'\0' * 4 + i.sn(True)))


@full(('reject', 4), ('reject', 5), 'close')
def target_opcode(i, r):                       # an initiator must not send these, 11.2.1.2
    i.send(bhs(r.choice([0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f]), itt=i.tag(),
               tail=b'\0' * 4 + i.sn(True)))


@full('close')
def data_segment_too_long(i, r):               # above the target's MaxRecvDataSegmentLength, 13.12
    i.raw(bhs(NOP_OUT | 0x40, dlen=r.randrange(1 << 20, 1 << 24), itt=i.tag(), tail=struct.pack('>I', NO_TAG) + i.sn(True)))


@full('reject', 'close')
def snack_at_level_0(i, r):                    # 7.2: recovery level 0 has no SNACK
    i.send(bhs(SNACK, 0x80 | r.randrange(4), itt=NO_TAG, tail=struct.pack('>II', NO_TAG, i.expstatsn)))


@full(('reject', 4), 'close')
def login_in_full_feature(i, r):               # 6.3: only once
    i.send(i.login_bhs())


@full(TMF_RSP, ('reject', 9), ('reject', 5))
def task_management_function(i, r):            # 11.5.1
    i.send(bhs(TMF | 0x40, 0x80 | r.choice([0, 9, 12, 0x40, 0x7f]), itt=i.tag(), tail=struct.pack('>I', NO_TAG) + i.sn(True)))


@full(LOGOUT_RSP, ('reject', 9), ('reject', 4), 'close')
def logout_reason(i, r):                       # 11.14.1
    i.send(bhs(LOGOUT | 0x40, 0x80 | r.randrange(3, 128), itt=i.tag(), tail=b'\0' * 4 + i.sn(True)))


@full(('reject', 4), ('reject', 9), 'silent')
def data_out_without_task(i, r):               # 11.7: no such task
    n = r.randrange(0, 2048)
    i.send(bhs(DATA_OUT, r.choice([0, 0x80]), dlen=n, itt=r.randrange(1 << 31, NO_TAG),
               tail=struct.pack('>IIIIIII', r.choice([NO_TAG, r.randrange(NO_TAG)]), 0, i.expstatsn, 0, 0, 0, 0)), r.randbytes(n))


@full(('reject', 4), ('reject', 9), TEXT_RSP, 'close')
def text_without_equal_sign(i, r):             # 6.1
    text = r.choice([b'SendTargets\0', b'=All\0', b'\0\0\0', r.randbytes(40).replace(b'=', b'x'), b'a' * 70 + b'=1\0'])
    i.send(bhs(TEXT | 0x40, 0x80, dlen=len(text), itt=i.tag(), tail=struct.pack('>I', NO_TAG) + i.sn(True)), text)


@full(('reject', 4), ('reject', 9), TEXT_RSP, 'close')
def text_with_unknown_tag(i, r):               # 11.10.4: TTT of no exchange
    i.send(bhs(TEXT | 0x40, 0x80, itt=i.tag(), tail=struct.pack('>I', r.randrange(NO_TAG)) + i.sn(True)))


@full('reject', 'check', SCSI_RSP, 'close')
def additional_header_garbage(i, r):           # 11.2.2
    n = r.randrange(1, 60)
    i.send(bhs(SCSI_CMD | 0x40, 0x81, ahs=n, itt=i.tag(), tail=b'\0' * 4 + i.sn(True)), ahs=r.randbytes(4 * n))


@full('check')
def unknown_cdb(i, r):                         # SPC-4: INVALID COMMAND OPERATION CODE
    cdb = bytes([r.choice([0x02, 0x06, 0x13, 0x5c, 0x7d, 0xa6, 0xc0, 0xff])]) + r.randbytes(15)
    i.send(bhs(SCSI_CMD | 0x40, 0x81, itt=i.tag(), tail=b'\0' * 4 + i.sn(True) + cdb))


@full('check')
def lba_out_of_range(i, r):                    # SBC-3: LOGICAL BLOCK ADDRESS OUT OF RANGE
    i.send(bhs(SCSI_CMD | 0x40, 0xc1, itt=i.tag(), tail=struct.pack('>I', 512) + i.sn(True)
               + rw16(0x88, r.randrange(1 << 40, 1 << 63), 1)))


@full('check')
def no_such_lun(i, r):                         # SPC-4: LOGICAL UNIT NOT SUPPORTED
    i.send(bhs(SCSI_CMD | 0x40, 0x81, lun=r.randrange(9, 200) << 48, itt=i.tag(), tail=b'\0' * 4 + i.sn(True)))


@full('reject', 'check', 'close')
def immediate_data_beyond_expected(i, r):      # 11.3.4: more data than the command announces
    i.send(bhs(SCSI_CMD | 0x40, 0xa1, dlen=1024, itt=i.tag(), tail=struct.pack('>I', 512) + i.sn(True) + rw16(0x8a, 0, 1)),
           r.randbytes(1024))


@full('silent')
def command_outside_window(i, r):              # 4.2.2.1: silently ignored
    far = (i.cmdsn + r.randrange(5000, 1 << 30)) & 0xffffffff
    i.send(bhs(SCSI_CMD, 0x81, itt=i.tag(), tail=struct.pack('>III', 0, far, i.expstatsn)))


@full('silent', 'reject')
def nop_out_answer_to_nothing(i, r):           # 11.18: answers a NOP-In that never was
    i.send(bhs(NOP_OUT | 0x40, itt=NO_TAG, tail=struct.pack('>I', r.randrange(NO_TAG)) + i.sn(True)))


@full('reject', 'check', SCSI_RSP, TMF_RSP, TEXT_RSP, NOP_IN, LOGOUT_RSP, 'silent', 'close')
def random_header(i, r):                       # anything but harm
    head = bytearray(r.randbytes(48))
    head[0] = r.choice([NOP_OUT, SCSI_CMD, TMF, TEXT, DATA_OUT, LOGOUT, SNACK]) | 0x40
    head[4:8] = b'\0' * 4                      # no further segments: the stream stays framed
    i.raw(bytes(head))


# ---- login phase: each runs on a fresh connection and returns the response ----
@login((2, 5))
def login_version(i, r):                       # 11.13.5: unsupported version
    return i.login_raw(['InitiatorName=' + i.name], vmin=r.randrange(1, 256), vmax=255)


@login((2, 0), (2, 11), 'close')
def login_stage_2(i, r):                       # 11.12.3: CSG 2 is reserved
    return i.login_raw(['InitiatorName=' + i.name], flags=0x80 | 2 << 2 | 3)


@login((2, 0), (2, 11), 'close')
def login_stage_backwards(i, r):               # NSG must be later than CSG
    return i.login_raw(['InitiatorName=' + i.name], flags=0x80 | 1 << 2 | r.choice([0, 1]))


@login((2, 7))
def login_without_name(i, r):                  # missing parameter
    return i.login_raw(['SessionType=Discovery'])


@login((2, 7))
def login_without_target(i, r):
    return i.login_raw(['InitiatorName=' + i.name, 'SessionType=Normal'])


@login((2, 3))
def login_unknown_target(i, r):                # not found
    return i.login_raw(['InitiatorName=' + i.name, 'SessionType=Normal',
                        'TargetName=iqn.2026-11.org.example:none%d' % r.randrange(1000)])


@login((2, 9), (2, 0), (2, 11))
def login_session_type(i, r):
    return i.login_raw(['InitiatorName=' + i.name, 'SessionType=Other', 'TargetName=' + i.target])


@login((2, 10))
def login_no_session(i, r):                    # a TSIH that does not exist
    return i.login_raw(['InitiatorName=' + i.name, 'SessionType=Normal', 'TargetName=' + i.target],
                       tsih=r.randrange(60000, 65536))


@login((2, 0), (2, 11), 'close')
def login_text_garbage(i, r):
    return i.login_raw(r.randbytes(r.randrange(1, 300)).replace(b'=', b'x'))


@login((2, 0), (2, 11), (2, 8), (2, 10), 'close')
def first_pdu_is_no_login(i, r):               # 6.3: only login requests before full feature phase
    i.send(bhs(r.choice([NOP_OUT, SCSI_CMD, TMF, TEXT, LOGOUT, DATA_OUT]) | 0x40, itt=1))
    return i.recv()


@login((2, 1), (2, 0), (2, 11), 'close')
def login_authentication_method(i, r):         # only methods we do not know
    return i.login_raw(['InitiatorName=' + i.name, 'SessionType=Normal', 'TargetName=' + i.target, 'AuthMethod=KRB5'],
                       csg=0, nsg=1)


@login('close', (2, 0), (2, 11), (3, 2))
def login_text_without_end(i, r):              # continued for ever
    for _ in range(200):
        i.send(i.login_bhs(dlen=8000, transit=False, cont=True), b'X-a%d=' % r.randrange(99) + b'b' * 7990)
    while True:
        rsp = i.recv()
        if rsp.bhs[36] or rsp.bhs[37]:
            return rsp


# ---- outcomes ----
def outcome(pdus):
    """Name what came back: the first PDU that is an answer."""
    for pdu in pdus:
        if pdu.opcode == REJECT:
            return ('reject', pdu.bhs[2])
        if pdu.opcode == SCSI_RSP and pdu.bhs[3] == 2:
            return 'check'
        if pdu.opcode != ASYNC and not (pdu.opcode == NOP_IN and pdu.itt == NO_TAG):
            return pdu.opcode
    return 'silent'


def permitted(got, allowed):
    return got in allowed or (isinstance(got, tuple) and got[0] == 'reject' and 'reject' in allowed)


class Bystander(threading.Thread):
    """A session that works while the others misbehave: writes, reads back, compares."""

    def __init__(self, addr, target, lba, blocks):
        super().__init__(daemon=True)
        self.i = Initiator(addr, name='iqn.2026-11.org.example:bystander', isid=b'\x80\0\x02\0\0\x01')
        self.i.login(target)
        self.i.ready()
        self.lba, self.blocks = lba, blocks
        self.rounds, self.error, self.stop = 0, None, threading.Event()

    def run(self):
        r = random.Random(1)
        try:
            while not self.stop.is_set():
                n, data = 8, None
                lba = self.lba + r.randrange(self.blocks - n)
                data = r.randbytes(n * 512)
                if self.i.command(rw16(0x8a, lba, n), data=data)[0]:
                    raise RuntimeError('write failed')
                status, got, _ = self.i.command(rw16(0x88, lba, n), read=n * 512)
                if status or got != data:
                    raise RuntimeError('read back something else at LBA %d' % lba)
                self.rounds += 1
        except Exception as e:                 # reported by the caller
            self.error = e


class Session:
    """A logged-in connection that is made again whenever a class ended it."""

    def __init__(self, addr, target):
        self.addr, self.target, self.i = addr, target, None

    def get(self):
        if self.i is None:
            self.i = Initiator(self.addr)
            self.i.login(self.target)
            self.i.ready()
        return self.i

    def one(self, fn, r):
        i = self.get()
        try:
            fn(i, r)
            return outcome(i.ping())
        except Closed:
            i.close()
            self.i = None
            return 'close'


def one_login(addr, target, fn, r):
    i = Initiator(addr)
    i.target = target
    try:
        rsp = fn(i, r)
        return (rsp.bhs[36], rsp.bhs[37]) if rsp.opcode == LOGIN_RSP else 'opcode %#x' % rsp.opcode
    except Closed:
        return 'close'
    finally:
        i.close()


def run(bench, report, count=1000):
    t = bench.target('malformed', {0: '{ram: 64MiB}'})
    send_all(('127.0.0.1', t.port), IQN, report, count)
    alive, last = t.proc.poll() is None, t.tail()
    report('malformed/target still runs', alive, '' if alive else last)
    for _, status, tail in bench.close():
        report('malformed/target ends cleanly', status == 0, '' if status == 0 else 'exit status %s:\n%s' % (status, tail))


def send_all(addr, target, report, count, seed=1):
    """Send count malformed PDUs, in turn from all classes. report(name, ok, detail) is called once a class."""
    by, session, classes = Bystander(addr, target, 1024, 4096), Session(addr, target), FULL + LOGIN_PHASE
    by.start()
    wrong, seen = {}, {}
    for n in range(count):
        name, fn, allowed = classes[n % len(classes)]
        r = random.Random(seed * 1000003 + n)
        in_login = n % len(classes) >= len(FULL)
        try:
            got = one_login(addr, target, fn, r) if in_login else session.one(fn, r)
        except TimeoutError:
            got, session.i = 'no answer in 10 s', None
        seen.setdefault(name, {}).setdefault(str(got), 0)
        seen[name][str(got)] += 1
        if not permitted(got, allowed):
            wrong.setdefault(name, 'PDU %d: got %s, allowed %s' % (n, got, list(allowed)))
        if by.error:
            break
    by.stop.set()
    by.join(20)
    for name, _, _ in classes:
        report('malformed/' + name, name not in wrong, wrong.get(name) or
               ', '.join('%s × %d' % kv for kv in sorted(seen.get(name, {}).items())))
    report('malformed/bystander', by.error is None and not by.is_alive() and by.rounds > 0,
           str(by.error) if by.error else '%d verified writes beside %d malformed PDUs' % (by.rounds, count))
