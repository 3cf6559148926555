"""What a decoder is shown and asked for while it learns."""

import dataclasses

import tensorflow as tf
from scipy.special import lambertw

from zoo.training.registry import Settings, register


@register
@dataclasses.dataclass(frozen=True)
class Teaching(Settings):
    """What the decoder is shown and asked for in training.

    Args:
        label_smoothing: Share of the label's weight, from 0 to below 1, that is spread
            over all tokens (Szegedy et al. 2015, https://arxiv.org/abs/1512.00567).
        sampling: Scheduled sampling (Bengio et al. 2015,
            https://arxiv.org/abs/1506.03099): the decoder reads the true last token
            with a probability that falls in training, and otherwise one sampled from
            its own distribution, as it will when it translates. How that probability
            falls:
            `"none"`: it stays 1 (teacher forcing).
            `"linear"`: by `1 / steps` at each step.
            `"exponential"`: as `exp(-step / steps)`.
            `"inverse_sigmoid"`: as `k / (k + exp(step / k))`, where `k` is such that
            half are left after `steps`: `k ln k = steps`.
        steps: Time scale of that fall, in steps of the optimizer.
        floor: Where it ends, a probability.

    Raises:
        ValueError: If a number is outside its range, or `sampling` none of the above.
    """

    label_smoothing: float = 0.0
    sampling: str = "none"
    steps: int = 1000
    floor: float = 0.0

    def __post_init__(self):
        if not 0 <= self.label_smoothing < 1 or not 0 <= self.floor <= 1:
            raise ValueError(
                "`label_smoothing` is a share from 0 to below 1 and `floor` a "
                f"probability. Received: {self}."
            )
        kinds = ("none", "linear", "exponential", "inverse_sigmoid")
        if self.sampling not in kinds or self.steps < 1:
            raise ValueError(
                f"`sampling` is one of {', '.join(kinds)} and `steps` 1 or more. "
                f"Received: {self}."
            )

    def truth(self, step):
        """Returns the probability of reading the true token at a step, a scalar."""
        time = tf.cast(step, tf.float32) / self.steps
        # k / (k + exp(step / k)) = sigmoid(ln k - step / k), and step / k is
        # time * ln k since k ln k = steps, which Lambert's W solves: ln k = W(steps).
        steepness = float(lambertw(self.steps).real)
        share = {
            "none": lambda: tf.ones(()),
            "linear": lambda: 1.0 - time,
            "exponential": lambda: tf.exp(-time),
            "inverse_sigmoid": lambda: tf.sigmoid((1.0 - time) * steepness),
        }[self.sampling]()
        return tf.maximum(share, self.floor)
