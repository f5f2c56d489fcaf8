"""Made-up people of the three territories, in families, and how a desk notes them a second time.

The noise knows nothing of the matcher's rules: letters are changed as ears change them, at random.
"""

# ruff: noqa: E501

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

LADAKH, KASHMIR, HIMACHAL = 37, 1, 2
DISTRICTS = {
    LADAKH: (6, 9),
    KASHMIR: (1, 2, 3, 4, 7, 8, 10, 12, 13, 14, 621, 623),
    HIMACHAL: (16, 18, 19, 20, 21, 22, 23),
}
WEIGHTS = {LADAKH: 2, KASHMIR: 10, HIMACHAL: 8}

_WOMEN = {
    LADAKH: "Tsering Stanzin Padma Kunzes Rigzin Disket Sonam Yangchen Spalzes Norzin Dechen Chamba Skarma Lobzang Thinles "
    "Konchok Rinchen Zainab Fatima Hamida Sakina Zahra Nasreen Kulsum",
    KASHMIR: "Shabnum Rubina Haleema Parveena Suriya Fatima Zainab Zahida Shameema Mehbooba Rafiqa Hajra Saleema Nusrat Asmat "
    "Ruqaya Shazia Nighat Afroza Jameela Shaheena Tasleema Dilshada Mymoona Gulshan Neelam Santosh Sushma",
    HIMACHAL: "Sunita Sumita Kamla Meena Anjana Neelam Savita Anita Kavita Reena Pushpa Vimla Nirmala Bimla Sheela Champa "
    "Asha Usha Lata Krishna Sarla Veena Kanta Promila Chhering Dolma Tenzin Rajni Satya Manju",
}
_MEN = {
    LADAKH: "Tsering Stanzin Rigzin Tashi Sonam Jigmet Padma Skarma Lobzang Tundup Nawang Thinles Urgyan Konchok Rinchen "
    "Dorjay Phunchok Ghulam Mohd Hussain Ali Hassan Jaffar Sadiq",
    KASHMIR: "Mohd Ghulam Ab Bashir Nazir Fayaz Shabir Riyaz Zahoor Tariq Farooq Manzoor Javid Imtiyaz Showkat Gulzar Altaf "
    "Mushtaq Hilal Parvaiz Reyaz Sajad Ishfaq Aijaz Kuldeep Rakesh Ashok",
    HIMACHAL: "Ramesh Suresh Prem Sher Hari Kuldeep Rakesh Vijay Mohan Dinesh Rajesh Sanjay Naresh Bhag Chaman Dharam Gian "
    "Jagdish Karam Lekh Mast Nand Om Tenzin Norbu Chhering Amar",
}
_SECOND = {
    LADAKH: "Dolma Angmo Namgyal Phuntsog Wangchuk Yangdol Lhamo Chosphel Dorje Norbu Wangmo Palmo Gyatso Chuskit Dawa Spaldon "
    "Tundup Namgail Angchuk Deldan Hussain Ali Bano Khan Mehdi",
    KASHMIR: "Lone Dar Bhat Wani Khan Mir Malik Sheikh Ganai Rather Magray Shah Parray Tantray Lolabi Naik Teli Najar Hajam "
    "Kumar Wagay Bhatti Chowdhary Khanday Sofi Reshi Mantoo Pandit Shalla Dhobi",
    HIMACHAL: "Negi Thakur Sharma Verma Chauhan Rana Katoch Guleria Bodh Chandel Pathania Jaswal Dogra Bhardwaj Kapoor Sood "
    "Rathore Mehta Shandil Kaushal",
}  # fmt: skip
_MIDDLE = (
    "Ashraf Yousuf Nabi Rashid Hassan Rafiq Maqbool Sultan Iqbal Qadir Hamid Majid Abbas Rasool Amin Shafi Ahmad Akbar"
)
_OTHER_SCRIPT = {
    "Sunita": "सुनीता", "Ramesh": "रमेश", "Negi": "नेगी", "Thakur": "ठाकुर", "Meena": "मीना", "Kamla": "कमला",
    "Prem": "प्रेम", "Hari": "हरि", "Anita": "अनीता", "Sharma": "शर्मा", "Rajesh": "राजेश", "Verma": "वर्मा",
    "Kavita": "कविता", "Devi": "देवी", "Kumari": "कुमारी", "Singh": "सिंह", "Mohd": "محمد", "Ashraf": "اشرف",
    "Bhat": "بٹ", "Dar": "ڈار", "Lone": "لون", "Bashir": "بشیر", "Ahmad": "احمد", "Wani": "وانی", "Yousuf": "یوسف",
    "Fatima": "فاطمہ", "Zainab": "زینب", "Ghulam": "غلام", "Nabi": "نبی", "Rashid": "رشید", "Khan": "خان",
    "Tsering": "ཚེ་རིང", "Dolma": "སྒྲོལ་མ", "Tashi": "བཀྲ་ཤིས", "Norbu": "ནོར་བུ", "Dorje": "རྡོ་རྗེ", "Padma": "པད་མ",
}  # fmt: skip
_BY_EAR = (
    ("ee", "i"), ("i", "ee"), ("oo", "u"), ("u", "oo"), ("a", "aa"), ("sh", "s"), ("z", "j"), ("w", "v"), ("ph", "f"),
    ("th", "t"), ("ng", "n"), ("ai", "e"), ("k", "q"), ("o", "u"), ("ts", "tsh"), ("ts", "chh"), ("dh", "d"), ("e", "i"),
    ("mm", "m"), ("ll", "l"), ("y", "i"), ("rj", "rdj"), ("d", "dh"), ("b", "bh"),
)  # fmt: skip
_ONSETS = (
    "b",
    "bh",
    "ch",
    "d",
    "dr",
    "g",
    "gy",
    "h",
    "j",
    "k",
    "kh",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "sh",
    "t",
    "ts",
    "y",
)
_RHYMES = ("a", "ang", "ar", "e", "en", "i", "il", "in", "o", "ol", "or", "u", "um", "un", "ak", "ot")
TODAY = 2026


