# SPDX-License-Identifier: GPL-2.0-or-later
"""EXTENDED COPY (SPC-4 6.4) beyond whole blocks between named devices: the logical unit itself, other block sizes, PAD.

Each test has a target of its own (behavior.py); copies in general are tested in primary.py.
"""
import os
import struct

from behavior import CHECK, GOOD, sense
from initiator import rw16
from primary import cscd, naa, read, segment, two, write, xcopy

TESTS = []
SELF = 0xffff
CAT, DC, PAD = 1, 2, 4
INEXACT = (0xa, 0x26, 0x0a)


def test(f):
    TESTS.append(f)
    return f


def padded(descriptor):
    return descriptor[:28] + bytes([descriptor[28] | PAD]) + descriptor[29:]


def flagged(descriptor, flags):
    return descriptor[:1] + bytes([flags]) + descriptor[2:]


@test
def copy_of_itself(b):
    """CSCD descriptor ID FFFFh: the logical unit that the command is sent to, as source and as destination."""
    _, i = two(b)
    z, data = naa(i, 1), os.urandom(8192)
    write(i, 0, data)
    assert xcopy(i, [cscd(z)], [segment(SELF, 0, 16, 0, 50), segment(0, SELF, 8, 50, 100), segment(SELF, SELF, 16, 0, 7)])[0] == GOOD
    assert read(i, 50, 8192, lun=1) == data
    assert read(i, 100, 4096) == data[:4096]
    assert read(i, 7, 8192) == data
    assert xcopy(i, [], [segment(SELF, SELF, 1, 40, 41)])[0] == GOOD
    status, raw = xcopy(i, [cscd(z)], [segment(SELF - 1, 0, 1, 0, 0)])
    assert status == CHECK and sense(raw) == (0xa, 0x0d, 0x02), raw
    assert xcopy(i, [], [segment(SELF, SELF, 1, 0, 40)], lun=1)[0] == GOOD
    assert read(i, 40, 512, lun=1) == read(i, 0, 512, lun=1)


@test
def copy_of_what_is_stopped(b):
    """START STOP UNIT: nothing is read from a stopped logical unit, and nothing written to it."""
    _, i = two(b)
    a, z = cscd(naa(i, 0)), cscd(naa(i, 1))
    for start in (0, 1):
        assert i.command(bytes([0x1b, 0, 0, 0, start, 0]), lun=1)[0] == GOOD
        for ends in ((0, 1), (1, 0), (SELF, 1)):
            status, raw = xcopy(i, [a, z], [segment(*ends, 1, 0, 9)])
            assert status == GOOD if start else sense(raw) == (0xa, 0x0d, 0x01), (start, ends, raw)


@test
def copy_of_holes(b):
    """Zeroes copied to a thin logical unit take no storage there, whatever was there before, and are read back."""
    t = b.target(luns={0: '{ram: 16MiB}', 1: '{ram: 16MiB}', 2: '{file: %s/d.img, size: 16MiB}' % b.base})
    i = t.ready(1)
    data = os.urandom(1 << 20)
    for lun in (1, 2):
        while i.command(bytes(6), lun=lun)[0] != GOOD:
            pass
        write(i, 0, data * 4, lun=lun)
    write(i, 2048, data)
    names = [cscd(naa(i, lun)) for lun in range(3)]
    assert xcopy(i, names, [segment(0, n, 16384, 0, 0) for n in (1, 2)])[0] == GOOD
    for lun in (1, 2):
        assert read(i, 0, 4 << 20, lun=lun) == bytes(1 << 20) + data + bytes(2 << 20)
        status, got, _ = i.command(struct.pack('>BBQIBB', 0x9e, 0x12, 0, 64, 0, 0), lun=lun, read=64)
        assert status == GOOD
        descs = [struct.unpack_from('>QIB', got, at) for at in (8, 24, 40)]
        assert [(lba, state) for lba, _, state in descs] == [(0, 1), (2048, 0), (4096, 1)], (lun, descs)


def two_sizes(b):
    """LUN 0 has blocks of 512 bytes, LUN 1 of 4096; both are full of x."""
    t = b.target(luns={0: '{ram: 8MiB}', 1: '{ram: 8MiB, block-size: 4096}'})
    i = t.ready(1)
    while i.command(bytes(6), lun=1)[0] != GOOD:
        pass
    for lun in (0, 1):
        assert i.command(rw16(0x8a, 0, (1 << 20) // (512, 4096)[lun]), lun=lun, data=b'x' * (1 << 20))[0] == GOOD
    return i, cscd(naa(i, 0)), cscd(naa(i, 1), 4096)


@test
def copy_pads(b):
    """Without whole blocks nothing is copied, unless PAD: zeroes fill the last block written, and nothing behind it."""
    i, small, large = two_sizes(b)
    data = os.urandom(11 * 512)
    write(i, 0, data)
    for flags, d in ((0, large), (CAT, padded(large))):
        status, raw = xcopy(i, [small, d], [flagged(segment(0, 1, 11, 0, 4), flags)])
        assert status == CHECK and sense(raw) == INEXACT, raw
        assert i.command(rw16(0x88, 4, 2), lun=1, read=8192)[1] == b'x' * 8192
    assert xcopy(i, [small, padded(large)], [segment(0, 1, 11, 0, 4)])[0] == GOOD
    got = i.command(rw16(0x88, 4, 3), lun=1, read=12288)[1]
    assert got == data + bytes(5 * 512) + b'x' * 4096


@test
def copy_drops_what_is_left(b):
    """PAD of the source: of the last block read only what is wanted is written."""
    i, small, large = two_sizes(b)
    data = os.urandom(8192)
    assert i.command(rw16(0x8a, 2, 2), lun=1, data=data)[0] == GOOD
    status, raw = xcopy(i, [small, large], [flagged(segment(1, 0, 11, 2, 100), DC)])
    assert status == CHECK and sense(raw) == INEXACT, raw
    assert xcopy(i, [small, padded(large)], [flagged(segment(1, 0, 11, 2, 100), DC)])[0] == GOOD
    assert read(i, 99, 13 * 512) == b'x' * 512 + data[:11 * 512] + b'x' * 512
