"""The documents: links lead somewhere, commands exist, the README's tour goes as it says."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from platform_under_test import Demo, Sluice

from cli.main import sluice
from warehouse.settings import PROJECT_ROOT, Settings

DOCS = sorted(
    path
    for path in [
        *PROJECT_ROOT.glob("*.md"),
        *(PROJECT_ROOT / "docs").rglob("*.md"),
        PROJECT_ROOT / "quality" / "README.md",
        PROJECT_ROOT / "macros_lib" / "README.md",
    ]
    if path.exists()
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+)`")
# What a run makes is not in the repository.
MADE = ("benchmarks/results", "data/", "landing/", ".venv", ".dagster", "published/", "raw_")
OTHER_COMMANDS = {
    ".venv/bin/python", "../.venv/bin/dbt", "UPDATE_REFERENCE=1", "cat", "cd", "cp", "df", "du",
    "git", "head", "jq", "kill", "less", "ls", "mkdir", "mv", "ps", "source", "tail", "uv",
}  # fmt: skip


def ids(path: Path) -> str:
    return str(path.relative_to(PROJECT_ROOT))


@pytest.mark.parametrize("page", DOCS, ids=ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCED.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{ids(page)} links to {target}"
        if anchor:
            assert anchor in _anchors(there), f"{ids(page)} links to {target}"


@pytest.mark.parametrize("page", DOCS, ids=ids)
def test_every_file_that_is_named_exists(page: Path) -> None:
    for name in _named_files(page.read_text()):
        places = (PROJECT_ROOT, page.parent, PROJECT_ROOT / "dbt_project")
        assert any(list(place.glob(name)) for place in places), f"{ids(page)} names {name}"


@pytest.mark.parametrize("page", DOCS, ids=ids)
def test_every_command_exists_with_its_options(page: Path) -> None:
    text = page.read_text()
    for command, is_complete in _commands(text):
        try:
            _understood(command, is_complete)
        except (AssertionError, click.ClickException, ValueError) as error:
            pytest.fail(f"{ids(page)}: `{command}`: {error}")


def test_every_setting_is_in_the_engineers_table_and_no_other() -> None:
    text = (PROJECT_ROOT / "docs" / "engineers.md").read_text()
    told = set(re.findall(r"^\| `SLUICE_([A-Z_]+)`", text, re.M))
    assert told == {name.upper() for name in Settings.model_fields}


def test_every_direct_dependency_has_its_reason() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    listed = [*project["dependencies"], *(each for extra in extras for each in extra)]
    needed = {re.split(r"[\[=<>!~ ;]", each)[0] for each in listed}
    page = (PROJECT_ROOT / "docs" / "decisions" / "dependencies.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+)` \| \S", page, re.M)) == needed


def test_every_decision_and_runbook_is_reached_from_its_list() -> None:
    for page, folder in (
        ("docs/decisions/README.md", "docs/decisions"),
        ("docs/on_call.md", "docs/runbooks"),
    ):
        links = {
            (PROJECT_ROOT / page).parent / each.partition("#")[0]
            for each in LINK.findall((PROJECT_ROOT / page).read_text())
        }
        listed = {each.resolve() for each in links}
        for each in (PROJECT_ROOT / folder).glob("*.md"):
            assert each.name == "README.md" or each in listed, f"{page} does not list {each.name}"


READING = (
    *("query", "metrics", "status", "published list", "published show", "doctor"),
    *("quarantine list", "quarantine show"),
)


def test_every_question_that_the_documents_ask_is_answered(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, on the demo's data: imports once instead of once a command."""
    for name in ("SLUICE_DATA_DIR", "SLUICE_DAGSTER_HOME", "COLUMNS"):
        monkeypatch.setenv(name, demo.sluice.environment[name])
    asked = {
        command
        for page in DOCS
        for command, is_complete in _commands(page.read_text())
        if is_complete and "<" not in command and command.startswith("sluice ")
    }
    for command in sorted(asked):
        words = shlex.split(command)[1:]
        if " ".join(words).startswith(READING):
            result = CliRunner().invoke(sluice, words)
            assert result.exit_code == 0, f"`{command}`: {result.exception or result.output}"


@dataclass(frozen=True)
class Step:
    """Commands of the tour and the lines that the README says they print (… is anything)."""

    commands: tuple[str, ...]
    seen: tuple[str, ...]


