"""The sender's names as SQL likes them, and which of them speak of persons."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

# Words that SQL keeps for itself in one engine or another.
_RESERVED_WORDS: Final = """
    all analyse analyze and anti any array as asc asof at authorization between bigint binary
    bit boolean both by case cast char character check coalesce collate column columns
    constraint create cross current_date current_time current_timestamp current_user cube dec
    decimal default delete desc describe distinct do drop else end except exists extract false
    fetch filter float for foreign from full grant group grouping having if in index inner
    insert int integer intersect interval into is join lambda lateral leading left like limit
    local localtime localtimestamp map minus natural none not null nullif numeric of
    offset on only or order out outer over overlaps partition pivot precision primary qualify
    real references returning right rollup row rows select semi session_user set setof show
    similar smallint some struct summarize table tablesample then time timestamp to trailing
    treat trim true truncate tuple union unique unpivot update user using value values varchar
    variadic when where window with within without
"""
_RESERVED: Final = frozenset(_RESERVED_WORDS.split())
# By the parts of a column's name; where the values must agree, its pattern decides.
_PERSONAL: Final[Mapping[str, str]] = {
    "e-mail address": r"e_?mail(_address)?|mail_address",
    "phone number": r"(tele)?phone(_(number|no))?|mobile(_(number|no))?|fax|telefon|handy",
    "name of a person": (
        r"(first|last|full|given|family|middle|maiden|display|user|nick|contact|customer|patient"
        r"|employee|owner|holder|sender|recipient)_?name|sur_?name|forename|vorname|nachname"
    ),
    "address": r"(street|home|postal|billing|shipping|mailing)?_?address(_?(line)?_?\d)?|street"
               r"|strasse|house_number",
    "IP address": r"ip|ip_?address|(client|remote|user)_ip|ipv[46]",
    "date of birth": r"birth_?(day|date)|date_of_birth|dob|born(_on)?|geburtsdatum",
    "number that the state or a bank gave": (
        r"ssn|social_security(_number|_no)?|passport(_number|_no)?|tax_id|national_id|iban"
        r"|credit_?card(_number)?|card_number|account_number"
    ),
    "particular of a person": r"gender|sex|race|religion|ethnicity|nationality|health|diagnosis",
}  # fmt: skip


_ID: Final = ("id", "key", "code", "number", "uuid", "guid", "no", "iata", "sku", "email")


def plain_name(text: str) -> str:
    """As SQL likes it: `Miles per Gallon`, `milesPerGallon` → miles_per_gallon."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).replace("ß", "ss")
    latin = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", latin.lower()).strip("_")
    return f"n_{name}" if name[:1].isdigit() else name


def unique_names(names: Iterable[str]) -> dict[str, str]:
    """By the sender's name ours, each once."""
    found: dict[str, str] = {}
    for number, sent in enumerate(names, 1):
        name = plain_name(sent) or f"column_{number}"
        if name in _RESERVED:
            name = f"{name}_value"
        taken, again = set(found.values()), 2
        while (name if again == 2 else f"{name}_{again - 1}") in taken:
            again += 1
        found[sent] = name if again == 2 else f"{name}_{again - 1}"
    return found


def personal_by_name(name: str) -> str:
    """What a column of this name says of a person; nothing if it does not."""
    for what, pattern in _PERSONAL.items():
        if re.fullmatch(rf"(.*_)?({pattern})", name):
            return what
    return ""


def is_id(name: str) -> bool:
    """Does one of our names say that it identifies something?"""
    return name.rpartition("_")[2] in _ID
