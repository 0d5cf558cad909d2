"""Who it was: recorded wherever somebody takes responsibility."""

from __future__ import annotations

import getpass
import subprocess

from warehouse.settings import PROJECT_ROOT


def speaker() -> str:
    """Who speaks when nobody is named: git's user here, else the system's."""
    try:
        told = subprocess.run(
            ["git", "config", "user.name"],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        told = ""
    return told or getpass.getuser()
