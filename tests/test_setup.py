"""What a fresh clone begins with: the lock, the few targets, and the workflow that runs them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from warehouse.settings import PROJECT_ROOT

ASKED_FOR = {"demo", "test", "up", "lint", "clean"}


def locked() -> dict[str, Version]:
    """Every entry of the lock, each with at least one hash."""
    found: dict[str, Version] = {}
    for entry in re.split(r"\n(?=\S)", (PROJECT_ROOT / "requirements.lock").read_text().strip()):
        name, version = re.match(r"([\w.-]+)(?:\[.*\])?==([^\s;]+)", entry).groups()  # type: ignore[union-attr]
        assert "--hash=sha256:" in entry, name
        found[canonicalize_name(name)] = Version(version)
    return found


def wanted() -> list[Requirement]:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    listed = [*project["dependencies"], *(each for extra in extras for each in extra)]
    return [Requirement(each) for each in listed]


def test_the_lock_holds_what_the_project_asks_for_and_all_that_it_needs() -> None:
    lock, seen = locked(), set()
    waiting = wanted()
    while waiting:
        needed = waiting.pop()
        name = canonicalize_name(needed.name)
        assert name in lock, f"{name} is not in requirements.lock: make lock"
        assert needed.specifier.contains(lock[name], prereleases=True), f"{needed}: {lock[name]}"
        if (name, frozenset(needed.extras)) not in seen:
            seen.add((name, frozenset(needed.extras)))
            waiting += needs(needed)


def needs(of: Requirement) -> Iterator[Requirement]:
    try:
        listed = distribution(of.name).requires or ()
    except PackageNotFoundError:
        # Of another system or Python; the lock has it for these.
        return
    for each in map(Requirement, listed):
        extras = ("", *of.extras)
        if each.marker is None or any(each.marker.evaluate({"extra": one}) for one in extras):
            yield each


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (PROJECT_ROOT / "Makefile").read_text(), re.M))


def test_the_targets_are_there_and_ci_runs_the_same_ones() -> None:
    assert targets() >= ASKED_FOR
    assert "exec make test\n" in (PROJECT_ROOT / ".ci" / "run").read_text()
    workflow = yaml.safe_load((PROJECT_ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert "pull_request" in workflow["on"]
    ran = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert {".ci/run", "make demo"} <= set(ran)
    for line in ran:
        first, *rest = line.split()
        ours = first in (".ci/run", ".venv/bin/sluice")
        assert ours or (first == "make" and {*rest} <= targets()), line
