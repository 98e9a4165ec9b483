# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab as a whole. Its directory is all there is: a machine a folder, lab.json with what `up` was asked for."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from . import config, net
from .init import mount
from .ns import LabError, Machine, marked, remove, starting, wait_for

LINKS = {"node": ("ring", "client", "san"), "array": ("san",), "client": ("client",)}
TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
PROGRAMS = ("node/lunward-target", "cluster/lunward-clusterd", "cluster/ctl/lunwardctl", "tests/lab/history")


def default_dir():
    """On a disk and not in /run: the LUNs and the records are files that are really synced."""
    name = os.environ.get("LAB_NAME")
    return os.environ.get("LAB_DIR") or "/var/tmp/lunward-lab" + (f"-{name}" if name else "")


def build_dir():
    """Where the programs are: $LUNWARD_BUILD, the current directory, the source tree, or installed ($PATH)."""
    for d in (os.environ.get("LUNWARD_BUILD"), os.getcwd(), TOP, os.path.join(TOP, "build"),
              os.path.join(TOP, "build", "plain")):
        if d and any(os.access(os.path.join(d, p), os.X_OK) for p in PROGRAMS[:3]):
            return os.path.abspath(d)
    return None


class Lab:
    def __init__(self, directory=None):
        self.dir = os.path.abspath(directory or default_dir())
        self.switch = Machine(self.dir, "switch")
        self.array = Machine(self.dir, "array")
        self.client = Machine(self.dir, "client")
        self._conf = None

    # ---- what it is made of
    @property
    def conf(self):
        if self._conf is None:
            try:
                with open(os.path.join(self.dir, "lab.json"), encoding="utf-8") as f:
                    self._conf = json.load(f)
            except FileNotFoundError:
                raise LabError(f"no lab at {self.dir}; start one: lab up") from None
        return self._conf

    @property
    def nodes(self):
        return self.conf["nodes"]

    def machine(self, name):
        if name in self.nodes or name in ("switch", "array", "client"):
            return Machine(self.dir, name)
        raise LabError(f"no machine {name}; there are: {', '.join(self.nodes)}, array, client, switch")

    def node(self, name):
        if name not in self.nodes:
            raise LabError(f"no node {name}; there are: {', '.join(self.nodes)}")
        return Machine(self.dir, name)

    def role(self, name):
        return name if name in LINKS else "node"

    def host(self, name):
        return net.HOSTS.get(name) or config.node_host(self.nodes.index(name))

    # ---- up and down
    def up(self, nodes=2, array="lunward", wait_for_all=None, token=1000, consensus=None, wait=True, services=True,
           state_kib=None, in_memory=False):
        """Start everything; returns when it is ready.

        @wait_for_all None: as corosync does by itself, with two nodes only.
        @state_kib: nodes keep their state on a disk of so much (tmpfs: gone with the power).
        @in_memory: such disks stay, and the array's are in memory too: no load on the machine can stop them. The caller
        has its mounts to itself then: ns.private_mounts()."""
        if os.path.exists(self.dir):
            if any(m.pid() for m in (self.switch, self.array, self.client)):
                raise LabError(f"a lab is up at {self.dir}; first: lab down (or choose another: LAB_NAME=…)")
            remove(self.dir)
        if not 1 <= nodes <= len(config.NODE_NAMES):
            raise LabError(f"--nodes {nodes}: 1 to {len(config.NODE_NAMES)}")
        os.makedirs(self.dir, mode=0o755)
        self._conf = {"nodes": list(config.NODE_NAMES[:nodes]), "array": array, "build": build_dir(),
                      "wait_for_all": nodes == 2 if wait_for_all is None else wait_for_all, "token": token, "consensus": consensus, "services": services,
                      "state_kib": state_kib, "in_memory": in_memory}
        with open(os.path.join(self.dir, "lab.json"), "w", encoding="utf-8") as f:
            json.dump(self._conf, f, indent=1)
        try:
            with starting(self.dir):
                self._up()
            if wait:
                self.wait_ready()
        except BaseException:
            logs = self.keep_logs()
            remove(self.dir)
            print(f"lab: the logs of what did not come up are in {logs}", file=sys.stderr)
            raise

    def _up(self):
        self.switch.create(self._spec("switch", []))
        self.switch.start()
        net.make_switch(self.switch)
        self.client.create(self._spec("client", []))
        self._power_on("client")
        if self.conf["array"] == "lunward":
            self._make_array()
            self._power_on("array")
        for name in self.nodes:
            self._make_node(name)
        for name in self.nodes:
            self._power_on(name)

    def _spec(self, name, services, binds=None):
        path = [os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")]
        if self.conf["build"]:
            path = [os.path.join(self.conf["build"], os.path.dirname(p)) for p in PROGRAMS] + \
                   [os.path.join(self.conf["build"], "fencing")] + path
        log = os.path.join(self.dir, name, "log")
        return {"hostname": name, "services": services, "binds": {log: "/var/log", **(binds or {})},
                "env": {"PATH": ":".join(dict.fromkeys(path))}, "small_disks": {},
                "sysctl": {"net/ipv6/conf/all/accept_dad": "0", "net/ipv6/conf/default/accept_dad": "0"}}

    def program(self, path):
        """A program of ours in the build tree, else by $PATH; None if there is none."""
        built = self.conf["build"] and os.path.join(self.conf["build"], path)
        return built if built and os.access(built, os.X_OK) else shutil.which(os.path.basename(path))

    def _make_array(self):
        target = self.program("node/lunward-target")
        if not target:
            raise LabError("lunward-target is not built: run make, or bring your own array: --array iscsi://…, or none")
        d = self.array.dir
        for sub in ("disks", "state"):
            os.makedirs(os.path.join(d, sub), exist_ok=True)
            if self.conf["in_memory"]:
                mount("tmpfs", os.path.join(d, sub), "tmpfs")
        for n in range(config.ARRAY_LUNS):
            with open(os.path.join(d, "disks", f"lun{n}"), "wb") as f:
                f.truncate(config.LUN_MIB << 20)
        with open(os.path.join(d, "array.yaml"), "w", encoding="utf-8") as f:
            f.write(config.array_yaml(os.path.join(d, "disks")))
        argv = [target, "--standalone", os.path.join(d, "array.yaml"), "--state-dir", os.path.join(d, "state")]
        self.array.create(self._spec("array", [{"name": "target", "argv": argv, "restart_ms": 100}]))

    def _make_node(self, name):
        m = Machine(self.dir, name)
        services = []
        if self.conf["services"]:
            services.append({"name": "corosync", "argv": ["corosync", "-f"]})
            clusterd = self.program("cluster/lunward-clusterd")
            if clusterd:
                services.append({"name": "clusterd", "argv": [clusterd], "restart_ms": 100, "stop_s": 30})
        d = m.dir
        spec = self._spec(name, services, {os.path.join(d, "etc"): "/etc/corosync",
                                           os.path.join(d, "var-lib"): "/var/lib"})
        if self.conf["state_kib"] and not self.conf["in_memory"]:
            spec["small_disks"]["/var/lib/lunward"] = self.conf["state_kib"]
        m.create(spec)
        for sub in ("corosync", "lunward", "pacemaker"):
            os.makedirs(os.path.join(d, "var-lib", sub), exist_ok=True)
        if self.conf["state_kib"] and self.conf["in_memory"]:
            mount("tmpfs", os.path.join(d, "var-lib", "lunward"), "tmpfs", data=f"size={self.conf['state_kib']}k,mode=700")
        with open(os.path.join(d, "etc", "corosync.conf"), "w", encoding="utf-8") as f:
            f.write(config.corosync_conf(self.nodes, self.conf["token"], self.conf["consensus"],
                                         self.conf["wait_for_all"]))
        key = os.path.join(self.dir, "authkey")
        if not os.path.exists(key):
            with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as f:
                f.write(os.urandom(256))
        shutil.copy(key, os.path.join(d, "etc", "authkey"))

    def _power_on(self, name):
        m = Machine(self.dir, name)
        m.start()
        net.plug(self.switch, m, LINKS[self.role(name)], self.host(name))
        m.command("start")

    def down(self):
        remove(self.dir)
        shutil.rmtree(self.dir + ".failed", ignore_errors=True)
        if marked(self.dir):
            raise LabError(f"processes of {self.dir} are left: {marked(self.dir)}")

    def keep_logs(self):
        """Copy every log out of a lab that failed, to where somebody can read them."""
        to = os.environ.get("LAB_LOGS", self.dir + ".failed")
        shutil.rmtree(to, ignore_errors=True)
        for name in os.listdir(self.dir):
            log = os.path.join(self.dir, name, "log")
            if os.path.isdir(log):
                shutil.copytree(log, os.path.join(to, name), ignore_dangling_symlinks=True)
        return to

    # ---- life of one machine
    def kill(self, name):
        """Power loss: the cables go first, so that nothing the dying kernel says gets out."""
        m = self.machine(name)
        if not m.pid():
            raise LabError(f"{name} is down already")
        if name == "switch":
            raise LabError("the switch stays; use: lab down")
        net.set_links(self.switch, m, LINKS[self.role(name)], up=False)
        at = time.time()
        m.kill()
        return at

    def stop(self, name):
        self.machine(name).stop()

    def boot(self, name):
        self._power_on(self.machine(name).name)

    def pause(self, name):
        self.machine(name).freeze()

    def resume(self, name):
        self.machine(name).thaw()

    def cut(self, name, link=None):
        self._links(name, link, up=False)

    def heal(self, name=None, link=None):
        for n in [name] if name else [x for x in (*self.nodes, "array", "client") if Machine(self.dir, x).pid()]:
            self._links(n, link, up=True)

    def _links(self, name, link, up):
        links = LINKS[self.role(name)]
        if link and link not in links:
            raise LabError(f"{name} has no link {link}; there are: {', '.join(links)}")
        net.set_links(self.switch, self.machine(name), [link] if link else links, up)

    # ---- readiness
    def members(self, name):
        """Members that corosync on a node sees, and whether they are quorate: (n, bool)."""
        try:
            out = self.node(name).run(["corosync-quorumtool", "-s"], check=False, timeout=10).stdout
        except (LabError, subprocess.TimeoutExpired):
            return 0, False
        got = dict(line.split(":", 1) for line in out.splitlines() if ":" in line)
        return int(got.get("Nodes", "0").strip() or 0), got.get("Quorate", "").strip() == "Yes"

    def ctl(self, name, *args, check=True, timeout=30):
        """lunwardctl on a node; with --json among @args what it says, parsed (a list for events: one a line)."""
        r = self.node(name).run(["lunwardctl", *args], check=False, timeout=timeout)
        good = r.returncode == 0 or (args[0] == "status" and r.returncode == 4)      # 4: something is not served
        if check and not good:
            raise LabError(f"{name}: lunwardctl {' '.join(args)}: exit {r.returncode}\n{(r.stderr or r.stdout).strip()}")
        if "--json" not in args or not good:
            return r
        return [json.loads(x) for x in r.stdout.splitlines()] if args[0] == "events" else json.loads(r.stdout)

    def has_service(self, name, service):
        return any(s["name"] == service for s in self.machine(name).spec()["services"])

    def wait_members(self, names=None, count=None, timeout=30):
        names = names or [n for n in self.nodes if Machine(self.dir, n).pid()]
        count = count or len(names)
        for n in names:
            wait_for(lambda n=n: f"corosync on {n} sees {count} nodes (sees {self.members(n)[0]}; "
                     f"log {self.dir}/{n}/log/corosync.log)", lambda n=n: self.members(n) == (count, True), timeout)

    def wait_clusterd(self, names=None, timeout=30):
        for n in names or self.nodes:
            if Machine(self.dir, n).pid() and self.has_service(n, "clusterd"):
                wait_for(lambda n=n: f"clusterd on {n} answers:\n{self.node(n).tail('clusterd')}",
                         lambda n=n: self.ctl(n, "status", "--json", check=False).__class__ is dict, timeout, 0.1)

    def wait_ready(self):
        if not self.conf["services"]:
            return
        self.wait_members()
        self.wait_clusterd()

    # ---- configuration
    def apply(self, path=None, groups=("g1", "g2"), **options):
        """Apply a configuration: a file, or the default one with these groups (and options of cluster_yaml())."""
        text = None
        if path is None:
            text = config.cluster_yaml(self.nodes, self.conf["array"], groups, **options)
            path = os.path.join(self.dir, "cluster.yaml")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        return self.ctl(self.first_up(), "apply", os.path.abspath(path)).stdout

    def first_up(self):
        for n in self.nodes:
            if Machine(self.dir, n).pid() and not Machine(self.dir, n).frozen():
                return n
        raise LabError("no node is up")

    # ---- status
    def status(self):
        links = net.link_states(self.switch)
        machines = {}
        for name in (*self.nodes, "array", "client", "switch"):
            m = Machine(self.dir, name)
            state = "frozen" if m.frozen() else "up" if m.pid() else "down"
            if not os.path.isdir(m.dir):
                continue
            machines[name] = {"state": state, "pid": m.pid(),
                              "links": {k.partition("-")[2]: v for k, v in links.items() if k.startswith(name + "-")}}
            if state == "up":
                machines[name]["services"] = m.command("status")["services"]
            if state == "up" and name in self.nodes and self.conf["services"]:
                machines[name]["members"] = self.members(name)[0]
        return {"dir": self.dir, "build": self.conf["build"], "token": self.conf["token"], "machines": machines}


def kill_process(pid, sig=signal.SIGKILL):
    """One process of a machine, by its host pid, and nothing else."""
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, sig)
    finally:
        os.close(fd)
