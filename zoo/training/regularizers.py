"""What keeps a discriminator from winning too easily: objects to hand to a model.

    GAN(..., regularizers=[DiffAugment(), R1(1.0)])

A regularizer does one of three things or more, by default none:

    penalty     adds a term to the discriminator's loss: R1, GradientPenalty, LeCam
    constrain   restrains its weights after a step: WeightClipping
    augment     changes the images that it sees: InstanceNoise, DiffAugment

Spectral normalization is a fourth way and part of the networks, see
`zoo.networks.dcgan`.
"""

import math

import keras
import tensorflow as tf

from zoo.training.noise import normal, uniform
from zoo.training.registry import number, register
from zoo.training.step import all_replicas


class Regularizer(keras.layers.Layer):
    """The three hooks; a layer, so that its state is saved with the model."""

    #: Whether `penalty` takes each example's own slope, which a discriminator with
    #: batch statistics does not have.
    takes_slopes = False

    def __init__(self, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.built = True

    def augment(self, images, step):
        """Returns what the discriminator sees of images, real or fake.

        Args:
            images: `(batch, ...)`, float32.
            step: Updates of the discriminator so far, an integer tensor.
        """
        return images

    def penalty(self, discriminate, real, fake, real_logits, fake_logits):
        """Returns a scalar to add to the discriminator's loss.

        Args:
            discriminate: Function from examples, augmented or not, to `(batch, ...)`
                logits.
            real: `(batch, ...)`, as the discriminator saw them.
            fake: Same shape.
            real_logits: `(batch, ...)`.
            fake_logits: Same shape.
        """
        return 0.0

    def constrain(self, variables):
        """Changes the discriminator's variables in place, after each update."""

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        config = super().get_config()
        del config["dtype"]
        return config


def check_weight(weight):
    """Refuses a negative or infinite weight of a penalty.

    Raises:
        ValueError: If it is one.
    """
    if not 0 <= number(weight) < math.inf:
        raise ValueError(f"`weight` is 0 or more. Received weight={weight}.")


def augment(regularizers, images, step):
    """Returns images after all regularizers' `augment`, in order."""
    for regularizer in regularizers:
        images = regularizer.augment(images, step)
    return images


def penalty(regularizers, *arguments):
    """Returns the sum of all regularizers' `penalty`, a float32 scalar."""
    terms = [regularizer.penalty(*arguments) for regularizer in regularizers]
    return tf.add_n([tf.cast(term, tf.float32) for term in [0.0, *terms]])


def check(regularizers, networks):
    """Refuses what does not go together.

    Args:
        regularizers: A list of `Regularizer`.
        networks: A `zoo.networks.dcgan.Networks`; that it is one, `check_networks`
            there has seen to.

    Raises:
        ValueError: If something is not what it should be, or if a penalty of the slope
            meets a discriminator where examples depend on each other.
    """
    if isinstance(regularizers, Regularizer):
        raise ValueError(f"Give a list of regularizers. Received: {regularizers!r}.")
    for regularizer in regularizers:
        if not isinstance(regularizer, Regularizer):
            raise ValueError(
                f"Regularizers are objects such as R1(1.0). Received: {regularizer!r}."
            )
    penalties = [type(r).__name__ for r in regularizers if r.takes_slopes]
    if penalties and networks.has_batch_statistics:
        raise ValueError(
            f"{' and '.join(penalties)} needs a discriminator whose output depends on "
            "one example alone: set its normalization to 'none' or 'spectral'. "
            f"Received normalization={networks.normalization!r}."
        )


# ------------------------------------------------------- terms of the loss


def squared_slopes(discriminate, examples):
    """Returns the squared norm of each example's gradient of its mean logit, float32.

    Args:
        discriminate: From examples to `(batch, ...)` logits.
        examples: `(batch, ...)`.

    Returns:
        `(batch,)`, in squared logits per squared unit of the examples.
    """
    with tf.GradientTape() as tape:
        tape.watch(examples)
        logits = tf.cast(discriminate(examples), tf.float32)
        # (batch,): of a map of patches the mean
        logits = tf.reduce_mean(tf.reshape(logits, (tf.shape(logits)[0], -1)), axis=-1)
    # Each logit depends on its own example alone: the gradient of their sum has all.
    gradient = tf.cast(tape.gradient(logits, examples), tf.float32)  # (batch, ...)
    return tf.reduce_sum(tf.square(gradient), axis=range(1, len(gradient.shape)))


@register
class R1(Regularizer):
    """Half of `weight` times the squared slope of the discriminator at real examples.

    With it the game converges where the simple one circles.

    Args:
        weight: The paper's gamma. On images in [0, 1] slopes are twice those on images
            in [-1, 1]: a published weight of 10 is 2.5 here.

    Raises:
        ValueError: If `weight` is negative.

    Source:
        Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, equation 9.
    """

    takes_slopes = True

    def __init__(self, weight=1.0, **kwargs):
        super().__init__(**kwargs)
        check_weight(weight)
        self.weight = weight

    def penalty(self, discriminate, real, fake, real_logits, fake_logits):
        """Returns the term, from one more pass over the real examples."""
        return 0.5 * self.weight * tf.reduce_mean(squared_slopes(discriminate, real))

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "weight": self.weight}


