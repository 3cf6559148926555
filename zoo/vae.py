"""Variational autoencoder for images.

Kingma & Welling 2013, "Auto-Encoding Variational Bayes",
https://arxiv.org/abs/1312.6114. With `beta` other than 1 this is the beta-VAE of
Higgins et al. 2017, https://openreview.net/forum?id=Sy2fzU9gl; with a `VampPrior` that
of Tomczak & Welling 2018, https://arxiv.org/abs/1705.07120; with the Cauchy-Schwarz
divergence the autoencoder of Tran et al. 2022, https://arxiv.org/abs/2101.02149; with
`beta=0, deterministic=True` a plain autoencoder.

    image --encoder--> mean, log_variance --sampling--> code --decoder--> outputs

Families of encoders and decoders are in `zoo.networks.autoencoders`, likelihoods and
priors in `zoo.training.distributions`, their closed forms in `zoo.training.densities`.
"""

import functools
import math

import keras
import numpy as np
import tensorflow as tf

from zoo.networks.autoencoders import Convolutional, check_networks
from zoo.training.densities import (
    bits_per_dim,
    cauchy_schwarz_to_mixture,
    importance_sampled_nll,
    normal_log_density,
)
from zoo.training.distributions import Bernoulli, StandardNormal, check
from zoo.training.inputs import look
from zoo.training.model import Model, policy_of
from zoo.training.noise import normal
from zoo.training.registry import as_tuple, check_counts, number, register
from zoo.training.step import means, minimize, track, unpack


