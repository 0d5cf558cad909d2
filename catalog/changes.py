"""What a change in the repository touches: commits, files, and the datasets that they belong to."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.catalog import Catalog
from warehouse.errors import SettingsError
from warehouse.settings import PROJECT_ROOT

FIXES = ("fix", "fixes", "fixed", "mend", "mends", "revert", "hotfix")
BASES = ("origin/main", "origin/master", "main", "master")


@dataclass(frozen=True)
class Commit:
    """Nothing is known where there is no git, or no checkout."""

    commit: str | None = None
    committed_at: str | None = None
    subject: str | None = None

    @property
    def is_fix(self) -> bool:
        return is_fix(self.subject or "")


@dataclass(frozen=True)
class Change:
    """A dataset that a change touches, through which files, and whether it says that it mends."""

    key: str
    files: tuple[str, ...]
    is_fix: bool


def is_fix(subject: str) -> bool:
    """A change that says of itself that it mends: `fix: …`, `Fix …`, `Revert …`."""
    first = subject.strip().split(" ")[0].split("(")[0].rstrip(":!").lower()
    return first in FIXES


def newest_commit() -> Commit:
    told = _git("log", "-1", "--format=%H%n%cI%n%s")
    if told is None:
        return Commit()
    commit, at, subject = [*told.split("\n"), "", "", ""][:3]
    return Commit(commit or None, at or None, subject or None)


def base_of(wanted: str | None) -> str:
    """Where this change left the main line."""
    for name in (wanted,) if wanted else BASES:
        found = _git("merge-base", name, "HEAD")
        if found:
            return found.strip()
    raise SettingsError(
        f"There is no {wanted or 'main branch'} to compare with.",
        remedy="Name one: `sluice check --base <branch or commit>`. A shallow clone lacks it: "
        "fetch the history first.",
    )


def changes_since(catalog: Catalog, base: str) -> tuple[Change, ...]:
    """Committed or not: what differs from the base."""
    diffed = (_git("diff", "--name-only", base) or "").splitlines()
    new = (_git("ls-files", "--others", "--exclude-standard") or "").splitlines()
    pending = {*(_git("diff", "--name-only", "HEAD") or "").splitlines(), *new}
    touched = datasets_of(catalog, {*diffed, *new})
    return tuple(
        Change(key, tuple(sorted(files)), not files & pending and _mends(base, files))
        for key, files in sorted(touched.items())
    )


def files_at(commit: str, folder: str) -> Mapping[str, str]:
    """The texts of the files that lay in a folder of the repository, by name."""
    listed = _git("ls-tree", "--name-only", commit, f"{folder}/")
    if listed is None:
        raise SettingsError(
            f"Git knows no commit or branch {commit}, or no file or folder of that name is here.",
            remedy="Name a branch, a commit, a file or a folder.",
        )
    return {path: _git("show", f"{commit}:{path}") or "" for path in listed.splitlines()}


def said_of(base: str, word: str) -> tuple[str, ...]:
    """What the commits since the base say in lines that begin with this word and a colon."""
    told = _git("log", f"--format=%(trailers:key={word},valueonly)", f"{base}..HEAD") or ""
    return tuple(line.strip() for line in told.splitlines() if line.strip())


def datasets_of(catalog: Catalog, files: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """By dataset, those of the files that say what it is: SQL, YAML, checks, macros it calls."""
    found: dict[str, set[str]] = {}
    changed = set(files)
    for dataset in catalog.datasets.values():
        node = catalog.node(dataset)
        for file in _files_of(dataset.key, node, catalog.manifest) & changed:
            found.setdefault(dataset.key, set()).add(file)
    return {key: frozenset(each) for key, each in found.items()}


def _files_of(key: str, node: Mapping[str, Any], manifest: Mapping[str, Any]) -> set[str]:
    layer, _, rest = key.partition(".")
    files = {_in_repository(node["original_file_path"]), f"quality/checks/{layer}/{rest}.yml"}
    if node.get("patch_path"):
        files.add(_in_repository(node["patch_path"].partition("://")[2]))
    for macro in node.get("depends_on", {}).get("macros", ()):
        known = manifest["macros"].get(macro)
        if known is not None:
            files.add(_in_repository(known["original_file_path"]))
    return files


def _in_repository(path: str) -> str:
    """dbt tells paths from its own folder."""
    there = (PROJECT_ROOT / "dbt_project" / path).resolve()
    return str(there.relative_to(PROJECT_ROOT)) if there.is_relative_to(PROJECT_ROOT) else path


def _mends(base: str, files: Iterable[str]) -> bool:
    told = _git("log", "--format=%s", f"{base}..HEAD", "--", *sorted(files)) or ""
    subjects = told.splitlines()
    return bool(subjects) and all(is_fix(each) for each in subjects)


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
