# SPDX-License-Identifier: GPL-2.0-or-later
"""Results as a table, as JSON, as a picture. A ratio is of two runs of the same round; what is shown is its median over
the rounds, with the lowest and the highest. So is the ratio of CPU time per command (how much less the target needs), which says
more than the rate where other processes use the machine."""
import statistics
from xml.sax.saxutils import escape


def ratios(rounds, base, name, key='iops'):
    """rounds: [{peer: result}]. Return: (n, median, lowest, highest) of name / base, or None."""
    values = [r[name][key] / r[base][key] for r in rounds if name in r and base in r and r[base][key]]
    return (len(values), statistics.median(values), min(values), max(values)) if values else None


def median(rounds, name, get):
    values = [get(r[name]) for r in rounds if name in r]
    return statistics.median(values) if values else None


def cell(value, form='%.2f'):
    return form % value if value is not None else '-'


def summary(results, peers, base):
    """{workload: {peer: {…}}} of everything that is printed."""
    out = {}
    for workload, rounds in results.items():
        out[workload] = {}
        for name in peers:
            r = ratios(rounds, base, name)
            if r is None:
                continue
            out[workload][name] = {
                'ratio': {'n': r[0], 'median': r[1], 'lowest': r[2], 'highest': r[3]},
                'cpu_ratio': (ratios(rounds, name, base, 'cpu_s_per_million') or (0, None))[1],
                'iops': median(rounds, name, lambda x: x['iops']),
                'mib_s': median(rounds, name, lambda x: x['mib_s']),
                'cpu_s_per_million': median(rounds, name, lambda x: x['cpu_s_per_million']),
                'p50_us': median(rounds, name, lambda x: x['latency_us']['p50']),
                'p99_us': median(rounds, name, lambda x: x['latency_us']['p99']),
                'slowest_of_mean': median(rounds, name, lambda x: x['slowest_of_mean'])}
    return out


def table(found, base):
    head = '%-24s %-10s %3s %8s %15s %8s %11s %9s %12s %9s %9s %8s' % (
        'workload', 'target', 'n', '× ' + base, 'lowest-highest', 'CPU ÷', 'I/O per s', 'MiB/s', 'CPU s/10⁶', 'p50 µs', 'p99 µs',
        'slowest')
    lines = [head, '-' * len(head)]
    for workload, peers in found.items():
        for name, x in peers.items():
            r = x['ratio']
            lines.append('%-24s %-10s %3d %8.2f %15s %8s %11.0f %9.1f %12s %9.1f %9.1f %8.2f' % (
                workload, name, r['n'], r['median'], '%.2f-%.2f' % (r['lowest'], r['highest']), cell(x['cpu_ratio']), x['iops'], x['mib_s'],
                cell(x['cpu_s_per_million']), x['p50_us'], x['p99_us'], x['slowest_of_mean']))
            workload = ''
    return '\n'.join(lines)


COLOURS = ['#1f6f8b', '#99a8b2', '#e6b89c', '#c38d9e', '#8d8741', '#659dbd']
BAR, LEFT, SCALE = 14, 190, 520


def svg(found, peers, base):
    """Bars of ratios: one group a workload, with a line from the lowest to the highest."""
    top = max([x['ratio']['highest'] for w in found.values() for x in w.values()] + [1])
    parts, y = [], 40
    for workload, rows in found.items():
        parts.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LEFT - 8, y + BAR, escape(workload)))
        for name, x in rows.items():
            r, at = x['ratio'], [LEFT + SCALE * v / top for v in (0, x['ratio']['lowest'], x['ratio']['median'],
                                                                  x['ratio']['highest'])]
            parts.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>'
                         % (LEFT, y, at[2] - at[0], BAR - 3, COLOURS[peers.index(name) % len(COLOURS)]))
            parts.append('<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#222"/>'
                         % (at[1], at[3], y + BAR / 2 - 1.5, y + BAR / 2 - 1.5))
            parts.append('<text x="%.1f" y="%d">%.2f</text>' % (at[3] + 5, y + BAR - 4, r['median']))
            y += BAR
        y += 10
    legend, x = [], LEFT
    for k, name in enumerate(peers):
        legend.append('<rect x="%d" y="12" width="10" height="10" fill="%s"/><text x="%d" y="21">%s</text>'
                      % (x, COLOURS[k % len(COLOURS)], x + 14, escape(name)))
        x += 30 + 8 * len(name)
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">'
            '<rect width="100%%" height="100%%" fill="#fff"/><text x="8" y="21">times %s</text>%s\n%s\n</svg>\n'
            % (LEFT + SCALE + 60, y + 10, escape(base), ''.join(legend), '\n'.join(parts)))
