"""Lets TFDS download a data set, or says at once what to do instead."""

import socket
import urllib.parse
import urllib.request

import tensorflow_datasets as tfds

#: What `zoo.data.builders.prepare` makes of local files.
PREPARABLE = ("fashion_mnist", "mnist", "handbook")


def download(builder):
    """Lets TFDS download and prepare a data set, or says at once what to do instead.

    Args:
        builder: Of the data set.

    Raises:
        FileNotFoundError: There is no network, or the download failed.
    """
    if instructions := builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise FileNotFoundError(
            f"TFDS has no {builder.info.full_name!r} in {str(builder.data_dir)!r} and "
            f"cannot download it. {instructions}"
        )
    try:
        _resolve_hosts(builder.url_infos or {})
        builder.download_and_prepare()
    except (OSError, tfds.download.DownloadError) as error:
        prepare = f"run `zoo data prepare {builder.name} --from DIR` on its files, "
        raise FileNotFoundError(
            f"TFDS has no {builder.name!r} in {str(builder.data_dir)!r} and could not "
            f"download it ({str(error).splitlines()[0]}). Connect to the network, "
            f"{prepare if builder.name in PREPARABLE else ''}or copy that folder "
            "from a machine that has it."
        ) from error


def _resolve_hosts(urls):
    """Fails at once without a network, where TFDS would retry for minutes."""
    if not urllib.request.getproxies():  # a proxy resolves names itself
        for host in {urllib.parse.urlsplit(url).hostname for url in urls}:
            socket.getaddrinfo(host, None)
