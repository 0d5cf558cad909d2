"""What the published snapshot knows of incidents and promises, to those who are to know it."""

from __future__ import annotations

from collections.abc import Callable

from serving import budgets
from serving.notifications import notify
from warehouse.errors import SluiceError
from warehouse.settings import settings


def tell_people(say: Callable[[str], None]) -> None:
    try:
        budgets.export(settings())
        for line in notify(settings()).lines:
            say(line)
    except SluiceError as error:
        # The snapshot is out; what went wrong with telling of it must not make it look otherwise.
        say(f"✗ nobody was told: {error}")
