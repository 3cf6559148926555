"""Writes a model's endpoints as a SavedModel, loadable by TensorFlow alone."""

import tensorflow as tf


def write_saved_model(model, signatures, directory):
    """Writes all endpoints into one SavedModel, loadable by TensorFlow alone.

    Only variables that some endpoint reads are stored, each once, and the first
    endpoint also answers to `serving_default`.

    Args:
        model: The model; its variables are looked through.
        signatures: What its `export_signatures` returned.
        directory: Of the SavedModel.

    Returns:
        Whether any endpoint loops.
    """
    module = tf.Module()
    endpoints = {}
    for name, (function, specs) in signatures.items():
        endpoints[name] = tf.function(function, input_signature=specs)
    concrete = {name: f.get_concrete_function() for name, f in endpoints.items()}
    # An optimizer's slots and an idle network are weights too, but nobody reads them.
    used = {id(t) for c in concrete.values() for t, _ in c.graph.captures}
    # The tf.Variables: Keras' own in a list would leave LiteRT files without weights.
    module.weights = [v.value for v in model.variables if id(v.value.handle) in used]
    first = next(iter(concrete.values()))
    tf.saved_model.save(
        module, str(directory), signatures={"serving_default": first, **concrete}
    )
    graphs = [function.graph.as_graph_def() for function in concrete.values()]
    return any(
        node.op in ("While", "StatelessWhile")
        for graph in graphs
        for nodes in (graph.node, *(f.node_def for f in graph.library.function))
        for node in nodes
    )
