"""Trains the classifier of small images that other models are measured with.

    zoo train classifier                           embedded Fashion-MNIST, 3 minutes
    zoo train classifier --data fashion_mnist      the full set
    zoo train classifier --data fashion_mnist --filters 20 48 96 --shift 1 \\
        --weight-decay 5e-4 --epochs 30            93.9 % of the test images, seed 0
    zoo train classifier --data mnist --no-flip --shift 2 --filters 16 32 64 --epochs 6
                                                   99.3 %
    zoo train classifier --data DIR --size 32 32   your own images, a folder per class

Writes into --run-dir the trained model, `mistakes.png` (test images it gets wrong),
`report.json`, logs, and `export/` with the SavedModel and the LiteRT files.
"""

from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from zoo.classifier import Classifier
from zoo.data import images
from zoo.experiment import pictures
from zoo.experiment.run import Run


@dataclass(frozen=True)
class Config:
    """Every number this recipe depends on."""

    data: str = "embedded"
    """embedded, a TFDS name such as mnist, or a folder with a sub-folder a class"""
    size: tuple[int, int] | None = None
    """height and width to resize to, pixels; as they are by default"""
    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour; as they are by default"""
    filters: tuple[int, ...] = (16, 40, 80)
    """channels of each stage; the last is the number of features"""
    label_smoothing: float = 0.0
    """share of a label's weight spread over all classes"""
    shift: int = 0
    """pixels by which a training image is moved at most, each way"""
    flip: bool = True
    """mirror half of the training images left to right; not for digits"""
    cutout: int = 0
    """side of a square blackened in each training image, pixels"""
    learning_rate: float = 0.1
    """of stochastic gradient descent; rises for an epoch, then falls along a cosine"""
    weight_decay: float = 2e-4
    """share of each weight lost per unit of learning rate"""
    batch_size: int = 128
    """images per step"""
    epochs: int = 14
    """passes over the training images"""
    seed: int = 0
    """of weights, order and augmentation"""
    run_dir: str = "runs/classifier"
    """where to write; made if missing"""
    resume: bool = False
    """continue the run in run_dir where it stopped"""


def data(config):
    """Returns `(images, labels)` to train, to validate and to test with.

    A twentieth of the training images, at most 5,000, validates: the best epoch is
    chosen on it, and the test images are looked at once, at the end.
    """
    return images.splits(config.data, config.size, config.channels, share=0.05)


def test_images(config):
    """Returns `(images, labels)` to test with."""
    return images.load(config.data, "test", size=config.size, channels=config.channels)


def augmentation(config):
    """Returns the function that moves, mirrors and covers one training image."""

    def augment(image, label, seed):
        height, width, _ = shape = image.shape
        seeds = tf.random.split(seed, 3)
        if config.shift:
            around = [(config.shift, config.shift)] * 2 + [(0, 0)]
            padded = tf.pad(image, around)
            image = tf.image.stateless_random_crop(padded, shape, seeds[0])
        if config.flip:
            image = tf.image.stateless_random_flip_left_right(image, seeds[1])
        if config.cutout:
            centre = tf.random.stateless_uniform((2,), seeds[2])
            rows = tf.abs(tf.range(height) - tf.cast(centre[0] * height, tf.int32))
            columns = tf.abs(tf.range(width) - tf.cast(centre[1] * width, tf.int32))
            near = tf.maximum(rows[:, None], columns[None]) <= config.cutout // 2
            image = tf.where(near[..., None], tf.zeros_like(image), image)
        return image, label

    return augment


def build(config, image_shape, classes, steps_per_epoch):
    """Returns the compiled model."""
    model = Classifier(image_shape, classes, config.filters, config.label_smoothing)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, config.epochs - 1) * steps_per_epoch,
        warmup_target=config.learning_rate,
        warmup_steps=steps_per_epoch,
    )
    model.compile(
        keras.optimizers.SGD(
            rate, momentum=0.9, nesterov=True, weight_decay=config.weight_decay
        ),
        steps_per_execution=10,
    )
    return model


def evaluate(model, config):
    """Measures a trained model on the test images.

    Returns:
        `{metric: value}`: the cross-entropy in nats per image, and the accuracy.
    """
    return measure(model, test_images(config))


def measure(model, test):
    """Does the work of `evaluate` on images and labels already loaded."""
    if not model.compiled:  # a preset comes without optimizer; `evaluate` insists
        model.compile()
    logs = model.evaluate(images.batches(test, 500), verbose=0, return_dict=True)
    return {name: round(float(value), 4) for name, value in logs.items()}


def examples(model, config, count=100):
    """Returns real inputs for `zoo.deploy.export`: test images."""
    return {"images": test_images(config)[0][:count] / np.float32(255.0)}


PROTOCOL = (
    "test images, one view of each; loss in nats per image; best: the epoch of the "
    "lowest loss on held-out training images"
)


def draw(model, test, directory):
    """Writes the picture of up to 64 mistakes, the surest first; returns its path."""
    pixels, labels = test
    logits = model.predict(images.batches(pixels, 500), verbose=0)
    margin = logits.max(axis=1) - logits[np.arange(len(labels)), labels]
    worst = np.argsort(-margin, kind="stable")[: min(64, max(1, (margin > 0).sum()))]
    pictures.write_grid(directory / "mistakes.png", pixels[worst] / np.float32(255.0))
    return directory / "mistakes.png"


def main(config):
    """Trains, measures, draws and exports; returns the report."""
    run = Run("classifier", config)
    train, validation, test = data(config)
    classes = int(max(train[1].max(), test[1].max())) + 1
    batches = images.batches(
        train,
        config.batch_size,
        seed=config.seed,
        augment=augmentation(config),
        first_epoch=run.first_epoch,
    )
    print(
        f"Training on {len(train[0]):,} images of {config.data}, "
        f"{' x '.join(map(str, train[0].shape[1:]))}, in {classes} classes; validating "
        f"on {len(validation[0]):,}."
    )
    model = run.model(lambda: build(config, train[0].shape[1:], classes, len(batches)))
    run.fit(
        model,
        batches,
        validation=images.batches(validation, 500),
        monitor="val_loss",
    )
    return run.conclude(
        model,
        measure=lambda model: measure(model, test),
        draw=lambda model: [draw(model, test, run.directory)],
        examples=lambda model: examples(model, config),
        protocol=PROTOCOL,
        examples_per_epoch=len(batches) * config.batch_size,
        hints=[f"zoo evaluate {run.directory}"],
    )
