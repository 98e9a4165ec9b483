# SPDX-License-Identifier: GPL-2.0-or-later
"""A raw iSCSI initiator (RFC 7143) for tests: it sends exactly the bytes it is told to, right or wrong.

Sequence numbers are kept for well-formed traffic; everything can be overridden. It knows nothing of the
target's code: offsets are those of the standard's section 11.
"""
import socket
import struct

NOP_OUT, SCSI_CMD, TMF, LOGIN, TEXT, DATA_OUT, LOGOUT, SNACK = 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10
NOP_IN, SCSI_RSP, TMF_RSP, LOGIN_RSP, TEXT_RSP, DATA_IN, LOGOUT_RSP, R2T, ASYNC, REJECT = (
    0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f)
NO_TAG = 0xffffffff


class Closed(Exception):
    """The target ended the connection."""


class Pdu:
    """One received PDU: basic header segment and data segment."""

    def __init__(self, bhs, data):
        self.bhs, self.data = bhs, data
        self.opcode = bhs[0] & 0x3f
        self.itt = struct.unpack_from('>I', bhs, 16)[0]

    def u8(self, off):
        return self.bhs[off]

    def u32(self, off):
        return struct.unpack_from('>I', self.bhs, off)[0]


def bhs(opcode, flags=0x80, b2=0, b3=0, ahs=0, dlen=0, lun=0, itt=NO_TAG, tail=b''):
    """A basic header segment: bytes 0-19 by name, 20-47 from tail (padded with zeros)."""
    head = struct.pack('>BBBB', opcode, flags, b2, b3) + bytes([ahs]) + dlen.to_bytes(3, 'big')
    head += struct.pack('>QI', lun, itt)
    return head + tail[:28].ljust(28, b'\0')


class Shared:
    """What the connections of a session share: its numbers."""

    def __init__(self):
        self.cmdsn, self.itt, self.tsih = 1, 1, 0


