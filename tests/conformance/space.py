# SPDX-License-Identifier: GPL-2.0-or-later
"""Storage below thin logical units: thresholds, what is said of it, and what happens when there is none left (SBC-3 4.7.3).

Each test has a target of its own (behavior.py).
"""
import ctypes
import os
import struct
import subprocess

from behavior import CHECK, GOOD, sense
from bench import Clock
from initiator import rw16
from primary import mode_page, mode_select

TESTS = []
MIB = 1 << 20
RECOVERY, REACHED = 0x01, (6, 0x38, 7)
AVAILABLE, USED = 0, 1


def test(f):
    TESTS.append(f)
    return f


def page(i, pc=0, subpage=2):
    """The mode page of thresholds (1Ch, 02h)."""
    status, data, _ = i.command(bytes([0x1a, 8, pc << 6 | 0x1c, subpage, 255, 0]), read=255)
    assert status == GOOD, status
    return data[4:4 + 4 + struct.unpack_from('>H', data, 6)[0]]


def thresholds(i, available=None, used=None, save=False):
    """MODE SELECT of both; None: disabled."""
    p = bytearray(page(i))
    p[0] &= 0x7f
    for n, count in enumerate((available, used)):
        p[16 + 8 * n] = p[16 + 8 * n] & 0x7f | (0x80 if count is not None else 0)
        struct.pack_into('>I', p, 20 + 8 * n, count or 0)
    out = bytes(4) + bytes(p)
    return i.command(bytes([0x15, 0x10 | save, 0, 0, len(out), 0]), data=out)


LOG = struct.pack('>BBBBBHHB', 0x4d, 0, 0x4c, 0, 0, 0, 255, 0)


def log(i):
    """(available, used, scope of available) of log page 0Ch, or None while nothing is there."""
    status, data, _ = i.command(LOG, read=255)
    assert status == GOOD, status
    if not struct.unpack_from('>H', data, 2)[0]:
        return None
    code, _, length, available, scope = struct.unpack_from('>HBBIB', data, 4)
    assert (code, length) == (1, 8), data[:32]
    code, _, length, used = struct.unpack_from('>HBBI', data, 16)
    assert (code, length) == (2, 8), data[:32]
    return available, used, scope


def until(i, wanted):
    """Ask until it is so: each LOG SENSE has the target look again."""
    end = Clock(20)
    while True:
        now = log(i)
        if now and wanted(*now):
            return now
        assert end.left(), now


def write(i, at, mib):
    for n in range(at, at + mib):
        assert i.command(rw16(0x8a, n * 2048, 2048), data=b'w' * MIB)[0] == GOOD


def unmap(i, at, mib):
    out = struct.pack('>HHxxxxQIxxxx', 22, 16, at * 2048, mib * 2048)
    assert i.command(struct.pack('>BxxxxxxHx', 0x42, len(out)), data=out)[0] == GOOD


def told(i, cdb=bytes(6)):
    """The unit attention, and which descriptor it is about; None: there is none."""
    status, _, raw = i.command(cdb, read=255 if cdb == LOG else 0)
    if status == GOOD:
        return None
    assert status == CHECK and sense(raw) == REACHED, raw
    return struct.unpack_from('>I', raw, 3)[0] if raw[0] & 0x80 else 0


def wait_told(i):
    end = Clock(20)
    while True:
        place = told(i, LOG)
        if place is not None:
            return place
        assert end.left(), 'no unit attention'


@test
def thresholds_are_told(b):
    """Once to every initiator, on every reactor, when a threshold is reached; again only after it was not."""
    t = b.target(luns={0: '{file: %s/d.img, size: 64MiB}' % b.base}, args=('--reactors', '2'))
    sessions = [t.ready(n, name='iqn.2026-11.org.example:i%d' % n) for n in range(1, 5)]
    i = sessions[0]
    _, data, _ = i.command(bytes([0x12, 1, 0xb2, 0, 255, 0]), read=255)
    assert data[4] == 11, 'threshold sets are of 1 MiB'
    write(i, 0, 4)
    until(i, lambda available, used, scope: used == 4 and scope == 2)
    assert thresholds(i, used=6)[0] == GOOD
    for o in sessions[1:]:
        status, _, raw = o.command(bytes(6))
        assert status == CHECK and sense(raw) == (6, 0x2a, 1), raw
    write(sessions[1], 4, 1)
    until(i, lambda _a, used, _s: used == 5)
    assert not any(told(o) is not None for o in sessions)
    write(sessions[1], 5, 1)
    for o in sessions:
        assert wait_told(o) == 24, 'the second descriptor'
    until(i, lambda _a, used, _s: used == 6)
    assert not any(told(o) is not None for o in sessions), 'told twice'
    unmap(i, 0, 2)
    for o in sessions:
        until(o, lambda _a, used, _s: used == 4)
    write(i, 0, 2)
    for o in sessions:
        assert wait_told(o) == 24