@dataclass(frozen=True)
class One:
    """A person as they are, and as a card holds them."""

    number: int
    household: int
    name: str
    male: bool
    born: tuple[int, int, int]
    phone: str
    guardian: str
    village: str
    district: int
    state: int


class Country:
    """Villages of the districts; names as common as names are."""

    def __init__(self, seed: str) -> None:
        chance = random.Random(f"country-{seed}")
        self.villages = {
            district: [self._village(chance) for _ in range(150)] for group in DISTRICTS.values() for district in group
        }

    @staticmethod
    def _village(chance: random.Random) -> str:
        return "".join(chance.choice(_ONSETS) + chance.choice(_RHYMES) for _ in range(chance.choice((2, 2, 3)))).title()

    def people(self, seed: str, count: int) -> list[One]:
        chance = random.Random(f"people-{seed}")
        found: list[One] = []
        household = 0
        while len(found) < count:
            household += 1
            found += self._household(chance, household, len(found))
        return found[:count]

    def _household(self, chance: random.Random, household: int, first: int) -> list[One]:
        state = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        district = chance.choice(DISTRICTS[state])
        village = chance.choice(self.villages[district])
        phone = _phone(chance)
        family = common(chance, _SECOND[state])
        father_born = chance.randint(1940, 1990)
        father = _named(chance, state, True, family)
        elder = _named(chance, state, True, family)
        one = One(first, household, father, True, _day(chance, father_born), phone, elder, village, district, state)
        home = [one]
        married = replace(one, number=first + 1, name=_named(chance, state, False, family), male=False, guardian=father)
        home.append(replace(married, born=_day(chance, father_born + chance.randint(0, 8))))
        born = father_born + chance.randint(20, 28)
        for _ in range(chance.choice((0, 1, 2, 2, 3, 4))):
            born += chance.randint(1, 4)
            if born > TODAY - 1:
                break
            male = chance.random() < 0.5
            twin = chance.random() < 0.012
            day = _day(chance, born)
            for _ in range(2 if twin else 1):
                own = phone if chance.random() < 0.85 else _phone(chance)
                taken = {person.name.split()[0] for person in home}
                name = _named(chance, state, male, family)
                while name.split()[0] in taken and name.split()[0] not in ("Mohd", "Ghulam", "Ab"):
                    name = _named(chance, state, male, family)
                child = replace(
                    one, number=first + len(home), name=name, male=male, born=day, phone=own, guardian=father
                )
                home.append(child)
        return home


def common(chance: random.Random, names: str) -> str:
    """The first of a list are the most common, as names are."""
    listed = names.split()
    return chance.choices(listed, [1 / (place + 4) for place in range(len(listed))])[0]


