# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes over the wire, read by Wireshark's dissectors instead of by our own code.

A capture of loopback is checked for what the target sent: nothing malformed and no error to the iSCSI and SCSI dissectors,
nothing that is not iSCSI, and sequence numbers that go forward. liar.py shows that each of these can fail.
"""
import concurrent.futures
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import xml.etree.ElementTree as xml
from collections import namedtuple

from bench import Clock, PORTS, free_port
from inorder import in_order
from initiator import LOGIN_RSP, TEXT_RSP

FROM_US = '(tcp.srcport >= %d && tcp.srcport <= %d)' % (PORTS[0], PORTS[-1])
# No guesses at what may be no iSCSI, such as PDUs of a mebibyte.
DECODE = ['-o', 'iscsi.bogus_pdu_filter:FALSE', '-d', 'tcp.port==%d-%d,iscsi' % (PORTS[0], PORTS[-1])]
FIELDS = ('frame.number', 'tcp.srcport', 'tcp.stream', 'frame.protocols', 'iscsi.statsn', 'iscsi.expcmdsn', 'iscsi.maxcmdsn')
Seen = namedtuple('Seen', 'frames findings')


class Finding(namedtuple('Finding', 'port frame what')):
    def __str__(self):
        return 'frame %d (port %d): %s' % (self.frame, self.port, self.what)


def missing():
    """Why there can be no capture, or ''."""
    for tool in ('dumpcap', 'tshark'):
        if not shutil.which(tool):
            return tool + ' is not installed (Debian: tshark)'
    return '' if os.geteuid() == 0 else 'capturing needs root'


class Capture:
    """All of the tests' ports on loopback, from when it is made until close()."""

    def __init__(self, path):
        self.path = path
        self.proc = subprocess.Popen(
            ['dumpcap', '-P', '-i', 'lo', '-B', '512', '-w', path, '-f', 'tcp portrange %d-%d' % (PORTS[0], PORTS[-1])],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace')
        text = self._until(lambda t: '\nFile: ' in t)
        assert text, 'dumpcap does not begin'
        self._mark('began')

    def _until(self, enough, timeout=20):
        text, end = '', Clock(timeout)
        while not enough(text) and select.select([self.proc.stderr], [], [], end.left())[0]:
            part = os.read(self.proc.stderr.fileno(), 4096).decode(errors='replace')
            if not part:
                break
            text += part
        return text if enough(text) else ''

    def _mark(self, word):
        """Until a connection attempt to a port of its own, made now, is in the file: so is all before it. It is made again, for
        it may be among what is lost."""
        port, end, again = free_port(), Clock(60), Clock(0)
        refused = re.compile(b'\x06.{10}' + re.escape(port.to_bytes(2, 'big')), re.S)
        with open(self.path, 'rb') as f:
            f.seek(0, os.SEEK_END)
            tail = b''
            while not re.search(refused, tail):
                if not again.left():
                    again = Clock(1)
                    with socket.socket() as s:
                        s.connect_ex(('127.0.0.1', port))
                tail = tail[-4096:] + f.read(1 << 20)
                assert end.left() and self.proc.poll() is None, 'the capture has not %s (%s)' % (word, self.proc.poll())
                select.select([], [], [], 0.005)

    def close(self):
        """Return: '', or why it cannot be judged: a machine that is busy elsewhere loses packets."""
        self._mark('ended')
        self.proc.send_signal(signal.SIGINT)
        text = self._until(lambda t: re.search(r'received/dropped.*: \d+/\d+', t))
        self.proc.wait(20)
        m = re.search(r'received/dropped.*: \d+/(\d+)', text)
        if not m:
            return 'the capture does not end'
        return '' if m.group(1) == '0' else 'the capture lost %s packets' % m.group(1)

    def kill(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()


def tshark(path, display, *output):
    p = subprocess.run(['tshark', '-n', '-r', path, *DECODE, '-Y', display, *output], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors='replace', check=False)
    if p.returncode:
        raise RuntimeError('tshark: ' + p.stderr[-500:])
    return p.stdout


def forward(values, last, step):
    """The first value that goes back (serial number arithmetic, RFC 1982) or further than step; None if none does."""
    for v in values:
        ahead = (v - last) & 0xffffffff if last is not None else 0
        if ahead >= 1 << 31 or (step and ahead > step):
            return v
        last = v
    return None


def sequence(path):
    """Frames of ours, and what is wrong with their order: StatSN by at most one, ExpCmdSN and MaxCmdSN never back."""
    last, frames, out = {}, 0, []
    text = tshark(path, FROM_US + ' && tcp.len > 0', '-T', 'fields', *(x for f in FIELDS for x in ('-e', f)))
    for line in text.splitlines():
        number, port, stream, protocols, *columns = line.split('\t')
        frames += 1
        if ':iscsi' not in protocols and protocols.endswith(':data'):
            out.append(Finding(int(port), int(number), 'not iSCSI'))
        for field, step, column in zip(FIELDS[4:], (1, 0, 0), columns):
            values = [v for v in (int(x, 0) for x in column.split(',') if x) if v]  # 0: a Data-In without status has none
            wrong = forward(values, last.get((stream, field)), step)
            if wrong is not None:
                out.append(Finding(int(port), int(number), '%s %#x after %#x' % (field, wrong, last.get((stream, field)) or 0)))
            if values:
                last[stream, field] = values[-1]
    return frames, out


def number(element, name):
    """The first field of that name, or None."""
    for f in element.iter('field'):
        if f.get('name') == name:
            return int(f.get('show'), 0)
    return None


def expected_lengths(path, frames):
    """Expected Data Transfer Lengths of the commands in these frames."""
    if not frames:
        return {}
    text = tshark(path, 'frame.number in {%s}' % ','.join(map(str, sorted(frames))), '-T', 'fields', '-e', 'frame.number',
                  '-e', 'iscsi.scsicommand.expecteddatatransferlength')
    return {int(n): [int(v, 0) for v in lengths.split(',') if v] for n, lengths in
            (line.split('\t') for line in text.splitlines())}


def malformed(path):
    """What the dissectors object to. The SCSI dissector reads past the end of an answer that was clipped at the allocation
    length (SPC-4 4.2.5.6): that alone is none, so an answer that fills all that was asked for is let pass to it. The iSCSI
    dissector does not know that text may be continued in the middle of a pair (RFC 7143 11.10.2, C bit): neither is that."""
    text = tshark(path, FROM_US + ' && (_ws.malformed || _ws.expert.severity == error)', '-T', 'pdml')
    found = []                                  # (finding, data length, request frame)
    for packet in xml.fromstring(text).findall('packet'):
        before = length = request = continued = None
        here = []
        for proto in packet.findall('proto'):
            name = proto.get('name')
            if name == 'iscsi':
                length = number(proto, 'iscsi.datasegmentlength')
                continued = number(proto, 'iscsi.opcode') in (LOGIN_RSP, TEXT_RSP) and number(proto, 'iscsi.flags') & 0x40
            if name == 'scsi':
                request = number(proto, 'scsi.request_frame')
            if name == '_ws.malformed' and before != name:
                here.append(('malformed ' + before, length, request))
            before = name
        for what, length, request in here or [('error', None, None)]:
            if what == 'malformed iscsi' and continued:
                continue
            found.append((Finding(number(packet, 'tcp.srcport'), number(packet, 'frame.number'), what), length, request))
    asked = expected_lengths(path, {request for _, _, request in found if request})
    return [f for f, length, request in found if f.what != 'malformed scsi' or length not in asked.get(request, ())]


def check(path):
    """Return: Seen(frames of ours, what is wrong with them); frames are counted in what is kept, path + '.in-order'"""
    tidy = path + '.in-order'
    missing_before = in_order(path, tidy)
    frames, wrong = sequence(tidy)
    wrong += malformed(tidy)
    if missing_before:
        wrong.append(Finding(0, 0, '%d segments whose predecessors were not captured' % missing_before))
    if not wrong:
        os.unlink(tidy)
    return Seen(frames, wrong)


class Watch:
    """Captures parts of the run: `with watch('name'): …`. Each is checked while the next part runs."""

    def __init__(self, bench, report):
        self.base, self.report, self.pending, self.n = bench.base, report, [], 0
        self.checker = concurrent.futures.ThreadPoolExecutor(max_workers=1)

    @contextlib.contextmanager
    def __call__(self, name):
        self.n += 1
        capture = Capture(os.path.join(self.base, 'wire-%d.pcap' % self.n))
        try:
            yield
            lost = capture.close()
        finally:
            capture.kill()
        self.pending.append((name, self.checker.submit(self._check, capture.path, lost)))

    @staticmethod
    def _check(path, lost):
        """Return: (ok, detail)"""
        if lost:
            return None, lost
        seen = check(path)
        if seen.findings or not seen.frames:
            return False, '%d frames of the target, %d findings: %s; kept: %s' % (
                seen.frames, len(seen.findings), '; '.join(map(str, seen.findings[:10])), path)
        os.unlink(path)
        return True, '%d frames of the target' % seen.frames

    def close(self):
        """Report what is not reported yet: after each suite."""
        for name, result in self.pending:
            self.report('wire/' + name, *result.result())
        self.pending = []
