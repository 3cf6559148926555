"""Files of parallel text: tables, aligned lines, translation memories."""

import codecs
import contextlib
import csv
import gzip
import io
import re
import unicodedata
import warnings
import xml.etree.ElementTree as xml
import zlib
from pathlib import Path
from xml.parsers import expat

_XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
# White space, byte order marks, zero-width spaces, word joiners, soft hyphens: nothing
# at the ends of a text. (Zero-width joiners and marks of direction are something there,
# where scripts join their letters or run from right to left.)
_ENDS = re.compile("^[\\s\ufeff\u200b\u2060\u00ad]+|[\\s\ufeff\u200b\u2060\u00ad]+$")
_UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # controls, formats, separators: of Unicode
_BYTE_ORDER_MARKS = {  # UTF-32 first: its little-endian mark begins with UTF-16's
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_SHOWN = 5  # places of faults that an error names


def read(path, languages=None, skip_empty=False):
    """Reads the pairs of one file, or of two files of aligned lines.

    Args:
        path: As `data` of `zoo.data.text.load`, of files.
        languages: As for `zoo.data.text.load`.
        skip_empty: Whether to leave out pairs with an empty side, with a warning that
            says how many they are and where.

    Returns:
        A list of `(source, target)`, none empty, in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With the line: a side is empty, a column is missing, bytes are no
            UTF-8, the two files have different numbers of lines, the XML is broken.

    Example:
        read("memory.tmx", ("en", "de"))
    """
    path = str(path)
    if braces := re.fullmatch(r"(.*)\{([^{},]+),([^{},]+)\}(.*)", path):
        before, first, second, after = braces.groups()
        files = before + first + after, before + second + after
        pairs = _filled(_read_aligned(*files), skip_empty)
        return turned(pairs, (first, second), languages, path)
    suffix = Path(path.removesuffix(".gz")).suffix
    if suffix == ".tmx":
        return _filled(_read_tmx(path, languages), skip_empty)
    if suffix in (".tsv", ".csv"):
        table = _read_table(path, languages, "\t" if suffix == ".tsv" else ",")
        return _filled(table, skip_empty)
    raise ValueError(
        f"Text is read from .tsv, .csv and .tmx files, or from two, as "
        f"'corpus.{{en,de}}'. Received: {path!r}."
    )


def write(path, pairs):
    """Writes pairs as a `.tsv` file, or `.tsv.gz`, that `read` can read.

    Args:
        path: Of the file.
        pairs: `(source, target)` strings; white space of any kind becomes one space.

    Raises:
        ValueError: If a side is empty.
    """
    rows = [[" ".join(side.split()) for side in pair] for pair in pairs]
    for number, row in enumerate(rows, 1):
        if not all(row):
            raise ValueError(f"Pair {number} has an empty side. Received: {row}.")
    lines = "".join("\t".join(row) + "\n" for row in rows)
    data = lines.encode()
    # No time in the header: the same pairs give the same file.
    Path(path).write_bytes(
        gzip.compress(data, 9, mtime=0) if str(path).endswith(".gz") else data
    )


def turned(pairs, given, languages, data):
    """Returns pairs in languages `given` as pairs in the order of `languages`."""
    if languages and sorted(languages) != sorted(given):
        raise ValueError(
            f"{data!r} has {' and '.join(given)}. Received languages: "
            f"{' and '.join(languages)}."
        )
    if not languages or tuple(languages) == tuple(given):
        return pairs
    return [(target, source) for source, target in pairs]


def _lines(path):
    """Yields the numbers and texts of a UTF-8 file's lines, without their ends."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {str(path)!r}.") from None
    if str(path).endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is no whole gzip file: {error}.") from None
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            raise ValueError(
                f"{path} is {encoding}. Convert it, as with `iconv -f {encoding} -t "
                "UTF-8`."
            )
    if b"\0" in data:
        raise ValueError(
            f"{path} holds zero bytes, as UTF-16 and UTF-32 do. Convert it, as with "
            "`iconv -f UTF-16LE -t UTF-8`."
        )
    if not data.strip():
        raise ValueError(f"{path} is empty.")
    if b"\n" not in data:  # a single line, or line ends of old Macintoshes
        data = data.replace(b"\r", b"\n")
    # Only line feeds part lines: U+2028 and the like may be in a sentence.
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        try:
            line = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}, line {number}: byte {error.start + 1} "
                f"(0x{line[error.start]:02x}) is no UTF-8. Convert the file, as with "
                "`iconv -f WINDOWS-1252 -t UTF-8`."
            ) from None
        yield number, line.removesuffix("\r")


def _trimmed(text):
    """Returns a text without what cannot be seen at its ends, "" if that is all."""
    text = _ENDS.sub("", text)
    seen = any(unicodedata.category(character) not in _UNSEEN for character in text)
    return text if seen else ""


def _filled(found, skip_empty):
    """Returns the pairs that have text on both sides, if the others may be left out.

    Args:
        found: Yields `(pair, places, sides)`: two texts, where each is from, and what
            its file calls it.
        skip_empty: As for `read`.
    """
    pairs, faults = [], []
    for pair, places, sides in found:
        pair = tuple(map(_trimmed, pair))
        if all(pair):
            pairs.append(pair)
        else:
            side = 0 if not pair[0] else 1
            faults.append((places[side], sides[side]))
    if not faults:
        return pairs
    (place, side), more = faults[0], [place for place, _ in faults[1:]]
    said = f"{place}: the {side} is empty"
    if more:
        shown = [place.rpartition(", ")[2] for place in more[:_SHOWN]]
        shown += ["and so on"] * (len(more) > _SHOWN)
        said += f", and so are sides of {len(more)} more ({', '.join(shown)})"
    if not skip_empty or not pairs:
        raise ValueError(
            f"{said}. Fill or remove such pairs, or leave them out by skip_empty."
        )
    warnings.warn(f"{said}. Left out: {len(faults)} pairs.", stacklevel=4)
    return pairs


def _read_aligned(first, second):
    """Yields what `_filled` takes, of two files whose lines translate each other."""
    sides = [list(_lines(path)) for path in (first, second)]
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"Line n of {first} must translate line n of {second}. Received: "
            f"{len(sides[0])} and {len(sides[1])} lines; line "
            f"{min(map(len, sides)) + 1} has no partner."
        )
    for (number, source), (_, target) in zip(*sides, strict=True):
        places = f"{first}, line {number}", f"{second}, line {number}"
        yield (source, target), places, ("line", "line")


def _read_table(path, languages, delimiter):
    """Yields what `_filled` takes, of a table's rows."""
    lines = _lines(path)
    if delimiter == ",":
        text = io.StringIO("\n".join(line for _, line in lines), newline="")
        reader = csv.reader(text, strict=True)
        rows = ((reader.line_num, row) for row in reader)
    else:  # a quote in a TSV is a quote
        rows = ((number, line.split("\t")) for number, line in lines)
    try:
        rows = list(rows)
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}.") from error
    if languages:
        number, header = rows.pop(0)
        names = [_trimmed(name).lower() for name in header]
        if not {language.lower() for language in languages} <= set(names):
            raise ValueError(
                f"{path}, line {number}: no columns {' and '.join(languages)}. Name "
                "them in the first line, or leave out the languages: then the first "
                "column is translated into the second. Received: "
                f"{', '.join(header)[:80]}."
            )
        columns = [names.index(language.lower()) for language in languages]
    else:
        columns = [0, 1]
        _refuse_numbers(path, [row for _, row in rows])
    for number, row in rows:
        place = f"{path}, line {number}"
        if not any(map(_trimmed, row)):
            yield ("", ""), (place, place), ("line", "line")
            continue
        if len(row) <= max(columns):
            raise ValueError(
                f"{place}: a column is missing; {max(columns) + 1} are needed. "
                f"Received: {len(row)}."
            )
        pair = tuple(row[column] for column in columns)
        yield pair, (place, place), ("source", "target")


