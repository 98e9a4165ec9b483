# SPDX-License-Identifier: GPL-2.0-or-later
from lablib.ns import LabError


class VmError(LabError):
    """Something an operator can understand; printed without a traceback."""
