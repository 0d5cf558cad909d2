"""dbt in this process, kept warm: one parse, then commands that reuse its manifest."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse import dbt_words, masks, postgres
from warehouse.clock import as_of
from warehouse.errors import ProjectError, SettingsError
from warehouse.project_files import fingerprint
from warehouse.settings import Settings
from warehouse.warm_dbt import spare_dbt

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

FINGERPRINT = "manifest.fingerprint"
SAVED_PARSE = "partial_parse.msgpack"
CHOSEN = "sluice_chosen"

_warm: dict[str, Manifest] = {}
_lock = threading.Lock()
_running: list[Settings] = []


@dataclass(frozen=True)
class NodeResult:
    """What dbt says of one model, seed or test; where it marks a place, in several lines."""

    unique_id: str
    status: str
    message: str
    failures: int
    seconds: float
    rows: int | None


@dataclass(frozen=True)
class Outcome:
    """One dbt command: what each node did, and dbt's own word when it stopped early."""

    success: bool
    nodes: tuple[NodeResult, ...] = ()
    error: str = ""
    command: tuple[str, ...] = field(default_factory=tuple)


def is_parsed(settings: Settings) -> bool:
    """Else the next to ask for the manifest waits some seconds for dbt."""
    return _is_parsed(settings, fingerprint())


def _is_parsed(settings: Settings, now: str) -> bool:
    mark = settings.dbt_target_path / FINGERPRINT
    saved = settings.dbt_target_path / SAVED_PARSE
    whole = settings.manifest_path.exists() and saved.exists() and mark.exists()
    return whole and mark.read_text() == now


def ensure_manifest(settings: Settings) -> Path:
    """The manifest of the project as it stands: parsed only when a file has changed."""
    mark = settings.dbt_target_path / FINGERPRINT
    now = fingerprint()
    if _is_parsed(settings, now):
        return settings.manifest_path
    # A parse that is refused, or broken off, may leave a manifest of what is refused.
    mark.unlink(missing_ok=True)
    outcome = _invoke(settings, ["parse"], manifest=None, on_event=None)
    if not outcome.success:
        raise _unreadable(settings, "parsed", outcome.error)
    if unknown := dbt_words.unknown_tests(settings, json.loads(settings.manifest_path.read_text())):
        raise _unreadable(settings, "parsed", "\n".join(unknown))
    aside = mark.with_suffix(".tmp")
    aside.write_text(now)
    aside.replace(mark)
    return settings.manifest_path


def run(
    settings: Settings,
    command: Sequence[str],
    *,
    on_event: Callable[[Any], None] | None = None,
) -> Outcome:
    """Run a dbt command on the manifest that `ensure_manifest` keeps."""
    return _invoke(settings, command, manifest=_manifest(settings), on_event=on_event)


def build(settings: Settings, unique_ids: Iterable[str]) -> Outcome:
    """Build these models and run these tests, and no others.

    They are named by a tag that they bear for the length of the command: dbt compares each node of
    the project with each name that it is given, three times, which took seconds of every run.
    """
    manifest = _manifest(settings)
    wanted = list(unique_ids)
    if gone := [each for each in wanted if each not in manifest.nodes]:
        raise SettingsError(
            f"The project changed during the run: it has no {', '.join(gone)} any more.",
            remedy="Run again; in Dagster's pages reload the code location first.",
        )
    chosen = [manifest.nodes[each] for each in wanted]
    try:
        for node in chosen:
            node.tags.append(CHOSEN)
        return _invoke(
            settings,
            # dbt adds no tests, and looks at no schema in which it builds nothing.
            [
                "build",
                "--select",
                f"tag:{CHOSEN}",
                "--indirect-selection",
                "empty",
                "--cache-selected-only",
            ],
            manifest=manifest,
            on_event=None,
        )
    finally:
        for node in chosen:
            node.tags[:] = [tag for tag in node.tags if tag != CHOSEN]


