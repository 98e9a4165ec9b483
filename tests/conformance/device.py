# SPDX-License-Identifier: GPL-2.0-or-later
"""What a device server keeps besides blocks (SPC-4): its clock, echo buffers.

Each test has a target of its own (behavior.py).
"""
import struct
import time

from behavior import CHECK, GOOD, sense

TESTS = []
MINUTE = 60000


def test(f):
    TESTS.append(f)
    return f


def timestamp(i):
    """Milliseconds and where they come from."""
    status, data, _ = i.command(struct.pack('>BB4xI2x', 0xa3, 0x0f, 12), read=12)
    assert status == GOOD, status
    return int.from_bytes(data[4:10], 'big'), data[2]


def set_timestamp(i, ms):
    return i.command(struct.pack('>BB4xI2x', 0xa4, 0x0f, 12), data=bytes(4) + ms.to_bytes(6, 'big') + bytes(2))


@test
def clock_is_the_nodes(b):
    """REPORT TIMESTAMP tells the node's time until somebody sets another; that is everybody's then, on any reactor."""
    t = b.target(args=('--reactors', '2'))
    i, *others = [t.ready(n, name='iqn.2026-11.org.example:i%d' % n) for n in range(1, 4)]
    before = int(time.time() * 1000)
    ms, origin = timestamp(i)
    assert origin == 3 and before <= ms <= time.time() * 1000 + 1, (before, ms)
    assert set_timestamp(i, 1000)[0] == GOOD
    for o in others:
        status, _, raw = o.command(bytes(6))
        assert status == CHECK and sense(raw) == (6, 0x2a, 0x10), raw
    for o in (i, *others):
        ms, origin = timestamp(o)
        assert origin == 2 and 1000 <= ms < 1000 + MINUTE, ms
    t.stop()
    t.start()
    ms, origin = timestamp(t.ready(1))
    assert origin == 3 and before <= ms <= time.time() * 1000 + 1, 'a power loss sets it right'


@test
def echo_buffers(b):
    """Each nexus reads back what it wrote, on each logical unit; who wrote nothing reads nothing."""
    t = b.target(luns={0: '{ram: 1MiB}', 1: '{ram: 1MiB}'})
    one, two = t.ready(1), t.ready(2)
    one.command(bytes(6), lun=1)
    read = struct.pack('>BBxxxx3sx', 0x3c, 0x0a, (4096).to_bytes(3, 'big'))
    for i, lun, data in ((one, 0, b'a' * 4096), (two, 0, b'bb'), (one, 1, b'c' * 512), (one, 0, b'a' * 100)):
        assert i.command(struct.pack('>BBxxxx3sx', 0x3b, 0x0a, len(data).to_bytes(3, 'big')), lun=lun, data=data)[0] == GOOD
        status, got, _ = i.command(read, lun=lun, read=4096)
        assert status == GOOD and got == data.ljust(4096, b'\0'), got[:16]
    assert two.command(read, read=4096)[1][:3] == b'bb\0'
    status, _, raw = two.command(read, lun=1, read=4096)
    while status == CHECK and sense(raw)[0] == 6:
        status, _, raw = two.command(read, lun=1, read=4096)
    assert status == CHECK and sense(raw) == (5, 0x2c, 0), raw
