"""Data: where images and text come from, and how they become batches.

`images` and `text` load and batch, `dates` makes text of its own, `builders` and
`handbook` prepare TFDS data sets from local files. Nothing here names a model,
and importing `zoo.data` itself imports nothing heavy.
"""
