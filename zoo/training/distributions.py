"""The two ends of a latent-variable model: likelihoods of images, priors of codes.

A likelihood turns a decoder's outputs into a distribution of images; a prior is the
distribution that codes are drawn from. Both are layers, because both can have weights
to learn, and both are interchangeable arguments of a model.
"""

import functools
import math

import keras
import tensorflow as tf

from zoo.training import export_inputs
from zoo.training.densities import (
    bernoulli_nll,
    gaussian_nll,
    kl_to_standard_normal,
    mixture_log_density,
    normal_log_density,
)
from zoo.training.registry import number, positive, register


@register
class Bernoulli(keras.layers.Layer):
    """Independent black-or-white pixels; the decoder's outputs are logits.

    The usual choice for images that are mostly black or white, binarized or not. On
    grey pixels its `nll` is a cross-entropy and not a log-likelihood.
    """

    continuous = False

    def nll(self, images, outputs):
        """Returns the negative log-likelihood, `(batch,)`, nats per image."""
        return bernoulli_nll(images, outputs)

    def mean(self, outputs):
        """Returns the expected images, in [0, 1]."""
        return tf.sigmoid(tf.cast(outputs, tf.float32))


@register
class Gaussian(keras.layers.Layer):
    """Independent Gaussian pixels of one variance; the decoder's outputs are means.

    Args:
        variance: Squared standard deviation of a pixel, in squared units of the
            images; `None` learns it, which spares tuning the weight of the KL term.
        **kwargs: Passed to `keras.layers.Layer`.

    Raises:
        ValueError: If `variance` is not positive.

    Source:
        Kingma & Welling 2013, https://arxiv.org/abs/1312.6114, appendix C.2; one
        learned variance, Rybkin et al. 2021, https://arxiv.org/abs/2006.13202.
    """

    continuous = True

    def __init__(self, variance=None, **kwargs):
        if variance is not None and not 0 < number(variance) < math.inf:
            raise ValueError(
                "`variance` must be positive, or None to learn it. Received "
                f"variance={variance}."
            )
        super().__init__(**kwargs)
        self.variance = variance
        if variance is None:
            self.log_variance = self.add_weight(
                # The logarithm: any real value is a variance.
                shape=(),
                initializer="zeros",
                dtype="float32",
                name="log_variance",
            )
        else:
            self.log_variance = math.log(variance)
        self.built = True

    def nll(self, images, outputs):
        """Returns the negative log-density, `(batch,)`, nats per image."""
        return gaussian_nll(images, outputs, self.log_variance)

    def mean(self, outputs):
        """Returns the expected images; nothing keeps them inside [0, 1]."""
        return tf.cast(outputs, tf.float32)

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "variance": self.variance}


