"""Learning from bytes: the same as from arrays, wherever the bytes are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import fake_cupy
import numpy as np
import pytest
from kernel_harness import needs_compiler
from thread_ranks import ThreadRanks, on_ranks

from tagi_cli import nn
from tagi_cli.backend import Backend, select
from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.data.images.images import Images, Variation
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.training import image_rows
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry

N, SHAPE, BATCH = 83, (2, 6, 5), 8
CENTER, SCALE = np.array([90.0, 140.0]), np.array([70.0, 60.0])


def pixels(interleaved: bool = False) -> np.ndarray:
    found = np.random.default_rng(0).integers(0, 256, size=(N + 4, *SHAPE)).astype(np.uint8)
    return np.ascontiguousarray(found.transpose(0, 2, 3, 1)) if interleaved else found


def images(bytes_: np.ndarray, interleaved: bool = False, **varied: Any) -> Images:
    rows = np.random.default_rng(1).permutation(N + 4)[:N]
    size = (4, 3) if varied.get("crop") else SHAPE[1:]
    return Images(
        bytes_, interleaved, rows, size, CENTER, SCALE, "float64", variation=Variation(**varied)
    )


def learner(
    shape: tuple[int, ...],
    outputs: int = 2,
    ranks: Communicator = ALONE,
    backend: Backend | None = None,
) -> Learner:
    kind = registry["learned"]
    return Learner(
        lambda units: nn.Sequential(
            nn.Conv2d(0, 3, 3), nn.BatchNorm2d(projected=True), nn.ReLU(), nn.Linear(0, units)
        ),
        shape, outputs, noise=(kind, kind.options()), update_rule="information_capped", cap=None,
        batch_size=BATCH, rng=np.random.default_rng(0), ranks=ranks,
        backend=backend or select("cpu", "auto", "float64"),
    )  # fmt: skip


def targets() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(N, 2))


def learnt(
    x: Any,
    y: Any,
    cuts: tuple[int, ...] = (0, N),
    epochs: int = 2,
    ranks: Communicator = ALONE,
    backend: Backend | None = None,
) -> dict[str, np.ndarray]:
    """The state after some epochs, each cut into calls as asked."""
    found = learner(x.shape[1:], y.shape[1], ranks, backend)
    found.bind(x, y)
    rng = np.random.default_rng(3)
    for epoch in range(epochs):
        found.start_epoch(epoch)
        order = rng.permutation(N)
        for begin, end in pairwise(cuts):
            found.train(order, begin, end)
    return found.state_dict()


def assert_same(one: dict[str, np.ndarray], two: dict[str, np.ndarray], rtol: float = 0) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=rtol, atol=rtol, err_msg=name)


def mapped(path: Path, bytes_: np.ndarray) -> np.ndarray:
    np.save(path / "bytes.npy", bytes_)
    found: np.ndarray = np.load(path / "bytes.npy", mmap_mode="r")
    return found


@pytest.mark.parametrize("interleaved", [False, True])
def test_bytes_teach_what_their_array_does(interleaved: bool) -> None:
    x = images(pixels(interleaved), interleaved)
    assert_same(learnt(np.asarray(x), targets()), learnt(x, targets()), rtol=1e-9)


@pytest.mark.parametrize("varied", [{}, {"shift": 2, "flip": True}, {"crop": True}])
def test_a_mapped_file_passes_by_as_if_it_were_in_memory(
    tmp_path: Path, varied: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However an epoch is cut, and however little is held at a time."""
    whole = learnt(images(pixels(), **varied), targets())
    file = mapped(tmp_path, pixels())
    assert_same(whole, learnt(images(file, **varied), targets()))
    cuts = (0, 8, 40, 48, 72, N)
    assert_same(whole, learnt(images(file, **varied), targets(), cuts))
    monkeypatch.setattr(image_rows, "_STAGE", 20 * 60)
    assert_same(whole, learnt(images(file, **varied), targets()))
    assert_same(whole, learnt(images(file, **varied), targets(), cuts))


