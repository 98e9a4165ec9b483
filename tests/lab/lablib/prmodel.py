# SPDX-License-Identifier: GPL-2.0-or-later
"""Persistent reservations of one LUN as a pure function, in the words of SPC-4 5.13: (state, nexus, command) → (state, status).

A state is (registrations, holder, type): registrations a sorted tuple of (nexus, key), the holder a nexus or None. Every
nexus has a key of its own, so that a key names a nexus. What is not known is a set of states: see Possible.
"""
GOOD, CHECK, CONFLICT = 0x00, 0x02, 0x18
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, REGISTER_IGNORE = range(7)
WE, EA, WE_RO, EA_RO, WE_AR, EA_AR = 1, 3, 5, 6, 7, 8
TYPES = (WE, EA, WE_RO, EA_RO, WE_AR, EA_AR)
ALL_REGISTRANTS = (WE_AR, EA_AR)
NOBODY = ((), None, 0)


def _state(regs, holder, kind):
    """A reservation ends with its holder, one of all registrants with the last of them (5.13.11.1)."""
    if kind in ALL_REGISTRANTS:
        return (tuple(sorted(regs.items())), None, kind if regs else 0)
    gone = holder is None or holder not in regs
    return (tuple(sorted(regs.items())), None if gone else holder, 0 if gone else kind)


def _holds(state, nexus):
    regs, holder, kind = state
    return nexus in dict(regs) if kind in ALL_REGISTRANTS else kind and holder == nexus


def _preempt(state, nexus, victim, kind):
    """5.13.11.4: the holder's key moves the reservation, any other only removes registrations; key 0: all registrants'."""
    regs, holder, old = dict(state[0]), state[1], state[2]
    if old in ALL_REGISTRANTS and not victim:
        return _state({nexus: regs[nexus]}, nexus, kind), GOOD
    if not victim:
        return state, CHECK
    if victim not in regs.values():
        return state, CONFLICT
    left = {n: k for n, k in regs.items() if k != victim or n == nexus}
    if old and old not in ALL_REGISTRANTS and regs.get(holder) == victim:
        return _state(left, nexus, kind), GOOD
    return _state(left, holder, old), GOOD


def apply(state, nexus, action, sark, kind):
    """What a PERSISTENT RESERVE OUT of @nexus, with its own key as RESERVATION KEY, makes of a state."""
    regs, holder, old = dict(state[0]), state[1], state[2]
    if action == REGISTER_IGNORE:
        left = {n: k for n, k in regs.items() if n != nexus}
        if sark:
            left[nexus] = sark
        return _state(left, holder, old), GOOD
    if nexus not in regs:
        return state, CONFLICT
    if action == CLEAR:
        return NOBODY, GOOD
    if action == RESERVE:
        if not old:
            return _state(regs, nexus, kind), GOOD
        return state, GOOD if _holds(state, nexus) and old == kind else CONFLICT
    if action == RELEASE:
        if not _holds(state, nexus):
            return state, GOOD
        return (_state(regs, None, 0), GOOD) if old == kind else (state, CHECK)
    return _preempt(state, nexus, sark, kind)


def access(state, nexus, write):
    """Status of a medium access (SPC-4 table 66)."""
    regs, holder, kind = dict(state[0]), state[1], state[2]
    if not kind or _holds(state, nexus) or holder == nexus:
        return GOOD
    if kind in (WE, EA):
        return CONFLICT if write or kind == EA else GOOD
    return CONFLICT if nexus not in regs and (write or kind in (EA_RO, EA_AR)) else GOOD


def picture(state):
    """What READ KEYS and READ RESERVATION say: (sorted keys, None or (key, type)); all registrants' key is 0."""
    regs, holder, kind = state
    held = None if not kind else (0 if kind in ALL_REGISTRANTS else dict(regs)[holder], kind)
    return tuple(sorted(k for _, k in regs)), held


class Possible:
    """All states a LUN may be in. An unanswered command doubles them, every answer leaves those that agree with it."""

    def __init__(self):
        self.states = {NOBODY}

    def _keep(self, states, what):
        if not states:
            raise AssertionError(f"{what}; possible were {sorted(map(picture, self.states), key=str)}")
        self.states = set(states)

    def answered(self, status, command):
        out = [apply(s, *command) for s in self.states]
        self._keep([s for s, st in out if st == status],
                   f"{command} was answered {status:#04x}, expected {sorted({st for _, st in out})}")

    def unanswered(self, command):
        self.states |= {apply(s, *command)[0] for s in self.states}

    def seen(self, keys, held):
        self._keep([s for s in self.states if picture(s) == (keys, held)], f"seen are keys {keys}, reservation {held}")

    def accessed(self, status, nexus, write):
        self._keep([s for s in self.states if access(s, nexus, write) == status],
                   f"a {'write' if write else 'read'} of {nexus} was answered {status:#04x}")
