# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may log in, how, and what they see: access lists, hidden LUNs, CHAP, redirection, discovery.

Each test has a target of its own (bench.py). Initiators are told apart by name: `friend`, `guest`, ….
"""
import glob
import hashlib
import os
import signal
import struct
import subprocess

import behavior
import primary
from behavior import CHECK, GOOD, sense
from bench import IQN, free_port
from initiator import (LOGOUT, LOGOUT_RSP, NO_TAG, NOP_IN, NOP_OUT, REJECT, SCSI_CMD, TMF, TMF_RSP, Closed, Initiator,
                       bhs, rw16)

TESTS = []
NAME = 'iqn.2026-11.org.example:'
INQUIRY = bytes([0x12, 0, 0, 0, 36, 0])


def test(f):
    TESTS.append(f)
    return f


def luns(i):
    """What REPORT LUNS lists."""
    status, data, raw = i.command(struct.pack('>BxxxxxIxx', 0xa0, 1024), read=1024)
    assert status == GOOD, raw
    n = struct.unpack_from('>I', data)[0] // 8
    return [struct.unpack_from('>H', data, 8 + 8 * k)[0] & 0x3fff for k in range(n)]


def is_hidden(i, lun):
    """INQUIRY says PQ 011b, everything else 05/25/00: as for a LUN that does not exist (SPC-4 6.4.2, SAM-5 5.14)."""
    status, data, raw = i.command(INQUIRY, lun=lun, read=36)
    assert status == GOOD and data[0] == 0x7f, (status, data[:1], raw)
    status, _, raw = i.command(rw16(0x88, 0, 1), lun=lun, read=512)
    assert status == CHECK and sense(raw) == (5, 0x25, 0), (status, raw)


def is_there(i, lun):
    status, data, _ = i.command(INQUIRY, lun=lun, read=36)
    assert status == GOOD and data[0] == 0, (status, data[:1])


def ended(i):
    """The target ends the connection."""
    try:
        while True:
            i.recv()
    except Closed:
        return True


def reload(t, *args, **kw):
    with open(t.log.name, encoding='utf-8', errors='replace') as f:
        n = f.read().count(': applied')
    t.write(*args, **kw)
    t.signal(signal.SIGHUP)
    t.wait_log(r'(?s)(: applied.*){%d}' % (n + 1))


def mine(who, *more):
    return '{ram: 1MiB, initiators: [%s]}' % ', '.join((NAME + who,) + more)


# ---- LUNs ----
@test
def hidden_luns(b):
    """Each initiator sees its own LUNs and no others; a LUN that is hidden does not exist for it."""
    t = b.target(luns={0: mine('friend'), 1: '{ram: 1MiB}', 5: mine('guest'), 300: mine('friend', '"*:gu?st"')})
    friend, guest = t.login(1, name=NAME + 'friend'), t.login(2, name=NAME + 'guest')
    assert luns(friend) == [0, 1, 300] and luns(guest) == [1, 5, 300], (luns(friend), luns(guest))
    is_hidden(friend, 5)
    is_hidden(guest, 0)  # REPORT LUNS went there all the same (SPC-4 6.33)
    for i, there in ((friend, (0, 1)), (guest, (1, 5))):
        for lun in there:
            is_there(i, lun)
    status, data, _ = friend.command(bytes([0x12, 1, 0x83, 0, 255, 0]), lun=5, read=255)
    assert status == CHECK, 'a hidden LUN said who it is: %r' % data


@test
def hidden_by_address(b):
    """A LUN's list may name addresses and prefixes."""
    t = b.target(luns={0: '{ram: 1MiB, initiators: [127.0.0.0/8]}', 1: '{ram: 1MiB, initiators: ["2001:db8::/32"]}'})
    i = t.login(1)
    assert luns(i) == [0], luns(i)
    is_hidden(i, 1)


