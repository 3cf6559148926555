"""Comparisons of distances between all rows: filtered in float32, decided in float64.

A matrix product in float32 takes half the time of one in float64, and its error has a
rigorous bound. So the product is made in float32, and the few comparisons for which
the bound leaves two answers are made again from the float64 differences of the two
rows. The results are those of float64 throughout. Where too many comparisons are left
open, as among the nearly equal samples of a collapsed generator, the whole block is
computed again in float64 around its own middle, where little cancels, and what does
cancel from differences. Middles are medians: one sample far off would pull a mean away.

Memory is that of a few blocks. Every pair of one set with itself is computed once.
"""

import numpy as np

from zoo.metrics import checks

UNIT = 2.0**-24  # relative rounding error of float32
CROWDED = 0.02  # share of open comparisons beyond which a block is made in float64


class Space:
    """Squared distances between blocks of rows of two sets, in a common scale.

    Everything is measured from the centre of the first set and in units about the
    largest coordinate, so that neither an offset costs digits nor a scale overflows.
    Distances from here are squared and in that unit; only their order matters.
    """

    def __init__(self, *sets):
        self._centre = _middle(sets[0][:: -(-len(sets[0]) // checks.BLOCK)])
        if any(a.dtype == np.float32 for a in sets):
            # Any centre will do if it is one for all sets, in both precisions.
            self._centre = self._centre.astype(np.float32)
        largest = max(np.abs(x).max() for a in sets for x in self._centred(a))
        # A power of two, so that scaling rounds nothing and ties stay ties.
        self._scale = 2.0 ** np.frexp(float(largest))[1]
        # Products of d terms and of two roundings of the inputs, worst case.
        self.slack = (sets[0].shape[1] + 16) * UNIT
        # And of d products that are too small for float32, beside a huge outlier.
        self.floor = (sets[0].shape[1] + 16) * 2.0**-126

    def _centred(self, rows):
        for start in range(0, len(rows), checks.BLOCK):
            block = rows[start : start + checks.BLOCK]
            yield block - self._centre.astype(block.dtype)

    def blocks(self, rows, first=0):
        """Yields `(start, centred float32 rows, their squared norms)`."""
        skipped = rows[first * checks.BLOCK :]
        for index, block in enumerate(self._centred(skipped), start=first):
            block /= self._scale
            block = block.astype(np.float32, copy=False)
            norms = np.einsum("ij,ij->i", block, block, dtype=np.float64)
            yield index * checks.BLOCK, block, norms

    def lower(self, a, b):
        """Returns lower bounds of all squared distances between two blocks.

        The upper bounds are `width` above them.
        """
        (_, x, x_norms), (_, y, y_norms) = a, b
        bounds = (-2.0 * x) @ y.T  # (rows of a, rows of b)
        bounds -= np.float32(2.0 * self.floor)
        bounds += ((1.0 - self.slack) * x_norms).astype(np.float32)[:, None]
        bounds += ((1.0 - self.slack) * y_norms).astype(np.float32)[None, :]
        return bounds

    def width(self, a_norms, b_norms):
        """Returns how far the upper bounds lie above the lower ones."""
        return 2.0 * self.slack * (a_norms + b_norms) + 4.0 * self.floor

    def pairs(self, a, i, b, j):
        """Returns squared distances of the rows `a[i]` and `b[j]`, in float64."""
        result = np.empty(len(i))
        for start in range(0, len(i), 1024):
            part = slice(start, start + 1024)
            gap = a[i[part]].astype(np.float64) - b[j[part]]
            gap /= self._scale
            result[part] = np.einsum("ij,ij->i", gap, gap)
        return result

    def block(self, a, b):
        """Returns all squared distances between two blocks in float64, and their doubt.

        Measured from the middle of `a`. What is so small beside the distance from
        there that few digits are left is computed from differences.
        """
        middle = _middle(a)
        x, y = (a - middle) / self._scale, (b - middle) / self._scale
        norms = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1)
        squares = norms - 2.0 * (x @ y.T)  # (rows of a, rows of b)
        doubt = 1e-14 * norms
        same = _same(a, b)  # a few images for ever: their differences would take long
        squares[same] = doubt[same] = 0.0
        i, j = _where((squares <= 1e4 * doubt) & (doubt > 0))
        squares[i, j] = self.pairs(a, i, b, j)
        doubt[i, j] = 0.0
        return squares, doubt


def _middle(rows):
    """Returns the median of each feature, in float64."""
    return np.median(rows, axis=0).astype(np.float64)


def _same(a, b):
    """Returns which rows of `a` are, bit by bit, which rows of `b`."""
    numbers = {}
    of_a, of_b = (
        np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows])
        for rows in (a, b)
    )
    return of_a[:, None] == of_b


