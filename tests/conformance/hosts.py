# SPDX-License-Identifier: GPL-2.0-or-later
"""What real initiators send at login and for their data, replayed: Linux, Windows, ESXi, iPXE, libiscsi.

Each has its keys in its order, its ISID format and its way of sending write data. What the target answers is judged by the
result functions of RFC 7143 13, not by what those initiators would put up with.
"""
import struct

import behavior
from behavior import CHECK, GOOD, IQN, sense
from initiator import (DATA_IN, DATA_OUT, LOGIN_RSP, LOGOUT, LOGOUT_RSP, NO_TAG, NOP_IN, NOP_OUT, R2T, SCSI_CMD, SCSI_RSP,
                       Initiator, bhs, rw16)

TESTS = []
COMMON = ('DataPDUInOrder=Yes', 'DataSequenceInOrder=Yes')
SECURITY, OPERATIONAL, FULL_FEATURE = 0, 1, 3

# name: (ISID, keys of the security stage, keys of the operational stage); {} is the target's name
HOSTS = {
    'linux': ('00023d000001', ('InitiatorName=iqn.1993-08.org.debian:01:c0ffee', 'InitiatorAlias=host', 'TargetName={}',
                               'SessionType=Normal', 'AuthMethod=None'),
              ('HeaderDigest=None', 'DataDigest=None', 'DefaultTime2Wait=2', 'DefaultTime2Retain=0', 'IFMarker=No', 'OFMarker=No',
               'ErrorRecoveryLevel=0', 'InitialR2T=No', 'ImmediateData=Yes', 'MaxBurstLength=16776192',
               'FirstBurstLength=262144', 'MaxOutstandingR2T=1', 'MaxConnections=1', *COMMON,
               'MaxRecvDataSegmentLength=262144')),
    'windows': ('400001370000', ('InitiatorName=iqn.1991-05.com.microsoft:hv1.example.org', 'SessionType=Normal', 'TargetName={}',
                                 'AuthMethod=None'),
                ('HeaderDigest=None,CRC32C', 'DataDigest=None,CRC32C', 'ErrorRecoveryLevel=2', 'InitialR2T=No',
                 'ImmediateData=Yes', 'MaxRecvDataSegmentLength=65536', 'MaxBurstLength=262144', 'FirstBurstLength=65536',
                 'MaxConnections=32', *COMMON, 'DefaultTime2Wait=0', 'DefaultTime2Retain=60', 'MaxOutstandingR2T=16')),
    'esxi': ('00023d000002', ('InitiatorName=iqn.1998-01.com.vmware:esx1-5f3c', 'InitiatorAlias=esx1', 'TargetName={}',
                              'SessionType=Normal', 'AuthMethod=CHAP,None'),
             ('HeaderDigest=None,CRC32C', 'DataDigest=None,CRC32C', 'DefaultTime2Wait=0', 'DefaultTime2Retain=0', 'IFMarker=No',
              'OFMarker=No', 'ErrorRecoveryLevel=0', 'InitialR2T=No', 'ImmediateData=Yes', 'MaxBurstLength=262144',
              'FirstBurstLength=262144', 'MaxOutstandingR2T=8', 'MaxConnections=1', *COMMON,
              'MaxRecvDataSegmentLength=131072')),
    'ipxe': ('80a1b2c30000', ('InitiatorName=iqn.2010-04.org.ipxe:52-54-00-12-34-56', 'TargetName={}', 'SessionType=Normal',
                              'AuthMethod=None'),
             ('HeaderDigest=None', 'DataDigest=None', 'MaxConnections=1', 'InitialR2T=Yes', 'ImmediateData=No',
              'MaxRecvDataSegmentLength=8192', 'MaxBurstLength=262144', 'FirstBurstLength=65536', 'DefaultTime2Wait=0',
              'DefaultTime2Retain=0', 'MaxOutstandingR2T=1', *COMMON, 'ErrorRecoveryLevel=0')),
    'libiscsi': ('8012345678ab', ('InitiatorName=iqn.2007-10.com.github:sahlberg:libiscsi:host', 'InitiatorAlias=host',
                                  'TargetName={}', 'SessionType=Normal', 'AuthMethod=None'),
                 ('HeaderDigest=None,CRC32C', 'DataDigest=None', 'InitialR2T=No', 'ImmediateData=Yes', 'MaxBurstLength=262144',
                  'FirstBurstLength=262144', 'MaxRecvDataSegmentLength=262144', *COMMON, 'DefaultTime2Wait=2',
                  'DefaultTime2Retain=0', 'IFMarker=No', 'OFMarker=No', 'MaxConnections=1', 'MaxOutstandingR2T=1',
                  'ErrorRecoveryLevel=0')),
}
# Which answers a value may get (RFC 7143 13): offer, answer -> allowed
AT_MOST = lambda offer, answer: int(answer) <= int(offer)
RESULT = {
    **dict.fromkeys(('MaxConnections', 'MaxBurstLength', 'FirstBurstLength', 'MaxOutstandingR2T', 'ErrorRecoveryLevel',
                     'DefaultTime2Retain'), AT_MOST),
    'DefaultTime2Wait': lambda offer, answer: int(answer) >= int(offer) or int(answer) == 0,  # 0: for those known to take it
    'InitialR2T': lambda offer, answer: answer == 'Yes' or offer == 'No',
    'ImmediateData': lambda offer, answer: answer == 'No' or offer == 'Yes',
    'DataPDUInOrder': lambda offer, answer: answer == 'Yes' or offer == 'No',
    'DataSequenceInOrder': lambda offer, answer: answer == 'Yes' or offer == 'No',
    'IFMarker': lambda offer, answer: answer in ('No', 'Reject'), 'OFMarker': lambda offer, answer: answer in ('No', 'Reject'),
    **dict.fromkeys(('HeaderDigest', 'DataDigest', 'AuthMethod'), lambda offer, answer: answer in offer.split(',')),
}
DECLARED = ('InitiatorName', 'InitiatorAlias', 'TargetName', 'SessionType', 'MaxRecvDataSegmentLength')
DEFAULTS = {'InitialR2T': 'Yes', 'ImmediateData': 'Yes', 'MaxBurstLength': '262144', 'FirstBurstLength': '65536',
            'MaxRecvDataSegmentLength': '8192'}