@test
def resets_of_a_guest(b):
    """RFC 7143 11.6.1: who sees only some LUNs may not reset the target; a LUN that it does not see is none."""
    t = b.target(luns={0: '{ram: 1MiB}', 1: mine('friend')})
    friend, guest = t.ready(1, name=NAME + 'friend'), t.ready(2, name=NAME + 'guest')
    for fn, lun, wanted in ((6, 0, 6), (7, 0, 6), (5, 1, 2), (5, 0, 0)):
        itt = guest.tag()
        guest.send(bhs(TMF | 0x40, 0x80 | fn, itt=itt, lun=lun << 48,
                       tail=struct.pack('>I', NO_TAG) + guest.sn(immediate=True)))
        rsp = guest.recv()
        assert rsp.opcode == TMF_RSP and rsp.bhs[2] == wanted, (fn, lun, rsp.bhs[2])
    status, _, raw = friend.command(bytes(6))
    assert status == CHECK and sense(raw) == (6, 0x29, 3), (status, raw)  # of LUN 0 alone
    status, _, raw = friend.command(bytes(6), lun=1)
    assert status == CHECK and sense(raw) == (6, 0x29, 0), (status, raw)  # power on, from its login
    assert friend.command(bytes(6), lun=1)[0] == GOOD, 'LUN 1 was reset'


@test
def luns_come_and_go(b):
    """A changed list takes effect at once: 06/3F/0E for those whose LUNs are others now, nothing for the rest."""
    t = b.target(luns={0: '{ram: 1MiB}', 1: '{ram: 1MiB}', 2: mine('guest')})
    friend, guest = t.ready(1, name=NAME + 'friend'), t.ready(2, name=NAME + 'guest')
    assert luns(friend) == [0, 1] and luns(guest) == [0, 1, 2]
    assert guest.command(rw16(0x8a, 0, 1), lun=2, data=b'g' * 512)[0] == CHECK  # its power on
    assert guest.command(rw16(0x8a, 0, 1), lun=2, data=b'g' * 512)[0] == GOOD
    reload(t, {0: '{ram: 1MiB}', 1: mine('friend'), 2: mine('guest')})
    guest.ping()
    status, _, raw = guest.command(bytes(6))
    assert status == CHECK and sense(raw) == (6, 0x3f, 0x0e), (status, raw)
    assert luns(guest) == [0, 2], luns(guest)
    is_hidden(guest, 1)
    assert guest.command(rw16(0x88, 0, 1), lun=2, read=512)[1] == b'g' * 512, 'LUN 2 is another one now'
    assert friend.command(bytes(6))[0] == GOOD, 'nothing has changed for the friend'
    reload(t, {0: '{ram: 1MiB}', 1: '{ram: 1MiB}', 2: mine('guest')})
    status, _, raw = guest.command(bytes(6))
    assert status == CHECK and sense(raw) == (6, 0x3f, 0x0e), (status, raw)
    assert luns(guest) == [0, 1, 2], luns(guest)
    is_there(guest, 1)


@test
def lun_taken_away_in_flight(b):
    """A command that is under way on a LUN that is being hidden ends as if nothing had been; later ones find no LUN."""
    array, t = b.slow()
    i = t.ready(1)
    array.signal(signal.SIGSTOP)
    tag = behavior.post(i, rw16(0x8a, 0, 1), b'f' * 512)
    i.ping()
    reload(t, {0: '{iscsi: "%s", initiators: [%sother]}' % (array.url(), NAME), 1: '{ram: 1MiB}'})
    is_hidden(i, 0)
    array.signal(signal.SIGCONT)
    assert behavior.answer(i, tag)[0] == GOOD
    assert luns(i) == [1], luns(i)
    other = t.ready(2, name=NAME + 'other')
    assert other.command(rw16(0x88, 0, 1), read=512)[1] == b'f' * 512


