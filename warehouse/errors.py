"""The one family of errors a user is meant to read."""

from __future__ import annotations


class SluiceError(Exception):
    """Something a person can mend: what happened, where, and what to do next."""

    exit_code = 1

    def __init__(self, what: str, *, remedy: str = "") -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what}\n  → {remedy}" if remedy else what)


class SettingsError(SluiceError):
    """The set-up is wrong (exit code 2, like a wrong option)."""

    exit_code = 2


class LockedError(SluiceError):
    """Somebody else holds what this process needs."""

    exit_code = 3


class GateClosedError(SluiceError):
    """A gate closed: the data is not fit to go on (exit code 4)."""

    exit_code = 4


class ContractError(SluiceError):
    """A source's contract cannot be read, or a whole delivery breaks it."""


class PublishError(SluiceError):
    """A snapshot could not be made or switched to."""