def test(f):
    TESTS.append(f)
    return f


def pairs(text):
    out = [tuple(x.decode().split('=', 1)) for x in text.split(b'\0') if x]
    assert len(dict(out)) == len(out), 'a key twice: %s' % (out,)
    return dict(out)


def stage(i, keys, csg, nsg):
    """One stage in one request; empty ones follow while the target has more to say. Return: what it said"""
    text, answers = [k.format(IQN) for k in keys], {}
    while True:
        rsp = i.login_raw(text, csg=csg, nsg=nsg)
        assert rsp.opcode == LOGIN_RSP and rsp.bhs[36:38] == b'\0\0', (rsp.opcode, rsp.bhs[36:38])
        answers.update(pairs(rsp.data))
        if rsp.bhs[1] & 0x80:
            assert rsp.bhs[1] & 0x0f == csg << 2 | nsg, rsp.bhs[:2]
            return answers
        text = []


def judge(keys, answers):
    """Each offer is answered, with a value that it may get; nothing else is said but declarations."""
    offers = dict(k.split('=', 1) for k in keys)
    for key, offer in offers.items():
        if key in DECLARED:
            continue
        if key in RESULT:
            assert key in answers, '%s was not answered' % key
            assert RESULT[key](offer, answers[key]), '%s: %s was answered with %s' % (key, offer, answers[key])
        else:
            assert answers.get(key) == 'NotUnderstood', (key, answers.get(key))
    more = set(answers) - set(offers) - {'TargetPortalGroupTag', 'TargetAlias', 'MaxRecvDataSegmentLength'}
    assert not more, 'answers to what was not offered: %s' % more


def login(t, name):
    """As that host does, in two stages. Return: the initiator, with what was agreed in .agreed"""
    isid, security, operational = HOSTS[name]
    i = Initiator(('127.0.0.1', t.port), name=security[0].split('=')[1] if security[0].startswith('InitiatorName')
                  else name, isid=bytes.fromhex(isid))
    first = stage(i, security, SECURITY, OPERATIONAL)
    assert 'TargetPortalGroupTag' in first, '13.9: in the first answer to TargetName'
    judge(security, first)
    second = stage(i, operational, OPERATIONAL, FULL_FEATURE)
    judge(operational, second)
    i.agreed = {**DEFAULTS, **second}
    i.itt = 0
    return i


