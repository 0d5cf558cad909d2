"""Ways to reach people: a webhook, e-mail, a file. Each delivers one notice, or says why not."""

from __future__ import annotations

import http.client
import json
import smtplib
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from serving.notices import Notice
from warehouse import secrets
from warehouse.errors import SettingsError

# What a web server says of its own trouble; any other 4xx would be the same the next time.
PASSING = (408, 425, 429)


class Undelivered(Exception):
    """A notice did not arrive; `may_retry` when the next try could."""

    def __init__(self, message: str, *, may_retry: bool = True) -> None:
        self.may_retry = may_retry
        super().__init__(message)


@dataclass(frozen=True)
class Webhook:
    url_env: str
    timeout_seconds: float = 10.0

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.url_env,)

    def deliver(self, notice: Notice) -> None:
        url = _secret(self.url_env)
        if urlsplit(url).scheme not in ("http", "https"):
            raise Undelivered(f"{self.url_env} holds no http(s) address", may_retry=False)
        request = urllib.request.Request(
            url,
            data=json.dumps(notice.chat).encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": notice.key},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_seconds):
                return
        except urllib.error.HTTPError as error:
            passing = error.code >= 500 or error.code in PASSING
            error.close()
            raise Undelivered(f"it answered {error.code}", may_retry=passing) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            # Never the address itself: it is the secret.
            raise Undelivered(_said(getattr(error, "reason", error))) from error


@dataclass(frozen=True)
class Email:
    host: str
    sender: str
    to: tuple[str, ...]
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user_env: str = ""
    password_env: str = ""
    timeout_seconds: float = 10.0

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(each for each in (self.user_env, self.password_env) if each)

    def deliver(self, notice: Notice) -> None:
        user = _secret(self.user_env) if self.user_env else ""
        password = _secret(self.password_env) if self.password_env else ""
        kind = smtplib.SMTP_SSL if self.security == "tls" else smtplib.SMTP
        try:
            with kind(self.host, self.port, timeout=self.timeout_seconds) as server:
                if self.security == "starttls":
                    server.starttls()
                if user:
                    server.login(user, password)
                server.send_message(self._letter(notice), self.sender, list(self.to))
        except smtplib.SMTPAuthenticationError as error:
            raise Undelivered(f"it refused the log-in of {self.user_env}") from error
        except smtplib.SMTPRecipientsRefused as error:
            refused = ", ".join(sorted(error.recipients))
            raise Undelivered(f"it refused the addresses {refused}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Undelivered(_said(error)) from error

    def _letter(self, notice: Notice) -> EmailMessage:
        letter = EmailMessage()
        letter["Subject"] = " ".join(notice.subject.split())
        letter["From"] = self.sender
        letter["To"] = ", ".join(self.to)
        letter["Message-ID"] = f"<{notice.key}@sluice>"
        # Not every server takes eight bits.
        letter.set_content(f"{notice.text}\n", cte="quoted-printable")
        return letter


@dataclass(frozen=True)
class TextFile:
    path: Path

    @property
    def secrets(self) -> tuple[str, ...]:
        return ()

    def deliver(self, notice: Notice) -> None:
        mark = f"[{notice.key}]"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            there = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
            # A process that was ended after this line had written, and before it was noted.
            if mark in there and not notice.key.startswith("trial."):
                return
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{mark} {notice.text}\n\n")
        except OSError as error:
            raise Undelivered(_said(error)) from error


Way = Webhook | Email | TextFile


def _secret(name: str) -> str:
    try:
        found = secrets.value(name)
    except SettingsError as error:
        raise Undelivered(str(error), may_retry=False) from error
    if not found:
        raise Undelivered(f"the environment variable {name} is not set", may_retry=False)
    return found


def _said(error: object) -> str:
    text = " ".join(secrets.redacted(str(error)).split())
    return text or type(error).__name__