@register
class VAE(Model):
    """Learns a code for images, and images for codes.

    Args:
        image_shape: `(height, width, channels)`, any size.
        latent_dim: Length of a code.
        networks: `Convolutional(...)` (default), `Dense(...)`, or anything with the
            same two methods.
        likelihood: `Bernoulli()` (default) or `Gaussian(...)`, of
            `zoo.training.distributions`.
        prior: `StandardNormal()` (default), `MixtureOfGaussians(...)` or
            `VampPrior(...)`, of `zoo.training.distributions`.
        divergence: Between the posterior and the prior: `"kl"`, exact for the
            standard normal and a one-sample estimate otherwise, or
            `"cauchy_schwarz"`, exact for all.
        beta: Weight of the divergence, dimensionless: 1 gives the evidence lower
            bound. A `keras.optimizers.schedules` object, taken at the optimizer's
            step, warms it up.
        deterministic: Decodes the mean code and drops the divergence, as a plain
            autoencoder does; with `beta=0` only.
        **kwargs: Passed to `keras.Model`.

    Shapes:
        in: `(batch, *image_shape)`, float, in [0, 1].
        out: Same; each pixel's expected value, decoded from the *mean* code, hence
            the same at every call.

    Raises:
        ValueError: If an argument is not one of the above, naming it.

    Logs:
        loss: `reconstruction + beta * divergence`, nats per image.
        negative_elbo: `reconstruction + divergence`, nats per image: whatever `beta`
            is, the number to compare models by. With the KL divergence it bounds the
            negative log-likelihood from above.
        reconstruction: Negative log-likelihood of the image given a code drawn from
            its posterior, nats per image.
        divergence: Of the posterior from the prior, nats per image.
        bits_per_dim: `negative_elbo` in bits per pixel value; only for a Gaussian
            likelihood.

    Example:
        >>> model = VAE(image_shape=(28, 28, 1), latent_dim=2)
        >>> model.compile("adam")
        >>> history = model.fit(digits, batch_size=128, epochs=10)
        >>> model.sample(16).shape
        TensorShape([16, 28, 28, 1])
    """

    renamed = {"network": "networks"}
    reads_images = True

    def __init__(
        self,
        image_shape=(28, 28, 1),
        latent_dim=10,
        networks=None,
        likelihood=None,
        prior=None,
        divergence="kl",
        beta=1.0,
        deterministic=False,
        **kwargs,
    ):
        image_shape, networks = as_tuple(image_shape), networks or Convolutional()
        check_counts(image_shape=image_shape, latent_dim=latent_dim)
        check_networks(networks, image_shape)
        check(likelihood, prior, beta, deterministic)
        if divergence not in ("kl", "cauchy_schwarz"):
            raise ValueError(
                "`divergence` is 'kl' or 'cauchy_schwarz'. Received "
                f"divergence={divergence!r}."
            )
        super().__init__(**kwargs)
        self.image_shape = image_shape
        self.latent_dim = latent_dim
        self.networks = networks
        self.likelihood = likelihood or Bernoulli()
        self.prior = prior or StandardNormal()
        self.divergence = divergence
        self.beta = beta
        self.deterministic = deterministic

        with policy_of(self):
            self.encoder = self.networks.encoder(self.image_shape, latent_dim)
            self.decoder = self.networks.decoder(self.image_shape, latent_dim)
        self.prior.attach(self.image_shape, latent_dim)
        if deterministic:  # nothing reads the second head, so nothing would train it
            self.encoder.get_layer("log_variance").trainable = False
        self.seed_generator = keras.random.SeedGenerator()
        names = ["loss", "negative_elbo", "reconstruction", "divergence"]
        self.trackers = means(*names, *["bits_per_dim"] * self.likelihood.continuous)
        self.built = True  # both networks are functional: their weights exist now

    # ---------------------------------------------------------------- inference

    def encode(self, images):
        """Returns `(mean, log_variance)`, each `(batch, latent_dim)`."""
        return self.encoder(look(images, self.image_shape), training=False)

    def decode(self, codes):
        """Returns the expected images of `(batch, latent_dim)` codes."""
        return self.likelihood.mean(self.decoder(codes, training=False))

    def call(self, images, training=False):
        """Returns reconstructions: the expected images of the mean codes."""
        mean, _ = self.encoder(look(images, self.image_shape), training=training)
        return self.likelihood.mean(self.decoder(mean, training=training))

    transform = call  #: what `zoo apply` writes of images

    def sample(self, count, temperature=1.0, seed=None, sampler=None):
        """Decodes codes drawn from the prior, or from another sampler.

        Args:
            count: Number of images.
            temperature: Factor on the standard deviation of the codes around their
                component's mean; below 1 gives more typical, less diverse images.
            seed: Integer; the same seed gives the same images.
            sampler: What `fit_sampler` returned, to draw codes from; no `temperature`.

        Returns:
            `(count, *image_shape)` images.

        Raises:
            ValueError: If `temperature` is negative or `count` not positive.
        """
        check_counts(count=count)
        if not 0 <= number(temperature) < math.inf:
            raise ValueError(f"`temperature` is 0 or more. Received {temperature}.")
        rng = np.random.default_rng(seed)
        if sampler is not None:
            sampler.set_params(random_state=int(rng.integers(2**31)))
            return self.decode(sampler.sample(count)[0].astype("float32"))
        shape = count, self.latent_dim
        return self.decode(self.prior.sample(rng, shape, self.encode, temperature))

    def fit_sampler(self, images, components=10, seed=0):
        """Fits a Gaussian mixture to the codes of images, as a sampler for `sample`.

        The average posterior is not the prior; drawing from where the codes really
        lie avoids the holes, and lets even a plain autoencoder generate.

        Args:
            images: Array `(count, *image_shape)` in [0, 1], at least `components`.
            components: Gaussians, each with a full covariance.
            seed: Of the fit's initialisation.

        Returns:
            A fitted `sklearn.mixture.GaussianMixture`.

        Source:
            Ghosh et al. 2020, https://arxiv.org/abs/1903.12436, section 4.
        """
        from sklearn.mixture import GaussianMixture

        parts = np.array_split(images, math.ceil(len(images) / 1000))
        posteriors = [self.encode(part) for part in parts]
        codes, log_variance = (np.concatenate(p) for p in zip(*posteriors, strict=True))
        if not self.deterministic:
            noise = np.random.default_rng(seed).standard_normal(codes.shape)
            codes = codes + np.exp(0.5 * log_variance) * noise
        return GaussianMixture(components, random_state=seed).fit(codes)

    def interpolate(self, first, second, steps=8):
        """Decodes the straight lines between the codes of two batches of images.

        Args:
            first: `(batch, *image_shape)` in [0, 1].
            second: Same shape.
            steps: Images per line, both ends included.

        Returns:
            `(batch, steps, *image_shape)`.
        """
        start, end = self.encode(first)[0], self.encode(second)[0]
        share = tf.reshape(tf.linspace(0.0, 1.0, steps), (1, steps, 1))
        # (batch, 1, latent_dim) with (1, steps, 1): (batch, steps, latent_dim)
        codes = start[:, None] * (1.0 - share) + end[:, None] * share
        return self._decode_table(codes)

    def traverse(self, image, values=(-3, -2, -1, 0, 1, 2, 3)):
        """Decodes one image's code with each entry in turn set to each of `values`.

        Args:
            image: `image_shape`, in [0, 1].
            values: What to set a code's entry to; the prior's standard deviation is 1.

        Returns:
            `(latent_dim, len(values), *image_shape)`: a row per entry of the code.
        """
        code = self.encode(tf.convert_to_tensor(image)[None])[0]  # (1, latent_dim)
        mask = tf.eye(self.latent_dim)[:, None]  # (latent_dim, 1, latent_dim)
        values = tf.reshape(tf.cast(values, tf.float32), (1, -1, 1))
        return self._decode_table(code * (1.0 - mask) + values * mask)

    def _decode_table(self, codes):
        """Decodes `(rows, columns, latent_dim)` codes into as many images."""
        images = self.decode(tf.reshape(codes, (-1, self.latent_dim)))
        return tf.reshape(images, (*codes.shape[:2], *self.image_shape))

    # ----------------------------------------------------------------- training

    def sample_posterior(self, mean, log_variance):
        """Draws a code per row so that gradients reach both arguments.

        A fixed standard normal is scaled and shifted (section 2.4, the
        reparameterization trick), as a plain draw has no derivative.
        """
        if self.deterministic:
            return mean
        noise = normal(tf.shape(mean), self.seed_generator)
        return mean + tf.exp(0.5 * log_variance) * noise

    def divergence_from_prior(self, codes, mean, log_variance):
        """Returns the divergence of posteriors from the prior, `(batch,)`, nats."""
        if self.deterministic:
            return tf.zeros(tf.shape(mean)[0])  # a point has no density
        if self.divergence == "cauchy_schwarz":
            mixture = self.prior.mixture(self.encoder)
            return cauchy_schwarz_to_mixture(mean, log_variance, *mixture)
        return self.prior.kl(codes, mean, log_variance, self.encoder)

    def current_beta(self):
        """Returns the weight of the divergence at the optimizer's present step."""
        if not callable(self.beta):
            return self.beta
        optimizer = getattr(self, "optimizer", None)
        step = optimizer.iterations if optimizer else 0  # a preset has none
        return tf.cast(self.beta(step), tf.float32)

    def losses_on(self, images, training):
        """Returns the values to log, `(batch,)` each, in the units of `Logs`."""
        mean, log_variance = self.encoder(images, training=training)
        codes = self.sample_posterior(mean, log_variance)  # (batch, latent_dim)
        outputs = self.decoder(codes, training=training)  # (batch, *image_shape)
        # Summed over pixels: both terms are in nats per image, or beta would not be 1.
        reconstruction = self.likelihood.nll(images, outputs)  # (batch,)
        divergence = self.divergence_from_prior(codes, mean, log_variance)
        losses = {
            "loss": reconstruction + self.current_beta() * divergence,
            "negative_elbo": reconstruction + divergence,
            "reconstruction": reconstruction,
            "divergence": divergence,
        }
        if self.likelihood.continuous:
            dims = math.prod(self.image_shape)
            losses["bits_per_dim"] = bits_per_dim(losses["negative_elbo"], dims)
        return losses

    def train_step(self, data):
        """Updates all networks on one batch of images; labels are ignored."""
        images, _ = unpack(data, self.image_shape)  # (batch, *image_shape)
        with tf.GradientTape() as tape:
            losses = self.losses_on(images, training=True)
            loss = tf.reduce_mean(losses["loss"])  # a mean over images alone
        # Encoder, decoder, and what likelihood and prior learn: all down one loss.
        minimize(loss, tape, self.trainable_variables, self.optimizer)
        return track(self.trackers, losses)

    def test_step(self, data):
        """Measures the same losses, without updating anything."""
        images, _ = unpack(data, self.image_shape)
        return track(self.trackers, self.losses_on(images, training=False))

    # --------------------------------------------------------------- evaluation

    def nll(self, images, samples=200, seed=0):
        """Estimates the negative log-likelihood of images by importance sampling.

        Codes drawn from the posterior, weighted by prior over posterior, average to
        the likelihood itself; the more samples, the tighter this upper bound.

        Args:
            images: Array `(count, *image_shape)` in [0, 1]; binarized ones for a
                Bernoulli likelihood, if the result is to be a log-likelihood.
            samples: Codes drawn per image; 1 gives the evidence lower bound.
            seed: Of the draws. They do not depend on how many images there are.

        Returns:
            `(count,)` float32 array, nats per image.

        Raises:
            ValueError: If the model is deterministic: its codes have no density.

        Source:
            Burda et al. 2016, https://arxiv.org/abs/1509.00519, equation 8.
        """
        if self.deterministic:
            raise ValueError(
                "A deterministic autoencoder has no likelihood to estimate. Compare "
                "reconstructions, or train with deterministic=False."
            )
        check_counts(samples=samples)
        images = look(images, self.image_shape)
        rows = max(1, 2**22 // math.prod(self.image_shape))  # 16 MiB of outputs
        return importance_sampled_nll(self.log_weights, images, samples, seed, rows)

    @functools.partial(tf.function, reduce_retracing=True)  # traced once for a model
    def log_weights(self, images, samples, seed):
        """Returns the logs of importance weights, `(batch, samples)`, nats."""
        parts = (tf.repeat(part, samples, axis=0) for part in self.encode(images))
        mean, log_variance = parts  # (batch * samples, latent_dim) each
        noise = tf.random.stateless_normal(tf.shape(mean), seed)
        codes = mean + tf.exp(0.5 * log_variance) * noise
        repeated = tf.repeat(images, samples, axis=0)
        # log p(z) + log p(x|z) - log q(z|x), (batch * samples,)
        log_weights = (
            self.prior.log_density(codes, self.encode)
            - normal_log_density(codes, mean, log_variance)
            - self.likelihood.nll(repeated, self.decoder(codes, training=False))
        )
        return tf.reshape(log_weights, (-1, samples))

    # -------------------------------------------------------- saving and export

    def export_signatures(self):
        """Returns `{endpoint: (function, input specs)}` for `zoo.deploy.export`.

        Noise is the caller's to provide: so outputs can be compared. `decode` of it is
        a sample under the standard normal prior; a learned one adds `sample`.
        """

        def spec(name, *shape):
            return tf.TensorSpec((None, *shape), tf.float32, name=name)

        def encode(images):
            mean, log_variance = self.encode(images)
            return {"mean": mean, "log_variance": log_variance}

        def sample(noise, uniform):
            codes = self.prior.codes(noise, uniform, self.encode)
            return {"images": self.decode(codes)}

        codes, noise = (spec(name, self.latent_dim) for name in ("codes", "noise"))
        images = spec("images", *self.image_shape)
        signatures = {
            "decode": (lambda codes: {"images": self.decode(codes)}, [codes]),
            "encode": (encode, [images]),
        }
        if self.prior.components > 1:
            signatures["sample"] = (sample, [noise, spec("uniform")])
        return signatures

    def export_inputs(self):
        """Returns how inputs that need no data are distributed; codes as the prior."""
        return {} if self.deterministic else self.prior.export_inputs(self.encode)

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "latent_dim": self.latent_dim,
            "networks": serialize(self.networks),
            "likelihood": serialize(self.likelihood),
            "prior": None if self.deterministic else serialize(self.prior),
            "divergence": self.divergence,
            "beta": serialize(self.beta) if callable(self.beta) else self.beta,
            "deterministic": self.deterministic,
        }
