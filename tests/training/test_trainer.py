"""The trainer against the same training written out as plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear_learner import Dataset, FakeClock, LinearLearner, Recorder, Rows, dataset, trainer
from scipy.stats import norm

from tagi_cli.backend import threads
from tagi_cli.errors import UserError
from tagi_cli.training import checkpoint
from tagi_cli.training.events import EpochEnded, Progress, TrainingEnded, TrainingStarted
from tagi_cli.training.interface import NumericalError

State = dict[str, np.ndarray]


def streams(seed: int, purpose: int, members: int) -> list[np.random.Generator]:
    children = np.random.SeedSequence(seed).spawn(purpose + 1)[purpose].spawn(members)
    return [np.random.default_rng(child) for child in children]


def by_hand(
    rows: Rows, epochs: int, purpose: int = 1, members: int = 2, *, shuffle: bool = True
) -> list[list[State]]:
    """States after each epoch, per member; `purpose` 1 orders the search, 2 the refit."""
    states = []
    orders = streams(5, purpose, members)
    for init, order in zip(streams(5, 0, members), orders, strict=True):
        learner = LinearLearner(init, 4)
        learner.bind(rows.x, rows.y)
        states.append([])
        for epoch in range(epochs):
            learner.start_epoch(epoch)
            n = len(rows)
            learner.train(order.permutation(n) if shuffle else np.arange(n), 0, n)
            states[-1].append(learner.state_dict())
    return states


def predictions(states: list[State], x: np.ndarray) -> list[Any]:
    result = []
    for state in states:
        learner = LinearLearner(np.random.default_rng(0))
        learner.load_state_dict(state)
        result.append(learner.predict(x))
    return result


def valid_nll(states: list[State], rows: Rows) -> float:
    density = 0
    for one in predictions(states, rows.x):
        density = density + norm.pdf(rows.y, one.mu, np.sqrt(one.var_epistemic + one.var_noise))
    return float(-np.mean(np.log(density / len(states))))


def assert_same(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def search_by_hand(data: Dataset, patience: int, epochs: int = 60) -> tuple[list[State], int, int]:
    """The states of the best epoch, its number, and the epoch after which the search stops."""
    states = by_hand(data.train, epochs)
    scores = [valid_nll([m[e] for m in states], data.valid) for e in range(epochs)]
    best = 0
    for epoch in range(epochs):
        if scores[epoch] < scores[best]:
            best = epoch
        if epoch - best == patience:
            break
    return [member[best] for member in states], best + 1, epoch + 1


def test_search_and_refit_by_hand() -> None:
    data = dataset()
    best, best_epoch, stop = search_by_hand(data, patience=3)
    assert 1 < best_epoch < stop < 60
    run = trainer(data, max_epochs=60, patience=3)
    result = run.fit()
    assert (result.status, result.stopped_by) == ("completed", "early_stopping")
    assert (result.epochs, result.best_epoch, result.refitted) == (stop, best_epoch, True)
    assert_same(result.valid, predictions(best, data.valid.x))
    refit = by_hand(data.merged(), best_epoch, purpose=2)
    assert_same(run.predict(data.valid), predictions([m[-1] for m in refit], data.valid.x))
    assert [row["phase"] for row in result.history] == ["search"] * stop + ["refit"] * best_epoch


def test_without_refit_the_best_epoch_is_kept() -> None:
    data = dataset()
    best, best_epoch, _ = search_by_hand(data, patience=3)
    run = trainer(data, max_epochs=60, patience=3, refit=False)
    result = run.fit()
    assert (result.best_epoch, result.refitted) == (best_epoch, False)
    expected = predictions(best, data.valid.x)
    assert_same(run.predict(data.valid), expected)
    assert_same(result.valid, expected)


def test_without_early_stopping_all_epochs_are_trained() -> None:
    result = trainer(max_epochs=40, enabled=False, patience=3).fit()
    _, best_epoch, _ = search_by_hand(dataset(), patience=39, epochs=40)
    assert (result.stopped_by, result.epochs) == ("max_epochs", 40)
    assert result.best_epoch == best_epoch


def test_without_validation_rows_the_last_epoch_is_best() -> None:
    data = dataset(valid=0)
    recorder = Recorder()
    run = trainer(data, max_epochs=5, patience=1, observers=[recorder])
    result = run.fit()
    assert (result.epochs, result.best_epoch, result.refitted) == (5, 5, False)
    assert (result.stopped_by, list(result.valid)) == ("max_epochs", [])
    states = by_hand(data.train, 5)
    assert_same(run.predict(data.train), predictions([m[-1] for m in states], data.train.x))
    assert all(not event.valid for event in recorder.of(EpochEnded))


def test_rows_in_their_own_order() -> None:
    data = dataset(valid=0)
    run = trainer(data, max_epochs=3, shuffle=False)
    run.fit()
    states = by_hand(data.train, 3, shuffle=False)
    assert_same(run.predict(data.train), predictions([m[-1] for m in states], data.train.x))


def test_another_seed_is_another_result() -> None:
    data = dataset()
    one, other = (trainer(data, seed=seed, max_epochs=2).fit().valid for seed in (5, 6))
    assert not np.array_equal(one[0].mu, other[0].mu)


@pytest.mark.parametrize("step", [0.0, 0.001, 0.01, 10.0])
def test_slices_do_not_matter(step: float) -> None:
    """A fast machine learns an epoch in few slices, a slow one batch by batch."""
    made: list[LinearLearner] = []
    run = trainer(clock=FakeClock(step), made=made, max_epochs=4)
    result = run.fit()
    slow = trainer(max_epochs=4).fit()
    assert_same(result.valid, slow.valid)
    for row, other in zip(result.history, slow.history, strict=True):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}
    slices = [end - begin for begin, end in made[0].calls]
    assert max(slices) == (4 if step == 10 else 37)


def test_slices_take_half_of_a_tenth_of_a_second() -> None:
    """At 1 ms per batch that is fifty batches, once the speed is known."""
    clock = FakeClock()

    def work(learner: LinearLearner, row: int) -> None:
        clock.now += 0.001

    made: list[LinearLearner] = []
    trainer(
        dataset(train=4000, valid=0), clock=clock, before_rows=work, made=made, max_epochs=1
    ).fit()
    slices = [end - begin for begin, end in made[0].calls]
    assert slices[0] == 4
    assert 195 <= max(slices) <= 200


def test_more_than_a_batch_of_rows_is_needed() -> None:
    with pytest.raises(UserError, match=r"data\.batch_size: 38 rows .* 37 training rows"):
        trainer(batch_size=38)


def test_validation_part_without_observed_target() -> None:
    data = dataset()
    data.valid.y[:] = np.nan
    with pytest.raises(UserError, match="validation part has no observed target"):
        trainer(data).fit()


def test_missing_targets_take_no_part_in_the_score() -> None:
    data = dataset()
    data.valid.y[::2] = np.nan
    seen = Dataset(data.train, Rows(data.valid.x[1::2], data.valid.y[1::2]))
    results = [trainer(one, refit=False).fit() for one in (data, seen)]
    scores = [[row["valid_nll"] for row in result.history] for result in results]
    np.testing.assert_allclose(*scores, rtol=1e-12)


def test_events() -> None:
    data = dataset()
    recorder = Recorder()
    result = trainer(data, observers=[recorder], max_epochs=3).fit()
    started = recorder.events[0]
    assert started == TrainingStarted(2, 37, 11, 3, True, ())
    assert recorder.events[-1] == result
    assert isinstance(result, TrainingEnded)
    epochs = recorder.of(EpochEnded)
    assert [(e.phase, e.epoch, e.epochs) for e in epochs] == [
        *(("search", epoch, 3) for epoch in (1, 2, 3)),
        *(("refit", epoch, result.best_epoch) for epoch in range(1, result.best_epoch + 1)),
    ]
    assert tuple(event.row for event in epochs) == result.history
    assert epochs[0].health == ({"line": 37}, {"line": 37})
    steps = [event for event in recorder.of(Progress) if event.phase == "search"]
    assert [event.done for event in steps[:20]] == pytest.approx(
        [min(4 * (i % 10 + 1), 37) / 74 + (i >= 10) / 2 for i in range(20)]
    )
    seconds = [event.seconds for event in recorder.of(Progress)]
    assert seconds == sorted(seconds)


def test_metrics_are_in_original_units() -> None:
    """Centre 10 and scale 2; in training the members are scored by themselves."""
    data = dataset()
    recorder = Recorder()
    trainer(data, observers=[recorder], max_epochs=1).fit()
    event = recorder.of(EpochEnded)[0]
    states = [member[0] for member in by_hand(data.train, 1)]
    y = 10 + 2 * data.valid.y
    laws = [
        norm(10 + 2 * one.mu, 2 * np.sqrt(one.var_epistemic + one.var_noise))
        for one in predictions(states, data.valid.x)
    ]
    mean = np.mean([law.mean() for law in laws], axis=0)
    nll = -np.mean(np.log(np.mean([law.pdf(y) for law in laws], axis=0)))
    assert event.valid["nll"] == pytest.approx(nll, rel=1e-12)
    assert event.valid["rmse"] == pytest.approx(np.sqrt(np.mean((y - mean) ** 2)), rel=1e-12)
    assert event.valid["mae"] == pytest.approx(np.mean(np.abs(y - mean)), rel=1e-12)
    learners = []
    for init, order in zip(streams(5, 0, 2), streams(5, 1, 2), strict=True):
        learner = LinearLearner(init, 4)
        learner.bind(data.train.x, data.train.y)
        learner.start_epoch(0)
        learner.train(order.permutation(37), 0, 37)
        learners.append(learner)
    squared = [learner.sums[2] / 37 for learner in learners]
    assert event.train["rmse"] == pytest.approx(2 * np.mean(np.sqrt(squared)), rel=1e-12)
    nll = np.mean([learner.sums[1] / 37 for learner in learners]) + np.log(2)
    assert event.train["nll"] == pytest.approx(nll, rel=1e-12)


def spoil(learner: LinearLearner, row: int) -> None:
    """NaN in the third epoch of the search, or of a fresh network."""
    if learner.epochs[-1] == 2:
        learner.mean = learner.mean * np.nan


def test_nan_raises_and_names_epoch_and_layer(tmp_path: Path) -> None:
    recorder = Recorder()
    run = trainer(before_rows=spoil, folder=tmp_path, observers=[recorder])
    with pytest.raises(NumericalError, match=r"network 0 .* layer 'line' .* epoch 3"):
        run.fit()
    assert recorder.events[-1].status == "failed"
    # What was good is still there.
    tensors, metadata = checkpoint.read(tmp_path / "last.safetensors", "training")
    assert metadata["training"]["epochs"] == 2
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


def test_nan_under_stop_ends_the_search(tmp_path: Path) -> None:
    result = trainer(before_rows=spoil, folder=tmp_path, nan_policy="stop", refit=False).fit()
    assert (result.status, result.stopped_by, result.epochs) == ("completed", "divergence", 2)
    assert "layer 'line' is not finite in epoch 3" in result.remark
    assert all(np.isfinite(one.mu).all() for one in result.valid)
    best = checkpoint.read(tmp_path / "best.safetensors")[0]
    assert all(np.isfinite(tensor).all() for tensor in best.values())


def test_nan_under_stop_before_any_epoch_raises() -> None:
    def at_once(learner: LinearLearner, row: int) -> None:
        learner.mean = learner.mean * np.nan

    with pytest.raises(NumericalError):
        trainer(before_rows=at_once, nan_policy="stop").fit()


def test_nan_under_stop_in_the_refit_keeps_the_network_before(tmp_path: Path) -> None:
    def in_refit(learner: LinearLearner, row: int) -> None:
        if len(learner.x) == 48:
            spoil(learner, row)

    run = trainer(before_rows=in_refit, folder=tmp_path, nan_policy="stop")
    result = run.fit()
    assert (result.status, result.refitted) == ("completed", False)
    assert result.best_epoch > 2
    assert "the refit failed" in result.remark
    data = dataset()
    assert_same(run.predict(data.valid), result.valid)
    assert checkpoint.read(tmp_path / "best.safetensors")[1]["refitted"] is False


def test_nan_in_the_predictions_is_found() -> None:
    data = dataset()
    data.valid.x[0] = np.inf
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(NumericalError, match=r"epoch 1, validation part: .*row 0 "),
    ):
        trainer(data).fit()


def test_threads_of_matrix_products() -> None:
    seen = []
    trainer(
        threads=1, max_epochs=1, before_rows=lambda learner, row: seen.append(threads.counts())
    ).fit()
    assert {count for counts in seen for count in counts} == {1}


def test_best_and_last_are_saved(tmp_path: Path) -> None:
    data = dataset()
    result = trainer(data, folder=tmp_path, patience=3, max_epochs=60, csv=True).fit()
    refit = [m[-1] for m in by_hand(data.merged(), result.best_epoch, purpose=2)]
    best, facts = checkpoint.read(tmp_path / "best.safetensors", "model")
    last, _ = checkpoint.read(tmp_path / "last.safetensors", "training")
    csv, _ = checkpoint.read(tmp_path / "csv", "model")
    assert facts == {"model": {}, "epoch": result.best_epoch, "refitted": True}
    for i, state in enumerate(refit):
        for name, tensor in state.items():
            for tensors in (best, last, csv):
                np.testing.assert_array_equal(tensors[f"member.{i}.{name}"], tensor)
    assert len(best) == len(csv) == 8


@pytest.mark.parametrize(("every", "saved"), [(1, 4), (2, 2), (10, 0)])
def test_last_is_saved_every_so_many_epochs(tmp_path: Path, every: int, saved: int) -> None:
    """Seen from an observer that is told of each epoch after it is saved."""
    numbers = set()

    class Look:
        def notify(self, event: Any) -> None:
            path = tmp_path / "last.safetensors"
            if isinstance(event, EpochEnded) and path.exists():
                numbers.add(checkpoint.read(path)[1]["training"]["epochs"])

    trainer(folder=tmp_path, every=every, observers=[Look()], max_epochs=4, refit=False).fit()
    assert len(numbers) == saved
    assert checkpoint.read(tmp_path / "last.safetensors")[1]["training"]["stage"] == "done"


def test_full_disk_ends_the_training_with_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(folder=tmp_path)
    run.fit()
    before = (tmp_path / "last.safetensors").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="no space left"):
        trainer(folder=tmp_path).fit()
    assert (tmp_path / "last.safetensors").read_bytes() == before
