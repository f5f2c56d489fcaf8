"""What keeps personal data in and nonsense out: logs, problems, settings, rates, Aadhaar, metrics, traces."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Counter, Histogram
from pydantic import Field, TypeAdapter, ValidationError

from libs.common import logs, tracing
from libs.common.aadhaar import contains_aadhaar, passes_verhoeff
from libs.common.access import ANONYMOUS, Caller
from libs.common.metrics import Metrics
from libs.common.problem import field_errors, install, problem
from libs.common.rates import Rates, TooMany
from libs.common.settings import ServiceSettings
from libs.common.web import fingerprint_of

PHONE = "+915550000001"


# Logs


@pytest.fixture
def logged() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What a configured process writes, read back."""
    root, ours = logging.getLogger(), logging.getLogger(logs.OURS)
    before = root.handlers[:], root.level, ours.level
    logs.configure("toy")
    stream = io.StringIO()
    root.handlers[0].setStream(stream)  # type: ignore[attr-defined]
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level, ours.level = before[0], before[1], before[2]
    ours.setLevel(before[2])


def _raise() -> None:
    raise ValueError(f"not a phone: {PHONE}")


def test_our_exceptions_are_logged_by_class_and_place_without_their_values(logged: Any) -> None:
    try:
        _raise()
    except ValueError:
        logs.logger("toy").error("it failed", exc_info=True)
    (line,) = logged()
    assert PHONE not in json.dumps(line)
    assert (line["event"], line["error"], line["service"], line["level"]) == ("it failed", "ValueError", "toy", "ERROR")
    assert line["at"].startswith("test_common_walls.py:")


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR, logging.CRITICAL])
def test_a_librarys_message_is_cut_since_it_may_quote_what_it_was_given(logged: Any, level: int) -> None:
    library = logging.getLogger("somebody.elses")
    library.log(level, f"invalid input_value={PHONE!r}")
    library.log(level, "invalid %s", PHONE)
    try:
        _raise()
    except ValueError:
        library.log(level, "failed", exc_info=True)
    lines = logged()
    assert len(lines) == 3
    assert PHONE not in json.dumps(lines)
    assert lines[2]["error"] == "ValueError"
    assert {line["logger"] for line in lines} == {"somebody.elses"}


def test_lines_carry_the_trace(logged: Any) -> None:
    with tracing.within(None) as traceparent:
        logs.logger("toy").info("here")
    logs.logger("toy").info("there")
    here, there = logged()
    assert here["traceparent"] == traceparent
    assert "traceparent" not in there


# Traces


def test_a_trace_goes_on_and_a_malformed_one_starts_anew() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    child = tracing.child_of(parent)
    assert child[:36] == parent[:36]
    assert child[36:52] != parent[36:52]
    assert child.endswith("-01")
    assert tracing.child_of(child)[:36] == parent[:36]
    for bad in (None, "", "Marked", parent.upper(), parent + "x", "00-" + "0" * 32 + "-00f067aa0ba902b7-01"):
        made = tracing.child_of(bad)
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)
        assert made[3:35] != parent[3:35]
    assert tracing.current() is None


# Problems


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_problem_names_fields_and_never_repeats_input(name: str, value: str) -> None:
    marked = f"~{value}~"
    error = RequestValidationError(
        [
            {"type": "extra_forbidden", "loc": ("body", f"~{name}~"), "msg": "Not permitted", "input": marked},
            {"type": "string_type", "loc": ("body", "card", 3, "phone"), "msg": "Not a string", "input": marked},
        ]
    )
    errors = field_errors(error)
    assert [found["field"] for found in errors] == ["(unknown)", "card.3.phone"]
    assert "~" not in json.dumps(errors)


def test_problems_have_a_stable_type() -> None:
    answer = problem(409, "not-allowed", "Not now.", allowed=["accept"])
    assert json.loads(bytes(answer.body)) == {
        "type": "urn:hillhealth:problem:not-allowed",
        "title": "Not allowed",
        "status": 409,
        "detail": "Not now.",
        "allowed": ["accept"],
    }
    assert answer.media_type == "application/problem+json"


