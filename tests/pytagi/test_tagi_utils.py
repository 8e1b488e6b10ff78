"""Labels, image files, windows, scaling, schedules and measures."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import tagi_cli.pytagi as pytagi
from tagi_cli.pytagi import Normalizer, Utils, metric


def test_labels_become_observations() -> None:
    obs, index, count = Utils().label_to_obs(np.array([1, 0]), 5)
    np.testing.assert_array_equal(obs, [1, 1, -1, 1, 1, 1])
    np.testing.assert_array_equal(index, [1, 2, 4, 1, 2, 4])
    assert count == 3


def test_one_hot_is_a_table() -> None:
    np.testing.assert_array_equal(Utils().label_to_one_hot([1, 0], 3), [[0, 1, 0], [1, 0, 0]])
    with pytest.raises(ValueError, match="labels from 0 to 3: the classes are 0 to 2"):
        Utils().label_to_one_hot([0, 3], 3)


def test_predicted_labels_and_errors() -> None:
    utils = Utils()
    tree = utils.get_hierarchical_softmax(5)
    assert (tree.num_obs, tree.len, tree.idx[-3:]) == (3, 6, [1, 3, 6])
    labels = np.array([4, 0, 2])
    obs, index, _ = utils.label_to_obs(labels, 5)
    mu = np.zeros((3, 6))
    np.put_along_axis(mu, index.reshape(3, 3) - 1, 5 * obs.reshape(3, 3), axis=1)
    var = np.full(18, 0.1)
    predicted, probability = utils.get_labels(mu.ravel(), var, tree, 5, 3)
    np.testing.assert_array_equal(predicted, labels)
    assert probability.shape == (15,)
    np.testing.assert_allclose(probability.reshape(3, 5).sum(axis=1), 1, rtol=1e-6)
    wrong, again = utils.get_errors(mu, var, [4, 1, 2], tree, 5, 3)
    np.testing.assert_array_equal(wrong, [0, 1, 0])
    np.testing.assert_array_equal(again, probability)
    np.testing.assert_allclose(
        utils.obs_to_label_prob(mu[1], var[:6], tree, 5), probability[5:10], rtol=1e-6
    )
    score = pytagi.HRCSoftmaxMetric(5)
    np.testing.assert_array_equal(score.get_predicted_labels(mu.ravel(), var), labels)
    assert score.error_rate(mu.ravel(), var, np.array([4, 1, 1])) == pytest.approx(2 / 3)
    assert score.hrc_softmax.len == 6
    for call, message in (
        (
            lambda: utils.get_labels(mu, var, tree, 6, 3),
            "has 6 units and 15 indices; that of 6 classes has 6 and 18",
        ),
        (lambda: utils.get_labels(mu, var, tree, 5, 4), "4 rows wanted, the moments hold 3"),
        (lambda: utils.get_errors(mu, var, [1], tree, 5, 3), "1 labels for 3 rows"),
        (lambda: utils.obs_to_label_prob(mu, var, tree, 5), "one row wanted, the moments hold 3"),
        (lambda: utils.get_hierarchical_softmax(1), "1 classes: at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_images_of_idx_files(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 2, 4), dtype=np.uint8)
    images, labels = tmp_path / "images", tmp_path / "labels.gz"
    images.write_bytes(struct.pack(">iiii", 2051, *pixels.shape) + pixels.tobytes())
    labels.write_bytes(gzip.compress(struct.pack(">ii", 2049, 3) + bytes([7, 0, 9])))
    load = Utils().load_mnist_images
    x, y = load(str(images), str(labels), 2)
    np.testing.assert_allclose(x, pixels[:2].ravel() / 255, rtol=1e-6)
    np.testing.assert_array_equal(y, [7, 0])
    assert load(str(images), str(labels), 0)[0].size == 24
    for call, message in (
        (lambda: load(str(images), str(labels), 4), "4 images wanted: .* holds 3"),
        (lambda: load(str(labels), str(labels), 1), "not an IDX file with magic number 2051"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(ValueError, match="23 bytes of data, the header says"):
        load(str(images), str(labels), 1)


def test_gzip_files_that_are_damaged_or_bombs(tmp_path: Path) -> None:
    path, load = tmp_path / "a.gz", Utils()
    whole = gzip.compress(struct.pack(">iiii", 2051, 3, 2, 2) + bytes(12))
    for data in (whole[:-9], whole[:11] + b"\xff" * 9, b"\x1f\x8bno gzip"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.gz: not a readable gzip file"):
            load.load_mnist_images(str(path), str(path), 0)
    path.write_bytes(gzip.compress(struct.pack(">iiii", 2051, 70, 1024, 1024) + bytes(70 << 20)))
    for read in (lambda: load.load_mnist_images(str(path), str(path), 0),
                 lambda: load.load_cifar_images(str(path), 0)):  # fmt: skip
        with pytest.raises(ValueError, match=r"a\.gz: .* Allowed: at most 200 times the file"):
            read()


def test_images_of_cifar_files(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (2, 3073), dtype=np.uint8)
    path = tmp_path / "batch.bin"
    path.write_bytes(rows.tobytes())
    x, y = Utils().load_cifar_images(str(path), 1)
    np.testing.assert_allclose(x, rows[0, 1:] / 255, rtol=1e-6)
    np.testing.assert_array_equal(y, rows[:1, 0])
    with pytest.raises(ValueError, match="holds 2 images, 3 are wanted"):
        Utils().load_cifar_images(str(path), 3)
    path.write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="100 bytes are no whole number of 3073"):
        Utils().load_cifar_images(str(path), 0)


def test_rolling_windows() -> None:
    data = np.arange(24.0).reshape(12, 2)
    x, y = Utils().create_rolling_window(data, np.array([0]), 3, 1, 2, 2)
    np.testing.assert_array_equal(x[1], data[2:5].ravel())
    np.testing.assert_array_equal(y.ravel(), data[3::2, 0])
    x, y = Utils().create_rolling_window(data, np.array([1, 0]), 2, 3, 2, 1)
    assert (x.shape, y.shape) == ((8, 4), (8, 6))
    np.testing.assert_array_equal(y[0], data[2:5, ::-1].ravel())
    with pytest.raises(ValueError, match="12 steps hold no window of 10 and 3 steps"):
        Utils().create_rolling_window(data, [0], 10, 3, 2, 1)


def test_upper_triangle() -> None:
    want = np.eye(3)[np.triu_indices(3)] * 0.25
    np.testing.assert_allclose(Utils().get_upper_triu_cov(2, 3, 0.5), np.tile(want, 2))


def test_scaling_and_back() -> None:
    data = np.random.default_rng(0).normal(3, 5, size=(50, 2))
    data[3, 1] = np.nan
    mean, std = Normalizer.compute_mean_std(data)
    scaled = Normalizer.standardize(data, mean, std)
    np.testing.assert_allclose(np.nanmean(scaled, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.nanstd(scaled, axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(Normalizer.unstandardize(scaled, mean, std), data)
    np.testing.assert_allclose(Normalizer.unstandardize_std(np.ones(2), std), std, rtol=1e-6)
    top, bottom = Normalizer.compute_max_min(data)
    scaled = Normalizer("minmax").max_min_norm(data, top, bottom)
    assert (np.nanmin(scaled), np.nanmax(scaled)) == pytest.approx((0, 1))
    np.testing.assert_allclose(Normalizer.max_min_unnorm(scaled, top, bottom), data)
    np.testing.assert_allclose(
        Normalizer.max_min_unnorm_std(np.ones(2), top, bottom), top - bottom, rtol=1e-6
    )
    with pytest.raises(ValueError, match="a maximum is below its minimum"):
        Normalizer.max_min_norm(data, bottom, top)


def test_measures() -> None:
    rng = np.random.default_rng(0)
    y, mu, sd = rng.normal(size=30), rng.normal(size=30), 0.5 + rng.random(30)
    y[4] = np.nan
    known = ~np.isnan(y)
    assert metric.mse(mu, y) == pytest.approx(np.mean((mu - y)[known] ** 2))
    assert metric.rmse(mu, y) == pytest.approx(np.sqrt(np.mean((mu - y)[known] ** 2)))
    want = stats.norm.logpdf(y, mu, sd)[known].mean()
    assert metric.log_likelihood(mu, y, sd) == pytest.approx(want)
    assert metric.classification_error([1, 2, 3], [1, 0, 3]) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="2 predictions for 3 labels"):
        metric.classification_error([1, 2], [1, 2, 3])


def test_a_schedule_decays_to_its_floor() -> None:
    schedule = pytagi.exponential_scheduler
    assert schedule(curr_v=2.0, min_v=0.3, decaying_factor=0.5, curr_iter=2) == 0.5
    assert schedule(2.0, 0.3, 0.5, 9) == 0.3


def test_devices_are_counted() -> None:
    cuda = pytagi.cuda
    count = cuda.get_device_count()
    assert cuda.is_available() == (count > 0)
    assert not cuda.is_device_available(count)
    assert not cuda.set_device(count)
    assert not cuda.is_device_available(-1)
    assert 0 <= cuda.get_current_device() <= count
    for call in (cuda.get_device_properties, cuda.get_device_memory):
        with pytest.raises(RuntimeError, match=f"no CUDA device {count}: {count} are available"):
            call(count)
    if count:
        assert "GiB" in cuda.get_device_properties(0)
        assert cuda.get_device_memory(0)[0] > 0
