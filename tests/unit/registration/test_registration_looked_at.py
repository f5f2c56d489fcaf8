"""Whom a desk looks at before it says who this is: by which keys, and how much of their cards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.registration import Identifier, PatientCard
from services.registration.domain.matching.frequencies import Frequencies
from services.registration.domain.matching.names import Alike, Likeness, Word, lists_alike, words_alike
from services.registration.domain.who import READ, Matcher, index_keys, lookup_keys, to_person

KNOWN = PatientCard(
    id="known", name="Sunita Thakur", sex="female", birth_year=1986, birth_date=dt.date(1986, 4, 12),
    phone="+915550123456", village="Sangla", district_lgd=19, state_lgd=2, guardian="Ramesh Negi",
    registered_at="HP-KIN-CHC-SANGLA",
)  # fmt: skip
BARE: dict[str, Any] = {"phone": None, "guardian": None, "birth_date": None}
NAMES = ("Sunita Thakur", "Kamla Negi", "Tsering", "Promila Shandil", "Anita Devi", "Mohd Ashraf Lone")


def noted(card: PatientCard = KNOWN, **said: Any) -> PatientCard:
    return card.model_copy(update=said)


def person(card: PatientCard) -> Any:
    return to_person(card.id, card.model_dump(mode="json"))


def of_a_people() -> Frequencies:
    """Every hundredth is a Sunita Thakur; the others bear each name once."""
    frequencies = Frequencies(own=1)
    for number in range(600):
        other = f"{'bcdgklmnprst'[number % 12]}a{'bcdgklmnprst'[number // 12 % 12]}o{'bdgklmnprst'[number // 144]}i"
        name = "Sunita Thakur" if number % 100 == 0 else f"{other} {other[::-1]}"
        home = {"guardian": f"{other} {other[1:]}", "phone": None, "village": f"{other}pur" if number % 3 else "Sangla"}
        frequencies.add(person(noted(id=str(number), name=name, **home)))
    return frequencies.settle()


COUNTED = of_a_people()


def looked_at(asked: PatientCard, known: PatientCard, people: int) -> bool:
    return bool(set(Matcher(COUNTED, people).worth_asking(person(asked))) & set(index_keys(known)))


@pytest.mark.parametrize(
    "said",
    [
        {"guardian": None, "birth_date": None},
        {"phone": None, "birth_date": None},
        {"phone": None, "guardian": None},
        {"phone": None, "birth_date": None, "birth_year": 1971},
        {"phone": None, "guardian": None, "birth_date": dt.date(1996, 12, 4), "birth_year": 1996},
    ],
    ids=["the phone", "the guardian", "the birthday", "the guardian, of another age", "the birthday, of another year"],
)
def test_whoever_has_more_than_a_common_name_is_looked_at_among_millions(said: dict[str, Any]) -> None:
    assert looked_at(noted(**said), KNOWN, 5_000_000)


def test_of_a_crowd_of_namesakes_nobody_is_looked_at_and_of_a_few_all() -> None:
    bare = noted(**BARE, village=None)
    assert not looked_at(bare, bare, 5_000_000)
    new_register = Matcher(Frequencies(own=1), 0)
    assert set(new_register.worth_asking(person(bare))) == set(lookup_keys(person(bare)))
    rare = noted(bare, name="Promila Shandil")
    assert looked_at(rare, rare, 10_000)


def test_a_village_s_namesakes_of_another_age_are_asked_for_only_where_no_age_is_known() -> None:
    older = noted(**BARE, birth_year=1950)
    assert not looked_at(noted(**BARE), older, 1_000)
    assert looked_at(noted(**BARE, birth_year=None), older, 1_000)


def test_a_family_s_name_and_elder_find_no_sister() -> None:
    sister = noted(name="Pushpa Negi", village="Kalpa", phone=None, birth_date=None)
    assert not looked_at(noted(name="Sunita Negi", phone=None, birth_date=None), sister, 1_000)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    people=st.sampled_from([1_000, 100_000, 1_000_000, 30_000_000]),
    said=st.fixed_dictionaries(
        {
            "phone": st.sampled_from([None, "+915550123456"]),
            "guardian": st.sampled_from([None, "Ramesh Negi", "Promila"]),
            "village": st.sampled_from([None, "Sangla"]),
            "birth_date": st.sampled_from([None, dt.date(1986, 4, 12)]),
        }
    ),
)
def test_who_agrees_in_all_that_is_said_and_is_not_looked_at_would_not_have_been_shown(
    name: str, people: int, said: dict[str, Any]
) -> None:
    known = noted(name=name, **said)
    asked = noted(known, id="asked")
    matcher = Matcher(COUNTED, people)
    assert set(matcher.worth_asking(person(asked))) <= set(lookup_keys(person(asked)))
    if not looked_at(asked, known, people):
        assert matcher.candidates(person(asked), [person(known)]) == []


def test_all_that_is_compared_is_read_and_no_more() -> None:
    numbered = noted(
        abha_number="00207302319521",
        abha_address="sunita@abdm",
        identifiers=(Identifier(type="mrn", value="0042", facility="HP-KIN-CHC-SANGLA"),),
    )
    card = numbered.model_dump(mode="json")
    whole = to_person("known", card)
    assert whole == to_person("known", {field: card[field] for field in READ})
    for field in READ:
        without = {**card, field: None} | ({"birth_date": None} if field == "birth_year" else {})
        assert whole != to_person("known", without), f"{field} is read for nothing"


WORDS = st.lists(
    st.builds(
        Word, st.sampled_from(["ali", "aly", "alim", "a", "mohd", "mohammad", "sunita", "sumita"]), st.booleans()
    ),
    min_size=1,
    max_size=4,
)


def plainly(ones: Sequence[Word], others: Sequence[Word]) -> Likeness:
    """Of words that do not read the same when run together: each finds its nearest, the nearest first; what is only
    shortened tells nothing where another word tells."""
    pairs = sorted((words_alike(a, b), i, j) for i, a in enumerate(ones) for j, b in enumerate(others))
    left, right, found = set(range(len(ones))), set(range(len(others))), []
    for alike, i, j in pairs:
        if alike <= Alike.SHORT and i in left and j in right:
            left.remove(i)
            right.remove(j)
            found.append((alike, ones[i].text))
    if not found:
        return Likeness(pairs[0][0])
    if len(found) < min(len(ones), len(others)):
        return Likeness(Alike.PARTLY, tuple(text for _, text in found))
    said = [each for each in found if each[0] != Alike.SHORT] or found
    worst = max(alike for alike, _ in said)
    return Likeness(max(worst, Alike.SOUND) if len(said) < len(found) else worst, tuple(text for _, text in said))


@settings(max_examples=300, deadline=None)
@given(WORDS, WORDS)
def test_two_lists_of_words_are_as_alike_as_their_nearest_words_taken_in_order(
    ones: list[Word], others: list[Word]
) -> None:
    told = lists_alike(ones, others)
    if ones == others or len(ones) == len(others) == 1:
        return
    joined = words_alike(*(Word("".join(w.text for w in side), side[0].latin) for side in (ones, others)))
    if len(ones) == len(others) or joined > Alike.PARTLY:
        assert told == plainly(ones, others)
