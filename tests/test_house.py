"""The house: rooms stack, names and files say what they are, nothing of one machine is in them."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from warehouse.settings import PROJECT_ROOT

ROOMS = ["cli", "orchestration", "serving", "quality", "ingestion", "catalog", "warehouse"]
FOLDERS = {
    *ROOMS, ".ci", ".github", "dbt_project", "macros_lib", "seeds", "tests", "benchmarks", "docs",
}  # fmt: skip
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [Path(line) for line in listed.stdout.splitlines() if (PROJECT_ROOT / line).exists()]


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found & set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_itself_and_rooms_below_it(room: str) -> None:
    allowed = set(ROOMS[ROOMS.index(room) :])
    for path in (PROJECT_ROOT / room).rglob("*.py"):
        assert imported_rooms(path) <= allowed, path


def test_there_is_no_other_top_level_folder() -> None:
    assert {path.parts[0] for path in tracked() if len(path.parts) > 1} <= FOLDERS


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [path for path in tracked() if path.suffix == ".py" and path.stem in VAGUE] == []


def test_the_platform_does_not_know_the_simulator() -> None:
    """Whoever adopts Sluice deletes one folder: only the command line may name it."""
    for room in ROOMS[1:]:
        for path in (PROJECT_ROOT / room).rglob("*.py"):
            if "simulator" not in path.parts:
                assert not re.search(r"(from|import) ingestion\.simulator", path.read_text()), path


def test_no_file_names_this_machine_or_an_index() -> None:
    machine = re.compile(r"(?<![A-Za-z0-9_.-])/(work|root|farm|home/[a-z]+)/")
    index = re.compile(r"--(extra-)?index-url|--find-links|https?://[^ ]+/simple(/|\s|$)")
    this = Path(__file__).relative_to(PROJECT_ROOT)
    for path in tracked():
        if path == this or path.suffix in {".png", ".parquet", ".gz"}:
            continue
        text = (PROJECT_ROOT / path).read_text(errors="replace")
        assert not machine.search(text), path
        assert not index.search(text), path


def test_every_model_has_its_yaml_beside_it_and_a_grain_comment() -> None:
    for sql in (PROJECT_ROOT / "dbt_project" / "models").rglob("*.sql"):
        beside = sql.with_suffix(".yml")
        assert beside.exists(), f"{sql.name} has no YAML beside it"
        names = [each["name"] for each in yaml.safe_load(beside.read_text())["models"]]
        assert names == [sql.stem], beside
        text = re.sub(r"\{#-?|\{\{.*?\}\}", "", sql.read_text(), flags=re.S).lstrip()
        assert text.startswith("--"), f"{sql.name} does not begin with its grain"


def test_no_model_reads_the_clock_or_the_books() -> None:
    for sql in (PROJECT_ROOT / "dbt_project" / "models").rglob("*.sql"):
        text = sql.read_text().lower()
        assert "current_timestamp" not in text and "now()" not in text, sql
        assert "books" not in text and "read_parquet" not in text, sql
        assert "target.type" not in text, sql
