# SPDX-License-Identifier: GPL-2.0-or-later
"""What the same tests run against: every kind of disk, block size, number of reactors, digest and login."""
import itertools
import os
from collections import namedtuple

from bench import IQN, target_yaml
from digests import Relay

SIZE = '64MiB'
SECRET = 'hv%thirteen-bytes'

Variant = namedtuple('Variant', 'disk block provisioning reactors digest login')
DIMENSIONS = Variant(disk=('ram', 'file', 'iscsi'), block=(512, 4096), provisioning=('thin', 'thick'), reactors=(1, 2),
                     digest=('plain', 'crc'), login=('open', 'chap'))

# ./runtests: each value of each dimension. With 4096 bytes the same tests move eight times the data.
SOME = [Variant('ram', 512, 'thin', 2, 'plain', 'open'), Variant('file', 512, 'thick', 1, 'crc', 'chap'),
        Variant('iscsi', 4096, 'thin', 2, 'plain', 'open'), Variant('file', 4096, 'thin', 1, 'plain', 'chap')]
WATCHED = SOME[:2]                             # what goes over the wire is captured and checked


def name(v):
    return '%s-%d-%s-%dr-%s-%s' % v


def every():
    return [Variant(*v) for v in itertools.product(*DIMENSIONS)]


def chosen(word):
    """some, all, or the name of one."""
    if word in ('some', 'all'):
        return SOME if word == 'some' else every()
    found = [v for v in every() if name(v) == word]
    if not found:
        raise SystemExit('no variant %s; there are: some, all, %s' % (word, ', '.join(map(name, every()))))
    return found


class Stand:
    """A process of one variant with some equal iSCSI targets, so that as many tests can work side by side."""

    def __init__(self, bench, variant, width):
        self.variant, self.relays = variant, []
        text = name(variant)
        luns = getattr(self, '_' + variant.disk)(bench, text, 2 * width)
        more = ''
        if variant.login == 'chap':
            secret = os.path.join(bench.base, 'secret')
            with open(os.open(secret, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), 'w') as f:
                f.write(SECRET.split('%')[1] + '\n')
            more = '        chap: {user: %s, secret-file: %s}\n' % (SECRET.split('%')[0], secret)
        self.iqns = ['%s.%d' % (IQN, n) for n in range(width)]
        self.target = bench.target(text, targets=''.join(
            target_yaml(iqn, {0: luns[n], 1: '{ram: 1MiB, block-size: %d, read-only: true}' % variant.block,
                              2: luns[width + n]}, more) for n, iqn in enumerate(self.iqns)),
            args=('--reactors', str(variant.reactors)), portals=2)
        if variant.digest == 'crc':
            self.relays = [Relay(port) for port in self.target.ports]

    def _keys(self):
        return 'block-size: %d, provisioning: %s' % (self.variant.block, self.variant.provisioning)

    def _ram(self, _bench, _text, width):
        return ['{ram: %s, %s}' % (SIZE, self._keys())] * width

    def _file(self, bench, text, width):
        os.makedirs(os.path.join(bench.base, text), exist_ok=True)
        return ['{file: %s, size: %s, %s}' % (os.path.join(bench.base, text, 'disk%d' % n), SIZE, self._keys())
                for n in range(width)]

    def _iscsi(self, bench, text, width):
        array = bench.target(text + '.array', dict(enumerate(self._ram(bench, text, width))))
        return ['{iscsi: "%s", provisioning: %s}' % (array.url(n), self.variant.provisioning) for n in range(width)]

    def urls(self, n, lun=0):
        """Of a LUN of the nth iSCSI target, through each portal. LUN 1 is read-only, LUN 2 as 0, for who needs it as it was made."""
        ports = [r.port for r in self.relays] or self.target.ports
        return [self.target.url(lun, self.iqns[n], port, SECRET if self.variant.login == 'chap' else '') for port in ports]

    def close(self):
        """Return: what is wrong with the variant itself, or ''."""
        for r in self.relays:
            r.close()
        if self.relays and (not self.relays[0].logins or any(r.agreed != r.logins for r in self.relays)):
            return 'header digests in %d of %d sessions' % (sum(r.agreed for r in self.relays),
                                                            sum(r.logins for r in self.relays))
        return ''
