# SPDX-License-Identifier: GPL-2.0-or-later
"""Error recovery within a connection (RFC 7143 7.2, 11.16): broken and lost PDUs, both ways, against a target process.

Each test has a target of its own (behavior.py). The initiator here computes digests, breaks some, and loses what it chooses.
"""
import random
import struct

import behavior
from behavior import GOOD, IQN
from initiator import (DATA_IN, DATA_OUT, NO_TAG, NOP_IN, NOP_OUT, R2T, REJECT, SCSI_CMD, SCSI_RSP, SNACK, Initiator, Pdu,
                       bhs, rw16)

TESTS = []
DATA, STATUS, DATA_ACK, RDATA = 0, 1, 2, 3
SEGMENT, BURST = 4096, 16384


def test(f):
    TESTS.append(f)
    return f


def crc_table():
    out = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
        out.append(n)
    return out


CRC = crc_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ CRC[(crc ^ byte) & 0xff]
    return struct.pack('<I', crc ^ 0xffffffff)


class Careful(Initiator):
    """Digests on; ExpStatSN moves only when told (acknowledge), so that nothing is forgotten too early."""

    digests = False

    def __init__(self, t, isid=1, extra=()):
        super().__init__(('127.0.0.1', t.port), isid=b'\x80\0\0\0\0' + bytes([isid]))
        rsp = self.login(IQN, ['ErrorRecoveryLevel=1', 'MaxBurstLength=%d' % BURST, 'InitialR2T=No', *extra],
                         digest='CRC32C', segment=SEGMENT)
        assert b'ErrorRecoveryLevel=1\0' in rsp.data, rsp.data
        self.digests, self.seen, self.lost = True, set(), lambda pdu: False
        self.rejects = []

    def login(self, target, extra=(), digest='None', segment=262144):
        keys = ['InitiatorName=' + self.name, 'SessionType=Normal', 'TargetName=' + target, 'ImmediateData=Yes',
                'HeaderDigest=' + digest, 'DataDigest=' + digest, 'MaxRecvDataSegmentLength=%d' % segment, *extra]
        return self.login_raw(keys, csg=1, nsg=3)

    def send(self, header, data=b'', ahs=b'', broken=False):
        if not self.digests:
            return super().send(header, data, ahs)
        padded = data + b'\0' * (-len(data) % 4)
        out = header + ahs + crc32c(header + ahs)
        if data:
            out += (padded[:-1] + bytes([padded[-1] ^ 1]) if broken else padded) + crc32c(padded)
        return self.raw(out)

    def recv(self):
        """The next PDU that is not lost on the way; unasked pings are dropped."""
        if not self.digests:
            return super().recv()
        while True:
            head = self._exactly(48)
            assert self._exactly(4) == crc32c(head), 'header digest'
            n = int.from_bytes(head[5:8], 'big')
            padded = self._exactly(n + -n % 4)
            assert not n or self._exactly(4) == crc32c(padded), 'data digest'
            pdu = Pdu(head, padded[:n])
            if (pdu.opcode == NOP_IN and pdu.itt == NO_TAG) or self.lost(pdu):
                continue
            if pdu.opcode == REJECT:
                self.rejects.append(pdu.u8(2))
                self.acknowledge(pdu.u32(24))
            return pdu

    def acknowledge(self, statsn):
        self.seen.add(statsn)
        while self.expstatsn in self.seen:
            self.seen.remove(self.expstatsn)
            self.expstatsn = (self.expstatsn + 1) & 0xffffffff

    def tell(self):
        """A NOP-Out that only carries ExpStatSN."""
        self.send(bhs(NOP_OUT | 0x40, tail=struct.pack('>I', NO_TAG) + self.sn(immediate=True)))

    def snack(self, kind, itt=NO_TAG, tag=NO_TAG, begin=0, length=0):
        self.send(bhs(SNACK, 0x80 | kind, itt=itt, tail=struct.pack('>IIIIIII', tag, 0, self.expstatsn, 0, 0, begin, length)))

    def reject(self):
        pdu = self.recv()
        assert pdu.opcode == REJECT, hex(pdu.opcode)
        return pdu.u8(2)

    def read(self, lba, blocks):
        itt = self.tag()
        self.send(bhs(SCSI_CMD, 0xc1, itt=itt, tail=struct.pack('>I', blocks * 512) + self.sn() + rw16(0x88, lba, blocks)))
        return itt

    def write_bhs(self, lba, blocks, immediate, final=True):
        itt = self.tag()
        return itt, bhs(SCSI_CMD, 0xa1 if final else 0x21, itt=itt, dlen=immediate,
                        tail=struct.pack('>I', blocks * 512) + self.sn() + rw16(0x8a, lba, blocks))

    def out(self, r2t, data, skip=(), broken=()):
        """Answer an R2T in PDUs of SEGMENT bytes; skip, broken: DataSNs."""
        off, left = r2t.u32(40), r2t.u32(44)
        for sn in range(-(-left // SEGMENT)):
            n = min(SEGMENT, left)
            if sn not in skip:
                self.send(bhs(DATA_OUT, 0x80 if n == left else 0, dlen=n, itt=r2t.itt,
                              tail=struct.pack('>IIIIIII', r2t.u32(20), 0, self.expstatsn, 0, sn, off, 0)),
                          data[off:off + n], broken=sn in broken)
            off, left = off + n, left - n

    def want(self, opcode):
        pdu = self.recv()
        assert pdu.opcode == opcode, 'opcode %#x, not %#x' % (pdu.opcode, opcode)
        return pdu

    def want_r2t(self, off, length):
        pdu = self.want(R2T)
        assert (pdu.u32(40), pdu.u32(44)) == (off, length), (pdu.u32(40), pdu.u32(44))
        return pdu

    def want_status(self, itt):
        pdu = self.recv()
        assert pdu.itt == itt and (pdu.opcode == SCSI_RSP or (pdu.opcode == DATA_IN and pdu.u8(1) & 1)), hex(pdu.opcode)
        assert pdu.u8(3) == GOOD, pdu.data
        self.acknowledge(pdu.u32(24))
        return pdu


def start(b, **kw):
    t = b.target(luns={0: '{ram: 64MiB}'})
    plain = t.ready(isid=2)
    return t, plain, Careful(t, **kw)


def ready(i):
    """TEST UNIT READY until unit attentions are gone."""
    for _ in range(8):
        itt = i.tag()
        i.send(bhs(SCSI_CMD, 0x81, itt=itt, tail=b'\0' * 4 + i.sn()))
        pdu = i.want(SCSI_RSP)
        i.acknowledge(pdu.u32(24))
        if pdu.u8(3) == GOOD:
            return
    raise AssertionError('the unit does not become ready')


def fill(plain, blocks, seed):
    data = random.Random(seed).randbytes(blocks * 512)
    assert plain.command(rw16(0x8a, 0, blocks), data=data)[0] == GOOD
    return data


def put(got, pdu):
    got[pdu.u32(36)] = pdu.data


@test
def lost_data_in(b):
    """Two PDUs of a read do not arrive: Data SNACK. Then all again with R-Data; in the end it is acknowledged and gone."""
    t, plain, i = start(b)
    data = fill(plain, 64, 1)
    ready(i)
    i.lost = lambda pdu: pdu.opcode == DATA_IN and pdu.u32(36) in (2, 5)
    itt, got = i.read(0, 64), {}
    while 7 not in got:
        put(got, i.recv())
    i.lost = lambda pdu: False
    assert sorted(got) == [0, 1, 3, 4, 6, 7]
    for sn in (2, 5):
        i.snack(DATA, itt, begin=sn, length=1)
        put(got, i.want(DATA_IN))
    assert b''.join(got[sn] for sn in range(8)) == data
    i.snack(RDATA, itt, tag=77)
    again = [i.want(DATA_IN) for _ in range(8)]
    assert b''.join(pdu.data for pdu in again) == data and not again[7].u8(1) & 1
    status = i.want_status(itt)
    assert status.u32(20) == 77 and status.u32(36) == 8
    i.tell()
    i.snack(DATA, itt)
    assert i.reject() == 4
    i.close()


@test
def lost_status(b):
    """Of three responses the first two do not arrive: Status SNACK; later ones are not acknowledged before."""
    t, plain, i = start(b)
    fill(plain, 8, 2)
    ready(i)
    first = i.expstatsn
    i.lost = lambda pdu: pdu.opcode in (SCSI_RSP, DATA_IN) and pdu.u32(24) in (first, first + 1)
    tags = [i.read(0, 1), i.read(0, 8), i.read(1, 1)]
    i.want_status(tags[2])
    assert i.expstatsn == first
    i.lost = lambda pdu: False
    i.snack(STATUS, begin=first, length=2)
    i.want_status(tags[0])
    i.want_status(tags[1])
    assert i.expstatsn == first + 3
    i.snack(STATUS, begin=first, length=1)
    assert i.reject() == 4
    i.close()


@test
def broken_data_out(b):
    """A broken PDU and a lost one: Reject 0x02, and one R2T for what is missing."""
    t, plain, i = start(b)
    ready(i)
    data = random.Random(3).randbytes(48 * 512)
    itt, head = i.write_bhs(0, 48, 0)
    i.send(head)
    i.out(i.want_r2t(0, BURST), data, skip=[1], broken=[2])
    reject, r2t = sorted((i.recv(), i.recv()), key=lambda p: p.opcode != REJECT)  # what asks for data overtakes answers
    assert (reject.opcode, reject.u8(2), r2t.opcode) == (REJECT, 2, R2T)
    assert (r2t.u32(40), r2t.u32(44)) == (SEGMENT, 2 * SEGMENT)
    i.out(r2t, data)
    i.out(i.want_r2t(BURST, 48 * 512 - BURST), data)
    i.want_status(itt)
    assert plain.command(rw16(0x88, 0, 48), read=48 * 512)[1] == data
    i.close()


@test
def lost_last_data_out(b):
    """The PDU with the F bit does not come: the target asks for the rest by itself."""
    t, plain, i = start(b)
    ready(i)
    data = random.Random(4).randbytes(32 * 512)
    itt, head = i.write_bhs(0, 32, 0)
    i.send(head)
    i.sock.settimeout(30)
    i.out(i.want_r2t(0, BURST), data, skip=[3])
    i.out(i.want_r2t(3 * SEGMENT, SEGMENT), data)
    i.want_status(itt)
    assert plain.command(rw16(0x88, 0, 32), read=32 * 512)[1] == data
    i.close()


@test
def broken_command(b):
    """Immediate data is broken: Reject 0x02; the command comes again with its CmdSN, those behind it have waited."""
    t, plain, i = start(b)
    ready(i)
    data = random.Random(5).randbytes(1024)
    itt, head = i.write_bhs(0, 2, 1024)
    i.send(head, data, broken=True)
    assert i.reject() == 2
    behind = i.read(0, 2)
    i.send(head, data)
    i.want_status(itt)
    assert i.want_status(behind).data == data
    i.send(head, b'\0' * 1024)                  # a retry too many: ignored
    assert i.want_status(i.read(0, 2)).data == data
    i.close()


@test
def switched_off(b):
    """The administrator may not want it."""
    t = b.target(luns={0: '{ram: 64MiB}'}, options='options: {error-recovery-level: 0}\n')
    i = Initiator(('127.0.0.1', t.port))
    rsp = i.login_raw(['InitiatorName=' + i.name, 'TargetName=' + IQN, 'ErrorRecoveryLevel=2', 'MaxOutstandingR2T=4'])
    assert b'ErrorRecoveryLevel=0\0' in rsp.data and b'MaxOutstandingR2T=4\0' in rsp.data, rsp.data
    i.close()


@test
def many_readers_acknowledge_nothing(b):
    """What is kept for those who do not acknowledge harms nobody: memory comes back when it is wanted."""
    t, plain, i = start(b)
    ready(i)
    fill(plain, 64, 6)
    lazy = [Careful(t, isid=10 + n) for n in range(8)]
    for j in lazy:
        ready(j)
        j.acknowledge = lambda statsn: None
        for _ in range(60):
            itt = j.read(0, 64)
            for _ in range(8):
                pdu = j.want(DATA_IN)
            assert pdu.itt == itt and pdu.u8(1) & 1
    for n in range(50):
        data = fill(plain, 2048, n)
        assert plain.command(rw16(0x88, 0, 2048), read=1 << 20)[1] == data
    for j in [i, *lazy]:
        j.close()
