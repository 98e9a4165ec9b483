# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine: a set of namespaces with a process 1 of its own (init.py).

Whatever runs in a machine is in its PID namespace, so killing process 1 ends all of it, and with the last
process go its mounts, its network namespace and the cables that end there. Nothing outlives it on the host;
the only thing to remember is one pid, kept with its start time so that a reused pid is never taken for it.
"""
import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
MARK = "LUNWARD_LAB_INIT"       # in the environment of each process 1: how `lab down` finds them after a crash
INIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "init.py")


class LabError(Exception):
    """Something an operator can understand; printed without a traceback."""


def _unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        err = ctypes.get_errno()
        raise OSError(err, f"unshare: {os.strerror(err)}")


def private_mounts():
    """What this process mounts from now on is seen by it and the machines it starts, and goes with them."""
    _unshare(CLONE_NEWNS)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None):
        raise LabError(f"cannot make mounts private: {os.strerror(ctypes.get_errno())}")


def start_time(pid):
    """Start time of a process in clock ticks since boot; None when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Machine:
    """One machine below @root (its directory). Holds no state: all of it is in the directory and the kernel."""

    def __init__(self, root, name):
        self.name = name
        self.dir = os.path.join(root, name)

    # ---- life
    def create(self, spec):
        """Write what process 1 is to do: services, private directories, environment."""
        for d in ("log", "etc", "var-lib"):
            os.makedirs(os.path.join(self.dir, d), exist_ok=True)
        self._write("spec.json", json.dumps(spec, indent=1))

    def spec(self):
        with open(os.path.join(self.dir, "spec.json"), encoding="utf-8") as f:
            return json.load(f)

    def start(self, extra_env=None):
        """Start process 1 and wait until it has made its mounts. Services are started by command("start")."""
        if self.pid():
            raise LabError(f"{self.name} is up already")
        ready, child_end = os.pipe()
        log = os.open(os.path.join(self.dir, "log", "init.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        env = dict(os.environ, **(extra_env or {}))
        env[MARK] = self.dir
        helper = os.fork()
        if helper == 0:
            try:
                self._become_init(child_end, log, env)
            except BaseException as e:  # pylint: disable=broad-except
                os.write(log, f"{e}\n".encode())
            finally:
                os._exit(1)
        os.close(child_end)
        os.close(log)
        os.waitpid(helper, 0)
        said = b""
        if select.select([ready], [], [], 20)[0]:
            said = os.read(ready, 8)
        os.close(ready)
        if said != b"ready":
            raise LabError(f"{self.name} does not start; see {self.dir}/log/init.log:\n{self.tail('init')}")

    def _become_init(self, ready, log, env):
        """In a fork: make the namespaces, fork again (that one is process 1), leave."""
        os.setsid()
        _unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET)
        if os.fork():
            os._exit(0)
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.dup2(ready, 3)
        os.set_inheritable(3, True)
        for fd in map(int, os.listdir("/proc/self/fd")):        # not closed before exec: see starting()
            if fd > 3:
                with contextlib.suppress(OSError):
                    os.set_inheritable(fd, False)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(sys.executable, [sys.executable, "-B", INIT, self.dir], env)

    def pid(self):
        """Pid of process 1 as the host sees it; None when the machine is down."""
        try:
            with open(os.path.join(self.dir, "pid"), encoding="ascii") as f:
                pid, start = map(int, f.read().split())
        except (FileNotFoundError, ValueError):
            return None
        return pid if start_time(pid) == start else None

    def kill(self):
        """End process 1 and with it everything in the machine, at once; wait until it is gone."""
        pid = self.pid()
        if pid:
            kill_and_wait(pid)

    def stop(self, timeout=30):
        """Shut down in order (services get SIGTERM and their time), then wait until it is gone."""
        pid = self.pid()
        if not pid:
            return
        fd = os.pidfd_open(pid)
        try:
            self.command("halt", timeout=timeout)
            if not select.select([fd], [], [], timeout)[0]:
                raise LabError(f"{self.name} does not halt within {timeout} s; try: lab kill {self.name}")
        finally:
            os.close(fd)

    # ---- talking to process 1
    def command(self, verb, timeout=20, **args):
        """Ask init.py for something ("start", "stop", "kill", "status", "halt"); its answer as a dict."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            try:
                s.connect(os.path.join(self.dir, "ctl"))
                s.sendall(json.dumps(dict(args, verb=verb)).encode() + b"\n")
                answer = json.loads(s.makefile().readline() or "{}")
            except (OSError, ValueError) as e:
                raise LabError(f"{self.name}: its init does not answer {verb!r} ({e})") from e
        if answer.get("error"):
            raise LabError(f"{self.name}: {answer['error']}")
        return answer

    # ---- running things inside
    def argv(self, cmd):
        pid = self.pid()
        if not pid:
            raise LabError(f"{self.name} is down")
        # nsenter waits outside for its child inside: when it is killed, so must be the child
        return ["nsenter", "-t", str(pid), "-n", "-m", "-p", "-i", "-u", "--",
                "setpriv", "--pdeathsig", "TERM"] + list(cmd)

    def env(self):
        env = dict(os.environ)
        env.update(self.spec()["env"])
        try:
            with open(os.path.join(self.dir, "boot-id"), encoding="ascii") as f:
                env["LUNWARD_BOOT_ID"] = f.read().strip()
        except FileNotFoundError:
            pass
        return env

    def run(self, cmd, check=True, timeout=60, **kw):
        """Run a command in the machine and wait; stdout and stderr as text."""
        r = subprocess.run(self.argv(cmd), env=self.env(), text=True, stdin=kw.pop("stdin", subprocess.DEVNULL),
                           capture_output=True, timeout=timeout, check=False, **kw)
        if check and r.returncode:
            raise LabError(f"{self.name}: {' '.join(cmd)}: exit {r.returncode}\n{(r.stderr or r.stdout).strip()}")
        return r

    def popen(self, cmd, **kw):
        return subprocess.Popen(self.argv(cmd), env=self.env(), **kw)

    # ---- its processes
    def processes(self):
        """Every process of the machine: {host pid: argv}, process 1 first."""
        first = self.pid()
        if not first:
            return {}
        ns = os.readlink(f"/proc/{first}/ns/pid")
        found = {first: ["init"]}
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == first:
                continue
            try:
                if os.readlink(f"/proc/{name}/ns/pid") != ns:
                    continue
                with open(f"/proc/{name}/cmdline", "rb") as f:
                    argv = f.read().decode(errors="replace").split("\0")[:-1]
            except OSError:
                continue
            if argv:
                found[int(name)] = argv
        return found

    def pids_of(self, program, *words):
        """Host pids of a program in this machine, all of @words being among its arguments."""
        return [p for p, argv in self.processes().items()
                if os.path.basename(argv[0]).removeprefix("lt-") == program and all(w in argv for w in words)]

    def freeze(self):
        """SIGSTOP to every process; process 1 first, again until none is new. The kernel goes on answering."""
        seen = set()
        while True:
            new = [p for p in self.processes() if p not in seen]
            if not new:
                return
            for p in new:
                signal_pid(p, signal.SIGSTOP)
            seen.update(new)

    def thaw(self):
        for p in reversed(list(self.processes())):
            signal_pid(p, signal.SIGCONT)

    def frozen(self):
        pid = self.pid()
        if not pid:
            return False
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] in "Tt"

    # ---- files
    def _write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def tail(self, service, lines=12):
        try:
            with open(os.path.join(self.dir, "log", service + ".log"), encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except FileNotFoundError:
            return ""


def signal_pid(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def kill_and_wait(pid, timeout=20):
    """SIGKILL and wait for the end; by pidfd, so that no other process can be hit."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        if not select.select([fd], [], [], timeout)[0]:
            raise LabError(f"process {pid} does not die within {timeout} s")
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def marked(root):
    """Pids of every process 1 of the lab at @root, also of those whose pid file was never written."""
    want = f"{MARK}={root}/".encode()
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/environ", "rb") as f:
                if name.isdigit() and any(v.startswith(want) for v in f.read().split(b"\0")):
                    found.append(int(name))
        except OSError:
            continue
    return found


@contextlib.contextmanager
def starting(root):
    """While machines are being started: a lock that a fork keeps until it is a marked process 1, or is dead."""
    with open(os.path.join(root, "starting"), "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _wait_started(root):
    """Whoever started machines here has ended, or was killed: what is not marked by now never will be."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        with open(os.path.join(root, "starting"), encoding="ascii") as f:
            fcntl.flock(f, fcntl.LOCK_EX)


def _unmount(root):
    """Disks of the nodes that were mounted outside of them."""
    with open("/proc/self/mounts", encoding="utf-8") as f:
        inside = [line.split()[1] for line in f if line.split()[1].startswith(root + "/")]
    libc = ctypes.CDLL(None, use_errno=True)
    for path in inside:
        libc.umount2(path.encode(), 2)          # MNT_DETACH


def remove(root):
    """Everything of the lab at @root: its machines, then its directory."""
    _wait_started(root)
    for pid in marked(root):
        kill_and_wait(pid)
    _unmount(root)
    shutil.rmtree(root, ignore_errors=True)


def wait_for(what, condition, timeout=30, every=0.05):
    """Await a condition (a function); its value once true. @what: for the message, a string or a function."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(every)
