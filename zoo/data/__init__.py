"""Data: where images and text come from, and how they become batches.

`images` loads and batches, `builders` prepares TFDS data sets from local files. Nothing
here names a model, and importing `zoo.data` itself imports nothing heavy.
"""
