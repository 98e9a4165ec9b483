# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that is an array: the kernel's own target (LIO), configured through configfs.

One target, one portal group an address, so that each path is a target port of its own (LIO tells initiator ports apart
by the first half of the ISID only). Each LUN is a file in the guest's memory; write cache off, thin.
"""
from .guest import Guest, mac_of
from .image import image

IQN = "iqn.2026-11.org.example:lio"

SETUP = """set -e
modprobe -a configfs target_core_mod target_core_file iscsi_target_mod
mount -t configfs none /sys/kernel/config 2>/dev/null || true
mkdir -p /var/target/pr /disks && mount -t tmpfs disks /disks
cd /sys/kernel/config/target
for n in $(seq 0 {last}); do
	truncate -s {mib}M /disks/$n
	mkdir -p core/fileio_0/lun$n
	echo "fd_dev_name=/disks/$n,fd_dev_size=$(({mib} << 20))" > core/fileio_0/lun$n/control
	echo "lio-lun-$n" > core/fileio_0/lun$n/wwn/vpd_unit_serial
	echo 1 > core/fileio_0/lun$n/enable
done
tag=1
for ip in {addresses}; do
	t=iscsi/{iqn}/tpgt_$tag
	mkdir -p $t/np/$ip:3260
	for n in $(seq 0 {last}); do
		mkdir -p $t/lun/lun_$n
		ln -s /sys/kernel/config/target/core/fileio_0/lun$n $t/lun/lun_$n/disk
	done
	for i in {initiators}; do
		mkdir -p $t/acls/$i
		for n in $(seq 0 {last}); do
			mkdir -p $t/acls/$i/lun_$n
			ln -s /sys/kernel/config/target/$t/lun/lun_$n $t/acls/$i/lun_$n/disk
		done
	done
	echo 0 > $t/attrib/authentication
	echo 1 > $t/enable
	tag=$((tag + 1))
done
"""


class Lio:
    """Two portals, the SAN's 198.51.100.20 and .21."""
    ADDRESSES = ("198.51.100.20", "198.51.100.21")

    def __init__(self, bench, initiators, luns=1, mib=16):
        self.guest = Guest(bench.lab.dir, "lio")
        bench.closing.append(self.guest.kill)
        self.guest.start(image(), [("san", mac_of("lio", "san"), self.ADDRESSES[0] + "/24")],
                         switch_pid=bench.lab.switch.pid())
        self.guest.run(f"ip addr add {self.ADDRESSES[1]}/24 dev eth0\n" + SETUP.format(
            last=luns - 1, mib=mib, addresses=" ".join(self.ADDRESSES), iqn=IQN, initiators=" ".join(initiators)))
