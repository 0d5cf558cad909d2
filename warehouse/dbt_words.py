"""dbt's complaints with the file to open, as it is called in the repository."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from posixpath import normpath
from typing import Any

from warehouse.engine_words import engine_lines, placed
from warehouse.settings import Settings
from warehouse.words import counted, did_you_mean

WITHOUT_COMPLAINT = ("success", "pass", "skipped", "no-op")
TEST = "test_"
"""So begins the name of each macro that is a kind of test."""
_FILE = re.compile(r"(?<![\w./-])(?:\.\./)*[\w-]+(?:/[\w.-]+)*\.(?:sql|ya?ml|csv|md|py)\b")
_COUNT = re.compile(r"Got (\d+) results?, configured to fail if != 0")
_CALLED_BY = re.compile(r"\s*> (?:in|called by) macro .*\((.+)\)")


def in_the_repository(settings: Settings, said: str) -> str:
    """dbt counts paths from its project, and of a YAML file from the models; whose file is not
    ours to mend, such as a macro of dbt's own, is not worth a line.
    """
    lines = [each for each in said.splitlines() if not _is_of_dbt(settings, each)]
    return _FILE.sub(lambda found: _own(settings, found[0]) or found[0], "\n".join(lines))


def files_named(settings: Settings, told: str) -> list[str]:
    """Those of the repository, each once."""
    root = settings.dbt_project_dir.parent
    named = dict.fromkeys(found[0] for found in _FILE.finditer(told))
    return [each for each in named if (root / each).is_file()]


def remedy(settings: Settings, told: str) -> str:
    named = files_named(settings, told)
    return f"Correct {' or '.join(named) or 'the file that dbt names'}, then run again."


def told(settings: Settings, node: Any, status: str, message: str) -> str:
    """What is wrong with a model or a test, and where in its file, or the compiled one, it is."""
    own = _file_of(settings, node.original_file_path)
    compiled = getattr(node, "compiled_path", None)
    counted_rows = _COUNT.sub(lambda found: counted(int(found[1]), "row"), message)
    said = engine_lines(in_the_repository(settings, counted_rows))
    if compiled:
        said = placed(
            said,
            (own, node.raw_code or ""),
            (os.path.relpath(compiled, settings.own_dir.parent), node.compiled_code or ""),
        )
    if status in WITHOUT_COMPLAINT or own in said:
        return said
    return f"{said}\nin {own}{_at_column(getattr(node, 'column_name', None))}"


def unknown_tests(settings: Settings, manifest: Mapping[str, Any]) -> list[str]:
    """Tests of a kind that nobody wrote: dbt finds that out when it runs them."""
    known = {str(each["name"]) for each in manifest["macros"].values()}
    kinds = [each.removeprefix(TEST) for each in known if each.startswith(TEST)]
    return [
        f"{_file_of(settings, node['original_file_path'])}{_at_column(node.get('column_name'))}: "
        f"there is no test `{kind}`.{did_you_mean(kind, kinds)}"
        for node in manifest["nodes"].values()
        if (kind := (node.get("test_metadata") or {}).get("name")) and TEST + kind not in known
    ]


def _file_of(settings: Settings, original_file_path: str) -> str:
    return normpath(f"{settings.dbt_project_dir.name}/{original_file_path}")


def _at_column(name: str | None) -> str:
    return f", column {name}" if name else ""


def _own(settings: Settings, path: str) -> str:
    project = settings.dbt_project_dir
    for folder in (project, project / "models", project.parent / "macros_lib"):
        if (folder / path).is_file():
            return normpath((folder.relative_to(project.parent) / path).as_posix())
    return ""


def _is_of_dbt(settings: Settings, line: str) -> bool:
    called = _CALLED_BY.fullmatch(line)
    return called is not None and not _own(settings, called[1])
