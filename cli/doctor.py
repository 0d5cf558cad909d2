"""`sluice doctor`: is the set-up sound, and how is each fault mended?"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata

import click
from pydantic import SecretStr

from cli.output import json_option, say, say_json
from warehouse import secrets
from warehouse.errors import SettingsError, SluiceError
from warehouse.settings import PREFIX, PROJECT_ROOT, Settings, settings
from warehouse.words import counted, did_you_mean

MINIMUM_FREE_BYTES = 2 * 1024**3
SECRETS = tuple(
    f"{PREFIX}{name.upper()}"
    for name, field in Settings.model_fields.items()
    if field.annotation is SecretStr
)
OFF = {
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "SODA_CORE_TELEMETRY_ENABLED": "false",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}


@dataclass(frozen=True)
class Finding:
    name: str
    is_good: bool
    text: str
    remedy: str = ""
    was_looked_at: bool = True


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check the set-up, and say how to mend each fault."""
    findings = list(examine())
    if as_json:
        say_json([vars(each) for each in findings])
    else:
        for each in findings:
            sign = "✓" if each.is_good else "✗" if each.was_looked_at else "–"
            say(f"{sign} {each.name}: {each.text}", "red" if sign == "✗" else "")
            if each.remedy:
                say(f"    → {each.remedy}")
    bad = sum(each.was_looked_at and not each.is_good for each in findings)
    if bad:
        remedy = "Mend them in the order shown." if bad > 1 else "Mend it as shown."
        raise SettingsError(f"{counted(bad, 'fault')} found.", remedy=remedy)


def examine() -> Iterator[Finding]:
    said: dict[str, str] = {}
    for name, look in CHECKS:
        try:
            yield look(name)
        except SluiceError as error:
            # What stands in the way of several is one fault.
            first = said.setdefault(error.what, name)
            if first != name:
                yield Finding(name, False, f"not looked at (see {first})", was_looked_at=False)
                continue
            yield Finding(name, False, error.what, error.remedy)
            if look is _settings:
                # Everything that follows would say the same.
                return
        except Exception as error:
            yield Finding(name, False, f"{type(error).__name__}: {error}", "See the text above.")


def _python(name: str) -> Finding:
    version = sys.version.split()[0]
    good = (3, 11) <= sys.version_info < (3, 14)
    return Finding(
        name, good, version, "" if good else "Run make with PYTHON=python3.12 (3.11 to 3.13)."
    )


def _packages(name: str) -> Finding:
    wrong = []
    for line in (PROJECT_ROOT / "requirements.lock").read_text().splitlines():
        pinned, _, marker = line.partition(";")
        package, _, version = pinned.rstrip(" \\").partition("==")
        if not version or line.startswith(" ") or marker.strip(" \\"):
            continue
        try:
            installed = metadata.version(package.split("[")[0])
        except metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version.strip():
            wrong.append(f"{package} {installed} (locked {version.strip()})")
    text = ", ".join(wrong[:5]) if wrong else "as locked"
    return Finding(name, not wrong, text, "rm .venv/.ready && make demo" if wrong else "")


def _settings(name: str) -> Finding:
    here = settings()
    apart = f" ({here.schema_prefix})" if here.schema_prefix else ""
    text = f"target {here.target}, environment {here.environment}{apart}, data in {here.own_dir}"
    return Finding(name, True, text)


def _mask_key(name: str) -> Finding:
    from warehouse import masks

    here = settings()
    given = bool(here.mask_key.get_secret_value())
    if here.environment == "dev" and not given and not here.mask_key_path.exists():
        return Finding(name, True, "none yet; the first run makes one")
    masks.mask_key(here)
    where = "SLUICE_MASK_KEY" if given else str(here.mask_key_path)
    return Finding(name, True, f"in {where}")


def _disk(name: str) -> Finding:
    folder = next(
        each for each in (settings().data_dir, *settings().data_dir.parents) if each.exists()
    )
    if not os.access(folder, os.W_OK):
        return Finding(name, False, f"{folder} cannot be written.", "Set SLUICE_DATA_DIR.")
    free = shutil.disk_usage(folder).free
    good = free >= MINIMUM_FREE_BYTES
    text = f"{free / 1024**3:.1f} GB free at {folder}"
    return Finding(name, good, text, "" if good else "Free space, or set SLUICE_DATA_DIR.")


def _landing(name: str) -> Finding:
    from cli.landed import folders

    found = folders(settings())
    if found is None:
        return Finding(name, True, "empty (nothing has landed yet; `sluice simulate` plays one)")
    text = ", ".join(found.sources) or "empty"
    if not found.strange:
        return Finding(name, True, text)
    meant = "".join(did_you_mean(each, found.known) for each in found.strange)
    return Finding(
        name,
        False,
        f"{text}; in no contract: {', '.join(found.strange)}",
        f"No run loads what has no contract.{meant} Move it to the folder that was meant, or give "
        "it a contract: `sluice new source`.",
    )


def _connectors(name: str) -> Finding:
    from ingestion.connectors.declaration import read_connectors

    found = read_connectors(settings())
    states = [f"{each.source} {'awake' if each.is_awake else 'sleeps'}" for each in found.values()]
    return Finding(name, True, ", ".join(states) or "none is declared")


