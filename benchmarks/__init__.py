"""Side-by-side measurements against peers, one command each."""

import zoo  # noqa: F401  before TensorFlow: it chooses the kernels
