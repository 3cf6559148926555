"""The layout, as assertions: who may import whom, and what each model comes with."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What each shared module of `zoo` may import from `zoo`; any other module is a model.
ALLOWED = {
    "__init__": set(),
    "__main__": {"cli"},
    "adversarial": {"training"},
    "callbacks": {"files", "metrics", "pictures", "training"},
    "cli": {
        "data",
        "export",
        "files",
        "metrics",
        "pictures",
        "presets",
        "quality",
        "report",
        "terminal",
    },
    "data": {"data"},
    "decoding": set(),
    "distributions": {"layers", "losses"},
    "export": {"files", "half", "terminal"},
    "files": set(),
    "half": set(),
    "layers": set(),
    "losses": set(),
    "networks": {"layers"},
    "metrics": {"files", "metrics", "pictures"},
    "pictures": {"files"},
    "presets": {"export", "files"},
    "quality": {"callbacks", "metrics", "presets"},
    "recurrent": {"layers", "training"},
    "regularizers": {"layers", "networks", "training"},
    "report": set(),
    "run": {"callbacks", "export", "files", "report", "training"},
    "terminal": set(),
    "training": {"export", "files", "layers"},
    "unicode": set(),
    "vocabulary": {"files", "layers", "unicode"},
}
MODEL_MAY_IMPORT = {
    "adversarial",
    "decoding",
    "distributions",
    "layers",
    "losses",
    "networks",
    "recurrent",
    "regularizers",
    "training",
    "vocabulary",
}
#: Recipes of models that have none of their own name.
RECIPES = {"seq2seq": "translate"}
FILES = sorted((ROOT / "zoo").rglob("*.py"))
MODELS = sorted({p.stem for p in (ROOT / "zoo").glob("*.py")} - ALLOWED.keys())


def room(path):
    """Returns the top-level name of a module of `zoo`, `data` for `data/images.py`."""
    return path.relative_to(ROOT / "zoo").parts[0].removesuffix(".py")


def imports(path):
    """Yields every module that a file imports, at any depth, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_dependencies_point_one_way(path):
    names = list(imports(path))
    inside = {name.split(".")[1] for name in names if name.startswith("zoo.")}
    assert inside <= ALLOWED.get(room(path), MODEL_MAY_IMPORT)
    assert path.stem == "cli" or not any(n.split(".")[0] == "recipes" for n in names)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_comes_with_a_recipe_a_test_and_a_row(model):
    assert (ROOT / "recipes" / f"{RECIPES.get(model, model)}.py").is_file()
    assert (ROOT / "tests" / f"test_{model}.py").is_file()
    assert f"(zoo/{model}.py)" in (ROOT / "README.md").read_text("utf-8")


def test_nothing_private_of_another_package_is_imported():
    for path in FILES + sorted((ROOT / "recipes").glob("*.py")):
        for name in imports(path):
            parts = name.split(".")
            private = [p for p in parts if re.match(r"_[a-z]", p)]
            assert not private and parts[:2] != ["keras", "src"], f"{path}: {name}"


@pytest.mark.parametrize("model", MODELS)
def test_a_model_does_not_subclass_another(model):
    tree = ast.parse((ROOT / "zoo" / f"{model}.py").read_text("utf-8"))
    imported = set(imports(ROOT / "zoo" / f"{model}.py"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                name = ast.unparse(base)
                assert not any(
                    i.endswith(f".{name}")
                    for i in imported
                    if i.startswith("zoo.") and i.split(".")[1] in MODELS
                )
