# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture as its receivers saw it: every byte once, and in order.

Two processors may send on loopback at once, and then TCP's segments overtake each other and are sent again. Dissectors lose
their place there; a receiver does not. So each segment is put where its first byte was due, and what came twice is left out.
"""
import struct

PCAP = 0xa1b2c3d4, 0xa1b23c4d                   # microseconds, nanoseconds
ETHERNET, IPV4, IPV6, TCP, SYN = 14, 0x0800, 0x86dd, 6, 2


class Segment:
    """A TCP segment of a frame; None of its fields if the frame is something else."""

    def __init__(self, frame):
        self.frame, self.flow = frame, None
        kind, = struct.unpack_from('>H', frame, 12)
        if kind == IPV4 and frame[ETHERNET + 9] == TCP:
            self.tcp = ETHERNET + (frame[ETHERNET] & 15) * 4
            addresses, end = frame[ETHERNET + 12:ETHERNET + 20], ETHERNET + struct.unpack_from('>H', frame, ETHERNET + 2)[0]
        elif kind == IPV6 and frame[ETHERNET + 6] == TCP:
            self.tcp = ETHERNET + 40
            addresses, end = frame[ETHERNET + 8:ETHERNET + 40], self.tcp + struct.unpack_from('>H', frame, ETHERNET + 4)[0]
        else:
            return
        self.flow = addresses + frame[self.tcp:self.tcp + 4]
        self.seq, = struct.unpack_from('>I', frame, self.tcp + 4)
        self.syn = frame[self.tcp + 13] & SYN
        self.data = self.tcp + (frame[self.tcp + 12] >> 4) * 4
        self.size = end - self.data

    def without(self, n):
        """The frame without the first n bytes of its data."""
        b = bytearray(self.frame[:self.data] + self.frame[self.data + n:self.data + self.size])
        struct.pack_into('>I', b, self.tcp + 4, (self.seq + n) & 0xffffffff)
        at = ETHERNET + (2 if self.tcp - ETHERNET != 40 else 4)
        struct.pack_into('>H', b, at, struct.unpack_from('>H', b, at)[0] - n)
        return bytes(b)


class Flow:
    """One direction of a connection."""

    def __init__(self):
        self.next, self.early = None, []

    def take(self, s):
        """Return: the frames that are due now"""
        if s.syn:
            self.next, self.early = (s.seq + 1) & 0xffffffff, []
            return [s.frame]
        if not s.size:
            return [s.frame]
        if self.next is None:
            self.next = s.seq
        self.early.append(s)
        out, again = [], True
        while again:
            again = False
            for e in list(self.early):
                known = (self.next - e.seq) & 0xffffffff
                if known >= 1 << 31:            # a gap before it
                    continue
                self.early.remove(e)
                if known < e.size:
                    out.append(e.without(known) if known else e.frame)
                    self.next, again = (e.seq + e.size) & 0xffffffff, True
        return out


def frames(f):
    """Of a pcap file, (header of the record, frame) each."""
    magic, = struct.unpack_from('<I', f.read(24))
    assert magic in PCAP, 'not a pcap file: %#x' % magic
    while head := f.read(16):
        yield head, f.read(struct.unpack_from('<8xI', head)[0])


def in_order(source, to):
    """Write the pcap file `to`. Return: segments that wait for bytes which never came"""
    flows = {}
    with open(source, 'rb') as f, open(to, 'wb') as g:
        g.write(f.read(24))
        f.seek(0)
        for head, frame in frames(f):
            s = Segment(frame)
            for out in flows.setdefault(s.flow, Flow()).take(s) if s.flow else [frame]:
                g.write(head[:8] + struct.pack('<II', len(out), len(out)) + out)
    return sum(len(flow.early) for flow in flows.values())
