"""Measures our metrics against the programs that the field quotes.

    python -m benchmarks.metrics                     all of it, half an hour
    python -m benchmarks.metrics --only fid prdc --repetitions 5

Every run is a process of its own, so that its peak memory is its own too, and the
contestants take turns, so that a busy machine slows all of them alike. "wall" and "cpu"
are medians of seconds, "MB" is the growth of the peak memory from just before the call,
the largest one of the runs, and "in all" that peak with program and features in it. On
a machine that does other work too, `--threads 1` and the cpu column are the ones to
read: threads that wait for each other then count as work. Features are float32, as
extractors give them: correlated, with a spectrum over two decades. "full" compares each
of 50,000 with each other, once, which no peer can hold in memory. A peer that is not
installed is left out, and named: `pip install prdc tqdm` brings one, `pip install
--no-deps torch-fidelity` the other, without torch, which its statistics do not need.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def features(count, dim, seed):
    """Returns float32 features with a decaying spectrum; the fakes are shifted."""
    rng = np.random.default_rng(seed)
    spectrum = np.logspace(0, -2, dim, dtype=np.float32)
    x = rng.standard_normal((count, dim), dtype=np.float32) * spectrum
    # A Householder reflection mixes all coordinates and costs no matrix product.
    axis = np.random.default_rng(99).standard_normal(dim).astype(np.float32)
    axis /= np.linalg.norm(axis)
    x -= 2.0 * np.outer(x @ axis, axis)
    return x + np.float32(0.02 * seed)


def fid_ours(real, fake):
    """From features to the distance, as `zoo.metrics` does it."""
    from zoo.metrics import frechet_distance

    return frechet_distance(real, fake)


def fid_sqrtm(real, fake):
    """The formula of most FID programs: np.cov and scipy's general square root."""
    from scipy import linalg

    mean, cov = zip(
        *((x.mean(axis=0), np.cov(x, rowvar=False)) for x in (real, fake)), strict=True
    )
    root = linalg.sqrtm(cov[0] @ cov[1])
    shift = (mean[0] - mean[1]).astype(np.float64)
    return float(shift @ shift + np.trace(cov[0] + cov[1] - 2 * np.real(root)))


def fid_torch_fidelity(real, fake):
    """torch-fidelity's functions: np.cov and general eigenvalues."""
    from tests import peers

    fid = peers.torch_fidelity("fid")
    both = (fid.fid_features_to_statistics(peers.tensor(x)) for x in (real, fake))
    return fid.fid_statistics_to_metric(*both, verbose=False)[fid.KEY_METRIC_FID]


def prdc_ours(real, fake):
    """Precision, recall, density and coverage, k = 5."""
    from zoo.metrics import prdc

    return sum(prdc(real, fake, k=5).values())


def prdc_prdc(real, fake):
    """The authors' program."""
    from prdc import compute_prdc

    sys.stdout = sys.stderr  # it prints
    value = sum(compute_prdc(real, fake, nearest_k=5).values())
    sys.stdout = sys.__stdout__
    return float(value)


def kid_ours(real, fake):
    """100 subsets of 1,000, in float64."""
    from zoo.metrics import kernel_distance

    return kernel_distance(real, fake)[0]


def kid_torch_fidelity(real, fake):
    """The same subsets, in the features' float32."""
    from tests import peers

    kid = peers.torch_fidelity("kid")
    out = kid.kid_features_to_metric(
        peers.tensor(real),
        peers.tensor(fake),
        kid_subsets=100,
        kid_subset_size=1000,
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        rng_seed=0,
        verbose=False,
    )
    return out[kid.KEY_METRIC_KID_MEAN]


def kid_all_pairs(real, fake):
    """The unbiased distance of all pairs, which no peer can hold in memory."""
    from zoo.metrics import kernel_distance_unbiased

    return kernel_distance_unbiased(real, fake)


# name: samples per set, features, contestants (ours first)
CONTESTS = {
    "fid": (10_000, 2048, [fid_ours, fid_sqrtm, fid_torch_fidelity]),
    "prdc": (10_000, 2048, [prdc_ours, prdc_prdc]),
    "kid": (50_000, 2048, [kid_ours, kid_torch_fidelity]),
    "full": (50_000, 2048, [kid_all_pairs, prdc_ours]),
}


def run(contest, contestant, folder):
    """Runs one contestant in this process; returns its value, seconds and MB."""
    function = {f.__name__: f for f in CONTESTS[contest][2]}[contestant]
    try:
        function(features(64, 4, 0), features(64, 4, 1))  # imports, starts threads
    except ImportError as error:
        return {"missing": str(error)}
    except Exception:
        pass  # 64 rows are fewer than a protocol asks for
    # Made by another process: making them takes more memory than most metrics do.
    real, fake = (np.load(Path(folder, f"{name}.npy")) for name in ("real", "fake"))
    memory, wall, cpu = _peak(), time.perf_counter(), time.process_time()
    value = function(real, fake)
    return {
        "value": value,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "mb": _peak() - memory,
        "peak": _peak(),
    }


def _peak():
    """Returns the largest memory that this process has held, in MB of 10^6 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def compare(contest, repetitions, environment):
    """Lets the contestants take turns; returns their runs by name."""
    count, dim, contestants = CONTESTS[contest]
    results = {f.__name__: [] for f in contestants}
    with tempfile.TemporaryDirectory() as folder:
        for seed, name in enumerate(("real", "fake")):
            np.save(Path(folder, f"{name}.npy"), features(count, dim, seed))
        for _ in range(repetitions):
            for name, runs in results.items():
                command = [sys.executable, "-m", "benchmarks.metrics"]
                command += ["--run", contest, name, folder]
                out = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, env=environment
                )
                runs.append(json.loads(out.stdout))
    return results


def main():
    """Prints a table per contest; ratios are to our own row, the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CONTESTS, default=None)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        print(json.dumps(run(*args.run)))
        return

    threads = {
        f"{library}_NUM_THREADS": str(args.threads)
        for library in ("OPENBLAS", "MKL", "OMP")
    }
    for contest in args.only or CONTESTS:
        count, dim, _ = CONTESTS[contest]
        repetitions = 1 if contest == "full" else args.repetitions
        results = compare(contest, repetitions, os.environ | threads)
        print(f"\n{contest}: 2 x {count:,} samples of {dim:,}, {args.threads} threads")
        print(
            f"{'':20}{'wall':>8}{'ratio':>7}{'cpu':>8}{'ratio':>7}{'MB':>8}{'ratio':>7}"
            f"{'in all':>8}"
        )
        ours = None
        for name, runs in results.items():
            if "missing" in runs[0]:
                print(f"{name:20}  not installed: {runs[0]['missing']}")
                continue
            columns = [
                statistics.median(r["wall"] for r in runs),
                statistics.median(r["cpu"] for r in runs),
                max(1.0, *(r["mb"] for r in runs)),
            ]
            ours = ours or columns
            line = "".join(
                f"{column:8.4g}{column / own:7.2f}"
                for column, own in zip(columns, ours, strict=True)
            )
            peak = max(run["peak"] for run in runs)
            print(f"{name:20}{line}{peak:8.4g}  = {runs[0]['value']:.9g}", flush=True)


if __name__ == "__main__":
    main()
