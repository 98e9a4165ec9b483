# SPDX-License-Identifier: GPL-2.0-or-later
"""One guest: a QEMU process with a serial log, a monitor, and an agent that runs scripts.

A guest is a folder: its pid, its sockets, its console. It is cabled into a lab's networks by taps that are ports of
the lab's switch; QEMU itself runs in the switch's network namespace and nowhere else does it touch a network.
"""
import base64
import hashlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

from .error import VmError

QEMU = "qemu-system-x86_64"
BOOT_S = 120            # under emulation, on a busy machine


def mac_of(name, net):
    """The same for each start of a guest of that name."""
    return "02:4c:58:" + ":".join(f"{b:02x}" for b in hashlib.sha256(f"{name} {net}".encode()).digest()[:3])


class Guest:
    def __init__(self, root, name):
        self.name = name
        self.dir = os.path.join(root, name)
        self.proc = None
        self._agent = None
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting = {}
        self._ready = threading.Event()

    def path(self, name):
        return os.path.join(self.dir, name)

    # ---- power
    def start(self, image, nics=(), memory_mib=384, disks=(), switch_pid=None, append="", extra=(),
              stays=False, over=None):
        """Power on and wait for the agent. @nics: (bridge of the switch, MAC, address/len) each; @over: overlay();
        @stays: outlives us."""
        os.makedirs(self.dir, exist_ok=True)
        argv = ["-kernel", os.path.join(image, "vmlinuz"), "-initrd", self._initrd(image, over),
                "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={self.path('agent')},server=on,wait=off",
                "-device", "virtserialport,chardev=agent,name=lunward",
                "-append", " ".join(["console=ttyS0 quiet panic=-1 no_timer_check mitigations=off net.ifnames=0 random.trust_cpu=on",
                                     f"lunward.host={self.name}",
                                     "lunward.addr=" + ",".join(a for _, _, a in nics), append])]
        for i, d in enumerate(disks):
            argv += ["-drive", f"if=none,id=d{i},file={d},format=raw,cache=none", "-device", f"virtio-blk-pci,drive=d{i}"]
        self._power_on(argv + list(extra), nics, memory_mib, switch_pid, stays)
        self._connect()
        return self

    def _power_on(self, argv, nics, memory_mib, switch_pid, stays=False):
        """Start QEMU with what all guests have, and @argv."""
        os.makedirs(self.dir, exist_ok=True)
        for stale in ("agent", "qmp", "console"):
            if os.path.exists(self.path(stale)):
                os.unlink(self.path(stale))
        argv = [QEMU, "-M", "q35,graphics=off", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1",
                "-m", str(memory_mib), "-nodefaults", "-display", "none", "-no-reboot",
                "-serial", "file:" + self.path("console"), "-qmp", f"unix:{self.path('qmp')},server=on,wait=off", *argv]
        for i, (bridge, mac, _) in enumerate(nics):
            tap = f"{self.name}-{bridge}"[:15]
            self._tap(switch_pid, tap, bridge)
            argv += ["-netdev", f"tap,id=n{i},ifname={tap},script=no,downscript=no",
                     "-device", f"virtio-net-pci,netdev=n{i},mac={mac},romfile="]
        if not stays:
            argv = ["setpriv", "--pdeathsig", "KILL", "--"] + argv
        if switch_pid:
            argv = ["nsenter", "-t", str(switch_pid), "-n", "--"] + argv
        with open(self.path("qemu.log"), "ab") as log:
            self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=stays)
        with open(self.path("pid"), "w", encoding="ascii") as f:
            f.write(str(self.proc.pid))

    def attach(self):
        """To a guest that another process has started."""
        try:
            with open(self.path("pid"), encoding="ascii") as f:
                self.proc = _Foreign(int(f.read()), self.dir)
        except (FileNotFoundError, ValueError):
            raise VmError(f"no guest {self.name}; start one: vm up {self.name}") from None
        if self.proc.poll() is not None:
            raise VmError(f"{self.name} is off")
        self._connect()
        return self

    def _initrd(self, image, over):
        base = os.path.join(image, "initrd")
        if not over:
            return base
        with open(self.path("initrd"), "wb") as f:
            for part in (base, over):
                with open(part, "rb") as src:
                    shutil.copyfileobj(src, f)
        return self.path("initrd")

    @staticmethod
    def _tap(switch_pid, tap, bridge):
        if not switch_pid:
            raise VmError("a network card needs a lab's switch")
        ns = ["nsenter", "-t", str(switch_pid), "-n", "--", "ip"]
        subprocess.run(ns + ["link", "del", tap], capture_output=True, check=False)
        for words in (["tuntap", "add", "dev", tap, "mode", "tap"], ["link", "set", tap, "master", bridge, "up"]):
            r = subprocess.run(ns + words, text=True, capture_output=True, check=False)
            if r.returncode:
                raise VmError(f"{tap}: {r.stderr.strip()}")

    def console(self, lines=25):
        try:
            with open(self.path("console"), errors="replace", encoding="utf-8") as f:
                return "".join(f.readlines()[-lines:])
        except FileNotFoundError:
            return ""

    def _died(self):
        with open(self.path("qemu.log"), errors="replace", encoding="utf-8") as f:
            return f"{self.name}: QEMU ended ({self.proc.returncode}): {f.read()[-500:].strip()}\n{self.console()}"

    def _connect(self):
        end = time.monotonic() + BOOT_S
        self._agent = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._agent.connect(self.path("agent"))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if self.proc.poll() is not None:
                    raise VmError(self._died()) from None
                time.sleep(0.02)
        threading.Thread(target=self._read, args=(self._agent,), daemon=True).start()
        while not self._ready.wait(0.1):
            if self.proc.poll() is not None:
                raise VmError(self._died())
            if time.monotonic() > end:
                raise VmError(f"{self.name}: no agent within {BOOT_S} s; its console:\n{self.console()}")

    def kill(self):
        """Power loss. Its taps lose carrier with it."""
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        if self._agent:
            self._agent.close()

    def power_off(self):
        """kill() by whoever has not started it."""
        try:
            with open(self.path("pid"), encoding="ascii") as f:
                proc = _Foreign(int(f.read()), self.dir)
        except (FileNotFoundError, ValueError):
            return
        proc.kill()
        proc.wait()

    def off(self, timeout=30):
        """Power off in order: what is mounted is the script's business."""
        self.post("poweroff -f")
        try:
            self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            raise VmError(f"{self.name} does not power off") from None
        self._agent.close()

    def pause(self):
        """A frozen host: not even its kernel answers."""
        self._monitor("stop")

    def resume(self):
        self._monitor("cont")

    def _monitor(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(self.path("qmp"))
            f = s.makefile("rw", encoding="utf-8")
            f.readline()
            for verb in ("qmp_capabilities", command):
                f.write(json.dumps({"execute": verb}) + "\n")
                f.flush()
                while True:
                    answer = json.loads(f.readline())
                    if "error" in answer:
                        raise VmError(f"{self.name}: {verb}: {answer['error']['desc']}")
                    if "return" in answer:
                        break

    # ---- scripts
    def _read(self, sock):
        rest = b""
        while True:
            try:
                data = sock.recv(65536)
            except OSError:
                return
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(line.decode(errors="replace").split(" "))

    def _take(self, words):
        if words[0] == "ready":
            self._ready.set()
        elif words[0] == "out" and len(words) == 3:
            job = self._waiting.get(words[1])
            if job:
                job.add(base64.b64decode(words[2]))
        elif words[0] == "end" and len(words) == 3:
            job = self._waiting.pop(words[1], None)
            if job:
                job.end(int(words[2] or 255))

    def post(self, script, on_line=None):
        """Start a script; a Job to wait for."""
        job = Job(self, script, on_line)
        ident = str(next(self._ids))
        self._waiting[ident] = job
        with self._lock:
            self._agent.sendall(f"run {ident} {base64.b64encode(script.encode()).decode()}\n".encode())
        return job

    def run(self, script, timeout=120, check=True):
        """Run a script in the guest. Return: its output, lines."""
        return self.post(script).wait(timeout, check)


class _Foreign:
    """A QEMU that is not our child, as far as Guest needs it; its command line names its folder."""

    def __init__(self, pid, directory):
        self.pid, self.directory, self.returncode = pid, directory, None

    def poll(self):
        try:
            with open(f"/proc/{self.pid}/cmdline", "rb") as f:
                alive = self.directory.encode() in f.read()
        except OSError:
            alive = False
        self.returncode = None if alive else 0
        return self.returncode

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout=20):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("qemu", timeout)
            time.sleep(0.02)


class Job:
    def __init__(self, guest, script, on_line):
        self.guest, self.script, self.on_line = guest, script, on_line
        self.lines = []
        self.status = None
        self._rest = b""
        self._done = threading.Event()

    def add(self, piece):
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._line(line.decode(errors="replace"))

    def _line(self, line):
        self.lines.append((time.time(), line))
        if self.on_line:
            self.on_line(line)

    def end(self, status):
        if self._rest:
            self._line(self._rest.decode(errors="replace"))
        self.status = status
        self._done.set()

    @property
    def text(self):
        return "\n".join(line for _, line in self.lines)

    def wait(self, timeout=120, check=True):
        end = time.monotonic() + timeout
        while not self._done.wait(0.2):
            if self.guest.proc.poll() is not None:
                raise VmError(self.guest._died())
            if time.monotonic() > end:
                raise VmError(f"{self.guest.name}: not done within {timeout} s: {self.script.strip()[:200]}\n{self.text[-1500:]}\n"
                              f"console:\n{self.guest.console()}")
        if check and self.status:
            raise VmError(f"{self.guest.name}: exit {self.status}: {self.script.strip()[:300]}\n{self.text[-2000:]}")
        return self.text
