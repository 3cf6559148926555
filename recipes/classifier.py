"""Trains the classifier of small images that other models are measured with.

    zoo train classifier                           embedded Fashion-MNIST, 3 minutes
    zoo train classifier --data fashion_mnist      the full set
    zoo train classifier --data fashion_mnist --widths 20 48 96 --shift 1 \\
        --weight-decay 5e-4 --epochs 30            93.9 % of the test images, seed 0
    zoo train classifier --data mnist --no-flip --shift 2 --widths 16 32 64 --epochs 6
                                                   99.3 %
    zoo train classifier --data DIR --size 32 32   your own images, a folder per class

Writes into --run-dir the trained model, `mistakes.png` (test images it gets wrong),
`report.json`, logs, and `export/` with the SavedModel and the LiteRT files.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from zoo.classifier import Classifier
from zoo.data import images
from zoo.experiment import report
from zoo.experiment.pictures import write_grids
from zoo.experiment.run import Run
from zoo.experiment.settings import ImageTraining


@dataclass(frozen=True)
class Config(ImageTraining):
    """Every number this recipe depends on, and why."""

    renamed = {"filters": "widths"}

    widths: tuple[int, ...] = (16, 40, 80)
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
    """passes over the training images; 30 gain half a percent"""


def load(config):
    """Returns training, validation and test images with their labels.

    A twentieth of the training images, at most 5,000, validates: the best epoch is
    chosen on it, and the test images are looked at once, at the end.
    """
    return images.splits(config.data, config.size, config.channels, share=0.05)


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


def build(config, data):
    """Returns the compiled model."""
    train, labels = data.train
    steps_per_epoch = len(train) // config.batch(train)
    classes = int(max(labels.max(), data.test[1].max())) + 1
    model = Classifier(train.shape[1:], classes, config.widths, config.label_smoothing)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, config.epochs - 1) * steps_per_epoch,
        warmup_target=config.learning_rate,
        warmup_steps=steps_per_epoch,
    )
    # A step takes milliseconds: ten at once spare Keras' time between them.
    model.compile(
        keras.optimizers.SGD(
            rate, momentum=0.9, nesterov=True, weight_decay=config.weight_decay
        ),
        steps_per_execution=10,
    )
    return model


def score(model, config, data):
    """Measures a trained model on the test images.

    Returns:
        `{metric: value}`: the cross-entropy in nats per image, and the accuracy.
    """
    test = images.batches(data.test, 500)
    logs = model.evaluate(test, verbose=0, return_dict=True)
    return {name: round(float(value), 4) for name, value in logs.items()}


def examples(model, config, data):
    """Returns real inputs for `zoo.deploy.export`: test images."""
    return {"images": images.to_unit_range(data.test[0][:400])}


PROTOCOL = (
    "test images, one view of each; loss in nats per image; best: the epoch of the "
    "lowest loss on held-out training images"
)


def pictures(model, config, data, directory):
    """Writes up to 64 mistakes, the surest first; returns the path."""
    pixels, labels = data.test
    logits = model.predict(images.batches(pixels, 500), verbose=0)
    margin = logits.max(axis=1) - logits[np.arange(len(labels)), labels]
    count = min(64, max(1, (margin > 0).sum()))  # the least wrong one if all are right
    worst = np.argsort(-margin, kind="stable")[:count]
    mistakes = images.to_unit_range(pixels[worst])
    return write_grids(directory, {"mistakes.png": (mistakes, None)})


def main(config):
    """Trains, scores, shows and exports; returns the report."""
    run = Run(__name__, config)
    data = load(config)
    (train, _), (validation, _) = data.train, data.validation
    batches = images.batches(
        data.train,
        config.batch(train),
        seed=config.seed,
        augment=augmentation(config),
        first_epoch=run.first_epoch,
    )
    print(report.training_on(config.data, train, validation, data.classes))
    model = run.model(lambda: build(config, data))
    run.fit(
        model,
        batches,
        validation=images.batches(data.validation, 500),
        monitor="val_loss",
    )
    return run.conclude(
        model,
        data,
        examples_per_epoch=len(batches) * config.batch(train),
        hints=[f"zoo evaluate {run.directory}"],
    )
