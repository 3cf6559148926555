"""What constructors share: Keras' registry, configurations old and new, counts."""

import dataclasses
import math
import numbers

import keras

#: Lets `keras.saving.load_model` find a class by name once its module is imported.
register = keras.saving.register_keras_serializable(package="zoo")


def restore(cls, config):
    """Makes the object that a configuration describes, be it an older one.

    Objects inside are made first. A class says in `renamed`, `{"old": "new"}`, which of
    its arguments had other names before: files of then go on loading.

    Args:
        cls: Class to make an object of.
        config: What its `get_config` returned, now or then, as JSON keeps it.

    Returns:
        The object.
    """
    deserialize = keras.saving.deserialize_keras_object
    renamed = getattr(cls, "renamed", {})
    return cls(**{renamed.get(k, k): deserialize(v) for k, v in config.items()})


class Settings:
    """A frozen dataclass that Keras can store in a model's configuration."""

    def __post_init__(self):
        """Makes tuples of lists, which is what JSON makes of tuples."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """Returns what `get_config` described."""
        return restore(cls, config)


def check_counts(**counts):
    """Refuses arguments that are not whole numbers from 1 on, or tuples of such.

    Raises:
        ValueError: If one is not; the message has them all.
    """
    unlike = [
        name
        for name, value in counts.items()
        if "shape" in name and not isinstance(value, (tuple, list))
    ]
    given = [v if isinstance(v, (tuple, list)) else (v,) for v in counts.values()]
    # `()` counts nothing, and an unknown side, `None`, is no count.
    if unlike or not all(group and all(map(positive, group)) for group in given):
        names = " and ".join(f"`{name}`" for name in counts)
        received = ", ".join(f"{name}={value}" for name, value in counts.items())
        raise ValueError(f"{names} must be counts, all positive. Received {received}.")


def as_tuple(given):
    """Returns a list as a tuple, as JSON's are meant, and anything else as it is."""
    return tuple(given) if isinstance(given, list) else given


def number(value):
    """Returns a real number as a float, and NaN, which is in no range, for others."""
    return float(value) if isinstance(value, numbers.Real) else math.nan


def positive(number):
    """Returns whether it is a whole number from 1 on."""
    return isinstance(number, numbers.Integral) and number > 0