def test_every_refusal_of_ours_has_an_answer() -> None:
    app = FastAPI()
    install(app)
    names = {kind.__name__ for kind in app.exception_handlers if isinstance(kind, type)}
    ours = {"Refused", "Forbidden", "Unauthenticated", "NotFound", "KeyReused", "ClaimTaken", "Contended", "TooMany"}
    assert ours | {"AutoReconnect", "RequestValidationError", "Exception"} <= names


@pytest.mark.parametrize("raw", [b"\xff{", b"{", b"[" * 100_000, b'{"name": ' + b"9" * 5000 + b"}"])
async def test_a_body_that_is_no_json_is_named_as_what_is_wrong(raw: bytes) -> None:
    app = FastAPI()
    install(app)

    @app.post("/things")
    async def take(body: dict[str, Any]) -> None: ...

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        answer = await client.post("/things", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["errors"]] == ["body"]


# Fingerprints

BODIES = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4)


@given(BODIES, BODIES)
def test_a_fingerprint_is_verb_target_and_body_without_its_time(one: dict[str, Any], two: dict[str, Any]) -> None:
    def of(body: Any, verb: str = "POST /x/{id}", target: str = "/x/1") -> str:
        return fingerprint_of(verb, target, body)

    one.pop("occurred_at", None)
    two.pop("occurred_at", None)
    assert of(one) == of(one | {"occurred_at": "2026-01-05T09:00:00Z"})
    assert of(one) == of(dict(reversed(one.items())))
    assert (of(one) == of(two)) == (one == two)
    assert len({of(one), of(one, target="/x/2"), of(one, verb="POST /y/{id}"), of([one])}) == 4


def test_a_fingerprint_takes_whatever_json_allows() -> None:
    assert fingerprint_of("v", "t", json.loads('{"a": "\\ud800"}'))


# Settings


def test_the_days_clock_needs_development() -> None:
    with pytest.raises(ValidationError, match="CLOCK=day plays a recorded day; it needs DEVELOPMENT=true"):
        ServiceSettings(clock="day")
    assert ServiceSettings(clock="day", development=True).clock == "day"


def test_an_error_names_the_setting_and_not_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_REQUEST_BYTES", "Marked")
    with pytest.raises(ValidationError) as caught:
        ServiceSettings()
    assert "max_request_bytes" in str(caught.value)
    assert "Marked" not in str(caught.value)


def test_a_secret_is_a_file_that_is_there_and_not_empty(tmp_path: Path) -> None:
    settings = ServiceSettings(secrets_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="seal_key"):
        settings.secret("seal_key")
    (tmp_path / "seal_key").write_text("\n")
    with pytest.raises(ValueError, match="seal_key"):
        settings.secret("seal_key")
    (tmp_path / "seal_key").write_text("abc\n")
    assert settings.secret("seal_key") == b"abc"


# Rates


async def test_each_caller_has_a_measure_of_its_own() -> None:
    rates = Rates(ServiceSettings(requests_per_second=3, public_requests_per_second=1), Metrics())
    one, two = Caller("one", "doctor"), Caller("two", "doctor")
    await _until_refused(lambda: rates.check(one, "10.0.0.1"), 3)
    await rates.check(two, "10.0.0.1")
    await rates.check(Caller("one", "desk"), "10.0.0.1")
    await _until_refused(lambda: rates.check(ANONYMOUS, "10.0.0.1"), 1)
    await rates.check(ANONYMOUS, "10.0.0.2")
    await _until_refused(lambda: rates.refused("10.0.0.3"), 3)
    await rates.refused("10.0.0.4")


async def _until_refused(check: Callable[[], Awaitable[None]], at_least: int) -> None:
    """A second may end in between, which lets one more second's worth pass."""

    async def again() -> None:
        for _ in range(at_least + 1):
            await check()

    for _ in range(at_least):
        await check()
    with pytest.raises(TooMany):
        await again()


