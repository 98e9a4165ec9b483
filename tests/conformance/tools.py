# SPDX-License-Identifier: GPL-2.0-or-later
"""libiscsi's and QEMU's tools, as an administrator runs them."""
import json
import os
import re
import shutil
import subprocess

from bench import IQN, target_yaml

SIZE = 64 << 20
# Not thin with 4096 bytes: QEMU 7.2 asks its own iscsi_co_block_status() for a length that is a multiple of 512, and aborts.
LUNS = {0: '{ram: 64MiB}', 1: '{ram: 64MiB, block-size: 4096, provisioning: thick}', 2: '{ram: 64MiB, provisioning: thick}'}
THIN = (0, 3)


def sh(argv, timeout=120):
    """Return: (exit status, output)"""
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       errors='replace', timeout=timeout, check=False)
    return p.returncode, p.stdout


def run(bench, report):
    disk = '{file: %s, size: 64MiB}' % os.path.join(bench.base, 'tools.img')
    array = bench.target('tools-array')
    t = bench.target('tools', {**LUNS, 3: disk}, targets=target_yaml(IQN + '.second', {0: '{iscsi: "%s"}' % array.url()}))
    libiscsi_tools(t, report)
    if not shutil.which('qemu-img'):
        report('tools/qemu', None, 'qemu-img is not installed (Debian: qemu-utils qemu-block-extra)')
    else:
        for lun in (*LUNS, 3):
            for digest in ('none', 'crc32c'):
                why = qemu(bench, t, lun, digest)
                report('tools/qemu lun %d, header digest %s' % (lun, digest), not why, why)
    for name, status, tail in bench.close():
        report('tools/%s ends cleanly' % name, status == 0, '' if status == 0 else 'exit status %s:\n%s' % (status, tail))


def libiscsi_tools(t, report):
    cases = [
        ('iscsi-ls', ['iscsi-ls', '-s', 'iscsi://127.0.0.1:%d' % t.port],
         [re.escape(IQN) + ' ', re.escape(IQN) + r'\.second', r'Lun:0 .*DIRECT_ACCESS', r'Lun:1 .*DIRECT_ACCESS', r'Lun:2 ']),
        ('iscsi-inq', ['iscsi-inq', t.url(0)], [r'Vendor:LUNWARD', r'Peripheral Device Type:DIRECT_ACCESS']),
        ('iscsi-inq pages', ['iscsi-inq', '-e', '1', '-c', '0', t.url(0)], [r'0x83|DEVICE_IDENTIFICATION']),
        ('iscsi-inq identification', ['iscsi-inq', '-e', '1', '-c', '131', t.url(0)], [r'NAA', r'LUNWARD']),
        ('iscsi-readcapacity16', ['iscsi-readcapacity16', t.url(1)], [r'Total size:%d' % SIZE]),
        ('iscsi-swp', ['iscsi-swp', t.url(0)], [r'SWP:0']),
    ]
    for name, argv, wanted in cases:
        if not shutil.which(argv[0]):
            report('tools/' + name, None, argv[0] + ' is not installed (Debian: libiscsi-bin)')
            continue
        status, text = sh(argv)
        missing = [w for w in wanted if not re.search(w, text)]
        report('tools/' + name, status == 0 and not missing,
               '' if status == 0 and not missing else 'exit %d, missing %s in:\n%s' % (status, missing, text))


def qemu(bench, t, lun, digest):
    """An image onto the LUN and back, patterns, zeroes, discard. Return: what went wrong, or ''"""
    src, back = os.path.join(bench.base, 'src.raw'), os.path.join(bench.base, 'back.raw')
    with open(src, 'wb') as f:
        f.truncate(SIZE)
        for at in (0, 20 << 20, SIZE - (1 << 20)):
            f.seek(at)
            f.write(os.urandom(1 << 20))
    url = 'driver=raw,file.driver=iscsi,file.transport=tcp,file.portal=127.0.0.1:%d,file.target=%s,file.lun=%d,file.header-digest=%s' \
        % (t.port, IQN, lun, digest)
    io = lambda *commands: ['qemu-io', '--image-opts', *(x for c in commands for x in ('-c', c)), url]
    steps = [
        ['qemu-img', 'info', '--image-opts', url],
        ['qemu-img', 'convert', '-n', '-W', '-m', '16', '--target-image-opts', '-f', 'raw', src, url],
        ['qemu-img', 'compare', '--image-opts', 'driver=raw,file.driver=file,file.filename=' + src, url],
        io('write -P 0xa5 32M 1M', 'flush', 'read -P 0xa5 32M 1M', 'aio_write -P 0x11 33M 256k', 'aio_write -P 0x12 34M 64k',
           'aio_flush', 'read -P 0x11 33M 256k', 'read -P 0x12 34M 64k', 'write -f -P 0x13 35M 4k', 'read -P 0x13 35M 4k'),
        io('write -P 0xff 36M 2M', 'write -z 36M 1M', 'read -P 0 36M 1M', 'read -P 0xff 37M 1M'),
        io('write -P 0x77 32M 24M', 'write -z -u 32M 8M', 'discard 48M 8M', 'read -P 0 32M 8M', 'read -P 0x77 40M 8M',
           *(['read -P 0 48M 8M'] if lun in THIN else [])),
        ['qemu-img', 'bench', '-c', '2000', '-d', '32', '-s', '8k', '-S', '64k', '--image-opts', url],
        io('write -z 32M 24M'),
        ['qemu-img', 'compare', '--image-opts', 'driver=raw,file.driver=file,file.filename=' + src, url],
        ['qemu-img', 'convert', '--image-opts', '-O', 'raw', url, back],
    ]
    for argv in steps:
        if argv[1] == 'bench' and lun in THIN:
            hole = discarded(url)
            if hole != (48 << 20, 8 << 20):
                return 'qemu-img map sees no hole of what was discarded: %s' % (hole,)
        status, text = sh(argv)
        if status or re.search(r'verification failed|[Ee]rror', text):
            return '%s: exit %d: %s' % (' '.join(argv), status, text)
    with open(src, 'rb') as a, open(back, 'rb') as b:
        return '' if a.read() == b.read() else 'what was written did not come back'


def discarded(url):
    """(offset, length) of the hole at 48 MiB, as GET LBA STATUS tells it to QEMU."""
    status, text = sh(['qemu-img', 'map', '--output=json', '--image-opts', url])
    for e in json.loads(text) if status == 0 else ():
        if e['start'] <= 48 << 20 < e['start'] + e['length'] and not e['data'] and e['zero']:
            end = min(e['start'] + e['length'], 56 << 20)
            return max(e['start'], 48 << 20), end - (48 << 20)
    return text[:500]
