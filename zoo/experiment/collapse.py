"""What watches an adversarial game for collapse."""

from pathlib import Path

import keras
import numpy as np

from zoo.metrics import compare_classes, diversity, repeated_share
from zoo.metrics.modes import DOMINANT


class CollapseWatch(keras.callbacks.Callback):
    """Says in plain words when an adversarial game goes wrong, and can end it.

    After every epoch, or every so many steps, it samples the model and looks for

    - complete collapse: all samples of one class, or hardly any difference in them;
    - partial collapse: classes missing, or far less even than among real examples;
      the same samples over and over; or less than half of the real diversity;
    - a generator whose gradient has vanished;
    - a discriminator that has won: it tells nearly every real example from every fake.

    Classes are compared with those of the real examples as the same classifier reads
    them (`zoo.metrics.compare_classes`). Of the logs it judges what is there: a critic
    has no accuracy, and a game of several networks has several of each. What has
    hardly begun is not judged.

    Put it before callbacks that read logs. A game of two generators takes two guards.

    Args:
        extract: `examples -> (features, logits)`, as an extractor's `extract` gives
            them; without logits (`None`) classes are not looked for.
        real: Examples to compare with.
        sample: `model -> examples`, a thousand or more.
        every: Steps from one look to the next; `None` looks after each epoch.
        action: `"warn"`, `"stop"` (after `patience` bad looks in a row), or
            `"restore"`: stop and put back the weights of `best`.
        patience: Bad looks in a row before the action.
        best: Path of the `.keras` file to restore.
        name: Of the generator, where there are several: `modes` is logged as
            `modes_<name>`, and of the game's logs those that end in it are judged.

    Attributes:
        warnings: List of `(step, words)`.

    Logs:
        modes: Classes that samples fall into, beyond what misreading gives.
        class_entropy: Of their frequencies, nats; the log of the number of classes if
            they are equal.
        diversity: Mean distance between two samples' features, as a share of that
            between two real ones.

    Raises:
        ValueError: If `action` is none of these, or `"restore"` without `best`, or if
            `real` examples are all alike.

    Example:
        >>> watch = CollapseWatch(extractor.extract, real, lambda m: m.sample(1000))
        >>> model.fit(images, callbacks=[watch])
        step 860: partial collapse: no samples of classes 3, 7
    """

    #: A discriminator above this accuracy has won; a gradient below this share of the
    #: largest seen since training began or was resumed has vanished. Both are means
    #: over the steps since the last look.
    WON, VANISHED = 0.99, 1e-3
    PARTIAL, COMPLETE = 0.5, 0.05  # of the real diversity
    REPEATED = 0.75  # of the samples; a few do come twice
    #: Steps before which a look after an epoch passes no judgement: a generator that
    #: has just begun gives one grey image, which is not yet a collapse.
    WARM_UP = 100

    def __init__(
        self,
        extract,
        real,
        sample,
        every=None,
        action="warn",
        patience=3,
        best=None,
        name="",
    ):
        super().__init__()
        if action not in ("warn", "stop", "restore"):
            raise ValueError(
                f"`action` is 'warn', 'stop' or 'restore'. Received action={action!r}."
            )
        if (action == "restore") != (best is not None):
            raise ValueError(
                "`best` is the file that action='restore' puts back, and of no other "
                f"use. Received action={action!r}, best={best!r}."
            )
        self.extract = extract
        self.sample = sample
        self.every = every
        self.action = action
        self.patience = patience
        self.best = best
        self.suffix = f"_{name}" if name else ""
        # (count, features), and (count, classes) or None
        self.real_features, self.real_logits = extract(np.asarray(real))
        self.real_diversity = diversity(self.real_features)
        if not self.real_diversity:
            raise ValueError(
                "`real` examples are what the diversity of samples is compared with, "
                f"and these are all alike. Received: {len(self.real_features)} "
                "examples."
            )
        self.warnings = []
        self.bad_looks = 0
        self.next_look = every
        self.largest_gradients = {}
        self.values = None
        self.seen = 0
        self.on_epoch_begin(0)

    @property
    def step(self):
        """Updates of the generator so far, those before a resume included."""
        for name in ("generator_optimizer", "optimizer"):
            optimizer = getattr(self.model, name, None)
            if optimizer is not None:
                return int(optimizer.iterations)
        return self.seen  # a model that updates by other means: steps watched

    def on_epoch_begin(self, epoch, logs=None):
        """Forgets the steps of the last epoch, as the logs do."""
        self.steps, self.judged = 0, (0, {})

    def on_train_batch_end(self, batch, logs=None):
        """Looks, if it is time to."""
        self.seen += batch + 1 - self.steps
        self.steps = batch + 1
        if self.every and self.step >= self.next_look:
            self.next_look = self.step + self.every
            self.look(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Looks, unless steps decide, and adds the last look's values to `logs`."""
        if not self.every or self.values is None:
            self.look(logs)
        if logs is not None:
            logs.update(self.values)

    def look(self, logs):
        """Samples and judges; prints what is wrong and acts upon it."""
        troubles = [*self.of_samples(), *self.of_the_game(logs or {})]
        # Whoever says when to look means it, and so does who looks at a model that
        # does not train here.
        if not self.every and 0 < self.step < self.WARM_UP:
            return
        for words in troubles:
            words += f" ({self.suffix[1:]})" if self.suffix else ""
            print(f"\nstep {self.step:,}: {words}")
            self.warnings.append((self.step, words))
        self.bad_looks = self.bad_looks + 1 if troubles else 0
        if self.action == "warn" or self.bad_looks < self.patience:
            return
        self.model.stop_training = True
        if self.action == "restore" and not Path(self.best).exists():
            print(f"step {self.step:,}: stopped; there is no {self.best} yet")
        elif self.action == "restore":
            self.model.load_weights(self.best)
            print(f"step {self.step:,}: stopped, and back to {self.best}")
        else:
            print(f"step {self.step:,}: stopped")

    def of_samples(self):
        """Measures samples; yields the worst that is wrong with them, if anything."""
        # (count, features), and (count, classes) or None
        features, logits = self.extract(np.asarray(self.sample(self.model)))
        share = diversity(features) / self.real_diversity
        values = {"diversity": share}
        classes = None
        if logits is not None and self.real_logits is not None:
            classes = compare_classes(self.real_logits, logits)
            values |= {"modes": classes.covered, "class_entropy": classes.entropy}
        self.values = {f"{key}{self.suffix}": v for key, v in values.items()}

        repeated = repeated_share(self.real_features, features)
        as_real = "of what two real ones do"
        if share < self.COMPLETE:
            yield f"complete collapse: two samples differ by {share:.1%} {as_real}"
        elif classes and classes.collapse == "complete":
            yield f"complete collapse: every sample is of class {classes.largest}"
        elif repeated > self.REPEATED:
            yield (
                f"partial collapse: {repeated:.0%} of the samples are nearly the same "
                "as another one"
            )
        elif classes and classes.collapse == "partial":
            yield f"partial collapse: {uneven(classes)}"
        elif share < self.PARTIAL:
            yield f"partial collapse: two samples differ by {share:.0%} {as_real}"

    def since_last_look(self, logs):
        """Returns means over the steps since; the logs' are over the whole epoch."""
        means = {
            name: float(value)
            for name, value in logs.items()
            if of_game(name) and name.endswith(self.suffix)
        }
        before, sums = self.judged
        self.judged = self.steps, {name: self.steps * means[name] for name in means}
        if not before or before == self.steps:
            return means
        gained = {name: self.judged[1][name] - sums.get(name, 0.0) for name in means}
        return {name: gained[name] / (self.steps - before) for name in means}

    def of_the_game(self, logs):
        """Yields what is wrong with the networks' balance, as far as logs tell."""
        for name, value in self.since_last_look(logs).items():
            if name.startswith("generator_gradient"):
                largest = max(self.largest_gradients.get(name, 0.0), value)
                self.largest_gradients[name] = largest
                if value <= self.VANISHED * largest:
                    yield (
                        f"the generator's gradient has vanished (norm {value:.1e}): "
                        "use the non-saturating loss, or regularize the discriminator"
                    )
            elif value > self.WON:
                yield (
                    f"the discriminator has won: it tells {value:.1%} of all pairs of "
                    "a real and a fake apart; regularize it, or lower its learning rate"
                )


def of_game(name):
    """Returns whether a log is judged: `accuracy`, or `accuracy_x` of network x."""
    return any(
        name == known or name.startswith(f"{known}_")
        for known in ("generator_gradient", "accuracy")
    )


def uneven(classes):
    """Returns in words how the classes of fakes differ from those of real examples."""
    if classes.fake_share >= DOMINANT and classes.real_share < DOMINANT:
        return (
            f"{classes.fake_share:.0%} of the samples are of class {classes.largest}, "
            f"of the real ones {classes.real_share:.0%}"
        )
    if classes.missing:
        names = ", ".join(map(str, classes.missing))
        kind = "classes" if len(classes.missing) > 1 else "class"
        some = classes.counts[list(classes.missing)].any()  # perhaps misread ones
        return f"{'hardly any' if some else 'no'} samples of {kind} {names}"
    return (
        f"samples are as uneven as {classes.fake_effective:.1f} equally frequent "
        f"classes, real ones as {classes.real_effective:.1f}"
    )