def kth_squares(space, rows, k):
    """Returns the squared distance of each row to its k-th nearest other row.

    Args:
        space: A `Space` over `rows`.
        rows: `(count, features)`.
        k: From 1 to `count - 1`.

    Returns:
        `(count,)` float64, in the units of `space`.
    """
    found = _Candidates(len(rows), k)
    for index, a in enumerate(space.blocks(rows)):
        for b in space.blocks(rows, index):
            lower = space.lower(a, b)
            if a[0] == b[0]:
                np.fill_diagonal(lower, np.inf)  # no row is its own neighbour
                views = [(lower, a, b)]
            else:
                views = [(lower, a, b), (lower.T, b, a)]
            picks = [found.pick(space, *view) for view in views]
            if all(pick is not None for pick in picks):
                for pick in picks:
                    found.add(*pick)
                continue
            squares, _ = space.block(_rows(rows, a), _rows(rows, b))
            if a[0] == b[0]:
                np.fill_diagonal(squares, np.inf)
            found.settle(space, rows, squares, a[0], b[0])
            if a[0] != b[0]:
                found.settle(space, rows, squares.T, b[0], a[0])
    return found.radii(space, rows)


def _rows(rows, block):
    start, values, _ = block
    return rows[start : start + len(values)]


class _Candidates:
    """For each row, the others that may still be its k-th nearest."""

    def __init__(self, count, k):
        self._k = k
        # The k smallest upper bounds so far; the last one caps the k-th distance.
        self._caps = np.full((count, k), np.inf, np.float32)
        self._found = []  # (row, column, lower, upper) arrays; column -1 if exact

    def pick(self, space, lower, a, b):
        """Returns what `add` takes of a block of bounds; `None` if it is too much."""
        (start, x, x_norms), (other, _, y_norms) = a, b
        caps = _smallest(lower, self._k) + space.width(x_norms, y_norms.max())[:, None]
        caps = self._merged(start, caps)
        near = lower <= caps[:, -1:]
        if np.count_nonzero(near) > max(CROWDED * near.size, 4 * self._k * len(x)):
            return None
        i, j = _where(near)
        value = lower[i, j].astype(np.float64)
        upper = value + space.width(x_norms[i], y_norms[j])
        return start, caps, (start + i, other + j, value, upper)

    def add(self, start, caps, found):
        """Takes in what `pick` returned."""
        self._caps[start : start + len(caps)] = caps
        self._found.append(found)

    def settle(self, space, rows, squares, start, other):
        """Takes in a block of squared distances so good that only the k least count."""
        keep = min(self._k, squares.shape[1])
        column = np.argpartition(squares, keep - 1, axis=1)[:, :keep]
        nearest = np.take_along_axis(squares, column, axis=1)
        i, j = _where((nearest > 0) & np.isfinite(nearest))
        nearest[i, j] = space.pairs(rows, start + i, rows, other + column[i, j])
        # Rounded up to 32 bits, lest a cap fall below the distance that it caps.
        caps = np.nextafter(nearest.astype(np.float32), np.float32(np.inf))
        i, j = _where(np.isfinite(nearest))  # infinite from a row to itself
        value = nearest[i, j]
        found = (start + i, np.full(len(i), -1), value, value)
        self.add(start, self._merged(start, caps), found)

    def _merged(self, start, caps):
        """Returns the k smallest of the caps so far and new ones, the largest last."""
        caps = np.concatenate([self._caps[start : start + len(caps)], caps], axis=1)
        return np.partition(caps, self._k - 1, axis=1)[:, : self._k].astype(np.float32)

    def radii(self, space, rows):
        """Decides between the candidates; returns the k-th squared distances."""
        row, column, lower, upper = map(np.concatenate, zip(*self._found, strict=True))
        caps = self._caps[:, -1].astype(np.float64)
        keep = lower <= caps[row]
        row, column, lower, upper = (x[keep] for x in (row, column, lower, upper))
        floor = _kth(row, lower, np.full(len(caps), self._k))
        # Surely nearer than the k-th: only counted. The rest compete for its place.
        sure = upper < floor[row]
        rank = self._k - np.bincount(row[sure], minlength=len(caps))
        row, column, value = row[~sure], column[~sure], lower[~sure]
        open_ = column >= 0
        value[open_] = space.pairs(rows, row[open_], rows, column[open_])
        return _kth(row, value, rank)


