"""The TFDS data set `handbook`: English beside German, French, Spanish and Persian.

Sentences of The Debian Administrator's Handbook, which translators keep paragraph by
paragraph beside the English, and strings of programs' interfaces. Both come with
Debian's packages, and no network is needed beyond Debian's own:

    apt-get download debian-handbook evolution-common gimp-data gnome-shell-common \
        gnome-control-center-data gnome-software-common iso-codes libglib2.0-data \
        libgtk-3-common libreoffice-l10n-de libreoffice-l10n-es libreoffice-l10n-fa \
        libreoffice-l10n-fr
    for file in *.deb; do dpkg-deb -x $file unpacked; done
    zoo data prepare handbook --from unpacked

More packages with translations give more pairs, other versions of them other ones; on a
Debian system with these installed, `--from /` does. One technical domain: a model of it
is no general translator.
"""

import re
import struct
import xml.etree.ElementTree as xml
from pathlib import Path

import tensorflow_datasets as tfds

from zoo.data.division import divide
from zoo.data.text_files import write

TARGETS = {"de": "de-DE", "fr": "fr-FR", "es": "es-ES", "fa": "fa-IR"}
_SHARES = {"validation": 0.05, "test": 0.1}
_XHTML = "{http://www.w3.org/1999/xhtml}"
_HEADINGS = {f"{_XHTML}h{level}" for level in range(1, 7)}
_APART = {f"{_XHTML}{tag}" for tag in ("pre", "table", "ul", "ol", "dl")}
_SENTENCE_END = re.compile(r"(?<=[.!?…؟])\s+(?=[^\sa-zà-ÿ])")
_MARKUP = re.compile(r"[<>%{}$\\|@#=]|\n|https?:|&\w+;")
_FEWEST, _MOST = 4, 20  # words of an interface string
_LONGEST = 100  # words of a sentence
_RATIO = 3.0  # of the sides' lengths in characters: beyond, they hardly correspond


class Handbook(tfds.core.GeneratorBasedBuilder):
    """English and a translation of it: a handbook and strings of interfaces."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=f"en-{target}") for target in TARGETS
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Unpack the Debian packages that zoo/data/handbook.py names into a folder DIR "
        "and run `zoo data prepare handbook --from DIR`."
    )

    def _info(self):
        _, target = self.builder_config.name.split("-")
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=tfds.features.Translation(languages=("en", target)),
            homepage="https://debian-handbook.info",
            license="Handbook: GPL-2+ or CC-BY-SA-3.0. Strings: of each program.",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        _, target = self.builder_config.name.split("-")
        parts, _ = collect(dl_manager.manual_dir, target)
        return {
            split: self._generate_examples(target, pairs)
            for split, pairs in parts.items()
        }

    def _generate_examples(self, target, pairs):
        for number, (english, translation) in enumerate(pairs):
            yield number, {"en": english, target: translation}


def builder(name, data_dir=None):
    """Returns the TFDS builder of the data set.

    TFDS knows a builder by name once its class is defined: who asks for it here has
    imported this module, where who asks `tfds.builder` might not have.

    Args:
        name: As for TFDS, such as `"handbook/en-fa"`.
        data_dir: TFDS data directory; `None` means TFDS's default.
    """
    return tfds.builder(name, data_dir=data_dir)


def prepare(name, source, data_dir=None):
    """Prepares the data set from unpacked packages.

    Args:
        name: `"handbook"` for all languages, or one, as `"handbook/en-fa"`.
        source: Folder that the packages were unpacked into, with its `usr`.
        data_dir: TFDS data directory; `None` means TFDS's default.

    Returns:
        The `Path` of the prepared data set; of several, of what holds them.

    Raises:
        FileNotFoundError: The folder, or the handbook in it, is missing.
        ValueError: There is no such language.
    """
    _pages(Path(source), "en-US")  # missing: said before anything is made
    configs = [f"en-{target}" for target in TARGETS]
    chosen = name.partition("/")[2]
    if chosen and chosen not in configs:
        raise ValueError(
            f"handbook has no {chosen!r}. Use one of: {', '.join(configs)}."
        )
    for config in [chosen] if chosen else configs:
        made = builder(f"{Handbook.name}/{config}", data_dir)
        if not made.is_prepared():
            made.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    manual_dir=Path(source), try_download_gcs=False
                )
            )
    path = Path(made.data_dir)
    return path if chosen else path.parents[1]


def collect(source, target, interfaces=True):
    """Collects the pairs of one language, divided by page and by program.

    Args:
        source: Folder that the packages were unpacked into.
        target: `"de"`, `"fr"`, `"es"` or `"fa"`.
        interfaces: Whether to take strings of programs too.

    Returns:
        What `zoo.data.division.divide` returns.
    """
    source = Path(source)
    found = list(_handbook(source, target))
    if interfaces:
        found += _interfaces(source, target)
    groups, pairs = zip(*found, strict=True)
    return divide(pairs, groups, _SHARES)


def write_embedded(source, folder):
    """Writes the samples that come with the package: prose alone, of one licence.

    Args:
        source: Folder that the package debian-handbook was unpacked into.
        folder: To write into; `zoo/data/embedded` made the package's.
    """
    for target in ("de", "fa"):
        parts, _ = collect(source, target, interfaces=False)
        sample = Path(folder) / f"handbook_en-{target}"
        sample.mkdir(parents=True, exist_ok=True)
        for split, pairs in parts.items():
            write(sample / f"{split}.tsv.gz", pairs)


def _pages(source, language):
    folder = source / "usr/share/doc/debian-handbook/html" / language
    pages = sorted(folder.glob("*.html"))
    if not pages:
        raise FileNotFoundError(
            f"There is no {folder}/*.html. {Handbook.MANUAL_DOWNLOAD_INSTRUCTIONS}"
        )
    return pages


def _handbook(source, target):
    """Yields `(page, (english, translation))`, by sentence where these agree."""
    for page in _pages(source, "en-US"):
        other = page.parents[1] / TARGETS[target] / page.name
        if not other.is_file():
            continue
        sides = [_blocks(xml.parse(path).getroot()) for path in (page, other)]
        if len(sides[0]) != len(sides[1]):
            continue  # the translation is of another version of the page
        for (kind, english), (other_kind, translation) in zip(*sides, strict=True):
            sentences = [_SENTENCE_END.split(text) for text in (english, translation)]
            if kind == other_kind and len(sentences[0]) == len(sentences[1]):
                for pair in zip(*sentences, strict=True):
                    if _good(pair, target):
                        yield f"page {page.stem}", pair


def _blocks(root):
    """Returns `(tag, text)` of a page's headings and paragraphs, in order."""
    blocks = []
    for element in root.iter():
        paragraph = element.tag == f"{_XHTML}div" and element.get("class") == "para"
        if paragraph or element.tag in _HEADINGS:
            text = " ".join(_text(element).split())
            # The number of a section is no text to translate.
            text = re.sub(r"^[\d.]+\s+", "", text)
            blocks.append((element.tag, text))
    return blocks


