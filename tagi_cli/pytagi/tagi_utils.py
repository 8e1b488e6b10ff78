"""Encoding of labels, reading of image files, rolling windows, scaling of data."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.compression import open_gzip
from tagi_cli.errors import UserError
from tagi_cli.pytagi.nn.hrc_softmax import HRCSoftmax

Host = np.ndarray[Any, Any]

_EPS = 1e-10


class Utils:
    """Helpers around training: labels, image files, windows of time series."""

    def label_to_obs(self, labels: Any, num_classes: int) -> tuple[Host, Host, int]:
        """Labels as observations of the units of a hierarchical softmax.

        Returns:
            Observations `(B num_obs,)`, the units observed, counted from 1, and `num_obs`.

        Raises:
            ValueError: fewer than 2 classes, or a label is no class.
        """
        tree = nn.HRCSoftmax(num_classes)
        obs, index = tree.encode(labels)
        return obs.ravel(), index.ravel(), tree.num_obs

    def label_to_one_hot(self, labels: Any, num_classes: int) -> Host:
        """Labels as `(B, num_classes)`, 1 at the label and 0 elsewhere.

        Raises:
            ValueError: a label is no class.
        """
        labels = np.asarray(labels).ravel().astype(np.intp)
        if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
            raise ValueError(
                f"labels from {labels.min()} to {labels.max()}: the classes are 0 to "
                f"{num_classes - 1}"
            )
        coded: Host = np.eye(num_classes, dtype=np.float32)[labels]
        return coded

    def load_mnist_images(
        self, image_file: str, label_file: str, num_images: int
    ) -> tuple[Host, Host]:
        """Images and labels of IDX files, plain or gzipped.

        Args:
            image_file: file of the images.
            label_file: file of the labels.
            num_images: how many to read; 0 or less reads all.

        Returns:
            Pixels from 0 to 1, flat, and the labels.

        Raises:
            ValueError: a file is not of the format, or too short.
        """
        images, labels = _idx(image_file, 2051, 4), _idx(label_file, 2049, 2)
        held = min(len(images), len(labels))
        count = num_images if num_images > 0 else held
        if count > held:
            raise ValueError(
                f"{count} images wanted: {image_file} holds {len(images)}, {label_file} "
                f"{len(labels)}"
            )
        pixels = images[:count].reshape(-1).astype(np.float32) / np.float32(255)
        return pixels, labels[:count].astype(np.int32)

    def load_cifar_images(self, image_file: str, num: int) -> tuple[Host, Host]:
        """Images and labels of a CIFAR-10 binary file.

        Args:
            image_file: the file.
            num: how many to read; 0 or less reads all.

        Returns:
            Pixels from 0 to 1, flat, channel by channel, and the labels.

        Raises:
            ValueError: the file is not of the format, or too short.
        """
        raw = np.frombuffer(_read(image_file), np.uint8)
        if raw.size % 3073:
            raise ValueError(f"{image_file}: {raw.size} bytes are no whole number of 3073")
        rows = raw.reshape(-1, 3073)
        count = len(rows) if num <= 0 else num
        if count > len(rows):
            raise ValueError(f"{image_file} holds {len(rows)} images, {count} are wanted")
        pixels = rows[:count, 1:].reshape(-1).astype(np.float32) / np.float32(255)
        return pixels, rows[:count, 0].astype(np.int32)

    def get_labels(
        self, ma: Any, Sa: Any, hr_softmax: HRCSoftmax, num_classes: int, batch_size: int
    ) -> tuple[Host, Host]:
        """The most probable classes, from the moments of a hierarchical softmax's units.

        Returns:
            Classes `(B,)` and the probabilities of all classes, flat `(B num_classes,)`.

        Raises:
            ValueError: the tree is not that of `num_classes`, or a size does not fit.
        """
        probability = _tree(hr_softmax, num_classes).probabilities(ma, Sa)
        if len(probability) != batch_size:
            raise ValueError(f"{batch_size} rows wanted, the moments hold {len(probability)}")
        return probability.argmax(axis=1).astype(np.int32), probability.ravel().astype(np.float32)

    def get_errors(
        self,
        ma: Any,
        Sa: Any,
        labels: Any,
        hr_softmax: HRCSoftmax,
        num_classes: int,
        batch_size: int,
    ) -> tuple[Host, Host]:
        """Which predictions are wrong.

        Returns:
            1 for an error and 0 else, `(B,)`, and the probabilities as `get_labels` gives them.

        Raises:
            ValueError: the tree is not that of `num_classes`, or a size does not fit.
        """
        predicted, probability = self.get_labels(ma, Sa, hr_softmax, num_classes, batch_size)
        labels = np.ravel(labels)
        if labels.size != batch_size:
            raise ValueError(f"{labels.size} labels for {batch_size} rows")
        return (predicted != labels).astype(np.int32), probability

    def get_hierarchical_softmax(self, num_classes: int) -> HRCSoftmax:
        """The tree of a number of classes.

        Raises:
            ValueError: fewer than 2 classes.
        """
        tree, made = nn.HRCSoftmax(num_classes), HRCSoftmax()
        made.obs, made.idx = tree.obs.ravel().tolist(), tree.idx.ravel().tolist()
        made.num_obs, made.len = tree.num_obs, tree.len
        return made

    def obs_to_label_prob(self, ma: Any, Sa: Any, hr_softmax: HRCSoftmax, num_classes: int) -> Host:
        """Class probabilities of one row, `(num_classes,)`, from the moments of the units.

        Raises:
            ValueError: the tree is not that of `num_classes`, or a size does not fit.
        """
        probability = _tree(hr_softmax, num_classes).probabilities(ma, Sa)
        if len(probability) != 1:
            raise ValueError(f"one row wanted, the moments hold {len(probability)}")
        row: Host = probability[0].astype(np.float32)
        return row

    def create_rolling_window(
        self,
        data: Any,
        output_col: Any,
        input_seq_len: int,
        output_seq_len: int,
        num_features: int,
        stride: int,
    ) -> tuple[Host, Host]:
        """Windows of a time series and what follows them.

        Args:
            data: `(steps, num_features)`.
            output_col: columns to be predicted.
            input_seq_len: steps of an input window.
            output_seq_len: steps that follow it.
            num_features: number of columns.
            stride: steps from one window to the next.

        Returns:
            Inputs `(windows, input_seq_len num_features)`, time by time, and outputs
            `(windows, output_seq_len columns)`, time by time.

        Raises:
            ValueError: the series is shorter than one window.
        """
        data = np.asarray(data, np.float32).reshape(-1, num_features)
        count = (len(data) - input_seq_len - output_seq_len) // stride + 1
        if count < 1:
            raise ValueError(
                f"{len(data)} steps hold no window of {input_seq_len} and {output_seq_len} steps"
            )
        start = stride * np.arange(count)[:, None]
        inputs = data[start + np.arange(input_seq_len)]
        later = data[start + input_seq_len + np.arange(output_seq_len)]
        outputs = later[:, :, np.atleast_1d(output_col)]
        return inputs.reshape(count, -1), outputs.reshape(count, -1)

    def get_upper_triu_cov(self, batch_size: int, num_data: int, sigma: float) -> Host:
        """Upper triangle of `sigma^2 I`, row by row, once for each row of the batch."""
        triangle = (sigma**2 * np.eye(num_data, dtype=np.float32))[np.triu_indices(num_data)]
        return np.tile(triangle, batch_size)


def _tree(given: HRCSoftmax, classes: int) -> nn.HRCSoftmax:
    """The tree of so many classes, after a look at whether it is the given one."""
    tree = nn.HRCSoftmax(classes)
    if (given.len, given.num_obs, len(given.idx)) != (tree.len, tree.num_obs, tree.idx.size):
        raise ValueError(
            f"the tree has {given.len} units and {len(given.idx)} indices; that of {classes} "
            f"classes has {tree.len} and {tree.idx.size}"
        )
    return tree


def _read(path: str) -> bytes:
    """The bytes of a file, unpacked.

    Raises:
        ValueError: damaged, or one that unpacks to far more than it is.
    """
    with Path(path).open("rb") as stream:
        if stream.read(2) != b"\x1f\x8b":
            stream.seek(0)
            return stream.read()
    try:
        with open_gzip(Path(path)) as unpacked:
            return unpacked.read()
    except UserError as error:
        raise ValueError(str(error)) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a readable gzip file ({error})") from None


def _idx(path: str, magic: int, words: int) -> Host:
    """The items of an IDX file of bytes: `words` big-endian numbers, then the data."""
    data = _read(path)
    head = np.frombuffer(data[: 4 * words].ljust(4 * words, b"\0"), ">i4")
    if head[0] != magic:
        raise ValueError(f"{path}: not an IDX file with magic number {magic}")
    shape = tuple(int(n) for n in head[1:])
    body = np.frombuffer(data, np.uint8, offset=4 * words)
    if min(shape) < 0 or body.size != int(np.prod(shape)):
        raise ValueError(f"{path}: {body.size} bytes of data, the header says {shape}")
    return body.reshape(shape)


def exponential_scheduler(
    curr_v: float, min_v: float, decaying_factor: float, curr_iter: int
) -> float:
    """`max(curr_v decaying_factor^curr_iter, min_v)`."""
    return float(np.maximum(curr_v * decaying_factor**curr_iter, min_v))


class Normalizer:
    """Scaling of data, and back.

    Args:
        method: a name for the user's own bookkeeping.
    """

    def __init__(self, method: str | None = None) -> None:
        self.method = method

    @staticmethod
    def standardize(data: Host, mu: Host, std: Host) -> Host:
        """`(data - mu) / std`, safe at `std = 0`."""
        return (data - mu) / (std + _EPS)

    @staticmethod
    def unstandardize(norm_data: Host, mu: Host, std: Host) -> Host:
        """Back from `standardize`."""
        return norm_data * (std + _EPS) + mu

    @staticmethod
    def unstandardize_std(norm_std: Host, std: Host) -> Host:
        """A standard deviation back from `standardize`."""
        return norm_std * (std + _EPS)

    @staticmethod
    def max_min_norm(data: Host, max_value: Host, min_value: Host) -> Host:
        """`(data - min) / (max - min)`, safe where both are equal.

        Raises:
            ValueError: a maximum is below its minimum.
        """
        if not np.all(np.asarray(max_value) >= np.asarray(min_value)):
            raise ValueError("a maximum is below its minimum")
        return (data - min_value) / (max_value - min_value + _EPS)

    @staticmethod
    def max_min_unnorm(norm_data: Host, max_value: Host, min_value: Host) -> Host:
        """Back from `max_min_norm`."""
        return norm_data * (max_value - min_value + _EPS) + min_value

    @staticmethod
    def max_min_unnorm_std(norm_std: Host, max_value: Host, min_value: Host) -> Host:
        """A standard deviation back from `max_min_norm`."""
        return norm_std * (max_value - min_value + _EPS)

    @staticmethod
    def compute_mean_std(data: Host) -> tuple[Host, Host]:
        """Mean and standard deviation of each column, without NaN."""
        return np.nanmean(data, axis=0), np.nanstd(data, axis=0)

    @staticmethod
    def compute_max_min(data: Host) -> tuple[Host, Host]:
        """Maximum and minimum of each column, without NaN."""
        return np.nanmax(data, axis=0), np.nanmin(data, axis=0)