# Aadhaar (made here; none is anybody's)


def _with_check_digit(eleven: str) -> str:
    return next(eleven + digit for digit in "0123456789" if passes_verhoeff(eleven + digit))


@given(st.text("0123456789", min_size=11, max_size=11), st.integers(0, 10), st.integers(1, 9))
def test_a_single_wrong_digit_or_swap_never_passes(eleven: str, place: int, more: int) -> None:
    number = _with_check_digit(eleven)
    wrong = str((int(number[place]) + more) % 10)
    assert not passes_verhoeff(number[:place] + wrong + number[place + 1 :])
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert swapped == number or not passes_verhoeff(swapped)


def test_verhoeffs_own_example() -> None:
    assert passes_verhoeff("2363")
    assert not passes_verhoeff("2364")


@pytest.mark.parametrize(
    "around", ["{}", "no. {}.", "2026 {}", "ward 7, {}", "{} or so", "x{}y", "\u0905\u0927\u093e\u0930 {}"]
)
@pytest.mark.parametrize("group", ["", " ", "-", "\u00a0"])
@pytest.mark.parametrize("zero", ["0", "\u0966", "\u0660", "\u0f20"])
def test_an_aadhaar_number_is_found_in_any_script_grouped_or_not(around: str, group: str, zero: str) -> None:
    number = _with_check_digit("00000012345")
    digits = "".join(chr(ord(zero) + int(digit)) for digit in number)
    text = around.format(group.join((digits[:4], digits[4:8], digits[8:])))
    assert contains_aadhaar(text)


@pytest.mark.parametrize("between", ["\u200b", "\u00ad", "\u2013", "\u2212", "\u3000", "\u202f"])
def test_what_cannot_be_seen_and_other_dashes_and_spaces_hide_none(between: str) -> None:
    number = _with_check_digit("00000012345")
    assert contains_aadhaar(f"x{number[:3]}{between}{number[3:8]}{between}{number[8:]}")


def test_other_numbers_are_none() -> None:
    number = _with_check_digit("00000012345")
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    for text in ("", "call +91 5550000001", wrong, number + "1", number[:-1], "on 2026-01-05 at 09:00"):
        assert not contains_aadhaar(text), text


# Metrics (prometheus.io/docs/practices/naming)

FORBIDDEN_LABELS = re.compile(r"id|key|name|phone|patient|person|user|subject|caller|email|path|url")
UNITS = ("_seconds", "_bytes", "_total", "_ratio")


def test_metrics_follow_the_naming_rules_and_no_label_can_hold_a_person() -> None:
    collectors = [value for value in vars(Metrics()).values() if hasattr(value, "_labelnames")]
    assert len(collectors) > 20
    for metric in collectors:
        name = metric._name + ("_total" if isinstance(metric, Counter) else "")
        assert re.fullmatch(r"hillhealth_[a-z]+(_[a-z]+)*", name), name
        assert metric._documentation
        assert not name.endswith(("_ms", "_milliseconds", "_minutes", "_percent", "_count", "_sum")), name
        if isinstance(metric, Histogram):
            assert name.endswith("_seconds"), name
        assert not [label for label in metric._labelnames if FORBIDDEN_LABELS.search(label)], name


def test_services_in_one_process_do_not_meet_in_their_metrics() -> None:
    one, two = Metrics(), Metrics()
    one.rate_limited.inc()
    assert two.registry.get_sample_value("hillhealth_http_rate_limited_total") == 0


def test_a_list_whose_only_member_is_wrong_is_not_called_empty_too() -> None:
    months = TypeAdapter(dict[str, Annotated[tuple[Annotated[int, Field(le=12)], ...], Field(min_length=1)]])
    for said, fields in (([13], ["months.0"]), ([], ["months"]), ([13, 14], ["months.0", "months.1"])):
        with pytest.raises(ValidationError) as wrong:
            months.validate_python({"months": said})
        assert [one["field"] for one in field_errors(RequestValidationError(wrong.value.errors()))] == fields
