"""The one family of errors a user is meant to read."""

from __future__ import annotations

WRONG_USE = 2
"""The exit code of a wrong option, of a name that nothing bears, of a question without sense."""


class SluiceError(Exception):
    """Something a person can mend: what happened, where, and what to do next.

    The exit code is the class's, unless what was asked for is what is wrong: WRONG_USE.
    """

    exit_code = 1

    def __init__(self, what: str, *, remedy: str = "", exit_code: int | None = None) -> None:
        if exit_code is not None:
            self.exit_code = exit_code
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what}\n  → {remedy}" if remedy else what)


class SettingsError(SluiceError):
    """The set-up is wrong (exit code 2, like a wrong option)."""

    exit_code = WRONG_USE


class LockedError(SluiceError):
    """Somebody else holds what this process needs."""

    exit_code = 3


class GateClosedError(SluiceError):
    """A gate closed: the data is not fit to go on (exit code 4)."""

    exit_code = 4


class ContractError(SluiceError):
    """A source's contract cannot be read, or a whole delivery breaks it."""


class ProjectError(SluiceError):
    """dbt cannot read the project as its files stand."""


class PublishError(SluiceError):
    """A snapshot could not be made or switched to."""
