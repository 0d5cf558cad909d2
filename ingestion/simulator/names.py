"""What accounts and people are called, from the numbers and codes that stand for them."""

from __future__ import annotations

import re
import unicodedata

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.lines import Block, digits, joined, whole, words
from ingestion.simulator.scale import Array


def _plain(word: str) -> str:
    """Lower-case ASCII, as in an address."""
    bare = unicodedata.normalize("NFKD", word.replace("Ł", "L"))
    return re.sub("[^a-z]", "", bare.encode("ascii", "ignore").decode().lower())


_GIVEN, _FAMILY = words(ref.GIVEN_NAMES), words(ref.FAMILY_NAMES)
_GIVEN_PLAIN = words([_plain(name) for name in ref.GIVEN_NAMES])
_FAMILY_PLAIN = words([_plain(name) for name in ref.FAMILY_NAMES])
_FIRST, _SECOND = words(ref.COMPANY_FIRST), words(ref.COMPANY_SECOND)
_FIRST_PLAIN = words([_plain(word) for word in ref.COMPANY_FIRST])
_SECOND_PLAIN = words([_plain(word) for word in ref.COMPANY_SECOND])
_SUFFIX = words(ref.COMPANY_SUFFIX)


def account_id(numbers: Array) -> Block:
    return joined(b"acc_", digits(numbers))


def company_name(codes: Array) -> Block:
    rest, suffix = np.divmod(codes, len(ref.COMPANY_SUFFIX))
    first, second = np.divmod(rest, len(ref.COMPANY_SECOND))
    return joined(_FIRST[first], b" ", _SECOND[second], _SUFFIX[suffix])


def domain(codes: Array) -> Block:
    rest = codes // len(ref.COMPANY_SUFFIX)
    first, second = np.divmod(rest, len(ref.COMPANY_SECOND))
    return joined(_FIRST_PLAIN[first], _SECOND_PLAIN[second], b".example")


def person(codes: Array) -> Block:
    given, family = np.divmod(codes, len(ref.FAMILY_NAMES))
    return joined(_GIVEN[given], b" ", _FAMILY[family])


def email(people: Array, numbers: Array, domains: Array) -> Block:
    given, family = np.divmod(people, len(ref.FAMILY_NAMES))
    return joined(
        _GIVEN_PLAIN[given], b".", _FAMILY_PLAIN[family], b".", whole(numbers), b"@",
        domain(domains),
    )  # fmt: skip