def write(i, lba, data):
    """A WRITE as this host sends it: immediate data, then unsolicited, then what R2Ts ask for. Return: status"""
    a, itt = i.agreed, i.tag()
    segment, burst = int(a['MaxRecvDataSegmentLength']), min(int(a['FirstBurstLength']), len(data))
    at = min(burst, segment) if a['ImmediateData'] == 'Yes' else 0
    unsolicited = a['InitialR2T'] == 'No' and at < burst
    i.send(bhs(SCSI_CMD, (0 if unsolicited else 0x80) | 0x21, itt=itt, dlen=at, tail=struct.pack('>I', len(data)) + i.sn()
               + rw16(0x8a, lba, len(data) // 512)), data[:at])
    if unsolicited:
        send_data(i, itt, NO_TAG, data, at, burst - at, segment)
    while True:
        pdu = i.recv()
        assert pdu.itt == itt, pdu.bhs
        if pdu.opcode == SCSI_RSP:
            return pdu.bhs[3]
        assert pdu.opcode == R2T and pdu.u32(44) <= int(a['MaxBurstLength']), pdu.bhs
        send_data(i, itt, pdu.u32(20), data, pdu.u32(40), pdu.u32(44), segment)


def send_data(i, itt, ttt, data, at, want, segment):
    sn, end = 0, at + want
    while at < end:
        n = min(segment, end - at)
        i.send(bhs(DATA_OUT, 0x80 if at + n == end else 0, dlen=n, itt=itt,
                   tail=struct.pack('>IIIIIII', ttt, 0, i.expstatsn, 0, sn, at, 0)), data[at:at + n])
        at, sn = at + n, sn + 1


def read(i, lba, length, segment):
    """A READ; no Data-In is longer than what the host declared, and they come in order. Return: the data"""
    itt, got, sn = i.tag(), b'', 0
    i.send(bhs(SCSI_CMD, 0xc1, itt=itt, tail=struct.pack('>I', length) + i.sn() + rw16(0x88, lba, length // 512)))
    while True:
        pdu = i.recv()
        assert pdu.itt == itt, pdu.bhs
        if pdu.opcode == SCSI_RSP:
            assert pdu.bhs[3] == GOOD
            return got
        assert pdu.opcode == DATA_IN and len(pdu.data) <= segment, (pdu.opcode, len(pdu.data))
        assert pdu.u32(36) == sn and pdu.u32(40) == len(got), 'DataSN %d, offset %d' % (pdu.u32(36), pdu.u32(40))
        got, sn = got + pdu.data, sn + 1
        if pdu.bhs[1] & 1:
            return got


def session(b, name):
    t = b.target()
    i = login(t, name)
    i.ready()
    declared = dict(k.split('=') for k in HOSTS[name][2])
    for n, length in enumerate((512, 8192, 65536, 262144, 1 << 20)):
        data = bytes([n + 1, 0xa5]) * (length // 2)
        assert write(i, 8 * n, data) == GOOD, length
        assert read(i, 8 * n, length, int(declared['MaxRecvDataSegmentLength'])) == data, length
    return t, i


def goodbye(i):
    itt = i.tag()
    i.send(bhs(LOGOUT | 0x40, 0x80, itt=itt, tail=bytes(4) + i.sn(immediate=True)))
    rsp = i.recv()
    assert rsp.opcode == LOGOUT_RSP and rsp.itt == itt and rsp.bhs[2] == 0, rsp.bhs


@test
def linux(b):
    """open-iscsi: unsolicited data, an empty ping, and the same session again with its ISID after its connection broke."""
    t, i = session(b, 'linux')
    assert int(i.agreed['DefaultTime2Wait']) in (0, 2), i.agreed
    i.ping(b'')
    i.close()
    i = login(t, 'linux')
    i.ready()
    goodbye(i)


@test
def windows(b):
    """Digests offered, not first; several connections and levels offered; a reinstated session keeps its reservation."""
    t, i = session(b, 'windows')
    assert i.agreed['HeaderDigest'] == 'None' and i.agreed['DataDigest'] == 'None', 'the first of a list that suits (6.2.1)'
    assert behavior.pr_out(i, behavior.REGISTER, sakey=0x77)[0] == GOOD
    assert behavior.pr_out(i, behavior.RESERVE, key=0x77, kind=5)[0] == GOOD
    again = login(t, 'windows')
    again.ready()
    assert write(again, 0, bytes(512)) == GOOD
    assert behavior.keys(again) == [0x77]
    goodbye(again)


@test
def esxi(b):
    """CHAP offered first, None taken where none is asked for; RESERVE(6) and RELEASE(6) round a write."""
    _, i = session(b, 'esxi')
    for cdb in (bytes([0x16, 0, 0, 0, 0, 0]), bytes([0x17, 0, 0, 0, 0, 0])):
        assert i.command(cdb)[0] == GOOD, cdb
    goodbye(i)


@test
def ipxe(b):
    """Nothing unsolicited, 8 KiB at a time; it never answers a NOP-In, and goes without a Logout."""
    t, i = session(b, 'ipxe')
    assert i.agreed['InitialR2T'] == 'Yes' and i.agreed['ImmediateData'] == 'No', i.agreed
    assert i.agreed['DefaultTime2Wait'] == '0', i.agreed
    i.close()
    login(t, 'ipxe').ready()


@test
def libiscsi(b):
    """QEMU's: header digest offered second."""
    _, i = session(b, 'libiscsi')
    goodbye(i)


@test
def odd_logins(b):
    """Orders that RFC 7143 6.3 allows: straight to full feature, empty requests, keys in pieces, vendors' keys, all defaults."""
    t = b.target()
    names = ('InitiatorName=iqn.2026-11.org.example:odd', 'TargetName={}', 'SessionType=Normal')
    fresh = lambda n: Initiator(('127.0.0.1', t.port), name='iqn.2026-11.org.example:odd', isid=bytes([0x80, 0, 0, 0, 0, n]))
    straight = fresh(1)                        # 6.3: security stage, then full feature
    stage(straight, (*names, 'AuthMethod=None'), SECURITY, FULL_FEATURE)
    straight.ready()
    silent = fresh(2)                          # no security stage, no keys
    stage(silent, names, OPERATIONAL, FULL_FEATURE)
    silent.ready()
    hesitant = fresh(3)                        # T=0 first, then nothing to say
    rsp = hesitant.login_raw([k.format(IQN) for k in names], csg=1, nsg=0, transit=False)
    assert rsp.bhs[36:38] == b'\0\0' and not rsp.bhs[1] & 0x80, rsp.bhs
    stage(hesitant, (), OPERATIONAL, FULL_FEATURE)
    hesitant.ready()
    vendor = fresh(4)
    keys = (*names, 'X-com.example.fast=1', 'X#odd=2', 'MaxBurstLength=16777215', 'InitialR2T=No')
    answers = stage(vendor, keys, OPERATIONAL, FULL_FEATURE)
    judge(keys, answers)
    pieces = fresh(5)
    text = b''.join(k.format(IQN).encode() + b'\0' for k in (*names, 'MaxBurstLength=65536'))
    for n in range(0, len(text), 10):
        last = n + 10 >= len(text)
        rsp = pieces.login_raw(text[n:n + 10], csg=1, nsg=3, transit=last, cont=not last)
        assert rsp.bhs[36:38] == b'\0\0', rsp.bhs
    assert pairs(rsp.data)['MaxBurstLength'] == '65536' and rsp.bhs[1] & 0x80, rsp.data
    pieces.ready()


@test
def discovery(b):
    """SendTargets as Linux, Windows and iPXE's users ask: All, a name, nothing known; then Logout. No SCSI there."""
    t = b.target()
    i = Initiator(('127.0.0.1', t.port))
    keys = ('InitiatorName=iqn.1993-08.org.debian:01:d', 'InitiatorAlias=host', 'SessionType=Discovery', 'AuthMethod=None')
    judge(keys, stage(i, keys, SECURITY, OPERATIONAL))
    keys = ('HeaderDigest=None', 'DataDigest=None', 'DefaultTime2Wait=2', 'DefaultTime2Retain=0', 'IFMarker=No', 'OFMarker=No',
            'ErrorRecoveryLevel=0', 'MaxRecvDataSegmentLength=32768')
    stage(i, keys, OPERATIONAL, FULL_FEATURE)
    said = i.text(['SendTargets=All'])
    assert said[0] == 'TargetName=' + IQN and said[1].startswith('TargetAddress=127.0.0.1:%d,' % t.port), said
    assert i.text(['SendTargets=' + IQN]) == said
    assert not i.text(['SendTargets=iqn.2026-11.org.example:none'])
    i.send(bhs(SCSI_CMD, 0x81, itt=i.tag(), tail=bytes(4) + i.sn()))
    assert i.recv().opcode == 0x3f, '6.3: only Text and Logout in a discovery session'


@test
def nops(b):
    """RFC 7143 11.18: pings with and without data come back whole and in order; one without a tag gets no answer."""
    t = b.target()
    i = t.ready(1)
    for n in (0, 1, 4, 1024, 8192):
        i.ping(bytes(range(256)) * 32 if n == 8192 else b'p' * n)
    i.send(bhs(NOP_OUT | 0x40, itt=NO_TAG, tail=struct.pack('>I', NO_TAG) + i.sn(immediate=True)))
    assert i.ping() == [], 'a NOP-Out without a tag was answered'
    tags = [i.tag() for _ in range(32)]        # not immediate: each uses a CmdSN
    for itt in tags:
        i.send(bhs(NOP_OUT, itt=itt, tail=struct.pack('>I', NO_TAG) + i.sn()))
    came = [i.recv() for _ in tags]
    assert [p.itt for p in came] == tags and all(p.opcode == NOP_IN and p.u32(20) == NO_TAG for p in came)
    assert came[-1].u32(28) == i.cmdsn, 'ExpCmdSN %d' % came[-1].u32(28)
    status, _, raw = i.command(bytes([0x02]))
    assert status == CHECK and sense(raw) == (5, 0x20, 0), (status, raw)
