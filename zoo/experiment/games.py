"""What the recipes of adversarial models of images share, from data to report.

The losses of a game say nothing about the images. After each epoch the Frechet distance
to held-out training images is measured, which chooses the best epoch, and a guard warns
of collapse, of a vanished gradient and of a discriminator that has won.
"""

import numpy as np

from zoo.data import images
from zoo.experiment import quality, report

#: How the best epoch of a game is chosen, and how its samples are judged.
PROTOCOL = (
    "best: the epoch of the lowest Frechet distance to held-out training images; "
    + quality.PROTOCOL
)


def play(run, data, build, *, batch_size, sample, labelled=False):
    """Trains an adversarial model of images; returns the report.

    Args:
        run: The recipe's `zoo.experiment.run.Run`.
        data: What its `load` returned, a `zoo.data.images.Splits`.
        build: Its `build`.
        batch_size: Images that a `train_step` takes.
        sample: `model -> images`, what is shown after each epoch.
        labelled: Whether the model takes images with their labels.
    """
    config = run.settings
    train, validation = data.train, data.validation
    batches = images.batches(
        train if labelled else train[0],
        batch_size,
        seed=config.seed,
        first_epoch=run.first_epoch,
    )
    classes = data.classes if labelled else None
    print(report.training_on(config.data, train[0], validation[0], classes))
    watch, monitor = quality.watch(validation[0], config.data)
    model = run.model(lambda: build(config, data))
    run.fit(model, batches, sample=sample, monitor=monitor, watch=watch)
    return run.conclude(
        model,
        data,
        examples_per_epoch=len(batches) * batch_size,
        hints=[f"zoo sample {run.directory} --count 100 --out more.png"],
    )


def noise(model, count=400):
    """Returns standard normal latents, real inputs of a generator's export.

    Args:
        model: With a `latent_dim`.
        count: Of the rows.

    Returns:
        `(count, latent_dim)`, float32.
    """
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, model.latent_dim), "float32")
