"""Ticket numbers: one per grievance, and a slip of the pen is noticed."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from services.grievance.domain.ticket import ALPHABET, mint, normalised

ids = st.uuids().map(str)


@given(ids, st.integers(0, 5))
def test_a_ticket_reads_as_minted(id: str, attempt: int) -> None:
    ticket = mint(id, attempt)
    assert re.fullmatch(r"G-[2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]", ticket)
    assert normalised(ticket) == ticket == mint(id, attempt)
    assert normalised(f"  {ticket.lower().replace('-', ' ')} ") == ticket


@given(ids)
def test_another_attempt_is_another_ticket(id: str) -> None:
    assert len({mint(id, attempt) for attempt in range(5)}) == 5


@given(ids, st.sampled_from([2, 3, 4, 5, 7, 8, 9, 10, 12]), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(id: str, place: int, wrong: str) -> None:
    ticket = mint(id)
    if ticket[place] != wrong:
        assert normalised(ticket[:place] + wrong + ticket[place + 1 :]) is None


@given(ids, st.integers(0, 7))
def test_two_neighbours_exchanged_are_noticed(id: str, place: int) -> None:
    plain = list(mint(id).replace("-", "")[1:])
    if plain[place] != plain[place + 1]:
        plain[place], plain[place + 1] = plain[place + 1], plain[place]
        assert normalised("G" + "".join(plain)) is None


@given(st.text(max_size=30))
def test_nonsense_is_no_ticket(text: str) -> None:
    ticket = normalised(text)
    assert ticket is None or normalised(ticket) == ticket


def test_tickets_seldom_collide() -> None:
    assert len({mint(str(number)) for number in range(20_000)}) == 20_000
