"""Where the bytes of attachments stand: in GridFS beside the cases, or in an S3-compatible store, by configuration."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

from libs.common.clock import machine_now
from libs.common.mongo import Database, DuplicateKey, GridFSBucket

if TYPE_CHECKING:
    import httpx

    from services.grievance.settings import Settings

BUCKET = "attachments"


class AttachmentStore(Protocol):
    async def put(self, id: str, content: bytes, content_type: str) -> None:
        """Durable once it returns; the same id again is the same bytes again."""
        ...

    async def get(self, id: str) -> bytes | None: ...


class InGridFS:
    def __init__(self, database: Database) -> None:
        self._database = database

    def _bucket(self) -> GridFSBucket:
        return GridFSBucket(self._database, bucket_name=BUCKET)

    async def put(self, id: str, content: bytes, content_type: str) -> None:
        if await self.get(id) is not None:
            return
        try:
            await self._bucket().upload_from_stream_with_id(id, id, content, metadata={"content_type": content_type})
        except DuplicateKey:
            return

    async def get(self, id: str) -> bytes | None:
        if await self._database[f"{BUCKET}.files"].find_one({"_id": id}, {"_id": 1}) is None:
            return None
        stream = await self._bucket().open_download_stream(id)
        return bytes(await stream.read())


class StoreRefused(Exception):
    """The S3-compatible store answered with this status."""


class InS3:
    """Path-style objects `<endpoint>/<bucket>/<id>`, signed with AWS Signature Version 4."""

    def __init__(
        self, client: httpx.AsyncClient, endpoint: str, bucket: str, region: str, key: str, secret: str
    ) -> None:
        self._client = client
        self._endpoint = endpoint.rstrip("/")
        self._bucket = bucket
        self._region = region
        self._key = key
        self._secret = secret

    async def put(self, id: str, content: bytes, content_type: str) -> None:
        """Raises StoreRefused, and httpx.HTTPError where nobody answers."""
        answer = await self._send("PUT", id, content, {"content-type": content_type})
        if answer.status_code not in (200, 201, 204):
            raise StoreRefused(answer.status_code)

    async def get(self, id: str) -> bytes | None:
        """Raises StoreRefused, and httpx.HTTPError."""
        answer = await self._send("GET", id, b"", {})
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise StoreRefused(answer.status_code)
        return answer.content

    async def _send(self, method: str, id: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
        url = f"{self._endpoint}/{quote(self._bucket)}/{quote(id)}"
        signed = signature_v4(
            method, url, headers, content, region=self._region, key=self._key, secret=self._secret, at=machine_now()
        )
        return await self._client.request(method, url, content=content, headers=signed)


def signature_v4(
    method: str,
    url: str,
    headers: dict[str, str],
    content: bytes,
    *,
    region: str,
    key: str,
    secret: str,
    at: dt.datetime,
) -> dict[str, str]:
    """The headers with those that sign them (AWS Signature Version 4, service s3). `at` is in UTC."""
    parts = urlsplit(url)
    stamp, day = f"{at:%Y%m%dT%H%M%SZ}", f"{at:%Y%m%d}"
    digest = hashlib.sha256(content).hexdigest()
    given = {name.lower(): value for name, value in headers.items()}
    every = given | {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(sorted(every))
    lines = [f"{name}:{every[name].strip()}" for name in sorted(every)]
    request = "\n".join([method, parts.path or "/", parts.query, *lines, "", names, digest])
    scope = f"{day}/{region}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    signing = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(signing, to_sign.encode(), hashlib.sha256).hexdigest()
    every["authorization"] = f"AWS4-HMAC-SHA256 Credential={key}/{scope},SignedHeaders={names},Signature={signature}"
    return every


def attachment_store(settings: Settings, database: Database, client: httpx.AsyncClient | None) -> AttachmentStore:
    """GridFS unless an endpoint is told. Raises FileNotFoundError where its secret is missing."""
    if client is None or not settings.s3_endpoint:
        return InGridFS(database)
    return InS3(
        client,
        settings.s3_endpoint,
        settings.s3_bucket,
        settings.s3_region,
        settings.s3_key,
        settings.secret("s3_secret").decode(),
    )
