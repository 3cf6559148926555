"""Presets on the Hugging Face hub: their page, and how they come back.

    presets.for_hub("vae_fashion_mnist", "upload")      # hf upload OWNER/NAME upload
    presets.load("hf://OWNER/NAME")                     # verified by its card
    keras.saving.load_model("hf://OWNER/NAME")          # after `import zoo.vae`

Keras loads by `hf://` what it saves so: the parts of a `.keras` file, unpacked.
"""

import json
from pathlib import Path

#: How the name of what is on the hub begins.
PREFIX = "hf://"
#: The hub's word for what an endpoint does; the first that a preset has counts.
TASKS = {
    "translate": "translation",
    "classify": "image-classification",
    "generate": "unconditional-image-generation",
    "decode": "unconditional-image-generation",
}


def model_card(card):
    """Returns the text of `README.md` as the hub reads it, its head in YAML.

    Args:
        card: Of the preset, as `zoo.deploy.presets.card` returns it.
    """
    endpoints = {export["endpoint"] for export in card["exports"]}
    task = next((word for name, word in TASKS.items() if name in endpoints), "other")
    best = card.get("metrics", {}).get("best", {})
    measured = {name: value for name, value in best.items() if name != "epoch"}
    lines = [
        "---",
        f"license: {card.get('licence', 'other').lower()}",
        "library_name: keras",
        f"pipeline_tag: {task}",
        "tags:",
        *(f"- {tag}" for tag in ("keras", "generative-zoo", card.get("recipe", "zoo"))),
    ]
    if measured:
        lines += [
            "model-index:",
            f"- name: {card['name']}",
            "  results:",
            f"  - task: {{type: {task}}}",
            # JSON is YAML too, and quotes what has colons in it.
            f"    dataset: {{type: {quoted(str(card.get('config', {}).get('data')))}, "
            f"name: {quoted(card.get('data', ''))}}}",
            "    metrics:",
            *(
                f"    - {{type: {quoted(name)}, value: {json.dumps(value)}}}"
                for name, value in measured.items()
            ),
        ]
    lines += ["---", f"# {card['name']}", "", card.get("summary", ""), ""]
    for title, fact in (
        ("Intended use", "intended_use"),
        ("Training data", "data"),
        ("Licence of that data", "data_licence"),
        ("Trained by", "command"),
    ):
        if card.get(fact):
            lines += [f"**{title}:** {card[fact]}", ""]
    if measured:
        lines += [f"**How it was measured:** {card['metrics'].get('protocol', '')}", ""]
        lines += ["| metric | value |", "| --- | --- |"]
        lines += [f"| {name} | {value} |" for name, value in measured.items()]
        lines += [""]
    lines += [
        "```python",
        "import keras",
        f"import {card['module']}  # so that Keras knows the class",
        "",
        f'model = keras.saving.load_model("{PREFIX}OWNER/NAME")',
        "```",
        "",
        "`1/` is a SavedModel for TF Serving, `*.tflite` are for LiteRT; `card.json` "
        "has how far each is from the model, and all settings.",
    ]
    return "\n".join(lines) + "\n"


def quoted(text):
    """Returns a string as YAML and JSON both read it."""
    return json.dumps(text, ensure_ascii=False)


def fetch(name):
    """Returns the folder that a preset on the hub was downloaded to.

    Args:
        name: `hf://OWNER/NAME`.

    Raises:
        ImportError: If `huggingface-hub` is missing, with the line that installs it.
        ValueError: If the name has another form, or what is there is no preset.
    """
    repository = name.removeprefix(PREFIX)
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise ValueError(
            f"A preset on the hub is {PREFIX}OWNER/NAME. Received: {name!r}."
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(
            f"{name} needs `pip install huggingface-hub`, or a preset of the zoo."
        ) from error
    found = Path(snapshot_download(repository, library_name="generative-zoo"))
    if not (found / "card.json").is_file():
        raise ValueError(
            f"{name} is no preset of the zoo: it has no card.json. "
            "`keras.saving.load_model` may be able to load it."
        )
    return found