@test
def shut_out(b):
    """Who is no longer on the target's list is dropped; others go on, and it does not get in again (0202)."""
    t = b.target(targets='      - iqn: %s.t\n        initiators: [%s*]\n        luns: {0: {ram: 1MiB}}\n' % (IQN, NAME))
    friend, guest = (Initiator(('127.0.0.1', t.port), name=NAME + n) for n in ('friend', 'guest'))
    for i in (friend, guest):
        i.login(IQN + '.t')
        i.ready()
    t.write({0: '{ram: 16MiB}'}, targets='      - iqn: %s.t\n        initiators: [%sfriend]\n'
            '        luns: {0: {ram: 1MiB}}\n' % (IQN, NAME))
    t.signal(signal.SIGHUP)
    assert ended(guest)
    assert friend.command(bytes(6))[0] == GOOD
    try:
        Initiator(('127.0.0.1', t.port), name=NAME + 'guest').login(IQN + '.t')
        raise AssertionError('let in again')
    except RuntimeError as e:
        assert '0x0202' in str(e), e


# ---- CHAP ----
ALGORITHMS = {5: 'md5', 6: 'sha1', 7: 'sha256', 8: 'sha3_256'}
HV, BOB, OURS = 'secret-of-the-hv', 'secret-of-bob-too', 'what-the-target-knows'


class Refused(Exception):
    """A login response with another status than 0."""


def secrets(b, **named):
    """Files in the bench's directory. Return: name -> path."""
    paths = {}
    for name, text in named.items():
        paths[name] = os.path.join(b.base, name + '.secret')
        with open(os.open(paths[name], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), 'w', encoding='utf-8') as f:
            f.write(text + '\n')
    return paths


def step(i, keys, **kw):
    """One login request. Return: the keys of the response."""
    rsp = i.login_raw(keys, **kw)
    status = struct.unpack_from('>H', rsp.bhs, 36)[0]
    if status:
        raise Refused('%#06x' % status)
    return dict(kv.split('=', 1) for kv in rsp.data.decode().split('\0') if kv)


def digest(alg, ident, secret, challenge):
    return hashlib.new(ALGORITHMS[alg], bytes([ident]) + secret.encode() + challenge).digest()


def chap(t, user, secret, algs='7,5', target=IQN, name='hv', challenge=None, port=None):
    """Log in by CHAP; with @challenge (bytes, or 'theirs': reflect it) ask for the target's proof. Return: (initiator,
    what the target answered to the proof, its algorithm)."""
    i = Initiator(('127.0.0.1', port or t.port), name=NAME + name)
    who = ['InitiatorName=' + NAME + name] + (['TargetName=' + target] if target else ['SessionType=Discovery'])
    assert step(i, who + ['AuthMethod=CHAP,None'], csg=0, nsg=1)['AuthMethod'] == 'CHAP'
    asked = step(i, ['CHAP_A=' + algs], csg=0, nsg=0, transit=False)
    alg, theirs = int(asked['CHAP_A']), bytes.fromhex(asked['CHAP_C'][2:])
    proof = ['CHAP_N=' + user, 'CHAP_R=0x' + digest(alg, int(asked['CHAP_I']), secret, theirs).hex()]
    if challenge is not None:
        proof += ['CHAP_I=77', 'CHAP_C=0x' + (theirs if challenge == 'theirs' else challenge).hex()]
    said = step(i, proof, csg=0, nsg=1)
    step(i, ['MaxRecvDataSegmentLength=65536'], csg=1, nsg=3)
    return i, said, alg


def refused(status, f, *args, **kw):
    try:
        f(*args, **kw)
    except Refused as e:
        assert str(e) == status, (args, kw, str(e))
        return
    raise AssertionError('let in: %r %r' % (args, kw))


def chap_target(b, group='', **kw):
    """A target that asks for CHAP: hv with a proof in return, bob without, and only from the machine bob."""
    s = secrets(b, hv=HV, bob=BOB, ours=OURS)
    text = ('        chap:\n          - {user: hv, secret-file: %s, mutual-user: store, mutual-secret-file: %s}\n'
            '          - {user: bob, secret-file: %s, initiators: [%sbob]}\n' % (s['hv'], s['ours'], s['bob'], NAME))
    t = b.target(more=text, group=group, **kw)
    return t, s


