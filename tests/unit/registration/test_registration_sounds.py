"""Names by ear, across spellings and scripts. The lists are held out: no rule and no generator knows their names."""

from __future__ import annotations

import pytest

from services.registration.domain.matching.names import Alike, Word, lists_alike, read_name, words_alike
from services.registration.domain.matching.scripts import is_latin, latin
from services.registration.domain.matching.sounds import sound

BY_EAR = [
    ("Thupstan", "Tupstan"), ("Tsultim", "Chhultim"), ("Tshewang", "Chewang"), ("Khushboo", "Khushbu"),
    ("Wajahat", "Vajahat"), ("Mushtaq", "Mushtak"), ("Ishfaq", "Ishfak"), ("Nargis", "Nargees"), ("Zeeshan", "Jishan"),
    ("Sajad", "Sajjad"), ("Yeshey", "Yeshay"), ("Gyurmet", "Gyurmed"), ("Rdzongpa", "Dzongpa"), ("Spurgyal", "Purgyal"),
    ("Phalgun", "Falgun"), ("Kaushalya", "Koshalya"), ("Drukmo", "Dukmo"), ("Noorjahan", "Nurjahan"),
]  # fmt: skip
APART = [
    ("Nasreen", "Yasmeen"), ("Wangdus", "Wangmo"), ("Shakeela", "Jameela"), ("Yangzom", "Gyalpo"),
    ("Deldan", "Delek"), ("Roshan", "Raman"), ("Hemlata", "Sulata"),
]  # fmt: skip
ACROSS_SCRIPTS = [
    ("Mushtaq", "مشتاق"), ("Nasreen", "نسرین"), ("Khushboo", "खुशबू"), ("Kaushalya", "कौशल्या"), ("Zeeshan", "ज़ीशान"),
    ("Thupstan", "ཐུབ་བསྟན"), ("Tsultim", "ཚུལ་ཁྲིམས"), ("Drukmo", "འབྲུག་མོ"), ("Yeshe", "ཡེ་ཤེས"),
]  # fmt: skip
# As the script writes them: no space between a person's names.
RUN_TOGETHER = [
    ("Ngawang Chosphel", "ངག་དབང་ཆོས་འཕེལ"), ("Lhundup Wangyal", "ལྷུན་གྲུབ་དབང་རྒྱལ"), ("Padma Lhazom", "པདྨ་ལྷ་འཛོམས"),
    ("Jigmet Namgyal", "འཇིགས་མེད་རྣམ་རྒྱལ"), ("Kalzang Chodon", "སྐལ་བཟང་ཆོས་སྒྲོན"), ("Karma", "ཀརྨ"),
]  # fmt: skip
TITLED = [
    ("Hemlata", "श्रीमती हेमलता"), ("Kaushalya Singh", "डॉ. कौशल्या सिंह"), ("Nasreen", "محترمہ نسرین"),
    ("Mushtaq", "حاجی مشتاق"), ("Gyaneshwar", "श्री ज्ञानेश्वर"),
]  # fmt: skip
SHORTENED_ACROSS = [("Kh", "खुर्शीद"), ("Gh", "غلام"), ("Ab", "अब्दुल"), ("M", "مشتاق")]
SHORTENED = [("Mushtaq", "Mq"), ("Khurshid", "Kh"), ("Abdul", "Ab"), ("Ghulam", "Gh"), ("Mohammad", "Mohd")]


def word(text: str) -> Word:
    return Word(latin(text).replace("'", ""), is_latin(text))


@pytest.mark.parametrize(("one", "other"), BY_EAR)
def test_one_name_spelt_by_ear_is_one(one: str, other: str) -> None:
    assert words_alike(word(one), word(other)) <= Alike.NEAR


def test_most_spellings_by_ear_sound_the_very_same() -> None:
    same = sum(sound(one.lower()) == sound(other.lower()) for one, other in BY_EAR)
    assert same >= 0.8 * len(BY_EAR)


@pytest.mark.parametrize(("one", "other"), APART)
def test_two_names_stay_two(one: str, other: str) -> None:
    assert words_alike(word(one), word(other)) > Alike.SHORT


@pytest.mark.parametrize(("one", "other"), [("Sunita", "Sumita"), ("Rabia", "Razia"), ("Hamid", "Majid")])
def test_names_one_letter_apart_do_not_sound_the_same(one: str, other: str) -> None:
    assert words_alike(word(one), word(other)) > Alike.SOUND


@pytest.mark.parametrize(("plain", "written"), ACROSS_SCRIPTS)
def test_a_name_is_itself_in_another_script(plain: str, written: str) -> None:
    assert words_alike(word(plain), word(written)) <= Alike.NEAR


def names_agree(plain: str, written: str) -> None:
    """Word by word."""
    one, other = read_name(plain), read_name(written)
    assert len(one.words) == len(other.words)
    likeness = lists_alike(one.words, other.words)
    assert likeness is not None
    assert likeness.alike <= Alike.NEAR


@pytest.mark.parametrize(("plain", "written"), RUN_TOGETHER)
def test_a_persons_names_are_told_apart_where_the_script_writes_no_space(plain: str, written: str) -> None:
    names_agree(plain, written)


@pytest.mark.parametrize(("plain", "written"), TITLED)
def test_titles_say_nothing_in_any_script(plain: str, written: str) -> None:
    names_agree(plain, written)


@pytest.mark.parametrize(("short", "whole"), SHORTENED_ACROSS)
def test_an_abbreviation_is_no_disagreement_with_another_script(short: str, whole: str) -> None:
    assert words_alike(word(short), word(whole)) <= Alike.SHORT
    assert words_alike(word(whole), word(short)) <= Alike.SHORT


@pytest.mark.parametrize(("whole", "short"), SHORTENED)
def test_an_abbreviation_is_no_disagreement(whole: str, short: str) -> None:
    assert words_alike(word(whole), word(short)) <= Alike.SHORT


@pytest.mark.parametrize(
    ("said", "given", "family"),
    [
        ("Smt. Kaushalya Devi", ("kaushalya",), ("devi",)),
        ("Shri Roshan Lal S/o Hem Raj", ("roshan",), ("lal",)),
        ("Stanzin", ("stanzin",), ()),
        ("Haji Mushtaq Ahmad Bhat", ("mushtaq", "ahmad"), ("bhat",)),
        ("Dr", ("dr",), ()),
    ],
)
def test_titles_and_fathers_are_no_part_of_a_name(said: str, given: tuple[str, ...], family: tuple[str, ...]) -> None:
    name = read_name(said)
    assert tuple(w.text for w in name.given) == given
    assert tuple(w.text for w in name.family) == family


def test_a_name_run_together_or_with_a_word_more_is_the_same() -> None:
    abdul, joined, longer = read_name("Abdul Rashid X"), read_name("Abdulrashid X"), read_name("Mohd Abdul Rashid X")
    assert (alike := lists_alike(abdul.given, joined.given))
    assert alike.alike <= Alike.SOUND
    assert (alike := lists_alike(abdul.given, longer.given))
    assert alike.alike == Alike.EXACT


def test_what_stands_beside_a_shortened_word_tells() -> None:
    def alike(one: str, other: str) -> tuple[Alike, tuple[str, ...]]:
        likeness = lists_alike(read_name(one).words, read_name(other).words)
        assert likeness is not None
        return likeness.alike, likeness.shared

    assert alike("Gh Rashid", "Ghulam Rashid") == (Alike.SOUND, ("rashid",))
    assert alike("Gh Rashid", "Ghulam Nabi")[0] == Alike.PARTLY
    assert alike("Md", "Mohammad")[0] == Alike.SHORT
