"""What the linear autoencoder promises: a blank to start a model's test from.

Copy this file to `tests/test_<model>.py`. The contract holds what every model promises;
below it, what only this one does, against something nobody here wrote.
"""

import keras
import numpy as np
from linear_autoencoder import LinearAutoencoder  # yours: from zoo.<model> import ...

from tests.contract import ModelContract


class TestLinearAutoencoder(ModelContract):
    """Configuration, logs, saving, bit-exact resume, half precision, export parity."""

    #: Worked out by hand: 16 x 2 weights and 2 biases down, 2 x 16 and 16 up.
    parameters = 16 * 2 + 2 + 2 * 16 + 16
    formats = ("float32", "float16", "dynamic")

    def model(self):
        model = LinearAutoencoder((4, 4, 1), latent_dim=2)
        model.compile("adam")
        return model

    def examples(self):
        return np.random.default_rng(0).random((16, 4, 4, 1), dtype="float32")


def test_it_finds_the_plane_of_the_principal_components():
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.standard_normal((16, 2)))  # (pixels, 2)
    points = 0.5 + rng.uniform(-0.7, 0.7, (500, 2)) @ basis.T
    points += 0.03 * rng.standard_normal(points.shape)
    images = points.clip(0, 1).astype("float32")  # (500, pixels)
    centred = images - images.mean(axis=0)
    variances = np.linalg.svd(centred, compute_uv=False) ** 2 / images.size
    best = variances[2:].sum()  # what any projection to two dimensions must lose

    model = LinearAutoencoder((4, 4, 1), latent_dim=2)
    model.compile(keras.optimizers.Adam(2e-2), steps_per_execution=10)
    images = images.reshape(-1, 4, 4, 1)
    model.fit(images, batch_size=50, epochs=100, verbose=0)
    logs = model.evaluate(images, verbose=0, return_dict=True)
    assert best < logs["loss"] < 1.1 * best
