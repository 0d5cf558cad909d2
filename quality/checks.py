"""Which check file belongs to which dataset, and whether each is there and sound."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from catalog.catalog import Catalog, Dataset
from quality.check_file import CHECKS_DIR, CheckFile, CheckFileError, DeclaredCheck, shown
from quality.reading import read
from quality.strict_yaml import nearest
from warehouse.words import sentence

__all__ = [
    "CHECKS_DIR",
    "CheckFile",
    "CheckFileError",
    "DeclaredCheck",
    "check_path",
    "is_due",
    "load",
    "overdue",
    "problems",
]


def check_path(dataset: Dataset, folder: Path = CHECKS_DIR) -> Path:
    layer, _, rest = dataset.key.partition(".")
    return folder / layer / f"{rest}.yml"


def is_due(dataset: Dataset) -> bool:
    """Must this dataset have a check file?"""
    return dataset.layer == "raw" or dataset.is_public


def load(catalog: Catalog, dataset: Dataset, folder: Path = CHECKS_DIR) -> CheckFile | None:
    """The dataset's check file, or None where none is due and none is there."""
    path = check_path(dataset, folder)
    if path.exists():
        return read(path, catalog, dataset)
    if not is_due(dataset):
        return None
    what = "a source's entity" if dataset.layer == "raw" else "public"
    raise CheckFileError(
        f"{dataset.key} is {what} and has no check file: {shown(path)} does not exist.",
        remedy="Write one with two to five checks; quality/README.md shows how.",
    )


def problems(catalog: Catalog, folder: Path = CHECKS_DIR) -> list[CheckFileError]:
    """Every fault of every check file, missing and stray files included."""
    found: list[CheckFileError] = []
    expected = set()
    for dataset in catalog.datasets.values():
        expected.add(check_path(dataset, folder))
        try:
            load(catalog, dataset, folder)
        except CheckFileError as error:
            found.append(error)
    for path in sorted(folder.rglob("*.y*ml")):
        if path not in expected:
            names = {str(each.relative_to(folder)): each for each in expected}
            near = nearest(str(path.relative_to(folder)), names)
            what = sentence(f"{shown(path)} belongs to no dataset{near}")
            found.append(CheckFileError(what, remedy="Rename it."))
    return found


def overdue(catalog: Catalog, today: date, folder: Path = CHECKS_DIR) -> list[str]:
    """Trials that have ended: these checks close their gates again."""
    found = []
    for dataset in catalog.datasets.values():
        try:
            file = load(catalog, dataset, folder)
        except CheckFileError:
            continue
        for check in file.checks if file is not None else ():
            if check.trial is not None and not check.is_observed(today):
                found.append(
                    f"{shown(check_path(dataset, folder))}:{check.line}: `{check.name}` was on"
                    f" trial until {check.trial.until} ({check.trial.because}); it counts now."
                    " Remove `observe_only`, or the check."
                )
    return found