def _refuse_numbers(path, rows):
    """Refuses to translate from the numbers or scores that many tables begin with."""
    rows = [row for row in rows if any(map(_trimmed, row))]
    if min(map(len, rows), default=0) < 3:
        return  # of two columns, both are meant
    texts = [_trimmed(row[0]) for row in rows[1:] or rows]  # the first may be names
    if all(re.fullmatch(r"\d+([.,]\d+)?", text) for text in texts):
        raise ValueError(
            f"{path}: the first column holds numbers alone, such as {texts[0]!r}. Name "
            "the columns in the first line and give the languages, or remove it."
        )


def _spoken(element):
    """Returns the text in a TMX element without the codes of the program it is from."""
    parts = [element.text or ""]
    for inner in element:
        if inner.tag not in ("bpt", "ept", "it", "ph", "ut"):  # TMX 1.4b: native codes
            parts.append(_spoken(inner))
        parts.append(inner.tail or "")
    return "".join(parts)


def _read_tmx(path, languages):
    """Yields what `_filled` takes, of a translation memory (TMX 1.4b).

    `en` means `en-GB` too.
    """
    if not languages:
        raise ValueError(f"{path}: give the languages of a TMX file, as ('en', 'de').")
    text = "\n".join(line for _, line in _lines(path))
    text = re.sub(r"^<\?xml[^>]*\?>", "", text)  # it has been decoded already
    _refuse_entities(path, text)
    try:
        units = xml.fromstring(text).iter("tu")
    except xml.ParseError as error:
        raise ValueError(
            f"{path}, line {error.position[0]}: broken XML ({error})."
        ) from error
    found, count = set(), 0
    for number, unit in enumerate(units, 1):
        sides = {}
        for variant in unit.iter("tuv"):
            code = variant.get(_XML_LANGUAGE) or variant.get("lang") or ""
            segment = variant.find("seg")
            spoken = "" if segment is None else " ".join(_spoken(segment).split())
            found.add(code)
            for name in {code.lower(), code.lower().split("-")[0]}:
                sides.setdefault(name, spoken)
        pair = tuple(sides.get(language.lower()) for language in languages)
        if None not in pair:  # a memory may hold many languages, not all everywhere
            count += 1
            place = f"{path}, unit {number}"
            yield pair, (place, place), ("segment", "segment")
    if not count:
        raise ValueError(
            f"{path} has no unit in both {' and '.join(languages)}. "
            f"Received languages: {', '.join(sorted(found)) or 'none'}."
        )


def _refuse_entities(path, text):
    """Refuses XML that declares entities: by ten lines of them gigabytes are meant."""

    class Root(Exception):
        """Declarations end where the root begins."""

    def refuse(name, *_):
        raise ValueError(
            f"{path} declares the entity {name!r}. A TMX file needs none, and a few "
            "can fill the memory: remove the declarations."
        )

    def stop(*_):
        raise Root

    parser = expat.ParserCreate()
    parser.EntityDeclHandler, parser.StartElementHandler = refuse, stop
    # Broken XML is reported by whoever reads on.
    with contextlib.suppress(Root, expat.ExpatError):
        parser.Parse(text, True)
