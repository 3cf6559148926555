"""The chores every `train_step` shares, so that it can read like its paper.

`Model` refuses what it would not use, `policy_of` settles a model's dtypes, `split` and
`unpack` split a batch and refuse what it should not hold; `minimize` is the only place
that knows about mixed precision and `tf.distribute`; `normal` and `uniform` draw noise
that differs by replica; `means` and `track` turn loss tensors into Keras logs;
`in_parts` bounds the memory of drawing; `random_states` finds what a `.keras` file
forgets. What only games need is in `zoo.adversarial`. There is no training loop here:
that is `keras.Model.fit`.
"""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from zoo.export import write_saved_model
from zoo.files import whole
from zoo.layers import register


class Model(keras.Model):
    """A Keras model whose `train_step` knows its own loss and logs."""

    def compile(self, optimizer="rmsprop", **kwargs):
        """Sets the optimizer; other arguments are those of `keras.Model.compile`.

        Raises:
            ValueError: If a loss or metrics are given: the model has its own.
        """
        own = ("loss", "loss_weights", "metrics", "weighted_metrics")
        if unused := [name for name in own if kwargs.get(name)]:
            raise ValueError(
                f"A {type(self).__name__} has a loss and logs of its own. Leave out: "
                f"{', '.join(unused)}."
            )
        super().compile(optimizer, **kwargs)

    def compile_from_config(self, config):
        """Recompiles on load and creates the slots that the file will fill."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains as `keras.Model.fit` does.

        Raises:
            ValueError: If images in memory have values outside [0, 1].
        """
        shape = getattr(x, "shape", ())
        if len(shape) == 4 and shape[0] and tf.as_dtype(x.dtype).is_floating:
            least, most = float(np.min(x[:100])), float(np.max(x[:100]))
            if least < 0 or most > 1:
                raise ValueError(
                    "Images to train on are in [0, 1]. Received values from "
                    f"{least:.3g} to {most:.3g}."
                )
        return super().fit(x, y, *args, **kwargs)

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Writes the SavedModel whose endpoints `export_signatures` returns.

        `zoo.export.export` writes LiteRT files too, and compares all with the model.

        Args:
            filepath: Folder to write.
            format: `"tf_saved_model"`.
            **kwargs: None of Keras' other arguments.

        Raises:
            ValueError: If it is another format, or there are other arguments.
        """
        if format != "tf_saved_model" or kwargs:
            raise ValueError(
                "`export` writes a SavedModel with the model's own endpoints. Use "
                "`zoo.export.export` for LiteRT files. Received: "
                f"{', '.join([f'format={format!r}', *kwargs])}."
            )
        with whole(filepath) as folder:
            write_saved_model(self, self.export_signatures(), folder)


@contextlib.contextmanager
def policy_of(model):
    """Makes layers follow a model's dtype policy, not the global one, while it is open.

    So a model that is loaded, or made with `dtype`, computes as it was meant to.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(model.dtype_policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def split(data):
    """Splits a batch of `fit` into `(x, y)`, `y` being `None` where there is none.

    Raises:
        ValueError: If examples are weighted, which no loss of the zoo is.
    """
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    if weights is not None:
        raise ValueError("Leave out `sample_weight` and `class_weight`: not supported.")
    return x, y


def unpack(data, shape):
    """Splits a batch of `fit` into examples and, where there are any, labels.

    Args:
        data: What `train_step` or `test_step` was given.
        shape: Of an example.

    Returns:
        `(examples, float32, labels or None)`.

    Raises:
        ValueError: If the examples are of another shape, weighted, or whole numbers,
            such as the bytes of images.
    """
    examples, labels = split(data)
    if not tf.as_dtype(examples.dtype).is_floating:
        raise ValueError(
            "Train on floats: images in [0, 1], as `zoo.data.images.batches` gives "
            f"them, or divided by 255. Received: {tf.as_dtype(examples.dtype).name}."
        )
    if not examples.shape[1:].is_compatible_with(shape):
        raise ValueError(
            f"Examples are of shape {tuple(shape)}; a grey image has one channel, "
            f"`x[..., None]`. Received: {tuple(examples.shape[1:])}."
        )
    return tf.cast(examples, tf.float32), labels


def minimize(loss, tape, variables, optimizer):
    """Takes one optimizer step down the gradient of `loss`.

    Gradients are summed over replicas by the optimizer, so each replica contributes
    its share of the mean; under `mixed_float16` they are also scaled up and back.
    Both factors enter as the seed of back-propagation: `loss` itself stays readable.
    The optimizer's `global_clipnorm` is of the whole batch's gradient; its `clipnorm`
    and `clipvalue` are of each replica's share, as Keras has them.

    Args:
        loss: Scalar, already averaged over the replica's batch.
        tape: The `tf.GradientTape` that recorded it.
        variables: What to update. A variable that `loss` does not depend on is an
            error here, not a silent no-op.
        optimizer: A `keras.optimizers.Optimizer`.

    Returns:
        The gradients' norm over all variables, a float32 scalar, on this replica; 0
        for a step that `mixed_float16` skips because a gradient overflowed.

    Raises:
        ValueError: If some variable gets no gradient, naming it.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    seed = optimizer.scale_loss(tf.ones_like(loss)) / replicas
    gradients = tape.gradient(loss, variables, output_gradients=seed)
    unreached = [v.path for v, g in zip(variables, gradients, strict=True) if g is None]
    if unreached:
        raise ValueError(
            f"The loss does not depend on {', '.join(unreached)}. Leave these out of "
            "the variables to update, or compute the loss from them under the tape."
        )
    # An embedding's gradient is sparse; clipping by the global norm needs it dense.
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    norm = tf.linalg.global_norm(gradients) / tf.cast(seed, tf.float32)
    clip = getattr(optimizer, "inner_optimizer", optimizer).global_clipnorm
    if clip and replicas > 1:  # Keras would clip before it sums
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        limit = tf.cast(clip * seed * replicas, tf.float32)
        gradients, _ = tf.clip_by_global_norm(gradients, limit)
        gradients = [gradient / replicas for gradient in gradients]
    optimizer.apply(gradients, variables)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        norm = tf.where(tf.math.is_finite(norm), norm, 0.0)
    return norm


def mean_over_replicas(values):
    """Averages values of which each replica may have another number, such as tokens.

    `minimize` averages the losses of the replicas; were they plain means, a token
    among few would weigh more than one among many.

    Args:
        values: `(count,)`, of this replica.

    Returns:
        Scalar, whose average over the replicas is the mean of all their values.
    """
    count = tf.cast(tf.size(values), values.dtype)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        context = tf.distribute.get_replica_context()
        count = context.all_reduce(tf.distribute.ReduceOp.SUM, count) / replicas
    return tf.reduce_sum(values) / tf.maximum(count, 1.0)


def next_seed(seed_generator):
    """Returns a seed for `tf.random.stateless_*`, new at every step and replica.

    Keras' own draws repeat on all replicas, which halves the noise of two of them.

    Args:
        seed_generator: A `keras.random.SeedGenerator`, advanced by one draw.

    Returns:
        `(2,)` integer tensor.
    """
    seed = seed_generator.next()
    context = tf.distribute.get_replica_context()
    if context is not None:
        replica = tf.cast(context.replica_id_in_sync_group, seed.dtype)
        seed += tf.stack([replica, tf.zeros_like(replica)])
    return seed


def normal(shape, seed_generator):
    """Draws standard normal noise, different in every step and on every replica.

    Args:
        shape: Of the result; may hold scalar tensors.
        seed_generator: A `keras.random.SeedGenerator`, advanced by one draw.

    Returns:
        float32 tensor of `shape`.
    """
    return tf.random.stateless_normal(shape, next_seed(seed_generator))


def uniform(shape, seed_generator):
    """Draws from [0, 1) as `normal` draws."""
    return tf.random.stateless_uniform(shape, next_seed(seed_generator))


def means(*names):
    """Returns a running mean per name; as a model attribute, Keras resets them."""
    return {name: keras.metrics.Mean(name=name) for name in names}


def track(trackers, values):
    """Folds values into their running means and returns the logs of this step.

    Args:
        trackers: What `means` returned.
        values: `{name: scalar}`, with exactly the same names. Of a vector each entry
            counts: a value per token weighs a batch by its tokens.

    Returns:
        `{name: mean so far this epoch}`.

    Raises:
        ValueError: If the names differ.
    """
    if trackers.keys() != values.keys():
        raise ValueError(f"Expected {sorted(trackers)}, received {sorted(values)}.")
    for name, value in values.items():
        trackers[name].update_state(value)
    return {name: tracker.result() for name, tracker in trackers.items()}


def random_states(model):
    """Returns the states of all random generators inside a model, in a fixed order.

    A `.keras` file leaves them out, so a resumed run would repeat old noise.
    """
    return [v for v in model.variables if v.name == "seed_generator_state"]


def reseed(model, seed):
    """Restarts all random generators inside a model, so that a measurement repeats."""
    for state in random_states(model):
        state.assign([seed, 0])


def in_parts(function, *inputs, rows=500):
    """Applies a function to some rows after others: memory does not grow with all.

    Args:
        function: Of as many tensors as there are inputs; returns one.
        *inputs: Arrays or tensors of equally many rows.
        rows: At once.

    Returns:
        What `function` would return for all rows.
    """
    starts = range(0, max(1, len(inputs[0])), rows)
    parts = [function(*(x[start : start + rows] for x in inputs)) for start in starts]
    return tf.concat(parts, axis=0)


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
