"""Reads what the outside world received: one JSON object a line in sms.jsonl, mail.jsonl and on_share.jsonl."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.checking.world import Receipt, World


def read_inboxes(folder: Path, world: World) -> None:
    """A file that is not there is an empty inbox; a last line that was cut off by a crash is left out."""
    world.sms = [to_sms(line) for line in _lines(folder / "sms.jsonl")]
    world.mails = [to_mail(line) for line in _lines(folder / "mail.jsonl")]
    world.on_shares = [to_on_share(line) for line in _lines(folder / "on_share.jsonl")]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def _instant(line: dict[str, Any]) -> dt.datetime | None:
    for name in ("received_at", "at"):
        if isinstance(line.get(name), str):
            try:
                return dt.datetime.fromisoformat(line[name])
            except ValueError:
                return None
    return None


def to_sms(line: dict[str, Any]) -> Receipt:
    reference = str(line.get("reference", ""))
    return Receipt(reference, reference, _instant(line))


def to_mail(line: dict[str, Any]) -> Receipt:
    message_id = str(line.get("message_id") or line.get("Message-ID") or "").strip().strip("<>")
    return Receipt(str(line.get("reference") or message_id.split("@")[0]), message_id, _instant(line))


def to_on_share(line: dict[str, Any]) -> Receipt:
    body = line.get("body") if isinstance(line.get("body"), dict) else line
    assert isinstance(body, dict)
    answered = body.get("response") or {}
    acknowledged = (body.get("acknowledgement") or {}).get("profile") or {}
    return Receipt(
        reference=str(answered.get("requestId", "")),
        id=str(line.get("request_id", "")),
        received_at=_instant(line),
        number=str(acknowledged.get("tokenNumber", "")),
    )