@test
def chap_algorithms(b):
    """RFC 7143 12.1.3: the first of the initiator's list that is allowed; all four work, in both directions."""
    t, _ = chap_target(b)
    for algs, want in (('5', 5), ('6', 6), ('7', 7), ('8', 8), ('9,8,5', 8), ('5,8', 5)):
        i, said, alg = chap(t, 'hv', HV, algs, challenge=b'sixteen-bytes-ok')
        assert alg == want and said['CHAP_N'] == 'store', (algs, alg, said)
        assert bytes.fromhex(said['CHAP_R'][2:]) == digest(alg, 77, OURS, b'sixteen-bytes-ok'), 'it proved nothing'
        i.ready()
    refused('0x0201', chap, t, 'hv', HV, '9')


@test
def chap_allowed_algorithms(b):
    """What `chap-algorithms` leaves out is not used, whatever the initiator's order."""
    t, _ = chap_target(b, group='    chap-algorithms: [sha256, sha3-256]\n')
    assert chap(t, 'hv', HV, '5,6,8,7')[2] == 8
    refused('0x0201', chap, t, 'hv', HV, '5,6')


@test
def chap_users(b):
    """Each user has its own secret; one that is bound to initiators is no other initiator's."""
    t, _ = chap_target(b)
    chap(t, 'hv', HV)[0].ready()
    chap(t, 'bob', BOB, name='bob')[0].ready()
    for user, secret, name in (('hv', BOB, 'hv'), ('bob', HV, 'bob'), ('bob', BOB, 'hv'), ('eve', HV, 'hv'), ('hv', '', 'hv')):
        refused('0x0201', chap, t, user, secret, name=name)


@test
def chap_reflected(b):
    """RFC 7143 9.2.1: our challenge sent back is no reason to answer it. Nor is a user that we prove nothing to."""
    t, _ = chap_target(b)
    refused('0x0201', chap, t, 'hv', HV, challenge='theirs')
    refused('0x0201', chap, t, 'bob', BOB, name='bob', challenge=b'sixteen-bytes-ok')
    refused('0x0201', chap, t, 'hv', 'wrong-secret', challenge=b'sixteen-bytes-ok')  # and not a byte of proof


