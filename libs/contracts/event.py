"""What every public event has in common: its topic, its type, how instants and personal fields are written."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.fields import FieldInfo


def _to_utc_milliseconds(value: dt.datetime) -> str:
    text = value.isoformat(timespec="milliseconds")
    if not text.endswith("+00:00"):
        text = value.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def _truncate(value: Any) -> Any:
    if isinstance(value, (int, float)):
        raise ValueError("must be an ISO 8601 time with offset")
    if isinstance(value, dt.datetime) and value.tzinfo is not None and EARLIEST <= value < LATEST:
        if value.tzinfo is not dt.UTC:
            value = value.astimezone(dt.UTC)
        if beyond := value.microsecond % 1000:
            value -= dt.timedelta(microseconds=beyond)
    return value


EARLIEST = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
"""Beyond these nobody means what they say, and what is counted from it may be no time at all."""

Instant = Annotated[
    AwareDatetime,
    Field(ge=EARLIEST, lt=LATEST),
    BeforeValidator(_truncate),
    PlainSerializer(_to_utc_milliseconds, return_type=str, when_used="json"),
]
"""A moment with offset, written in UTC to the millisecond, so that text order is time order."""


def personal(default: Any = None, **keywords: Any) -> Any:
    """A field that says who somebody is: redacted by an erasure, never on a thin topic."""
    return Field(default, json_schema_extra={"personal": True}, **keywords)


def is_personal(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get("personal") is True


@dataclass(frozen=True)
class Topic:
    """A Kafka topic `<service>.<aggregate>.v<major>`; the record key is the aggregate's id.

    `compacted`: each event carries the whole card and a tombstone erases.
    `restricted`: carries personal data; only those who need it may read.
    """

    name: str
    compacted: bool = False
    restricted: bool = False
    partitions: int = 12

    @property
    def service(self) -> str:
        return self.name.split(".")[0]

    @property
    def major(self) -> str:
        return self.name.rsplit(".", 1)[1]


PUBLIC: dict[str, type[Event]] = {}
"""Every public event by its CloudEvents type."""


class Event(BaseModel):
    """A fact in the past tense.

    Declared with `topic=`, it is public and its TYPE is `<service>.<ClassName>.v<major>`.
    A subclass of a public event without `topic=` keeps that TYPE: a service's own, fuller form of the same fact, of
    which only the public fields leave the journal. Any other event is private to its journal.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    TYPE: ClassVar[str] = "Event"
    TOPIC: ClassVar[Topic | None] = None
    TOMBSTONE: ClassVar[bool] = False

    @classmethod
    def __pydantic_init_subclass__(cls, topic: Topic | None = None, **keywords: Any) -> None:
        super().__pydantic_init_subclass__(**keywords)
        if topic is not None:
            cls.TOPIC = topic
            cls.TYPE = f"{topic.service}.{cls.__name__}.{topic.major}"
            if cls.TYPE in PUBLIC:
                raise TypeError(f"{cls.TYPE} is declared twice")
            PUBLIC[cls.TYPE] = cls
        elif cls.TOPIC is None:
            cls.TYPE = cls.__name__

    def __init_subclass__(cls, topic: Topic | None = None, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)


Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
"""A code from a list that may grow: lower-case words joined by hyphens, never free text."""

FacilityCode = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{1,39}$")]
Id = Annotated[str, Field(min_length=1, max_length=64)]
