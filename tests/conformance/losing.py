# SPDX-License-Identifier: GPL-2.0-or-later
"""An initiator that loses its connections at random points and recovers them (RFC 7143 7.1.4.3, 7.2.2)."""
import random
import struct

from bench import IQN
from initiator import (DATA_IN, DATA_OUT, LOGIN_RSP, LOGOUT, LOGOUT_RSP, NO_TAG, NOP_IN, NOP_OUT, R2T, SCSI_CMD, SCSI_RSP, TMF, TMF_RSP,
                       Initiator, bhs, rw16)

SLOTS, BLOCKS, SEGMENT, BURST, FIRST = 24, 96, 4096, 16384, 8192


class Command:
    def __init__(self, slot, data, expect):
        self.slot, self.data, self.expect = slot, data, expect
        self.got, self.datasn, self.r2tsn, self.immediate = {}, 0, 0, 0   # got: (offset, data) by DataSN
        self.acked = 0
        self.conn = self.itt = self.cmdsn = None


class Loser:
    """Every command goes to a slot of its own, so that what a read has to give is known whatever the order."""

    def __init__(self, t, seed):
        self.t, self.r, self.isid = t, random.Random(seed), b'\x80\0\0\0\x44' + bytes([seed])
        self.disk = {n: bytes(BLOCKS * 512) for n in range(SLOTS)}
        self.commands, self.done, self.losses = {}, 0, 0
        plain = t.ready(0x55)
        for n in range(SLOTS):
            assert plain.command(rw16(0x8a, n * BLOCKS, BLOCKS), data=bytes(BLOCKS * 512))[0] == 0
        plain.close()
        lead = self.connect(None, 0)
        lead.ready()
        self.conns = [lead, self.connect(lead, 1), self.connect(lead, 2)]

    def connect(self, lead, cid):
        i = Initiator(('127.0.0.1', self.t.port), isid=self.isid, lead=lead, cid=cid)
        keys = ['InitiatorName=' + i.name, 'TargetName=' + IQN, 'MaxRecvDataSegmentLength=%d' % self.r.choice((1024, SEGMENT))]
        if not lead:
            keys += ['ErrorRecoveryLevel=2', 'MaxConnections=4', 'InitialR2T=No', 'MaxBurstLength=%d' % BURST,
                     'FirstBurstLength=%d' % FIRST]
        rsp = i.login_raw(keys)
        assert rsp.opcode == LOGIN_RSP and rsp.bhs[36:38] == b'\0\0', rsp.bhs
        i.shared.tsih = struct.unpack_from('>H', rsp.bhs, 14)[0]
        return i

    # ---- commands ----
    def new(self, i):
        slot = self.r.choice([n for n in range(SLOTS) if all(c.slot != n for c in self.commands.values())])
        write = self.r.random() < .5
        size = self.r.randrange(1, BLOCKS + 1) * 512
        c = Command(slot, self.r.randbytes(size) if write else None, self.disk[slot][:size])
        c.itt, c.cmdsn = i.tag(), i.cmdsn
        i.cmdsn = (i.cmdsn + 1) & 0xffffffff
        if write:
            c.immediate = min(size, self.r.choice((0, 512, SEGMENT)))
        self.commands[c.itt] = c
        return c

    def send(self, i, c, limit=None):
        """First time, or again (7.2.1); with limit only so many bytes of it."""
        size = len(c.data or c.expect)
        head = bhs(SCSI_CMD, 0xa1 if c.data else 0xc1, itt=c.itt, dlen=c.immediate, tail=struct.pack(
            '>III', size, c.cmdsn, i.expstatsn) + rw16(0x8a if c.data else 0x88, c.slot * BLOCKS, size // 512))
        c.conn = i
        i.raw((head + (c.data or b'')[:c.immediate])[:limit])

    def data_out(self, i, c, r2t, pieces=None):
        """Answer an R2T; with pieces only so many PDUs."""
        off, left, sn = r2t.u32(40), r2t.u32(44), 0
        while left and sn != pieces:
            n = min(left, self.r.choice((512, 2048, SEGMENT)))
            i.send(bhs(DATA_OUT, 0x80 if n == left else 0, dlen=n, itt=c.itt,
                       tail=struct.pack('>IIIIIII', r2t.u32(20), 0, i.expstatsn, 0, sn, off, 0)), c.data[off:off + n])
            off, left, sn = off + n, left - n, sn + 1

    def take(self, i, pdu):
        """A PDU of a command. Return: the R2T's command, if that is what it was."""
        assert pdu.itt in self.commands, 'PDU %#x for nobody' % pdu.opcode
        c = self.commands[pdu.itt]
        assert c.conn is i, 'on another connection'
        if pdu.opcode == R2T:
            assert pdu.u32(36) <= c.r2tsn, 'R2TSN %d, not %d' % (pdu.u32(36), c.r2tsn)
            c.r2tsn = pdu.u32(36) + 1
            return c
        if pdu.opcode == DATA_IN:
            assert pdu.u32(36) == c.datasn, 'DataSN %d, not %d' % (pdu.u32(36), c.datasn)
            c.got[c.datasn] = pdu.u32(40), pdu.data
            c.datasn += 1
        else:
            assert pdu.opcode == SCSI_RSP, hex(pdu.opcode)
        if pdu.opcode == SCSI_RSP or pdu.bhs[1] & 1:
            self.finish(c, pdu)
        return None

    def finish(self, c, pdu):
        assert pdu.bhs[3] == 0, pdu.bhs
        del self.commands[c.itt]
        self.done += 1
        if c.data:
            self.disk[c.slot] = c.data + self.disk[c.slot][len(c.data):]
        else:
            at = 0
            for sn in range(c.datasn):
                assert c.got[sn][0] == at, 'offset'
                at += len(c.got[sn][1])
            assert b''.join(c.got[sn][1] for sn in range(c.datasn)) == c.expect, 'slot %d' % c.slot

    def pdu(self, i):
        while True:
            pdu = i.recv()
            if pdu.opcode != NOP_IN or pdu.itt != NO_TAG:
                return pdu

    # ---- losses ----
    def lose(self, i, owed=False):
        """It ends, perhaps in the middle of a PDU; its tasks go to others, or to the one that takes its place.
        owed: the target may be waiting for us."""
        how = self.r.randrange(4)
        if how == 0 and len(self.commands) < SLOTS:
            self.send(i, self.new(i), self.r.randrange(48 + SEGMENT))
        elif how == 1 and not owed and self.busy(i):
            i._exactly(self.r.randrange(48))
        self.losses += 1
        i.close()
        k = self.conns.index(i)
        others = [c for c in self.conns if c is not i]
        if self.r.random() < .5:
            self.conns[k] = self.connect(others[0], i.cid)
            heirs = [self.conns[k]] if self.r.random() < .5 else self.conns
        else:
            self.logout(self.r.choice(others), i.cid)
            heirs = others
            self.conns[k] = self.connect(others[0], i.cid)
        orphans = [c for c in self.commands.values() if c.conn is i]
        self.expect_window()
        for c in orphans:
            self.inherit(self.r.choice(heirs), c)

    def expect_window(self):
        """ExpCmdSN as of now: what is not before it was never received (7.2.1)."""
        i = self.conns[0]
        itt = i.tag()
        i.send(bhs(NOP_OUT | 0x40, itt=itt, tail=struct.pack('>I', NO_TAG) + i.sn(immediate=True)))
        self.expcmdsn = self.until(i, NOP_IN, itt).u32(28)

    def inherit(self, i, c):
        if c.cmdsn - self.expcmdsn & 0xffffffff < 1 << 31:
            self.send(i, c)
            return
        told = self.r.choice((0, c.r2tsn if c.data else c.datasn))
        c.acked = told or c.acked              # 11.5.6: 0 says that it is unchanged
        if not c.data:
            c.datasn = c.acked
        c.conn = i
        itt = i.tag()
        i.send(bhs(TMF | 0x40, 0x88, itt=itt, tail=struct.pack('>I', c.itt) + i.sn(immediate=True)
                   + struct.pack('>II', 0, told)))
        rsp = self.until(i, TMF_RSP, itt, c)
        assert rsp.bhs[2] == 0, 'TASK REASSIGN: %d: %r' % (rsp.bhs[2], vars(c))

    def logout(self, i, cid):
        itt = i.tag()
        i.send(bhs(LOGOUT | 0x40, 0x82, itt=itt, tail=struct.pack('>HH', cid, 0) + i.sn(immediate=True)))
        assert self.until(i, LOGOUT_RSP, itt).bhs[2] == 0

    def until(self, i, opcode, itt, mute=None):
        """That PDU; what comes before it is taken. mute: nothing of that command may."""
        while True:
            pdu = self.pdu(i)
            if pdu.opcode == opcode and pdu.itt == itt:
                return pdu
            assert not mute or pdu.itt != mute.itt, 'before the response to TASK REASSIGN'
            self.answer(i, pdu)

    def answer(self, i, pdu):
        c = self.take(i, pdu)
        if c:
            self.data_out(i, c, pdu)

    def busy(self, i):
        """Something is bound to come on it."""
        return any(c.conn is i for c in self.commands.values())

    def run(self, rounds):
        while rounds or self.commands:
            i = self.r.choice(self.conns)
            what = self.r.random()
            if rounds and what < .35 and len(self.commands) < 12:
                self.send(i, self.new(i))
                rounds -= 1
            elif rounds and what < .45:
                self.lose(i)
            elif self.busy(i):
                pdu = self.pdu(i)
                c = self.take(i, pdu)
                if c and rounds and self.r.random() < .2:
                    self.data_out(i, c, pdu, self.r.randrange(4))
                    self.lose(i, True)
                elif c:
                    self.data_out(i, c, pdu)
        assert self.done >= 150 and self.losses > 20, (self.done, self.losses)
        for i in self.conns:
            i.close()
