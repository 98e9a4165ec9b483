# SPDX-License-Identifier: GPL-2.0-or-later
"""That the other suites can fail: how a report of iscsi-test-cu is read, what skips.txt excuses, what goes forward,
how a capture is put in order."""
import random
import struct

import cu
import inorder
import variants
import wire

TESTS = []
SUMMARY = '''%s
Run Summary:    Type  Total    Ran Passed Failed Inactive
              suites      1      1    n/a      0        0
               tests      1      1      %d      %d        0
             asserts %6d %6d %6d %6d      n/a
'''
THIN = variants.Variant('ram', 512, 'thin', 2, 'plain', 'open')
FILE = variants.Variant('file', 512, 'thick', 1, 'crc', 'chap')


def test(f):
    TESTS.append(f)
    return f


def report(said='', wrong=0, asserts=7):
    return SUMMARY % (said, not wrong, bool(wrong), asserts, asserts, asserts - wrong, wrong)


@test
def outcomes(_b):
    """Passed is only what ran, asserted nothing wrong, ended by itself and did not skip."""
    for text, status, wanted in (
            (report('passed'), 0, cu.PASSED), (report('passed', asserts=0), 0, cu.PASSED),
            (report('    [SKIPPED] UNMAP is not implemented.'), 0, cu.SKIPPED), (report('passed', wrong=1), 0, cu.FAILED),
            (report('    [SKIPPED] half of it', wrong=1), 0, cu.FAILED), (report('passed'), 1, cu.FAILED),
            (report('passed'), -11, cu.FAILED), ('passed', 0, cu.FAILED), ('', 0, cu.FAILED),
            (report().replace('tests      1      1', 'tests      1      0'), 0, cu.FAILED)):
        assert cu.outcome(text, status) == wanted, (text, status, cu.outcome(text, status))


@test
def excuses(_b):
    """A line of skips.txt excuses just what it says: that test, there, in that way."""
    skipped, fails = cu.Known('Unmap.*', 'thick', None, 'why'), cu.Known('X.Y', 'always', r'test_x.c:5(,.died.*)?', 'why')
    at5, at6, died = ('    1. test_x.c:%d  - CU_ASSERT' % n for n in (5, 6, 5))
    died += '\ndied of signal 6\n'
    for got, text, skip, wanted in (
            (cu.PASSED, '', None, cu.PASSED), (cu.PASSED, '', skipped, cu.FAILED), (cu.PASSED, '', fails, cu.FAILED),
            (cu.SKIPPED, '[SKIPPED] x', skipped, cu.SKIPPED), (cu.SKIPPED, '[SKIPPED] x', None, cu.FAILED),
            (cu.SKIPPED, '[SKIPPED] x', fails, cu.FAILED), (cu.FAILED, at5, None, cu.FAILED), (cu.FAILED, at5, skipped, cu.FAILED),
            (cu.FAILED, at5, fails, cu.SKIPPED), (cu.FAILED, died, fails, cu.SKIPPED), (cu.FAILED, at6, fails, cu.FAILED),
            (cu.FAILED, at5 + '\n' + at6, fails, cu.FAILED)):
        assert cu.judge('X.Y', THIN, got, text, skip).outcome == wanted, (got, text, skip)


@test
def lines_of_skips(_b):
    """When a line holds: always, or where a variant has every value it names."""
    known = [cu.Known('A.*', 'thick', None, '1'), cu.Known('B.C', 'file+512', None, '2'), cu.Known('D.*', 'always', None, '3')]
    for name, variant, wanted in (('A.x', FILE, '1'), ('A.x', THIN, None), ('B.C', FILE, '2'), ('B.C', THIN, None),
                                  ('B.CC', FILE, None), ('D.E', THIN, '3'), ('AA.x', FILE, None)):
        found = cu.skip_of(known, name, variant)
        assert (found and found.reason) == wanted, (name, variant, found)
    assert all(k.reason and k.when for k in cu.known_skips())


@test
def serial_numbers(_b):
    """RFC 1982: forward over the wrap, not back, not too far."""
    for values, last, step, wanted in (
            ((1, 2, 3), None, 1, None), ((5,), 4, 1, None), ((4,), 4, 1, None), ((3,), 4, 1, 3), ((6,), 4, 1, 6), ((6,), 4, 0, None),
            ((0xffffffff, 0), 0xfffffffe, 1, None), ((0xffffffff,), 0, 0, 0xffffffff), ((1, 3), None, 1, 3)):
        assert wire.forward(values, last, step) == wanted, (values, last, step)


def segment(seq, data, flags=0x10):
    """A frame of one flow: Ethernet, IPv4, TCP."""
    return bytes(12) + b'\x08\0' + struct.pack('>BxH5xB2xII', 0x45, 40 + len(data), 6, 1, 2) + struct.pack(
        '>HHIIBBHHH', 3260, 40000, seq & 0xffffffff, 0, 0x50, flags, 0, 0, 0) + data


@test
def segments_in_order(_b):
    """Segments in any order, twice, and overlapping give the bytes that were sent; one that is missing is missed."""
    dice, start = random.Random(1), 0xfffff000                  # over the wrap
    sent = dice.randbytes(20000)
    cuts = sorted({0, len(sent), *(dice.randrange(len(sent)) for _ in range(50))})
    parts = [(a, b) for a, b in zip(cuts, cuts[1:])]
    for missing in (None, 25):
        frames = [segment(start + a, sent[a:b]) for n, (a, b) in enumerate(parts) if n != missing]
        frames += [segment(start + a, sent[a:a + 700]) for a in (cuts[3], cuts[12], cuts[40] - 5)]
        dice.shuffle(frames)
        flow, got = inorder.Flow(), []
        for frame in [segment(start - 1, b'', 2)] + frames:
            got += flow.take(inorder.Segment(frame))
        placed = [inorder.Segment(frame) for frame in got[1:]]
        due = start
        for s in placed:
            assert s.seq == due & 0xffffffff, (s.seq, due)
            due += s.size
        text = b''.join(s.frame[s.data:s.data + s.size] for s in placed)
        assert bool(flow.early) == (missing is not None) and sent.startswith(text)
        assert (text == sent) == (missing is None), len(text)
