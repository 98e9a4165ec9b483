# SPDX-License-Identifier: GPL-2.0-or-later
"""How initiators look round before they use a LUN: REPORT LUNS first, INQUIRY and mode pages, operation codes, reservations.

What is listed has to be there, what is not listed has to be refused, short answers have to be the start of long ones: initiators
take all three for granted (the Linux kernel asks for 4 bytes, then for what those said).
"""
import struct

import behavior
from behavior import CHECK, CONFLICT, GOOD, sense

TESTS = []
INVALID_OPCODE, INVALID_FIELD = (5, 0x20, 0), (5, 0x24, 0)
POWER_ON = (6, 0x29)
DATA_PAGES = (0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2)     # what Linux, Windows and ESXi ask every disk for


def test(f):
    TESTS.append(f)
    return f


def data(i, cdb, length, used=lambda d: None):
    """The data of a command that must be GOOD; used(data): how long it says that it is."""
    status, got, raw = i.command(cdb, read=length)
    assert status == GOOD, (cdb.hex(), status, raw[:14].hex())
    n = used(got)
    return got if n is None else got[:n]


def refused(i, cdb, how, length=0, out=b''):
    status, _, raw = i.command(cdb, read=length, data=out)
    assert status == CHECK and sense(raw) == how, (cdb.hex(), status, raw[:14].hex())


def inquiry(i, length=96, page=None):
    return data(i, struct.pack('>BBBHx', 0x12, page is not None, page or 0, length), length,
                (lambda d: 5 + d[4]) if page is None else (lambda d: 4 + struct.unpack_from('>H', d, 2)[0]))


def report_luns(i, length=4096, what=0):
    return data(i, struct.pack('>BxBxxxIxx', 0xa0, what, length), length, lambda d: 8 + struct.unpack_from('>I', d)[0])


@test
def report_luns_before_anything(b):
    """SAM-5 5.14: REPORT LUNS, INQUIRY and REQUEST SENSE work under a unit attention and leave it (but REQUEST SENSE), SPC-4 6.33."""
    i = b.target(luns={0: '{ram: 1MiB}', 3: '{ram: 1MiB}', 300: '{ram: 1MiB}'}).login(1)
    luns = report_luns(i)
    assert luns[8:] == bytes.fromhex('0000000000000000' '0003000000000000' '412c000000000000'), luns.hex()
    assert report_luns(i, 16) == luns[:16], 'what was clipped is not the start, or its list length is clipped too'
    assert len(inquiry(i)) >= 36
    status, _, raw = i.command(bytes(6))
    assert status == CHECK and sense(raw)[:2] == POWER_ON, (status, raw[:14].hex())
    assert i.command(bytes(6))[0] == GOOD, 'reported twice'
    got = data(i, bytes([0x03, 0, 0, 0, 18, 0]), 18)
    assert got[2] & 15 == 0, got.hex()
    refused(i, struct.pack('>BxBxxxIxx', 0xa0, 0x55, 256), INVALID_FIELD, 256)


@test
def inquiry_pages(b):
    """SPC-4 6.6, 7.8.19: page 00h lists in ascending order just what is there; every answer is clipped, none is padded."""
    i = b.target().ready(1)
    std = inquiry(i)
    assert std[:1] == b'\0' and std[8:16] == b'LUNWARD ' and all(32 <= c < 127 for c in std[8:36]), std
    assert data(i, bytes([0x12, 0, 0, 0, 36, 0]), 36) == std[:36]
    assert data(i, bytes([0x12, 0, 0, 0, 5, 0]), 5) == std[:5]
    pages = list(inquiry(i, 255, 0)[4:])
    assert pages == sorted(set(pages)) and set(DATA_PAGES) <= set(pages), pages
    for page in range(256):
        if page not in pages:
            refused(i, struct.pack('>BBBHx', 0x12, 1, page, 255), INVALID_FIELD, 255)
            continue
        whole = inquiry(i, 4096, page)
        assert whole[:2] == bytes([0, page]), whole[:4].hex()
        for length in (4, 8, 64, 252, 255):
            assert data(i, struct.pack('>BBBHx', 0x12, 1, page, length), length)[:len(whole)] == whole[:length], (page, length)
    refused(i, bytes([0x12, 0, 0x83, 0, 96, 0]), INVALID_FIELD, 96)      # a page code without EVPD
    naa = [d for d in designators(inquiry(i, 4096, 0x83)) if d[0] == 3 and d[1] == 0]
    assert len(naa) == 1 and len(naa[0][2]) in (8, 16), 'ESXi and multipath go by one NAA designator of the LUN: %s' % naa