def test_what_is_read_ahead_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image is read once where calls follow one another, and again where they do not."""
    read: list[int] = []
    copied = image_rows._copied

    def counted(source: np.ndarray, rows: np.ndarray) -> np.ndarray:
        read.extend(rows.tolist())
        return copied(source, rows)

    monkeypatch.setattr(image_rows, "_copied", counted)
    x = images(mapped(tmp_path, pixels()))
    found = learner(x.shape[1:])
    found.bind(x, targets())
    order = np.arange(N)
    for begin in range(0, 64, 16):
        found.train(order, begin, begin + 16)
    # The next ones may or may not have been read by now.
    once = list(read)
    assert len(once) == len(set(once))
    assert {*x.rows[:64].tolist()} <= {*once} <= {*x.rows[:80].tolist()}
    found.train(order, 40, 56)
    assert read.count(x.rows[40]) == 2


def test_images_that_are_their_own_targets() -> None:
    """Inputs and targets are varied alike: the network can learn to give back what it sees."""
    x = images(pixels(), shift=1, flip=True)
    y = Images(
        x.pixels, False, x.rows, x.size, CENTER, SCALE, "float64", flat=True, variation=x.variation
    )
    found = learner(x.shape[1:], 60)
    found.bind(x, y)
    found.start_epoch(4)
    found.load(np.arange(N), 0, BATCH)
    calls = found.step_calls(BATCH)
    found.backend.bind(calls.load).run()
    seen, wanted = (call.arguments[0] for call in calls.load if call.kernel == "gather_images")
    np.testing.assert_array_equal(seen.reshape(BATCH, 60), wanted)
    assert (seen != np.asarray(x[:BATCH])).any()


def test_each_epoch_varies_anew_and_is_drawn_again_when_it_is_taken_up() -> None:
    x = images(pixels(), shift=2)
    whole = learnt(x, targets(), (0, 40, N), epochs=2)
    first = learner(x.shape[1:])
    first.bind(x, targets())
    rng = np.random.default_rng(3)
    orders = [rng.permutation(N) for _ in range(2)]
    first.start_epoch(0)
    first.train(orders[0], 0, N)
    first.start_epoch(1)
    first.train(orders[1], 0, 40)
    again = learner(x.shape[1:])
    again.load_state_dict(first.state_dict())
    again.bind(x, targets())
    again.start_epoch(1, first.scores())
    again.train(orders[1], 40, N)
    assert_same(whole, again.state_dict())
    assert (learnt(x, targets(), epochs=1)["conv2d_0.weight.mu"] != 0).any()
    other = learner(x.shape[1:])
    other.bind(x, targets())
    other.start_epoch(7)
    other.train(orders[0], 0, N)
    once = learnt(x, targets(), epochs=1)
    assert (other.state_dict()["conv2d_0.weight.mu"] != once["conv2d_0.weight.mu"]).any()


@pytest.mark.parametrize("file", [False, True])
def test_ranks_vary_images_as_one_process_does(tmp_path: Path, file: bool) -> None:
    whole = learnt(images(pixels(), shift=1, flip=True), targets())
    source = mapped(tmp_path, pixels()) if file else pixels()
    x = images(source, shift=1, flip=True)
    run: Callable[[ThreadRanks], Any] = lambda ranks: learnt(x, targets(), ranks=ranks)  # noqa: E731
    for state in on_ranks(2, run):
        assert_same(whole, state, rtol=1e-9)


def test_predictions_show_the_middle_of_each_image() -> None:
    x = images(pixels(), crop=True)
    found = learner(x.shape[1:])
    np.testing.assert_array_equal(found.predict(x).mu, found.predict(np.asarray(x)).mu)
    shown = np.asarray(x) * SCALE[:, None, None] + CENTER[:, None, None]
    np.testing.assert_allclose(shown, pixels()[x.rows][:, :, 1:5, 1:4], atol=1e-12)


@needs_compiler
@pytest.mark.parametrize("resident", [True, False])
def test_a_gpu_learns_what_the_cpu_does(
    tmp_path: Path, resident: bool, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """With all bytes on the device, with more than it keeps, and from a mapped file."""
    varied = {"shift": 1, "flip": True}
    whole = learnt(images(pixels(), **varied), targets())
    fake_cupy.install(monkeypatch, pytestconfig.cache.mkdir("cuda_on_the_cpu"))
    if not resident:
        monkeypatch.setattr(image_rows, "_RESIDENT", 100)
        monkeypatch.setattr(image_rows, "_STAGE", 20 * 60)
    for source in (pixels(), mapped(tmp_path, pixels())):
        found = learnt(images(source, **varied), targets(), backend=CudaBackend("float64"))
        assert_same(whole, found, rtol=1e-9)
