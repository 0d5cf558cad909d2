"""Pages of an HTTP API: asked for patiently, whatever goes wrong on the way.

dlt knows how APIs page and who they let in; what is ours is to try again and to trust no body.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit

from dlt.sources.helpers.requests import HTTPError, Request, RequestException, Response, Session
from dlt.sources.helpers.rest_client.auth import (
    APIKeyAuth,
    AuthConfigBase,
    BearerTokenAuth,
    HttpBasicAuth,
    OAuth2ClientCredentials,
)
from dlt.sources.helpers.rest_client.paginators import (
    BasePaginator,
    HeaderLinkPaginator,
    JSONLinkPaginator,
    JSONResponseCursorPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    SinglePagePaginator,
)

from ingestion.connectors.json_values import NotAnArrayError, elements_at
from ingestion.connectors.words import Auth, Paginate, RestEntity, RestSource
from warehouse.errors import SluiceError

_PASSING: Final = {408, 409, 425, 429, 500, 502, 503, 504}
# Who asks us to wait longer is not waited for: the next fetch comes anyway.
_LONGEST_WAIT: Final = 300.0
# A list that long has no end: its next page is always there.
_PAGES_AT_MOST: Final = 100_000


class Pages:
    """The lists of one API."""

    def __init__(self, declared: RestSource, source: str) -> None:
        self.declared, self.source = declared, source
        self._session = Session(timeout=declared.timeout_seconds, raise_for_status=False)
        self._session.headers.update(declared.headers)
        self._auth = _auth(declared.auth) if declared.auth else None

    def of(self, entity: RestEntity, params: Mapping[str, Any]) -> Iterator[list[str]]:
        """Page by page the rows' own texts."""
        declared = entity.paginate or self.declared.paginate
        paginator = _paginator(declared)
        url = f"{self.declared.url.rstrip('/')}/{entity.path.lstrip('/')}"
        limit = {declared.limit_param: declared.limit} if declared.limit else {}
        request = Request("GET", url, params={**entity.params, **limit, **params}, auth=self._auth)
        paginator.init_request(request)
        for _ in range(_PAGES_AT_MOST):
            response, rows = self._ask(request, entity)
            yield rows
            if declared.kind in ("page", "offset") and declared.limit and len(rows) == 0:
                return
            paginator.update_state(response, rows)
            if not paginator.has_next_page:
                return
            paginator.update_request(request)
            self._stay_at_home(url, str(request.url))
        raise SluiceError(
            f"{url} has more than {_PAGES_AT_MOST:,} pages.",
            remedy="Look at `paginate` of its connector: does the API go round in a circle?",
        )

    def _ask(self, request: Request, entity: RestEntity) -> tuple[Response, list[str]]:
        retries, fault, renewed = self.declared.retries, "", False
        for attempt in range(retries.attempts):
            wait = min(retries.longest_seconds, retries.first_seconds * 2**attempt)
            try:
                response = self._send(request)
                if response.status_code < 300:
                    return response, list(_rows(response, entity))
                fault = f"it answered {response.status_code}"
                if response.status_code == 401 and not renewed and _renew(self._auth):
                    renewed = True
                    continue
                if response.status_code not in _PASSING:
                    raise self._refused(request, response)
                wait = _told_to_wait(response, wait)
            except HTTPError as error:
                fault = self._not_let_in(error)
            except (RequestException, ValueError) as error:
                fault = _in_short(error)
            if attempt + 1 < retries.attempts:
                # Many clients that failed together do not come back together.
                time.sleep(
                    wait * random.uniform(0.5, 1.0) if wait <= retries.longest_seconds else wait
                )
        raise SluiceError(
            f"{_without_query(request)} failed {retries.attempts} times; at last {fault}.",
            remedy="The next fetch carries on from here. If it lasts, ask whoever runs the API.",
        )

    def _send(self, request: Request) -> Response:
        # Its `send` has no types.
        session = cast(Any, self._session)
        response = session.send(
            session.prepare_request(request), timeout=self.declared.timeout_seconds
        )
        return cast(Response, response)

    def _not_let_in(self, error: HTTPError) -> str:
        """The server that gives tokens did not: for good, or for now."""
        status = error.response.status_code if error.response is not None else 0
        if 400 <= status < 500 and status not in _PASSING:
            raise SluiceError(
                f"{self.source} gave us no token: its server answered {status}.",
                remedy="Look at `auth` of its connector: token_url, client_id, client_secret.",
            ) from error
        return f"the server that gives tokens answered {status}"

    def _refused(self, request: Request, response: Response) -> SluiceError:
        status = response.status_code
        remedy = {
            401: "Look at `auth` of its connector: the credentials are wrong or have expired.",
            403: "Ask for the right to read this list.",
            404: "Look at `url` and `path` of its connector.",
        }.get(status, "Look at `params` and `paginate` of its connector.")
        said = " ".join(response.text.split())[:200]
        return SluiceError(f"{_without_query(request)} answered {status}: {said}", remedy=remedy)

    def _stay_at_home(self, first: str, following: str) -> None:
        """Another host that is named as the next page is not sent our credentials."""
        here, there = urlsplit(first), urlsplit(following)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise SluiceError(
                f"{self.source} names {there.scheme}://{there.netloc} as its next page, "
                f"but it was asked at {here.scheme}://{here.netloc}.",
                remedy="If that is right, let `url` of the connector begin with the former.",
            )


