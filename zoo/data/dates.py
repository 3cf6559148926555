"""Dates as people of many languages write them, and as ISO 8601: a task without limit.

    from zoo.data import dates
    dates.generate(2, seed=0)  # [("5 mars 2024", "2024-03-05"), ...]

Babel (the Unicode CLDR) writes the dates, in the local digits too. Each text says
enough to be checked exactly. Left out or changed for that:

- Years of two digits are written with four.
- Numbers alone, such as 3/4/2024, where day and month could change places, unless dots
  part them (then the day precedes the month, everywhere) or year, month and day follow
  in this order, that of ISO 8601.
- What means two dates in two languages: listopad is October in Croatian and November in
  Polish. Languages written differently only by punctuation count as alike.
- Eras, and calendars other than the Gregorian.
"""

import calendar
import datetime
import functools
import random
import re
import unicodedata
from collections import defaultdict
from pathlib import Path

from zoo.data.text_files import write

FORMATS = ("full", "long", "medium", "short", "yMMMEd", "yMEd")
_PATIENCE = 10_000  # dates in a row that are not new, until there are no more
FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)

#: Locales whose ways of writing a date are all kept from training, where no locale of
#: training with the same language has the same: the split "unseen" is made of them.
HELD_OUT = (
    "af_NA",
    "en_CH",
    "en_IE",
    "en_MV",
    "en_SE",
    "en_ZA",
    "en_ZW",
    "es_BO",
    "es_CL",
    "es_HN",
    "fr_CA",
    "fr_CH",
    "hr_BA",
    "it_CH",
    "ms_BN",
    "nl_BE",
    "ru_UA",
    "zh_Hans_MO",
    "zh_Hans_SG",
)

# The zero of each numbering system that a locale writes by default.
_ZEROS = {
    "adlm": 0x1E950,
    "arab": 0x660,
    "arabext": 0x6F0,
    "beng": 0x9E6,
    "cakm": 0x11136,
    "deva": 0x966,
    "hmnp": 0x1E140,
    "mymr": 0x1040,
    "nkoo": 0x7C0,
    "olck": 0x1C50,
    "tibt": 0xF20,
}


def generate(count, locales=None, seed=0, formats=FORMATS):
    """Generates pairs of a written date and the same date in ISO 8601.

    Args:
        count: How many; no pair occurs twice.
        locales: Names as Babel knows them, such as `"de"` or `"en_ZA"`; by default
            all but those of `HELD_OUT`.
        seed: The same seed gives the same pairs, with the same version of Babel.
        formats: Names of CLDR's lengths (`"full"` to `"short"`) and skeletons
            (`"yMMMEd"`); where a locale lacks one, it is left out.

    Returns:
        A list of `(text, "2024-03-05")`, years from 1900 to 2099: each pattern of each
        locale with each month before one of them comes again.

    Raises:
        ImportError: Babel is missing.
        ValueError: A locale or a format is unknown, or they have not so many dates.

    Example:
        generate(1000, ["fa", "de"], formats=["long"])
    """
    unknown = set(formats) - set(FORMATS)
    if unknown or not formats:
        raise ValueError(
            f"formats must be of {', '.join(FORMATS)}. Received: {sorted(unknown)}."
        )
    training = _training_locales()
    chosen = training if locales is None else tuple(locales)
    if wrong := [name for name in chosen if name not in _all_locales()]:
        raise ValueError(
            f"Babel knows no dates of {wrong[:5]}. Use names such as 'de' or 'en_ZA'."
        )
    patterns = {name: patterns_of(name, tuple(formats)) for name in chosen}
    return _sample(count, {k: v for k, v in patterns.items() if v}, seed)


def unseen(count, seed=0):
    """Generates dates in patterns of `HELD_OUT` that training has not in that language.

    Args:
        count: How many.
        seed: As for `generate`.

    Returns:
        Pairs as of `generate`.
    """
    return _sample(count, _unseen_patterns(), seed)


def write_embedded(folder, train=80_000, held_out=2_000):
    """Writes the sample that comes with the package, each split from its own seed.

    No text of validation, test or unseen is in training, of another language neither.

    Args:
        folder: To write into; `zoo/data/embedded` made the package's.
        train: Pairs of training.
        held_out: Pairs of each other split.
    """
    sample = Path(folder) / "dates"
    sample.mkdir(parents=True, exist_ok=True)
    pairs = generate(train + 2 * held_out, seed=0)
    ends = (held_out, 2 * held_out, None)
    starts = (0, held_out, 2 * held_out)
    for split, start, end in zip(
        ("test", "validation", "train"), starts, ends, strict=True
    ):
        write(sample / f"{split}.tsv.gz", pairs[start:end])
    train = dict(pairs[2 * held_out :])
    strange = [pair for pair in unseen(3 * held_out) if pair[0] not in train]
    write(sample / "unseen.tsv.gz", strange[:held_out])


def _sample(count, patterns, seed):
    """Samples dates by turns: of each locale, pattern and month before one comes again.

    By chance alone, some language's May would not occur among 80,000 dates.
    """
    rng = random.Random(seed)
    turns = [
        (name, pattern, month)
        for name in sorted(patterns)
        for pattern in patterns[name]
        for month in range(1, 13)
    ]
    pairs, missed = {}, 0
    room = len(turns) * 31 * (LAST.year - FIRST.year + 1)
    while len(pairs) < count:
        if count > room or missed > max(_PATIENCE, len(turns)):
            raise ValueError(
                f"These locales and formats have not {count} different dates. Ask for "
                "fewer, or of more."
            )
        rng.shuffle(turns)
        for name, pattern, month in turns:
            year = rng.randint(FIRST.year, LAST.year)
            day = rng.randint(1, calendar.monthrange(year, month)[1])
            date = datetime.date(year, month, day)
            text = write_date(date, pattern, name)
            if text in pairs or not _definite(date, pattern, text):
                missed += 1
                continue
            missed = 0
            pairs[text] = date.isoformat()
    return list(pairs.items())[:count]