@test
def chap_of_discovery(b):
    """`discovery-chap`: nobody is told anything before the proof; iscsi-ls with a user and a password finds the target."""
    s = secrets(b, look='secret-to-look-here')
    t, _ = chap_target(b, group='    discovery-chap: {user: look, secret-file: %s}\n' % s['look'])
    i, _, _ = chap(t, 'look', 'secret-to-look-here', target=None)
    assert IQN in str(i.text(['SendTargets=All'])), 'not found'
    refused('0x0201', chap, t, 'hv', HV, target=None)
    refused('0x0201', chap, t, 'look', 'secret-to-look-here')
    anonymous = Initiator(('127.0.0.1', t.port))
    refused('0x0201', step, anonymous, ['InitiatorName=' + NAME + 'x', 'SessionType=Discovery'], csg=1, nsg=3)
    for user, found in (('look%secret-to-look-here', True), ('look%another-secret-12', False)):
        p = subprocess.run(['iscsi-ls', 'iscsi://%s@127.0.0.1:%d' % (user, t.port)], timeout=30, check=False,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert (IQN in p.stdout) == found, p.stdout


@test
def chap_changes_live(b):
    """A new secret is in force for the next login; sessions that are there stay."""
    t, s = chap_target(b)
    i, _, _ = chap(t, 'hv', HV)
    i.ready()
    secrets(b, hv='the-secret-after-it')
    reload(t, t.luns, **t.parts)
    assert i.command(bytes(6))[0] == GOOD
    refused('0x0201', chap, t, 'hv', HV)
    chap(t, 'hv', 'the-secret-after-it')[0].ready()
    os.chmod(s['hv'], 0o604)
    t.signal(signal.SIGHUP)
    t.wait_log('is open to everybody')
    chap(t, 'hv', 'the-secret-after-it')[0].ready()


@test
def chap_one_secret_for_both(b):
    """RFC 7143 9.2.1: refused when the document is checked, by line; what was in force stays."""
    t, s = chap_target(b)
    secrets(b, ours=HV)
    t.signal(signal.SIGHUP)
    t.wait_log('have one secret, and prove themselves to each other')
    assert chap(t, 'hv', HV, challenge=b'sixteen-bytes-ok')[1]['CHAP_N'] == 'store', 'the old secrets are in force'
    p = subprocess.run([b.program, '--standalone', t.conf, '--check'], timeout=30, check=False,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 2 and ':7: chap: users "hv" (line 7) and "store" have one secret' in p.stdout, p.stdout
    os.chmod(s['hv'], 0o644)
    p = subprocess.run([b.program, '--standalone', t.conf, '--check'], timeout=30, check=False,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 2 and 'is open to everybody (mode 0644); allowed: chmod 0600' in p.stdout, p.stdout
    assert HV not in p.stdout


@test
def secrets_stay_secret(b):
    """No secret is in a log (as verbose as can be), on a command line, in the environment or in the state directory."""
    t, _ = chap_target(b, args=('--verbose',))
    chap(t, 'hv', HV, challenge=b'sixteen-bytes-ok')[0].ready()
    for user, secret in (('hv', 'not-the-secret-of'), (HV, HV), ('eve', BOB)):
        refused('0x0201', chap, t, user, secret)
    t.signal(signal.SIGHUP)
    t.wait_log(': applied')
    proc = '/proc/%d/' % t.proc.pid
    files = [t.log.name, proc + 'cmdline', proc + 'environ', t.conf] + [
        f for f in glob.glob(os.path.join(t.state(), '**'), recursive=True) if os.path.isfile(f)]
    with open(t.log.name, 'rb') as f:
        assert b'the CHAP user that it names is not one here' in f.read()
    for path in files:
        with open(path, 'rb') as f:
            text = f.read()
        for secret in (HV, BOB, OURS):
            assert secret.encode() not in text, '%s tells a secret' % path


@test
def names_make_no_log_lines(b):
    """Control characters in what an initiator calls itself do not get into the log."""
    t = b.target()
    try:
        Initiator(('127.0.0.1', t.port), name=NAME + 'x\nreactor 0: all is well\x1b[2J').login(IQN + '.none')
    except RuntimeError:
        pass
    t.wait_log(r'x\?reactor 0: all is well\?\[2J.*no target')


# ---- redirection, discovery, addresses ----
def try_login(port, keys, host='127.0.0.1'):
    """One login request. Return: (status, its keys)."""
    i = Initiator((host, port), name=NAME + 'r')
    rsp = i.login_raw(['InitiatorName=%sr' % NAME] + keys, csg=1, nsg=3)
    i.close()
    return struct.unpack_from('>H', rsp.bhs, 36)[0], dict(
        kv.split('=', 1) for kv in rsp.data.decode().split('\0') if kv)


def discover(port, host='127.0.0.1', what='All', **kw):
    """SendTargets: [(name, [addresses]), …]."""
    i = Initiator((host, port), name=kw.get('name', NAME + 'r'))
    step(i, ['InitiatorName=' + i.name, 'SessionType=Discovery', *kw.get('extra', ())], csg=1, nsg=3)
    out = []
    for kv in i.text(['SendTargets=' + what]):
        key, value = kv.split('=', 1)
        if key == 'TargetName':
            out.append((value, []))
        else:
            assert key == 'TargetAddress', kv
            out[-1][1].append(value)
    return out


@test
def redirection(b):
    """RFC 7143 11.13.5: 0101 and 0102 with TargetAddress; who is at that address already gets in; libiscsi follows."""
    s = secrets(b, hv=HV)
    for word, status in (('', 0x0101), (', permanent: true', 0x0102)):
        t = b.target('t%x' % status, portals=2)
        more = '        redirect: {to: "127.0.0.1:%d"%s}\n' % (t.ports[1], word)
        stays = t.ready(1)
        reload(t, t.luns, more=more)
        assert stays.command(bytes(6))[0] == GOOD, 'a session that is there stays'
        here, there = ('127.0.0.1:%d' % port for port in t.ports)
        assert try_login(t.port, ['TargetName=' + IQN]) == (status, {'TargetAddress': there})
        assert try_login(t.ports[1], ['TargetName=' + IQN])[0] == 0
        found = discover(t.port)
        addresses = [there + ',1'] if word else [here + ',1', there + ',1']
        assert found == [(IQN, addresses)], found
        if not word:  # libiscsi takes 0102 for an error
            p = subprocess.run(['iscsi-inq', t.url()], timeout=30, check=False, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert p.returncode == 0 and 'Vendor:LUNWARD' in p.stdout, p.stdout
        reload(t, t.luns, more=more + '        initiators: [%sfriend]\n' % NAME)
        assert try_login(t.port, ['TargetName=' + IQN]) == (0x0202, {}), 'a stranger was told where it is'
        reload(t, t.luns, more=more + '        chap: {user: hv, secret-file: %s}\n' % s['hv'])
        assert try_login(t.port, ['TargetName=' + IQN])[0] == status, 'a redirection needs no proof'
        assert try_login(t.ports[1], ['TargetName=' + IQN])[0] == 0x0201


@test
def discovery_tells_what_may_be_seen(b):
    """Appendix C: a target is told to those who may log in to it, with every portal; by name, too."""
    t = b.target(portals=2, targets='      - iqn: %s.f\n        initiators: [%sfriend]\n        luns: {0: {ram: 1MiB}}\n'
                 '      - iqn: %s.g\n        initiators: ["2001:db8::/32"]\n        luns: {0: {ram: 1MiB}}\n'
                 % (IQN, NAME, IQN))
    at = ['127.0.0.1:%d,1' % port for port in t.ports]
    assert discover(t.port) == [(IQN, at)]
    assert discover(t.port, name=NAME + 'friend') == [(IQN, at), (IQN + '.f', at)]
    assert discover(t.port, what=IQN + '.f') == []
    assert discover(t.port, what=IQN + '.F', name=NAME + 'friend') == [(IQN + '.f', at)]


@test
def discovery_in_small_pieces(b):
    """A hundred targets for an initiator that takes 512 bytes at a time."""
    t = b.target(targets=''.join('      - iqn: %s.%03d\n        luns: {}\n' % (IQN, n) for n in range(100)))
    at = ['127.0.0.1:%d,1' % t.port]
    want = [(IQN, at)] + [('%s.%03d' % (IQN, n), at) for n in range(100)]
    assert discover(t.port, extra=['MaxRecvDataSegmentLength=512']) == want


@test
def discovery_only(b):
    """RFC 7143 4.3: in a discovery session Text and Logout, all else is rejected; it is not pinged."""
    t = b.target(options='options: {nop-interval: 1s, nop-timeout: 1s}\n')
    i = Initiator(('127.0.0.1', t.port), name=NAME + 'r')
    step(i, ['InitiatorName=' + i.name, 'SessionType=Discovery'], csg=1, nsg=3)
    for opcode in (SCSI_CMD, TMF, NOP_OUT):
        i.send(bhs(opcode | 0x40, 0x81 if opcode == TMF else 0x80, itt=i.tag(), tail=struct.pack('>I', NO_TAG)
                   + i.sn(immediate=True)))
        pdu = i.recv()
        assert pdu.opcode == REJECT and pdu.bhs[2] in (0x04, 0x05), (opcode, pdu.opcode, pdu.bhs[2])
    polite = t.ready(2)
    for _ in range(3):  # another session's pings: what is due by then has been sent
        ping = polite.recv()
        assert ping.opcode == NOP_IN
        polite.send(bhs(NOP_OUT | 0x40, tail=ping.bhs[20:24] + polite.sn(immediate=True)))
    assert i.text(['SendTargets=All'])[0] == 'TargetName=' + IQN, 'something else came'
    i.send(bhs(LOGOUT | 0x40, 0x80, itt=i.tag(), tail=struct.pack('>I', 0) + i.sn(immediate=True)))
    assert i.recv().opcode == LOGOUT_RSP and ended(i)


@test
def ipv6(b):
    """Portals with IPv6 addresses; TargetAddress in brackets; access by prefix."""
    port, wild = free_port(), free_port()
    t = b.target(also=['[::1]:%d' % port, '[::]:%d' % wild, '0.0.0.0:%d' % wild],
                 targets='      - iqn: %s.four\n        initiators: [127.0.0.0/8]\n        luns: {0: {ram: 1MiB}}\n'
                 '      - iqn: %s.six\n        initiators: ["::1/128"]\n        luns: {0: {ram: 1MiB}}\n' % (IQN, IQN))
    known = ['127.0.0.1:%d,1' % t.port, '[::1]:%d,1' % port]
    found = dict(discover(port, '::1'))
    assert found == {IQN: known, IQN + '.six': known}, found
    assert dict(discover(wild, '::1'))[IQN] == known + ['[::1]:%d,1' % wild]
    assert try_login(port, ['TargetName=%s.four' % IQN], '::1')[0] == 0x0202
    assert try_login(t.port, ['TargetName=%s.six' % IQN])[0] == 0x0202
    i = Initiator(('::1', port), name=NAME + 'r')
    i.login(IQN + '.six')
    i.ready()


@test
def time2wait(b):
    """`fast-reconnect`: the larger of both (RFC 7143 13.15), or what we say, for those that are known to take it."""
    t = b.target()
    linux, windows = 'iqn.1993-08.org.debian:01:abc', 'iqn.1991-05.com.microsoft:hv1'
    for policy, wanted in ((None, {linux: '0', windows: '2'}), ('on', {linux: '0', windows: '0'}),
                           ('off', {linux: '2', windows: '2'}), ('auto', {linux: '0', windows: '2'})):
        if policy:
            reload(t, t.luns, more='        fast-reconnect: %s\n' % policy)
        for name, value in wanted.items():
            i = Initiator(('127.0.0.1', t.port), name=name)
            said = step(i, ['InitiatorName=' + name, 'TargetName=' + IQN, 'DefaultTime2Wait=2'], csg=1, nsg=3)
            assert said['DefaultTime2Wait'] == value, (policy, name, said)


@test
def login_in_pieces(b):
    """RFC 7143 6.1: keys over several login PDUs, cut anywhere; and a data segment as long as both sides can take."""
    t = b.target()
    i = Initiator(('127.0.0.1', t.port), name=NAME + 'r')
    keys = ['InitiatorName=' + i.name, 'TargetName=' + IQN] + ['X-%03d=%s' % (n, 'v' * 200) for n in range(60)] + [
        'MaxRecvDataSegmentLength=16777215', 'MaxBurstLength=16777215', 'FirstBurstLength=262144', 'ImmediateData=Yes']
    text = b''.join(k.encode() + b'\0' for k in keys)
    cut = [text[n:n + 777] for n in range(0, len(text), 777)]
    for piece in cut[:-1]:
        rsp = i.login_raw(piece, csg=1, nsg=0, transit=False, cont=True)
        assert rsp.bhs[36:38] == b'\0\0' and not rsp.data and rsp.bhs[1] & 0xc0 == 0, rsp.bhs
    said = step(i, cut[-1], csg=1, nsg=3)
    assert [k for k in said if k.startswith('X-')] == ['X-%03d' % n for n in range(60)]
    assert set(v for k, v in said.items() if k.startswith('X-')) == {'NotUnderstood'}
    i.ready()
    data = os.urandom(1 << 20)
    assert i.command(rw16(0x8a, 0, 2048), data=data)[0] == GOOD
    data = data[:1 << 19] + os.urandom(1 << 18) + data[3 << 18:]  # as much as we take at once, as immediate data
    assert behavior.answer(i, behavior.post(i, rw16(0x8a, 1024, 512), data[1 << 19:3 << 18]))[0] == GOOD
    itt = behavior.post(i, rw16(0x88, 0, 2048), read=1 << 20)
    pdu = i.recv()
    assert pdu.itt == itt and len(pdu.data) == 1 << 20 and pdu.data == data, len(pdu.data)


@test
def idle_discovery(b):
    """A discovery session that asks for nothing is ended when the login timeout has passed; others are not."""
    t = b.target(options='options: {login-timeout: 1s}\n')
    normal = t.ready(1)
    i = Initiator(('127.0.0.1', t.port), name=NAME + 'r', timeout=20)
    step(i, ['InitiatorName=' + i.name, 'SessionType=Discovery'], csg=1, nsg=3)
    assert ended(i)
    assert normal.command(bytes(6))[0] == GOOD


@test
def pings_unanswered(b):
    """Who never answers a NOP-In stays; who answered one is dropped for silence, also if it let one lie and went on."""
    t = b.target(options='options: {nop-interval: 1s, nop-timeout: 1s}\n')
    mute, sloppy = t.ready(1, timeout=20), t.ready(2, timeout=20)
    ping = sloppy.recv()
    assert ping.opcode == NOP_IN and ping.u32(20) != NO_TAG, ping.bhs
    sloppy.send(bhs(NOP_OUT | 0x40, tail=ping.bhs[20:24] + sloppy.sn(immediate=True)))
    assert sloppy.recv().opcode == NOP_IN
    assert sloppy.command(bytes(6))[0] == GOOD  # that one it does not answer, but it is there
    assert ended(sloppy)
    t.wait_log('no answer to NOP-In')
    assert mute.command(bytes(6))[0] == GOOD, 'an initiator that never answered was dropped'


# ---- ways around ----
@test
def copies_of_hidden_luns(b):
    """EXTENDED COPY finds no LUN that the initiator does not see, whatever it knows about it (SPC-4 6.4.6)."""
    t = b.target(luns={0: '{ram: 1MiB}', 1: mine('friend')},
                 targets='      - iqn: %s.t\n        luns: {0: %s}\n' % (IQN, mine('friend')))
    friend, guest = t.ready(1, name=NAME + 'friend'), t.ready(2, name=NAME + 'guest')
    far = Initiator(('127.0.0.1', t.port), name=NAME + 'friend')
    far.login(IQN + '.t')
    friend.command(bytes(6), lun=1)
    assert friend.command(rw16(0x8a, 0, 1), lun=1, data=b's' * 512)[0] == GOOD
    shared, hidden = (primary.cscd(primary.naa(friend, lun)) for lun in (0, 1))
    for secret in (hidden, primary.cscd(primary.naa(far))):
        for src, dst in ((1, 0), (0, 1)):
            status, raw = primary.xcopy(guest, [shared, secret], [primary.segment(src, dst, 1, 0, 7)])
            assert status == CHECK and sense(raw) == (0xa, 0x0d, 0x02), (status, raw)
    assert guest.command(rw16(0x88, 7, 1), read=512)[1] == bytes(512)
    assert primary.xcopy(friend, [shared, hidden], [primary.segment(1, 0, 1, 0, 7)])[0] == GOOD
    assert guest.command(rw16(0x88, 7, 1), read=512)[1] == b's' * 512


@test
def iscsi_ls_with_a_password(b):
    """libiscsi's discovery offers CHAP and None: it gets in where nobody asks, and lists the LUNs where somebody does."""
    t, _ = chap_target(b)
    for user, found in (('hv%' + HV, True), ('hv%wrong-secret-12', False), ('', False)):
        at = '%s127.0.0.1:%d' % (user + '@' if user else '', t.port)
        p = subprocess.run(['iscsi-ls', '-s', 'iscsi://' + at], timeout=30, check=False, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert IQN in p.stdout and ('DIRECT_ACCESS' in p.stdout) == found, (user, p.stdout)


@test
def apply_between_the_stages(b):
    """The access list changes while a login is under way: the new one counts (0202)."""
    t = b.target()
    i = Initiator(('127.0.0.1', t.port), name=NAME + 'slow')
    step(i, ['InitiatorName=' + i.name, 'TargetName=' + IQN, 'AuthMethod=None'], csg=0, nsg=1)
    reload(t, t.luns, more='        initiators: [%sfriend]\n' % NAME)
    refused('0x0202', step, i, [], csg=1, nsg=3)
