"""What a `train_step` is made of: the base classes of models, losses, regularizers."""
