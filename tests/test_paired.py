"""Metrics of image pairs by name, and two folders compared file by file."""

import json

import numpy as np
import pytest
from PIL import Image

from zoo import metrics
from zoo.experiment import quality
from zoo.experiment.pairs import compare_folders, read_folders
from zoo.metrics.paired import measure_pairs


def photos(count=6, shape=(40, 33, 3), seed=0):
    """Returns pairs of smooth images and the same with noise, floats in [0, 1]."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, shape[0])[:, None, None]
    truths = 0.7 * ramp + 0.3 * rng.random((count, *shape))
    noise = 0.02 * np.arange(1, count + 1)[:, None, None, None]
    return (truths + noise * rng.normal(size=truths.shape)).clip(0, 1), truths


def brightness(a, b, value_range=None):
    """Stands for a perceptual distance."""
    return np.abs(a - b).mean(axis=(1, 2, 3))


brightness.name = "brightness"


def test_values_are_those_of_scikit_image():
    skimage = pytest.importorskip("skimage.metrics")
    outputs, truths = photos()
    results = measure_pairs(outputs, truths)
    options = {"data_range": 1}
    windows = {"channel_axis": -1, "gaussian_weights": True, "sigma": 1.5}
    windows["use_sample_covariance"] = False
    expected = {
        "psnr": [
            skimage.peak_signal_noise_ratio(t, o, **options)
            for o, t in zip(outputs, truths, strict=True)
        ],
        "ssim": [
            skimage.structural_similarity(t, o, **options, **windows)
            for o, t in zip(outputs, truths, strict=True)
        ],
    }
    assert results.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(results[name]["values"], values, rtol=1e-6)
        assert results[name]["value"] == pytest.approx(np.mean(values), rel=1e-6)
        assert results[name]["pairs"] == 6
    found = quality.score_pairs(outputs, truths)
    assert found == {
        k: pytest.approx(np.mean(v), rel=1e-3) for k, v in expected.items()
    }


def test_by_hand():
    """Errors of 1/10, 1/100 and 1/1000 everywhere are 20, 40 and 60 dB."""
    black = np.zeros((3, 4, 4, 1))
    outputs = black + np.array([0.1, 0.01, 0.001])[:, None, None, None]
    result = measure_pairs(outputs, black, ("psnr",))["psnr"]
    assert result == {
        "value": pytest.approx(40),
        "pairs": 3,
        "values": [pytest.approx(v) for v in (20, 40, 60)],
    }
    swapped = measure_pairs(outputs[::-1], black, ("psnr",))["psnr"]
    assert swapped["values"] == result["values"][::-1]


def test_equal_pairs_have_no_finite_psnr_and_are_counted():
    outputs, truths = photos()
    outputs[2] = truths[2]
    result = measure_pairs(outputs, truths, ("psnr", "ssim"))
    rest = np.delete(result["psnr"]["values"], 2)
    assert result["psnr"]["equal"] == 1 and result["psnr"]["values"][2] == np.inf
    assert result["psnr"]["value"] == pytest.approx(rest.mean())
    assert np.isfinite(result["psnr"]["interval"]).all()
    assert "equal" not in result["ssim"]
    assert result["ssim"]["values"][2] == pytest.approx(1.0)
    every = measure_pairs(truths, truths, ("psnr",))["psnr"]
    assert every["value"] == np.inf and every["equal"] == 6 and "interval" not in every


def test_interval_is_that_of_the_mean_over_pairs():
    """By the bootstrap of SciPy."""
    stats = pytest.importorskip("scipy.stats")
    outputs, truths = photos(count=40, shape=(8, 8, 1))
    result = measure_pairs(outputs, truths, ("psnr",), resamples=4000)["psnr"]
    theirs = stats.bootstrap(
        (result["values"],), np.mean, n_resamples=4000, method="basic", rng=0
    ).confidence_interval
    width = theirs.high - theirs.low
    np.testing.assert_allclose(result["interval"], theirs, atol=0.05 * width)
    assert "interval" not in measure_pairs(outputs[:3], truths[:3], ("psnr",))["psnr"]


def test_what_moves_a_number_joins_its_name():
    outputs, truths = photos(2, (52, 50, 3))
    results = measure_pairs(
        outputs,
        truths,
        ("psnr", "ssim", "ms_ssim", "perceptual"),
        channel="y",
        crop=3,
        scales=2,
        distance=brightness,
    )
    expected = {
        "psnr_y_crop3": metrics.psnr(outputs, truths, channel="y", crop=3),
        "ssim_y_crop3": metrics.ssim(outputs, truths, channel="y", crop=3),
        "ms_ssim_2_y_crop3": metrics.ms_ssim(
            outputs, truths, channel="y", crop=3, scales=2
        ),
        "brightness": brightness(outputs, truths),
    }
    assert results.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(results[name]["values"], values, err_msg=name)


def test_a_list_of_several_sizes_gives_what_arrays_give():
    outputs, truths = photos()
    single = measure_pairs(list(outputs), list(truths))
    whole = measure_pairs(outputs, truths)
    for name, entry in whole.items():
        np.testing.assert_allclose(single[name]["values"], entry["values"])
    small = photos(1, (12, 15, 3), seed=1)
    both = measure_pairs([*outputs, *small[0]], [*truths, *small[1]])
    assert both["psnr"]["pairs"] == 7
    assert both["psnr"]["values"][:6] == pytest.approx(whole["psnr"]["values"])


def test_the_perceptual_distance_is_that_of_vgg16():
    from zoo.metrics.perceptual import VGG16Distance

    distance = VGG16Distance(weights=None)
    outputs, truths = photos(2)
    results = measure_pairs(outputs, truths, ("perceptual",), distance=distance)
    values = results["vgg16_distance_random"]["values"]
    np.testing.assert_allclose(values, distance(outputs, truths), rtol=1e-5)


@pytest.mark.parametrize(
    ("outputs", "truths", "message"),
    [
        (np.zeros((2, 8, 8, 1)), np.zeros((3, 8, 8, 1)), "2 outputs and 3 truths"),
        (np.zeros((0, 8, 8, 1)), np.zeros((0, 8, 8, 1)), "one pair at least"),
        (
            [np.zeros((4, 4, 1))] * 5,
            [np.zeros((4, 5, 1))] * 5,
            r"0 \(output \(4, 4, 1\), truth \(4, 5, 1\)\), 1 .* and 2 more",
        ),
    ],
)
def test_says_what_makes_no_pairs(outputs, truths, message):
    with pytest.raises(ValueError, match=message):
        measure_pairs(outputs, truths, ("psnr",))


@pytest.mark.parametrize("wanted", [("fid",), ()])
def test_says_what_metrics_there_are(wanted):
    received = wanted[0] if wanted else "none"
    with pytest.raises(ValueError, match=f"any of psnr, .*Received: {received}"):
        measure_pairs(*photos(1), wanted)


# ---------------------------------------------------------------- of two folders


@pytest.fixture
def folders(tmp_path):
    """Five pairs, the third with the largest error, in sub-folders and two formats."""
    rng = np.random.default_rng(0)
    for index in range(5):
        truth = rng.integers(60, 190, (16, 12 + index, 3), dtype="uint8")
        output = truth + np.uint8(50 if index == 2 else 5)
        for folder, image, suffix in (("real", truth, "png"), ("fake", output, "bmp")):
            path = tmp_path / folder / "set" / f"{index}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return tmp_path


def test_two_folders_are_compared_file_by_file(folders):
    out = folders / "out"
    results = compare_folders(folders / "real", folders / "fake", directory=out)
    decibels = [-20 * np.log10(error / 255) for error in (5, 5, 50, 5, 5)]
    assert results["psnr"]["value"] == pytest.approx(np.mean(decibels))
    assert results["psnr"]["pairs"] == 5 and "values" not in results["psnr"]
    report = json.loads((out / "report.json").read_text())
    assert report["names"] == [f"set/{index}" for index in range(5)]
    assert report["metrics"]["psnr"]["values"] == pytest.approx(decibels)
    with Image.open(out / "pairs.png") as picture:  # worst first, output beside truth
        shown = np.asarray(picture).astype(int)
    scale = shown.shape[1] // (2 * 14 + 1)
    pair = shown[: 16 * scale : scale, ::scale]
    np.testing.assert_array_equal(pair[:, :14] - pair[:, 15:29], 50)


def test_equal_folders_make_a_report_that_all_can_read(folders):
    compare_folders(folders / "real", folders / "real", directory=folders / "out")
    text = (folders / "out" / "report.json").read_text()
    assert "Infinity" not in text and json.loads(text)["metrics"]["psnr"]["equal"] == 5


def test_a_grey_truth_and_a_colour_output_are_a_pair(folders):
    path = folders / "real" / "set" / "0.png"
    with Image.open(path) as image:
        grey = image.convert("L")
    grey.save(path)
    names, truths, outputs = read_folders(folders / "real", folders / "fake")
    assert names[0] == "set/0" and truths[0].shape == outputs[0].shape == (16, 12, 3)


def test_names_without_a_partner_are_listed(folders):
    for index in range(4):
        (folders / "fake" / "set" / f"{index}.bmp").unlink()
    Image.new("L", (3, 3)).save(folders / "fake" / "9.png")
    with pytest.raises(
        ValueError, match=r"set/0 \(only in .*real\), set/1 .* and 2 more"
    ):
        compare_folders(folders / "real", folders / "fake")


def test_sizes_that_differ_are_listed_by_name(folders):
    Image.new("RGB", (3, 3)).save(folders / "fake" / "set" / "4.bmp")
    with pytest.raises(ValueError, match=r"Received set/4 \(output \(3, 3, 3\), truth"):
        compare_folders(folders / "real", folders / "fake")


def test_two_files_of_one_name_are_no_pair(folders):
    Image.new("RGB", (3, 3)).save(folders / "fake" / "set" / "4.png")
    with pytest.raises(ValueError, match="two images of one name.*4.bmp and 4.png"):
        compare_folders(folders / "real", folders / "fake")