def _models(name: str) -> Finding:
    from catalog.catalog import load_catalog
    from catalog.meta_keys import misspelt
    from quality.gate_state import is_gated

    catalog = load_catalog(settings())
    known = catalog.datasets.values()
    ownerless = (each.key for each in known if each.layer != "seeds" and not each.owner)
    faults = [*(f"{each} has no owner" for each in ownerless), *map(str, misspelt(catalog))]
    if faults:
        remedy = "Correct config.meta in the YAML beside the model, or of the source."
        return Finding(name, False, "\n    ".join(faults), remedy)
    of_platform = sum(each.is_about_platform for each in known)
    text = (
        f"dbt parses: {len(known)} datasets, {len(known) - of_platform} of the company's and "
        f"{of_platform} of the platform's own log; {sum(map(is_gated, known))} have a gate (seeds "
        f"have none), {len(catalog.public())} are published"
    )
    return Finding(name, True, text)


def _check_files(name: str) -> Finding:
    from catalog.catalog import load_catalog
    from quality.checks import problems

    found = problems(load_catalog(settings()))
    if found:
        return Finding(
            name,
            False,
            "\n    ".join(str(each) for each in found),
            "Correct the files: a gate with a broken check file stays closed.",
        )
    return Finding(name, True, "every check file is valid")


def _service_levels(name: str) -> Finding:
    from catalog.catalog import load_catalog
    from quality.service_levels import problems

    found = problems(load_catalog(settings()))
    if found:
        text = "\n    ".join(str(each) for each in found)
        return Finding(name, False, text, "Correct the YAML: nobody holds a promise so written.")
    return Finding(name, True, "every promise is understood")


def _workshop(name: str) -> Finding:
    from warehouse.workshop import connect, is_begun, is_writing, where

    writer = is_writing(settings())
    if writer is not None:
        pid = f" (pid {writer['pid']})" if writer.get("pid") else ""
        return Finding(name, True, f"in use by {writer.get('purpose')}{pid}")
    if not is_begun(settings()):
        return Finding(name, True, f"not built yet ({where(settings())})")
    with closing(connect(settings(), read_only=True)) as connection:
        connection.execute("select 1").fetchall()
    return Finding(name, True, f"opens ({where(settings())})")


def _retention(name: str) -> Finding:
    from ingestion.retention.horizon import horizons
    from ingestion.retention.planning import has_policy
    from warehouse.workshop import connect, is_begun, is_writing

    policy = "by policy some goes" if has_policy(settings()) else "everything is kept"
    if not is_begun(settings()) or is_writing(settings()) is not None:
        return Finding(name, True, policy)
    with closing(connect(settings(), read_only=True)) as connection:
        found = horizons(connection)
    text = "; ".join(map(str, found)) or policy
    if any(each.late for each in found):
        remedy = "No model has these rows: docs/guides/retention.md says how they come in."
        return Finding(name, False, text, remedy)
    if any(each.unfinished for each in found):
        return Finding(name, False, text, "`sluice retention apply` carries on.")
    return Finding(name, True, text)


def _published(name: str) -> Finding:
    from warehouse import snapshots

    current = snapshots.current(settings())
    if current is None:
        return Finding(name, True, "nothing yet (`sluice run` publishes)")
    return Finding(name, True, f"snapshot {current.snapshot_id}, {len(current.tables)} tables")


def _notifications(name: str) -> Finding:
    from serving.routes import read_routes

    channels = read_routes(settings()).channels.values()
    unset = [
        f"{secret} (channel {each.name})"
        for each in channels
        for secret in each.way.secrets
        if not secrets.value(secret)
    ]
    if unset:
        return Finding(
            name,
            False,
            f"not set: {', '.join(unset)}",
            "Set them in the environment of whatever runs Sluice.",
        )
    return Finding(name, True, f"to {', '.join(each.name for each in channels)}")


def _secrets(name: str) -> Finding:
    """Which are set, where they come from, never what they are."""
    from serving.routes import read_routes

    channels = read_routes(settings()).channels.values()
    named = dict.fromkeys((*SECRETS, *(each for way in channels for each in way.way.secrets)))
    found = [each for each in map(secrets.find, named) if each is not None]
    weak = [each.name for each in found if not each.can_be_hidden]
    text = ", ".join(f"{each.name} (from {each.origin})" for each in found) or "none is set"
    if weak:
        return Finding(
            name,
            False,
            f"{text}; short or a plain word: {', '.join(weak)}",
            "Choose longer ones: these can be guessed, and cannot be kept out of messages.",
        )
    return Finding(name, True, text)


def _telemetry(name: str) -> Finding:
    on = [key for key, value in OFF.items() if os.environ.get(key) != value]
    text = f"on: {', '.join(on)}" if on else "off"
    return Finding(name, not on, text, f"Unset {', '.join(on)}." if on else "")


CHECKS: tuple[tuple[str, Callable[[str], Finding]], ...] = (
    ("Python", _python),
    ("packages", _packages),
    ("settings", _settings),
    ("disk", _disk),
    ("mask key", _mask_key),
    ("landing", _landing),
    ("connectors", _connectors),
    ("models", _models),
    ("check files", _check_files),
    ("service levels", _service_levels),
    ("workshop", _workshop),
    ("retention", _retention),
    ("published", _published),
    ("notifications", _notifications),
    ("secrets", _secrets),
    ("telemetry", _telemetry),
)
