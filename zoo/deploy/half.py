"""Halves a LiteRT file: float16 weights that also survive a loop.

TensorFlow's converter stores half-precision weights beside operations of the kind
DEQUANTIZE, which the runtime evaluates once and then trusts: inside a loop that memory
is given to others, and the numbers are wrong. Here each weight passes a CAST instead,
evaluated at each turn.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

#: Bytes below which a constant stays as it is: shapes, scales, small biases.
SMALLEST = 1024
#: What every LiteRT file begins with.
IDENTIFIER = b"TFL3"


def half_weights(file):
    """Returns a LiteRT file whose large float32 constants are float16, if they fit.

    Args:
        file: Bytes of a float32 LiteRT file.

    Returns:
        Bytes of one about half as large, with the same signatures.
    """
    model = schema.ModelT.InitFromPackedBuf(bytearray(file), 0)
    float32, float16 = schema.TensorType.FLOAT32, schema.TensorType.FLOAT16
    # Several tensors, also of different signatures, may share one buffer.
    cast = _operator_code(model, schema.BuiltinOperator.CAST)

    large = set()
    for tensor in (t for graph in model.subgraphs for t in graph.tensors):
        data = model.buffers[tensor.buffer].data
        if tensor.type != float32 or data is None or len(data) < SMALLEST:
            continue
        values = np.asarray(data, np.uint8).view(np.float32)
        if np.abs(values).max() < np.finfo(np.float16).max:  # masks may not fit
            large.add(tensor.buffer)
    for index in large:
        data = np.asarray(model.buffers[index].data, np.uint8).view(np.float32)
        model.buffers[index].data = data.astype(np.float16).view(np.uint8)

    for graph in model.subgraphs:
        casts = []
        for index, tensor in enumerate(list(graph.tensors)):
            if tensor.buffer not in large:
                continue
            stored = schema.TensorT()
            stored.name = tensor.name + b"/half"
            stored.shape, stored.type = tensor.shape, float16
            stored.buffer, tensor.buffer = tensor.buffer, 0  # 0: computed, not stored
            # What read the constant now reads what the cast makes of it.
            graph.tensors.append(stored)
            casts.append(_cast(cast, len(graph.tensors) - 1, index, float16, float32))
        graph.operators[:0] = casts  # run in this order: before whatever reads them
    builder = flatbuffers.Builder(len(file))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _operator_code(model, builtin):
    """Adds an operation to those of the model; returns its index."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _cast(code, source, target, from_type, to_type):
    options = schema.CastOptionsT()
    options.inDataType, options.outDataType = from_type, to_type
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs = np.array([source], np.int32)
    operator.outputs = np.array([target], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.CastOptions
    operator.builtinOptions = options
    return operator
