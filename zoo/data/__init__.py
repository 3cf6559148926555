"""Data: where images and text come from, and how they become batches.

`images` and `text` load, split and batch: all that most users need. Below them,

- `image_files` and `text_files` read files, `splits` each part once;
- `epochs` says what comes when, `buckets` puts sentences of like length together;
- `division` divides pairs of sentences so that nothing is in two parts;
- `downloads`, `builders` and `handbook` get and prepare TFDS data sets.

`dates` and `points` make data of their own. Nothing here names a model, and importing
`zoo.data` itself imports nothing heavy.
"""
