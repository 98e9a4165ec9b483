# SPDX-License-Identifier: GPL-2.0-or-later
"""Our own programs in a guest: a second cpio archive behind the image's, with the shared libraries they need here.

The kernel unpacks concatenated archives one over the other. Host and guest are the same Debian, so libraries carry over.
"""
import os
import re
import shutil
import subprocess
import tempfile

from .error import VmError
from .image import cpio


def libraries(program):
    """Paths of what the loader would load."""
    out = subprocess.run(["ldd", program], text=True, capture_output=True, check=False).stdout
    missing = re.findall(r"(\S+) => not found", out)
    if missing:
        raise VmError(f"{program}: no {', '.join(missing)}")
    return re.findall(r"(/\S+) \(0x", out)


def overlay(programs, out):
    """An archive with @programs in /usr/sbin. Sanitizer builds will not run: their runtime wants /proc early."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(out)) as root:
        sbin = os.path.join(root, "usr", "sbin")
        os.makedirs(sbin)
        for p in programs:
            real = os.path.join(os.path.dirname(p), ".libs", os.path.basename(p))
            shutil.copy(real if os.path.exists(real) else p, sbin)
            for lib in libraries(p):
                to = os.path.join(root, "usr", os.path.relpath(os.path.realpath(os.path.dirname(lib)), "/usr"))
                os.makedirs(to, exist_ok=True)
                shutil.copy(lib, to)
        cpio(root, out)
    return out