def _text(element):
    """Returns the text of a block without that of the blocks inside it."""
    text = element.text or ""
    for child in element:
        inner = child.tag in _APART or child.get("class") == "para"
        text += (" " if inner else _text(child)) + (child.tail or "")
    return text


def _interfaces(source, target):
    """Yields `(program, (english, translation))` of all message catalogues."""
    folders = ("usr/share/locale", "usr/lib/libreoffice/program/resource")
    for folder in folders:
        for path in sorted((source / folder / target / "LC_MESSAGES").glob("*.mo")):
            for pair in catalogue(path):
                pair = tuple(re.sub(r"[_~&](?=\w)", "", text) for text in pair)
                pair = tuple(re.sub(r" ?\([A-Z]\)$", "", text) for text in pair)
                markup = any(_MARKUP.search(text) for text in pair)
                words = len(pair[0].split())
                if not markup and _FEWEST <= words <= _MOST and _good(pair, target):
                    yield f"program {path.stem}", pair


def catalogue(path):
    r"""Returns the `(original, translation)` pairs of a compiled message catalogue.

    Contexts are left out, and of plurals the first form counts.

    Args:
        path: Of a `.mo` file.

    Raises:
        ValueError: It is none.

    Source:
        GNU gettext manual, section "The Format of GNU MO Files".
    """
    data = Path(path).read_bytes()
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(data[:4])
    if order is None:
        raise ValueError(f"{path} is no compiled message catalogue (.mo).")
    count, *tables = struct.unpack_from(f"{order}3I", data, 8)

    def strings(table):
        for number in range(count):
            length, at = struct.unpack_from(f"{order}2I", data, table + 8 * number)
            yield data[at : at + length].decode("utf-8", "replace").split("\0")[0]

    originals, translations = (list(strings(table)) for table in tables)
    return [
        (original.split("\x04")[-1], translation)
        for original, translation in zip(originals, translations, strict=True)
        if original  # the empty one translates to the catalogue's header
    ]


def _good(pair, target):
    """Whether both sides are text, and the second is one in its own language."""
    english, translation = pair
    return (
        english != translation
        and all(re.search(r"[^\W\d_]", text) for text in pair)
        and (target != "fa" or re.search("[\u0600-\u06ff]", translation))
        and max(len(text.split()) for text in pair) <= _LONGEST
        and max(map(len, pair)) <= _RATIO * min(map(len, pair)) + 10
    )
