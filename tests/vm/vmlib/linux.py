# SPDX-License-Identifier: GPL-2.0-or-later
"""A stock Linux initiator in a guest: open-iscsi with Debian's configuration, disks by their numbers."""
import re

from lablib.ns import LabError, wait_for

from .guest import Guest, mac_of
from .image import image

MAPPER_S = 30           # multipathd is slow under emulation

# What the kernel may say when a target is moved under it; anything else at level err or above is our doing.
EXPECTED = re.compile(r"detected conn error|Power-on or device reset|Capacity data has changed|Inquiry data has changed|"
                      r"REPORTED LUNS DATA HAS CHANGED|ping timeout of|random: |ACPI|MSR|RETBleed|Spectre|x86/cpu|"
                      r"MP-BIOS bug|self-detected stall|soft lockup")  # the last line: what an emulator that has to wait does


def initiator(name):
    """A name as Debian's package makes it."""
    return f"iqn.1993-08.org.debian:01:{name}"


class Linux:
    def __init__(self, bench, name="linux", nics=(("client", "192.0.2.200/24"),), over=None, made_of=None, memory=384):
        """@made_of: image()'s arguments."""
        self.bench, self.name = bench, name
        self.guest = Guest(bench.lab.dir, name)
        bench.closing.append(self.guest.kill)
        self.guest.start(image(**(made_of or {})), [(net, mac_of(name, net), addr) for net, addr in nics],
                         memory, switch_pid=bench.lab.switch.pid(), over=over)
        self.run(f"""echo InitiatorName={initiator(name)} > /etc/iscsi/initiatorname.iscsi
modprobe -a iscsi_tcp sd_mod sg ext4
iscsid""")

    def run(self, script, timeout=180, check=True):
        return self.guest.run(script, timeout, check)

    def login(self, portal, iqn, disks):
        """Discover, log in, wait for so many disks."""
        self.run(f"""iscsiadm -m discovery -t sendtargets -p {portal}
iscsiadm -m node -T {iqn} -p {portal} --login
until [ $(ls -d /sys/class/iscsi_session/session*/device/target*/*/block/* 2>/dev/null | wc -l) -ge {disks} ]; do usleep 20000; done
dmesg -n 1""")
        return self

    def multipath(self, portals, iqn, luns, options=""):
        """udev and multipathd with their defaults (and @options), a session a portal. Return: the map of each LUN."""
        self.run(f"""modprobe -a dm_mod dm_multipath dm_service_time
[ -z "{options}" ] || printf 'defaults {{\\n{options}\\n}}\\n' >/etc/multipath.conf
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add && udevadm settle
multipathd""")
        for n, portal in enumerate(portals):
            self.login(portal, iqn, luns * (n + 1))
        said = self.run(f"""udevadm settle
for lun in $(seq 0 {luns - 1}); do
	for d in /sys/class/iscsi_session/session*/device/target*/*:$lun/block/*; do multipath -a /dev/${{d##*/}} >/dev/null; done
	multipath /dev/${{d##*/}} >/dev/null
	map=$(udevadm info --query=property --property=ID_SERIAL --value /dev/${{d##*/}})
	n={MAPPER_S * 10}
	until [ "$(multipathd show map $map topology 2>/dev/null | grep -c 'active ready')" = {len(portals)} ]; do
		n=$((n - 1)); [ $n -gt 0 ] || {{ multipathd show topology; exit 1; }}
		usleep 100000
	done
	echo /dev/mapper/$map
done""", timeout=300)
        return [line for line in said.splitlines() if line.startswith("/dev/mapper/")]

    def disk(self, lun):
        """The device of a LUN."""
        return "/dev/" + self.run(f"ls /sys/class/iscsi_session/session*/device/target*/*:{lun}/block").split()[-1]

    def load(self, path, blocks=256, seconds=600):
        """guest-io on a disk or file; returns once it runs."""
        job = self.guest.post(f"echo $$ >/run/load.pid; exec guest-io {path} {blocks} {seconds}")
        self.wait_ticks(job, 0.0, 1)
        return job

    @staticmethod
    def wait_ticks(job, after, n, timeout=120):
        """Until operations have completed in @n different seconds after a time."""
        def enough():
            if job.status is not None:
                raise LabError(f"the load ended: {job.text[-1000:]}")
            return sum(t > after and line.startswith("tick") for t, line in list(job.lines)) >= n
        wait_for(lambda: f"the load to go on; it said {job.text[-300:]}", enough, timeout)

    def stop_load(self, job):
        """End it. Return: (longest pause in ms, operations); raises when anything was lost or failed."""
        self.run("kill -TERM $(cat /run/load.pid)")
        text = job.wait(300)
        m = re.search(r"ended ops (\d+) verified (\d+) gap_us (\d+)", text)
        assert m and int(m[2]), text
        return int(m[3]) / 1000, int(m[1])

    def kernel_errors(self):
        """Lines of level err or worse that nobody expects."""
        lines = re.findall(r"^<([0-3])>(.*)$", self.run("dmesg -r | grep '^<[0-3]>' || true"), re.M)
        return [line for _, line in lines if not EXPECTED.search(line)]
