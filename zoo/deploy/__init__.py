"""What happens to a trained model: exports, halved files, presets."""
