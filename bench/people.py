"""Made-up people for the measurements: names of the hills, phones from the reserved range."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

from bench.callers import Ask
from bench.hill_people import DISTRICTS, WEIGHTS, Country

FACILITY = "LA-LEH-CHC-KHALTSI"
COUNTRY = Country("bench")
GIVEN = [
    "Tsering",
    "Stanzin",
    "Rigzin",
    "Tashi",
    "Sonam",
    "Jigmet",
    "Padma",
    "Skarma",
    "Lobzang",
    "Kunzes",
    "Mohd",
    "Zainab",
    "Ghulam",
    "Fatima",
    "Shabnum",
    "Rubina",
    "Bashir",
    "Haleema",
    "Parveena",
    "Kuldeep",
    "Neelam",
    "Sunita",
    "Sumita",
    "Ramesh",
    "Chhering",
    "Kamla",
    "Prem",
    "Tenzin",
    "Meena",
    "Sher",
    "Anjana",
    "Hari",
]
FAMILY = [
    "Dolma",
    "Angmo",
    "Namgyal",
    "Phuntsog",
    "Wangchuk",
    "Yangdol",
    "Hussain",
    "Bano",
    "Mehdi",
    "Lhamo",
    "Chosphel",
    "Lone",
    "Akhter",
    "Dar",
    "Bhat",
    "Jan",
    "Khan",
    "Begum",
    "Wani",
    "Raj",
    "Devi",
    "Kumari",
    "Negi",
    "Dorje",
    "Thakur",
    "Lal",
    "Norbu",
    "Singh",
    "Krishan",
]


def person(chance: random.Random) -> dict[str, Any]:
    """A body for POST /patients. They live all over the three territories, as those who register do."""
    state = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    district = chance.choice(DISTRICTS[state])
    return {
        "name": f"{chance.choice(GIVEN)} {chance.choice(FAMILY)}",
        "sex": chance.choice(["male", "female"]),
        "age_years": chance.randint(0, 90),
        "phone": f"+915550{chance.randrange(10**6):06d}",
        "village": chance.choice(COUNTRY.villages[district]),
        "district_lgd": district,
        "state_lgd": state,
        "language": "bo",
    }


def registrations(token: str, seed: str) -> Iterator[Ask]:
    """One new person after the other, each under a key of its own."""
    chance = random.Random(seed)
    while True:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.UUID(int=chance.getrandbits(128)))}
        yield "POST", "/patients", headers, person(chance)


def phone_searches(token: str, seed: str) -> Iterator[Ask]:
    chance = random.Random(seed)
    while True:
        body = {"phone": f"+915550{chance.randrange(10**6):06d}"}
        yield "POST", "/patients/search", {"Authorization": f"Bearer {token}"}, body


def name_searches(token: str, seed: str) -> Iterator[Ask]:
    chance = random.Random(seed)
    while True:
        body = {"name": f"{chance.choice(GIVEN)} {chance.choice(FAMILY)}"}
        yield "POST", "/patients/search", {"Authorization": f"Bearer {token}"}, body
