# SPDX-License-Identifier: GPL-2.0-or-later
"""A diskless machine: QEMU's network card with iPXE in its ROM, which boots from a LUN.

Its first card gets an address and a script from QEMU itself (DHCP, TFTP); its second is cabled to the lab.
"""
import os
import struct
import subprocess

from lablib.ns import wait_for

from .error import VmError
from .guest import Guest, mac_of

MEMORY_MIB = 256        # iPXE does not come up in 64
PIECES, PIECE = 512, 64 * 512          # as boot-sector.S has them
DOTS = PIECES // 16
HERE = os.path.dirname(os.path.abspath(__file__))


def make_disk(path, work):
    """Write boot-sector.S and what it reads to the start of a disk. Return: what it must say."""
    obj, sector = os.path.join(work, "boot.o"), os.path.join(work, "boot.bin")
    for argv in (["gcc", "-c", "-o", obj, os.path.join(HERE, "..", "boot-sector.S")],
                 ["ld", "-m", "elf_i386", "--oformat=binary", "-Ttext=0x7c00", "-o", sector, obj]):
        if obj in argv[-2:] and argv[0] == "gcc":
            argv.insert(1, "-m32")
        r = subprocess.run(argv, text=True, capture_output=True, check=False)
        if r.returncode:
            raise VmError(f"{argv[0]}: {r.stderr.strip()}")
    data = os.urandom(PIECES * PIECE)
    with open(path, "r+b") as disk, open(sector, "rb") as boot:
        disk.write(boot.read())
        disk.seek(64 * 512)
        disk.write(data)
        os.fsync(disk.fileno())
    total = sum(struct.unpack(f"<{len(data) // 4}I", data)) & 0xffffffff
    return f"sum {total:08x}"


class Diskless(Guest):
    def boot(self, bench, address, portal, iqn):
        """Power on; boot LUN 0 of a target."""
        tftp = self.path("tftp")
        os.makedirs(tftp, exist_ok=True)
        with open(os.path.join(tftp, "boot.ipxe"), "w", encoding="ascii") as f:
            f.write(f"""#!ipxe
set initiator-iqn iqn.2010-04.org.ipxe:{self.name}
set net1/ip {address}
set net1/netmask 255.255.255.0
ifopen net1
sanboot --keep iscsi:{portal}::3260:0:{iqn}
""")
        bench.closing.append(self.kill)
        self._power_on(["-netdev", f"user,id=boot,tftp={tftp},bootfile=boot.ipxe,restrict=on",
                        "-device", "virtio-net-pci,netdev=boot,bootindex=1"],
                       [("client", mac_of(self.name, "client"), None)], MEMORY_MIB, bench.lab.switch.pid())
        return self

    def said(self):
        """What came over its serial line, the firmware's words included."""
        if self.proc.poll() is not None:
            raise VmError(self._died())
        return self.console(1000)

    def dots(self):
        """How far the boot sector is."""
        return self.said().partition("Booting from SAN device")[2].count(".")

    def wait(self, what, condition, timeout=240):
        def look():
            text = self.said()
            if "\nerror " in text:
                raise VmError(f"{self.name}: {text[-300:]}")
            return condition()
        wait_for(lambda: f"{self.name}: {what}; it says {self.said()[-800:]}", look, timeout, 0.02)
