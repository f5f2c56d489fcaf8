"""What the guards walk over: the files of the project, as git sees them, and the syntax trees of its own code."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN_CODE = ("libs", "services", "tools", "deploy")
SERVICES = ("registration", "referral", "grievance", "notifications")


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that is tracked, or would be if everything were added; without git, everything in the tree."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, check=True, text=True,
        ).stdout.split("\0")  # fmt: skip
        found = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        found = [
            path for path in ROOT.rglob("*") if not set(path.relative_to(ROOT).parts) & {".git", ".venv", ".local"}
        ]
    return tuple(sorted(path for path in found if path.is_file() and not path.is_symlink()))


@functools.cache
def text(path: Path) -> str:
    """The content; empty for what is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """(path, syntax tree) of every Python file below the folders."""
    for path in files():
        relative = name(path)
        if path.suffix == ".py" and relative.startswith(tuple(f"{folder}/" for folder in folders)):
            yield relative, ast.parse(text(path), relative)
