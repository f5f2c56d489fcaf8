"""`python -m services.registration.camp set-up | enrol | block | people | upload | revoke`: a camp's device, from first
to last.

The token (role desk of the device's facility) stands in CAMP_TOKEN, the device's own key, once it is enrolled, in
CAMP_DEVICE_KEY; `enrol` prints it. `people` and `upload` go on where an earlier one of the same
file broke off; the answers to refused rows come to standard output as JSON Lines, progress to standard error.
Exit: 0 every row was accepted, 1 some were refused, 2 the server cannot be reached or refuses.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

CHUNK_BYTES = 128 * 1024
TRIES = 30
"""How often a link that drops is taken up again, with pauses that double up to half a minute."""


class Trouble(Exception):
    """What a person has to put right."""


class Line:
    """Talks to the server as the device; tries again while the link is down."""

    def __init__(self, url: str, token: str, key: str = "", client: httpx.Client | None = None) -> None:
        self._client = client or httpx.Client(base_url=url, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}"} | ({"X-Device-Key": key} if key else {})

    def ask(self, method: str, path: str, *, ok: Sequence[int], **how: Any) -> httpx.Response:
        """Raises Trouble."""
        headers = self._headers | how.pop("headers", {})
        pause = 0.2
        for left in range(TRIES, 0, -1):
            try:
                answer = self._client.request(method, path, headers=headers, **how)
            except httpx.TransportError as error:
                reason = type(error).__name__
            else:
                if answer.status_code in ok:
                    return answer
                if answer.status_code not in (429, 500, 502, 503, 504):
                    raise Trouble(f"{method} {path}: {answer.status_code} {_detail(answer)}")
                reason = str(answer.status_code)
            if left > 1:
                print(f"\r{reason}: trying again in {pause:.0f} s   ", end="", file=sys.stderr, flush=True)
                time.sleep(pause)
                pause = min(pause * 2, 30.0)
        raise Trouble(f"{method} {path}: the server cannot be reached ({reason})")


def _detail(answer: httpx.Response) -> str:
    try:
        said = answer.json()
        return "; ".join(f"{one['field']}: {one['detail']}" for one in said.get("errors", ())) or str(said["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def progress(what: str, done: int, of: int) -> None:
    width = 30
    filled = width * done // of if of else width
    text = f"\r{what:10} [{'#' * filled}{'.' * (width - filled)}] {done}/{of} "
    print(text, end="" if done < of else "\n", file=sys.stderr, flush=True)


def upload(line: Line, file: Path, device: str, chunk: int) -> dict[str, Any]:
    """Sends the file, from the byte that the server has not, and waits until every row is answered. Raises Trouble."""
    content = file.read_bytes()
    format = "jsonl" if file.suffix in (".jsonl", ".ndjson") else "csv"
    said = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in (("device", device), ("format", format)))
    about = {"Upload-Length": str(len(content)), "Upload-Metadata": said}
    place = _begun(line, f"{device}\n{format}\n".encode() + content, about)
    while True:
        offset = int(line.ask("HEAD", place, ok=(200,)).headers["upload-offset"])
        progress("sending", offset, len(content))
        if offset >= len(content):
            break
        part = content[offset : offset + chunk]
        how = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        sent = line.ask("PATCH", place, ok=(204, 409), headers=how, content=part)
        if sent.status_code == 409 and (state := _state(line, place))["status"] == "refused":
            return state
    rows = max(1, content.count(b"\n"))
    while True:
        state = _state(line, place)
        progress("answering", min(state["done"], rows), rows if state["status"] == "processing" else state["done"])
        if state["status"] in ("done", "refused"):
            return state
        time.sleep(0.3)


def _begun(line: Line, what: bytes, about: dict[str, str]) -> str:
    """Where it goes. The same file is the same upload, begun once, whoever asks how often; but where that was refused,
    as one is that was left for too long, another is begun. Its rows are known by their keys. Raises Trouble."""
    for attempt in range(TRIES):
        key = hashlib.sha256(what + f"\n{attempt}".encode() * (attempt > 0)).hexdigest()
        begun = line.ask("POST", "/camp-uploads", ok=(201,), headers=about | {"Idempotency-Key": key})
        place = str(begun.headers["location"])
        if _state(line, place)["status"] != "refused":
            break
    return place


def _state(line: Line, place: str) -> dict[str, Any]:
    said: dict[str, Any] = line.ask("GET", place, ok=(200,)).json()
    return said


def refusals(line: Line, place: str) -> list[dict[str, Any]]:
    """Every row that was refused, with its fields and reasons."""
    found: list[dict[str, Any]] = []
    cursor: int | None = -1
    while cursor is not None:
        said = line.ask("GET", f"{place}/answers", ok=(200,), params={"cursor": cursor}).json()
        found += [answer for answer in said["answers"] if answer["status"] == "refused"]
        cursor = said["cursor"]
    return found


def people(line: Line, device: str, district: int, file: Path, on: str | None = None) -> int:
    """Writes a district's people to the file, from where an earlier run broke off; returns how many are in it."""
    place = file.with_name(file.name + ".cursor")
    cursor, size, count = _gone_so_far(file, place)
    with file.open("r+b" if cursor else "wb") as out:
        # Lines that came after the last cursor was kept come again.
        out.truncate(size)
        out.seek(size)
        while True:
            where = {"district": district, "cursor": cursor} | ({"on": on} if on else {})
            answer = line.ask("GET", f"/camp-devices/{device}/people", ok=(200,), params=where)
            *lines, last = answer.text.removesuffix("\n").split("\n")
            out.writelines(f"{one}\n".encode() for one in lines)
            out.flush()
            count += len(lines)
            print(f"\r{count} people ", end="", file=sys.stderr, flush=True)
            following = json.loads(last)["cursor"]
            if following is None:
                print(file=sys.stderr)
                place.unlink(missing_ok=True)
                return count
            cursor = following
            place.write_text(json.dumps([cursor, out.tell(), count]))


