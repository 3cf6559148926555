"""VGG16 and VGG19 as feature networks: what people see alike is near in their layers.

    images in [0, 1] --mean colour away--> block1 .. block5 --> the layers asked for

Perceptual distance, SRGAN's content loss and style transfer look at different layers
of the same network, before or after the activation.
"""

from pathlib import Path

import keras
from keras import layers

#: Convolutions of each of the five blocks; a pooling follows each block.
VGG16 = (2, 2, 3, 3, 3)
VGG19 = (2, 2, 4, 4, 4)
#: Channels of each block.
WIDTHS = (64, 128, 256, 512, 512)
#: Mean colour of ImageNet in [0, 255], blue first, as the weights were trained.
MEAN = (103.939, 116.779, 123.68)
BEFORE = "_before"


def vgg16(outputs, weights="imagenet"):
    """Returns the features that VGG16 finds in images.

    The network is frozen. A model that only compares with its features should close
    over it rather than hold it as an attribute: held, its weights are saved, counted
    and shipped with the model's own (56 MB).

    Args:
        outputs: Names of layers, `block1_conv1` to `block5_pool`, as
            `keras.applications` calls them: a list, or a single one. With `_before`
            after it, a convolution's output before its activation.
        weights: "imagenet", which Keras downloads once (59 MB); the path of that file,
            the one without top; or `None` for random weights, to try a program.

    Shapes:
        in: `(batch, height, width, 3)` in [0, 1], any height and width; 16 pixels a
            side or more for `block5`.
        out: `(batch, height, width, channels)` of the layer, or a list of these; each
            pooling halves both sides, rounding down.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If there is no such layer, or the file holds other weights.
        OSError: If the weights cannot be downloaded or read.

    Source:
        Simonyan & Zisserman 2014, https://arxiv.org/abs/1409.1556, table 1, column D.

    Example:
        >>> features = vgg16("block2_conv2_before", weights=None)
        >>> features(keras.ops.zeros((1, 20, 30, 3))).shape
        TensorShape([1, 10, 15, 128])
    """
    return _vgg("vgg16", VGG16, outputs, weights)


def vgg19(outputs, weights="imagenet"):
    """Returns the features that VGG19 finds in images.

    As `vgg16`, with four convolutions in each of the last three blocks. SRGAN's
    phi_{5,4} is `block5_conv4`; style transfer looks at `block1_conv1` to
    `block5_conv1`.

    Args:
        outputs: As for `vgg16`.
        weights: As for `vgg16`; 80 MB.

    Source:
        Simonyan & Zisserman 2014, https://arxiv.org/abs/1409.1556, table 1, column E.
    """
    return _vgg("vgg19", VGG19, outputs, weights)


def _vgg(name, depths, outputs, weights):
    wanted = [outputs] if isinstance(outputs, str) else list(outputs)
    images = keras.Input((None, None, 3), name="images")
    # (batch, height, width, 3), blue first and around the mean colour
    x = 255.0 * images[..., ::-1] - keras.ops.convert_to_tensor(MEAN)
    found = {}
    for block, (depth, width) in enumerate(zip(depths, WIDTHS, strict=True), start=1):
        for index in range(1, depth + 1):
            convolution = f"block{block}_conv{index}"
            x = layers.Conv2D(width, 3, padding="same", name=convolution)(x)
            found[convolution + BEFORE] = x  # (batch, height, width, width of block)
            x = layers.ReLU(name=f"{convolution}_relu")(x)
            found[convolution] = x
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
        found[f"block{block}_pool"] = x  # (batch, height / 2, width / 2, ...)
    unknown = [layer for layer in wanted if layer not in found]
    if unknown or not wanted:
        raise ValueError(
            f"{name} has the layers {', '.join(n for n in found if BEFORE not in n)}; "
            f"with {BEFORE} after a convolution's name, its output before the "
            f"activation. Received: {', '.join(unknown) or 'none'}."
        )
    whole = keras.Model(images, x, name=name)
    if weights is not None:
        _load(whole, name, weights)
    tensors = [found[layer] for layer in wanted]
    tensors = tensors[0] if isinstance(outputs, str) else tensors
    # Layers above the last one that is wanted are left behind here.
    network = keras.Model(images, tensors, name=f"{name}_features")
    network.trainable = False
    return network


def _load(network, name, weights):
    """Copies the weights that `keras.applications` reads, one by one."""
    application = getattr(keras.applications, name.upper())
    try:
        if weights != "imagenet" and not Path(weights).is_file():
            raise OSError("there is no such file.")
        source = application(include_top=False, weights=str(weights))
    except ValueError as error:
        raise ValueError(
            f"{weights} does not hold the weights of {name.upper()} without top. Give "
            f"the file that keras.applications reads. Received: {error}"
        ) from error
    except Exception as error:  # Keras raises a bare Exception without a network
        raise OSError(
            f"{name.upper()}'s weights {str(weights)!r} could not be had: {error} "
            "Connect to the network, or pass `weights` the path of the file without "
            "top from keras.applications, downloaded elsewhere."
        ) from error
    for layer in source.layers:
        if isinstance(layer, layers.Conv2D):
            network.get_layer(layer.name).set_weights(layer.get_weights())
