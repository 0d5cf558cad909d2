"""Every macro gives what is expected; every generic test passes good rows and finds bad ones."""

from __future__ import annotations

import re

import yaml
from macros_project import LIBRARY, Project, statuses

MACROS = LIBRARY / "macros"


def public_macros() -> set[str]:
    names = {
        name
        for path in MACROS.glob("*.sql")
        for name in re.findall(r"{%-?\s*macro (\w+)\(", path.read_text())
    }
    return {name for name in names if "__" not in name}


def generic_tests() -> set[str]:
    return {
        name
        for path in (MACROS / "tests").glob("*.sql")
        for name in re.findall(r"{%-?\s*test (\w+)\(", path.read_text())
    }


def test_macros_and_generic_tests_do_what_they_promise_on_every_engine(project: Project) -> None:
    results = statuses(project.dbt("build", "--exclude", "path:models/touched"))
    assert results
    assert set(results.values()) <= {"success", "pass"}


def test_every_generic_test_is_shown_to_pass_and_to_fail(on_duckdb: Project) -> None:
    on_duckdb.dbt("parse")
    assert on_duckdb.manifest is not None
    shown: dict[str, set[bool]] = {name: set() for name in generic_tests()}
    for node in on_duckdb.manifest.nodes.values():
        metadata = getattr(node, "test_metadata", None)
        if metadata is not None:
            shown[metadata.name].add(node.config.error_if != "!= 0")
    assert shown == {name: {True, False} for name in shown}


def test_every_macro_and_generic_test_is_documented() -> None:
    described = {
        macro["name"]: macro
        for path in MACROS.rglob("*.yml")
        for macro in yaml.safe_load(path.read_text())["macros"]
    }
    tests = {f"test_{name}" for name in generic_tests()}
    assert set(described) == public_macros() | tests
    assert all(macro["description"] for macro in described.values())
    readme = (LIBRARY / "README.md").read_text()
    missing = {name for name in public_macros() | generic_tests() if f"`{name}" not in readme}
    assert not missing


def test_every_macro_is_called_by_a_case() -> None:
    """A macro that only our own models call would be tested by them alone."""
    files = (LIBRARY / "integration_tests").rglob("*.sql")
    cases = "\n".join(path.read_text() for path in files)
    assert {name for name in public_macros() if not re.search(rf"\b{name}\(", cases)} == set()


def test_what_engines_write_differently_has_a_body_for_each() -> None:
    text = "\n".join(path.read_text() for path in MACROS.glob("*.sql"))
    dispatched = set(re.findall(r"adapter\.dispatch\('(\w+)'", text))
    bodies = set(re.findall(r"{%-?\s*macro (\w+__\w+)\(", text))
    assert dispatched and {name for name in dispatched if f"default__{name}" not in bodies} == set()
    for engine in ("postgres", "spark"):
        own = {each.partition("__")[2] for each in bodies if each.startswith(engine)}
        assert own and own <= dispatched, engine
