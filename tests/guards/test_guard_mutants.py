"""The bank of known bugs fits the code: a passage that moved must move in the bank too."""

from __future__ import annotations

import pytest

from tests.mutants.bank import REPOSITORY, Mutant, read_bank

BANK = read_bank()
FEWEST = 12


def test_there_are_enough_of_them_and_no_two_alike() -> None:
    assert len({mutant.name for mutant in BANK}) == len(BANK) >= FEWEST


@pytest.mark.parametrize("mutant", BANK, ids=lambda mutant: mutant.name)
def test_each_stands_once_in_its_file_and_changes_it(mutant: Mutant) -> None:
    assert mutant.occurrences() == 1
    assert mutant.find != mutant.replace
    assert mutant.tests
    for test in mutant.tests:
        assert (REPOSITORY / test).exists(), test
