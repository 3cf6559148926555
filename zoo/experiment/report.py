"""What a run says about itself: `report.json`, the same facts for every recipe."""

import dataclasses
import os
import platform
import textwrap
from importlib.metadata import version

from zoo.system import write_json


def environment():
    """Returns versions and machine, the part of a report that explains its speed."""
    packages = ("generative-zoo", "tensorflow", "keras", "numpy")
    return {
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in packages},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
        },
    }


def table(rows):
    """Lays out `(name, value)` pairs as aligned lines; floats get four digits."""
    rows = [(name, f"{v:.4g}" if isinstance(v, float) else str(v)) for name, v in rows]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:{width}}  {value}" for name, value in rows)


def remark(text):
    """Returns a long text in brackets, in lines that fit a terminal."""
    return textwrap.fill(f"({text})", 88, break_long_words=False)


def finish(name, config, results, paths=()):
    """Writes the `report.json` of a lesson and says what was written.

    Args:
        name: Of the lesson.
        config: Its `zoo.experiment.settings.Settings`.
        results: `{name: value}`, ready for JSON.
        paths: Of the pictures it wrote.

    Returns:
        The report.
    """
    path = config.directory(name) / "report.json"
    facts = {"recipe": name, "config": dataclasses.asdict(config), **results}
    write_json(path, facts | environment())
    print(wrote([*paths, path]))
    return facts


def training_on(name, train, validation, classes=None):
    """Returns a sentence about the images that a training begins with.

    Args:
        name: Of the data set.
        train: `(count, height, width, channels)`.
        validation: Likewise.
        classes: Their number, where it matters.
    """
    size = " x ".join(map(str, train.shape[1:]))
    among = f", in {classes} classes" if classes else ""
    return (
        f"Training on {len(train):,} images of {name}, {size}{among}; validating on "
        f"{len(validation):,}."
    )


def wrote(paths, hints=()):
    """Returns what was written and what to try next, a line each."""
    lines = ["\nWrote", *(f"  {path}" for path in paths)]
    if hints:
        lines += ["\nNext", *(f"  {hint}" for hint in hints)]
    return "\n".join(lines)


def card(facts):
    """Lays out a preset's card for people.

    Args:
        facts: What `zoo.deploy.presets.card` returned.
    """
    metrics = facts["metrics"]
    best, last = metrics["best"], metrics["last"]
    words = {k: v for k, v in best.items() if isinstance(v, str)}  # such as "0.9 0.8"
    numbers = best.keys() - words.keys()
    width = max(map(len, numbers))
    heading = f"{'Measured':{width + 2}} {'best':>10} {'last':>10}"
    rows = [
        f"{k:{width}} {v:>10} {last.get(k, ''):>10}"
        for k, v in best.items()
        if k in numbers
    ]
    rows += [f"{k}: {v}" for k, v in words.items()]
    exports = [
        f"{_file(e['file']):22} {e['endpoint']:11} largest difference "
        f"{e['largest_difference']:.0e}, rms {e['rms_difference']:.0e}"
        + (f", {e['agreement']:.1%} the same" if e.get("agreement", 1) < 1 else "")
        for e in facts["exports"]
    ]
    endpoints = {e["endpoint"] for e in facts["exports"]}
    use = []
    if "translate" in endpoints:
        use.append(f'zoo translate {facts["name"]} "..."')
    if endpoints & {"generate", "decode"}:
        use.append(f"zoo sample {facts['name']}")
    settings = ", ".join(f"{k}={v}" for k, v in facts["config"].items())
    sections = {
        facts["name"]: [facts["summary"]],
        "Made of": [
            f"{facts['parameters']:,} parameters, {facts['bytes'] / 2**20:.1f} MiB in "
            "all formats",
            f"data: {facts['data']} ({facts['data_licence']})",
            f"weights' licence: {facts['licence']}",
            f"intended for: {facts['intended_use']}",
        ],
        heading: [*rows, f"({metrics['protocol']})"],
        "Exports, against the model": exports,
        "Trained by": [facts["command"], settings],
        "Use": [
            f"model = zoo.deploy.presets.load({facts['name']!r})",
            f"zoo evaluate {facts['name']}",
            *use,
        ],
    }
    fill = textwrap.TextWrapper(
        88, initial_indent="  ", subsequent_indent="    ", break_long_words=False
    )
    return "\n".join(
        "\n".join([title, *(_indent(fill, line) for line in lines)])
        for title, lines in sections.items()
    )


def _indent(fill, line):
    """Indents a line, wrapped if it is too long; columns keep their spaces."""
    return f"  {line}" if len(line) <= fill.width - 2 else fill.fill(line)


def _file(name):
    """Names the SavedModel's folder, a bare number, for what it is."""
    return f"SavedModel {name}" if name.isdigit() else name
