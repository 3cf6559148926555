"""Written dates: exact, definite, and the same for everyone."""

import datetime
import random
import re
import sys

import pytest

from zoo.data import dates, text

babel = pytest.importorskip("babel")


@pytest.fixture(scope="module")
def pairs():
    return dates.generate(3000, seed=1)


def test_known_dates():
    """Read off the CLDR charts."""
    expected = {
        "de": ("long", "5. März 2024"),
        "en_US": ("full", "Tuesday, March 5, 2024"),
        "fa": ("long", "۵ مارس ۲۰۲۴"),
        "hi": ("long", "5 मार्च 2024"),
        "mr": ("long", "५ मार्च, २०२४"),
        "ja": ("long", "2024年3月5日"),
        "hu": ("short", "2024. 03. 05."),
    }
    for name, (format, written) in expected.items():
        (pattern,) = dates.patterns_of(name, (format,))
        assert dates.write_date(datetime.date(2024, 3, 5), pattern, name) == written


def test_each_text_is_different_and_each_date_possible(pairs):
    assert len(dict(pairs)) == 3000
    for _, iso in pairs:
        date = datetime.date.fromisoformat(iso)
        assert date.isoformat() == iso and dates.FIRST <= date <= dates.LAST


def test_the_seed_decides(pairs):
    assert dates.generate(3000, seed=1) == pairs
    assert dates.generate(3000, seed=2) != pairs
    assert dates.generate(10, seed=1) == pairs[:10]


def test_the_numbers_say_the_date(pairs):
    """The year stands there, and the day; other numbers are the month."""
    for written, iso in pairs:
        numbers = [int(number) for number in re.findall(r"\d+", written)]
        year, month, day = map(int, iso.split("-"))
        assert year in numbers and day in numbers
        assert set(numbers) <= {year, month, day}


def test_no_order_of_day_and_month_is_left_to_guess():
    found = dates.generate(4000, ["en_US", "en_GB", "de", "sv"], formats=["short"])
    for written, iso in found:
        first, second, third = map(int, re.findall(r"\d+", written))
        month, day = int(iso[5:7]), int(iso[8:])
        if "/" in written:  # of two readings one is no date, or they are the same
            assert day > 12 or day == month
        elif "." in written:
            assert (first, second) == (day, month)
        else:
            assert (first, second, third) == (int(iso[:4]), month, day)
    assert (
        sum("/" not in written and int(iso[8:]) <= 12 for written, iso in found) > 500
    )


def test_a_name_of_two_months_is_left_out():
    found = dates.generate(3000, ["hr", "pl", "cs"], seed=0, formats=["long"])
    words = {word for written, _ in found for word in written.split()}
    # November in Polish, October in Croatian; Czech has a form of its own.
    assert "listopada" not in words and {"listopadu", "grudnia"} <= words


def test_two_languages_do_not_contradict_each_other():
    """All days of a year in all languages: equal texts are equal dates."""
    rng = random.Random(0)
    meaning = {}
    for name in dates._training_locales():
        for pattern in dates.patterns_of(name, dates.FORMATS):
            for day in rng.sample(range(366), 40):
                date = datetime.date(2024, 1, 1) + datetime.timedelta(day)
                written = dates.write_date(date, pattern, name)
                if dates._definite(date, pattern, written):
                    key = (dates._spelling(written), *re.findall(r"\d+|-", written))
                    dots = "." in written if not key[0] else None
                    assert meaning.setdefault((*key, dots), date) == date, written


def test_many_scripts_and_digits():
    expected = {"ko": "월", "ja": "月", "ar_EG": "٢", "mr": "२", "bn": "২", "fa": "۲"}
    expected |= {"he": "י", "ka": "ა", "el": "α", "ru": "а", "am": "ር", "th": "ม"}
    for name, character in expected.items():
        found = dates.generate(50, [name])
        assert character in "".join(written for written, _ in found), name


def test_unseen_patterns_are_unseen_and_their_words_are_not():
    patterns = dates._unseen_patterns()
    training = dates._training_locales()
    assert len(patterns) > 12 and not set(patterns) & set(training)
    for name, held_out in patterns.items():
        language = name.split("_")[0]
        relatives = [n for n in training if n.split("_")[0] == language]
        seen = {p for n in relatives for p in dates.patterns_of(n, dates.FORMATS)}
        assert not seen & set(held_out)
        months = [dates._locale(n).months["format"]["wide"] for n in (name, *relatives)]
        assert any(dict(months[0]) == dict(other) for other in months[1:])
    found = dates.unseen(500)
    assert found == dates.unseen(500) and len(dict(found)) == 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formats": ["long", "tiny"]}, "formats must be of full.*Received: .'tiny'"),
        ({"locales": ["de", "xx"]}, "no dates of .'xx'"),
        ({"locales": ["sd_Deva_IN"], "formats": ["y"]}, "formats must be of"),
        (
            {"count": 80_000, "locales": ["de"], "formats": ["long"]},
            "not 80000 different dates",
        ),
    ],
)
def test_generation_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        dates.generate(**{"count": 5, **arguments})


def test_without_babel(monkeypatch):
    for name in ("_all_locales", "_training_locales", "_locale"):
        getattr(dates, name).cache_clear()
    monkeypatch.setitem(sys.modules, "babel.dates", None)
    with pytest.raises(ImportError, match=r"pip install 'generative-zoo\[text\]'"):
        dates.generate(1)


def test_the_embedded_sample():
    """Training knows nothing of the rest."""
    parts = {
        split: text.load("embedded/dates", split)
        for split in ("train", "validation", "test", "unseen")
    }
    assert [len(part) for part in parts.values()] == [80_000, 2_000, 2_000, 2_000]
    train = {written for written, _ in parts["train"]}
    for split in ("validation", "test", "unseen"):
        assert not train & {written for written, _ in parts[split]}
    for part in parts.values():
        for _, iso in part:
            datetime.date.fromisoformat(iso)
