"""Secrets come from a variable or an owner-only file, and stay out of what is said and logged."""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import quote

import pytest
from planted import PASSWORD, TOKEN

from cli.doctor import examine
from warehouse import secrets
from warehouse.errors import SettingsError
from warehouse.postgres import parts
from warehouse.secrets import redacted, remember
from warehouse.settings import PROJECT_ROOT, settings

URL = f"postgresql://ada:{quote(PASSWORD, safe='')}@db.example:5432/sluice"


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What other tests have made known is no business of these."""
    monkeypatch.setattr(secrets, "_known", set())
    secrets._pattern.cache_clear()
    yield
    secrets._pattern.cache_clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "postgres"
    path.write_text(f"{URL}\n")
    path.chmod(0o600)
    return path


def test_a_setting_comes_from_a_file_that_only_its_owner_reads(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_POSTGRES_FILE", str(file))
    assert settings().postgres.get_secret_value() == URL
    assert parts(settings())["password"] == PASSWORD
    assert PASSWORD not in repr(settings()) and quote(PASSWORD, safe="") not in str(settings())
    [told] = [each for each in examine() if each.name == "secrets"]
    assert told.is_good and told.text == f"SLUICE_POSTGRES (from {file})"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_that_others_may_read_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    file.chmod(mode)
    monkeypatch.setenv("SLUICE_POSTGRES_FILE", str(file))
    with pytest.raises(SettingsError, match=f"mode {mode:03o}.*\n.*chmod 600 {file}"):
        settings()


def test_a_dot_env_is_refused_once_it_holds_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dot_env = tmp_path / ".env"
    monkeypatch.setattr(secrets, "DOT_ENV", dot_env)
    dot_env.write_text("SLUICE_KEEP_DAYS=3\n")
    dot_env.chmod(0o644)
    assert secrets.find("SLUICE_POSTGRES") is None
    dot_env.write_text(f"SLUICE_POSTGRES='{URL}'\n")
    with pytest.raises(SettingsError, match=r"\.env \(mode 644\)"):
        secrets.find("SLUICE_POSTGRES")
    dot_env.chmod(0o600)
    assert secrets.value("SLUICE_POSTGRES") == URL


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), ("", "line is empty")])
def test_a_file_without_a_secret_is_told(
    file: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, told: str
) -> None:
    file.unlink() if content is None else file.write_text(content)
    monkeypatch.setenv("SLUICE_POSTGRES_FILE", str(file))
    with pytest.raises(SettingsError, match=f"SLUICE_POSTGRES_FILE names .*{told}"):
        settings()


def test_two_places_for_one_secret_are_one_too_many(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_POSTGRES_FILE", str(file))
    monkeypatch.setenv("SLUICE_POSTGRES", URL)
    with pytest.raises(SettingsError, match="both set"):
        settings()


def test_a_secret_is_hidden_in_whatever_form_it_appears() -> None:
    hook = f"https://hooks.example/services/T01/{TOKEN}?key=abc-123-def"
    for each in (URL, hook):
        remember(each)
    remember(f"host=db user=ada password='{TOKEN[::-1]}'")
    forms = (
        URL, PASSWORD, quote(PASSWORD), quote(PASSWORD, safe=""), json.dumps(PASSWORD),
        repr(PASSWORD), base64.b64encode(PASSWORD.encode()).decode(),
        base64.b64encode(f"ada:{PASSWORD}".encode()).decode(), hook, f"/services/T01/{TOKEN}",
        TOKEN, "abc-123-def", TOKEN[::-1],
    )  # fmt: skip
    for form in forms:
        said = redacted(f"before {form} after")
        assert said.startswith("before ") and said.endswith(" after") and "***" in said
        assert not any(each in said for each in forms), form
    assert redacted("db.example hooks.example ada services") == (
        "db.example hooks.example ada services"
    )


def test_what_is_no_secret_blackens_nothing_and_is_called_weak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLUICE_MASK_KEY", "postgres")
    assert secrets.value("SLUICE_MASK_KEY") == "postgres"
    assert redacted("the target is postgres") == "the target is postgres"
    [told] = [each for each in examine() if each.name == "secrets"]
    assert not told.is_good and "a plain word: SLUICE_MASK_KEY" in told.text


def test_no_library_logs_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "_logRecordFactory", logging.LogRecord)
    remember(URL)
    secrets.guard_logs()
    logger, out = logging.Logger("a library"), StringIO()
    logger.addHandler(logging.StreamHandler(out))
    try:
        raise ValueError(f"cannot reach {URL}")
    except ValueError:
        logger.exception("with %s and %d", PASSWORD, 7)
    assert "with *** and 7" in out.getvalue() and "cannot reach ***" in out.getvalue()
    assert PASSWORD not in out.getvalue() and URL not in out.getvalue()


def test_nothing_that_the_command_prints_shows_one() -> None:
    """Not even the trace of a fault of ours."""
    script = (
        "import sys, cli.main as m, warehouse.secrets as s\n"
        f"s.remember({URL!r}); s.guard_output()\n"
        f"print('out', {PASSWORD!r}); print('err', {URL!r}, file=sys.stderr)\n"
        f"raise RuntimeError({PASSWORD!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True
    )
    assert done.stdout == "out ***\n" and done.stderr.startswith("err ***\n")
    assert done.stderr.rstrip().endswith("RuntimeError: ***")
