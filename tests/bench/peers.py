# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets to compare: each serves one LUN on a port of 127.0.0.1, pinned to its cores, and ends with the run.

A further one needs no code: --peer NAME=COMMAND starts COMMAND with BENCH_PORT, BENCH_DISK (ram, tmpfs, direct),
BENCH_FILE (where that is a file, of BENCH_SIZE bytes) and BENCH_IQN in its environment. It serves that file as the LUN
BENCH_LUN says (0), in the foreground, until SIGTERM; it is ready when the port can be connected to."""
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time

IQN = 'iqn.2026-11.org.example:bench'
SIZE = 256 << 20


class Peer:
    """name: as in the results; lun: its number; missing(): why it cannot take part, or None."""
    name, lun, bare = '', 0, False

    def __init__(self, run, disk):
        self.run, self.disk, self.port, self.proc = run, disk, free_port(), None
        self.dir = os.path.join(run.dir, self.name.replace('/', '_') + '-' + disk)
        os.makedirs(self.dir)

    @classmethod
    def missing(cls):
        return None

    def file(self):
        """What the LUN lives in; written once, so that no file system has holes to look up."""
        at = os.path.join('/dev/shm' if self.disk in ('ram', 'tmpfs') else self.run.files,
                          'lunward-bench-%d-%s' % (os.getpid(), self.name.replace('/', '_')))
        with open(at, 'wb') as f:
            for _ in range(SIZE >> 20):
                f.write(b'\0' * (1 << 20))
        self.run.remove.append(at)
        return at

    def spawn(self, argv, env=None):
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.dir,
                                     env=env, preexec_fn=lambda: os.sched_setaffinity(0, self.run.target_cpus))
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.proc.poll() is not None:
                break
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        with open(os.path.join(self.dir, 'log'), errors='replace') as f:
            raise RuntimeError('%s does not serve: %s' % (self.name, f.read()[-500:]))

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()


class Lunward(Peer):
    name = 'lunward'
    program = None

    def start(self):
        lun = '{ram: %d}' % SIZE if self.disk == 'ram' else '{file: %s}' % self.file()
        conf = os.path.join(self.dir, 'target.yaml')
        with open(conf, 'w') as f:
            f.write('groups:\n  - name: bench\n    portals: ["127.0.0.1:%d"]\n    targets:\n      - iqn: %s\n'
                    '        luns:\n          0: %s\n' % (self.port, IQN, lun))
        program = self.program or os.path.join(self.run.build, 'node', 'lunward-target')
        self.spawn([program, '--standalone', conf, '--state-dir', os.path.join(self.dir, 'state'),
                    '--reactors', str(len(self.run.target_cpus))])


class Limit(Peer):
    name, bare = 'limit', True

    def start(self):
        self.spawn([os.path.join(self.run.build, 'tests', 'bench', 'limit'), str(self.port)])


class Tgt(Peer):
    name, lun = 'tgt', 1

    @classmethod
    def missing(cls):
        return None if shutil.which('tgtd') and shutil.which('tgtadm') else 'tgt is not installed'

    def control(self):
        return str(self.port % 32768)

    def adm(self, *args):
        subprocess.run(['tgtadm', '-C', self.control(), '--lld', 'iscsi', *args], check=True, capture_output=True)

    def start(self):
        at = self.file()
        self.spawn(['tgtd', '-f', '-C', self.control(), '--iscsi', 'portal=127.0.0.1:%d' % self.port])
        self.adm('--op', 'new', '--mode', 'target', '--tid', '1', '-T', IQN)
        self.adm('--op', 'new', '--mode', 'logicalunit', '--tid', '1', '--lun', '1', '-b', at,
                 *(['--bsoflags', 'direct'] if self.disk == 'direct' else []))
        self.adm('--op', 'bind', '--mode', 'target', '--tid', '1', '-I', 'ALL')


ISTGT = '''[Global]
  Comment "bench"
  NodeBase "iqn.2026-11.org.example"
  PidFile {dir}/pid
  AuthFile {dir}/auth
  MediaDirectory {dir}
  LogFacility "local7"
  Timeout 30
  NopInInterval 20
  MaxSessions 600
  MaxConnections 8
  MaxR2T 32
  FirstBurstLength 262144
  MaxBurstLength 1048576
  MaxRecvDataSegmentLength 262144
[UnitControl]
  Portal UC1 127.0.0.1:{control}
[PortalGroup1]
  Portal DA1 127.0.0.1:{port}
[InitiatorGroup1]
  InitiatorName "ALL"
  Netmask 127.0.0.0/8
[LogicalUnit1]
  TargetName bench
  Mapping PortalGroup1 InitiatorGroup1
  AuthMethod None
  UseDigest Auto
  UnitType Disk
  QueueDepth 64
  LUN0 Storage {file} Auto
'''


class Istgt(Peer):
    name = 'istgt'

    @classmethod
    def missing(cls):
        return None if shutil.which('istgt') else 'istgt is not installed'

    def start(self):
        conf, auth = os.path.join(self.dir, 'conf'), os.path.join(self.dir, 'auth')
        with open(conf, 'w') as f:
            f.write(ISTGT.format(dir=self.dir, port=self.port, control=free_port(), file=self.file()))
        with open(auth, 'w') as f:
            f.write('[AuthGroup9999]\n')
        os.chmod(auth, 0o600)
        self.spawn(['istgt', '-c', conf, '-D'])


def hooked(text):
    """The class of NAME=COMMAND."""
    name, command = text.split('=', 1)

    def start(self):
        at = self.file()
        self.spawn(shlex.split(command), env=dict(os.environ, BENCH_PORT=str(self.port), BENCH_DISK=self.disk, BENCH_FILE=at,
                                                  BENCH_SIZE=str(SIZE), BENCH_IQN=IQN, BENCH_LUN='0'))
    return type('Hooked', (Peer,), {'name': name, 'start': start})


def other(text):
    """The class of NAME=PROGRAM: another build of lunward-target, for what a change has brought."""
    name, program = text.split('=', 1)
    return type('Other', (Lunward,), {'name': name, 'program': os.path.abspath(program)})


KNOWN = {c.name: c for c in (Lunward, Limit, Tgt, Istgt)}


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]