def designators(page):
    """[(type, association, designator)] of page 83h."""
    at, out = 4, []
    while at < len(page):
        out.append((page[at + 1] & 15, page[at + 1] >> 4 & 3, page[at + 4:at + 4 + page[at + 3]]))
        at += 4 + page[at + 3]
    assert at == len(page), 'designators do not fill the page'
    return out


@test
def mode_pages(b):
    """SPC-4 6.13, 7.5: Linux asks for 4 bytes of all pages, then page 8; Windows and ESXi for pages of their own."""
    i = b.target().ready(1)
    sense6 = lambda page, length, sub=0, flags=0: data(i, bytes([0x1a, flags, page, sub, length, 0]), length, lambda d: d[0] + 1)
    sense10 = lambda page, length, sub=0, flags=0: data(i, struct.pack('>BBBBxxxHx', 0x5a, flags, page, sub, length), length,
                                                        lambda d: struct.unpack_from('>H', d)[0] + 2)
    pages = lambda flat: [flat[at] & 0x3f for at in offsets(flat)]
    every = sense10(0x3f, 1024, flags=8)[8:]
    listed = pages(every)
    assert listed == sorted(set(listed)) and {0x08, 0x0a} <= set(listed), listed
    assert sense6(0x3f, 255, flags=8)[4:] == every
    assert data(i, bytes([0x1a, 0, 0x3f, 0, 4, 0]), 4) == sense6(0x3f, 255)[:4]
    whole = sense10(0x3f, 1024, 0xff, 8)[8:]
    assert len(whole) >= len(every)
    for page in range(0x3f):
        if page in listed:
            one = sense6(page, 255, flags=8)[4:]
            assert one in every and pages(one) == [page], (page, one.hex())
            mask = sense6(page, 255, flags=8 | 0)[4:], sense6(page | 0x40, 255, flags=8)[4:], sense6(page | 0x80, 255, flags=8)[4:]
            assert all(len(m) == len(one) for m in mask), (page, mask)
        else:
            refused(i, bytes([0x1a, 8, page, 0, 255, 0]), INVALID_FIELD, 255)
    blocks = sense6(0x3f, 255)
    assert blocks[3] == 8 and struct.unpack_from('>I', blocks, 8)[0] == 512, 'block descriptor: %s' % blocks[:12].hex()


def offsets(flat):
    at, out = 0, []
    while at < len(flat):
        out.append(at)
        at += 4 + struct.unpack_from('>H', flat, at + 2)[0] if flat[at] & 0x40 else 2 + flat[at + 1]
    assert at == len(flat), 'mode pages do not fill the list'
    return out


def supported(i, option, opcode=0, action=0, length=1024):
    return struct.pack('>BBBBHIxx', 0xa3, 0x0c, option, opcode, action, length)


@test
def operation_codes(b):
    """SPC-4 6.35: the list, each command by itself (as Linux probes WRITE SAME, ESXi its offloads), and what is not listed."""
    i = b.target().ready(1)
    whole = data(i, supported(i, 0, length=8192), 8192, lambda d: 4 + struct.unpack_from('>I', d)[0])
    listed = {}
    for at in range(4, len(whole), 8):
        opcode, action, flags, size = struct.unpack_from('>BxHxBH', whole, at)
        listed.setdefault(opcode, {})[action if flags & 1 else None] = size
    for opcode in range(256):
        if opcode not in listed:
            assert data(i, supported(i, 1, opcode), 1024)[1] & 7 == 1, 'opcode %#x is not listed, but supported' % opcode
            if opcode not in (0x00, 0x7e, 0x7f):
                refused(i, bytes([opcode]), INVALID_OPCODE)
            continue
        for action, size in listed[opcode].items():
            one = data(i, supported(i, 1 if action is None else 2, opcode, action or 0), 1024)
            assert one[1] & 7 == 3 and struct.unpack_from('>H', one, 2)[0] == size and one[4] == opcode, (opcode, action, one[:8].hex())
            assert action is None or one[5] & 0x1f == action, (opcode, action, one[:8].hex())
        wrong = 2 if None in listed[opcode] else 1
        refused(i, supported(i, wrong, opcode), INVALID_FIELD, 1024)
        free = next((a for a in range(31, -1, -1) if a not in listed[opcode]), None)
        if wrong == 1 and free is not None:
            assert data(i, supported(i, 2, opcode, free), 1024)[1] & 7 == 1, (opcode, free)
    refused(i, supported(i, 7), INVALID_FIELD, 1024)