class Prior(keras.layers.Layer):
    """A mixture of Gaussians over codes; subclasses say which.

    Args:
        components: Number of Gaussians.
        **kwargs: Passed to `keras.layers.Layer`.
    """

    def __init__(self, components, **kwargs):
        if not positive(components):
            raise ValueError(f"`components` must be 1 or more. Received {components}.")
        super().__init__(**kwargs)
        self.components = components

    def attach(self, image_shape, latent_dim):
        """Creates the weights; a model calls it once, with its own two shapes."""
        self.built = True

    def mixture(self, encode):
        """Returns the prior as a mixture, `(log_weights, means, log_variances)`.

        Args:
            encode: The model's encoder, `images -> (means, log_variances)`.
        """
        raise NotImplementedError

    def kl(self, codes, mean, log_variance, encode):
        """Estimates the KL divergence of the posterior from this prior.

        A mixture has no closed form, so this is the unbiased one-sample estimate
        `log q(z|x) - log p(z)`, which can be negative for a single example.

        Args:
            codes: `(batch, latent_dim)`, drawn from the posterior.
            mean: `(batch, latent_dim)`, of the posterior.
            log_variance: `(batch, latent_dim)`, natural log.
            encode: The model's encoder.

        Returns:
            `(batch,)`, nats.
        """
        posterior = normal_log_density(codes, mean, log_variance)  # (batch,)
        return posterior - self.log_density(codes, encode)

    def log_density(self, codes, encode):
        """Returns `log p(codes)`, `(batch,)`, nats."""
        return mixture_log_density(codes, *self.mixture(encode))

    def codes(self, noise, uniform, encode):
        """Turns noise into codes distributed as this prior.

        Args:
            noise: `(count, latent_dim)`, standard normal.
            uniform: `(count,)` in [0, 1): picks the component.
            encode: The model's encoder.

        Returns:
            `(count, latent_dim)`.
        """
        log_weights, means, log_variances = self.mixture(encode)
        # Component k where `uniform` lies between the k-th and the next edge.
        edges = tf.cumsum(tf.exp(log_weights))[:-1]  # (components - 1,)
        chosen = tf.reduce_sum(
            tf.cast(tf.expand_dims(uniform, 1) >= edges, tf.int32), axis=1
        )  # (count,)
        spread = tf.exp(0.5 * tf.gather(log_variances, chosen))
        return tf.gather(means, chosen) + spread * noise

    def sample(self, rng, shape, encode, temperature=1.0):
        """Samples codes of a shape `(count, latent_dim)` by NumPy's generator.

        Args:
            rng: A `numpy.random.Generator`.
            shape: Of the codes.
            encode: The model's encoder.
            temperature: Factor on the standard deviation around a component's mean.
        """
        noise = temperature * rng.standard_normal(shape)
        parts = (tf.cast(part, tf.float32) for part in (noise, rng.random(shape[0])))
        return self.codes(*parts, encode)

    def export_inputs(self, encode):
        """Returns how codes and what `codes` makes them of are distributed."""
        sample = functools.partial(self.sample, encode=encode)
        return {
            "codes": sample,
            "noise": export_inputs.normal,
            "uniform": export_inputs.uniform,
        }


@register
class StandardNormal(Prior):
    """`N(0, 1)` in every dimension, with the KL divergence in closed form.

    Source:
        Kingma & Welling 2013, https://arxiv.org/abs/1312.6114, appendix B.
    """

    def __init__(self, **kwargs):
        super().__init__(components=1, **kwargs)

    def attach(self, image_shape, latent_dim):
        """Remembers the length of a code."""
        self.latent_dim = latent_dim
        super().attach(image_shape, latent_dim)

    def mixture(self, encode):
        """Returns the one component."""
        # The log of weight 1, mean 0, and the log of variance 1.
        zeros = tf.zeros((1, self.latent_dim))
        return tf.zeros(1), zeros, zeros

    def kl(self, codes, mean, log_variance, encode):
        """Returns the exact divergence, `(batch,)`, nats; `codes` are not looked at."""
        return kl_to_standard_normal(mean, log_variance)


@register
class MixtureOfGaussians(Prior):
    """A learned mixture of diagonal Gaussians.

    Args:
        components: Number of Gaussians.
        **kwargs: Passed to `keras.layers.Layer`.

    Source:
        The "MoG prior" of Tomczak & Welling 2018, https://arxiv.org/abs/1705.07120,
        section 5.
    """

    def __init__(self, components=10, **kwargs):
        super().__init__(components, **kwargs)

    def attach(self, image_shape, latent_dim):
        """Creates weights, means and variances; the means start as `N(0, 1)` draws."""
        shape = (self.components, latent_dim)
        # Weights are a softmax: all start equal. In float32: densities overflow halves.
        self.logits = self.add_weight(
            name="logits", shape=shape[:1], initializer="zeros", dtype="float32"
        )
        self.means = self.add_weight(
            name="means",
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            dtype="float32",
        )
        self.log_variances = self.add_weight(
            name="log_variances", shape=shape, initializer="zeros", dtype="float32"
        )
        super().attach(image_shape, latent_dim)

    def mixture(self, encode):
        """Returns the learned components."""
        return (
            tf.nn.log_softmax(self.logits),  # (components,), sums to 1
            tf.convert_to_tensor(self.means),
            tf.convert_to_tensor(self.log_variances),
        )

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "components": self.components}


