"""A first look at an HTTP API: where its rows are, how it pages, what may not stand in YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from dlt.sources.helpers.requests import RequestException, Session

from ingestion.connectors.json_values import elements_at
from warehouse.errors import SluiceError

_SECRET: Final = re.compile(r"(?i).*(key|token|secret|password|auth|sig(nature)?)")
_NEXT_URL: Final = ("next", "next_url", "links.next", "paging.next", "meta.next")
_CURSOR: Final = ("next_cursor", "cursor.next", "meta.next_cursor", "paging.cursors.after")


@dataclass(frozen=True)
class FirstPage:
    """What one answer of an API showed."""

    lines: tuple[bytes, ...]
    source: Mapping[str, Any]
    entity: Mapping[str, Any]
    notes: tuple[str, ...]


def first_page(source: str, url: str, token: str = "", token_variable: str = "") -> FirstPage:
    """Ask once, and propose how a connector would ask always."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise SluiceError(
            "--url must be http(s)://host/path, without a password in it.",
            remedy="Give a token by --token-variable NAME, the variable that holds it.",
        )
    text, link = _asked(url, token)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise SluiceError(
            f"{parts.hostname}{parts.path} answered no JSON.", remedy="Name the list itself."
        ) from error
    rows = _rows(document)
    lines = tuple(" ".join(each.splitlines()).encode() + b"\n" for each in elements_at(text, rows))
    base, _, path = parts.path.rpartition("/")
    declared: dict[str, Any] = {"kind": "rest", "url": f"{parts.scheme}://{parts.netloc}{base}"}
    if token_variable:
        declared["auth"] = {"kind": "bearer", "token": f"${{env:{token_variable}}}"}
    paginate, notes = _paginate(document, link), list[str]()
    if paginate:
        declared["paginate"] = paginate
    else:
        notes.append("It named no next page: one page is the list. If there are more, `paginate`.")
    entity: dict[str, Any] = {"path": f"/{path}"}
    params = dict(parse_qsl(parts.query))
    for name in params:
        if _SECRET.fullmatch(name):
            variable = re.sub(r"\W+", "_", f"{source}_{name}").upper()
            params[name] = f"${{env:{variable}}}"
            notes.append(f"The parameter {name} looks secret: it is read from {variable}.")
    if params:
        entity["params"] = params
    if rows:
        entity["rows"] = rows
    return FirstPage(lines, declared, entity, tuple(notes))


def _asked(url: str, token: str) -> tuple[str, bool]:
    shown = url.partition("?")[0]
    session = Session(timeout=30.0, raise_for_status=False)
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    try:
        response = session.get(url)
    except RequestException as error:
        raise SluiceError(
            f"{shown} cannot be reached: {type(error).__name__}.", remedy="Look at --url."
        ) from error
    if response.status_code >= 300:
        raise SluiceError(
            f"{shown} answered {response.status_code}.",
            remedy="Look at --url, and at --token-variable if it wants to know who asks.",
        )
    return response.content.decode("utf-8", "replace"), "next" in response.links


def _rows(document: Any) -> str:
    """The place of the longest list of objects (a.b.c); nothing: the document is the list."""
    if isinstance(document, list):
        return ""
    found = sorted(_lists(document), key=lambda each: -each[1])
    if not found:
        raise SluiceError("The answer holds no list of objects.", remedy="Name the URL of a list.")
    return found[0][0]


def _lists(document: Any, path: str = "") -> list[tuple[str, int]]:
    if not isinstance(document, dict) or path.count(".") > 3:
        return []
    found = []
    for name, value in document.items():
        place = f"{path}.{name}" if path else str(name)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            found.append((place, len(value)))
        found += _lists(value, place)
    return found


def _paginate(document: Any, has_link: bool) -> dict[str, Any]:
    if has_link:
        return {"kind": "link_header"}
    for path in _NEXT_URL:
        value = _at(document, path)
        if isinstance(value, str) and re.match(r"https?://|/", value):
            return {"kind": "next_url", "path": path}
    for path in _CURSOR:
        if isinstance(_at(document, path), str | int):
            return {"kind": "cursor", "path": path, "param": "cursor"}
    return {}


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document
