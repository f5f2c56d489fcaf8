"""Attachments: what the bytes say, and requests to an S3-compatible store, against AWS's own worked examples."""

from __future__ import annotations

import datetime as dt

import httpx
import pytest

from libs.common.refusal import Refused
from services.grievance.attachments import InS3, StoreRefused, signature_v4
from services.grievance.domain.content import KINDS, LARGEST, check, kind_of

SAMPLES = {
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "image/png": b"\x89PNG\r\n\x1a\n\x00",
    "image/webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    "application/pdf": b"%PDF-1.7\n",
    "audio/ogg": b"OggS\x00\x02",
    "audio/mpeg": b"ID3\x04\x00",
    "audio/amr": b"#!AMR\n",
}
DAY = dt.datetime(2013, 5, 24, tzinfo=dt.UTC)
EXAMPLE = {"region": "us-east-1", "key": "AKIAIOSFODNN7EXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}


def test_each_kind_is_told_by_its_bytes() -> None:
    assert {kind: kind_of(content) for kind, content in SAMPLES.items()} == {kind: kind for kind in KINDS}


@pytest.mark.parametrize("content", [b"MZ\x90", b"<svg onload=x>", b"PK\x03\x04", b"#!/bin/sh", b"\x7fELF", b"GIF89a"])
def test_what_is_none_of_these_is_refused_whatever_it_is_called(content: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        check(content, "image/png")
    assert refusal.value.field == "content"


def test_a_claim_must_agree_and_size_has_a_limit() -> None:
    assert check(SAMPLES["image/png"], "image/png; q=1") == "image/png"
    assert check(SAMPLES["image/png"], "") == "image/png"
    assert check(SAMPLES["image/jpeg"], "image/jpg") == "image/jpeg"
    with pytest.raises(Refused) as refusal:
        check(SAMPLES["image/png"], "image/jpeg")
    assert refusal.value.field == "Content-Type"
    with pytest.raises(Refused):
        check(SAMPLES["image/png"] + bytes(LARGEST), "image/png")


def test_a_get_is_signed_as_aws_signs_its_example() -> None:
    """Amazon S3 API reference, Signature calculations, "Example: GET Object"."""
    url = "https://examplebucket.s3.amazonaws.com/test.txt"
    headers = signature_v4("GET", url, {"Range": "bytes=0-9"}, b"", at=DAY, **EXAMPLE)
    assert headers["authorization"].endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_a_put_is_signed_as_aws_signs_its_example() -> None:
    """The same, "Example: PUT Object"."""
    url = "https://examplebucket.s3.amazonaws.com/test%24file.text"
    told = {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    headers = signature_v4("PUT", url, told, b"Welcome to Amazon S3.", at=DAY, **EXAMPLE)
    assert headers["authorization"].endswith(
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    )


async def test_bytes_go_to_an_s3_store_and_come_back() -> None:
    there: dict[str, bytes] = {}

    async def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")
        if request.method == "PUT":
            there[request.url.path] = await request.aread()
            return httpx.Response(200)
        found = there.get(request.url.path)
        return httpx.Response(200, content=found) if found is not None else httpx.Response(404)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        kept = InS3(client, "https://s3.example/", "papers", "ap-south-1", "key", "secret")
        await kept.put("a-1", b"bytes", "image/png")
        assert list(there) == ["/papers/a-1"]
        assert (await kept.get("a-1"), await kept.get("a-2")) == (b"bytes", None)


async def test_a_store_that_refuses_is_not_taken_for_one_that_kept_it() -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(403))) as client:
        kept = InS3(client, "https://s3.example", "papers", "ap-south-1", "key", "secret")
        with pytest.raises(StoreRefused):
            await kept.put("a-1", b"bytes", "image/png")
        with pytest.raises(StoreRefused):
            await kept.get("a-1")
