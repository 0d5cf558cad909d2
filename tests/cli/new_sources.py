"""A house of its own for new sources, and what outsiders send to it."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import vega_datasets
from platform_under_test import NO_PROMPT

from warehouse.settings import PROJECT_ROOT

PUBLIC = Path(vega_datasets.__file__).parent / "_data"
PARTS = (
    "cli", "orchestration", "serving", "quality", "ingestion", "catalog", "warehouse",
    "dbt_project", "macros_lib", "seeds", "docs/runbooks",
)  # fmt: skip
FILES = (".sqlfluff", ".yamllint", ".gitignore", "pyproject.toml", "requirements.lock")
# Every command in one process: what is imported once is imported once.
MANY = """
import json, sys
from click.testing import CliRunner
from cli.main import sluice
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(sluice, words)
    print(json.dumps([done.exit_code, f"{done.output}{done.exception or ''}"]))
"""


@dataclass(frozen=True)
class Copy:
    """The house, copied: what a command writes into it is nobody else's."""

    folder: Path
    environment: Mapping[str, str]

    def __call__(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, f"{words}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=dict(self.environment),
            capture_output=True, text=True,
        )  # fmt: skip

    def many(self, commands: list[list[str]]) -> list[tuple[int, str]]:
        """Of each command the exit code, and what it said."""
        lines = self("-c", NO_PROMPT + MANY, json.dumps(commands)).splitlines()
        return [tuple(json.loads(line)) for line in lines]

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()


def copy_house(folder: Path, environment: Mapping[str, str], data: Path) -> Copy:
    """The whole of it, with data of its own."""
    unwanted = shutil.ignore_patterns("__pycache__", "target", "logs")
    for part in PARTS:
        shutil.copytree(PROJECT_ROOT / part, folder / part, ignore=unwanted)
    for name in FILES:
        shutil.copy(PROJECT_ROOT / name, folder / name)
    places = {
        "SLUICE_DATA_DIR": str(data),
        "SLUICE_DAGSTER_HOME": str(folder / "dagster"),
        "SLUICE_REPORT": "never",
        "COLUMNS": "160",
    }
    return Copy(folder, {**environment, **places})


def empty_house(folder: Path, environment: Mapping[str, str]) -> Copy:
    """Without the sample company: who adopts the house begins so."""
    house = copy_house(folder, environment, folder / "data")
    for layer in ("staging", "curated", "marts", "metrics"):
        shutil.rmtree(folder / "dbt_project" / "models" / layer)
        shutil.rmtree(folder / "quality" / "checks" / layer)
    for path in [
        *(folder / "dbt_project" / "models" / "raw").glob("*.yml"),
        *(folder / "quality" / "checks" / "raw").glob("*.yml"),
    ]:
        if path.name.split(".")[0] != "platform":
            path.unlink()
    return house


def outsiders(folder: Path) -> dict[str, Path]:
    """By source a file that the simulator did not make."""
    folder.mkdir()
    (folder / "kunden.csv").write_bytes(_people().encode("cp1252"))
    (folder / "orders.json").write_text(json.dumps(_orders(), ensure_ascii=False))
    with gzip.open(folder / "wide.tsv.gz", "wt") as into:
        into.write("\t".join(["id", *(f"Messwert {n}" for n in range(50))]) + "\n")
        for row in range(30):
            into.write("\t".join([f"{row:05}", *(str(row * n / 8) for n in range(50))]) + "\n")
    pq.write_table(
        pa.table({"device": ["a", "b"], "at": pa.array([0, 1], pa.timestamp("us")),
                  "reading": [0.5, 1.25], "tags": [["x"], []]}),
        folder / "readings.parquet",
    )  # fmt: skip
    return {
        "people": folder / "kunden.csv",
        "shop": folder / "orders.json",
        "lab": folder / "wide.tsv.gz",
        "meters": folder / "readings.parquet",
    }


def _people() -> str:
    """Dirty: another delimiter and encoding, gaps, a joker among the numbers, quoted line ends."""
    lines = ["Kunden-ID;Vorname;Kontakt;Geburtsdatum;PLZ;Straße;Umsatz;Geändert am;Updated at"]
    for n in range(60):
        turnover = "k.A." if n == 7 else f"{n}.50"
        mail = "" if n % 9 == 0 else f"k{n}@beispiel.de"
        lines.append(
            f"K{n:04};Jörg;{mail};1980-01-{n % 28 + 1:02};0{n:04};"
            f'"Am Graben {n}\nHinterhaus";{turnover};;2026-01-{n % 28 + 1:02} 08:00:00'
        )
    return "\r\n".join(lines) + "\r\n"


def _orders() -> list[dict[str, object]]:
    """Nested, with names that SQL or JSON paths could trip over."""
    return [
        {"orderId": n, "order": "first", "select": n, "$.a": True, "日本": "東京", "a b": 1.5,
         'say "hi"': "x", "customer": {"name": "Zoë"}, "lines": [{"sku": "a", "n": n}],
         "{{ x }}": 1, "placedAt": f"2026-02-{n % 28 + 1:02}T10:00:00Z", "never": None,
         "trap": ("${var.AS_FO}", "{{ y }}")[n % 2], "answer": ("no", "on, off")[n % 2]}
        for n in range(50)
    ]  # fmt: skip


def guide(folder: Path) -> list[str]:
    """The command of the guide, on the file that the guide shows."""
    text = (PROJECT_ROOT / "docs" / "guides" / "new_source.md").read_text()
    shown = text.split("```csv\n")[1].split("```")[0]
    command = text.split("```sh\nsluice ")[1].split("\n```")[0].split()
    (folder / "tickets.csv").write_text(shown)
    return [str(folder / word) if word == "tickets.csv" else word for word in command]
