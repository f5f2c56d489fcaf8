"""Where to, today: nearest by the season's roads, the lower level of those about as far, and why not the others."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.referral import FacilityCard
from services.referral import directory, seasons
from services.referral.domain import destinations, roads
from services.referral.domain.destinations import rank
from services.referral.seasons import BadSeasons

SEASONS = seasons.read()
CARDS = {row.card.code: row.card for row in directory.read(Path("data/facilities.csv"))}
SUMMER, WINTER = dt.date(2026, 7, 1), dt.date(2026, 1, 15)


def facility(code: str, to: str | None, hours: float, access: str = "open", level: str = "CHC") -> FacilityCard:
    return CARDS["HP-KNR-CHC-POOH"].model_copy(
        update={
            "code": code,
            "refers_to": to,
            "road_hours": hours,
            "winter_access": access,
            "level": level,
            "services": ("surgery",),
        }
    )


def order(origin: str, service: str, day: dt.date, cards: dict[str, FacilityCard] = CARDS) -> list[str]:
    return [ranked.card.code for ranked in rank(origin, service, day, cards, SEASONS).ranked]


def test_the_nearest_that_offers_it_comes_first() -> None:
    assert order("HP-KNR-CHC-POOH", "surgery", SUMMER)[0] == "HP-KNR-RH-PEO"
    assert order("HP-KNR-CHC-POOH", "cardiology", SUMMER)[0] == "HP-SML-MC-IGMC"


def test_a_facility_that_offers_it_itself_is_told_so_and_not_ranked() -> None:
    found = rank("HP-KNR-RH-PEO", "surgery", SUMMER, CARDS, SEASONS)
    assert found.at_origin
    assert "HP-KNR-RH-PEO" not in [ranked.card.code for ranked in found.ranked]


def test_of_those_about_as_far_the_lower_level_comes_first() -> None:
    cards = {
        card.code: card
        for card in (
            facility("A", None, 0),
            facility("NEAR-MC", "A", 1.9, level="MC"),
            facility("NEAR-CHC", "A", 2.0, level="CHC"),
            facility("FAR-PHC", "A", 4.0, level="PHC"),
        )
    }
    assert order("A", "surgery", SUMMER, cards) == ["NEAR-CHC", "NEAR-MC", "FAR-PHC"]


def test_a_closed_pass_leaves_out_with_its_reason_and_opens_again() -> None:
    assert order("JK-BPR-CHC-GUREZ", "surgery", SUMMER)[0] == "JK-BPR-DH-BANDIPORA"
    found = rank("JK-BPR-CHC-GUREZ", "surgery", WINTER, CARDS, SEASONS)
    assert found.ranked == ()
    why = {left.code: left.reasons for left in found.left_out}
    assert why["JK-BPR-DH-BANDIPORA"] == ("the road is closed for the winter",)
    assert why["LA-LEH-DH-SNM"][0] == "the road is closed for the winter"


@pytest.mark.parametrize(
    ("day", "open_"),
    [("2026-11-30", True), ("2026-12-01", False), ("2027-02-28", False), ("2026-04-30", False), ("2026-05-01", True)],
)
def test_the_first_and_the_last_day_of_a_closure_belong_to_it(day: str, open_: bool) -> None:
    assert bool(order("JK-BPR-CHC-GUREZ", "surgery", dt.date.fromisoformat(day))) is open_


def test_snow_makes_the_way_longer_and_says_so() -> None:
    def way(day: dt.date) -> destinations.Ranked:
        found = rank("HP-KNR-CHC-SANGLA", "surgery", day, CARDS, SEASONS)
        return found.ranked[0]

    assert (way(SUMMER).hours, way(WINTER).hours) == (2.0, 3.0)
    assert "snow slows the road" in way(WINTER).reasons
    assert "snow slows the road" not in way(SUMMER).reasons


def test_where_only_the_air_is_open_the_patient_flies() -> None:
    found = rank("LA-LEH-DH-SNM", "cardiology", WINTER, CARDS, SEASONS)
    srinagar = next(ranked for ranked in found.ranked if ranked.card.code == "JK-SXR-MC-SMHS")
    assert (srinagar.by_air, srinagar.hours) == (True, 2.0)
    assert not next(r for r in rank("LA-LEH-DH-SNM", "cardiology", SUMMER, CARDS, SEASONS).ranked).by_air


def test_every_other_facility_is_either_ranked_or_left_out_with_a_reason() -> None:
    for origin, service, day in itertools.product(CARDS, ("surgery", "dialysis", "no-such"), (SUMMER, WINTER)):
        found = rank(origin, service, day, CARDS, SEASONS)
        named = [r.card.code for r in found.ranked] + [left.code for left in found.left_out]
        assert sorted([*named, origin]) == sorted(CARDS)
        assert all(each.reasons for each in (*found.ranked, *found.left_out))


def test_who_is_sent_past_a_nearer_one_is_asked_why() -> None:
    found = rank("HP-KNR-CHC-POOH", "surgery", SUMMER, CARDS, SEASONS)
    assert list(destinations.notices("HP-KNR-RH-PEO", found, None)) == []
    (notice,) = destinations.notices("HP-SML-MC-IGMC", found, None)
    assert (notice.code, notice.field) == ("passed-by", "past_reason")
    assert "HP-KNR-RH-PEO" in notice.detail
    assert list(destinations.notices("HP-SML-MC-IGMC", found, "no-bed")) == []


def test_who_is_sent_over_a_closed_road_is_warned() -> None:
    found = rank("JK-BPR-CHC-GUREZ", "surgery", WINTER, CARDS, SEASONS)
    (notice,) = destinations.notices("JK-BPR-DH-BANDIPORA", found, None)
    assert (notice.code, notice.detail) == ("not-reachable", "the road is closed for the winter")


@st.composite
def networks(draw: st.DrawFn) -> dict[str, FacilityCard]:
    size = draw(st.integers(2, 7))
    names = [f"F{number}" for number in range(size)]
    cards = {}
    for number, name in enumerate(names):
        to = draw(st.sampled_from([None, *names[:number]]))
        hours = draw(st.sampled_from([0.5, 1.0, 2.5, 4.0]))
        access = draw(st.sampled_from(sorted(SEASONS)))
        cards[name] = facility(name, to, hours, access)
    return cards


@given(cards=networks(), day=st.dates(dt.date(2026, 1, 1), dt.date(2027, 12, 31)))
@settings(max_examples=200, deadline=None)
def test_the_way_found_is_the_quickest_of_all_ways(cards: dict[str, FacilityCard], day: dt.date) -> None:
    legs = roads.legs_on(day, cards.values(), SEASONS)

    def slowly(here: str, there: str, been: frozenset[str]) -> float | None:
        if here == there:
            return 0.0
        tries = [
            leg.hours + rest
            for leg in legs.get(here, ())
            if leg.hours is not None and leg.to not in been
            for rest in [slowly(leg.to, there, been | {leg.to})]
            if rest is not None
        ]
        return min(tries, default=None)

    for origin in cards:
        ways = roads.ways_from(origin, legs)
        for there in set(cards) - {origin}:
            expected = slowly(origin, there, frozenset({origin}))
            assert (round(expected, 2) if expected is not None else None) == (
                ways[there].hours if there in ways else None
            )


@pytest.mark.parametrize(
    "text",
    [
        "open:\n  - {from: 13-01, to: 02-01, says: x}\n",
        "open:\n  - {from: 12-01, says: x}\n",
        "open:\n  - {from: 12-01, to: 02-01, slower: 0.5, says: x}\n",
        "open: [\n",
    ],
)
def test_a_file_of_seasons_that_cannot_be_taken_says_where(tmp_path: Path, text: str) -> None:
    path = tmp_path / "seasons.yaml"
    path.write_text(text)
    with pytest.raises(BadSeasons, match=r"seasons\.yaml"):
        seasons.read(path)


def test_every_access_of_the_directory_is_named() -> None:
    assert {card.winter_access for card in CARDS.values()} <= set(SEASONS)
