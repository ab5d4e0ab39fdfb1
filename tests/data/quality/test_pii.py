"""Personal data are found where they stand and only there; every number here is a published test number."""

import random
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from fintune.data.quality.pii import KINDS, Hit, find, redact
from fintune.data.readers.read import read
from fintune.errors import BrokenEnvironment, ConfigError
from fintune.runtime.install import with_extra

pytest.importorskip("stdnum")
pytest.importorskip("phonenumbers")

HITS = {
    "email": [
        "ann@example.com",
        "ann.o'brien+news_1@mail.example.co.uk",
        "müller@süd.example.de",
        "1@d.co",
        "x" * 80 + "@example.org",
    ],
    "phone": [
        "+44 20 7946 0958",
        "+442079460958",
        "+44 (0)20 7946 0958",
        "(+44) 20 7946 0958",
        "+44.20.7946.0958",
        "+44 20 7946 0958 ext. 12",
        "+44 20 7946 0958x12",
        "+1 202-555-0123",
        "+1.2025550123",
        "+358 9 1234 5678",
        "+86 10 6552 9988",
        "+420 601 123 456",
    ],
    "iban": [
        "DE89 3704 0044 0532 0130 00",
        "DE89370400440532013000",
        "de89 3704 0044 0532 0130 00",
        "DE89-3704-0044-0532-0130-00",
        "GB82 WEST 1234 5698 7654 32",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NO93 8601 1117 947",
        "MT84MALT011000012345MTLCAST001S",
    ],
    "card": [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111111111111111",
        "4222222222222",
        "5555 5555 5555 4444",
        "2223003122003222",
        "3782 822463 10005",
        "371449635398431",
        "6011111111111117",
        "3530111333300000",
        "6250 9410 0652 8599",
        "6212 3456 7890 1232",
        "6212345678900000003",
    ],
    "national-id": [
        "536-90-4399",
        "11010519491231002X",
        "360426199101010071",
        "54362315-K",
        "54362315K",
        "X-2482300-W",
        "RCCMNL83S18D969H",
        "2 95 10 99 126 111 93",
        "253072B07300470",
        "131052-308T",
        "756.9217.0769.85",
        "85.07.30-033.28",
        "390.533.447-05",
        "BOXW310820HNERXN09",
        "AAPPV8261K",
        "971013-9019902",
    ],
}
KNOWN = [(kind, number) for kind, numbers in HITS.items() for number in numbers]
ROUND = ["{}", "to {}.", "({})", "号码{}，谢谢", "<{}>", "1,250: {}, up", "FY19 2020: {} AND 24 MORE", "{}\n2019"]

MISSES = [
    "EUR 1,234,567,890 against 1.234.567.890,50 and 1 234 567 890 123",
    "2019-2020 1234, in 2008-2009 and 1990 - 2010",
    "ISIN US0378331005, DE0007164600; CUSIP 037833100; LEI 5493001KJTIIGC8Y1R12",
    "on 2024-01-31, 31.12.2023, 12/31/2023 at 09:30:00, 20200101T120000, 1700000000000",
    "up +5.25 %, +12,345,678,901 shares, +12.345.678.901, +1.25 2019-2020 1234, +3.58 123.45 12345",
    "+12 345 678 901 EUR, EUR +12 345 678 901, $+12345678901, +12345678901%, 7+442079460958",
    "62426244000 + 358400817198",
    "tel. 020 7946 0958, 0.2079460958, (212) 555-0100",
    "600519 rose, 000001.SZ 300750 fell, 00700.HK; $BRK.B @ 350.25",
    "bid 100 4111 1111 1111 1111 12.5 ask",
    "EUR 4111111111111111, 4111111111111111 USD, $4111111111111111, 4111111111111111.50, 0.4111111111111111",
    "4111 1111 1111 1112, 4111-1111 1111-1111, 1234 4111 1111 1111 1111, 4111 1111 1111 1111 1111",
    "41111111111111110000, 1234567812345670, a4111111111111111, 9111111111111111",
    "DE88 3704 0044 0532 0130 00, XX89370400440532013000, DE89 3704 0044 0532 0130, 1DE89370400440532013000",
    "000-12-3456, 666-12-3456, 900-12-3456, 078-05-1120, 1536-90-4399, 536-90-4399-1",
    "110105194912310021, 110105199913310021, 54362315Z, RCCMNL83S18D969A, 310252-308Y, ABMCA3211G, 12345678 A",
    "36 574 261 809, 36574261809, 111222333, 190101-1906",
    "@ann, ann@, ann@localhost, 5@3.20, ann@example, pkg@1.2.3, a@b..de, https://x.com/@ann.lee",
    "[EMAIL] [PHONE] [IBAN] [CARD] [NATIONAL-ID]",
    "",
]


