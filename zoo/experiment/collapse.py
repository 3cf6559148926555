"""What watches an adversarial game for collapse."""

from pathlib import Path

import keras
import numpy as np

from zoo.metrics import diversity, mode_coverage


class CollapseWatch(keras.callbacks.Callback):
    """Says in plain words when an adversarial game goes wrong, and can end it.

    After every epoch, or every so many steps, it samples the model and looks for

    - complete collapse: all samples of one class, or hardly any difference in them;
    - partial collapse: classes missing, or less than half of the real diversity;
    - a generator whose gradient has vanished;
    - a discriminator that has won: it tells nearly every real example from every fake.

    Put it before callbacks that read logs.

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

    Attributes:
        warnings: List of `(step, words)`.

    Logs:
        modes: Classes that samples fall into.
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

    def __init__(
        self, extract, real, sample, every=None, action="warn", patience=3, best=None
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
        features, logits = extract(np.asarray(real))
        self.real_diversity = diversity(features)
        if not self.real_diversity:
            raise ValueError(
                "`real` examples are what the diversity of samples is compared with, "
                f"and these are all alike. Received: {len(features)} examples."
            )
        self.real_classes = None if logits is None else np.unique(logits.argmax(axis=1))
        self.warnings = []
        self.bad_looks = 0
        self.next_look = every
        self.largest_gradient = 0.0
        self.values = None
        self.on_epoch_begin(0)

    @property
    def step(self):
        """Updates of the generator so far, those before a resume included."""
        return int(self.model.generator_optimizer.iterations)

    def on_epoch_begin(self, epoch, logs=None):
        """Forgets the steps of the last epoch, as the logs do."""
        self.steps, self.judged = 0, (0, {})

    def on_train_batch_end(self, batch, logs=None):
        """Looks, if it is time to."""
        self.steps = batch + 1
        if self.every and self.step >= self.next_look:
            self.next_look = self.step + self.every
            self.look(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Looks, unless steps decide, and adds the last look's values to `logs`."""
        if not self.every or self.values is None:
            self.look(logs)
        logs.update(self.values)

    def look(self, logs):
        """Samples and judges; prints what is wrong and acts upon it."""
        troubles = [*self.of_samples(), *self.of_the_game(logs)]
        for words in troubles:
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
        """Measures samples; yields what is wrong with them."""
        features, logits = self.extract(np.asarray(self.sample(self.model)))
        share = diversity(features) / self.real_diversity
        self.values = {"diversity": share}
        missing, same = [], False
        if logits is not None:
            labels = logits.argmax(axis=1)
            modes = mode_coverage(labels, logits.shape[1])
            frequencies = np.bincount(labels) / len(labels)
            frequencies = frequencies[frequencies > 0]
            entropy = -float((frequencies * np.log(frequencies)).sum())
            self.values |= {"modes": modes.covered, "class_entropy": entropy}
            missing = sorted(set(self.real_classes) & set(modes.missing))
            same = modes.covered == 1 and len(self.real_classes) > 1
        if same:
            yield f"complete collapse: every sample is of class {labels[0]}"
        elif share < self.COMPLETE:
            yield (
                "complete collapse: two samples differ by "
                f"{share:.1%} of what two real ones do"
            )
        elif missing:
            names = ", ".join(map(str, missing))
            kind = "classes" if len(missing) > 1 else "class"
            yield f"partial collapse: no samples of {kind} {names}"
        elif share < self.PARTIAL:
            yield (
                f"partial collapse: two samples differ by {share:.0%} of what two real "
                "ones do"
            )

    def since_last_look(self, logs):
        """Returns means over the steps since; the logs' are over the whole epoch."""
        names = {"generator_gradient", "accuracy"} & logs.keys()  # a critic has one
        means = {name: float(logs[name]) for name in names}
        before, sums = self.judged
        self.judged = self.steps, {name: self.steps * means[name] for name in names}
        if not before or before == self.steps:
            return means
        gained = {name: self.judged[1][name] - sums[name] for name in names}
        return {name: gained[name] / (self.steps - before) for name in names}

    def of_the_game(self, logs):
        """Yields what is wrong with the two networks' balance."""
        logs = self.since_last_look(logs)
        gradient = logs["generator_gradient"]
        self.largest_gradient = max(self.largest_gradient, gradient)
        if gradient <= self.VANISHED * self.largest_gradient:
            yield (
                f"the generator's gradient has vanished (norm {gradient:.1e}): use the "
                "non-saturating loss, or regularize the discriminator"
            )
        accuracy = logs.get("accuracy", 0.0)
        if accuracy > self.WON:
            yield (
                f"the discriminator has won: it tells {accuracy:.1%} of all pairs of a "
                "real and a fake apart; regularize it, or lower its learning rate"
            )