def _kth(group, values, rank):
    """Returns the `rank[g]`-th smallest (from 1) of the values of each group `g`."""
    order = np.lexsort((values, group))
    starts = np.searchsorted(group[order], np.arange(len(rank)))
    return values[order[starts + rank - 1]]


def _smallest(values, k):
    """Returns k values per row that bound its k smallest from above, fast.

    They are the smallest of the minima over groups of columns. Each is an element of
    its own, so at least k elements are not larger than the last.
    """
    columns = values.shape[1]
    size = max(1, columns // max(128, 8 * k))
    groups = columns // size
    if groups < k:  # a set of hardly more than k rows
        missing = np.full((len(values), k - groups), np.inf, values.dtype)
        return np.concatenate([values, missing], axis=1)
    minima = values[:, : groups * size].reshape(len(values), size, groups).min(axis=1)
    return np.partition(minima, k - 1, axis=1)[:, :k]


def inside(space, a, b, *, a_radii=None, b_radii=None):
    """Counts which rows of two sets lie inside the balls around the rows of the other.

    Args:
        space: A `Space` over both sets.
        a: `(n, features)`.
        b: `(m, features)`.
        a_radii: `(n,)` squared radii of the balls around the rows of `a`, or `None`.
        b_radii: `(m,)` the same for `b`.

    Returns:
        Four integer arrays, `None` where the radii were not given: balls of `a` that
        hold each row of `b` `(m,)`; rows of `b` in each ball of `a` `(n,)`; balls of
        `b` that hold each row of `a` `(n,)`; rows of `a` in each ball of `b` `(m,)`.
        A row on the surface of a ball is outside.
    """
    counts = [None] * 4
    if a_radii is not None:
        counts[:2] = np.zeros(len(b), np.int64), np.zeros(len(a), np.int64)
    if b_radii is not None:
        counts[2:] = np.zeros(len(a), np.int64), np.zeros(len(b), np.int64)
    for x in space.blocks(a):
        for y in space.blocks(b):
            lower = space.lower(x, y)
            i, j = slice(x[0], x[0] + len(x[1])), slice(y[0], y[0] + len(y[1]))
            if a_radii is not None:
                hit = _closer(space, lower, a, x, b, y, a_radii[i, None])
                counts[0][j] += np.count_nonzero(hit, axis=0)
                counts[1][i] += np.count_nonzero(hit, axis=1)
            if b_radii is not None:
                hit = _closer(space, lower, a, x, b, y, b_radii[None, j])
                counts[2][i] += np.count_nonzero(hit, axis=1)
                counts[3][j] += np.count_nonzero(hit, axis=0)
    return counts


def _where(mask):
    """Returns rows and columns of the few true elements; `np.nonzero` is 10x slower."""
    return np.divmod(np.flatnonzero(mask), mask.shape[1])


def _closer(space, lower, a, x, b, y, radii):
    """Returns which squared distances of a block are less than the radii."""
    hit = lower < radii
    i, j = _where(hit)
    upper = lower[i, j] + space.width(x[2][i], y[2][j]).astype(np.float64)
    unsure = upper >= np.broadcast_to(radii, lower.shape)[i, j]
    if np.count_nonzero(unsure) > CROWDED * lower.size:
        squares, doubt = space.block(_rows(a, x), _rows(b, y))
        hit = squares < radii
        i, j = _where((np.abs(squares - radii) <= doubt) & (doubt > 0))
    else:
        i, j = i[unsure], j[unsure]
    squares = space.pairs(a, x[0] + i, b, y[0] + j)
    hit[i, j] = squares < np.broadcast_to(radii, lower.shape)[i, j]
    return hit
