"""The house, as assertions: who may import whom, and what each model comes with."""

import ast
import graphlib
import importlib
import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from zoo.experiment import settings
from zoo.experiment.recipe import Lesson, Recipe

ROOT = Path(__file__).parents[1]
#: Who may import whom. A model is a file at the top of `zoo/`.
ALLOWED = {
    "system": set(),
    "training": {"system"},
    "data": {"system"},
    "networks": {"training"},
    "text": {"training", "system"},
    "models": {"networks", "text", "training"},
    "metrics": {"networks", "training", "system"},
    "deploy": {"training", "system"},
    "experiment": {"metrics", "deploy", "text", "training", "data", "system"},
    "recipes": {"models", "networks", "text", "training", "data", "metrics"}
    | {"experiment", "deploy", "system"},
    "cli": {"recipes", "experiment", "deploy", "metrics", "training", "data", "system"},
}
#: Recipes of models that have none of their own name.
RECIPES = {"seq2seq": "translate"}
#: Most lines of a file: of a model, and of any other.
LONGEST = {"models": 400, "others": 500}


def module(path):
    """Returns the dotted name of a file: `zoo.data` for `zoo/data/__init__.py`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name):
    """Returns the folder of a module, `models` for those at the top of `zoo`."""
    parts = name.split(".")
    if parts[0] == "recipes":
        return "recipes"
    return parts[1] if parts[1:] and parts[1] in ALLOWED else "models"


FILES = {
    module(path): path
    for folder in ("zoo", "recipes")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
ENTRANCES = {"zoo", "zoo.__main__", "recipes"}  # of which anyone may import `zoo`
MODELS = sorted(
    name.split(".")[1]
    for name in FILES.keys() - ENTRANCES
    if room(name) == "models" and not name.startswith("recipes")
)


def imports(path):
    """Yields every module that a file imports, at any depth, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path):
    """Returns the modules of this project that a file imports."""
    found = set()
    for name in imports(path):
        parts = name.split(".")
        while parts and ".".join(parts) not in FILES:
            parts.pop()
        found.add(".".join(parts))
    return found - {""}


@pytest.mark.parametrize("name", sorted(FILES.keys() - ENTRANCES))
def test_dependencies_point_one_way(name):
    here = room(name)
    allowed = ALLOWED[here] | ({here} - {"recipes", "models"})
    for other in ours(FILES[name]) - ENTRANCES:
        assert room(other) in allowed, f"{name} ({here}) imports {other}"


def test_there_is_no_circle():
    graph = {name: ours(path) - {name} for name, path in FILES.items()}
    # A package's own page imports its rooms, and is imported with each of them.
    graph = {
        name: {other for other in others if not name.startswith(f"{other}.")}
        for name, others in graph.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, naming it


def test_nothing_private_of_another_package_is_imported():
    public = {"keras.src", "tensorflow.python", "tensorflow.lite.python"}
    for name, path in FILES.items():
        for imported in imports(path):
            parts = imported.split(".")
            private = [p for p in parts if re.match(r"_[a-z]", p)]
            foreign = parts[0] not in ("zoo", "recipes")
            hidden = any(imported.startswith(f"{p}.") for p in public)
            tools = imported.startswith("tensorflow.lite.tools")
            assert not (private or foreign and (hidden or tools)), f"{name}: {imported}"


@pytest.mark.parametrize("name", FILES)
def test_no_room_is_too_long(name):
    lines = len(FILES[name].read_text("utf-8").splitlines())
    kind = "models" if name.removeprefix("zoo.") in MODELS else "others"
    assert lines <= LONGEST[kind]


@pytest.mark.parametrize("model", MODELS)
def test_a_model_comes_with_a_recipe_a_test_and_a_row(model):
    assert (ROOT / "recipes" / f"{RECIPES.get(model, model)}.py").is_file()
    assert (ROOT / "tests" / f"test_{model}.py").is_file()
    assert f"(zoo/{model}.py)" in (ROOT / "README.md").read_text("utf-8")


def names(function):
    """Returns the names of a function's arguments."""
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    "name", [name for name in FILES if room(name) == "recipes" and name != "recipes"]
)
def test_a_recipe_keeps_its_protocol(name):
    recipe = importlib.import_module(name)
    assert issubclass(recipe.Config, settings.Settings)
    assert not set(recipe.Config.fixed) & {f.name for f in fields(recipe.Config)}
    protocol = Recipe if issubclass(recipe.Config, settings.Training) else Lesson
    for promised, function in vars(protocol).items():
        if inspect.isfunction(function) and not promised.startswith("_"):
            assert names(getattr(recipe, promised)) == names(function), promised
    if protocol is Recipe:
        assert names(recipe.main) == ["config"] and len(recipe.PROTOCOL) > 40


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
