"""Who is this, at the desk: candidates, their bands and words, identifiers, merge and unmerge."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.redaction import redact
from libs.common.refusal import Refused
from libs.contracts.registration import Identifier, PatientCard, PatientMerged, PatientUnmerged
from services.registration.aggregates import PATIENT
from services.registration.domain import patient as patients
from services.registration.domain.care import OpenedForCare
from services.registration.domain.matching.frequencies import Frequencies
from services.registration.domain.papers_of_identity import PersonalIdentifier
from services.registration.domain.patient import Patient
from services.registration.domain.review import Candidate, MatchesNoted, RecordExplained, ReviewResolved
from services.registration.domain.who import Matcher, abdm_rule, index_keys, lookup_keys, to_person
from services.registration.places import read_places

PLACES = read_places()
DAY = dt.date(2026, 11, 20)
KNOWN = PatientCard(
    id="known", name="Tsering Dolma", sex="female", birth_year=1986, phone="+915550123456", village="Hunder",
    district_lgd=9, state_lgd=37, guardian="Rigzin Namgyal", registered_at="LA-LEH-CHC-DISKIT",
)  # fmt: skip


def asked(**said: Any) -> PatientCard:
    return KNOWN.model_copy(update={"id": "asked", **said})


def band(card: PatientCard, known: PatientCard = KNOWN) -> str:
    matcher = Matcher(Frequencies(own=1), 10_000)
    persons = [to_person(one.id, one.model_dump(mode="json")) for one in (card, known)]
    found = matcher.candidates(persons[0], persons[1:], unlike=True)
    return found[0].band


def meets(card: PatientCard, known: PatientCard = KNOWN) -> bool:
    return bool(set(lookup_keys(to_person("asked", card.model_dump(mode="json")))) & set(index_keys(known)))


@pytest.mark.parametrize(
    "said",
    [
        {"name": "Chhering Dolma"},
        {"name": "Smt Tshering Drolma", "birth_year": 1987},
        {"name": "ཚེ་རིང་ སྒྲོལ་མ"},
        {"name": "ཚེ་རིང་སྒྲོལ་མ"},
        {"phone": None},
        {"village": "Hundar", "birth_year": 1985},
        {"guardian": None, "village": None},
    ],
)
def test_the_same_person_noted_by_another_ear_is_found(said: dict[str, Any]) -> None:
    assert meets(asked(**said))
    assert band(asked(**said)) == "same"


def test_a_record_without_an_age_and_one_with_it_find_each_other() -> None:
    ageless, aged = ({"phone": None, "guardian": None, "birth_year": year} for year in (None, 1986))
    for said, known in ((aged, ageless), (ageless, aged), (ageless, ageless)):
        assert meets(asked(**said), KNOWN.model_copy(update=known))
        assert band(asked(**said), KNOWN.model_copy(update=known)) != "new"
    for other in ({"name": "Stanzin Angmo"}, {"sex": "male"}, {"village": "Turtuk"}):
        assert not meets(asked(**aged | other), KNOWN.model_copy(update=ageless))
    crowded = Matcher(Frequencies(own=1), 21_000).worth_asking(to_person("a", asked(**aged).model_dump(mode="json")))
    assert set(crowded) & set(index_keys(KNOWN.model_copy(update=ageless))), "also where a register is no longer small"
    marked = [key for key in index_keys(asked(**aged)) if key.startswith("u:")]
    assert marked == [], "of whom an age is known, nobody finds more for it"


def test_another_consonant_may_be_her_sister() -> None:
    sunita = KNOWN.model_copy(update={"name": "Sunita Devi"})
    assert band(asked(name="Sumita Devi"), sunita) == "ask"
    assert band(asked(name="Suneeta Devi"), sunita) == "same"
    whole = {"birth_date": dt.date(1986, 4, 30)}
    assert band(asked(name="Sumita Devi", **whole), sunita.model_copy(update=whole)) == "same"


def test_whoever_has_the_same_number_of_one_person_is_shown_to_a_person() -> None:
    mine, theirs = "00207302319521", "00821167342079"
    known = KNOWN.model_copy(update={"abha_number": mine})
    stranger = {"name": "Parveena Akhter", "birth_year": 1950, "phone": None, "village": None, "guardian": None}
    assert band(asked(**stranger, abha_number=mine), known) == "ask"
    assert band(asked(**stranger, abha_number=theirs), known) == "new"
    # A family's number is no person's.
    card = Identifier(type="ration-card", value="RC123456")
    family = KNOWN.model_copy(update={"identifiers": (card,)})
    assert band(asked(**stranger, identifiers=(card,)), family) == "new"


@pytest.mark.parametrize(
    "said",
    [
        {"name": "Stanzin Angmo", "birth_year": 1990},
        {"name": "Rigzin Namgyal", "sex": "male", "birth_year": 1955, "guardian": None},
        {"name": "Kunzes Dolma", "birth_year": 1988},
    ],
)
def test_a_shared_family_phone_is_evidence_and_never_identity(said: dict[str, Any]) -> None:
    assert meets(asked(**said)), "the phone finds them"
    assert band(asked(**said)) == "new"


def test_a_twin_is_not_the_other() -> None:
    one = asked(id="one", name="Sunita Devi", birth_date=dt.date(1999, 3, 4), birth_year=1999)
    assert band(asked(name="Anita Devi", birth_date=dt.date(1999, 3, 4), birth_year=1999), one) != "same"


def test_a_village_noted_by_ear_is_that_village_in_its_district_only() -> None:
    def says(**said: Any) -> tuple[str, float]:
        matcher = Matcher(Frequencies(own=1), 10_000)
        one = asked(village="Hundar", **said)
        [found] = matcher.candidates(
            to_person("asked", one.model_dump(mode="json")),
            [to_person("known", KNOWN.model_dump(mode="json"))],
            unlike=True,
        )
        return next((field.says, field.weight) for field in found.fields if field.field == "locality")

    assert says() == ("village and district: village agrees", pytest.approx(6.0, abs=0.1))
    assert says(district_lgd=6)[1] < 1


def test_a_name_written_the_other_way_round_is_no_rarer_for_it() -> None:
    frequencies = Frequencies(own=1)
    for number in range(200):
        name = (
            f"{('Anita', 'Sunita', 'Kamla', 'Meena')[number % 4]} {('Negi', 'Thakur', 'Rana', 'Sood')[number // 4 % 4]}"
        )
        frequencies.add(to_person(str(number), {"name": name}))
    matcher = Matcher(frequencies.settle(), 10_000)

    def names(name: str) -> float:
        pair = (to_person("asked", {"name": name}), to_person("known", {"name": "Anita Negi"}))
        [found] = matcher.candidates(pair[0], pair[1:], unlike=True)
        return sum(field.weight for field in found.fields)

    assert names("Sunita Rana") < 0 < names("Negi Anita") <= names("Anita Negi")


def test_a_name_and_an_age_alone_are_never_sure() -> None:
    bare: dict[str, Any] = {"phone": None, "guardian": None, "village": None}
    assert band(asked(**bare), KNOWN.model_copy(update=bare)) != "same"


def test_each_field_says_in_words_what_it_weighs() -> None:
    matcher = Matcher(Frequencies(own=1), 10_000)
    one, other = asked(name="Chhering Dolma", sex="male"), KNOWN
    [found] = matcher.candidates(
        to_person("asked", one.model_dump(mode="json")),
        [to_person("known", other.model_dump(mode="json"))],
        unlike=True,
    )
    words = {field.field: field for field in found.fields}
    assert words["given_name"].says == "given name: sounds the same"
    assert words["given_name"].weight > 0
    assert words["sex"].says == "sex: different"
    assert words["sex"].weight < 0
    assert "Dolma" not in found.model_dump_json()


@pytest.mark.parametrize(
    ("years", "rule"), [(0, "returning"), (2, "returning"), (3, "discovery"), (5, "discovery"), (6, None)]
)
def test_the_two_rules_of_abdm(years: int, rule: str | None) -> None:
    persons = [
        to_person(card.id, card.model_dump(mode="json"))
        for card in (asked(birth_year=1986 + years, name="Chering Dolma"), KNOWN)
    ]
    assert abdm_rule(*persons) == rule


def test_abdm_asks_mobile_and_gender_to_be_exact() -> None:
    known = to_person("known", KNOWN.model_dump(mode="json"))
    for said in ({"sex": "male"}, {"phone": "+915550123457"}, {"name": "Stanzin Angmo"}):
        assert abdm_rule(to_person("asked", asked(**said).model_dump(mode="json")), known) is None


AADHAAR = "999941057058"


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ({"type": "ration-card", "value": "hp-12 345/678"}, "HP12345678"),
        ({"type": "him-parivar-member", "value": "hp0012345678901"}, "HP0012345678901"),
        ({"type": "tibetan-refugee-card", "value": "t 123456"}, "T123456"),
        ({"type": "border-id-card", "value": "BIC/2019/0042"}, "BIC20190042"),
        ({"type": "mrn", "value": "००४२", "facility": "LA-LEH-CHC-DISKIT"}, "0042"),
    ],
)
def test_identifiers_are_folded_as_they_are_compared(said: dict[str, Any], value: str) -> None:
    assert PersonalIdentifier.model_validate(said).value == value


@pytest.mark.parametrize(
    "said",
    [
        {"type": "ration-card", "value": AADHAAR},
        {"type": "domicile", "value": f"no. {AADHAAR[:4]}-{AADHAAR[4:8]}-{AADHAAR[8:]}"},
        {"type": "domicile", "value": "९९९९४१०५७०५८"},
        {"type": "ration-card", "value": "1"},
        {"type": "mrn", "value": "42"},
        {"type": "domicile", "value": "AB1234", "facility": "LA-LEH-CHC-DISKIT"},
        {"type": "passport", "value": "A1234567"},
    ],
)
def test_what_is_no_identifier_is_refused_and_not_repeated(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        PersonalIdentifier.model_validate(said)
    assert AADHAAR not in str(refused.value)


def test_a_card_number_of_ones_own_finds_a_person_and_a_ration_card_only_a_family() -> None:
    card = Identifier(type="tibetan-refugee-card", value="T123456")
    other: dict[str, Any] = {
        "name": "Tenzin Norbu",
        "phone": None,
        "guardian": None,
        "village": None,
        "birth_year": 1986,
    }
    assert meets(asked(identifiers=(card,), **other), KNOWN.model_copy(update={"identifiers": (card,)}))
    ration = Identifier(type="ration-card", value="LA1234")
    sister: dict[str, Any] = {"name": "Padma Angmo", "birth_year": 1992, "identifiers": (ration,)}
    assert band(asked(**sister), KNOWN.model_copy(update={"identifiers": (ration,)})) == "new"


def registered(noted: MatchesNoted | None = None) -> Patient:
    details = patients.Details(name="Tsering Dolma", sex="female", age_years=40, phone="5550123456")
    command = patients.Register(patients.new_card("p", details, "LA-LEH-CHC-DISKIT", DAY, PLACES), noted)
    state: Patient | None = None
    for event in patients.decide(None, command, PLACES):
        state = patients.evolve(state, event)
    assert state is not None
    return state


def after(state: Patient, command: patients.Command) -> Patient:
    for event in patients.decide(state, command, PLACES):
        state = patients.evolve(state, event)
    return state


def test_merged_and_unmerged_the_record_is_as_it_was() -> None:
    before = registered()
    event, why = patients.decide(before, patients.Merge("q", "the same slip", "records-officer@X"), PLACES)
    assert isinstance(event, PatientMerged)
    assert isinstance(why, RecordExplained)
    assert (why.what, why.other, why.reason, why.by) == ("merged", "q", "the same slip", "records-officer@X")
    assert event.card.merged_into == "q"
    merged = patients.evolve(before, event)
    assert (merged.status, merged.card.name) == ("merged", "Tsering Dolma")
    with pytest.raises(Refused) as refused:
        patients.decide(merged, patients.Merge("r"), PLACES)
    assert refused.value.allowed == ("unmerge", "erase")
    back, why = patients.decide(merged, patients.Unmerge("twins", "records-officer@X"), PLACES)
    assert isinstance(back, PatientUnmerged)
    assert isinstance(why, RecordExplained)
    assert (why.what, why.other, why.reason) == ("unmerged", "q", "twins")
    assert patients.evolve(merged, back) == before


def test_a_record_is_not_merged_into_itself_nor_unmerged_twice() -> None:
    with pytest.raises(Refused):
        patients.decide(registered(), patients.Merge("p"), PLACES)
    with pytest.raises(Refused):
        patients.decide(registered(), patients.Unmerge(), PLACES)


def test_a_review_is_decided_once_and_an_override_is_recorded() -> None:
    alike = Candidate(patient="k", band="same", weight=20.1, probability=0.99)
    waiting = registered(MatchesNoted(candidates=(alike,)))
    assert waiting.review is not None
    assert waiting.review.status == "open"
    decided = after(waiting, patients.Resolve("different", "her sister, seen both", "desk@X"))
    assert decided.review is not None
    assert (decided.review.status, decided.review.overridden) == ("resolved", True)
    with pytest.raises(Refused):
        patients.decide(decided, patients.Resolve("same", "no", "desk@X", "k"), PLACES)


@pytest.mark.parametrize("candidate", [None, "", "somebody-else", "p"])
def test_same_is_said_only_of_whom_the_review_names(candidate: str | None) -> None:
    alike = Candidate(patient="k", band="ask", weight=9, probability=0.6)
    waiting = registered(MatchesNoted(candidates=(alike,)))
    with pytest.raises(Refused) as refused:
        patients.decide(waiting, patients.Resolve("same", "the same slip", "desk@X", candidate), PLACES)
    assert refused.value.field == "candidate"
    decided = after(waiting, patients.Resolve("same", "the same slip", "desk@X", "k"))
    assert decided.review is not None
    assert (decided.review.candidate, decided.review.by, decided.review.overridden) == ("k", "desk@X", False)


def test_of_two_records_only_one_can_be_part_of_the_other() -> None:
    one = patients.evolve(registered(), patients.decide(registered(), patients.Merge("q"), PLACES)[0])
    other = one.model_copy(update={"card": one.card.model_copy(update={"id": "q", "merged_into": "p"})})
    assert set(patients.claims(one)) & set(patients.claims(other)) == {"merge:p+q"}


def test_an_erasure_leaves_that_it_was_decided_and_by_whom_but_not_why() -> None:
    said = "Tsering's own words"
    events = (
        OpenedForCare(facility="HP-KNR-CHC-POOH", reason=said, by="doctor@HP-KNR-CHC-POOH", glass=True),
        ReviewResolved(decision="same", reason=said, overridden=False, by="desk@X", candidate="k"),
        RecordExplained(what="merged", other="k", reason=said, by="desk@X"),
    )
    for event in events:
        left = redact(PATIENT, {"type": event.TYPE, "data": event.model_dump(mode="json")})
        assert said not in str(left)
        assert left["data"] == event.model_dump(mode="json") | {"reason": ""}
        assert PATIENT.read(left)


def test_a_merged_record_keeps_its_abha_for_the_one_it_lives_on_in() -> None:
    details = patients.Details(name="A B", sex="female", age_years=4, abha_address="ab@sbx")
    state: Patient | None = None
    for event in patients.decide(
        None, patients.Register(patients.new_card("p", details, "LA-LEH-CHC-DISKIT", DAY, PLACES)), PLACES
    ):
        state = patients.evolve(state, event)
    assert state is not None
    assert patients.claims(after(state, patients.Merge("q"))) == ["abha-address:ab@sbx", "merge:p+q"]
