# SPDX-License-Identifier: GPL-2.0-or-later
"""iscsi-test-cu: every test of every family it lists, against each variant, with two initiator names and two paths.

A test passes, or skips.txt says why it cannot: then it must do exactly what is said there. Each test is a process,
and several run side by side, each against an iSCSI target of its own in the same process.
"""
import fnmatch
import os
import queue
import re
import subprocess
import threading
import time
from collections import Counter, namedtuple

import variants

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH = 6                                      # tests side by side: several only wait
TIMEOUT = 120
PARTS = 6                                      # of a captured run
# Tests that need another LUN than 0: a read-only one; and a new one, for it takes LBA 256 for zero without having written it.
LUN = {'ReadOnly.ReadOnlySBC': 1, 'MultipathIO.CompareAndWrite': 2}
SLOW = ('iSCSIcmdsn', 'Reserve6', 'Sanitize')  # they wait for seconds: first, so that none is left over at the end

PASSED, SKIPPED, FAILED = 'passed', 'skipped', 'failed'
Known = namedtuple('Known', 'pattern when assertion reason')
Result = namedtuple('Result', 'test variant outcome why text')


def listed():
    """All tests, as FAMILY.TEST."""
    p = subprocess.run(['iscsi-test-cu', '--list'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return [x[len('ALL.'):] for x in p.stdout.split() if x.startswith('ALL.') and x.count('.') == 2]


def known_skips(path=os.path.join(HERE, 'skips.txt')):
    """The lines of skips.txt: PATTERN WHEN [FILE:LINE…] REASON."""
    out = []
    with open(path) as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith('#'):
                continue
            m = re.match(r'(\S+) (\S+) (?:(\S+\.c:\d+\S*) )?(\S.*)', line)
            if not m:
                raise SystemExit('%s:%d: not PATTERN WHEN [FILE:LINE…] REASON' % (path, number))
            out.append(Known(*m.groups()))
    return out


def skip_of(known, test, variant):
    """The line that is about this test on this variant, or None."""
    for k in known:
        here = k.when == 'always' or set(k.when.split('+')) <= set(map(str, variant))
        if here and fnmatch.fnmatchcase(test, k.pattern):
            return k
    return None


def outcome(text, returncode):
    """What the tool says about its one test. Its own words "passed" and "failed" drown in the tests' output."""
    ran = re.search(r'^\s*tests\s+1\s+1\s+([01])\s+([01])\s+0\s*$', text, re.M)
    asserts = re.search(r'^\s*asserts\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s', text, re.M)
    if not ran or not asserts or returncode or ran.group(2) == '1' or asserts.group(4) != '0':
        return FAILED
    return SKIPPED if '[SKIPPED]' in text else PASSED


def assertions(text):
    """file:line of what did not hold, each once; how it ended otherwise."""
    died = re.findall(r'^(died of signal \d+|no end after \d+ s)$', text, re.M)
    return list(dict.fromkeys(re.findall(r'^\s+\d+\. (\S+\.c:\d+)\s', text, re.M))) + died


def judge(test, variant, got, text, skip):
    """Result of one test that did `got`, where skip is what skips.txt expects of it."""
    if got == PASSED and skip:
        return Result(test, variant, FAILED, 'passes, but skips.txt lists it: take the line out', text)
    if got == SKIPPED and not skip:
        said = re.findall(r'\[SKIPPED\]\s*(.*)', text)
        return Result(test, variant, FAILED, 'the tool skips it, and skips.txt does not say why: %s' % said[0], text)
    if got == FAILED and skip and skip.assertion and re.fullmatch(skip.assertion, ', '.join(assertions(text))):
        return Result(test, variant, SKIPPED, skip.reason, text)
    if got == SKIPPED and skip.assertion:
        return Result(test, variant, FAILED, 'the tool skips it, but skips.txt says that it fails', text)
    if got == FAILED:
        return Result(test, variant, FAILED, ', '.join(assertions(text)) or 'no result', text)
    return Result(test, variant, got, skip.reason if skip else '', text)


def run_one(test, urls, n):
    """Return: (outcome, text)"""
    argv = ['iscsi-test-cu', '--dataloss', '--allow-sanitize', '--verbose', '--Verbose-scsi', '-t', 'ALL.' + test,
            '-i', 'iqn.2026-11.org.example:a%d' % n, '-I', 'iqn.2026-11.org.example:b%d' % n, *urls]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        try:
            text = p.communicate(timeout=TIMEOUT)[0].decode(errors='replace')
            if p.returncode < 0:
                text += '\ndied of signal %d\n' % -p.returncode
            return outcome(text, p.returncode), text
        except subprocess.TimeoutExpired:
            p.kill()
            return FAILED, p.communicate()[0].decode(errors='replace') + '\nno end after %d s\n' % TIMEOUT


def run_tests(stand, tests, known):
    """Side by side; those that wait for seconds begin. Return: results"""
    todo, results = queue.SimpleQueue(), []
    for test in sorted(tests, key=lambda x: x.split('.')[0] not in SLOW):
        todo.put(test)

    def work(n):
        while True:
            try:
                test = todo.get_nowait()
            except queue.Empty:
                return
            got, text = run_one(test, stand.urls(n, LUN.get(test, 0)), n)
            results.append(judge(test, stand.variant, got, text, skip_of(known, test, stand.variant)))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(WIDTH)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return results


def run_watched(stand, tests, known, watched):
    """As run_tests(), with what goes over the wire captured and checked, in parts that fit into the capture's buffer."""
    results = []
    for n in range(PARTS):
        with watched('cu %s %d of %d' % (variants.name(stand.variant), n + 1, PARTS)):
            results += run_tests(stand, tests[n::PARTS], known)
    return results


def run_variant(bench, variant, tests, known, watched=None):
    """All tests on one variant. Return: (results, what is wrong with the variant itself or '')"""
    stand = variants.Stand(bench, variant, WIDTH)
    results = run_watched(stand, tests, known, watched) if watched else run_tests(stand, tests, known)
    wrong = stand.close()
    for name, status, tail in bench.close():
        wrong = wrong or ('' if status == 0 else '%s ended with status %s:\n%s' % (name, status, tail))
    return results, wrong


def report_family(report, family, results, log):
    """One line, and what failed below it."""
    n, many = Counter(r.outcome for r in results), len({r.variant for r in results})
    why = Counter(r.why for r in results if r.outcome == SKIPPED)
    detail = '%d tests × %d' % (len(results) // many, many) if many > 1 else '%d tests' % len(results)
    for reason, times in why.items():
        detail += '; %d skipped: %s' % (times, reason)
    report.many('cu/' + family, n[PASSED], n[FAILED], n[SKIPPED], detail)
    failed = {}
    for r in results:
        if r.outcome == FAILED:
            failed.setdefault((r.test, r.why), []).append(r)
    for (test, why), same in sorted(failed.items()):
        print('        %s on %s: %s' % (test, ', '.join(variants.name(r.variant) for r in same), why))
        print(indented(same[0].text[-1500:]) + '\n          all of it: ' + log, flush=True)


def indented(text):
    return '\n'.join('          ' + line.strip() for line in text.splitlines() if line.strip())


def run(bench, report, which='some', only=None, watched=None):
    """which: some, all or a variant's name; only: a regular expression of tests; watched: see wire.Watch."""
    tests, known, results = [t for t in listed() if re.search(only or '', t)], known_skips(), []
    log = os.path.join(bench.base, 'cu.log')
    with open(log, 'w') as f:
        for variant in variants.chosen(which):
            began = time.monotonic()
            some, wrong = run_variant(bench, variant, tests, known, watched if variant in variants.WATCHED else None)
            n = Counter(r.outcome for r in some)
            took = '%d passed, %d failed, %d skipped; %.0f s' % (n[PASSED], n[FAILED], n[SKIPPED], time.monotonic() - began)
            report('cu/' + variants.name(variant), not wrong, wrong or took)
            for r in sorted(some):
                f.write('==== %s %s %s %s\n%s\n' % (variants.name(variant), r.test, r.outcome, r.why,
                                                    r.text if r.outcome == FAILED else ''))
            results += some
    for family in dict.fromkeys(t.split('.')[0] for t in tests):
        report_family(report, family, [r for r in results if r.test.split('.')[0] == family], log)
    for k in known:
        if not only and not any(fnmatch.fnmatchcase(t, k.pattern) for t in tests):
            report('cu/skips.txt', False, 'no test is called ' + k.pattern)
