"""Where to, today: nearest by the season's roads, the lower level of those about as far, and why not the others."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.referral import FacilityCard, Hours, Unavailable
from services.referral import directory, roadbook, seasons
from services.referral.country import NOTHING, Country
from services.referral.domain import destinations, roads
from services.referral.domain.destinations import Destinations, Wanted
from services.referral.domain.roads import Closed, Road, Season
from services.referral.domain.today import INDIA
from services.referral.network import Network, Roadmap
from services.referral.roadbook import BadRoads, Roadbook
from services.referral.seasons import BadSeasons

SEASONS = seasons.read()
CARDS = {row.card.code: row.card for row in directory.read(Path("data/facilities.csv"))}
BOOK = roadbook.read(seasons=SEASONS)
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


def noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), INDIA)


def roadmap(
    day: dt.date, cards: dict[str, FacilityCard], closures: tuple[Closed, ...] = (), more: tuple[Road, ...] = BOOK.roads
) -> Roadmap:
    known = tuple(roads.roads_of(cards.values(), more))
    return Network(SEASONS).at(day, noon(day), known, 1, closures)


def rank(
    origin: str,
    service: str,
    day: dt.date,
    cards: dict[str, FacilityCard] = CARDS,
    *,
    closures: tuple[Closed, ...] = (),
    beds: dict[str, dict[str, int]] | None = None,
    more: tuple[Road, ...] = BOOK.roads,
    **wanted: str,
) -> Destinations:
    now = roadmap(day, cards, closures, more)
    return destinations.rank(
        origin,
        Wanted(service, **wanted),
        noon(day),
        cards,
        now.ways_from(origin),
        lambda: now.closed_between(origin),
        beds or {},
    )


def order(origin: str, service: str, day: dt.date, cards: dict[str, FacilityCard] = CARDS) -> list[str]:
    return [ranked.card.code for ranked in rank(origin, service, day, cards).ranked]


def why_not(found: Destinations, code: str) -> tuple[str, ...]:
    return next(left.reasons for left in found.left_out if left.code == code)


def having(code: str, **said: object) -> dict[str, FacilityCard]:
    """The directory with this said of one facility."""
    return {**CARDS, code: CARDS[code].model_copy(update=said)}


def test_the_nearest_that_offers_it_comes_first() -> None:
    assert order("HP-KNR-CHC-POOH", "surgery", SUMMER)[0] == "HP-KNR-RH-PEO"
    assert order("HP-KNR-CHC-POOH", "cardiology", SUMMER)[0] == "HP-SML-MC-IGMC"


def test_a_facility_that_offers_it_itself_is_told_so_and_not_ranked() -> None:
    found = rank("HP-KNR-RH-PEO", "surgery", SUMMER, CARDS)
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
    found = rank("JK-BPR-CHC-GUREZ", "surgery", WINTER, CARDS)
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
        found = rank("HP-KNR-CHC-SANGLA", "surgery", day, CARDS)
        return found.ranked[0]

    assert (way(SUMMER).hours, way(WINTER).hours) == (2.0, 3.0)
    assert "snow slows the road" in way(WINTER).reasons
    assert "snow slows the road" not in way(SUMMER).reasons


def test_where_only_the_air_is_open_the_patient_flies() -> None:
    found = rank("LA-LEH-DH-SNM", "cardiology", WINTER, CARDS)
    srinagar = next(ranked for ranked in found.ranked if ranked.card.code == "JK-SXR-MC-SMHS")
    assert (srinagar.by_air, srinagar.hours) == (True, 2.0)
    assert not next(r for r in rank("LA-LEH-DH-SNM", "cardiology", SUMMER, CARDS).ranked).by_air


def test_every_other_facility_is_either_ranked_or_left_out_with_a_reason() -> None:
    for origin, service, day in itertools.product(CARDS, ("surgery", "dialysis", "no-such"), (SUMMER, WINTER)):
        found = rank(origin, service, day, CARDS)
        named = [r.card.code for r in found.ranked] + [left.code for left in found.left_out]
        assert sorted([*named, origin]) == sorted(CARDS)
        assert all(each.reasons for each in (*found.ranked, *found.left_out))


def test_who_is_sent_past_a_nearer_one_is_asked_why() -> None:
    found = rank("HP-KNR-CHC-POOH", "surgery", SUMMER, CARDS)
    assert list(destinations.notices("HP-KNR-RH-PEO", found, None)) == []
    (notice,) = destinations.notices("HP-SML-MC-IGMC", found, None)
    assert (notice.code, notice.field) == ("passed-by", "past_reason")
    assert "HP-KNR-RH-PEO" in notice.detail
    assert list(destinations.notices("HP-SML-MC-IGMC", found, "no-bed")) == []


def test_who_is_sent_out_of_the_network_past_one_that_has_it_is_asked_why() -> None:
    found = rank("HP-KNR-CHC-POOH", "surgery", SUMMER, CARDS)
    (notice,) = destinations.notices("OUT-04", found, None, outside=True)
    assert (notice.code, found.ranked[0].card.code in notice.detail) == ("passed-by", True)
    assert list(destinations.notices("OUT-04", found, "patient-chose", outside=True)) == []
    nobody = rank("HP-KNR-CHC-POOH", "no-such", SUMMER, CARDS)
    assert list(destinations.notices("OUT-04", nobody, None, outside=True)) == []


def test_who_is_sent_over_a_closed_road_is_warned() -> None:
    found = rank("JK-BPR-CHC-GUREZ", "surgery", WINTER, CARDS)
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
    now = roadmap(day, cards, more=())
    legs: dict[str, list[tuple[str, float]]] = {}
    for each in now.passages:
        if each.hours is not None:
            for here, there in (each.road.between, each.road.between[::-1]):
                legs.setdefault(here, []).append((there, each.hours))

    def slowly(here: str, there: str, been: frozenset[str]) -> float | None:
        if here == there:
            return 0.0
        tries = [
            hours + rest
            for to, hours in legs.get(here, ())
            if to not in been
            for rest in [slowly(to, there, been | {to})]
            if rest is not None
        ]
        return min(tries, default=None)

    for origin in cards:
        ways = now.ways_from(origin)
        for there in set(cards) - {origin}:
            expected = slowly(origin, there, frozenset({origin}))
            assert (round(expected, 2) if expected is not None else None) == (
                ways[there].hours if there in ways else None
            )
            if there in ways:
                by_id = {each.road.id: each.hours or 0.0 for each in now.passages}
                assert round(sum(by_id[id] for id in ways[there].roads), 2) == ways[there].hours


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


PEO, POOH = "HP-KNR-RH-PEO", "HP-KNR-CHC-POOH"
POOH_ROAD = f"{POOH}--{PEO}"


def test_a_road_closed_now_cuts_off_until_its_hour() -> None:
    until = noon(SUMMER) + dt.timedelta(hours=5)
    closed = Closed(POOH_ROAD, noon(SUMMER) - dt.timedelta(hours=1), until, "landslide")
    found = rank(POOH, "surgery", SUMMER, closures=(closed,))
    assert found.ranked == ()
    assert why_not(found, PEO) == (closed.says,)
    assert "landslide" in closed.says
    later = Closed(POOH_ROAD, until, None, "landslide")
    assert rank(POOH, "surgery", SUMMER, closures=(later,)).ranked
    flown = Closed(POOH_ROAD, noon(SUMMER), None, "landslide", air_hours=0.75)
    best = rank(POOH, "surgery", SUMMER, closures=(flown,)).ranked[0]
    assert (best.card.code, best.hours, best.by_air) == (PEO, 0.75, True)
    slow = Closed(POOH_ROAD, noon(SUMMER), None, "one-lane", slower=3.0)
    assert rank(POOH, "surgery", SUMMER, closures=(slow,)).ranked[0].hours == 7.5


def test_a_closed_road_sends_round_by_another_one() -> None:
    keylong_leh = next(each for each in rank("HP-LSP-RH-KEYLONG", "dental", SUMMER).ranked)
    assert (keylong_leh.card.code, keylong_leh.roads) == ("LA-LEH-DH-SNM", ("baralacha-la",))
    closed = Closed("baralacha-la", noon(SUMMER), None, "snow")
    round_it = next(each for each in rank("HP-LSP-RH-KEYLONG", "dental", SUMMER, closures=(closed,)).ranked)
    assert "baralacha-la" not in round_it.roads
    assert round_it.roads[0] == "shinku-la"


def test_a_specialist_on_leave_is_not_available_and_comes_back() -> None:
    leave = {"service": "surgery", "reason": "specialist-on-leave", "until": noon(SUMMER) + dt.timedelta(days=2)}
    cards = having(PEO, unavailable=(Unavailable.model_validate(leave),))
    found = rank(POOH, "surgery", SUMMER, cards)
    assert PEO not in [each.card.code for each in found.ranked]
    assert why_not(found, PEO) == ("surgery is not available until 2026-07-03: specialist on leave",)
    assert rank(POOH, "surgery", SUMMER + dt.timedelta(days=3), cards).ranked[0].card.code == PEO
    assert rank(POOH, "orthopaedics", SUMMER, cards).ranked[0].card.code == PEO
    assert not rank(PEO, "surgery", SUMMER, cards).at_origin


@pytest.mark.parametrize(
    ("said", "wanted", "why"),
    [
        ({"theatre": "closed"}, {"service": "surgery"}, "the theatre is closed"),
        ({"oxygen": "none"}, {"service": "emergency"}, "there is no oxygen"),
        ({"blood": ()}, {"service": "obstetrics", "urgency": "emergency"}, "no blood in stock"),
        ({"blood": ("A+",)}, {"service": "surgery", "blood_group": "O-"}, "no O- blood in stock"),
        ({"takes_referrals": False}, {"service": "surgery"}, "takes no referrals now"),
    ],
)
def test_what_is_known_to_be_lacking_leaves_out(said: dict[str, object], wanted: dict[str, str], why: str) -> None:
    service = wanted["service"]
    rest = {name: value for name, value in wanted.items() if name != "service"}
    found = rank(POOH, service, SUMMER, having(PEO, **said), **rest)
    assert why_not(found, PEO) == (why,)
    assert PEO in [each.card.code for each in rank(POOH, service, SUMMER, **rest).ranked]


def test_a_bed_of_the_kind_has_to_be_free_where_a_ledger_is_kept() -> None:
    full = {PEO: {"icu": 0, "general": 4}}
    assert why_not(rank(POOH, "surgery", SUMMER, beds=full, bed="icu"), PEO) == ("no icu bed is free",)
    assert why_not(rank(POOH, "surgery", SUMMER, beds=full, bed="nicu"), PEO) == ("has no nicu beds",)
    best = rank(POOH, "surgery", SUMMER, beds=full).ranked[0]
    assert best.card.code == PEO
    assert "4 general beds free" in best.reasons
    assert why_not(rank(POOH, "surgery", SUMMER, beds={PEO: {"icu": 0}}), PEO) == ("no bed is free",)
    unknown = rank(POOH, "surgery", SUMMER, bed="icu").ranked[0]
    assert "whether icu beds are free is not known" in unknown.reasons


def test_who_would_stand_before_a_closed_door_goes_elsewhere_unless_it_can_wait() -> None:
    mornings = having(PEO, hours=(Hours(opens="09:00", closes="13:00"),))
    assert why_not(rank(POOH, "surgery", SUMMER, mornings), PEO) == ("closed when the patient would arrive",)
    assert rank(POOH, "surgery", SUMMER, mornings, urgency="routine").ranked[0].card.code == PEO


def test_the_more_it_can_wait_the_more_the_lower_level_counts() -> None:
    cards = {
        card.code: card
        for card in (
            facility("A", None, 0),
            facility("NEAR-MC", "A", 2.1, level="MC"),
            facility("CHC", "A", 2.9, level="CHC"),
        )
    }
    assert [each.card.code for each in rank("A", "surgery", SUMMER, cards, urgency="routine").ranked] == [
        "CHC",
        "NEAR-MC",
    ]
    assert [each.card.code for each in rank("A", "surgery", SUMMER, cards, urgency="emergency").ranked] == [
        "NEAR-MC",
        "CHC",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "roads:\n  - {id: x, between: [A1, A1], hours: 2}\n",
        "roads:\n  - {id: x, between: [A1, B1], hours: 0}\n",
        "roads:\n  - {id: x, between: [A1, B1], hours: 2, access: no-such}\n",
        "roads:\n  - {id: x, between: [A1, B1], hours: 2}\n  - {id: x, between: [A1, C1], hours: 2}\n",
        "closures: [\n",
    ],
)
def test_a_file_of_roads_that_cannot_be_taken_says_where(tmp_path: Path, text: str) -> None:
    path = tmp_path / "roads.yaml"
    path.write_text(text)
    with pytest.raises(BadRoads, match=r"roads\.yaml"):
        roadbook.read(path, SEASONS)


def test_the_roads_of_the_file_lead_to_facilities_of_the_directory() -> None:
    assert {end for road in BOOK.roads for end in road.between} <= set(CARDS)


KUNZUM = Road("kunzum-la", ("HP-LSP-SDH-KAZA", "HP-KLU-SDH-MANALI"), 9.0, "kunzum-la", "Kunzum La")


@pytest.mark.parametrize(
    ("day", "ended"),
    [
        ("2026-06-01", "2026-06-01"),
        ("2026-10-31", "2026-06-01"),
        ("2026-11-01", None),
        ("2027-02-01", None),
        ("2026-05-31", None),
    ],
)
def test_a_pass_is_open_since_the_day_after_its_season(day: str, ended: str | None) -> None:
    since = roads.opened_with_its_season(KUNZUM, dt.date.fromisoformat(day), SEASONS)
    assert since == (dt.date.fromisoformat(ended) if ended else None)
    slow = Road("fotu-la", ("a", "b"), 3.5, "snow-delays")
    assert roads.opened_with_its_season(slow, dt.date.fromisoformat(day), SEASONS) is None


def test_a_season_that_is_over_ended_last_year_and_ends_in_february_of_any_year() -> None:
    def season(until: tuple[int, int]) -> Season:
        return Season((11, 1), until, True, 1.0, None, "closed")

    assert season((12, 15)).ended(dt.date(2027, 3, 1)) == dt.date(2026, 12, 16)
    assert season((2, 29)).ended(dt.date(2027, 6, 1)) == dt.date(2027, 3, 1)
    assert season((2, 29)).ended(dt.date(2028, 6, 1)) == dt.date(2028, 3, 1)


def test_a_way_is_open_since_the_last_of_its_roads_was_whoever_said_that_it_would_be() -> None:
    def at(text: str) -> dt.datetime:
        return dt.datetime.fromisoformat(text)

    def closed(until: str, slower: float | None = None) -> Closed:
        return Closed("a--b", at("2026-06-01T00:00:00Z"), at(until), "landslide", slower)

    book = Roadbook((), (closed("2026-06-05T06:00:00Z"), closed("2026-06-20T06:00:00Z", slower=2.0)))
    country = Country(None, SEASONS, book)  # type: ignore[arg-type]
    ab, cd = Road("a--b", ("a", "b"), 1.0), Road("c--d", ("c", "d"), 1.0)
    known = dataclasses.replace(NOTHING, roads=(KUNZUM, ab, cd), opened={"c--d": at("2026-06-03T00:00:00Z")})
    for way, now, opened in (
        (("kunzum-la",), "2026-06-30T00:00:00Z", "2026-06-01T00:00:00+05:30"),
        (("kunzum-la", "c--d"), "2026-06-30T00:00:00Z", "2026-06-03T00:00:00Z"),
        (("kunzum-la", "c--d"), "2026-06-02T00:00:00Z", "2026-06-01T00:00:00+05:30"),
        (("a--b", "c--d"), "2026-06-30T00:00:00Z", "2026-06-05T06:00:00Z"),
        (("a--b",), "2026-06-02T00:00:00Z", None),
    ):
        assert country.opened(known, way, at(now)) == (at(opened) if opened else None), (way, now)
