"""`make mutants`: switch each known bug on in turn and run the unmodified suite, up to its first failure.

    python -m tests.mutants [--only NAME ...] [--minutes 38]

Works on a copy of the tracked files. The likely tests run first; if they do not fail, the whole suite does. Exits 0
only if every bug made the suite fail. The last line is JSON: how many `mutants` were tried, how many were `killed`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.mutants.bank import REPOSITORY, Mutant, read_bank

FAILED = 1
"""pytest's exit code for tests that ran and failed; any other is no verdict."""

WHOLE_SUITE = ("tests/unit", "tests/contract", "tests/integration", "tests/e2e")
"""Without the guard of the bank itself, which sees that a passage is missing."""


def copy_of_the_tree(folder: Path) -> Path:
    """The tracked files as they stand in the working tree."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True).stdout
    tree = folder / "tree"
    for name in filter(None, names.decode().split("\0")):
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / name).exists():
            shutil.copy2(REPOSITORY / name, target)
    jars = REPOSITORY / ".local" / "kafka"
    if jars.exists():
        (tree / ".local").mkdir(exist_ok=True)
        (tree / ".local" / "kafka").symlink_to(jars)
    return tree


def run_tests(tree: Path, tests: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """pytest's exit code and last words; None if the time ran out."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    process = subprocess.Popen(
        command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.communicate(timeout=60)
        return None, "no time left"
    return process.returncode, said.strip().splitlines()[-1] if said.strip() else ""


def try_one(mutant: Mutant, tree: Path, seconds: float) -> tuple[bool, str]:
    """Whether the suite noticed, and by what."""
    path = tree / mutant.file
    original = path.read_text(encoding="utf-8")
    deadline = time.monotonic() + seconds
    mutant.switch_on(tree)
    try:
        said = ""
        for tests in (mutant.tests, WHOLE_SUITE):
            code, said = run_tests(tree, tests, max(1.0, deadline - time.monotonic()))
            if code == FAILED:
                return True, said
            if code is None:
                break
        return False, said
    finally:
        path.write_text(original, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=None, help="names of mutants")
    parser.add_argument("--minutes", type=float, default=38, help="for all together")
    given = parser.parse_args()
    mutants = [mutant for mutant in read_bank() if given.only is None or mutant.name in given.only]
    console = Console(stderr=True)
    deadline = time.monotonic() + given.minutes * 60
    folder = Path(tempfile.mkdtemp(prefix="hillhealth-mutants-"))
    tried = killed = 0
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    try:
        tree = copy_of_the_tree(folder)
        with bar:
            task = bar.add_task("", total=len(mutants))
            for mutant in mutants:
                bar.update(task, description=mutant.name)
                left = deadline - time.monotonic()
                noticed, said = try_one(mutant, tree, left) if left > 1 else (False, "no time left")
                tried += 1
                killed += noticed
                colour, word = ("green", "killed") if noticed else ("red", "SURVIVED")
                console.print(f"[{colour}]{word}[/{colour}] {mutant.name}: {mutant.pitfall} ({said})", highlight=False)
                bar.advance(task)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"mutants": tried, "killed": killed}))
    return 0 if killed == tried else 1


if __name__ == "__main__":
    sys.exit(main())
