"""The chores every `train_step` shares, so that it can read like its paper.

`minimize` is the only place that knows about mixed precision and `tf.distribute`;
`normal` and `uniform` draw noise that differs by replica; `means` and `track` turn loss
tensors into Keras logs; `random_states` finds what a `.keras` file forgets. There is no
training loop here: that is `keras.Model.fit`.
"""

import keras
import tensorflow as tf

from zoo.layers import register


def minimize(loss, tape, variables, optimizer):
    """Takes one optimizer step down the gradient of `loss`.

    Gradients are summed over replicas by the optimizer, so each replica contributes
    its share of the mean; under `mixed_float16` they are also scaled up and back.
    Both factors enter as the seed of back-propagation: `loss` itself stays readable.

    Args:
        loss: Scalar, already averaged over the replica's batch.
        tape: The `tf.GradientTape` that recorded it.
        variables: What to update. A variable that `loss` does not depend on is an
            error here, not a silent no-op.
        optimizer: A `keras.optimizers.Optimizer`.

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
    optimizer.apply(gradients, variables)


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
    """Draws noise as `normal` does, uniform in [0, 1)."""
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
