# SPDX-License-Identifier: GPL-2.0-or-later
"""clusterd of the owner stands still; corosync and the target on that node live on."""
import signal

from lablib.bench import main, test
from lablib.ns import signal_pid, wait_for


@test(rounds=3)
def clusterd_paused(b):
    """Its addresses run out, the other node takes over; resumed, it finds itself fenced and lets go."""
    lab = b.up(groups=("g1",))
    h = b.history("g1")
    for _ in range(b.rounds):
        victim = b.owner("g1")
        survivor = next(n for n in lab.nodes if n != victim)
        pid = lab.node(victim).pids_of("lunward-clusterd")[0]
        at = b.kill_process(pid, signal.SIGSTOP)
        try:
            h.wait_recovered(at)
            b.wait_active("g1", node=survivor, on=survivor)
            b.record_gap(h, at, survivor)
        finally:
            woke = b.now()
            signal_pid(pid, signal.SIGCONT)
        lab.wait_clusterd([victim])
        wait_for(f"{victim} reports that it was fenced: {b.events(victim, woke)}",
                 lambda: [e for e in b.events(victim, woke) if e["kind"] in ("fenced", "conflict", "dropped")])
        b.wait_in_sync()
        b.wait_address_only(survivor)
        b.only_writer(survivor)
        h.wait_checked(b.now())
        assert not h.lost(woke), f"the resumed node disturbed a session: {h.lost(woke)[0]}"
        assert b.owner("g1") == survivor
        b.figures["rounds"] += 1
    b.finish()


if __name__ == "__main__":
    main()