def _babel():
    try:
        import babel.dates
    except ImportError as error:
        raise ImportError(
            "Dates need Babel: pip install 'generative-zoo[text]'. Without it, "
            "text.load('embedded/dates', ...) reads those that come with the package."
        ) from error
    return babel


@functools.cache
def _locale(name):
    return _babel().Locale.parse(name)


@functools.cache
def _all_locales():
    """Returns the locales whose months have names, `en_150` and other regions too."""
    names = _babel().localedata.locale_identifiers()
    return frozenset(name for name in names if _names_months(name))


def _names_months(name):
    try:
        months = _locale(name).months["format"]["wide"]
    except (KeyError, ValueError, _babel().UnknownLocaleError):
        return False
    # Where data are missing, the root's "M01" stand in.
    return not re.fullmatch(r"M?0?1\.?", str(months[1]))


@functools.cache
def _training_locales():
    """Returns one locale for each way a language is written, and regions of the large.

    A locale that only inherits its language's dates adds nothing but weight to it.
    """
    kept, ways = [], set()
    for name in sorted(_all_locales() - set(HELD_OUT), key=lambda n: (len(n), n)):
        way = (
            name.split("_")[0],
            patterns_of(name, FORMATS),
            str(_locale(name).months["format"]["wide"][1]),
            _zero(name),
        )
        if way[1] and way not in ways:
            ways.add(way)
            kept.append(name)
    return tuple(sorted(kept))


def _zero(name):
    return _ZEROS.get(_locale(name).default_numbering_system, ord("0"))


@functools.cache
def patterns_of(name, formats):
    """Returns a locale's CLDR patterns, different ones, with years of four digits.

    Args:
        name: Of the locale.
        formats: Tuple, as for `generate`.
    """
    locale, found = _locale(name), []
    for format in formats:
        if format in ("full", "long", "medium", "short"):
            pattern = locale.date_formats[format].pattern
        elif format in locale.datetime_skeletons:
            pattern = locale.datetime_skeletons[format].pattern
        else:
            continue
        pattern = re.sub("y+", "y", pattern)  # no pattern quotes a y in its text
        fields = set(_fields(pattern))
        if (
            "y" in fields
            and "d" in fields
            and fields & {"M", "L"}
            and "G" not in fields
        ):
            found.append(pattern)
    return tuple(dict.fromkeys(found))


def _fields(pattern):
    """Returns the letters of a pattern outside its quotes, in order."""
    return re.findall("[A-Za-z]", re.sub("'[^']*'", "", pattern))


def write_date(date, pattern, name):
    """Writes a `datetime.date` by a CLDR pattern, in the locale's words and digits."""
    locale = _locale(name)
    text = _babel().dates.format_date(date, pattern, locale)
    zero = _zero(name)
    return text.translate({ord("0") + digit: zero + digit for digit in range(10)})


def _definite(date, pattern, text):
    """Whether the text means this date alone, in whatever language it is read."""
    if set(map(int, re.findall(r"\d+", text))) - {date.year, date.month, date.day}:
        return False  # a name with a number of its own
    numeric = not re.search("MMM|LLL", re.sub("'[^']*'", "", pattern))
    if numeric:
        return _ordered(pattern) or date.day > 12 or date.day == date.month
    return len(_meanings()[_spelling(text)]) == 1


def _ordered(pattern):
    """Whether convention tells day and month apart."""
    order = "".join(dict.fromkeys(f for f in _fields(pattern) if f in "yMLd"))
    dots = re.search(r"d\.\s*[ML]", pattern)
    return order.replace("L", "M") == "yMd" or bool(dots)


def _spelling(text):
    """Returns the words of a text without its numbers."""
    text = unicodedata.normalize("NFKC", text).lower()
    words = (c if unicodedata.category(c)[0] in "LM" else " " for c in text)
    return " ".join("".join(words).split())


@functools.cache
def _meanings():
    """Returns, for the words of dates with named months, the months they mean.

    Weekdays count as words, so that all seven are written with each month.
    """
    found = defaultdict(set)
    for name in sorted(_all_locales()):
        for pattern in patterns_of(name, FORMATS):
            if re.search("MMM|LLL", re.sub("'[^']*'", "", pattern)):
                for month in range(1, 13):
                    for day in range(1, 8):  # each day of the week once
                        date = datetime.date(2024, month, day)
                        words = _spelling(write_date(date, pattern, name))
                        found[words].add(month)
    return found


@functools.cache
def _unseen_patterns():
    """Returns, for the held-out locales, the patterns that training has not."""
    seen = defaultdict(set)
    for name in _training_locales():
        seen[name.split("_")[0]].update(patterns_of(name, FORMATS))
    found = {
        name: tuple(p for p in patterns_of(name, FORMATS) if p not in seen[language])
        for name in HELD_OUT
        for language in [name.split("_")[0]]
    }
    return {name: patterns for name, patterns in found.items() if patterns}
