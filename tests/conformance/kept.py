# SPDX-License-Identifier: GPL-2.0-or-later
"""What one initiator sets on a logical unit and another finds there, whoever serves it by then: a sequence as in clusters.py."""
import struct

GOOD = 0
MODE_CHANGED, TIMESTAMP_CHANGED, IDENTIFIER_CHANGED = (0x2a, 1), (0x2a, 0x10), (0x3f, 5)
TAS, CONTROL = 0x40, 0x0a
TEN_MINUTES = 600000


def page(p, number, pc=0):
    status, data = p.command(bytes([0x1a, 8, pc << 6 | number, 0, 64, 0]), read=64)
    assert status == GOOD, status
    return bytearray(data[4:4 + data[5] + 2])


def select(p, data, save=0):
    out = bytes(4) + bytes([data[0] & 0x3f]) + bytes(data[1:])
    assert p.command(bytes([0x15, 0x10 | save, 0, 0, len(out), 0]), data=out)[0] == GOOD


def set_tas(p, on, save=0):
    data = page(p, CONTROL)
    data[5] = data[5] & ~TAS | (TAS if on else 0)
    select(p, data, save)


def clock(p):
    """Milliseconds, and whether somebody has set them."""
    status, data = p.command(struct.pack('>BB4xI2x', 0xa3, 0x0f, 12), read=12)
    assert status == GOOD, status
    return int.from_bytes(data[4:10], 'big'), data[2] == 2


def information(p):
    status, data = p.command(struct.pack('>BB4xI2x', 0xa3, 5, 64), read=64)
    assert status == GOOD, status
    return data[4:4 + struct.unpack_from('>H', data, 2)[0]]


def inform(p, text):
    assert p.command(struct.pack('>BB4xI2x', 0xa4, 6, len(text)), data=text)[0] == GOOD


def settings(c):
    """Mode values, current and saved, identifying information, the device clock: SPC-4 5.9, 6.43, 5.14."""
    a, b = c.host(1).paths[0], c.host(2)
    set_tas(a, True)
    b.hears(MODE_CHANGED)
    status, _ = a.command(struct.pack('>BB4xI2x', 0xa4, 0x0f, 12), data=bytes(8) + b'\x03\xe8' + bytes(2))
    assert status == GOOD, status
    b.hears(TIMESTAMP_CHANGED)
    inform(a, b'shelf 3')
    b.hears(IDENTIFIER_CHANGED)
    yield
    b = b.paths[0]
    assert page(b, CONTROL)[5] & TAS and not page(b, CONTROL, pc=3)[5] & TAS
    now, was_set = clock(b)
    assert was_set and 1000 <= now < 1000 + TEN_MINUTES, (now, was_set)
    assert information(b) == b'shelf 3'
    set_tas(b, False)
    inform(b, b'')
