"""A room's name says what is in it, every service has the same rooms, and no file grows too long to be read."""

from __future__ import annotations

import ast
import re

import pytest

from tests.guards.tree import OWN_CODE, ROOT, SERVICES, files, modules, name, text

SAYS_NOTHING = {"util", "utils", "helper", "helpers", "manager", "managers", "impl", "misc", "stuff"}
ROOMS = (
    "README.md",
    "main.py",
    "__main__.py",
    "settings.py",
    "domain/__init__.py",
    "usecases.py",
    "api.py",
    "stream.py",
    "store.py",
    "access.py",
)
SOURCE = {".py", ".sh", ".js", ".html", ".css", ".toml"}
LONGEST = 500


def says_nothing(path: str) -> bool:
    parts = re.split(r"[/_.\-]", path.lower())
    return bool(SAYS_NOTHING & set(parts))


def test_no_name_says_nothing() -> None:
    assert [name(path) for path in files() if says_nothing(name(path))] == []


def test_the_rule_for_names_sees_the_usual_ones() -> None:
    assert says_nothing("libs/common/utils.py")
    assert says_nothing("services/referral/referral_manager.py")
    assert says_nothing("tests/helpers/x.py")
    assert not says_nothing("services/referral/utility_rooms.py")


def test_no_class_is_named_manager_or_impl() -> None:
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in modules(*OWN_CODE)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Manager", "Impl", "Helper", "Utils"))
    ]
    assert found == []


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("room", ROOMS)
def test_every_service_has_the_same_rooms(service: str, room: str) -> None:
    assert (ROOT / "services" / service / room).is_file()


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_readme_says_what_it_owns(service: str) -> None:
    readme = text(ROOT / "services" / service / "README.md").lower()
    for said in ("owns", "listens", "publishes", "not its job"):
        assert said in readme, said


def test_every_module_says_what_it_is() -> None:
    found = [path for path, tree in modules(*OWN_CODE, "tests") if tree.body and ast.get_docstring(tree) is None]
    assert found == []


def test_every_module_defers_its_annotations() -> None:
    found = [
        path
        for path, tree in modules("libs", "services", "deploy", "tests")
        if any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.AnnAssign) for node in ast.walk(tree))
        and not any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    ]
    assert found == []


def test_no_source_file_is_too_long_to_be_read() -> None:
    lengths = {name(path): text(path).count("\n") for path in files() if path.suffix in SOURCE}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_test_files_have_names_of_their_own() -> None:
    """Test folders are no packages, so two files of one name would shadow each other."""
    stems = [path.name for path in files() if name(path).startswith("tests/") and path.name.startswith("test_")]
    assert sorted({stem for stem in stems if stems.count(stem) > 1}) == []
