"""HTTP APIs: every row that the API has, once, however it behaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from quay import Quay, table

from ingestion.simulator import simulate
from ingestion.simulator.billing_api import LISTS, BillingApi, Moods, from_landing, serving
from warehouse.errors import ContractError, SluiceError
from warehouse.settings import Settings

# By entity, what staging keeps of the versions of one row.
VERSIONS = {name: key for name, (key, _) in LISTS.items()}
PATIENT = {"attempts": 8, "first_seconds": 0.001, "longest_seconds": 0.002}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety days of the sample company."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("provider"))
    simulate.run(settings, days=90)
    return Path(settings.landing_url)


def declare(quay: Quay, url: str, paginate: dict[str, Any], **source: Any) -> None:
    quay.declare(
        {
            "kind": "rest", "url": url, "paginate": paginate, "timeout_seconds": 2.0,
            "retries": PATIENT, **source,
        },
        *(
            table(
                name, {key: "varchar", changed: "timestamptz"}, key=[key],
                connector={"path": f"/{name}", "rows": "data",
                           "incremental": {"field": changed, "param": "since"}},
            )
            for name, (key, changed) in LISTS.items()
        ),
    )  # fmt: skip


def landed_rows(quay: Quay, entity: str) -> list[str]:
    paths = [path for path in quay.landed() if path.startswith(f"{entity}/")]
    return [line for path in paths for line in quay.content(path).decode().splitlines()]


def newest(lines: list[str], entity: str) -> dict[str, str]:
    key, changed = LISTS[entity]
    ordered = sorted(lines, key=lambda line: json.loads(line)[changed])
    return {json.loads(line)[key]: line for line in ordered}


@pytest.mark.parametrize(
    ("paginate", "moods"),
    [
        ({"kind": "page", "limit": 40, "path": "pages"},
         Moods(error=5, busy=7, silent=61, torn=6, again=9, withdrawn=23, changes=2,
               retry_after="0.01", silent_seconds=2.5)),
        ({"kind": "cursor", "limit": 40, "path": "next"},
         Moods(error=5, busy=8, torn=7, withdrawn=9, changes=3, retry_after="0.01")),
    ],
    ids=["page", "cursor"],
)  # fmt: skip
def test_a_misbehaving_api_is_read_to_exactly_the_rows_that_it_has(
    quay: Quay, history: Path, paginate: dict[str, Any], moods: Moods
) -> None:
    api = from_landing(history, moods, held_back=0.3)
    api.client = ("sluice", "a-secret-of-billing")
    api.token = "not given yet"
    with serving(api) as url:
        auth = {"kind": "oauth2", "token_url": f"{url}/oauth/token", "client_id": "sluice",
                "client_secret": "a-secret-of-billing"}  # fmt: skip
        declare(quay, url, paginate, auth=auth)
        quay.fetch()
        # The rest happens; the next fetch asks for what changed.
        for entity in LISTS:
            api.go_on(entity, 10**6)
        api.moods.changes = 0
        second = quay.fetch()
        third = quay.fetch()
    assert set(api.went_wrong) == {
        name
        for name in ("error", "busy", "silent", "torn", "again", "withdrawn")
        if getattr(moods, name)
    }
    assert api.tokens_given == 3 + api.went_wrong["withdrawn"]
    assert not second.problems and third.files == 0
    quay.load()
    for entity in LISTS:
        lines = landed_rows(quay, entity)
        assert len(lines) == len(set(lines)), f"a row of {entity} came twice"
        assert newest(lines, entity) == newest(list(api.rows[entity].values()), entity)
        [(count,)] = quay.rows(f"select count(*) from raw_shop.{entity}")
        assert count == len(lines)


def test_pages_that_shift_are_why_lists_are_read_again(quay: Quay, history: Path) -> None:
    """Broken on purpose: with one reading only, rows are lost."""
    api = from_landing(history, Moods(changes=7), held_back=0.5)
    with serving(api) as url:
        declare(quay, url, {"kind": "page", "limit": 10, "path": "pages", "read_again": False})
        quay.fetch()
    lost = 0
    for entity in ("invoices", "payments"):
        fetched = newest(landed_rows(quay, entity), entity)
        lost += len(set(api.rows[entity]) - set(fetched))
    assert lost > 0


def test_a_kill_between_rows_and_cursor_repeats_no_row(
    quay: Quay, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingestion.connectors.delivery import Stream

    api = from_landing(history, Moods())
    real = Stream.commit

    def dying(self: Stream, *arguments: Any) -> None:
        if self.name == "payments":
            raise KeyboardInterrupt
        real(self, *arguments)

    with serving(api) as url:
        declare(quay, url, {"kind": "page", "limit": 500, "path": "pages"})
        monkeypatch.setattr(Stream, "commit", dying)
        with pytest.raises(KeyboardInterrupt):
            quay.fetch()
        monkeypatch.setattr(Stream, "commit", real)
        quay.fetch()
    for entity in LISTS:
        assert sorted(landed_rows(quay, entity)) == sorted(api.rows[entity].values())


class Small(BaseHTTPRequestHandler):
    """Pages of every kind over the numbers from 0 to 24."""

    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        self.asked.append((str(self.headers.get("Authorization")), query))
        self.asked[-1][1].update({"X-Api-Key": str(self.headers.get("X-Api-Key"))})
        start = int(query.get("offset", query.get("start", 0)))
        if "page" in query:
            start = int(query["page"]) * 10
        part = [{"n": n, "price": 1.10} for n in range(start, min(start + 10, 25))]
        headers, following, status = {}, start + 10 if start + 10 < 25 else None, 200
        here = f"http://{self.headers['Host']}"
        body: Any = {"found": {"rows": part}, "total": 25}
        if url.path == "/link" and following:
            headers["Link"] = f'<{here}/link?start={following}>; rel="next"'
        elif url.path == "/next":
            body["next"] = f"/next?start={following}" if following else None
        elif url.path == "/away":
            body["next"] = "http://127.0.0.2:9/away"
        elif url.path == "/denied":
            status, body = 403, {"why": "no"}
        elif url.path == "/later":
            status, headers = 429, {"Retry-After": "86400"}
        elif url.path == "/bare":
            body = part
        text = json.dumps(body).replace("1.1}", "1.10}").encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def small() -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    asked: list[tuple[str, dict[str, str]]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Its", (Small,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


PAGES: list[tuple[str, dict[str, Any]]] = [
    ("/offset", {"kind": "offset", "limit": 10, "path": "total"}),
    ("/offset", {"kind": "offset", "limit": 10}),
    ("/page", {"kind": "page", "first": 0}),
    ("/link", {"kind": "link_header"}),
    ("/next", {"kind": "next_url", "path": "next"}),
]


@pytest.mark.parametrize(("path", "paginate"), PAGES)
def test_every_kind_of_paging_brings_every_row_as_it_was_written(
    quay: Quay, path: str, paginate: dict[str, Any]
) -> None:
    with small() as (url, _):
        entity = table("numbers", {"n": "bigint", "price": "decimal(18,2)"},
                       connector={"path": path, "rows": "found.rows"})  # fmt: skip
        quay.declare({"kind": "rest", "url": url, "paginate": paginate}, entity)
        assert quay.fetch().rows == 25 and quay.fetch().files == 0
    assert landed_rows(quay, "numbers")[0] == '{"n": 0, "price": 1.10}'
    quay.load()
    assert quay.rows("select count(distinct n), sum(price)::varchar from raw_shop.numbers") == [
        (25, "27.50")
    ]


AUTHS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "bearer", "token": "${env:API_TOKEN}"}, "Bearer a-token-of-ours"),
    ({"kind": "basic", "username": "me", "password": "${env:API_TOKEN}"}, "Basic bWU6"),
    ({"kind": "api_key", "value": "${env:API_TOKEN}"}, "X-Api-Key"),
    ({"kind": "api_key", "name": "key", "value": "${env:API_TOKEN}", "place": "query"}, "key"),
]


@pytest.mark.parametrize(("auth", "shown"), AUTHS)
def test_every_kind_of_credentials_is_shown(
    quay: Quay, auth: dict[str, Any], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "a-token-of-ours")
    with small() as (url, asked):
        entity = table("numbers", {"n": "bigint"}, connector={"path": "/bare"})
        quay.declare({"kind": "rest", "url": url, "auth": auth}, entity)
        assert quay.fetch().rows == 10
    header, query = asked[0]
    assert header.startswith(shown) or query.get(shown) == "a-token-of-ours"
    assert "a-token-of-ours" not in json.dumps(quay.log("fetched"))


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("/denied", {}, "answered 403"),
    ("/later", {}, "come back in 86,400 seconds"),
    ("/away", {"paginate": {"kind": "next_url"}}, "names http://127.0.0.2:9 as its next page"),
    ("/bare?x", {"rows": "data"}, "does not hold rows at `rows: data`"),
    ("/page", {"paginate": {"kind": "pages"}}, "Input should be"),
    ("/page", {"paginate": {"kind": "page", "parm": "p"}}, "did you mean `param`"),
]


@pytest.mark.parametrize(("path", "more", "says"), FAULTS)
def test_what_cannot_go_well_is_said_at_once(
    quay: Quay, path: str, more: dict[str, Any], says: str
) -> None:
    with small() as (url, asked):
        entity = table("numbers", {"n": "bigint"}, connector={"path": path, **(
            {"rows": "found.rows"} | more if path != "/bare?x" else more)})  # fmt: skip
        quay.declare({"kind": "rest", "url": url}, entity)
        with pytest.raises((SluiceError, ContractError), match=says):
            quay.fetch()
        assert len(asked) <= 1
    assert not quay.landed()


def test_an_api_that_never_answers_is_given_up_and_logged(quay: Quay) -> None:
    entity = table("numbers", {"n": "bigint"}, connector={"path": "/x"})
    quay.declare({"kind": "rest", "url": "http://127.0.0.1:9", "retries": PATIENT}, entity)
    with pytest.raises(SluiceError, match="failed 8 times; at last ConnectionError"):
        quay.fetch()
    assert quay.log("failed")


def test_new_fields_pass_through_to_raw(quay: Quay, history: Path) -> None:
    api = BillingApi(Moods())
    for entity in LISTS:
        api.learn(entity, [])
    api.learn("refunds", ['{"refund_id": "r1", "refunded_at": "2026-01-01T00:00:00Z"}'])
    with serving(api) as url:
        declare(quay, url, {"kind": "page", "limit": 5, "path": "pages"})
        quay.fetch()
        api.learn("refunds", ['{"refund_id": "r2", "refunded_at": "2026-01-02T00:00:00Z", "x": 1}'])
        quay.fetch()
    assert quay.load().entities["refunds"].drift == ("x",)
    assert quay.rows("select _extra from raw_shop.refunds order by refund_id")[1] == ('{"x":1}',)
