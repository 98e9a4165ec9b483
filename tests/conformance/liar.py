# SPDX-License-Identifier: GPL-2.0-or-later
"""A target that tells one lie: what the checks of wire.py have to find, and nothing else."""
import socket
import struct
import threading

from bench import free_port
from initiator import DATA_IN, LOGIN, LOGIN_RSP, NO_TAG, REJECT, SCSI_CMD, SCSI_RSP, Closed, Initiator, bhs

PAGE = bytes([0, 0x83, 0, 16, 2, 1, 0, 12]) + b'LIAR    12AB'      # SPC-4 7.8.5: one T10 vendor id designator
ASKED = 96
SHORT_SENSE = struct.pack('>H', 200) + bytes([0x70, 0, 5, 0, 0, 0, 0, 10])


def data_in(itt, sn, data):
    """With status GOOD and what is missing from ASKED as residual underflow."""
    return pdu(DATA_IN, 0x83, itt, struct.pack('>I', NO_TAG) + sn + struct.pack('>III', 0, 0, ASKED - len(data)), data)


def truth(itt, sn):
    return data_in(itt, sn, PAGE)


LIES = {
    'sense length beyond the data': (lambda itt, sn: pdu(SCSI_RSP, 0x80, itt, bytes(4) + sn + bytes(12), SHORT_SENSE, b3=2),
                                     'malformed scsi'),
    'reject without the header': (lambda itt, sn: pdu(REJECT, 0x80, NO_TAG, bytes(4) + sn + bytes(12), b'abc', b2=4),
                                  'malformed iscsi'),
    'unknown opcode': (lambda itt, sn: pdu(0x2f, 0x80, itt, bytes(4) + sn + bytes(12)), 'not iSCSI'),
    'page length beyond the data': (lambda itt, sn: data_in(itt, sn, PAGE[:3] + b'\x40' + PAGE[4:]), 'malformed scsi'),
    'designator beyond the data': (lambda itt, sn: data_in(itt, sn, PAGE[:7] + b'\x40' + PAGE[8:]), 'malformed scsi'),
    'StatSN goes back': (lambda itt, sn: truth(itt, b'\0\0\0\1' + sn[4:]), 'iscsi.statsn'),
    'StatSN jumps': (lambda itt, sn: truth(itt, b'\0\0\1\0' + sn[4:]), 'iscsi.statsn'),
    'MaxCmdSN goes back': (lambda itt, sn: truth(itt, sn[:8] + b'\0\0\0\1'), 'iscsi.maxcmdsn'),
}


def pdu(opcode, flags, itt, tail, data=b'', b2=0, b3=0):
    return bhs(opcode, flags, b2, b3, itt=itt, dlen=len(data), tail=tail, lun=0) + data + bytes(-len(data) % 4)


class Liar:
    """Serves one connection at a time: a login, INQUIRY as `lie` has it, everything else with GOOD."""

    def __init__(self, lie):
        self.lie, self.port = lie, free_port()
        self.listener = socket.create_server(('127.0.0.1', self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        s = self.listener.accept()[0]
        sn, stream = 1000, s.makefile('rb')
        with self.listener, s, stream:
            while True:
                head = stream.read(48)
                if len(head) < 48:
                    return
                n = int.from_bytes(head[5:8], 'big')
                stream.read(n + -n % 4)
                s.sendall(self._answer(head, sn))
                sn += 1

    def _answer(self, head, sn):
        itt, cmdsn = struct.unpack_from('>I4xI', head, 16)
        if head[0] & 0x3f == LOGIN:
            text = b'TargetPortalGroupTag=1\0HeaderDigest=None\0DataDigest=None\0'
            out = bytearray(pdu(LOGIN_RSP, 0x87, itt, struct.pack('>IIII', 0, sn, cmdsn, cmdsn + 64), text))
            out[8:16] = head[8:14] + b'\0\1'
            return bytes(out)
        numbers = struct.pack('>III', sn, cmdsn + 1, cmdsn + 64)
        if head[0] & 0x3f == SCSI_CMD and head[32] == 0x12 and self.lie:
            return self.lie(itt, numbers)
        if head[0] & 0x3f == SCSI_CMD and head[32] == 0x12:
            return truth(itt, numbers)
        return pdu(SCSI_RSP, 0x80, itt, bytes(4) + numbers + bytes(12))


def tell(lie):
    """One session with a liar: TEST UNIT READY, INQUIRY, TEST UNIT READY. Return: the liar's port"""
    port = Liar(lie).port
    i = Initiator(('127.0.0.1', port), timeout=10)
    try:
        i.login('iqn.2026-11.org.example:liar')
        for cdb, length in ((bytes(6), 0), (bytes([0x12, 1, 0x83, 0, ASKED, 0]), ASKED), (bytes(6), 0)):
            i.send(bhs(SCSI_CMD, 0x81 | (0x40 if length else 0), itt=i.tag(), tail=struct.pack('>I', length) + i.sn()
                       + cdb.ljust(16, b'\0')))
            i.recv()
    except Closed:
        pass
    finally:
        i.close()
    return port


def found_out(seen, ports):
    """Of each lie, whether exactly it was found; ports: name -> port. Return: [(name, what is wrong or '')]"""
    out = []
    for name, port in ports.items():
        said = [f.what for f in seen.findings if f.port == port]
        wanted = LIES[name][1] if name in LIES else ''
        ok = bool(said) and all(w.startswith(wanted) for w in said[:1]) if wanted else not said
        out.append((name, '' if ok else 'wanted %r, found %s' % (wanted, said)))
    return out


def run(report, capture, check):
    """All lies, and the truth, in one capture; capture, check: of wire.py."""
    ports = {name: tell(lie) for name, lie in [('nothing but the truth', None)] + [(n, f) for n, (f, _) in LIES.items()]}
    lost = capture.close()
    seen = check(capture.path)
    for name, why in found_out(seen, ports):
        report('wire/liar: ' + name, None if lost else not why, lost or why)
