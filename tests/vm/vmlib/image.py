# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's kernel and initramfs, made of Debian packages alone.

apt resolves and downloads into an empty system (its own status file, its own archive folder), dpkg unpacks, nothing
is configured or run. What a guest never needs is left out; of the kernel's modules only those in MODULES and what they
depend on are kept. The result is cached by the list of package versions and of the files below.
"""
import glob
import hashlib
import os
import shutil
import stat
import subprocess

from .error import VmError

# What guests run. No recommends: what a package needs comes with it.
PACKAGES = ("busybox-static", "kmod", "iproute2", "open-iscsi", "sg3-utils", "multipath-tools", "e2fsprogs", "xfsprogs",
            "util-linux", "linux-image-cloud-amd64")
MODULES = ("virtio_pci", "virtio_net", "virtio_console", "iscsi_tcp", "sd_mod", "sg", "ext4", "xfs", "crc32c_generic",
           "crc32c_intel", "dm_mod", "dm_multipath", "dm_round_robin", "dm_service_time", "target_core_mod",
           "target_core_file", "target_core_iblock", "iscsi_target_mod", "loop", "ipv6")
# Paths of the unpacked system that guests do without.
UNWANTED = ("usr/share/*", "usr/include", "usr/lib/python3*", "usr/lib/*/perl*", "usr/lib/x86_64-linux-gnu/libicudata*",
            "usr/lib/x86_64-linux-gnu/libicu*", "usr/lib/x86_64-linux-gnu/gconv", "usr/bin/perl*", "usr/bin/python3*",
            "usr/lib/systemd", "var/*", "usr/games", "usr/lib/python3", "usr/sbin/xfs_scrub*", "boot", "lib/modules")
# What fence_scsi and fence_mpath need; their package wants the libraries of every cloud besides, so it comes alone.
AGENTS = {"packages": PACKAGES + ("python3", "python3-pexpect", "python3-pycurl"), "alone": ("fence-agents",),
          "keep": ("usr/lib/python3*", "usr/bin/python3*", "usr/lib/python3", "usr/share/fence")}
HERE = os.path.dirname(os.path.abspath(__file__))


def cache_dir():
    return os.environ.get("LUNWARD_VM_CACHE") or "/var/cache/lunward-vm"


def _run(argv, **kw):
    r = subprocess.run(argv, text=True, capture_output=True, check=False, **kw)
    if r.returncode:
        raise VmError(f"{' '.join(argv[:3])} …: exit {r.returncode}\n{(r.stderr or r.stdout).strip()[-1500:]}")
    return r.stdout


def _apt(cache, packages, *what):
    """apt-get for a system that has nothing installed yet."""
    status = os.path.join(cache, "status")
    archives = os.path.join(cache, "archives")
    os.makedirs(os.path.join(archives, "partial"), exist_ok=True)
    with open(status, "w", encoding="ascii"):
        pass
    return _run(["apt-get", "-q", "-y", "-o", f"Dir::State::status={status}", "-o", f"Dir::Cache::archives={archives}",
                 "-o", "APT::Install-Recommends=0", "-o", "APT::Sandbox::User=root", *what, "install", *packages])


def _wanted(cache, packages):
    """File names of all packages a guest consists of, as apt resolves them now."""
    lines = _apt(cache, packages, "--print-uris").splitlines()
    names = sorted(line.split()[1] for line in lines if line.startswith("'"))
    # apt prints only what it would still download: what lies there already is wanted too
    want = _apt(cache, packages, "--simulate").splitlines()
    inst = {(w[1], w[2].lstrip("(")) for w in (line.split() for line in want) if w[:1] == ["Inst"]}
    for deb in glob.glob(os.path.join(cache, "archives", "*.deb")):
        name, version = os.path.basename(deb).split("_")[:2]
        if (name, version.replace("%3a", ":")) in inst:
            names.append(os.path.basename(deb))
    return sorted(set(names))


def _alone(cache, package):
    """File name of a package that is wanted without what it depends on; downloaded if it is not there."""
    archives = os.path.join(cache, "archives")
    uri = _run(["apt-get", "-q", "download", "--print-uris", package]).split()
    name = os.path.basename(uri[0].strip("'"))
    if not os.path.exists(os.path.join(archives, name)):
        _run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package], cwd=archives)
    return name if os.path.exists(os.path.join(archives, name)) else uri[1]


def _unpack(cache, names, root):
    for n in names:
        _run(["dpkg-deb", "-x", os.path.join(cache, "archives", n), root])


def _modules(root, to):
    """The modules that guests load, with their dependencies, in the order kept by modules.dep."""
    versions = os.listdir(os.path.join(root, "lib/modules"))
    if len(versions) != 1:
        raise VmError(f"not one kernel but {len(versions)}: {', '.join(versions)}")
    version = versions[0]
    _run(["depmod", "-b", root, version])
    for m in MODULES:
        try:
            shown = _run(["modprobe", "-d", root, "-S", version, "--show-depends", m])
        except VmError:
            continue                    # built in, or not of this kernel: a guest that needs it says so
        for line in shown.splitlines():
            if line.startswith("insmod "):
                path = line.split()[1]
                dest = os.path.join(to, os.path.relpath(path, root))
                os.makedirs(os.path.dirname(dest), exist_ok=True)
                shutil.copy(path, dest)
    for f in glob.glob(os.path.join(root, "lib/modules", version, "modules.builtin*")) + \
            glob.glob(os.path.join(root, "lib/modules", version, "modules.order")):
        shutil.copy(f, os.path.join(to, "lib/modules", version))
    _run(["depmod", "-b", to, version])
    return version


def _strip(root, keep):
    kept = {path for pattern in keep for path in glob.glob(os.path.join(root, pattern))}
    for pattern in UNWANTED:
        for path in set(glob.glob(os.path.join(root, pattern))) - kept:
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


def _merge_usr(root):
    """Packages unpack into /bin, /lib and /sbin: Debian has these as links into /usr."""
    for d in ("bin", "sbin", "lib", "lib64"):
        src, dst = os.path.join(root, d), os.path.join(root, "usr", d)
        if os.path.islink(src):
            continue
        if os.path.isdir(src):
            os.makedirs(dst, exist_ok=True)
            _run(["cp", "-a", src + "/.", dst])
            shutil.rmtree(src)
        os.makedirs(dst, exist_ok=True)
        os.symlink("usr/" + d, src)


def cpio(root, out):
    names = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
    with open(out, "wb") as f:
        r = subprocess.run(["cpio", "--null", "--create", "--format=newc", "--quiet", "--owner=0:0"], cwd=root,
                           input=names, stdout=f, stderr=subprocess.PIPE, check=False)
    if r.returncode:
        raise VmError(f"cpio: {r.stderr.decode().strip()}")


def _build(cache, names, keep, out):
    work = out + ".work"
    shutil.rmtree(work, ignore_errors=True)
    root, mods = os.path.join(work, "root"), os.path.join(work, "mods")
    os.makedirs(root)
    _unpack(cache, names, root)
    kernel = glob.glob(os.path.join(root, "boot/vmlinuz-*"))
    if len(kernel) != 1:
        raise VmError("the kernel package has no single boot/vmlinuz-*")
    version = _modules(root, mods)
    os.makedirs(out, exist_ok=True)
    shutil.copy(kernel[0], os.path.join(out, "vmlinuz"))
    _strip(root, keep)
    _run(["cp", "-a", os.path.join(mods, "lib/modules"), os.path.join(root, "lib/")])
    _merge_usr(root)
    for d in ("proc", "sys", "dev", "run", "tmp", "root", "mnt", "var/lib", "var/log", "etc/iscsi", "etc/multipath"):
        os.makedirs(os.path.join(root, d), exist_ok=True)
    for name, to in (("guest-init", "init"), ("guest-agent", "sbin/guest-agent")):
        shutil.copy(os.path.join(HERE, "..", name), os.path.join(root, to))
        os.chmod(os.path.join(root, to), 0o755)
    _run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", os.path.join(root, "sbin/guest-io"),
          os.path.join(HERE, "..", "guest-io.c")])
    if not os.stat(os.path.join(root, "bin/busybox")).st_mode & stat.S_IXUSR:
        raise VmError("no busybox in the image")
    with open(os.path.join(root, "etc/passwd"), "w", encoding="ascii") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\n")
    cpio(root, os.path.join(out, "initrd.new"))
    os.rename(os.path.join(out, "initrd.new"), os.path.join(out, "initrd"))
    with open(os.path.join(out, "version"), "w", encoding="ascii") as f:
        f.write(version + "\n")
    shutil.rmtree(work)


def image(packages=PACKAGES, alone=(), keep=(), progress=lambda text: None):
    """Make the image if it is not cached. @alone: packages without their dependencies; @keep: not UNWANTED after all.

    Return: its folder, with vmlinuz and initrd."""
    cache = cache_dir()
    os.makedirs(os.path.join(cache, "archives"), exist_ok=True)
    names = _wanted(cache, packages) + [_alone(cache, p) for p in alone]
    tag = hashlib.sha256("\n".join([*names, *MODULES, *keep]).encode())
    for f in ("../guest-init", "../guest-agent", "../guest-io.c", "image.py"):
        with open(os.path.join(HERE, f), "rb") as src:
            tag.update(src.read())
    out = os.path.join(cache, "image-" + tag.hexdigest()[:12])
    if not os.path.exists(os.path.join(out, "initrd")):
        progress(f"downloading {len(names)} Debian packages")
        _apt(cache, packages, "--download-only")
        progress("making the initramfs")
        _build(cache, names, keep, out)
    return out
