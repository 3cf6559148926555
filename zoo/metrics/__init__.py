"""Measures of generative models: features first, statistics second.

One pass of an extractor over the images feeds every metric. The statistics are plain
functions of `(count, features)` arrays, real first, computed in float64 by NumPy and
SciPy; importing this package imports no TensorFlow.

    from zoo.metrics import frechet_distance, precision_recall

One family a file: read `frechet` for the distance, `manifold` for precision and recall.
"""

from zoo.metrics.diversity import (
    diversity,
    hull_coverage,
    ms_ssim_diversity,
    repeated_share,
)
from zoo.metrics.frechet import (
    Moments,
    frechet_distance,
    frechet_distance_infinity,
)
from zoo.metrics.image_quality import ms_ssim, psnr, ssim
from zoo.metrics.inception_score import inception_score
from zoo.metrics.intervals import Interval, confidence_interval
from zoo.metrics.kernel import kernel_distance, kernel_distance_unbiased
from zoo.metrics.manifold import density_coverage, prdc, precision_recall
from zoo.metrics.modes import Classes, Modes, compare_classes, mode_coverage
from zoo.metrics.paired import measure_pairs
from zoo.metrics.path_length import perceptual_path_length
from zoo.metrics.prd import prd_curve, prd_f_scores, prd_of_histograms
from zoo.metrics.text import bleu, chrf
from zoo.metrics.wasserstein import sliced_wasserstein

__all__ = [
    "Classes",
    "Interval",
    "Modes",
    "Moments",
    "bleu",
    "chrf",
    "compare_classes",
    "confidence_interval",
    "density_coverage",
    "diversity",
    "frechet_distance",
    "frechet_distance_infinity",
    "hull_coverage",
    "inception_score",
    "kernel_distance",
    "kernel_distance_unbiased",
    "measure_pairs",
    "mode_coverage",
    "ms_ssim",
    "ms_ssim_diversity",
    "perceptual_path_length",
    "prd_curve",
    "prd_f_scores",
    "prd_of_histograms",
    "prdc",
    "precision_recall",
    "psnr",
    "repeated_share",
    "sliced_wasserstein",
    "ssim",
]
