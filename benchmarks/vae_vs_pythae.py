"""Training speed and test bound of the VAE beside pythae's, in one alternating run.

    pip install torch && pip install pythae      pythae runs on PyTorch
    python -m benchmarks.vae_vs_pythae

Same architecture (784-400-40-400-784, ReLU), same binarized MNIST images, batches of
100, Adam at 1e-3, the same number of epochs. Every contestant lives in a process of its
own; they take turns, an epoch each, so that a busy moment of the machine hits all. The
first round (tracing, caches) is not counted; the median of the others is.

    fit            model.fit, pipeline and logs included       ours
    bare step      the same train_step on ready batches        ours
    plain          pythae's model in a lean loop, Adam         peer
    tuned          the same, channels-last and fused Adam      peer
    trainer        pythae's own BaseTrainer                    peer, for context

The lean loops index shuffled batches straight from memory, which is faster than
pythae's own data loader. "The peer" is the faster of plain and tuned. Channels-last
changes nothing in a dense network; it is set because convolutional peers use it.
"""

import argparse
import multiprocessing
import os
import statistics
import time

EPOCHS = 6
BATCH = 100
LEARNING_RATE = 1e-3
LATENT = 40
HIDDEN = 400


def zoo_contestant(images, test, bare):
    """Returns (train an epoch, test bound) for the zoo's VAE."""
    import keras
    import tensorflow as tf

    from zoo.data.images import batches
    from zoo.networks.autoencoders import Dense
    from zoo.training.optimizers import FusedAdam
    from zoo.vae import VAE

    keras.utils.set_random_seed(0)
    model = VAE(latent_dim=LATENT, networks=Dense((HIDDEN,)))
    model.compile(FusedAdam(LEARNING_RATE, epsilon=1e-8), steps_per_execution=50)
    data = batches(images, BATCH, seed=0)

    def fit():
        model.fit(data, verbose=0, shuffle=False)

    model.optimizer.build(model.trainable_variables)
    ready = [tf.constant(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    step = tf.function(model.train_step)

    def bare_epoch():
        for batch in ready:
            logs = step(batch)
        logs["loss"].numpy()

    def bound():
        keras.utils.set_random_seed(0)
        logs = model.evaluate(batches(test, 500), verbose=0, return_dict=True)
        return logs["negative_elbo"]

    return (bare_epoch if bare else fit), bound


def pythae_contestant(images, test, tuned):
    """Returns (train an epoch, test bound) for pythae's model in a lean loop."""
    import torch

    model = pythae_model()
    if tuned:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=tuned)
    images, test = (torch.from_numpy(a.transpose(0, 3, 1, 2)) for a in (images, test))

    def epoch():
        model.train()
        order = torch.randperm(len(images))
        for start in range(0, len(images), BATCH):
            loss = model({"data": images[order[start : start + BATCH]]}).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()

    def bound():
        model.eval()
        torch.manual_seed(0)
        with torch.no_grad():
            parts = [
                model({"data": test[i : i + 500]}) for i in range(0, len(test), 500)
            ]
        return statistics.fmean(part.loss.item() for part in parts)

    return epoch, bound


def trainer_contestant(images, test):
    """Returns (train an epoch, test bound) for pythae's own trainer."""
    import tempfile

    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    _, test_bound = pythae_contestant(images, test, tuned=False)
    model = pythae_model()
    data = torch.from_numpy(images.transpose(0, 3, 1, 2))
    config = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        num_epochs=1,
        learning_rate=LEARNING_RATE,
        per_device_train_batch_size=BATCH,
        no_cuda=True,
    )
    trainer = BaseTrainer(
        model, BaseDataset(data, torch.zeros(len(data))), None, config
    )
    trainer.prepare_training()
    return lambda: trainer.train_step(1), lambda: float("nan")


