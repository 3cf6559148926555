"""The parts of a data set, each read when it is first needed."""

import warnings


class Splits:
    """Training, validation and test: each read when it is first asked for, and once.

    So a run that goes on with its training never opens the test set before its end, and
    whoever needs a part again is handed the same objects.

    Attributes:
        train: What training sees.
        validation: What the best epoch is chosen on.
        test: What the end is measured on.

    Example:
        parts = images.splits("embedded")
        train, labels = parts.train
    """

    def __init__(self, read, *, identify=None, name=""):
        """Makes parts that nothing has been read of yet.

        Args:
            read: Function of a part's name that returns the part.
            identify: Function of a part that returns a hashable for each example, equal
                for equal examples. With it, examples that two parts share are warned
                of once both are read: what was trained on must not be tested with.
            name: Of the data set, for that warning.
        """
        self._read, self._identify, self._name = read, identify, name
        self._parts, self._ids = {}, {}

    @property
    def train(self):
        """Returns the training part."""
        return self.split("train")

    @property
    def validation(self):
        """Returns the validation part."""
        return self.split("validation")

    @property
    def test(self):
        """Returns the test part."""
        return self.split("test")

    def __iter__(self):
        """Yields training, validation and test, for `train, validation, test = ...`."""
        return map(self.split, ("train", "validation", "test"))

    def split(self, name):
        """Returns the part of a name: these three, and others that a data set has."""
        if name not in self._parts:
            self._parts[name] = self._read(name)
            if self._identify is not None:
                self._name_shared(name, self._identify(self._parts[name]))
        return self._parts[name]

    def _name_shared(self, split, ids):
        """Warns of examples that a part shares with those read before it."""
        for other, others in self._ids.items():
            shared = sum(example in others for example in ids)
            if shared:
                warnings.warn(
                    f"{self._name}: {shared} of {len(ids)} {split} examples are in its "
                    f"{other} part too. A measure of what was seen before is too good: "
                    "remove them from one of the two.",
                    stacklevel=4,
                )
        self._ids[split] = frozenset(ids)
