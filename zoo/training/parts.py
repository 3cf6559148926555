"""Which parts of a model somebody froze, so that a file can keep it.

A file holds the arguments of a model and makes all else anew: without this, what was
frozen would train again after loading, and its optimizer would lose all slots.
"""


def frozen_parts(model, *optimizers):
    """Returns the frozen parts of a model, ready for JSON.

    Args:
        model: A `keras.Model`.
        *optimizers: Its optimizers.

    Returns:
        List of `[path, held]`: the part's place among the layers of layers, as indices,
        and whether an optimizer has slots for it, having been built before.
    """
    held = set()
    for optimizer in filter(None, optimizers):
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        held |= {id(variable) for variable in inner._trainable_variables}
    found = []

    def walk(layers, path):
        for index, layer in enumerate(layers):
            if layer.trainable:
                walk(getattr(layer, "layers", ()), [*path, index])
            elif layer.weights:
                slots = any(id(weight) in held for weight in layer.weights)
                found.append([[*path, index], slots])

    walk(model.layers, [])
    return found


def freeze(model, parts, held):
    """Freezes those parts of which `frozen_parts` said `held`, or said not."""
    for path, slots in parts:
        if slots == held:
            layer = model
            for index in path:
                layer = layer.layers[index]
            layer.trainable = False
