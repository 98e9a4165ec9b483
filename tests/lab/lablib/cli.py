# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of the lab."""
import argparse
import json
import os
import signal
import sys

from .lab import Lab, default_dir
from .ns import LabError

TOOL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab")
ABOUT = """\
Several nodes, a SAN array and a client on this machine, as namespaces: real corosync, real processes, real TCP.

  lab up                        two nodes, an array, a client; ready when it returns
  lab apply                     groups g1 and g2 on the array's LUNs
  lab exec alpha lunwardctl status
  lab client iscsi-ls -s iscsi://192.0.2.50
  lab kill alpha                power loss; then: lab boot alpha
  lab down                      everything is gone again
"""
NETS = """\
networks: ring 203.0.113.0/24 (corosync), client 192.0.2.0/24, san 198.51.100.0/24; nodes are .11 .12 … on each,
the client is 192.0.2.100, the portals of g1 and g2 192.0.2.50 and .51, the array 198.51.100.9.
environment: LAB_DIR (default /var/tmp/lunward-lab), LAB_NAME (a suffix: several labs), LUNWARD_BUILD (build tree).
"""


def yes_no(text):
    if text not in ("yes", "no"):
        raise argparse.ArgumentTypeError("yes or no")
    return text == "yes"


def parser():
    p = argparse.ArgumentParser(prog="lab", description=ABOUT, epilog=NETS,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dir", help=f"the lab's directory (default {default_dir()})")
    sub = p.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    def verb(name, text, *args):
        s = sub.add_parser(name, help=text, description=text)
        for a, kw in args:
            s.add_argument(a, **kw)

    node = ("node", {"metavar": "NODE"})
    link = ("link", {"nargs": "?", "choices": ("ring", "client", "san"), "help": "default: all"})
    command = ("command", {"nargs": argparse.REMAINDER, "metavar": "CMD"})
    verb("up", "start a lab; removed again if that fails",
         ("--nodes", {"type": int, "default": 2}),
         ("--array", {"default": "lunward", "help": "lunward (its own standalone target), iscsi://HOST/IQN, or none"}),
         ("--wait-for-all", {"type": yes_no, "metavar": "yes|no", "help": "default: with two nodes"}),
         ("--token", {"type": int, "default": 1000, "metavar": "MS"}),
         ("--consensus", {"type": int, "metavar": "MS", "help": "default: 0.3 × token; above it with 3 or more nodes"}),
         ("--no-services", {"action": "store_true", "help": "bare machines: no corosync, no clusterd"}),
         ("--no-wait", {"action": "store_true", "help": "do not wait until it is ready"}))
    verb("down", "remove everything, also after a crash or half an `up`")
    verb("apply", "apply a cluster configuration (default: groups g1 and g2)", ("file", {"nargs": "?"}))
    verb("exec", "run a command on a machine (a node, array, client, switch)", node, command)
    verb("client", "run a command on the client", command)
    verb("kill", "power loss: cables first, then everything dies at once", node)
    verb("stop", "shut a machine down in order", node)
    verb("boot", "start it again; a new boot id", node)
    verb("pause", "SIGSTOP to every process of the machine; its kernel goes on answering", node)
    verb("resume", "SIGCONT", node)
    verb("cut", "pull a cable", node, link)
    verb("heal", "plug it in again (default: every cable)", ("node", {"metavar": "NODE", "nargs": "?"}), link)
    verb("array", "power of the SAN array", ("what", {"choices": ("restart", "kill", "stop", "boot")}))
    verb("service", "start, stop or kill a service of a machine (KillMode=process, Restart=always)", node,
         ("what", {"choices": ("start", "stop", "kill", "status")}),
         ("service", {"nargs": "?", "metavar": "corosync|clusterd|target"}),
         ("--signal", {"default": "KILL"}))
    verb("ps", "processes of a machine, with the host's pids", node)
    verb("logs", "the last lines of every log", ("node", {"metavar": "NODE", "nargs": "?"}),
         ("-n", {"type": int, "default": 20, "metavar": "LINES"}))
    verb("status", "machines, cables, services", ("--json", {"action": "store_true"}))
    return p


def run_inside(machine, command):
    if not command:
        command = ["bash"]
    env = machine.env()
    argv = machine.argv(command)
    os.execvpe(argv[0], argv, env)


def show_status(s):
    print(f"lab at {s['dir']}, programs of {s['build'] or '$PATH'}, token {s['token']} ms")
    for name, m in s["machines"].items():
        cut = [k for k, v in m["links"].items() if v != "up"]
        words = [m["state"]]
        words += [f"{k} {'pid ' + str(v['pid']) if v['pid'] else 'not running'}"
                  + (f" ({v['starts']} starts)" if v["starts"] > 1 else "") for k, v in m.get("services", {}).items()]
        if "members" in m:
            words.append(f"sees {m['members']} members")
        if cut and m["state"] != "down":
            words.append("cut: " + ", ".join(cut))
        print(f"  {name:8} {', '.join(words)}")


def show_logs(lab, name, lines):
    for m in [name] if name else [*lab.nodes, "array"]:
        machine = lab.machine(m)
        logs = os.path.join(machine.dir, "log")
        for f in sorted(os.listdir(logs)) if os.path.isdir(logs) else []:
            text = machine.tail(f.removesuffix(".log"), lines) if f.endswith(".log") else ""
            if text:
                print(f"==> {m} {f}\n{text}")


def service(lab, a):
    sig = getattr(signal, "SIG" + a.signal.removeprefix("SIG"))
    answer = lab.machine(a.node).command(a.what, service=a.service, sig=sig, timeout=60)
    for name, s in answer["services"].items():
        print(f"{name}: {'pid ' + str(s['pid']) if s['pid'] else 'not running'}, {s['starts']} starts, "
              f"last exit {s['exit']}")


def array(lab, what):
    if what in ("restart", "kill") and lab.array.pid():
        lab.kill("array")
    if what == "stop":
        lab.stop("array")
    if what in ("restart", "boot"):
        lab.boot("array")


def main(argv=None):
    a = parser().parse_args(argv)
    lab = Lab(a.dir)
    try:
        if a.verb not in ("up", "down"):
            _ = lab.conf        # or say that there is no lab
        if a.verb == "up":
            lab.up(a.nodes, a.array, a.wait_for_all, a.token, a.consensus, not a.no_wait, not a.no_services)
            show_status(lab.status())
        elif a.verb == "status":
            s = lab.status()
            print(json.dumps(s, indent=1)) if a.json else show_status(s)
        elif a.verb == "exec":
            run_inside(lab.machine(a.node), a.command)
        elif a.verb == "client":
            run_inside(lab.client, a.command)
        elif a.verb == "apply":
            print(lab.apply(a.file), end="")
        elif a.verb == "logs":
            show_logs(lab, a.node, a.n)
        elif a.verb == "ps":
            for pid, words in lab.machine(a.node).processes().items():
                print(pid, " ".join(words))
        elif a.verb == "service":
            service(lab, a)
        elif a.verb == "array":
            array(lab, a.what)
        elif a.verb in ("cut", "heal"):
            getattr(lab, a.verb)(a.node, a.link)
        elif a.verb == "down":
            lab.down()
        else:
            getattr(lab, a.verb)(a.node)
    except LabError as e:
        print(f"lab: {e}", file=sys.stderr)
        return 1
    except PermissionError as e:
        print(f"lab: {e}: namespaces need root (or: unshare -Urmpf --mount-proc lab …)", file=sys.stderr)
        return 1
    return 0
