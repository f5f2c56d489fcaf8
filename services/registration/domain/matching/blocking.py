"""Which pairs are worth comparing: those that share a key. A key is an exact text, so an index can find it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from services.registration.domain.matching.names import Word, is_ending
from services.registration.domain.matching.person import Person
from services.registration.domain.matching.sounds import bones, skeleton


def name_words(words: Sequence[Word]) -> list[str]:
    """The words that tell people apart; endings and initials only where there is nothing else."""
    return [word.text for word in words if len(word.text) > 1 and not is_ending(word)] or [w.text for w in words]


def name_keys(words: Sequence[Word]) -> list[str]:
    """Consonants of each word."""
    return list(dict.fromkeys(skeleton(word) for word in name_words(words)))


def blocking_keys(person: Person) -> Iterator[str]:
    """Many overlapping ways to be found, so that no one mistake hides a person."""
    for kind, value in person.identifiers.items():
        yield f"i{kind}:{value}"
    for phone in person.phones:
        yield f"p:{phone}"
    words = name_keys(person.name.words)
    spoken = sorted({bones(word.text) for word in person.name.words if not is_ending(word)})
    if len(spoken) > 1:
        yield f"n:{' '.join(spoken)}"
    elif words:
        yield f"o:{words[0]}"
    yield from _by_birth(person, words)
    yield from _by_place(person, words)
    guardian = name_keys(person.guardian)
    for word in words[:1]:
        for elder in guardian[:1]:
            yield f"g:{word}:{elder}"
    if person.phones and words:
        # One digit of the phone is wrong: its halves are not both.
        for phone in person.phones:
            yield f"q:{phone[:5]}:{words[0]}"
            yield f"r:{phone[5:]}:{words[0]}"


def _by_birth(person: Person, words: list[str]) -> Iterator[str]:
    birth = person.birth
    if birth is None:
        return
    if birth.whole:
        first, second = sorted((birth.month, birth.day))
        yield f"d:{birth.year}:{first}:{second}"
        for word in words:
            yield f"m:{birth.month}:{birth.day}:{word[:2]}"
            yield f"k:{birth.year}:{birth.month}:{word[:1]}"
    if not birth.year:
        return
    years = (birth.year,) if not birth.estimated else (birth.year - 1, birth.year, birth.year + 1)
    for word in words:
        for year in years:
            yield f"y:{year}:{word}"


def _by_place(person: Person, words: list[str]) -> Iterator[str]:
    village = skeleton(person.village.replace(" ", "")) if person.village else ""
    for word in words:
        if village:
            yield f"v:{village}:{word}"
        if person.postcode:
            yield f"c:{person.postcode}:{word}"
        if person.street:
            yield f"t:{skeleton(person.street.replace(' ', ''))}:{word[:2]}"
        if person.district and not village and not person.postcode:
            yield f"e:{person.district}:{word}"
    if person.postcode and person.name.words:
        initials = "".join(sorted(word.text[0] for word in person.name.words))
        yield f"z:{person.postcode}:{initials}"
    if person.street and person.house:
        yield f"h:{skeleton(person.street.replace(' ', ''))}:{person.house}"


Pair = tuple[int, int]


def pairs(lefts: Sequence[Person], rights: Sequence[Person] | None, most: int) -> list[Pair]:
    """The pairs that share a key, the most selective keys first, at most `most`. `rights` None: within lefts."""
    ours = _blocks(lefts)
    theirs = _blocks(rights) if rights is not None else None
    sized: list[tuple[int, str]] = []
    for key, members in ours.items():
        size = len(members) * len(theirs.get(key, ())) if theirs is not None else len(members) * (len(members) - 1) // 2
        if size:
            sized.append((size, key))
    sized.sort()
    found: set[Pair] = set()
    for size, key in sized:
        if len(found) + size > most and size > 1:
            break
        if theirs is not None:
            found.update((left, right) for left in ours[key] for right in theirs[key])
        else:
            members = ours[key]
            found.update((members[i], members[j]) for i in range(len(members)) for j in range(i + 1, len(members)))
    return sorted(found)


def _blocks(people: Sequence[Person]) -> dict[str, list[int]]:
    blocks: dict[str, list[int]] = defaultdict(list)
    for place, person in enumerate(people):
        for key in dict.fromkeys(blocking_keys(person)):
            blocks[key].append(place)
    return blocks