def pythae_model():
    """Returns pythae's VAE with the networks of its MNIST protocol."""
    import torch
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count())

    class Encoder(BaseEncoder):
        def __init__(self):
            BaseEncoder.__init__(self)
            self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(784, HIDDEN), nn.ReLU())
            self.mean = nn.Linear(HIDDEN, LATENT)
            self.log_variance = nn.Linear(HIDDEN, LATENT)

        def forward(self, x):
            h = self.hidden(x)
            return ModelOutput(
                embedding=self.mean(h), log_covariance=self.log_variance(h)
            )

    class Decoder(BaseDecoder):
        def __init__(self):
            BaseDecoder.__init__(self)
            self.layers = nn.Sequential(
                nn.Linear(LATENT, HIDDEN),
                nn.ReLU(),
                nn.Linear(HIDDEN, 784),
                nn.Sigmoid(),
            )

        def forward(self, z):
            images = self.layers(z).reshape(-1, 1, 28, 28)
            return ModelOutput(reconstruction=images)

    config = VAEConfig(
        input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce"
    )
    return VAE(config, Encoder(), Decoder())


def matrix_product():
    """Returns (2048-cubed products timed, their rate in GFLOP/s) by TensorFlow."""
    import tensorflow as tf

    square = tf.random.normal((2048, 2048))
    product = tf.function(lambda: tf.matmul(square, square)[0, 0])

    def run():
        for _ in range(5):
            product().numpy()

    return run, lambda: 5 * 2 * 2048**3 / 1e9


CONTESTANTS = {
    "fit": lambda *data: zoo_contestant(*data, bare=False),
    "bare step": lambda *data: zoo_contestant(*data, bare=True),
    "plain": lambda *data: pythae_contestant(*data, tuned=False),
    "tuned": lambda *data: pythae_contestant(*data, tuned=True),
    "trainer": trainer_contestant,
    "matrix product": lambda *data: matrix_product(),
}


def serve(name, pipe):
    """Runs one contestant: times an epoch at each "go", answers "bound", then ends."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # pythae's bars and notes
    os.dup2(null, 2)
    from benchmarks.vae_nll import binarized

    epoch, bound = CONTESTANTS[name](binarized("train"), binarized("test"))
    pipe.send("ready")
    while (word := pipe.recv()) != "stop":
        if word == "bound":
            pipe.send(bound())
        else:
            start = time.perf_counter()
            epoch()
            pipe.send(time.perf_counter() - start)


def main(epochs):
    """Runs the contest and prints the table."""
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for name in CONTESTANTS:
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(name, theirs), daemon=True).start()
        ours.recv()
        pipes[name] = ours

    seconds = {name: [] for name in pipes}
    for done in range(epochs):
        for name, pipe in pipes.items():
            pipe.send("go")
            seconds[name].append(pipe.recv())
        times = "  ".join(
            f"{name} {times[-1]:.2f} s" for name, times in seconds.items()
        )
        print(f"epoch {done + 1}/{epochs}: {times}", flush=True)
    bounds = {}
    for name, pipe in pipes.items():
        pipe.send("bound")
        bounds[name] = pipe.recv()
        pipe.send("stop")

    median = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    peer = min("plain", "tuned", key=median.get)
    print(f"\n{'':14} {'images/s':>9} {'of the peer':>12} {'test -ELBO':>11}")
    for name in list(CONTESTANTS)[:-1]:
        speed, ratio = 60_000 / median[name], median[peer] / median[name]
        note = "   the peer" if name == peer else ""
        print(f"{name:14} {speed:9,.0f} {ratio:12.2f} {bounds[name]:11.2f}{note}")
    # forward products; their two gradients, but none with respect to the images
    encoder, heads = 784 * HIDDEN, 2 * HIDDEN * LATENT
    decoder = LATENT * HIDDEN + HIDDEN * 784
    flops = 60_000 * 2 * (2 * encoder + 3 * (heads + decoder))
    rate = bounds["matrix product"] / median["matrix product"]
    share = flops / median["fit"] / 1e9 / rate
    overhead = median["fit"] / median["bare step"] - 1
    print(
        f"fit runs at {share:.0%} of this machine's matrix-product rate, {rate:.0f} "
        f"GFLOP/s, and takes {overhead:+.1%} more time than the bare step"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--epochs", type=int, default=EPOCHS, help="rounds, first unused"
    )
    main(parser.parse_args().epochs)
