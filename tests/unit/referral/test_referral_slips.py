"""The slip: signed, without a name, checked without a network, refused with a reason; and its sheet of paper."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import zlib
from pathlib import Path

import pytest

from libs.common.refusal import Refused
from libs.contracts.registration import PatientCard
from services.referral import check_slip, directory, slip_page, slips
from services.referral.domain.referral import Referral
from services.referral.slip_page import Sheet
from services.referral.slips import SlipKey

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
ID = "5f5f1c54-0f0c-5c6e-8f43-6d6f4e1a7c11"
HERE, THERE = "LA-LEH-CHC-KHALTSI", "LA-LEH-DH-SNM"
STATE = Referral(
    patient="0b0e7a4e-5d0c-5f0e-9d43-6d6f4e1a7c11",
    origin=HERE,
    destination=THERE,
    service="surgery",
    urgency="emergency",
    status="accepted",
    requested_at=NOW,
    changed_at=NOW,
)
PATIENT = PatientCard(id=STATE.patient, name="Tsering Dolma", sex="female", birth_year=1980, registered_at=HERE)
KEY = SlipKey(b"1f" * 32)
CARDS = {row.card.code: row.card for row in directory.read(Path("data/facilities.csv"))}


def refused(text: str, now: dt.datetime = NOW, key: SlipKey = KEY) -> str:
    with pytest.raises(Refused) as error:
        slips.verify(text, key.key_set, now)
    assert error.value.field == "slip"
    return error.value.code


def parts(text: str) -> list[dict[str, object]]:
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in text.split(".")[:2]]


def test_a_slip_is_checked_by_the_public_keys_alone() -> None:
    text = KEY.sign(ID, STATE, NOW)
    public = json.loads(json.dumps(KEY.key_set))
    assert "d" not in public["keys"][0]
    slip = slips.verify(text, public, NOW)
    assert (slip.referral, slip.origin, slip.destination) == (ID, HERE, THERE)
    assert slips.for_here(slip, THERE) is slip
    with pytest.raises(Refused) as elsewhere:
        slips.for_here(slip, HERE)
    assert elsewhere.value.code == "slip-for-elsewhere"


def test_no_person_stands_in_it() -> None:
    _, claims = parts(KEY.sign(ID, STATE, NOW))
    assert set(claims) == {"iss", "r", "o", "d", "iat", "exp"}
    assert STATE.patient not in json.dumps(claims)


def test_what_is_changed_forged_or_too_old_is_refused_with_the_reason() -> None:
    text = KEY.sign(ID, STATE, NOW)
    head, claims, signature = text.split(".")
    other = base64.urlsafe_b64encode(json.dumps(parts(text)[1] | {"d": HERE}).encode()).decode().rstrip("=")
    assert refused(f"{head}.{other}.{signature}") == "slip-forged"
    assert refused(SlipKey(b"2e" * 32).sign(ID, STATE, NOW)) == "slip-forged"
    unsigned = base64.urlsafe_b64encode(json.dumps(parts(text)[0] | {"alg": "none"}).encode()).decode().rstrip("=")
    assert refused(f"{unsigned}.{claims}.") in ("slip-forged", "slip-malformed")
    assert refused(text, NOW + slips.GOOD_FOR) == "slip-expired"
    assert slips.verify(text, KEY.key_set, NOW + slips.GOOD_FOR - dt.timedelta(seconds=1))
    for nonsense in ("", "x", "a.b.c", "HTTPS://EXAMPLE", text[:-30]):
        assert refused(nonsense) in ("slip-malformed", "slip-forged")


def test_nobody_came_with_a_slip_before_it_was_issued_nor_tells_of_it_for_ever() -> None:
    text = KEY.sign("r1", STATE, NOW)
    assert refused(text, NOW - dt.timedelta(minutes=6)) == "slip-not-issued"
    slip = slips.verify(text, KEY.key_set, NOW - dt.timedelta(minutes=4))
    over = slip.expires_at + slips.TOLD_WITHIN
    assert slips.told_in_time(slip, over - dt.timedelta(seconds=1)) == slip
    with pytest.raises(Refused) as late:
        slips.told_in_time(slip, over)
    assert (late.value.code, late.value.field) == ("slip-expired", "slip")


def test_a_desk_checks_it_from_a_file_of_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(KEY.key_set))
    text = KEY.sign(ID, STATE, NOW)
    assert check_slip.main([str(keys), THERE, text]) == 0
    assert json.loads(capsys.readouterr().out)["referral"] == ID
    assert check_slip.main([str(keys), HERE, text]) == 1
    assert "slip-for-elsewhere" in capsys.readouterr().err
    for unreadable in ("", "[]", '{"keys": [1]}'):
        keys.write_text(unreadable)
        assert check_slip.main([str(keys), THERE, text]) == 2
    assert check_slip.main([str(tmp_path / "nowhere.json"), THERE, text]) == 2


def drawn(pdf: bytes) -> tuple[str, str]:
    """The drawing commands of the page, and the names of its fonts."""
    streams = [zlib.decompress(body) for body in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", pdf, re.DOTALL)[:1]]
    fonts = b" ".join(re.findall(rb"/BaseFont /(\S+)", pdf))
    return streams[0].decode("latin-1"), fonts.decode("latin-1")


@pytest.mark.parametrize(
    ("language", "font"), [("hi", "Devanagari"), ("ur", "NaskhArabic"), ("bo", "Tibetan"), ("lbj", "Tibetan")]
)
def test_the_sheet_is_in_two_scripts_and_its_square_is_the_slip(language: str, font: str) -> None:
    import segno

    text = KEY.sign(ID, STATE, NOW)
    sheet = Sheet(ID, text, STATE, PATIENT, CARDS[HERE], CARDS[THERE])
    pdf = slip_page.draw(sheet, language, Path("data/fonts"), NOW)
    assert pdf.startswith(b"%PDF-")
    commands, fonts = drawn(pdf)
    assert font in fonts
    assert "+NotoSans " in f"{fonts} "
    rows = list(segno.make(text, error="m", micro=False).matrix_iter(border=4))
    side = slip_page.SQUARE_MM / len(rows) * 72 / 25.4
    runs = [tuple(map(float, found)) for found in re.findall(r"([\d.]+) ([\d.]+) ([\d.]+) -?([\d.]+) re f", commands)]
    dark = sum(round(width / side) for _, _, width, _ in runs)
    assert dark == sum(sum(map(bool, row)) for row in rows)


def test_the_language_is_that_asked_for_then_the_patients_then_hindi() -> None:
    def of(wanted: str | None, own: str) -> str:
        return slip_page.language_of(wanted, PATIENT.model_copy(update={"language": own}))

    assert of("bo", "ur") == "bo"
    assert of(None, "ur") == "ur"
    assert of(None, "ks") == "ur"
    assert of(None, "en") == "hi"
    assert of("xx", "lbj") == "lbj"
    assert slip_page.language_of(None, None) == "hi"


def test_every_language_says_the_same_things_and_its_font_has_the_letters() -> None:
    from fontTools.ttLib import TTFont

    known = slip_page.texts()
    for language, said in known.items():
        assert set(said) == set(known["en"]), language
        letters = {ord(letter) for value in said.values() for letter in str(value) if letter.isalpha()}
        have = set(TTFont(Path("data/fonts") / slip_page.FONTS[said["script"]]).getBestCmap())
        assert {letter for letter in letters if letter > 127} <= have, language


def test_a_key_that_is_none_stops_the_start() -> None:
    with pytest.raises(ValueError, match="hex"):
        SlipKey(b"not a key")
