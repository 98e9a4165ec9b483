# SPDX-License-Identifier: GPL-2.0-or-later
"""Primary commands (SPC-4) that need a target process: copies between logical units, what is kept over a restart.

Each test has a target of its own (behavior.py).
"""
import os
import signal
import struct

import behavior
from behavior import CHECK, CONFLICT, GOOD, IQN, RESERVE, REGISTER, answer, post, pr_out, sense, silent
from initiator import SCSI_CMD, TMF, TMF_RSP, Initiator, bhs, rw16

TESTS = []
OTHER = IQN + '-other'


def test(f):
    TESTS.append(f)
    return f


def naa(i, lun=0):
    """The NAA identifier of page 83h: its first designator."""
    status, data, _ = i.command(bytes([0x12, 1, 0x83, 1, 0, 0]), lun=lun, read=256)
    assert status == GOOD and data[4:6] == b'\x01\x03', data[:16]
    return data[8:8 + data[7]]


def cscd(name, block_size=512):
    d = bytes([0xe4, 0, 0, 0, 1, 3, 0, len(name)]) + name
    return d.ljust(28, b'\0') + struct.pack('>I', block_size)


def segment(src, dst, blocks, src_lba, dst_lba):
    return struct.pack('>BBHHHHHQQ', 2, 0, 0x18, src, dst, 0, blocks, src_lba, dst_lba)


def xcopy_list(cscds, segments, list_id=1, usage=0):
    cscds, segments = b''.join(cscds), b''.join(segments)
    return struct.pack('>BBHIII', list_id, usage << 3, len(cscds), 0, len(segments), 0) + cscds + segments


def xcopy_cdb(data):
    return struct.pack('>BB8xIBB', 0x83, 0, len(data), 0, 0)


def xcopy(i, cscds, segments, lun=0, **kw):
    data = xcopy_list(cscds, segments, **kw)
    status, _, raw = i.command(xcopy_cdb(data), lun=lun, data=data)
    return status, raw


def results(i, action, list_id=1, lun=0):
    return i.command(struct.pack('>BBB7xIBB', 0x84, action, list_id, 512, 0, 0), lun=lun, read=512)


