"""Optimizers that Keras lacks."""

import keras
import tensorflow as tf

from zoo.training.registry import register


@register
class FusedAdam(keras.optimizers.Adam):
    """Adam whose whole update is one operation per variable.

    Keras' Adam walks over each weight about ten times, this one once. That is what
    large dense layers at small batches wait for; convolutions hardly notice. Same
    formula, same arguments, same slots as `keras.optimizers.Adam`; sparse gradients
    and `amsgrad` are not supported.

    Source:
        Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, end of section 2.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.amsgrad:
            raise ValueError(
                "FusedAdam does not do `amsgrad`. Use keras.optimizers.Adam."
            )

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its two moments in place."""
        step = tf.cast(self.iterations + 1, variable.dtype)
        beta_1 = tf.cast(self.beta_1, variable.dtype)
        beta_2 = tf.cast(self.beta_2, variable.dtype)
        index = self._get_variable_index(variable)
        # Keras passes the bare tf.Variable here, but keeps its own as slots.
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )
