"""JSON logs: an event's name and ids, never a person's data. Libraries' own messages are cut down to their class."""

from __future__ import annotations

import logging
import sys
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from libs.common import tracing

OURS = "hillhealth"


class _Careful(logging.Filter):
    """Second wall: a library's log line may quote what it was given, so only ours keep message and trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        if trace := tracing.current():
            record.traceparent = trace
        if not record.name.startswith(OURS):
            if record.exc_info:
                record.error = record.exc_info[0].__name__ if record.exc_info[0] else None
                record.exc_info = None
                record.exc_text = None
            record.msg, record.args = f"a library reported: {record.levelname.lower()}", ()
        elif record.exc_info and record.exc_info[0] is not None:
            record.error = record.exc_info[0].__name__
            record.at = _where(record.exc_info[2])
            record.exc_info = None
            record.exc_text = None
        return True


def _where(traceback: Any) -> str | None:
    """File and line of the innermost frame: enough to find the fault, without the values that caused it."""
    if traceback is None:
        return None
    while traceback.tb_next:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_filename.rsplit('/', 2)[-1]}:{traceback.tb_lineno}"


def configure(service: str, level: str = "INFO") -> None:
    """Everything this process logs goes to standard error as one JSON object per line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "message": "event"},
            static_fields={"service": service},
        )
    )
    handler.addFilter(_Careful())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(OURS).setLevel(level)


def logger(name: str) -> logging.Logger:
    return logging.getLogger(f"{OURS}.{name}")