def _rows(response: Response, entity: RestEntity) -> Iterator[str]:
    """A body that was cut off is no JSON, and raises before any of its rows is taken."""
    text = response.content.decode("utf-8")
    json.loads(text)
    try:
        yield from list(elements_at(text, entity.rows))
    except NotAnArrayError as error:
        raise SluiceError(
            f"The answer for {entity.path} does not hold rows at `rows: {entity.rows}`: {error}",
            remedy="Say in `rows` of its connector where they are (a.b.c).",
        ) from error


def _told_to_wait(response: Response, wait: float) -> float:
    told = response.headers.get("Retry-After", "").strip()
    if not told:
        return wait
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds()
        except ValueError:
            return wait
    if seconds > _LONGEST_WAIT:
        raise SluiceError(
            f"The API asks to come back in {seconds:,.0f} seconds.",
            remedy="The next fetch carries on from here; fetch less often, or ask for more quota.",
        )
    return max(seconds, 0.0)


def _in_short(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "its answer was cut off or is no JSON"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _without_query(request: Request) -> str:
    return str(request.url).partition("?")[0]


def _auth(declared: Auth) -> AuthConfigBase:
    if declared.kind == "bearer":
        return BearerTokenAuth(token=declared.token)
    if declared.kind == "api_key":
        return APIKeyAuth(name=declared.name, api_key=declared.value, location=declared.place)
    if declared.kind == "basic":
        return HttpBasicAuth(username=declared.username, password=declared.password)
    return OAuth2ClientCredentials(
        access_token_url=declared.token_url,
        client_id=declared.client_id,
        client_secret=declared.client_secret,
        access_token_request_data={"scope": declared.scope} if declared.scope else {},
        session=Session(raise_for_status=False),
    )


def _renew(auth: AuthConfigBase | None) -> bool:
    """A token that was withdrawn before its time is asked for anew, once."""
    if isinstance(auth, OAuth2ClientCredentials):
        auth.access_token = None
        return True
    return False


def _paginator(declared: Paginate) -> BasePaginator:
    kind = declared.kind
    if kind == "page":
        return PageNumberPaginator(
            base_page=declared.first,
            page_param=declared.param or "page",
            total_path=declared.path or None,
        )
    if kind == "offset":
        return OffsetPaginator(
            limit=declared.limit or 100,
            offset_param=declared.param or "offset",
            limit_param=declared.limit_param,
            total_path=declared.path or None,
        )
    if kind == "cursor":
        return JSONResponseCursorPaginator(
            cursor_path=declared.path or "next", cursor_param=declared.param or "cursor"
        )
    if kind == "next_url":
        return JSONLinkPaginator(next_url_path=declared.path or "next")
    return HeaderLinkPaginator() if kind == "link_header" else SinglePagePaginator()