@pytest.mark.parametrize("around", ROUND)
@pytest.mark.parametrize(("kind", "number"), KNOWN)
def test_found_where_it_stands(kind: str, number: str, around: str) -> None:
    text = around.format(number)
    start = around.index("{")
    assert find(text) == [Hit(kind, start, start + len(number))]
    assert redact(text) == around.format(f"[{kind.upper()}]")
    assert find(text, [k for k in KINDS if k != kind]) == []


@pytest.mark.parametrize("text", MISSES)
def test_a_figure_is_no_person(text: str) -> None:
    assert find(text) == []
    assert redact(text) == text


@pytest.mark.parametrize("seed", range(20))
def test_many_in_one_text(seed: int) -> None:
    """Each span is exact among others, and redacting twice changes nothing, even where the pieces touch."""
    drawn = random.Random(seed).choices(KNOWN, k=12)
    text, expected = "", []
    for kind, number in drawn:
        text += "; "
        expected.append(Hit(kind, len(text), len(text) + len(number)))
        text += number
    assert find(text) == expected
    assert redact(text) == "".join(f"; [{kind.upper()}]" for kind, _ in drawn)
    for glue in ("", " ", "-", ",", "@"):
        once = redact(glue.join(number for _, number in drawn))
        assert redact(once) == once
        assert find(once) == []


def test_of_two_that_overlap_the_longer_stands() -> None:
    assert redact("371449635398431@example.com") == "[EMAIL]"
    assert redact("371449635398431@example.com", ["card"]) == "[CARD]@example.com"
    assert redact("+44 20 7946 0958-4111 1111 1111 1111") == "[PHONE]-[CARD]", "a card hidden by its neighbor"
    both = "620102199001010257"  # the number of a card of 18 digits and of a resident of Gansu
    assert find(both, ["national-id"]) == [Hit("national-id", 0, 18)]
    assert find(both) == [Hit("card", 0, 18)], "of one length: the order of KINDS"


def test_what_follows_is_kept() -> None:
    assert redact("call +44 20 7946 0958 24 hours, +44 20 7946 0958/0959") == "call [PHONE] 24 hours, [PHONE]/0959"
    assert redact("card 4111 1111 1111 1111 12/27") == "card [CARD] 12/27"
    assert redact("FY19 2020 DE89370400440532013000 BANK") == "FY19 2020 [IBAN] BANK"
    assert redact("2 4111-1111-1111-1111 123") == "2 [CARD] 123"
    assert redact("4111111111111111 5555555555554444") == "[CARD] [CARD]"


@pytest.mark.parametrize(
    "unit",
    ["@", "a@", "a.", "a@a.", "@a.", "1", "1 ", "1-", "1.", "4111 ", "+", "+1", "+1 ", "(+1)", "'", "-", "AB12", "A1"],
)
def test_very_many_of_one_kind_hide_nothing(unit: str) -> None:
    """Quadratic searching would not come back from this."""
    text = unit * (200_000 // len(unit))
    assert find(text) == []
    assert find(f"{text} | ann@example.com") == [Hit("email", len(text) + 3, len(text) + 18)]


def test_unknown_kind() -> None:
    with pytest.raises(ConfigError, match="unknown kind of personal data 'emial'") as error:
        find("", ["emial"])
    assert error.value.hint == "Did you mean 'email'?"


@pytest.mark.parametrize("name", ["stdnum", "phonenumbers"])
def test_without_the_libraries(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    for function in (find, redact):
        with pytest.raises(BrokenEnvironment, match="python-stdnum and phonenumbers are not installed") as error:
            function("nothing to find")
        assert error.value.hint == with_extra("pii")


def test_none_in_the_built_in_headlines() -> None:
    assert [row.text for row in read("builtin:headlines") if find(row.text)] == []


def test_what_phrasebank_holds(phrasebank: Path) -> None:
    """Telephone numbers of press officers and conference calls in twelve lines, and nothing else."""
    file = phrasebank.with_name("Sentences_50Agree.txt")
    if not file.is_file():
        pytest.skip("shared data are not here")
    found = [(row.text, find(row.text)) for row in read(str(file))]
    assert len(found) == 4846
    assert sum(bool(hits) for _, hits in found) == 12
    assert Counter(hit.kind for _, hits in found for hit in hits) == {"phone": 15}
    before = [text[: hit.start] for text, hits in found for hit in hits]
    assert Counter(re.findall(r"\S+(?= $)", part)[0].lower() for part in before) == {
        "tel.": 11, ":": 2, ",": 1, "mobile": 1,
    }  # fmt: skip
