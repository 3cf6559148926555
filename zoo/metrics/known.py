"""Extractors that the field knows by name, and any by the name of its file.

    by_name("inception_v3_keras")                  the weights that Keras distributes
    by_name("inception_2015", "graph.pb")          the network that defined the FID
    by_name("efficientnet_lite0", "x.weights.h5")  a light one for photographs
    by_name("folder/model.keras")                  one's own, or a SavedModel

Only the second gives numbers that can be compared with published ones.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from zoo.metrics.extractors import Extractor, digest, of_model, of_saved_model
from zoo.training.loading import load_model


def inception_v3_keras(weights="imagenet", resize="clean"):
    """Returns Inception v3 with the weights that Keras distributes.

    Trained anew, not the network that defined the FID: numbers made with it are of
    the same kind but not of the same value as published ones.

    Args:
        weights: "imagenet", which Keras downloads once (96 MB); the path of that file;
            or `None` for random weights, to try a program.
        resize: As for `Extractor`.

    Raises:
        OSError: If the weights cannot be downloaded or read.
    """
    try:
        model = keras.applications.InceptionV3(
            weights=weights, classifier_activation=None
        )
    except Exception as error:  # Keras raises a bare Exception without a network
        raise OSError(
            f"Inception v3's weights {weights!r} could not be had: {error} Connect to "
            "the network, or pass `weights` the path of the file from "
            "keras.applications, downloaded elsewhere."
        ) from error
    name = "inception_v3_random" if weights is None else "inception_v3_keras"
    return of_model(
        model, name, layer="avg_pool", value_range=(-1.0, 1.0), resize=resize
    )


def inception_2015(weights, resize="clean"):
    """Returns the network that defined the FID, from its original frozen graph.

    Only this one gives numbers to compare with published ones: with
    `resize="legacy_tensorflow"` those of the first papers, with "clean" clean-fid's.
    Logits are without bias, as in the Inception Score's program.

    Args:
        weights: Path of `classify_image_graph_def.pb`, from TensorFlow's
            `inception-2015-12-05.tgz`.
        resize: As for `Extractor`.

    Raises:
        ValueError: If the file is another graph.

    Source:
        Heusel et al. 2017, https://arxiv.org/abs/1706.08500, section 2.
    """
    content = Path(weights).read_bytes()
    graph = tf.compat.v1.GraphDef()

    def imported(images):
        pool, product = tf.graph_util.import_graph_def(
            graph,
            input_map={"ExpandDims:0": images},
            return_elements=["pool_3:0", "softmax/logits/MatMul"],
        )
        features = tf.reduce_mean(pool, (1, 2))
        return features, features @ product.inputs[1]

    try:
        graph.ParseFromString(content)
        network = tf.compat.v1.wrap_function(
            imported, [tf.TensorSpec((None, 299, 299, 3), tf.float32)]
        )
    except Exception as error:  # protobuf's DecodeError is a plain Exception
        raise ValueError(
            f"{weights} is not Inception's graph of 2015: {error} Give the path of "
            "classify_image_graph_def.pb from inception-2015-12-05.tgz."
        ) from error
    return Extractor(
        "inception_2015",
        network,
        size=(299, 299),
        channels=3,
        value_range=(0.0, 255.0),
        resize=resize,
        fingerprint=digest([content]),
    )


def efficientnet_lite0(weights, resize="clean"):
    """Returns EfficientNet-Lite0, a light extractor for photographs.

    Args:
        weights: Path of a Keras `.weights.h5` file; `None` for random weights, to try
            a program.
        resize: As for `Extractor`.

    Raises:
        ValueError: If the file holds other weights.
        OSError: If it cannot be read.

    Source:
        Tan & Le 2019, https://arxiv.org/abs/1905.11946, section 4; "lite" leaves out
        squeeze-and-excitation and takes ReLU6 instead of swish.
    """
    model = efficientnet_lite0_network()
    if weights is not None:
        model.load_weights(weights)
    name = "efficientnet_lite0" + ("_random" if weights is None else "")
    return Extractor(
        name,
        lambda images: model(images, training=False)[::-1],
        size=(224, 224),
        channels=3,
        value_range=(-127 / 128, 1.0),  # (x - 127) / 128 for x from 0 to 255
        resize=resize,
        fingerprint=digest(np.asarray(v).tobytes() for v in model.variables),
    )


#: EfficientNet-Lite0: blocks in a row, kernel, stride of the first, expansion, filters.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def efficientnet_lite0_network():
    """Returns EfficientNet-Lite0: images to (logits, pooled features)."""

    def normalized(x, layer, relu=True):
        x = layers.BatchNormalization(epsilon=1e-3)(layer(x))
        return layers.ReLU(6.0)(x) if relu else x

    def pointwise(filters):
        return layers.Conv2D(filters, 1, use_bias=False)

    images = keras.Input((224, 224, 3), name="images")
    x = normalized(
        images, layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)
    )
    # 224 pixels a side become 112 here, and 112, 56, 28, 14, 14, 7, 7 by stages.
    for blocks, kernel, stride, expansion, filters in STAGES:
        for block in range(blocks):
            before, strides = x, stride if block == 0 else 1
            if expansion > 1:
                x = normalized(x, pointwise(expansion * x.shape[-1]))
            depthwise = layers.DepthwiseConv2D(
                kernel, strides, padding="same", use_bias=False
            )
            x = normalized(x, depthwise)
            x = normalized(x, pointwise(filters), relu=False)
            if block:  # the first of a stage changes width or size
                x = layers.Add()([before, x])
    x = normalized(x, pointwise(1280))
    features = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, [layers.Dense(1000)(features), features])


def by_name(source, weights=None, resize="clean"):
    """Returns a known extractor, or that of a file: what a command line takes.

    Args:
        source: "inception_v3_keras", "inception_2015" or "efficientnet_lite0"; or the
            path of a `.keras` file or a SavedModel, named after it.
        weights: Path of the weights of a known network; Inception v3 of Keras does
            without.
        resize: As for `Extractor`.

    Raises:
        ValueError: If it is none of these, or needs weights.
    """
    if source == "inception_v3_keras":
        return inception_v3_keras(weights or "imagenet", resize)
    known = {f.__name__: f for f in (inception_2015, efficientnet_lite0)}
    if source in known:
        if weights is None:
            raise ValueError(
                f"{source} does not come with the zoo: give the path of its weights "
                "(--weights)."
            )
        return known[source](weights, resize)
    path = Path(source)
    if path.suffix == ".keras" and path.is_file():
        return of_model(load_model(path), path.stem, resize=resize)
    if (path / "saved_model.pb").is_file():
        path = path.resolve()
        name = path.parent.name if path.name.isdigit() else path.name  # a version
        return of_saved_model(path, name, resize=resize)
    raise ValueError(
        f"There is no extractor {str(source)!r}. Give inception_v3_keras, "
        f"{', '.join(known)}, a .keras file or the folder of a SavedModel."
    )