@register
class VampPrior(Prior):
    """The average posterior of learned pseudo-inputs.

    The best prior for the evidence lower bound is the average posterior of the whole
    training set; `components` images that training itself invents stand in for it.
    Every training step encodes them all: 500 cost as much as 500 more images.

    Args:
        components: Number of pseudo-inputs; all weigh the same.
        **kwargs: Passed to `keras.layers.Layer`.

    Source:
        Tomczak & Welling 2018, https://arxiv.org/abs/1705.07120, section 3. There a
        hard tanh keeps the pseudo-inputs within [0, 1]; here they are projected back
        after each step, as its gradient dies outside.
    """

    def __init__(self, components=500, **kwargs):
        super().__init__(components, **kwargs)

    def attach(self, image_shape, latent_dim):
        """Creates the pseudo-inputs, dark and all a little different."""
        self.pseudo_inputs = self.add_weight(
            name="pseudo_inputs",
            shape=(self.components, *image_shape),
            # Equal ones would get equal gradients and stay one component for ever.
            initializer=keras.initializers.RandomUniform(0.0, 0.1),
            constraint=lambda images: keras.ops.clip(images, 0.0, 1.0),
            dtype="float32",
        )
        super().attach(image_shape, latent_dim)

    def fit(self, batches, encode, optimizer):
        """Moves the pseudo-inputs alone so that given codes become likely.

        Args:
            batches: Iterable of codes, `(batch, latent_dim)` each.
            encode: A model's encoder, which stays as it is.
            optimizer: A `keras.optimizers.Optimizer`.
        """
        optimizer.build([self.pseudo_inputs])

        @tf.function
        def update(codes):
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(self.log_density(codes, encode))
            gradients = tape.gradient(loss, [self.pseudo_inputs.value])
            optimizer.apply(gradients, [self.pseudo_inputs])

        for codes in batches:
            update(codes)

    def mixture(self, encode):
        """Returns the posteriors of the pseudo-inputs."""
        # (components, latent_dim) each; gradients reach encoder and pseudo-inputs.
        means, log_variances = encode(tf.convert_to_tensor(self.pseudo_inputs))
        log_weight = -math.log(self.components)
        return tf.fill((self.components,), log_weight), means, log_variances

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "components": self.components}


def check(likelihood, prior, beta, deterministic):
    """Refuses what is no likelihood, prior or weight of the divergence between them.

    Args:
        likelihood: An object, or `None` for the default.
        prior: An object, or `None` for the default.
        beta: A number or a schedule.
        deterministic: Whether codes have no density, hence no divergence.

    Raises:
        ValueError: If one is of another kind, such as a name or a class, or if they do
            not go together.
    """
    if not callable(beta) and not 0 <= number(beta) < math.inf:
        raise ValueError(
            "`beta` is 0 or more, or a `keras.optimizers.schedules` object. Received "
            f"beta={beta!r}."
        )
    likely = isinstance(likelihood, keras.layers.Layer) and hasattr(likelihood, "nll")
    if likelihood is not None and not likely:
        raise ValueError(
            "`likelihood` is an object such as Bernoulli() or Gaussian(). Received: "
            f"{likelihood!r}."
        )
    if prior is not None and not isinstance(prior, Prior):
        raise ValueError(
            "`prior` is an object such as StandardNormal() or VampPrior(500). "
            f"Received: {prior!r}."
        )
    if deterministic and (beta != 0 or prior is not None):
        raise ValueError(
            "A deterministic code has no divergence from a prior: pass beta=0 and no "
            f"`prior`. Received beta={beta}, prior={prior}."
        )