def compiled(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """Every model's SQL by its id, as macros write it in this environment; opens no warehouse."""
    command = ["compile", "--select", "resource_type:model", "--indirect-selection", "empty"]
    with _environment(environment):
        result = _result(
            settings,
            # The manifest that everybody reads stays the one that was parsed.
            [*command, "--no-write-json", "--no-populate-cache", "--no-introspect"],
            manifest=_manifest(settings),
            on_event=None,
        )
    outcome = _outcome(settings, result, ("compile",))
    if not outcome.success:
        broken = next((each.message for each in outcome.nodes if each.status == "error"), "")
        raise _unreadable(settings, "compiled", broken or outcome.error)
    return {
        item.node.unique_id: item.node.compiled_code or item.node.raw_code
        for item in getattr(result.result, "results", None) or ()
    }


def _unreadable(settings: Settings, what: str, complaint: str) -> ProjectError:
    told = dbt_words.in_the_repository(settings, complaint)
    return ProjectError(
        f"The dbt project cannot be {what}: {told}", remedy=dbt_words.remedy(settings, told)
    )


def is_running() -> bool:
    """Is it we who run dbt in this process, and not a person's own `dbt` command?"""
    return bool(_running)


def running_for() -> Settings | None:
    """Whose dbt it is that runs in this process, if it is we who run it."""
    return _running[-1] if _running else None


def _manifest(settings: Settings) -> Manifest:
    """dbt's own saved parse: manifest.json does not tell generic tests from singular ones."""
    from dbt.contracts.graph.manifest import Manifest

    ensure_manifest(settings)
    path = settings.dbt_target_path / SAVED_PARSE
    key = f"{path}:{path.stat().st_mtime_ns}"
    with _lock:
        if key not in _warm:
            _warm.clear()
            manifest = Manifest.from_msgpack(path.read_bytes())
            manifest.build_flat_graph()
            _warm[key] = manifest
        return _warm[key]


def _invoke(
    settings: Settings,
    command: Sequence[str],
    *,
    manifest: Manifest | None,
    on_event: Callable[[Any], None] | None,
) -> Outcome:
    result = _result(settings, command, manifest=manifest, on_event=on_event)
    return _outcome(settings, result, tuple(command))


def _result(
    settings: Settings,
    command: Sequence[str],
    *,
    manifest: Manifest | None,
    on_event: Callable[[Any], None] | None,
) -> dbtRunnerResult:
    settings.workshop_path.parent.mkdir(parents=True, exist_ok=True)
    settings.dbt_target_path.mkdir(parents=True, exist_ok=True)
    os.environ["DO_NOT_TRACK"] = "1"
    from dbt.cli.main import dbtRunner

    spare_dbt()
    callbacks = [on_event] if on_event is not None else []
    # Only a parse writes its artifacts: writing them at each command costs a third of its time.
    artifacts = () if manifest is None or "compile" in command else ("--no-write-json",)
    arguments = [
        "--quiet",
        "--log-level",
        "none",
        "--no-use-colors",
        "--no-send-anonymous-usage-stats",
        "--no-version-check",
        "--log-path",
        str(settings.own_dir / "logs"),
        *artifacts,
        *command,
        "--project-dir",
        str(settings.dbt_project_dir),
        "--profiles-dir",
        str(settings.dbt_project_dir),
        "--target-path",
        str(settings.dbt_target_path),
        "--target",
        settings.target,
    ]
    folder = Path.cwd()
    try:
        # dbt resolves ../macros_lib and ../seeds from the project's folder.
        os.chdir(settings.dbt_project_dir)
        _running.append(settings)
        with _environment(_variables(settings)):
            return dbtRunner(manifest=manifest, callbacks=callbacks).invoke(arguments)
    finally:
        _running.clear()
        os.chdir(folder)


def _variables(settings: Settings) -> dict[str, str]:
    """What profile and macros read."""
    found = {
        "SLUICE_SCHEMA_PREFIX": settings.schema_prefix,
        "SLUICE_WORKSHOP": str(settings.workshop_path),
        "SLUICE_DBT_THREADS": str(settings.dbt_threads),
        # DuckDB's own, where nothing is said.
        "SLUICE_DUCKDB_MEMORY_LIMIT": settings.duckdb_memory_limit or "80%",
        "DBT_TARGET_PATH": str(settings.dbt_target_path),
        "SLUICE_AS_OF": as_of(settings).isoformat(),
        "SLUICE_GATES_WERE_ASKED": "yes",
    }
    if settings.target == "postgres":
        where = postgres.parts(settings)
        found |= {
            f"SLUICE_POSTGRES_{name.upper()}": where[name]
            for name in ("host", "port", "user", "dbname")
        }
        # dbt keeps variables with this prefix out of everything that it writes.
        found["DBT_ENV_SECRET_SLUICE_POSTGRES_PASSWORD"] = where["password"]
        found["PGOPTIONS"] = masks.session_options(settings)
    return found


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """For one command: what this process starts or reads later must not find them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _outcome(settings: Settings, result: dbtRunnerResult, command: tuple[str, ...]) -> Outcome:
    error = str(result.exception) if result.exception is not None else ""
    nodes: list[NodeResult] = []
    for item in getattr(result.result, "results", None) or ():
        if item.node.resource_type == "operation" and str(item.status) == "success":
            continue  # A hook that had nothing to say.
        response = item.adapter_response or {}
        rows = response.get("rows_affected")
        nodes.append(
            NodeResult(
                unique_id=item.node.unique_id,
                status=str(item.status),
                message=dbt_words.told(settings, item.node, str(item.status), item.message or ""),
                failures=int(item.failures or 0),
                seconds=float(item.execution_time or 0.0),
                rows=int(rows) if isinstance(rows, int) and rows >= 0 else None,
            )
        )
    return Outcome(bool(result.success), tuple(nodes), error, command)
