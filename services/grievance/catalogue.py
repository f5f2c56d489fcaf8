"""The data files: categories, jurisdictions, calendars. A bad one is refused at start, with its line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from libs.common.lined import BadFile, files, line_of, read
from libs.common.misfit import Misfit
from libs.contracts.event import PUBLIC
from services.grievance.domain.calendar import MonthDay, Season, Shift, Shifts, Week, WorkingCalendar, overlapping
from services.grievance.domain.category import Catalogue, Category
from services.grievance.domain.policy import Jurisdiction
from services.grievance.domain.proactive import Rule, Rules
from services.grievance.domain.screening import Screening, ScreeningReason

HERE = Path(__file__).parent
CATEGORIES = HERE / "categories.yaml"
PROACTIVE = HERE / "proactive.yaml"
SCREENING = HERE / "screening.yaml"
JURISDICTIONS = HERE / "jurisdictions"
CALENDARS = HERE / "calendars"
HOLIDAYS = "holidays.yaml"
_SHIFTS: TypeAdapter[Shifts] = TypeAdapter(Shifts)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _shift(written: Any) -> Any:
    if not isinstance(written, str):
        return written
    opens, _, closes = written.partition("-")
    return {"opens": opens, "closes": closes}


def _week(written: Any) -> Any:
    if not isinstance(written, dict):
        return written
    for name in written:
        if name not in WEEKDAYS:
            raise Misfit(f"must be of {', '.join(WEEKDAYS)}", str(name))
    return [_day(day, written.get(day) or []) for day in WEEKDAYS]


def _day(day: str, written: Any) -> Shifts:
    if not isinstance(written, list):
        raise Misfit("must be a list of shifts such as 10:00-13:30", day)
    try:
        return _SHIFTS.validate_python([_shift(each) for each in written])
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False, include_input=False)
        raise Misfit(first["msg"].removeprefix("Value error, "), day, *first["loc"][:1]) from None


WrittenShift = Annotated[Shift, BeforeValidator(_shift)]
WrittenWeek = Annotated[Week, BeforeValidator(_week)]


def _opens_at_all(week: Week) -> Week:
    if not any(week):
        raise ValueError("on one day at least there must be a shift, or nothing would ever become due")
    return week


OpenWeek = Annotated[WrittenWeek, AfterValidator(_opens_at_all)]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SeasonEntry(_File):
    first: MonthDay
    last: MonthDay
    week: WrittenWeek


class District(_File):
    """What is otherwise in a district than in its state; what is not said is the state's."""

    week: OpenWeek | None = None
    seasons: tuple[SeasonEntry, ...] | None = None
    holidays: dict[dt.date, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_season_a_day(self) -> Self:
        twice = overlapping([(each.first, each.last) for each in self.seasons or ()])
        if twice is not None:
            raise Misfit("covers a day of another season", "seasons", twice, "first")
        return self


class CalendarFile(District):
    """A state's working time. `code` is its LGD code, and so are the districts'."""

    code: Annotated[str, Field(pattern=r"^[0-9]{1,3}$")]
    name: str
    source: str
    confidence: Literal["high", "medium", "low"]
    week: OpenWeek
    seasons: tuple[SeasonEntry, ...] = ()
    days: dict[dt.date, tuple[WrittenShift, ...]] = Field(default_factory=dict)
    districts: dict[int, District] = Field(default_factory=dict)


class HolidayFile(_File):
    states: dict[int, dict[dt.date, str]]


def read_categories(path: Path = CATEGORIES) -> Mapping[str, Category]:
    """Raises BadFile, and OSError if there is no such file."""
    return read(path, Catalogue).categories


def read_proactive(path: Path = PROACTIVE, known: Iterable[str] = ()) -> Mapping[str, Sequence[Rule]]:
    """Raises BadFile: a bad file, a category nobody knows, or a field that the event does not have."""
    rules = read(path, Rules).events
    categories = set(known)
    for type_, several in rules.items():
        event = PUBLIC.get(type_)
        for position, rule in enumerate(several):
            if rule.category not in categories:
                raise _no_such_category(path, rule.category, "events", type_, position, "category")
            for field, place in rule.fields() if event else ():
                if event is not None and field not in event.model_fields:
                    line = line_of(path, "events", type_, position, *place)
                    raise BadFile(f"{path}:{line}: {type_} has no field {field}")
    return rules


def _no_such_category(path: Path, category: str, *place: str | int) -> BadFile:
    return BadFile(f"{path}:{line_of(path, *place)}: no such category: {category}")


def _twice(path: Path, what: str) -> BadFile:
    return BadFile(f"{path}:{line_of(path, 'code')}: {what} stands in another file too")


def read_screening(path: Path = SCREENING) -> Mapping[str, ScreeningReason]:
    """Raises BadFile."""
    return read(path, Screening).reasons


def read_jurisdictions(folder: Path = JURISDICTIONS, known: Iterable[str] = ()) -> tuple[Jurisdiction, ...]:
    """Raises BadFile: a bad file, one code in two files, two of which neither goes before the other, a category nobody
    knows, or none that takes everything."""
    found: dict[str, Jurisdiction] = {}
    categories = set(known)
    for path in files(folder):
        jurisdiction = read(path, Jurisdiction)
        if jurisdiction.code in found:
            raise _twice(path, jurisdiction.code)
        named: list[tuple[str, tuple[str | int, ...]]] = [
            (category, ("takes", "categories", index)) for index, category in enumerate(jurisdiction.takes.categories)
        ]
        named += [
            (category, ("versions", index, "categories", category))
            for index, version in enumerate(jurisdiction.versions)
            for category in version.categories
        ]
        for category, place in named:
            if category not in categories:
                raise _no_such_category(path, category, *place)
        for other in found.values():
            days = {version.valid_from for version in other.versions}
            for index, version in enumerate(jurisdiction.versions):
                if version.valid_from in days and jurisdiction.takes.clashes(other.takes):
                    line = line_of(path, "versions", index, "valid_from")
                    raise BadFile(f"{path}:{line}: {other.code} takes the same from the same day: neither is the newer")
        found[jurisdiction.code] = jurisdiction
    if not any(jurisdiction.takes.closeness == 0 for jurisdiction in found.values()):
        raise BadFile(f"{folder}:1: none takes complaints of every state and category")
    return tuple(found.values())


class Calendars:
    """Working time by place, as the files have it; what is declared later is laid over it."""

    def __init__(self, states: Mapping[int, CalendarFile], holidays: Mapping[int, Mapping[dt.date, str]]) -> None:
        self._states = states
        self._holidays = holidays
        self._made: dict[tuple[int, int], WorkingCalendar] = {}

    def codes(self) -> list[str]:
        return [str(state) for state in self._states]

    def base(self, state_lgd: int, district_lgd: int) -> WorkingCalendar:
        """A district's calendar; for a state without a file, ten to five from Monday to Saturday."""
        place = (state_lgd, district_lgd)
        if place not in self._made:
            self._made[place] = self._make(state_lgd, district_lgd)
        return self._made[place]

    def _make(self, state_lgd: int, district_lgd: int) -> WorkingCalendar:
        code = f"{state_lgd}-{district_lgd}"
        file = self._states.get(state_lgd)
        if file is None:
            return WorkingCalendar(code=code, week=_SIX_DAYS)
        district = file.districts.get(district_lgd, District())
        seasons = file.seasons if district.seasons is None else district.seasons
        return WorkingCalendar(
            code=code,
            week=file.week if district.week is None else district.week,
            seasons=tuple(Season(first=each.first, last=each.last, week=each.week) for each in seasons),
            holidays={**self._holidays.get(state_lgd, {}), **file.holidays, **district.holidays},
            days=file.days,
        )


_TEN_TO_FIVE: Shifts = (Shift(opens=dt.time(10), closes=dt.time(17)),)
_SIX_DAYS: Week = (*[_TEN_TO_FIVE] * 6, ())


def read_calendars(folder: Path = CALENDARS) -> Calendars:
    """Raises BadFile, and OSError if there is no file of holidays."""
    states: dict[int, CalendarFile] = {}
    for path in files(folder):
        if path.name == HOLIDAYS:
            continue
        file = read(path, CalendarFile)
        if int(file.code) in states:
            raise _twice(path, f"state {file.code}")
        states[int(file.code)] = file
    return Calendars(states, read(folder / HOLIDAYS, HolidayFile).states)