@test
def linux_disk(b):
    """sd's order: TEST UNIT READY, READ CAPACITY(16) and (10), MODE SENSE, VPD B0h to B2h, one read of the start, one of the end."""
    for block in (512, 4096):
        i = b.target('t%d' % block, {0: '{ram: 4MiB, block-size: %d}' % block}).ready(1)
        rc16, rc10 = data(i, struct.pack('>BBQIxx', 0x9e, 0x10, 0, 32), 32), data(i, bytes([0x25]) + bytes(9), 8)
        last, size = struct.unpack_from('>QI', rc16)
        assert (last, size) == struct.unpack('>II', rc10) == ((4 << 20) // block - 1, block), (rc16.hex(), rc10.hex())
        limits = inquiry(i, 64, 0xb0)
        most, best = struct.unpack_from('>II', limits, 8)
        assert best <= most and len(limits) == 64, limits.hex()
        thin = inquiry(i, 64, 0xb2)
        assert bool(rc16[14] & 0x80) == bool(thin[5] & 0xe0), 'LBPME %#x, LBPU and its like %#x' % (rc16[14], thin[5])
        for lba in (0, last):
            data(i, struct.pack('>BxIxHx', 0x28, lba, 1), block)
        refused(i, struct.pack('>BxIxHx', 0x28, last, 2), (5, 0x21, 0), 2 * block)


@test
def reservation_probes(b):
    """PERSISTENT RESERVE IN as multipath, Windows and fence_scsi ask it before they have ever registered, clipped or not."""
    i = b.target().ready(1)
    probe = lambda action, length: struct.pack('>BBxxxxxHx', 0x5e, action, length)
    for action, wanted in ((0, bytes(8)), (1, bytes(8)), (3, bytes(8))):
        assert data(i, probe(action, 8), 8) == wanted and data(i, probe(action, 8192), 8192)[:8] == wanted, action
    caps = data(i, probe(2, 8), 8)
    assert caps[:2] == b'\0\x08' and caps[3] & 0x80 and caps[4:6] == b'\xea\x01', 'all six types, TMV: %s' % caps.hex()
    for action in (4, 31):
        refused(i, probe(action, 8), INVALID_FIELD, 8)
    for action in (1, 2, 3, 4, 5):                                       # not registered
        assert behavior.pr_out(i, action, key=1, kind=5)[0] == CONFLICT, action


@test
def windows_cluster(b):
    """Cluster validation on each type it uses (1, 3, 5, 6, 7): register, reserve, look, write or conflict, release, clear."""
    t = b.target()
    one, two = t.ready(1), t.ready(2)
    write = lambda i: i.command(behavior.rw16(0x8a, 0, 1), data=bytes(512))[0]
    for kind in (1, 3, 5, 6, 7):
        for i, key in ((one, 0x11), (two, 0x22)):
            assert behavior.pr_out(i, 6, sakey=key)[0] == GOOD          # REGISTER AND IGNORE EXISTING KEY
        assert sorted(behavior.keys(one)) == [0x11, 0x22]
        assert behavior.pr_out(one, behavior.RESERVE, key=0x11, kind=kind)[0] == GOOD
        seen = data(two, struct.pack('>BBxxxxxHx', 0x5e, 1, 24), 24)
        assert struct.unpack_from('>I', seen, 4)[0] == 16 and seen[21] & 15 == kind, seen.hex()
        assert (write(one), write(two)) == (GOOD, CONFLICT if kind in (1, 3) else GOOD), kind
        assert behavior.pr_out(two, behavior.RESERVE, key=0x22, kind=kind)[0] == (GOOD if kind == 7 else CONFLICT), kind
        assert behavior.pr_out(one, 2, key=0x11, kind=kind)[0] == GOOD  # RELEASE
        assert behavior.pr_out(one, 3, key=0x11)[0] == GOOD             # CLEAR
        assert behavior.keys(one) == []
        for i in (one, two):
            i.ready()


@test
def fence_scsi(b):
    """Its whole life: register with APTPL, reserve type 5, a peer pre-empts and aborts; the fenced node reads, but does not write."""
    t = b.target()
    node, peer = t.ready(1), t.ready(2)
    for i, key in ((node, 0x1a0001), (peer, 0x1a0002)):
        assert behavior.pr_out(i, 6, sakey=key, aptpl=True)[0] == GOOD
    assert behavior.pr_out(node, behavior.RESERVE, key=0x1a0001, kind=5)[0] == GOOD
    assert behavior.pr_out(peer, behavior.PREEMPT_ABORT, key=0x1a0002, sakey=0x1a0001, kind=5)[0] == GOOD
    assert behavior.keys(peer) == [0x1a0002]
    node.ready()
    assert node.command(behavior.rw16(0x8a, 0, 1), data=bytes(512))[0] == CONFLICT
    assert node.command(behavior.rw16(0x88, 0, 1), read=512)[0] == GOOD
    assert peer.command(behavior.rw16(0x8a, 0, 1), data=bytes(512))[0] == GOOD
