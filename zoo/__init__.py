"""Generative models for Keras 3 on TensorFlow, one model per file.

There is no registry: the module path is the name. `zoo/vae.py` holds the VAE from top
to bottom, `recipes/vae.py` trains it, `tests/test_vae.py` pins it down.

    from zoo.vae import VAE

Importing `zoo` itself imports nothing heavy, so `zoo --help` answers at once.
"""

import os

# TensorFlow takes its faster convolutions by itself on the newest processors alone; on
# others a GAN's step gains a fifth.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"
