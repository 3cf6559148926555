"""Networks as plain functions or small objects that return Keras models, and layers."""
