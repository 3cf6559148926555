"""Files of parallel text: tables, aligned lines, translation memories."""

import codecs
import csv
import gzip
import io
import re
import xml.etree.ElementTree as xml
import zlib
from pathlib import Path

_XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def read(path, languages=None):
    """Reads the pairs of one file, or of two files of aligned lines.

    Args:
        path: As `data` of `load`, of files.
        languages: As for `load`.

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
        pairs = _read_aligned(before + first + after, before + second + after)
        return turned(pairs, (first, second), languages, path)
    suffix = Path(path.removesuffix(".gz")).suffix
    if suffix == ".tmx":
        return _read_tmx(path, languages)
    if suffix in (".tsv", ".csv"):
        return _read_table(path, languages, "\t" if suffix == ".tsv" else ",")
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
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise ValueError(
            f"{path} is UTF-16. Convert it, as with `iconv -f UTF-16 -t UTF-8`."
        )
    if not data.strip():
        raise ValueError(f"{path} is empty.")
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


def _filled(path, line, text, what):
    """Returns a text without space around it, if there is any text."""
    text = text.strip()
    if not text:
        raise ValueError(
            f"{path}, line {line}: the {what} is empty. Fill it, or remove the pair."
        )
    return text


def _read_aligned(first, second):
    sides = [list(_lines(path)) for path in (first, second)]
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"Line n of {first} must translate line n of {second}. Received: "
            f"{len(sides[0])} and {len(sides[1])} lines; line "
            f"{min(map(len, sides)) + 1} has no partner."
        )
    return [
        (_filled(first, n, source, "line"), _filled(second, n, target, "line"))
        for (n, source), (_, target) in zip(*sides, strict=True)
    ]


def _read_table(path, languages, delimiter):
    lines = _lines(path)
    if delimiter == ",":
        text = io.StringIO("\n".join(line for _, line in lines), newline="")
        reader = csv.reader(text, strict=True)
        rows = ((reader.line_num, row) for row in reader)
    else:  # a quote in a TSV is a quote
        rows = ((number, line.split("\t")) for number, line in lines)
    pairs, columns = [], (0, 1)
    wanted = [language.lower() for language in languages or ()]
    try:
        for number, row in rows:
            if not any(map(str.strip, row)):
                raise ValueError(f"{path}, line {number} is empty. Remove it.")
            names = [name.strip().lower() for name in row]
            if wanted:
                if not set(wanted) <= set(names):
                    raise ValueError(
                        f"{path}, line {number}: no columns {' and '.join(languages)}. "
                        "Name them in the first line, or leave out the languages: then "
                        "the first column is translated into the second. Received: "
                        f"{', '.join(row)[:80]}."
                    )
                columns = [names.index(language) for language in wanted]
                wanted = []  # the header has been read
                continue
            if len(row) <= max(columns):
                raise ValueError(
                    f"{path}, line {number}: a column is missing; "
                    f"{max(columns) + 1} are needed. Received: {len(row)}."
                )
            source, target = (row[column] for column in columns)
            source = _filled(path, number, source, "source")
            pairs.append((source, _filled(path, number, target, "target")))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}.") from error
    return pairs


def _spoken(element):
    """Returns the text in a TMX element without the codes of the program it is from."""
    parts = [element.text or ""]
    for inner in element:
        if inner.tag not in ("bpt", "ept", "it", "ph", "ut"):  # TMX 1.4b: native codes
            parts.append(_spoken(inner))
        parts.append(inner.tail or "")
    return "".join(parts)


def _read_tmx(path, languages):
    """Reads a translation memory (TMX 1.4b); `en` means `en-GB` too."""
    if not languages:
        raise ValueError(f"{path}: give the languages of a TMX file, as ('en', 'de').")
    text = "\n".join(line for _, line in _lines(path))
    text = re.sub(r"^<\?xml[^>]*\?>", "", text)  # it has been decoded already
    try:
        units = xml.fromstring(text).iter("tu")
    except xml.ParseError as error:
        raise ValueError(
            f"{path}, line {error.position[0]}: broken XML ({error})."
        ) from error
    pairs, found = [], set()
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
        if "" in pair:
            raise ValueError(
                f"{path}, unit {number}: a segment is empty. Fill it, or remove the "
                "unit."
            )
        if None not in pair:  # a memory may hold many languages, not all everywhere
            pairs.append(pair)
    if not pairs:
        raise ValueError(
            f"{path} has no unit in both {' and '.join(languages)}. "
            f"Received languages: {', '.join(sorted(found)) or 'none'}."
        )
    return pairs