@test
def thresholds_already_reached(b):
    """What is set too late is told at once, to who set it, too; LBPERE 0 silences it, and is as good as saved."""
    t = b.target()
    i = t.ready(1)
    write(i, 0, 3)
    assert log(i) == (13, 3, 1), 'memory is known at once, and nobody else takes it'
    assert thresholds(i, available=13)[0] == GOOD
    assert told(i) == 16 and told(i) is None
    recovery = bytearray(mode_page(i, RECOVERY))
    assert recovery[7] == 0x80
    recovery[7] = 0
    assert mode_select(i, bytes(recovery))[0] == GOOD
    assert thresholds(i)[0] == GOOD and thresholds(i, available=14)[0] == GOOD
    assert told(i) is None
    recovery[7] = 0x80
    assert mode_select(i, bytes(recovery))[0] == GOOD and told(i) == 16


@test
def thresholds_are_kept(b):
    """Saved ones outlive the process."""
    t = b.target(luns={0: '{file: %s/d.img, size: 16MiB}' % b.base})
    i = t.ready(1)
    assert thresholds(i, available=1, used=15, save=True)[0] == GOOD
    assert thresholds(i, used=14)[0] == GOOD
    saved = page(i, pc=3)
    assert saved != page(i)
    t.stop()
    t.start()
    i = t.ready(1)
    assert page(i) == page(i, pc=3) == saved
    assert saved[16:] == bytes([0x80, 1, 0, 0, 0, 0, 0, 1, 0x81, 2, 0, 0, 0, 0, 0, 15])


@test
def thick_has_none(b):
    """A fully provisioned logical unit: no thresholds, no such pages."""
    t = b.target(luns={0: '{file: %s/d.img, size: 4MiB, provisioning: thick}' % b.base})
    i = t.ready(1)
    _, data, _ = i.command(bytes([0x12, 1, 0xb2, 0, 255, 0]), read=255)
    assert data[4:7] == bytes(3), data[:8]
    assert mode_page(i, RECOVERY)[7] == 0
    for cdb in (bytes([0x1a, 8, 0x1c, 2, 255, 0]), LOG):
        status, _, raw = i.command(cdb, read=255)
        assert status == CHECK and sense(raw) == (5, 0x24, 0), raw


@test
def thin_that_cannot_be(b):
    """The document says thin, what is below is thick: it is shown as what it is, and the log says so."""
    array = b.target('array', {0: '{file: %s/d.img, size: 4MiB, provisioning: thick}' % b.base})
    t = b.target('front', {0: '{iscsi: "%s", provisioning: thin}' % array.url()})
    _, data, _ = t.ready(1).command(bytes([0x12, 1, 0xb2, 0, 255, 0]), read=255)
    assert data[4:7] == bytes(3), data[:8]
    t.wait_log('provisioning: thin, but what is below cannot give storage back')


def small_file_system(at):
    """In a mount namespace of the target's own; with the privileges of a user namespace where it takes those."""
    libc = ctypes.CDLL(None, use_errno=True)
    newns, newuser, rec_private = 0x20000, 0x10000000, 0x44000

    def enter():
        if libc.unshare(newns) and libc.unshare(newns | newuser):
            os._exit(77)
        if libc.mount(None, b'/', None, rec_private, None) or libc.mount(b'none', at.encode(), b'tmpfs', 0, b'size=4m'):
            os._exit(77)
    return enter


@test
def file_system_full(b):
    """A write that finds no room is 07/27/07, before that everybody is warned; given back storage makes room again."""
    where = os.path.join(b.base, 'small')
    os.makedirs(where)
    if subprocess.run(['true'], preexec_fn=small_file_system(where)).returncode:
        print('not tried: no file system can be mounted here')
        return
    t = b.target(luns={0: '{file: %s/d.img, size: 16MiB}' % where}, preexec_fn=small_file_system(where))
    i, o = t.ready(1), t.ready(2)
    at = 0
    while True:
        status, _, raw = i.command(rw16(0x8a, at, 128), data=b'f' * 65536)
        if status == CHECK and sense(raw) == REACHED:
            continue
        if status != GOOD:
            break
        at += 128
    assert status == CHECK and sense(raw) == (7, 0x27, 7), raw
    assert 3 * 2048 < at < 5 * 2048, at
    assert wait_told(o) == 0, 'the file system is about to be full: nobody set a threshold'
    assert o.command(rw16(0x88, 0, 128), read=65536)[1] == b'f' * 65536
    until(o, lambda available, used, scope: available == 0 and used >= 3)
    assert o.command(rw16(0x8a, 0, 128), data=b'o' * 65536)[0] == GOOD, 'what is there already can be written'
    unmap(o, 0, 2)
    until(o, lambda available, used, scope: available >= 1)
    assert o.command(rw16(0x8a, at + 2048, 128), data=b'o' * 65536)[0] == GOOD
