# SPDX-License-Identifier: GPL-2.0-or-later
"""A relay that makes an initiator use header digests which only offers them.

iscsi-test-cu offers "HeaderDigest=None,CRC32C", of which a responder takes the first value (RFC 7143 6.2). The relay
turns the two round in the login requests, byte for byte as long; from the end of the login on it carries bytes.
"""
import socket
import threading

OFFER, TURNED, AGREED = b'HeaderDigest=None,CRC32C\0', b'HeaderDigest=CRC32C,None\0', b'HeaderDigest=CRC32C\0'
FULL_FEATURE = 0x83                            # T bit, NSG 3


class Relay:
    """Listens on a port of its own for one port of a target; .logins and .agreed count sessions."""

    def __init__(self, port):
        self.to, self.logins, self.agreed = port, 0, 0
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                theirs = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()

    def _serve(self, theirs):
        ours = None
        try:
            ours = socket.create_connection(('127.0.0.1', self.to))
            for s in (ours, theirs):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._login(theirs, ours)
            back = threading.Thread(target=carry, args=(ours, theirs), daemon=True)
            back.start()
            carry(theirs, ours)
            back.join()
        except OSError:
            pass
        finally:
            theirs.close()
            if ours:
                ours.close()

    def _login(self, theirs, ours):
        agreed = False
        while True:
            ours.sendall(pdu(theirs).replace(OFFER, TURNED))
            response = pdu(ours)
            agreed = agreed or AGREED in response
            if response[1] & FULL_FEATURE == FULL_FEATURE and response[36] == 0:
                self.logins += 1               # counted before the initiator can know
                self.agreed += agreed
            theirs.sendall(response)
            if response[1] & FULL_FEATURE == FULL_FEATURE or response[36]:
                return


def pdu(s):
    """One PDU without digests, as it came."""
    head = exactly(s, 48)
    n = head[4] * 4 + int.from_bytes(head[5:8], 'big')
    return head + exactly(s, n + -n % 4)


def exactly(s, n):
    buf = b''
    while len(buf) < n:
        part = s.recv(n - len(buf))
        if not part:
            raise ConnectionResetError
        buf += part
    return buf


def carry(a, b):
    """Bytes from a to b until either ends; then both end."""
    buf = memoryview(bytearray(1 << 18))
    try:
        while True:
            n = a.recv_into(buf)
            if not n:
                break
            b.sendall(buf[:n])
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