def test_the_tour_goes_as_the_readme_says(own_demo: Sluice) -> None:
    """Each command of “Break something”, in order, on a copy of the demo's data."""
    steps = list(_tour())
    before: Any = own_demo.json("published", "list")
    assert sum(len(step.commands) for step in steps) >= 8
    for step in steps:
        printed = ""
        for command in step.commands:
            words, _, comment = command.partition("  #")
            code = re.search(r"exit code (\d+)", comment)
            done = own_demo(*shlex.split(words)[1:], code=int(code.group(1)) if code else 0)
            printed += done.stdout + done.stderr
        for seen in step.seen:
            assert _is_printed(seen, printed), (
                f"The README says that {step.commands} print\n  {seen}\nbut they print:\n{printed}"
            )
    # After all of it, the morning's state is there to go back to.
    after: Any = own_demo.json("published", "list")
    assert before[0]["snapshot_id"] in {each["snapshot_id"] for each in after}


def test_the_demo_prints_what_the_readme_shows(demo: Demo) -> None:
    text = (PROJECT_ROOT / "README.md").read_text()
    marked = text.partition("<!-- demo output: begin")[2].partition("<!-- demo output: end")[0]
    shown = [line for _, block in FENCED.findall(marked) for line in block.splitlines() if line]
    assert len(shown) > 10, "The README does not show what the demo prints."
    for line in shown:
        assert _is_printed(line, demo.output), f"The demo does not print\n  {line}\n{demo.output}"


def _is_printed(line: str, printed: str) -> bool:
    """Among the printed lines, whatever the numbers and the gaps; … stands for anything."""
    pattern = ".*".join(re.escape(part) for part in _plain(line).split("…"))
    return any(re.fullmatch(pattern, _plain(each)) for each in printed.splitlines())


def _plain(line: str) -> str:
    return re.sub(r"\d[\d.,:-]*( \d[\d.,:-]*)*", "#", " ".join(line.split()))


def _tour() -> Iterator[Step]:
    text = (PROJECT_ROOT / "README.md").read_text()
    section = text.partition("## Break something")[2].partition("\n## ")[0]
    commands: tuple[str, ...] = ()
    for language, block in FENCED.findall(section):
        lines = tuple(line for line in block.splitlines() if line.strip())
        if language == "sh":
            if commands:
                yield Step(commands, ())
            commands = lines
        elif language == "text":
            yield Step(commands, lines)
            commands = ()
    if commands:
        yield Step(commands, ())


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}


def _named_files(text: str) -> Iterator[str]:
    top = {path.name for path in PROJECT_ROOT.iterdir()}
    for span in SPAN.findall(FENCED.sub("", text)):
        name = span.rstrip("/")
        if not re.fullmatch(r"[\w.*-]+(/[\w.*-]+)*/?", span) or span.startswith(MADE):
            continue
        is_path = "/" in span and name.split("/")[0] in top
        is_file = re.fullmatch(r"[\w*-]+\.(md|py|sql|yml|yaml|toml|csv|lock|svg)", name)
        if is_path or (is_file and (PROJECT_ROOT / name).exists()):
            yield name


def _commands(text: str) -> Iterator[tuple[str, bool]]:
    """Lines of shell blocks, and names of commands in a sentence, which may lack arguments."""
    for language, block in FENCED.findall(text):
        if language in ("sh", "bash", "console"):
            for line in block.replace("\\\n", " ").splitlines():
                bare = re.sub(r"(^|\s)#.*$", "", line).strip().removeprefix("$ ")
                if bare:
                    yield bare, True
    for span in SPAN.findall(FENCED.sub("", text)):
        if re.match(r"(sluice|make) \S", span):
            yield span, False


def _understood(command: str, is_complete: bool) -> None:
    for part in re.split(r"\s(?:&&|\|)\s", command):
        words = shlex.split(re.sub(r"\s>\s.*$", "", part))
        while words and re.match(r"[A-Z_]+=", words[0]) and len(words) > 1:
            words.pop(0)
        first, rest = words[0].removeprefix(".venv/bin/"), words[1:]
        if first == "make":
            targets = set(re.findall(r"^([a-z-]+):", (PROJECT_ROOT / "Makefile").read_text(), re.M))
            named = {word for word in rest if "=" not in word}
            assert named <= targets, f"no such target: {named - targets}"
        elif first == "sluice":
            _parsed(rest, is_complete)
        else:
            assert words[0] in OTHER_COMMANDS, "not a command we know"


def _parsed(words: list[str], is_complete: bool) -> None:
    command: click.Command = sluice
    context = click.Context(command, info_name="sluice", **sluice.context_settings)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"no such command: {words[0]}"
        command, words = found, words[1:]
    if isinstance(command, click.Group) and not words:
        return
    try:
        command.make_context(command.name or "sluice", list(words), parent=context)
    except click.exceptions.Exit:
        return
    except click.MissingParameter:
        if is_complete:
            raise