def _gone_so_far(file: Path, place: Path) -> tuple[str, int, int]:
    """The cursor of an earlier run, and how many bytes and people it had kept by then; nothing where there was none."""
    try:
        cursor, size, count = json.loads(place.read_text())
        if isinstance(cursor, str) and file.stat().st_size >= int(size):
            return cursor, int(size), int(count)
    except (OSError, ValueError, TypeError):
        pass
    return "", 0, 0


_ASKED_ONCE = ("set-up", "enrol", "revoke", "block")


def _ask_once(line: Line, asked: argparse.Namespace) -> None:
    """What is one request, and what of its answer is printed. Raises Trouble."""

    def say(path: str, **body: Any) -> dict[str, Any]:
        key = {"Idempotency-Key": os.urandom(16).hex()}
        answer: dict[str, Any] = line.ask("POST", path, ok=(200, 201), json=body, headers=key).json()
        return answer

    own = f"/camp-devices/{asked.device}"
    match asked.command:
        case "set-up":
            print(json.dumps(say("/camp-devices", device=asked.device, quota=asked.quota, districts=asked.districts)))
        case "enrol":
            print(say(f"{own}/enrol")["key"])
        case "revoke":
            print(json.dumps(say(f"{own}/revoke", reason=asked.reason)))
        case "block":
            print("\n".join(say(f"{own}/blocks", size=asked.size)["numbers"]))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.registration.camp", description=__doc__)
    parser.add_argument("--url", default=os.environ.get("REGISTRATION_URL", "http://127.0.0.1:8101"))
    parser.add_argument("--device", required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("set-up", help="a device of one's own facility, or its quota and districts anew")
    made.add_argument("--quota", type=int, default=200, help="card numbers that may be out at a time")
    made.add_argument("--districts", type=int, nargs="*", default=[], help="LGD codes whose people it may take along")
    commands.add_parser("enrol", help="the device's own key, printed once: keep it in CAMP_DEVICE_KEY")
    ended = commands.add_parser("revoke", help="lost or worn out: it gets and brings nothing any more")
    ended.add_argument("--reason", required=True, choices=("lost", "stolen", "broken", "retired", "misused"))
    commands.add_parser("block", help="card numbers to take along").add_argument("--size", type=int, default=100)
    sent = commands.add_parser("upload", help="a CSV or JSON Lines file")
    sent.add_argument("file", type=Path)
    along = commands.add_parser("people", help="a district's people to take along, as JSON Lines")
    along.add_argument("file", type=Path)
    along.add_argument("--district", type=int, required=True)
    along.add_argument("--on", metavar="DATE", help="the day of the camp, like 2026-07-10: who is there in that month")
    asked = parser.parse_args(argv)
    line = Line(asked.url, os.environ.get("CAMP_TOKEN", ""), os.environ.get("CAMP_DEVICE_KEY", ""))
    try:
        if asked.command in _ASKED_ONCE:
            _ask_once(line, asked)
            return 0
        if asked.command == "people":
            people(line, asked.device, asked.district, asked.file, asked.on)
            return 0
        state = upload(line, asked.file, asked.device, CHUNK_BYTES)
        if state["status"] == "refused":
            raise Trouble(f"the file: {state['reason']}")
        for answer in refusals(line, f"/camp-uploads/{state['id']}"):
            print(json.dumps(answer, ensure_ascii=False))
        print(f"{state['accepted']} accepted, {state['refused']} refused", file=sys.stderr)
        return 1 if state["refused"] else 0
    except (Trouble, OSError) as trouble:
        print(f"\n{trouble}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