class Initiator:
    """A connection. With lead, another connection of its session, it is a further one (CID cid) of the same."""

    def __init__(self, addr, name='iqn.2026-11.org.example:raw', isid=b'\x80\x00\x01\x00\x00\x01', timeout=10, lead=None,
                 cid=0, source=''):
        self.shared = lead.shared if lead else Shared()
        self.cid = cid
        self.sock = socket.create_connection(addr, timeout=timeout, source_address=(source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.name, self.isid = name, isid
        self.expstatsn = 0

    @property
    def cmdsn(self):
        return self.shared.cmdsn

    @cmdsn.setter
    def cmdsn(self, n):
        self.shared.cmdsn = n

    @property
    def itt(self):
        return self.shared.itt

    @itt.setter
    def itt(self, n):
        self.shared.itt = n

    def close(self):
        self.sock.close()

    # ---- bytes ----
    def raw(self, data):
        try:
            self.sock.sendall(data)
        except OSError as e:
            raise Closed(str(e)) from e

    def send(self, header, data=b'', ahs=b''):
        self.raw(header + ahs + data + b'\0' * (-len(data) % 4))

    def _exactly(self, n):
        buf = b''
        while len(buf) < n:
            try:
                part = self.sock.recv(n - len(buf))
            except TimeoutError:
                raise
            except OSError as e:
                raise Closed(str(e)) from e
            if not part:
                raise Closed('end of stream')
            buf += part
        return buf

    def recv(self):
        head = self._exactly(48)
        n = int.from_bytes(head[5:8], 'big')
        self._exactly(head[4] * 4)
        data = self._exactly(n + (-n % 4))[:n]
        pdu = Pdu(head, data)
        if pdu.opcode not in (DATA_IN, R2T) or (pdu.opcode == DATA_IN and head[1] & 1):
            if pdu.opcode != NOP_IN or pdu.itt != NO_TAG:
                self.expstatsn = (pdu.u32(24) + 1) & 0xffffffff
        return pdu

    def tag(self):
        self.itt += 1
        return self.itt

    # ---- login ----
    def login_bhs(self, csg=1, nsg=3, transit=True, cont=False, vmax=0, vmin=0, tsih=None, dlen=0, flags=None):
        if flags is None:
            flags = (0x80 if transit else 0) | (0x40 if cont else 0) | csg << 2 | nsg
        head = struct.pack('>BBBBB', LOGIN | 0x40, flags, vmax, vmin, 0) + dlen.to_bytes(3, 'big')
        tsih = self.shared.tsih if tsih is None else tsih
        head += self.isid + struct.pack('>HIHHII', tsih, self.itt, self.cid, 0, self.cmdsn, self.expstatsn)
        return head.ljust(48, b'\0')

    def login_raw(self, keys, **kw):
        """Send one login request; keys: list of 'k=v' or bytes. Return: the response."""
        text = keys if isinstance(keys, bytes) else b''.join(k.encode() + b'\0' for k in keys)
        self.send(self.login_bhs(dlen=len(text), **kw), text)
        return self.recv()

    def login(self, target, extra=()):
        keys = ['InitiatorName=' + self.name, 'SessionType=Normal', 'TargetName=' + target,
                'HeaderDigest=None', 'DataDigest=None', 'InitialR2T=Yes', 'ImmediateData=Yes',
                'MaxRecvDataSegmentLength=262144', *extra]
        rsp = self.login_raw(keys, csg=1, nsg=3)
        status = struct.unpack_from('>H', rsp.bhs, 36)[0]
        if rsp.opcode != LOGIN_RSP or status or not rsp.bhs[1] & 0x80:
            raise RuntimeError('login failed: opcode %#x status %#06x' % (rsp.opcode, status))
        self.shared.tsih = struct.unpack_from('>H', rsp.bhs, 14)[0]
        return rsp

    # ---- full feature phase ----
    def sn(self, immediate=False):
        """CmdSN and ExpStatSN for bytes 24-31; moves CmdSN on."""
        raw = struct.pack('>II', self.cmdsn, self.expstatsn)
        if not immediate:
            self.cmdsn = (self.cmdsn + 1) & 0xffffffff
        return raw

    def ping(self, data=b'are you there'):
        """NOP-Out as a ping; anything that arrives before the answer is returned in a list."""
        itt, before = self.tag(), []
        self.send(bhs(NOP_OUT | 0x40, dlen=len(data), itt=itt,
                      tail=struct.pack('>I', NO_TAG) + self.sn(immediate=True)), data)
        while True:
            pdu = self.recv()
            if pdu.opcode == NOP_IN and pdu.itt == itt:
                if pdu.data != data:
                    raise RuntimeError('ping came back altered')
                return before
            before.append(pdu)

    def command(self, cdb, lun=0, data=b'', read=0):
        """One SCSI command; write data follows R2Ts. Return: (status, data-in, sense)."""
        itt = self.tag()
        flags = 0x80 | (0x40 if read else 0) | (0x20 if data else 0) | 1
        self.send(bhs(SCSI_CMD, flags, lun=lun << 48, itt=itt, tail=struct.pack('>I', read or len(data)) + self.sn()
                      + cdb.ljust(16, b'\0')))
        got = bytearray(read)
        while True:
            pdu = self.recv()
            if pdu.opcode == R2T and pdu.itt == itt:
                self.data_out(pdu, lun, itt, data)
            elif pdu.opcode == DATA_IN and pdu.itt == itt:
                off = pdu.u32(40)
                got[off:off + len(pdu.data)] = pdu.data
                if pdu.bhs[1] & 1:
                    return pdu.bhs[3], bytes(got), b''
            elif pdu.opcode == SCSI_RSP and pdu.itt == itt:
                return pdu.bhs[3], bytes(got), pdu.data[2:]
            elif pdu.opcode == NOP_IN and pdu.itt == NO_TAG:
                continue
            else:
                raise RuntimeError('unexpected opcode %#x' % pdu.opcode)

    def data_out(self, r2t, lun, itt, data):
        ttt, off, want = r2t.u32(20), r2t.u32(40), r2t.u32(44)
        sn = 0
        while want:
            n = min(want, 8192)
            self.send(bhs(DATA_OUT, 0x80 if n == want else 0, dlen=n, lun=lun << 48, itt=itt,
                          tail=struct.pack('>IIIIIII', ttt, 0, self.expstatsn, 0, sn, off, 0)), data[off:off + n])
            off, want, sn = off + n, want - n, sn + 1

    def text(self, keys, ttt=NO_TAG):
        """One Text request. Return: the pairs of the answer, asked for piece by piece while the target has more."""
        itt, data, got = self.tag(), b''.join(k.encode() + b'\0' for k in keys), b''
        while True:
            self.send(bhs(TEXT, 0x80, dlen=len(data), itt=itt, tail=struct.pack('>I', ttt) + self.sn()), data)
            pdu = self.recv()
            if pdu.opcode != TEXT_RSP or pdu.itt != itt:
                raise RuntimeError('unexpected opcode %#x' % pdu.opcode)
            got += pdu.data
            ttt, data = pdu.u32(20), b''
            if pdu.bhs[1] & 0x80:
                return [kv.decode() for kv in got.split(b'\0') if kv]

    def ready(self):
        """TEST UNIT READY until unit attentions are gone."""
        for _ in range(8):
            if self.command(bytes(6))[0] == 0:
                return
        raise RuntimeError('the unit does not become ready')


def rw16(op, lba, blocks):
    """CDB of READ(16) 0x88 or WRITE(16) 0x8a."""
    return struct.pack('>BBQIBB', op, 0, lba, blocks, 0, 0)