@register
class GradientPenalty(Regularizer):
    """Draws the critic's slope to `target` on lines between real and fake examples.

    Args:
        weight: Of the squared difference, dimensionless.
        target: Slope, in units of the critic's output per unit of the examples. On
            images in [0, 1] a slope is twice that on images in [-1, 1].
        one_sided: Whether slopes below `target` are left alone.

    Raises:
        ValueError: If `weight` or `target` is negative.

    Source:
        Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, section 4 and
        algorithm 1; one-sided in its section 4, "Two-sided penalty".
    """

    takes_slopes = True

    def __init__(self, weight=10.0, target=1.0, one_sided=False, **kwargs):
        super().__init__(**kwargs)
        check_weight(weight)
        if not 0 <= number(target) < math.inf:
            raise ValueError(f"`target` is 0 or more. Received target={target}.")
        self.weight = weight
        self.target = target
        self.one_sided = one_sided
        self.seed_generator = keras.random.SeedGenerator()

    def penalty(self, discriminate, real, fake, real_logits, fake_logits):
        """Returns the term, from one more pass over examples in between."""
        # Uniform along each line: one draw per example.
        one = (tf.shape(real)[0], *[1] * (len(real.shape) - 1))
        share = uniform(one, self.seed_generator)  # (batch, 1, 1, 1)
        squares = squared_slopes(discriminate, share * real + (1.0 - share) * fake)
        # The root's own slope is infinite at 0, where identical examples lead.
        gap = tf.sqrt(squares + 1e-12) - self.target
        if self.one_sided:
            gap = tf.nn.relu(gap)
        return self.weight * tf.reduce_mean(tf.square(gap))

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {
            **super().get_config(),
            "weight": self.weight,
            "target": self.target,
            "one_sided": self.one_sided,
        }


@register
class LeCam(Regularizer):
    """Draws each side's logits to the running mean of the other side's.

    Meant for few training images, on which a discriminator would grow ever surer.

    Args:
        weight: Dimensionless.
        decay: Of the running means of the logits.

    Raises:
        ValueError: If `weight` is negative or `decay` not from 0 to below 1.

    Source:
        Tseng et al. 2021, https://arxiv.org/abs/2104.03310, equation 4.
    """

    def __init__(self, weight=0.01, decay=0.99, **kwargs):
        super().__init__(**kwargs)
        check_weight(weight)
        if not 0 <= number(decay) < 1:
            raise ValueError(f"`decay` is from 0 to below 1. Received decay={decay}.")
        self.weight = weight
        self.decay = decay
        self.real_mean = self._mean("real_mean")
        self.fake_mean = self._mean("fake_mean")

    def _mean(self, name):
        return self.add_weight((), "zeros", trainable=False, name=name)

    def penalty(self, discriminate, real, fake, real_logits, fake_logits):
        """Returns the term and moves the running means."""
        pairs = [(self.real_mean, real_logits), (self.fake_mean, fake_logits)]
        for mean, logits in pairs:
            # This batch's mean; the running one is a target and has no gradient.
            here = tf.reduce_mean(tf.cast(tf.stop_gradient(logits), tf.float32))
            here = all_replicas(here)  # or each would keep a mean of its own
            mean.assign(self.decay * mean + (1.0 - self.decay) * here)
        real_logits = tf.cast(real_logits, tf.float32)
        fake_logits = tf.cast(fake_logits, tf.float32)
        # Crossed: real logits to the mean of fake ones, fake ones to that of real ones.
        return self.weight * (
            tf.reduce_mean(tf.square(real_logits - self.fake_mean))
            + tf.reduce_mean(tf.square(fake_logits - self.real_mean))
        )

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "weight": self.weight, "decay": self.decay}


# ----------------------------------------------------------- of the weights


@register
class WeightClipping(Regularizer):
    """Cuts every weight of the critic to [-limit, limit] after each of its updates.

    Bounds the slope by an unknown number, and pushes the critic towards functions too
    simple; it is here because the paper starts with it.

    Args:
        limit: Largest absolute weight.

    Raises:
        ValueError: If `limit` is not above 0.

    Source:
        Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875, algorithm 1.
    """

    def __init__(self, limit=0.01, **kwargs):
        super().__init__(**kwargs)
        if not number(limit) > 0:
            raise ValueError(f"`limit` is above 0. Received limit={limit}.")
        self.limit = limit

    def constrain(self, variables):
        """Clips the variables in place."""
        for variable in variables:
            variable.assign(tf.clip_by_value(variable, -self.limit, self.limit))

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "limit": self.limit}


# ------------------------------------------- of what the discriminator sees


