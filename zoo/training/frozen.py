"""Networks that help to train and are no part of the model."""


class Frozen:
    """Holds a network that Keras shall neither train, count, save nor ship.

    As an attribute of a model, a network such as VGG would be all of that: 56 MiB in
    each file of a generator of 6. Held here it is out of Keras' sight, as it looks into
    layers, lists and dicts only:

        self.vgg = Frozen(vgg_features())        # made anew when the model is loaded
        distance = self.vgg(fake) - self.vgg(real)

    Gradients pass through to its inputs. Its weights are not in the model's file, so
    the model's `__init__` must make the same network again.

    Args:
        network: `keras.Model` or layer; from now on it is not trainable.
    """

    def __init__(self, network):
        network.trainable = False
        self.network = network

    def __call__(self, inputs):
        """Returns the network's outputs, always as in inference."""
        return self.network(inputs, training=False)
