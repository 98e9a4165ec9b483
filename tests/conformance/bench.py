# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets to test: standalone processes on loopback, each in a directory of its own, all ended by Bench.close()."""
import itertools
import os
import re
import select
import signal
import socket
import subprocess

from initiator import Initiator

IQN = 'iqn.2026-11.org.example:conformance'


# Below the range of the ports that connections get, and known beforehand: wire.py captures these.
PORTS = range(20000 + os.getpid() % 24 * 500, 20500 + os.getpid() % 24 * 500)
_turn = itertools.cycle(PORTS)


def free_port():
    """One of PORTS that nobody listens on, another one each time."""
    for port in itertools.islice(_turn, len(PORTS)):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', port))
                return port
            except OSError:
                pass
    raise AssertionError('no free port')


def target_yaml(iqn, luns, more=''):
    """An entry of `targets:`; more: further keys, each line indented by 8."""
    return '      - iqn: %s\n%s        luns:\n' % (iqn, more) + ''.join(
        '          %d: %s\n' % (n, text) for n, text in luns.items())


class Target:
    """A standalone target, ready when made."""

    def __init__(self, bench, name, luns, options='', targets='', group='', more='', args=(), portals=1,
                 also=(), **kw):
        self.bench, self.name, self.ports = bench, name, [free_port() for _ in range(portals)]
        self.port, self.luns, self.also = self.ports[0], luns, also
        self.parts = {'options': options, 'targets': targets, 'group': group, 'more': more}
        self.dir = os.path.join(bench.base, name)
        os.makedirs(self.dir, exist_ok=True)
        self.conf = os.path.join(self.dir, 'target.yaml')
        self.args, self.kw = args, kw
        self.write(luns, **self.parts)
        self.start()
        bench.targets.append(self)

    def write(self, luns, options='', targets='', group='', more=''):
        """The document; group, more: further keys of the group and of its first target, whole lines."""
        portals = ', '.join(['"127.0.0.1:%d"' % port for port in self.ports] + ['"%s"' % text for text in self.also])
        with open(self.conf, 'w') as f:
            f.write('%sgroups:\n  - name: g\n    portals: [%s]\n%s    targets:\n%s%s'
                    % (options, portals, group, target_yaml(IQN, luns, more), targets))

    def start(self):
        ready, theirs = os.pipe()
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.proc = subprocess.Popen(
            [self.bench.program, '--standalone', self.conf, '--state-dir', self.state(), '--ready-fd', str(theirs),
             *self.args], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=[theirs], **self.kw)
        os.close(theirs)
        said = os.read(ready, 16) if select.select([ready], [], [], 30)[0] else b''
        os.close(ready)
        assert said == b'READY\n', 'not ready: ' + self.tail()

    def state(self):
        return os.path.join(self.dir, 'state')

    def tail(self):
        with open(os.path.join(self.dir, 'log'), errors='replace') as f:
            return f.read()[-1500:]

    def wait_log(self, pattern, timeout=20):
        """Until the log has it: what the target says about itself is part of what it promises."""
        with open(os.path.join(self.dir, 'log'), errors='replace') as f:
            text = ''
            end = Clock(timeout)
            while not re.search(pattern, text):
                text += f.read()
                assert self.proc.poll() is None and end.left(), 'the log lacks %r: %s' % (pattern, text[-1500:])
                select.select([], [], [], 0.02)

    def login(self, isid=1, name='iqn.2026-11.org.example:i', extra=(), **kw):
        i = Initiator(('127.0.0.1', self.port), name=name, isid=b'\x80\0\0\0\0' + bytes([isid]), **kw)
        i.login(IQN, extra)
        return i

    def ready(self, isid=1, **kw):
        i = self.login(isid, **kw)
        i.ready()
        return i

    def signal(self, sig):
        self.proc.send_signal(sig)
        if sig == signal.SIGSTOP:
            os.waitpid(self.proc.pid, os.WUNTRACED)  # its threads run on until the kernel has got to each

    def url(self, lun=0, iqn=IQN, port=None, user=''):
        return 'iscsi://%s127.0.0.1:%d/%s/%d' % (user + '@' if user else '', port or self.port, iqn, lun)

    def stop(self):
        if self.proc.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        try:
            return self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            return 'did not end within 30 s of SIGTERM'


class Clock:
    def __init__(self, seconds):
        self.end = os.times().elapsed + seconds

    def left(self):
        return max(0, self.end - os.times().elapsed)


class Bench:
    def __init__(self, program, base):
        self.program, self.base, self.targets = program, base, []

    def target(self, name='t', luns=None, **kw):
        return Target(self, name, luns or {0: '{ram: 16MiB}'}, **kw)

    def slow(self, **kw):
        """A target whose disk is another one's LUN: (array, target)."""
        array = self.target('array', {0: '{ram: 16MiB}'})
        return array, self.target('front', {0: '{iscsi: "%s"}' % array.url()}, args=('--reactors', '1'), **kw)

    def close(self):
        """End all targets, the last made first. Return: (name, exit status, last words) of each."""
        ended = [(t.name, t.stop(), t.tail()) for t in reversed(self.targets)]
        self.targets = []
        return ended
