# SPDX-License-Identifier: GPL-2.0-or-later
"""Wrong configurations: not started, with FILE:LINE: and what is wrong."""
import os
import re
import subprocess

G = 'cluster: c\ngroups:\n  - name: g\n    portals: ["127.0.0.1:3299"]\n    targets:\n      - iqn: iqn.2026-11.org.example:t\n        luns:\n'
WRONG = {
    'not yaml': ('groups: [\n', r'yaml:\d+'),
    'unknown key': (G.replace('portals', 'portal') + '          0: {ram: 1MiB}\n', r'yaml:4: .*portal'),
    'bad iqn': (G.replace('iqn.2026-11.org.example:t', 'not an iqn') + '          0: {ram: 1MiB}\n', r'yaml:6: '),
    'bad address': (G.replace('127.0.0.1:3299', '300.1.1.1') + '          0: {ram: 1MiB}\n', r'yaml:4: '),
    'lun twice': (G + '          0: {ram: 1MiB}\n          0: {ram: 2MiB}\n', r'yaml:9: '),
    'bad size': (G + '          0: {ram: lots}\n', r'yaml:8: '),
    'no backing': (G + '          0: {block-size: 512}\n', r'yaml:8: '),
    'two backings': (G + '          0: {ram: 1MiB, file: /x}\n', r'yaml:8: '),
    'block size': (G + '          0: {ram: 1MiB, block-size: 1000}\n', r'yaml:8: '),
    'lun number': (G + '          70000: {ram: 1MiB}\n', r'yaml:8: '),
    'missing file': (G + '          0: {file: /nonexistent/disk.img}\n', r'/nonexistent/disk.img'),
}


def run(bench, report):
    for name, (text, wanted) in WRONG.items():
        path = os.path.join(bench.base, 'wrong.yaml')
        with open(path, 'w') as f:
            f.write(text)
        try:
            p = subprocess.run([bench.program, '--standalone', path, '--state-dir', bench.base], timeout=20, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            ok = p.returncode > 0 and re.search(wanted, p.stdout)
            report('config/' + name, bool(ok), '' if ok else 'exit %s, wanted %s in:\n%s' % (p.returncode, wanted, p.stdout))
        except subprocess.TimeoutExpired:
            report('config/' + name, False, 'was accepted: still running after 20 s')
