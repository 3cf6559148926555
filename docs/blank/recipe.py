"""Trains a linear autoencoder on small images: a blank to start a recipe from.

    zoo train linear_autoencoder               embedded Fashion-MNIST, 10 seconds
    zoo train linear_autoencoder --data DIR --size 64 64      your own images

Copy this file to `recipes/<model>.py`. The head is what `zoo train <model> --help`
shows: commands, what they cost, what was measured with which seed. Its first line is
what `zoo list` shows.

Writes into --run-dir the trained model, `reconstructions.png`, `report.json`, logs, and
`export/` with the SavedModel and the LiteRT files.
"""

from dataclasses import dataclass

from linear_autoencoder import LinearAutoencoder  # yours: from zoo.<model> import ...

from zoo.data import images
from zoo.experiment import report
from zoo.experiment.pictures import pairs, write_grids
from zoo.experiment.run import Run
from zoo.experiment.settings import ImageTraining


@dataclass(frozen=True)
class Config(ImageTraining):
    """Every number this recipe depends on, and why.

    Each is a flag with this line as its help. Data, size, seed, folder and the like are
    `ImageTraining`'s; say one again where its default is another.
    """

    latent_dim: int = 16
    """length of a code; 16 components hold most of what images of clothes differ in"""
    learning_rate: float = 1e-3
    """Adam's"""
    epochs: int = 5
    """passes over the training images; the loss has settled by then"""


def load(config):
    """Returns training, validation and test images, each read when first needed."""
    return images.splits(config.data, config.size, config.channels)


def build(config, data):
    """Returns the compiled model."""
    model = LinearAutoencoder(data.train[0].shape[1:], config.latent_dim)
    model.compile("adam")
    model.optimizer.learning_rate = config.learning_rate
    return model


def score(model, config, data):
    """Returns `{metric: value}` on the test images, which are looked at once."""
    test = images.batches(data.test[0], 500)
    logs = model.evaluate(test, verbose=0, return_dict=True)
    return {name: round(float(value), 5) for name, value in logs.items()}


#: How `score` measures, for reports and cards.
PROTOCOL = (
    "test images; loss: squared error, mean over pixels, grey values on [0, 1]; best: "
    "the epoch of the lowest loss on held-out training images"
)


def examples(model, config, data):
    """Returns real inputs by name, for `zoo.deploy.export` to compare files on."""
    return {"images": images.to_unit_range(data.test[0][:400])}


def pictures(model, config, data, directory):
    """Writes images above their projections; returns the paths."""
    few = images.to_unit_range(data.test[0][:10])
    sheet = pairs(few, model.transform(few))
    return write_grids(directory, {"reconstructions.png": (sheet, len(few))})


def main(config):
    """Trains, scores, shows and exports; returns the report."""
    run = Run(__name__, config, may_change=("epochs",))
    data = load(config)
    (train, _), (validation, _) = data.train, data.validation
    batches = images.batches(
        train, config.batch(train), seed=config.seed, first_epoch=run.first_epoch
    )
    print(report.training_on(config.data, train, validation))
    model = run.model(lambda: build(config, data))
    run.fit(
        model,
        batches,
        validation=images.batches(validation, 500),
        sample=lambda model: model.transform(images.to_unit_range(validation[:64])),
        monitor="val_loss",
    )
    return run.conclude(
        model,
        data,
        examples_per_epoch=len(batches) * config.batch(train),
        hints=[f"zoo apply {run.directory} photos/ --out projected/"],
    )
