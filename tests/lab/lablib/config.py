# SPDX-License-Identifier: GPL-2.0-or-later
"""Every file the lab generates: corosync.conf, the array's YAML, the cluster's YAML."""
from .net import HOSTS, address

NODE_NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
ARRAY_IQN = "iqn.2026-11.org.example:array"
ARRAY_LUNS = 8
LUN_MIB = 256


def node_host(index):
    """Last part of a node's addresses; @index from 0."""
    return 11 + index


def corosync_conf(nodes, token_ms, consensus_ms, wait_for_all):
    """knet with explicit timers (the derived ones flap at short tokens); two_node for two nodes only."""
    two = len(nodes) == 2
    if consensus_ms is None:
        consensus_ms = 300 * token_ms // 1000 if two else 1200 * token_ms // 1000
    quorum = ["provider: corosync_votequorum", f"wait_for_all: {int(wait_for_all)}"] + (["two_node: 1"] if two else [])
    out = ["totem {", "\tversion: 2", "\tcluster_name: lab", "\ttransport: knet", "\tcrypto_cipher: aes256",
           "\tcrypto_hash: sha256", f"\ttoken: {token_ms}", f"\tconsensus: {max(consensus_ms, 60)}",
           "\ttoken_coefficient: 0", "\tinterface {", "\t\tlinknumber: 0", "\t\tknet_ping_interval: 200",
           "\t\tknet_ping_timeout: 1000", "\t\tknet_pong_count: 2", "\t}", "}",
           "quorum {"] + ["\t" + q for q in quorum] + ["}",
           "logging {", "\tto_stderr: yes", "\tto_syslog: no", "\ttimestamp: hires", "}", "nodelist {"]
    for i, name in enumerate(nodes):
        out += ["\tnode {", f"\t\tname: {name}", f"\t\tnodeid: {i + 1}",
                f"\t\tring0_addr: {address('ring', node_host(i))}", "\t}"]
    return "\n".join(out + ["}", ""])


def array_yaml(directory, luns=ARRAY_LUNS):
    """The SAN array: one target, file LUNs on the host's disk."""
    lines = ["cluster: array", "groups:", "  - name: array",
             f"    portals: [{address('san', HOSTS['array'])}/24]", "    targets:",
             f"      - iqn: {ARRAY_IQN}", "        luns:"]
    lines += [f"          {n}: {{file: {directory}/lun{n}, size: {LUN_MIB}MiB}}" for n in range(luns)]
    return "\n".join(lines) + "\n"


def array_url(array):
    """iscsi://HOST/IQN of the array, without the LUN."""
    return array.rstrip("/") if array.startswith("iscsi://") else f"iscsi://{address('san', HOSTS['array'])}/{ARRAY_IQN}"


def group_iqn(group):
    return f"iqn.2026-11.org.example:{group}"


# the default groups: (name, last part of the portal's address, LUNs of the array); every other one prefers the second node, …
GROUPS = (("g1", 50, (0, 1)), ("g2", 51, (2, 3)), ("g3", 52, (4, 5)), ("g4", 53, (6, 7)))


def cluster_yaml(nodes, array, groups=("g1", "g2"), more_portals=()):
    """What `lab apply` applies when it is given no file; @more_portals: further addresses (ADDRESS/LEN) of each group."""
    lines = ["cluster: lab", "groups:"]
    for i, (name, host, luns) in enumerate(GROUPS):
        if name not in groups:
            continue
        order = nodes[i % len(nodes):] + nodes[:i % len(nodes)]
        portals = ", ".join([f"{address('client', host)}/24", *more_portals, f'"2001:db8::{host}/64"'])
        lines += [f"  - name: {name}", f"    nodes: [{', '.join(order)}]", f"    portals: [{portals}]",
                  "    targets:", f"      - iqn: {group_iqn(name)}", "        luns:"]
        lines += [f"          {n}: {{iscsi: \"{array_url(array)}/{lun}\"}}" for n, lun in enumerate(luns)]
    return "\n".join(lines) + "\n"


def portal(group):
    return next(address("client", host) for name, host, _ in GROUPS if name == group)
