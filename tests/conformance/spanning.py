# SPDX-License-Identifier: GPL-2.0-or-later
"""Access lists and sessions of several connections: each connection has to be allowed on its own (RFC 7143 11.13.5).

Each test has a target of its own (behavior.py); all of 127.0.0.0/8 is this machine.
"""
import struct

from access import luns, reload
from behavior import GOOD
from bench import IQN
from initiator import ASYNC, Initiator
from sessions import is_closed, status_of

TESTS = []
NAME = 'iqn.2026-11.org.example:spanning'
FORBIDDEN, NOT_INCLUDED = 0x0202, 0x0208
HERE, THERE = '127.0.0.1', '127.0.0.2'


def test(f):
    TESTS.append(f)
    return f


def lead(t, source=HERE, iqn=IQN):
    i = Initiator((HERE, t.port), name=NAME, source=source)
    i.login(iqn, ('MaxConnections=4',))
    i.ready()
    return i


def further(t, first, cid, source, iqn=IQN):
    """A further connection from another address, and the status that it gets."""
    i = Initiator((HERE, t.port), name=NAME, isid=first.isid, lead=first, cid=cid, source=source)
    text = b''.join(k.encode() + b'\0' for k in ('InitiatorName=' + NAME, 'TargetName=' + iqn))
    i.send(i.login_bhs(csg=1, nsg=3, dlen=len(text)), text)
    return i, status_of(i)


def only(source):
    return '{ram: 1MiB, initiators: [%s/32]}' % source


@test
def from_another_address(b):
    """Not on the target's list: 0202. Would see other LUNs: 0208, the session cannot span to it. The others go on."""
    t = b.target(luns={0: '{ram: 1MiB}', 1: only(HERE)}, targets='      - iqn: %s.t\n        initiators: [%s/32]\n'
                 '        luns: {0: {ram: 1MiB}}\n' % (IQN, HERE), args=('--reactors', '2'))
    i = lead(t)
    assert luns(i) == [0, 1]
    for cid in range(1, 5):                         # half of them arrive at the other reactor
        assert further(t, i, cid, THERE)[1] == NOT_INCLUDED
    assert further(t, i, 1, HERE)[1] == 0
    assert luns(i) == [0, 1]
    i = lead(t, iqn=IQN + '.t')
    assert further(t, i, 1, THERE, IQN + '.t')[1] == FORBIDDEN
    assert further(t, i, 1, HERE, IQN + '.t')[1] == 0
    narrow = lead(t, THERE)
    assert luns(narrow) == [0]
    assert further(t, narrow, 1, HERE)[1] == NOT_INCLUDED, 'a mask is none if it grows with an address'


@test
def the_lists_change(b):
    """A connection that would not get into its session any more is dropped from it, and another one is told which."""
    t = b.target(luns={0: '{ram: 1MiB}', 1: '{ram: 1MiB}'}, args=('--reactors', '2'))
    i = lead(t)
    here, status = further(t, i, 1, HERE)
    assert status == 0
    there, status = further(t, i, 2, THERE)
    assert status == 0
    reload(t, {0: '{ram: 1MiB}', 1: only(HERE)})
    assert is_closed(there)
    pdu = i.recv()
    assert pdu.opcode == ASYNC and pdu.u8(36) == 2 and struct.unpack_from('>H', pdu.bhs, 38)[0] == 2, pdu.bhs
    for c in (i, here):
        for _ in range(8):                          # REPORTED LUNS DATA HAS CHANGED, and whatever a new LUN says
            if c.command(bytes(6), lun=1)[0] == GOOD:
                break
        assert c.command(bytes(6), lun=1)[0] == GOOD
    assert further(t, i, 2, THERE)[1] == NOT_INCLUDED