def write(i, lba, data, lun=0):
    for off in range(0, len(data), 1 << 20):
        part = data[off:off + (1 << 20)]
        assert i.command(rw16(0x8a, lba + off // 512, len(part) // 512), lun=lun, data=part)[0] == GOOD


def read(i, lba, n, lun=0):
    out = b''
    while len(out) < n:
        part = min(n - len(out), 1 << 20)
        status, data, _ = i.command(rw16(0x88, lba + len(out) // 512, part // 512), lun=lun, read=part)
        assert status == GOOD
        out += data
    return out


def two(b, **kw):
    t = b.target(luns={0: '{ram: 16MiB}', 1: '{file: %s/one.img, size: 16MiB}' % b.base}, **kw)
    i = t.ready(1)
    for _ in range(4):
        i.command(bytes(6), lun=1)
    return t, i


@test
def copy_between_luns(b):
    """Several segments, both ways; COPY STATUS says what was done."""
    _, i = two(b)
    a, z = naa(i, 0), naa(i, 1)
    data = os.urandom(5 << 20)
    write(i, 16, data)
    status, raw = xcopy(i, [cscd(a), cscd(z)], [segment(0, 1, 8192, 16, 100), segment(0, 1, 2048, 16 + 8192, 8292),
                                                segment(1, 0, 64, 100, 20000), segment(0, 1, 0, 0, 0)])
    assert status == GOOD, raw
    assert read(i, 100, len(data), lun=1) == data
    assert read(i, 20000, 64 * 512) == data[:64 * 512]
    assert read(i, 99, 512, lun=1) == bytes(512) and read(i, 100 + 10240, 512, lun=1) == bytes(512)
    status, got, _ = results(i, 0)
    assert status == GOOD and got[:12] == struct.pack('>IBHBI', 8, 1, 4, 0, (10240 + 64) * 512), got[:12]


@test
def copy_overlapping(b):
    """Source and destination overlap on one logical unit: what arrives is what was there."""
    _, i = two(b)
    a, data = naa(i), os.urandom(6 << 20)
    for src, dst in ((0, 1000), (1000, 0), (0, 1), (5, 5)):
        write(i, src, data)
        assert xcopy(i, [cscd(a)], [segment(0, 0, len(data) // 512, src, dst)])[0] == GOOD
        assert read(i, dst, len(data)) == data, (src, dst)


@test
def copy_to_another_target(b):
    """LUNs of other targets of the group count, if their access lists name the initiator."""
    more = ('      - iqn: %s\n        initiators: ["iqn.2026-11.org.example:i"]\n        luns:\n          0: {ram: 1MiB}\n'
            % OTHER)
    t = b.target(targets=more)
    i = t.ready(1)
    far = Initiator(('127.0.0.1', t.port), name='iqn.2026-11.org.example:i', isid=b'\x80\0\0\0\0\2')
    far.login(OTHER)
    far.ready()
    write(i, 0, b'x' * 4096)
    assert xcopy(i, [cscd(naa(i)), cscd(naa(far))], [segment(0, 1, 8, 0, 0)])[0] == GOOD
    assert read(far, 0, 4096) == b'x' * 4096
    stranger = t.ready(3, name='iqn.2026-11.org.example:stranger')
    status, raw = xcopy(stranger, [cscd(naa(i)), cscd(naa(far))], [segment(0, 1, 8, 0, 8)])
    assert status == CHECK and sense(raw) == (0xa, 0x0d, 0x02), raw
    assert read(far, 8, 512) == bytes(512)


@test
def copy_errors(b):
    """Nothing is copied unless all of it can be; the failed segment is named, also afterwards."""
    t, i = two(b)
    a, z = naa(i, 0), naa(i, 1)
    write(i, 0, b'n' * 512)
    status, raw = xcopy(i, [cscd(a), cscd(z)], [segment(0, 1, 1, 0, 0), segment(0, 1, 1, 0, 32768)])
    assert status == CHECK and sense(raw) == (0xa, 0x0d, 0x02) and raw[8:12] == b'\0\0\0\1', raw
    assert read(i, 0, 512, lun=1) == bytes(512)
    status, got, _ = results(i, 0)
    assert status == GOOD and got[4] == 2, got[:12]
    status, got, _ = results(i, 4)
    assert status == GOOD and got[56] == CHECK and got[60:][2] & 15 == 0xa and got[60:][8:12] == b'\0\0\0\1', got
    status, raw = xcopy(i, [cscd(a), cscd(b'\x33' * 8)], [segment(0, 1, 1, 0, 0)], list_id=2)
    assert status == CHECK and sense(raw) == (0xa, 0x0d, 0x02), raw
    status, _, raw = results(i, 0, list_id=9)
    assert status == CHECK and sense(raw) == (5, 0x24, 0), raw
    status, _, raw = results(t.ready(2), 0)          # another nexus knows nothing of it
    assert status == CHECK and sense(raw) == (5, 0x24, 0), raw


@test
def copy_respects_reservations(b):
    """Of the destination; those of the logical unit it is sent to are a conflict of the command itself."""
    t, i = two(b)
    other = t.ready(2, name='iqn.2026-11.org.example:other')
    for _ in range(4):
        other.command(bytes(6), lun=1)
    a, z = naa(i, 0), naa(i, 1)
    out = struct.pack('>QQ8x', 0, 7)
    assert other.command(struct.pack('>BBBxxLx', 0x5f, REGISTER, 0, 24), lun=1, data=out)[0] == GOOD
    out = struct.pack('>QQ8x', 7, 0)
    assert other.command(struct.pack('>BBBxxLx', 0x5f, RESERVE, 1, 24), lun=1, data=out)[0] == GOOD
    write(i, 0, b'r' * 512)
    status, raw = xcopy(i, [cscd(a), cscd(z)], [segment(0, 1, 1, 0, 0)])
    assert status == CHECK and sense(raw) == (0xa, 0x0d, 0x01), raw
    assert xcopy(i, [cscd(a), cscd(z)], [segment(1, 0, 1, 0, 5)])[0] == GOOD   # write exclusive: may be read
    assert xcopy(i, [cscd(a), cscd(z)], [segment(1, 0, 1, 0, 5)], lun=1)[0] == CONFLICT
    assert xcopy(other, [cscd(a), cscd(z)], [segment(0, 1, 1, 0, 0)], lun=1)[0] == GOOD
    assert read(i, 0, 512, lun=1) == b'r' * 512


@test
def copy_is_not_in_the_way(b):
    """While a copy waits for its disk: other commands run, its status says so, its list identifier is taken, ABORT TASK
    ends it without an answer."""
    array = b.target('array', {0: '{ram: 16MiB}'})
    t = b.target('front', {0: '{ram: 16MiB}', 1: '{iscsi: "%s"}' % array.url()}, args=('--reactors', '1'))
    i = t.ready(1)
    for _ in range(4):
        i.command(bytes(6), lun=1)
    cscds = [cscd(naa(i, 0)), cscd(naa(i, 1))]
    array.signal(signal.SIGSTOP)
    data = xcopy_list(cscds, [segment(0, 1, 4096, 0, 0)], list_id=3)
    itt = post(i, xcopy_cdb(data), data)
    assert read(i, 0, 4096) == bytes(4096)
    status, got, _ = results(i, 0, list_id=3)
    assert status == GOOD and got[4:7] == b'\0\0\0', got[:12]
    status, raw = xcopy(i, cscds, [segment(0, 0, 1, 0, 8)], list_id=3)
    assert status == CHECK and sense(raw) == (5, 0x00, 0x16), raw
    assert xcopy(i, cscds, [segment(0, 0, 1, 0, 8)], list_id=4)[0] == GOOD
    tag = i.tag()
    i.send(bhs(TMF | 0x40, 0x81, itt=tag, tail=struct.pack('>I', itt) + i.sn(immediate=True) + struct.pack('>I', i.cmdsn)))
    assert read(i, 0, 512) == bytes(512) and silent(i), 'the abort was answered while a piece was with the disk'
    array.signal(signal.SIGCONT)
    rsp = i.recv()
    assert rsp.opcode == TMF_RSP and rsp.u8(2) == 0, (rsp.opcode, rsp.bhs)
    status, got, _ = results(i, 0, list_id=3)
    assert status == GOOD and got[4] == 2, got[:12]


@test
def copy_waits_for_compare_and_write(b):
    """A COMPARE AND WRITE of the destination is alone with its blocks: the copy comes before or behind it, not in between."""
    array = b.target('array', {0: '{ram: 16MiB}'})
    t = b.target('front', {0: '{ram: 16MiB}', 1: '{iscsi: "%s"}' % array.url()}, args=('--reactors', '1'))
    i = t.ready(1)
    for _ in range(4):
        i.command(bytes(6), lun=1)
    write(i, 0, b'c' * 512)
    cscds = [cscd(naa(i, 0)), cscd(naa(i, 1))]
    array.signal(signal.SIGSTOP)
    tag = i.tag()
    data = bytes(512) + b'w' * 512
    i.send(bhs(SCSI_CMD, 0xa1, lun=1 << 48, itt=tag, dlen=len(data), tail=struct.pack('>I', len(data)) + i.sn()
               + struct.pack('>BBQ3xBBB', 0x89, 0, 0, 1, 0, 0)), data)
    data = xcopy_list(cscds, [segment(0, 1, 1, 0, 0)])
    itt = post(i, xcopy_cdb(data), data)
    assert read(i, 0, 512) == b'c' * 512                 # same reactor: the copy has begun by now
    array.signal(signal.SIGCONT)
    assert answer(i, tag)[0] == GOOD and answer(i, itt)[0] == GOOD
    assert read(i, 0, 512, lun=1) == b'c' * 512, 'the copy was overwritten by the second half of what it overlapped'


@test
def copy_ends_with_the_destinations_tasks(b):
    """LOGICAL UNIT RESET of the destination: the copy ends with an error, and the reset waits for it."""
    array = b.target('array', {0: '{ram: 16MiB}'})
    t = b.target('front', {0: '{ram: 16MiB}', 1: '{iscsi: "%s"}' % array.url()}, args=('--reactors', '1'))
    i, other = t.ready(1), t.ready(2, name='iqn.2026-11.org.example:other')
    for _ in range(4):
        i.command(bytes(6), lun=1)
    cscds = [cscd(naa(i, 0)), cscd(naa(i, 1))]
    array.signal(signal.SIGSTOP)
    data = xcopy_list(cscds, [segment(0, 1, 16384, 0, 0)])
    itt = post(i, xcopy_cdb(data), data)
    assert read(i, 0, 512) == bytes(512)
    other.send(bhs(TMF | 0x40, 0x85, lun=1 << 48, itt=other.tag(),
                   tail=struct.pack('>I', 0xffffffff) + other.sn(immediate=True) + struct.pack('>I', 0)))
    t.wait_log('LOGICAL UNIT RESET, LUN 1')
    assert read(i, 0, 512) == bytes(512) and silent(other)
    array.signal(signal.SIGCONT)
    status, raw = answer(i, itt)
    assert status == CHECK and sense(raw) == (0xa, 0x0d, 0x02), (status, raw)
    rsp = other.recv()
    assert rsp.opcode == TMF_RSP and rsp.u8(2) == 0, (rsp.opcode, rsp.bhs)


# ---- what initiators set ----
CONTROL, CACHING = 0x0a, 0x08


def mode_page(i, page, pc=0, lun=0):
    """The bytes of a mode page."""
    status, data, _ = i.command(bytes([0x1a, 8, pc << 6 | page, 0, 255, 0]), lun=lun, read=255)
    assert status == GOOD, status
    return data[4:4 + data[5] + 2]


def mode_select(i, page, save=False, lun=0):
    out = bytes(4) + bytes([page[0] & 0x3f]) + page[1:]
    return i.command(bytes([0x15, 0x10 | save, 0, 0, len(out), 0]), lun=lun, data=out)


def with_bit(page, byte, bit, on=True):
    page = bytearray(page)
    page[byte] = page[byte] | bit if on else page[byte] & ~bit
    return bytes(page)


def information(i, kind=0):
    status, data, _ = i.command(struct.pack('>BB4xIBB', 0xa3, 5, 300, kind << 1, 0), read=300)
    assert status == GOOD, status
    return data[4:4 + struct.unpack_from('>H', data, 2)[0]]


def set_information(i, data, kind=0):
    return i.command(struct.pack('>BB4xIBB', 0xa4, 6, len(data), kind << 1, 0), data=data)


@test
def settings_are_for_all(b):
    """MODE SELECT and SET IDENTIFYING INFORMATION: others get a unit attention, on any reactor, and see the same."""
    t = b.target(args=('--reactors', '2'))
    i, *others = [t.ready(n) for n in range(1, 5)]
    assert mode_select(i, with_bit(mode_page(i, CONTROL), 2, 4))[0] == GOOD
    for o in others:
        status, _, raw = o.command(bytes(6))
        assert status == CHECK and raw[:4] == b'\x72\x06\x2a\x01', raw      # D_SENSE: descriptor format
        assert mode_page(o, CONTROL)[2] & 4
    assert mode_select(i, mode_page(i, CONTROL))[0] == GOOD     # nothing new: nobody is told
    assert set_information(i, b'shelf 3')[0] == GOOD
    for o in others:
        status, _, raw = o.command(bytes(6))
        assert status == CHECK and raw[1:4] == b'\x06\x3f\x05', raw
        assert information(o) == b'shelf 3' and o.command(bytes(6))[0] == GOOD
    assert i.command(bytes(6))[0] == GOOD


@test
def settings_are_kept(b):
    """Over a restart of the process (the group lost its power, as standalone sees it): saved values and information."""
    t = b.target(luns={0: '{file: %s/d.img, size: 1MiB}' % b.base})
    i = t.ready(1)
    assert mode_page(i, CONTROL)[0] & 0x80 and mode_page(i, CACHING)[0] & 0x80
    assert mode_select(i, with_bit(mode_page(i, CONTROL), 2, 4), save=True)[0] == GOOD
    assert mode_select(i, with_bit(mode_page(i, CONTROL), 4, 8))[0] == GOOD
    assert set_information(i, b'shelf 3')[0] == GOOD and set_information(i, b'mail\0', kind=2)[0] == GOOD
    assert mode_page(i, CACHING)[2] & 4, 'a file has a write cache'
    assert mode_select(i, with_bit(mode_page(i, CACHING), 2, 4, False), save=True)[0] == GOOD
    assert not mode_page(i, CACHING)[2] & 4
    status, _, raw = i.command(rw16(0x8a, 0, 1), data=bytes(512))
    assert status == CHECK and raw[0] == 0x72 and raw[1:4] == b'\x07\x27\x02', raw   # SWP
    t.stop()
    t.start()
    i = t.ready(1)
    page = mode_page(i, CONTROL)
    assert page[2] & 4 and not page[4] & 8, page
    assert mode_page(i, CONTROL, pc=3) == page
    assert not mode_page(i, CACHING)[2] & 4 and mode_page(i, CACHING, pc=2)[2] & 4
    assert mode_select(i, with_bit(mode_page(i, CACHING), 2, 4))[0] == GOOD and mode_page(i, CACHING)[2] & 4
    assert information(i) == b'shelf 3' and information(i, 2) == b'mail\0'
    assert i.command(rw16(0x8a, 0, 1), data=bytes(512))[0] == GOOD


@test
def reset_reverts_to_saved(b):
    """LOGICAL UNIT RESET: current mode values become the saved ones (SPC-4 5.9)."""
    t = b.target()
    i = t.ready(1)
    assert mode_select(i, with_bit(mode_page(i, CONTROL), 4, 8))[0] == GOOD
    i.send(bhs(TMF | 0x40, 0x85, itt=i.tag(), tail=struct.pack('>I', 0xffffffff) + i.sn(immediate=True) + bytes(4)))
    rsp = i.recv()
    assert rsp.opcode == TMF_RSP and rsp.u8(2) == 0, rsp.bhs
    i.ready()
    assert not mode_page(i, CONTROL)[4] & 8
    assert i.command(rw16(0x8a, 0, 1), data=bytes(512))[0] == GOOD
