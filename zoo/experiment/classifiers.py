"""Which preset classifies the images of a data set: said by the presets' cards alone.

Reads no weights and imports no TensorFlow, so that a command can ask before it loads
either.
"""

from zoo.deploy import presets

#: Data sets whose images are some of another's, and that other.
PART_OF = {"embedded": "fashion_mnist"}


def classifiers(shelf=presets.SHELF):
    """Returns the classifier of each data set that has one.

    A preset is a classifier if it exports `classify`; its card says what data it was
    trained on. Of several the first by name is taken, so that the same one is found
    wherever two models of that data are compared.

    Args:
        shelf: Directory of presets.

    Returns:
        `{data set: name of the preset}`.

    Example:
        >>> classifiers()["mnist"]
        'classifier_mnist'
    """
    found = {}
    for name in presets.names(shelf):
        try:
            card = presets.card(name, shelf)
            endpoints = {export["endpoint"] for export in card["exports"]}
            dataset = str(card["config"]["data"])
        except (ValueError, KeyError, TypeError):
            continue  # half a card says nothing; what lists presets reports it
        if "classify" in endpoints:
            found.setdefault(dataset, name)
    parts = {part: found[whole] for part, whole in PART_OF.items() if whole in found}
    return parts | found


def classifier_of(dataset, shelf=presets.SHELF):
    """Returns the preset that classifies images of a data set, "" if there is none.

    Args:
        dataset: The images' name, as recipes know it.
        shelf: Directory of presets.
    """
    return classifiers(shelf).get(dataset, "")
