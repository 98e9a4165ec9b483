# SPDX-License-Identifier: GPL-2.0-or-later
"""The switch: one bridge a network, in a machine of its own; a cable is a veth pair.

Each machine sees its ends as `ring`, `client` and `san`; the switch's ends are MACHINE-LINK. Pulling a cable is
taking the switch's end down: the machine loses carrier, exactly as from a switch port that died.
"""
import subprocess

from .ns import LabError

# network: (IPv4 prefix, its length, IPv6 prefix); documentation addresses, RFC 5737 and RFC 3849
NETWORKS = {
    "ring": ("203.0.113.", 24, "2001:db8:1::"),
    "client": ("192.0.2.", 24, "2001:db8::"),
    "san": ("198.51.100.", 24, "2001:db8:2::"),
}
HOSTS = {"array": 9, "client": 100}     # last part of the address; nodes: 11, 12, …


def address(link, host):
    return f"{NETWORKS[link][0]}{host}"


def mac(link, host):
    """A machine keeps its MAC addresses over a reboot, as hardware does."""
    return f"02:4c:57:00:{list(NETWORKS).index(link):02x}:{host:02x}"


def _batch(machine, lines, check=True):
    """Run `ip -batch` in the network namespace of a machine, but with the host's pids (for `netns PID`)."""
    pid = machine.pid()
    if not pid:
        raise LabError(f"{machine.name} is down")
    cmd = ["nsenter", "-t", str(pid), "-n", "ip"] + ([] if check else ["-force"]) + ["-batch", "-"]
    r = subprocess.run(cmd, input="\n".join(lines) + "\n", text=True, capture_output=True, check=False)
    if check and r.returncode:
        raise LabError(f"{machine.name}: ip: {r.stderr.strip()}\nin: " + "; ".join(lines))


def make_switch(switch):
    _batch(switch, [line for n in NETWORKS for line in (
        f"link add name {n} type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
        f"link set {n} up")])


def plug(switch, machine, links, host):
    """Cable a machine to the networks in @links; its addresses end in @host."""
    pid = machine.pid()
    _batch(switch, [f"link del {machine.name}-{n}" for n in links], check=False)  # ends of a dead predecessor
    _batch(switch, [line for n in links for line in (
        f"link add {machine.name}-{n} type veth peer name {n} address {mac(n, host)} netns {pid}",
        f"link set {machine.name}-{n} master {n} up")])
    _batch(machine, [line for n in links for line in (
        f"link set {n} up",
        f"addr add {address(n, host)}/{NETWORKS[n][1]} broadcast + dev {n}",
        f"addr add {NETWORKS[n][2]}{host}/64 dev {n} nodad")])


def set_links(switch, machine, links, up):
    _batch(switch, [f"link set {machine.name}-{n} {'up' if up else 'down'}" for n in links])


def link_states(switch):
    """{"alpha-ring": "up"|"down"} as the administrator set it."""
    pid = switch.pid()
    if not pid:
        return {}
    out = subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", "-o", "link", "show", "type", "veth"],
                         text=True, capture_output=True, check=False).stdout
    states = {}
    for line in out.splitlines():
        name, flags = line.split()[1].split("@")[0], line.split()[2]
        states[name] = "up" if "UP" in flags.strip("<>").split(",") else "down"
    return states