@register
class InstanceNoise(Regularizer):
    """Adds Gaussian noise to real and fake examples, less from step to step.

    Real and generated distributions lie on thin sheets that hardly meet, where a
    discriminator can be sure and its gradient useless; noise makes them overlap.

    Args:
        stddev: Of the noise at the start, in units of the examples.
        steps: Updates of the discriminator over which it falls to 0 along a line.

    Raises:
        ValueError: If `stddev` is negative or `steps` below 1.

    Source:
        Arjovsky & Bottou 2017, https://arxiv.org/abs/1701.04862, section 3; Sonderby
        et al. 2017, https://arxiv.org/abs/1610.04490, section 3.
    """

    def __init__(self, stddev=0.1, steps=10_000, **kwargs):
        super().__init__(**kwargs)
        if not (0 <= number(stddev) < math.inf and number(steps) >= 1):
            raise ValueError(
                "`stddev` is 0 or more and `steps` 1 or more. Received "
                f"stddev={stddev}, steps={steps}."
            )
        self.stddev = stddev
        self.steps = steps
        self.seed_generator = keras.random.SeedGenerator()

    def augment(self, images, step):
        """Returns the noisy examples."""
        left = 1.0 - tf.cast(step, tf.float32) / self.steps
        # A draw for real examples and another for fake ones: `augment` is called twice.
        noise = normal(tf.shape(images), self.seed_generator)  # (batch, ...)
        return images + self.stddev * tf.maximum(left, 0.0) * noise

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "stddev": self.stddev, "steps": self.steps}


@register
class DiffAugment(Regularizer):
    """Moves, recolours and covers all images that the discriminator sees.

    Real and fake alike and with gradients passing through, so that few real images go
    further and the generator does not learn to draw the changes.

    Args:
        policy: Any of `"color"` (brightness and contrast; of colour images saturation
            too), `"translation"` (up to an eighth of each side) and `"cutout"` (a
            square of half of each side).

    Raises:
        ValueError: If a policy is not one of these.

    Source:
        Zhao et al. 2020, https://arxiv.org/abs/2006.10738, sections 3.2 and 4.
    """

    def __init__(self, policy=("translation",), **kwargs):
        super().__init__(**kwargs)
        unknown = set(policy) - {"color", "translation", "cutout"}
        if unknown or isinstance(policy, str):
            raise ValueError(
                "`policy` is a sequence of 'color', 'translation' and 'cutout'. "
                f"Received policy={policy!r}."
            )
        self.policy = tuple(policy)
        self.seed_generator = keras.random.SeedGenerator()

    def augment(self, images, step):
        """Returns `(batch, height, width, channels)` images, each changed anew.

        Raises:
            ValueError: If they are points.
        """
        if len(images.shape) != 4:
            raise ValueError(
                "DiffAugment changes images, (batch, height, width, channels). "
                f"Received: shape {images.shape}."
            )
        for name in self.policy:
            images = getattr(self, name)(images)
        return images

    def color(self, images):
        """Shifts brightness by up to a quarter, scales saturation and contrast."""
        one = (tf.shape(images)[0], 1, 1, 1)  # a draw for each image
        images += 0.5 * (uniform(one, self.seed_generator) - 0.5)
        if images.shape[-1] > 1:
            grey = tf.reduce_mean(images, axis=-1, keepdims=True)  # (batch, h, w, 1)
            images = grey + (images - grey) * 2.0 * uniform(one, self.seed_generator)
        mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
        return mean + (images - mean) * (0.5 + uniform(one, self.seed_generator))

    def translation(self, images):
        """Moves each image by whole pixels; what comes in is black."""
        for axis in (1, 2):  # rows, then columns
            size = images.shape[axis]
            reach = max(1, round(size / 8))
            shift = uniform((tf.shape(images)[0], 1), self.seed_generator)
            # From -reach to reach, each as likely: (batch, 1).
            shift = tf.cast(tf.floor(shift * (2 * reach + 1)), tf.int32) - reach
            source = (
                tf.range(size)[None] + shift
            )  # (batch, size): where a pixel is from
            inside = tf.cast((source >= 0) & (source < size), images.dtype)
            source = tf.clip_by_value(source, 0, size - 1)
            images = tf.gather(images, source, axis=axis, batch_dims=1)
            # `inside` beside the other side and the channels: (batch, size, 1, 1).
            others = (3 - axis, 3)
            images *= tf.expand_dims(tf.expand_dims(inside, others[0]), others[1])
        return images

    def cutout(self, images):
        """Blackens a rectangle around a random pixel; it may reach over the edge."""
        masks = []
        for axis in (1, 2):
            size = images.shape[axis]
            centre = uniform((tf.shape(images)[0], 1), self.seed_generator) * size
            # Distance of each pixel's middle from the centre, (batch, size).
            gap = tf.abs(tf.range(size, dtype=tf.float32)[None] + 0.5 - centre)
            masks.append(gap < size / 4)
        covered = masks[0][:, :, None] & masks[1][:, None, :]  # (batch, h, w)
        return images * tf.cast(~covered, images.dtype)[..., None]

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "policy": self.policy}
