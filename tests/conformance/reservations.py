# SPDX-License-Identifier: GPL-2.0-or-later
"""Cluster managers' reservation sequences (clusters.py): undisturbed, with lost connections, with a target that is killed."""
import signal

import clusters
from behavior import GOOD, answer, keys, post, pr_out, sense  # noqa: F401
from bench import IQN

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def undisturbed(_cluster):
    return False


def connections_lost(cluster):
    cluster.drop()
    return True


def add(sequence, how, at_yield):
    def f(b):
        t = b.target()
        clusters.run(sequence, clusters.Cluster(('127.0.0.1', t.port), IQN), at_yield)
    f.__name__ = '%s_%s' % (sequence.__name__, how)
    f.__doc__ = sequence.__doc__
    test(f)


for s in clusters.SEQUENCES:
    add(s, 'undisturbed', undisturbed)
    add(s, 'connections_lost', connections_lost)
