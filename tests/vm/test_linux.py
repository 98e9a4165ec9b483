# SPDX-License-Identifier: GPL-2.0-or-later
"""The Linux initiator as Debian ships it, and what a failover looks like from there."""
from lablib import config
from lablib.bench import main, test
from vmlib.events import moved, node_killed, target_killed, under_load
from vmlib.linux import Linux

IQN, PORTAL = config.group_iqn("g1"), config.portal("g1")


def mounted(b):
    """A file system of the guest's on the group's first LUN."""
    b.up()
    linux = Linux(b).login(PORTAL, IQN, 2)
    disk = linux.disk(0)
    linux.run(f"mkfs.ext4 -q {disk} && mount {disk} /mnt")
    return linux, disk


def whole(linux, disk):
    """The file system is sound, and the kernel had nothing to complain of."""
    linux.run(f"umount /mnt && fsck.ext4 -fn {disk}")
    errors = linux.kernel_errors()
    assert not errors, "the kernel says: " + "; ".join(errors[:5])


@test()
def linux_smoke(b):
    """One of each: what `runtests` has time for."""
    linux, disk = mounted(b)
    b.figures["events"] = {what.__name__: round(under_load(b, linux, what, "/mnt/data")) for what in (moved, target_killed, node_killed)}
    whole(linux, disk)
    b.figures["rounds"] += 1


COMMANDS = """set -e
a={a} b={b}
tag() {{ head -c $2 /dev/zero | tr '\\0' "$1"; }}
sg() {{ echo /dev/$(ls /sys/block/${{1##*/}}/device/scsi_generic); }}
same() {{ cmp "$1" "$2" || {{ echo "$3: differs"; exit 1; }}; }}
tag A 4096 >/tmp/A; tag B 4096 >/tmp/B; cat /tmp/A /tmp/B >/tmp/AB; head -c 4096 /dev/zero >/tmp/Z
dd if=/tmp/A of=$a bs=4096 count=1 seek=100 oflag=direct 2>/dev/null
sg_compare_and_write --in=/tmp/AB --lba=$((100 * 8)) --num=8 --xferlen=8192 $a
dd if=$a bs=4096 count=1 skip=100 iflag=direct 2>/dev/null >/tmp/got; same /tmp/got /tmp/B sg_compare_and_write
sg_compare_and_write --in=/tmp/AB --lba=$((100 * 8)) --num=8 --xferlen=8192 $a 2>/tmp/err && exit 1
grep -qi miscompare /tmp/err
sg_write_same --10 --lba=$((200 * 8)) --num=64 --in=/tmp/A --xferlen=512 $a
dd if=$a bs=4096 count=1 skip=207 iflag=direct 2>/dev/null >/tmp/got; same /tmp/got /tmp/A sg_write_same
sg_xcopy if=$(sg $a) of=$(sg $b) bs=512 skip=$((100 * 8)) seek=0 count=8 list_id=1 >/dev/null
dd if=$b bs=4096 count=1 iflag=direct 2>/dev/null >/tmp/got; same /tmp/got /tmp/B sg_xcopy
[ $(cat /sys/block/${{a##*/}}/queue/discard_max_bytes) -gt 0 ]
blkdiscard -o $((100 * 4096)) -l 4096 $a
dd if=$a bs=4096 count=1 skip=100 iflag=direct 2>/dev/null >/tmp/got; same /tmp/got /tmp/Z blkdiscard
sg_unmap --lba=$((200 * 8)) --num=64 --force $a
dd if=$a bs=4096 count=1 skip=207 iflag=direct 2>/dev/null >/tmp/got; same /tmp/got /tmp/Z sg_unmap
sg_get_lba_status --lba=0 $a
sg_verify --lba=0 --count=64 $a
sg_readcap --16 $a
for page in 0 0x80 0x83 0xb0 0xb1 0xb2; do sg_vpd --page=$page $a; done
sg_opcodes $a
sg_modes $a
sg_logs --all $a
sg_rtpg $a
sg_luns $a
sg_turs $a
"""


@test()
def linux_commands(b):
    """sg3-utils and blkdiscard on two LUNs of ours: what they write is there, and the kernel has nothing to complain of."""
    b.up()
    linux = Linux(b).login(PORTAL, IQN, 2)
    text = linux.run(COMMANDS.format(a=linux.disk(0), b=linux.disk(1)))
    for word in ("Compare and write", "Extended copy", "Unmap", "NAA", "Persistent reserve"):
        assert word.lower() in text.lower(), f"no {word} in what the tools say: {text[-1500:]}"
    errors = linux.kernel_errors()
    assert not errors, "the kernel says: " + "; ".join(errors[:5])
    b.figures["rounds"] += 1


def rounds_of(b, what):
    linux, disk = mounted(b)
    for _ in range(b.rounds):
        under_load(b, linux, what, "/mnt/data")
        b.figures["rounds"] += 1
    whole(linux, disk)


@test(rounds=5)
def linux_node_killed(b):
    rounds_of(b, node_killed)


@test(rounds=5)
def linux_target_killed(b):
    rounds_of(b, target_killed)


@test(rounds=5)
def linux_group_move(b):
    rounds_of(b, moved)


if __name__ == "__main__":
    main()
