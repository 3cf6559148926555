"""A memory of past images for a discriminator."""

import keras
import tensorflow as tf

from zoo.training.noise import uniform
from zoo.training.registry import check_counts


class Pool(keras.layers.Layer):
    """Keeps past fakes, so that a discriminator does not forget what it has learnt.

    A discriminator that sees the newest fakes alone lets the generator come back to
    old tricks; shown half old ones, the two circle less.

    The images are in the model's `.keras` file, so that a resumed run goes on exactly;
    but they are no weights: nothing counts them, and a model made anew from its
    configuration and weights, as a preset is, has an empty pool. On replicas each has
    a pool of its own, and the first one's is saved for all.

    Args:
        size: Images kept; the paper takes 50.
        image_shape: `(height, width, channels)`.

    Raises:
        ValueError: If one of them is not positive.

    Source:
        Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828, section 2.3; as
        Zhu et al. 2017, https://arxiv.org/abs/1703.10593, section 4.
    """

    def __init__(self, size, image_shape, **kwargs):
        check_counts(size=size, image_shape=image_shape)
        super().__init__(dtype="float32", trainable=False, **kwargs)
        self.size = size
        self.image_shape = tuple(image_shape)
        self.seed_generator = keras.random.SeedGenerator()
        own = {
            "synchronization": tf.VariableSynchronization.ON_READ,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
            "trainable": False,
        }
        images = tf.Variable(tf.zeros((size, *self.image_shape)), **own)
        filled = tf.Variable(0, **own)
        # In a function Keras does not look for variables.
        self.state = lambda: (images, filled)  # (size, *image_shape); how many are real
        self.built = True

    def query(self, images):
        """Returns images for the discriminator, some of them old, and keeps others.

        One image after the other: while the pool is not full it is kept and returned;
        then, with probability 1/2, it takes the place of a random old one, which is
        returned instead.

        Args:
            images: `(batch, *image_shape)`; no gradient goes through.

        Returns:
            Same shape, float32.
        """
        stored, filled = self.state()
        images = tf.cast(tf.stop_gradient(images), tf.float32)
        batch = tf.shape(images)[0]
        swaps = uniform((batch,), self.seed_generator) < 0.5  # (batch,)
        places = uniform((batch,), self.seed_generator) * self.size
        places = tf.cast(places, tf.int32)  # (batch,), from 0 to size - 1

        def body(index, memory, filled, shown):
            new = images[index]  # (height, width, channels)
            filling = filled < self.size
            place = tf.where(filling, filled, places[index])
            old = memory[place]
            keep = filling | swaps[index]
            shown = shown.write(index, tf.where(swaps[index] & ~filling, old, new))
            kept = tf.where(keep, new, old)[None]  # (1, height, width, channels)
            memory = tf.tensor_scatter_nd_update(memory, [[place]], kept)
            return index + 1, memory, tf.minimum(filled + 1, self.size), shown

        # A loop, as an image may be handed out later in the batch that brought it.
        shown = tf.TensorArray(tf.float32, batch, element_shape=self.image_shape)
        _, memory, count, shown = tf.while_loop(
            lambda index, *_: index < batch,
            body,
            (0, stored.read_value(), filled.read_value(), shown),
            parallel_iterations=1,
        )
        stored.assign(memory)
        filled.assign(count)
        return tf.ensure_shape(shown.stack(), (images.shape[0], *self.image_shape))

    # An empty pool leaves nothing in the file: old files and presets load with one.

    def save_own_variables(self, store):
        """Writes the images kept so far into a `.keras` file."""
        images, filled = (variable.numpy() for variable in self.state())
        if filled:
            store["images"] = images[:filled]

    def load_own_variables(self, store):
        """Takes back what `save_own_variables` wrote."""
        if "images" in store:
            images, filled = self.state()
            kept = tf.constant(store["images"][:])
            blank = tf.zeros((self.size - len(kept), *self.image_shape))
            images.assign(tf.concat([kept, blank], axis=0))
            filled.assign(len(kept))
