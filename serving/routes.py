"""Who is told what, and where: notifications.yml, read strictly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaml import Node, ScalarNode

from quality.runbooks import RUNBOOKS
from quality.strict_yaml import Entry, StrictYaml
from serving.channels import Email, TextFile, Way, Webhook
from serving.incidents import Incident
from serving.notices import TRANSITIONS, Transition
from warehouse.errors import SettingsError
from warehouse.settings import Settings

DEFAULT_FILE = "notifications.txt"
TOLD: tuple[Transition, ...] = ("opened", "closed")
MATCHES = ("owner", "tier", "layer", "source", "kind")
LAYERS = ("raw", "staging", "curated", "marts", "metrics")
SECURITY = ("starttls", "tls", "none")
WAYS: Mapping[str, tuple[str, ...]] = {
    "webhook": ("url_env", "timeout_seconds"),
    "email": (
        "host", "port", "security", "from", "to", "user_env", "password_env", "timeout_seconds",
    ),
    "file": ("path",),
}  # fmt: skip
NEEDED: Mapping[str, tuple[str, ...]] = {
    "webhook": ("url_env",),
    "email": ("host", "from", "to"),
    "file": ("path",),
}


@dataclass(frozen=True)
class Channel:
    name: str
    way: Way
    attempts: int = 3
    pause_seconds: float = 2.0


@dataclass(frozen=True)
class Route:
    """An incident takes it where everything matches that is said; nothing said matches all."""

    channels: tuple[str, ...]
    transitions: tuple[Transition, ...] = TOLD
    matches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def fits(self, incident: Incident) -> bool:
        return all(str(getattr(incident, key)) in values for key, values in self.matches.items())


@dataclass(frozen=True)
class Routes:
    channels: Mapping[str, Channel]
    routes: tuple[Route, ...]
    docs_url: str = ""

    def channels_for(self, incident: Incident, transition: Transition) -> tuple[Channel, ...]:
        """Every route that fits counts, and a channel is told once."""
        names = dict.fromkeys(
            name
            for route in self.routes
            if transition in route.transitions and route.fits(incident)
            for name in route.channels
        )
        return tuple(self.channels[name] for name in names)


def read_routes(settings: Settings) -> Routes:
    path = settings.notifications_path
    if path.exists():
        return _Reader(path, settings.own_dir).read()
    if settings.notifications is not None:
        raise SettingsError(
            f"SLUICE_NOTIFICATIONS names {path}, which is not there.",
            remedy="Write it (docs/on_call.md shows one), or take the setting away.",
        )
    channel = Channel("file", TextFile(settings.own_dir / DEFAULT_FILE))
    return Routes({channel.name: channel}, (Route((channel.name,)),))


class RoutesYaml(StrictYaml):
    EMPTY = "is empty: nobody would be told anything"
    REMEDY = "Correct the file (docs/on_call.md shows a whole one); until then nobody is told."


class _Reader:
    def __init__(self, path: Path, data_dir: Path) -> None:
        self.yaml = RoutesYaml(path, ())
        self.data_dir = data_dir

    def read(self) -> Routes:
        document = self.yaml.document()
        top = self.yaml.mapping(document, "the file")
        self.yaml.known(top, ("docs_url", "channels", "routes"), "the file")
        for word in ("channels", "routes"):
            if word not in top:
                raise self.yaml.error(document, f"the file needs `{word}`")
        channels: dict[str, Channel] = {}
        for node in self.yaml.sequence(top["channels"][1], "channels"):
            channel = self._channel(node)
            if channel.name in channels:
                raise self.yaml.error(node, f"the channel `{channel.name}` stands here twice")
            channels[channel.name] = channel
        routes = [
            self._route(node, channels) for node in self.yaml.sequence(top["routes"][1], "routes")
        ]
        return Routes(channels, tuple(routes), self._text(top, "docs_url"))

    def _channel(self, node: Node) -> Channel:
        given = self.yaml.mapping(node, "a channel")
        self.yaml.known(given, ("name", *WAYS, "attempts", "pause_seconds"), "a channel")
        if "name" not in given:
            raise self.yaml.error(node, "a channel needs its `name`")
        name = self._text(given, "name")
        if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name):
            raise self.yaml.error(given["name"][1], "`name` is one word: letters, digits, - and _")
        kinds = [word for word in WAYS if word in given]
        if len(kinds) != 1:
            raise self.yaml.error(
                node, f"the channel `{name}` needs exactly one of {', '.join(WAYS)}"
            )
        attempts = int(self._number(given, "attempts", 3))
        if not 1 <= attempts <= 10:
            raise self.yaml.error(given["attempts"][1], "`attempts` must be 1 to 10")
        pause = self._number(given, "pause_seconds", 2.0)
        return Channel(name, self._way(kinds[0], *given[kinds[0]]), attempts, pause)

    def _way(self, kind: str, key: Node, body: Node) -> Way:
        given = self.yaml.mapping(body, f"`{kind}`")
        self.yaml.known(given, WAYS[kind], f"`{kind}`")
        for word in NEEDED[kind]:
            if word not in given:
                raise self.yaml.error(key, f"`{kind}` needs `{word}`")
        timeout = self._number(given, "timeout_seconds", 10.0)
        if timeout <= 0:
            raise self.yaml.error(given["timeout_seconds"][1], "`timeout_seconds` is too short")
        if kind == "webhook":
            return Webhook(self._variable(given, "url_env"), timeout)
        if kind == "file":
            return TextFile(self.data_dir / self._text(given, "path"))
        security = self._text(given, "security") or "starttls"
        if "security" in given:
            self.yaml.one_of(given["security"][1], security, SECURITY, "security")
        return Email(
            host=self._text(given, "host"),
            sender=self._text(given, "from"),
            to=self._list(given["to"][1], "to"),
            port=int(self._number(given, "port", 465 if security == "tls" else 587)),
            security="tls" if security == "tls" else "none" if security == "none" else "starttls",
            user_env=self._variable(given, "user_env"),
            password_env=self._variable(given, "password_env"),
            timeout_seconds=timeout,
        )

    def _route(self, node: Node, channels: Iterable[str]) -> Route:
        given = self.yaml.mapping(node, "a route")
        self.yaml.known(given, (*MATCHES, "transitions", "channels"), "a route")
        if "channels" not in given:
            raise self.yaml.error(node, "a route needs its `channels`")
        names = self._chosen(given["channels"][1], "channels", channels, "channel of this file")
        transitions: tuple[Transition, ...] = TOLD
        if "transitions" in given:
            value = given["transitions"][1]
            chosen = self._chosen(value, "transitions", TRANSITIONS, "transition")
            transitions = tuple(each for each in TRANSITIONS if each in chosen)
        known = {"layer": LAYERS, "kind": tuple(RUNBOOKS), "tier": ("1", "2", "3")}
        matches = {
            key: self._chosen(value, key, known[key], key)
            if key in known
            else self._list(value, key)
            for key, (_, value) in given.items()
            if key in MATCHES
        }
        return Route(names, transitions, matches)

    def _chosen(self, node: Node, word: str, known: Iterable[str], what: str) -> tuple[str, ...]:
        values, choices = self._list(node, word), tuple(known)
        for value in values:
            self.yaml.one_of(node, value, choices, what)
        return values

    def _list(self, node: Node, word: str) -> tuple[str, ...]:
        """One value or several."""
        nodes = [node] if isinstance(node, ScalarNode) else self.yaml.sequence(node, word)
        return tuple(str(self.yaml.scalar(each, word)) for each in nodes)

    def _text(self, given: Mapping[str, Entry], word: str) -> str:
        return self.yaml.text(given[word][1], word) if word in given else ""

    def _number(self, given: Mapping[str, Entry], word: str, otherwise: float) -> Any:
        return self.yaml.number(given[word][1], word) if word in given else otherwise

    def _variable(self, given: Mapping[str, Entry], word: str) -> str:
        """A secret stands in the environment; what stands here is only its name."""
        name = self._text(given, word)
        if word in given and not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            raise self.yaml.error(
                given[word][1],
                f"`{word}` is the name of an environment variable, such as SLUICE_WEBHOOK; "
                "the secret itself never stands in a file",
            )
        return name
