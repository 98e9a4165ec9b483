# SPDX-License-Identifier: GPL-2.0-or-later
"""What every suite reports to: a line for what is worth one, and the closing line that ./runtests adds up."""


class Report:
    def __init__(self, verbose=False):
        self.n = {'passed': 0, 'failed': 0, 'skipped': 0}
        self.verbose = verbose

    def __call__(self, name, ok, detail=''):
        """One test: ok is True, False, or None for skipped."""
        word = {True: 'passed', False: 'failed', None: 'skipped'}[ok]
        self.n[word] += 1
        if word != 'passed' or self.verbose or detail:
            self.say(word, name, detail)

    def many(self, name, passed, failed, skipped, detail=''):
        """Several tests that share a line."""
        for word, n in (('passed', passed), ('failed', failed), ('skipped', skipped)):
            self.n[word] += n
        self.say('failed' if failed else 'passed' if passed else 'skipped', name, detail)

    @staticmethod
    def say(word, name, detail=''):
        print('%-7s %s%s' % (word, name, ': ' + detail if detail else ''), flush=True)

    def close(self):
        print('%(passed)d passed, %(failed)d failed, %(skipped)d skipped' % self.n, flush=True)
        return 1 if self.n['failed'] or not self.n['passed'] else 0
