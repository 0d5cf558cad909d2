"""Run a command as its own process and read what it really used."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warehouse.settings import PROJECT_ROOT


@dataclass(frozen=True)
class Used:
    """CPU of the process and its children, wall time, and the largest resident size."""

    cpu_seconds: float
    wall_seconds: float
    peak_megabytes: float


def sluice(data_dir: Path, *arguments: str, **environment: str) -> Used:
    return python(data_dir, "-m", "cli.main", *arguments, **environment)


def python(data_dir: Path, *arguments: str, **environment: str) -> Used:
    return command([sys.executable, *arguments], {**_environment(data_dir), **environment})


def dbt(data_dir: Path, *arguments: str, **environment: str) -> Used:
    """dbt's own command, as anyone would call it in the project's folder."""
    folder = PROJECT_ROOT / "dbt_project"
    quiet = ["--no-version-check", "--log-path", str(data_dir / "logs")]
    program = str(Path(sys.executable).with_name("dbt"))
    return command([program, *quiet, *arguments], {**_environment(data_dir), **environment}, folder)


def _environment(data_dir: Path) -> dict[str, str]:
    return {
        **os.environ,
        "SLUICE_DATA_DIR": str(data_dir),
        "SLUICE_DAGSTER_HOME": str(data_dir / "dagster"),
        "SLUICE_WORKSHOP": str(data_dir / "warehouse" / "workshop.duckdb"),
        "DBT_TARGET_PATH": str(data_dir / "dbt"),
        "DO_NOT_TRACK": "1",
        "DBT_PROFILES_DIR": str(PROJECT_ROOT / "dbt_project"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "SODA_CORE_TELEMETRY_ENABLED": "false",
    }


def command(
    words: Sequence[str], environment: Mapping[str, str], folder: Path = PROJECT_ROOT
) -> Used:
    started = time.monotonic()
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed:\n{output.decode(errors='replace')[-4000:]}")
    return Used(usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / 1024)
