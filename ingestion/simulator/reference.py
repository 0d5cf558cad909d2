"""What everybody knows: the seeds of the repository and the words that names are made of."""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import Final

import numpy as np

from ingestion.simulator.scale import Array
from warehouse.settings import PROJECT_ROOT


def _seed(name: str) -> list[dict[str, str]]:
    with (PROJECT_ROOT / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _words(text: str) -> list[str]:
    return text.split()


def _scaled(text: str, digits: int) -> int:
    return int(Decimal(text).scaleb(digits))


_plans, _currencies = _seed("plans"), _seed("currencies")
_countries, _taxonomy = _seed("countries"), _seed("event_taxonomy")

PLANS: Final = [row["plan_id"] for row in _plans]
# [plan, is yearly]: the price of a seat for one interval, in cents of any currency.
SEAT_CENTS: Final = np.array(
    [
        [_scaled(row["monthly_seat_amount"], 2), _scaled(row["yearly_seat_amount"], 2)]
        for row in _plans
    ],
    np.int64,
)

CURRENCIES: Final = [row["currency"] for row in _currencies]
PLANNING_RATE_PERCENT: Final = np.array(
    [_scaled(row["mrr_usd_rate"], 2) for row in _currencies], np.int64
)

COUNTRIES: Final = [row["country"] for row in _countries]
TAX_BASIS_POINTS: Final = np.array([_scaled(row["tax_rate"], 4) for row in _countries], np.int64)
_EURO = {"DE", "FR", "NL", "SE", "ES", "PL"}
COUNTRY_CURRENCY: Final = np.array(
    [
        CURRENCIES.index("EUR" if code in _EURO else "GBP" if code == "GB" else "USD")
        for code in COUNTRIES
    ],
    np.uint8,
)
_WEIGHTS = {"US": 38, "CA": 6, "BR": 4, "GB": 12, "DE": 9, "FR": 6, "NL": 4, "SE": 3, "ES": 3}
COUNTRY_WEIGHTS: Final = np.array([_WEIGHTS.get(code, 3) for code in COUNTRIES], np.float64)
_ZONES = {"US": -6, "CA": -5, "BR": -3, "GB": 0, "AU": 10, "JP": 9, "IN": 5, "SG": 8}
COUNTRY_ZONE: Final = np.array([_ZONES.get(code, 1) for code in COUNTRIES], np.int64)
_LOCALES = {"BR": "pt-BR", "GB": "en-GB", "DE": "de-DE", "FR": "fr-FR", "NL": "nl-NL"} | {
    "SE": "sv-SE",
    "ES": "es-ES",
    "PL": "pl-PL",
    "JP": "ja-JP",
}
LOCALES: Final = sorted({"en-US", *_LOCALES.values()})
COUNTRY_LOCALE: Final = np.array(
    [LOCALES.index(_LOCALES.get(code, "en-US")) for code in COUNTRIES], np.uint8
)

EVENT_NAMES: Final = [row["event_name"] for row in _taxonomy]
EVENT_CODE: Final = {name: code for code, name in enumerate(EVENT_NAMES)}
IS_ACTIVITY: Final = np.array([row["is_activity"] == "true" for row in _taxonomy])
FEATURES: Final = list(dict.fromkeys(row["feature"] for row in _taxonomy if row["feature"]))
# The feature of each event name; len(FEATURES) stands for none.
EVENT_FEATURE: Final = np.array(
    [FEATURES.index(row["feature"]) if row["feature"] else len(FEATURES) for row in _taxonomy],
    np.uint8,
)

INDUSTRIES: Final = [
    "software", "retail", "healthcare", "finance", "education", "manufacturing", "media",
    "logistics", "energy", "public sector",
]  # fmt: skip
CHANNELS: Final = ["search", "social", "content", "referral", "partner", "direct"]
ROLES: Final = ["owner", "admin", "member", "viewer"]
PLATFORMS: Final = ["web", "ios", "android"]
STATUSES: Final = ["trialing", "active", "past_due", "canceled"]
INVOICE_STATUSES: Final = ["open", "paid", "void", "uncollectible"]
PAYMENT_STATUSES: Final = ["pending", "succeeded", "failed"]
METHODS: Final = ["card", "transfer"]
LEAD_STATUSES: Final = ["new", "qualified", "converted", "lost"]
REFUND_REASONS: Final = ["requested_by_customer", "duplicate", "service_outage"]
OPERATIONS: Final = ["insert", "update", "delete"]
EXPERIMENT_ARMS: Final = ["", "control", "variant_a", "variant_b"]
APP_VERSIONS: Final = [f"{4 + n // 24}.{n % 24}.{p}" for n in range(80) for p in range(3)]

# (campaign, channel, currency, cents a day at the beginning of `small`)
CAMPAIGNS: Final = [
    ("brand-search", 0, 0, 2600),
    ("generic-search", 0, 0, 4200),
    ("search-europe", 0, 1, 1900),
    ("linkedin-leads", 1, 0, 3400),
    ("social-uk", 1, 2, 1200),
    ("blog-and-guides", 2, 0, 1700),
    ("referral-rewards", 3, 0, 900),
    ("partner-network", 4, 1, 2100),
]
CAMPAIGN_CHANNEL: Final = np.array([row[1] for row in CAMPAIGNS], np.uint8)

COMPANY_FIRST: Final = _words(
    "Amber Atlas Aurora Beacon Birch Blue Boréal Bright Cedar Cobalt Copper Coral Crest Delta "
    "Ember Evergreen Falcon Fjord Garnet Gold Granite Harbor Hazel Helios Horizon Indigo Iron "
    "Jade Juniper Kestrel Lark Linden Lumen Maple Meridian Mistral Nimbus Nord North Nova Oak "
    "Olive Onyx Orchid Pacific Pine Polar Prairie Quartz Raven Ridge River Saffron Sierra "
    "Silver Solar Summit Terra Tide Umber Vela Willow Zénith Zephyr"
)
COMPANY_SECOND: Final = _words(
    "Analytics Bakery Biotech Capital Care Clinics Cloud Consulting Dental Design Dynamics "
    "Education Electric Energy Engineering Foods Freight Games Health Hotels Industries Labs "
    "Legal Logistics Media Mobility Motors Networks Optics Partners Pharma Press Robotics "
    "Security Software Studios Systems Textiles Travel Works"
)
COMPANY_SUFFIX: Final = ["", ", Inc.", " GmbH", " Ltd", " & Co", " AB", " Group", " B.V."]
COMPANY_NAMES: Final = len(COMPANY_FIRST) * len(COMPANY_SECOND) * len(COMPANY_SUFFIX)

GIVEN_NAMES: Final = _words(
    "Ada Alan Alice Amélie Anders Anna Antonio Aoife Björn Camila Carlos Chloé Chen Daniel "
    "David Diego Elena Emma Erik Fatima Felix Grace Hana Hiroshi Hugo Ingrid Isabel Jack James "
    "Jürgen Kai Katarzyna Kenji Laura Lena Liam Linnéa Lucas Łukasz Maja Marco Maria Mei "
    "Mohamed Nadia Noah Nora Oliver Olivia Oscar Priya Rahul Rosa Ruth Samuel Sara Sofia Sven "
    "Tomás Ursula Victor Wei Yuki Zoë"
)
FAMILY_NAMES: Final = _words(
    "Andersson Bakker Becker Bernard Brown Carvalho Chen Cohen Costa Davies Diaz Dubois Evans "
    "Fernández Fischer Fontaine García Gupta Hansen Hughes Ivanova Jansen Johnson Jones Kaur "
    "Khan Kim Kowalski Kumar Larsson Lee Lefèvre Lewis Lindqvist López Martin Mayer Mehta Meyer "
    "Moreau Müller Murphy Nakamura Nguyen Novák Nowak O'Brien Okafor Olsen Patel Petit Popov "
    "Rossi Sato Schmidt Silva Singh Smith Suzuki Tanaka Taylor Virtanen Weber Zhang"
)
PEOPLE: Final = len(GIVEN_NAMES) * len(FAMILY_NAMES)


def weights(*values: float) -> Array:
    return np.array(values, np.float64)
