"""How many SMS a text costs, and that no letter is broken when a variable is shortened."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.domain.segments import BASIC, EXTENSION, count, trim

HINDI = "क्षेत्रीय अस्पताल रिकांगपिओ किन्नौर हिमाचल"


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "gsm-7", 0, 1),
        ("a" * 160, "gsm-7", 160, 1),
        ("a" * 161, "gsm-7", 161, 2),
        ("a" * 306, "gsm-7", 306, 2),
        ("a" * 307, "gsm-7", 307, 3),
        ("€" * 80, "gsm-7", 160, 1),
        ("€" * 81, "gsm-7", 162, 2),
        ("क" * 70, "ucs-2", 70, 1),
        ("क" * 71, "ucs-2", 71, 2),
        ("क" * 134, "ucs-2", 134, 2),
        ("क" * 135, "ucs-2", 135, 3),
        ("₹", "ucs-2", 1, 1),
        ("😀" * 35, "ucs-2", 70, 1),
    ],
)
def test_counts_of_the_standard(text: str, encoding: str, units: int, segments: int) -> None:
    assert count(text) == (encoding, units, segments)


def test_an_escape_pair_is_not_torn_over_two_parts() -> None:
    # 152 letters and a euro sign do not fit one part of 153: the pair moves on, and the rest with it.
    assert count("a" * 152 + "€" + "a" * 151).segments == 2
    assert count("a" * 152 + "€" + "a" * 152).segments == 3


def test_a_surrogate_pair_is_not_torn_over_two_parts() -> None:
    assert count("क" * 66 + "😀" + "क" * 65).segments == 2
    assert count("क" * 66 + "😀" + "क" * 66).segments == 3


def test_the_default_alphabet_is_whole() -> None:
    assert len(BASIC) == 127  # 128 positions, one of which is the escape
    assert len(EXTENSION) == 10
    assert not BASIC & EXTENSION


@given(st.text(max_size=400))
def test_parts_hold_what_they_must(text: str) -> None:
    encoding, units, segments = count(text)
    single, part = (160, 153) if encoding == "gsm-7" else (70, 67)
    assert (segments == 1) == (units <= single)
    if segments > 1:
        assert part * (segments - 1) - segments < units <= part * segments


@given(st.text(max_size=80) | st.text(alphabet=HINDI + "བོད་ཡིགྱེ", max_size=80), st.integers(1, 40))
def test_trimming_keeps_whole_letters(value: str, limit: int) -> None:
    short = trim(value, limit)
    assert value.startswith(short)
    assert len(short.encode("utf-16-le")) // 2 <= limit or short == value
    if len(value.encode("utf-16-le")) // 2 <= limit:
        assert short == value
    graphemes = regex.findall(r"\X", value)
    assert regex.findall(r"\X", short) == graphemes[: len(regex.findall(r"\X", short))]


def test_no_vowel_sign_is_left_without_its_letter() -> None:
    blind = HINDI[:30]
    assert blind != trim(HINDI, 30) or regex.match(r"\X", HINDI[30:]) is not None
    assert not regex.match(r"\p{M}", HINDI[len(trim(HINDI, 30)) :])
    assert trim("District Hospital Kargil (Kurbathang)") == "District Hospital Kargil (Kurb"
