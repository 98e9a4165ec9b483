# SPDX-License-Identifier: GPL-2.0-or-later
"""Process 1 of a machine: makes its mounts, reaps, and plays systemd for its services.

Started by ns.py in fresh namespaces with the machine's directory as argument and fd 3 to say "ready" on.
It then does what comes in on the socket DIR/ctl, one JSON object a line:
  start [service]   start one or all services
  stop  [service]   SIGTERM to the service's main process only (KillMode=process), SIGKILL after its time
  kill service sig  signal to the main process; the restart policy applies (Restart=always)
  status            what runs
  halt              stop the services in reverse order, then everything else, then exit
A service's children outlive it (KillMode=process); they become ours and are reaped here.
"""
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import uuid

MS_RDONLY, MS_BIND, MS_REC, MS_PRIVATE = 1, 4096, 16384, 1 << 18


def mount(source, target, fstype, flags=0, data=None):
    libc = ctypes.CDLL(None, use_errno=True)
    enc = [x.encode() if x else None for x in (source, target, fstype)]
    if libc.mount(*enc, ctypes.c_ulong(flags), data.encode() if data else None):
        err = ctypes.get_errno()
        raise OSError(err, f"mount {target}: {os.strerror(err)}")


class Service:
    def __init__(self, name, argv, restart_ms=None, stop_s=15):
        self.name, self.argv, self.restart_ms, self.stop_s = name, argv, restart_ms, stop_s
        self.pid = None
        self.wanted = False
        self.starts = 0
        self.due = None             # monotonic time of the next restart
        self.last_exit = None


class Init:
    def __init__(self, directory):
        self.dir = directory
        self.claim()
        with open(os.path.join(directory, "spec.json"), encoding="utf-8") as f:
            self.spec = json.load(f)
        self.env = {k: v for k, v in os.environ.items() if k != "LUNWARD_LAB_INIT"}
        self.env.update(self.spec["env"])
        self.env["LUNWARD_BOOT_ID"] = str(uuid.uuid4())
        self.services = {s["name"]: Service(**s) for s in self.spec["services"]}
        self.halting = False

    def claim(self):
        """Say who we are, before anything else: pid and start time as the host sees them."""
        pid = os.readlink("/proc/self")        # the host's /proc is still mounted here
        with open("/proc/self/stat", encoding="ascii", errors="replace") as f:
            start = f.read().rpartition(")")[2].split()[19]
        path = os.path.join(self.dir, "pid")
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(f"{pid} {start}\n")
        os.rename(path + ".new", path)

    def setup(self):
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        socket.sethostname(self.spec["hostname"])
        for src, dst in self.spec["binds"].items():
            mount(src, dst, None, MS_BIND | MS_REC)
        mount("tmpfs", "/run", "tmpfs", data="mode=755")
        mount("tmpfs", "/dev/shm", "tmpfs", data="mode=1777")
        mount("proc", "/proc", "proc")
        for path, kib in self.spec["small_disks"].items():
            mount("tmpfs", path, "tmpfs", data=f"size={kib}k,mode=700")
        for path, value in self.spec["sysctl"].items():
            with open(os.path.join("/proc/sys", path), "w", encoding="ascii") as f:
                f.write(value)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with open(os.path.join(self.dir, "boot-id"), "w", encoding="ascii") as f:
            f.write(self.env["LUNWARD_BOOT_ID"])

    # ---- services
    def start(self, s):
        s.wanted, s.due = True, None
        if s.pid:
            return
        log = os.open(os.path.join(self.dir, "log", s.name + ".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.dup2(log, 1)
                os.dup2(log, 2)
                os.closerange(3, 256)
                os.execvpe(s.argv[0], s.argv, self.env)
            except OSError as e:
                os.write(2, f"{s.argv[0]}: {e.strerror}\n".encode())
            finally:
                os._exit(127)
        os.close(log)
        s.pid = pid
        s.starts += 1

    def stop(self, s):
        s.wanted, s.due = False, None
        if s.pid:
            os.kill(s.pid, signal.SIGTERM)
            if not self.wait_gone(s, s.stop_s):
                os.kill(s.pid, signal.SIGKILL)
                self.wait_gone(s, 5)

    def wait_gone(self, s, seconds):
        end = time.monotonic() + seconds
        while s.pid and time.monotonic() < end:
            select.select([self.wake], [], [], max(0, end - time.monotonic()))
            self.reap()
        return not s.pid

    def reap(self):
        try:
            os.read(self.wake, 4096)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for s in self.services.values():
                if s.pid == pid:
                    self.ended(s, os.waitstatus_to_exitcode(status))

    def ended(self, s, code):
        print(f"{time.time():.3f} {s.name} (pid {s.pid}) ended: {code}", flush=True)
        s.pid, s.last_exit = None, code
        if s.wanted and s.restart_ms is not None and not self.halting:
            s.due = time.monotonic() + s.restart_ms / 1000

    # ---- commands
    def do(self, req):
        verb, name = req.get("verb"), req.get("service")
        if name and name not in self.services:
            return {"error": f"no service {name}; there are: {', '.join(self.services) or 'none'}"}
        chosen = [self.services[name]] if name else list(self.services.values())
        if verb == "start":
            for s in chosen:
                self.start(s)
        elif verb == "stop":
            for s in reversed(chosen):
                self.stop(s)
        elif verb == "kill":
            if not name or not chosen[0].pid:
                return {"error": f"{name or 'service'} is not running"}
            os.kill(chosen[0].pid, req.get("sig", signal.SIGKILL))
        elif verb == "halt":
            self.halting = True
        elif verb != "status":
            return {"error": f"unknown verb {verb}"}
        return {"services": {s.name: {"pid": s.pid, "starts": s.starts, "exit": s.last_exit}
                             for s in self.services.values()}}

    def halt(self):
        for s in reversed(list(self.services.values())):
            self.stop(s)
        for sig, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 2)):
            try:
                os.kill(-1, sig)
            except ProcessLookupError:
                break
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                try:
                    if os.waitpid(-1, os.WNOHANG) == (0, 0):
                        time.sleep(0.01)
                except ChildProcessError:
                    return

    def serve(self):
        r, w = os.pipe()
        for fd in (r, w):
            os.set_blocking(fd, False)
        self.wake = r
        signal.set_wakeup_fd(w, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        path = os.path.join(self.dir, "ctl")
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
            sock.listen(8)
            os.write(3, b"ready")
            os.close(3)
            while not self.halting:
                self.once(sock)
            self.halt()

    def once(self, sock):
        now = time.monotonic()
        due = [s.due for s in self.services.values() if s.due is not None]
        ready, _, _ = select.select([sock, self.wake], [], [], max(0, min(due) - now) if due else None)
        if self.wake in ready:
            self.reap()
        for s in self.services.values():
            if s.due is not None and s.due <= time.monotonic():
                self.start(s)
        if sock in ready:
            conn, _ = sock.accept()
            with conn:
                conn.settimeout(5)
                try:
                    answer = self.do(json.loads(conn.makefile().readline() or "{}"))
                    conn.sendall(json.dumps(answer).encode() + b"\n")
                except (OSError, ValueError) as e:
                    print(f"ctl: {e}", flush=True)


if __name__ == "__main__":
    init = Init(sys.argv[1])
    init.setup()
    init.serve()