def _named(chance: random.Random, state: int, male: bool, family: str) -> str:
    given = common(chance, (_MEN if male else _WOMEN)[state])
    if state == LADAKH:
        return given if chance.random() < 0.12 else f"{given} {common(chance, _SECOND[LADAKH])}"
    if state == KASHMIR:
        if given in ("Mohd", "Ghulam", "Ab"):
            given = f"{given} {common(chance, _MIDDLE)}"
        elif male and chance.random() < 0.5:
            given = f"{given} Ahmad"
        return (
            f"{given} {family if male or chance.random() < 0.4 else chance.choice(['Akhter', 'Bano', 'Begum', 'Jan'])}"
        )
    if male:
        return f"{given} {chance.choice(['Kumar', 'Singh', 'Chand', 'Lal', family, family])}"
    return f"{given} {chance.choice(['Devi', 'Kumari', family])}"


def _day(chance: random.Random, year: int) -> tuple[int, int, int]:
    return year, chance.randint(1, 12), chance.randint(1, 28)


def _phone(chance: random.Random) -> str:
    """Ten digits from 5550: ten million of them, so that at a million people families share and strangers rarely."""
    return f"555{chance.randrange(10**7):07d}"


def card(one: One, chance: random.Random) -> dict[str, object]:
    """As the first desk wrote it: rightly, and not everything."""
    year, month, day = one.born
    dated = chance.random() < 0.6
    return {
        "name": one.name,
        "sex": "male" if one.male else "female",
        "birth_date": f"{year:04d}-{month:02d}-{day:02d}" if dated else None,
        "birth_year": year if dated else year + chance.choice((-1, 0, 0, 0, 1)),
        "phone": f"+91{one.phone}" if chance.random() < 0.88 else None,
        "guardian": one.guardian if chance.random() < 0.75 else None,
        "village": one.village if chance.random() < 0.95 else None,
        "district_lgd": one.district,
        "state_lgd": one.state,
    }


def noted_again(one: One, chance: random.Random, villages: Sequence[str]) -> dict[str, object]:
    """As another desk writes the same person down."""
    said = card(one, chance)
    said["name"] = _heard(one.name, chance)
    if said["guardian"]:
        said["guardian"] = _heard(one.guardian, chance)
    year, month, day = one.born
    luck = chance.random()
    if said["birth_date"] and luck < 0.05 and day <= 12:
        said["birth_date"] = f"{year:04d}-{day:02d}-{month:02d}"
    elif said["birth_date"] and luck < 0.08:
        said["birth_date"] = f"{year:04d}-{month:02d}-{chance.randint(1, 28):02d}"
    elif not said["birth_date"]:
        said["birth_year"] = year + chance.choice((-2, -1, 0, 0, 0, 1, 2))
    if said["phone"] and chance.random() < 0.12:
        said["phone"] = f"+91{_phone(chance)}"
    if said["village"]:
        if chance.random() < 0.05:
            said["village"] = chance.choice(villages)
        else:
            said["village"] = _misheard(str(said["village"]), chance, 0.15)
    if chance.random() < 0.01:
        said["sex"] = "female" if one.male else "male"
    return said


def _heard(name: str, chance: random.Random) -> str:
    words = name.split()
    if chance.random() < 0.08 and all(word in _OTHER_SCRIPT for word in words):
        return " ".join(_OTHER_SCRIPT[word] for word in words)
    short = {"Mohd": ("Mohammad", "Md", "Mohd."), "Ghulam": ("Gh", "Gh."), "Ab": ("Abdul", "Ab.")}
    heard = [
        chance.choice(short[word]) if word in short and chance.random() < 0.5 else _misheard(word, chance, 0.22)
        for word in words
    ]
    if len(heard) > 1 and chance.random() < 0.03:
        heard.reverse()
    if len(heard) > 2 and chance.random() < 0.05:
        heard.pop(1)
    if chance.random() < 0.06:
        heard.insert(0, chance.choice(("Smt.", "Shri", "Mr.", "Haji")))
    return " ".join(heard)


def _misheard(word: str, chance: random.Random, share: float) -> str:
    if chance.random() >= share or len(word) < 4:
        return word
    plain = word.lower()
    changes = [(old, new) for old, new in _BY_EAR if old in plain]
    if changes and chance.random() < 0.85:
        old, new = chance.choice(changes)
        return plain.replace(old, new, 1).title()
    place = chance.randrange(1, len(plain))
    return (plain[:place] + plain[place + 1 :]).title()
