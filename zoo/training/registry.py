"""What the classes of the zoo share with Keras' registry."""

import dataclasses

import keras

#: Lets `keras.saving.load_model` find a class by name once its module is imported.
register = keras.saving.register_keras_serializable(package="zoo")


class Settings:
    """A frozen dataclass that Keras can store in a model's configuration."""

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """Returns what `get_config` described."""
        return cls(**config)
