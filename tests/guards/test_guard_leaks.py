"""Nothing of a real person and nothing of anybody's machine stands in the project's files."""

from __future__ import annotations

import re

import pytest

from libs.common.aadhaar import passes_verhoeff
from tests.guards.tree import files, name, text

INDEXES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("proxy", "golang", "org"),
        ("npmjs", "org"),
        ("index", "crates", "io"),
        ("static", "crates", "io"),
    )
)
"""Where packages come from is the installer's own business: locks carry hashes, never addresses."""

INDEX_OPTION = re.compile(r"--(?:extra-)?index-url\s+\S*://|--trusted-host\s+\S")
MACHINE_PATH = re.compile(r"(?<![\w.\-$}/])/(?:work|root|Users|home/(?!\$)[\w.\-]+)/[\w.\-]|[A-Z]:\\Users\\")
E164 = re.compile(r"\+91[ \-]?((?:\d[ \-]?){9}\d)(?!\d)")
MOBILE = re.compile(r"(?<![\w.+\-:#/])([6-9]\d{9})(?![\w.\-])")
TWELVE = re.compile(r"(?<![\w.\-+])([2-9]\d{3}[ \-]?\d{4}[ \-]?\d{4})(?![\w\-])")
UIDAI_TEST_NUMBERS = frozenset(f"9999{rest}" for rest in ("41057058", "71658847", "33119405", "55183433", "90501894"))
"""Published by UIDAI for its authentication sandbox: nobody's."""

PRIVATE_KEY = re.compile("-----BEGIN" + r" [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{60,}")


def leaks(content: str) -> list[str]:
    """What must not stand in a file, by kind and place."""
    found = [f"address of a package index: {host}" for host in INDEXES if host in content]
    found += [f"index option: {match.group()}" for match in INDEX_OPTION.finditer(content)]
    found += [f"path of a machine: {match.group()}" for match in MACHINE_PATH.finditer(content)]
    for match in E164.finditer(content):
        if not re.sub(r"\D", "", match.group(1)).startswith("5550"):
            found.append(f"phone number at {match.start()}")
    found += [f"mobile number at {match.start()}" for match in MOBILE.finditer(content)]
    for match in TWELVE.finditer(content):
        digits = re.sub(r"\D", "", match.group(1))
        if passes_verhoeff(digits) and digits not in UIDAI_TEST_NUMBERS:
            found.append(f"number that could be an Aadhaar at {match.start()}")
    found += [f"private key at {match.start()}" for match in PRIVATE_KEY.finditer(content)]
    return found


def test_no_file_leaks() -> None:
    found = {name(path): leaks(text(path)) for path in files()}
    assert {path: what for path, what in found.items() if what} == {}


def with_check_digit(eleven: str) -> str:
    return next(eleven + digit for digit in "0123456789" if passes_verhoeff(eleven + digit))


@pytest.mark.parametrize(
    "content",
    [
        "--index-url " + "https://mirror.example/simple",
        "see " + "https://" + "pypi" + ".org/project/x",
        "open('/" + "work/main/x')",
        "path=/" + "home/somebody/x",
        "call +91" + " 98765 43210",
        "phone: " + "98765" + "43210",
        "uid " + with_check_digit("23412341234"),
        "uid " + re.sub(r"(....)(....)(....)", r"\1 \2 \3", with_check_digit("49991234567")),
    ],
)
def test_the_rule_sees_a_leak(content: str) -> None:
    assert leaks(content)


@pytest.mark.parametrize(
    "content",
    [
        "+915550123456 5550123456",
        "IN9900000001",
        "34.152588, 77.577049, 2026-11-20T08:40:11+05:30",
        "00-1234-5678-9017 00123456789017",
        "f3f6344f-01cf-4b10-a311-234123412346",
        "sha256:9876543210abcdef",
        "http://127.0.0.1:8101/run/secrets /usr/bin/env",
        with_check_digit("01234123412"),
    ],
)
def test_the_rule_lets_reserved_values_be(content: str) -> None:
    assert leaks(content) == []


def test_the_directory_names_reserved_mailboxes_only() -> None:
    """RFC 2606: nobody receives mail at .example."""
    addresses = [
        address
        for path in files()
        if name(path).startswith(("data/", "libs/contracts/examples/"))
        for address in re.findall(r"[\w.+\-]+@[\w\-]+\.[\w.\-]+", text(path))
    ]
    assert addresses
    assert [address for address in addresses if not address.endswith(".example")] == []
