"""A resumed training ends, to the last bit, where the uninterrupted one does."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear_learner import FakeClock, LinearLearner, Recorder, dataset, interrupt, trainer

from tagi_cli.errors import UserError
from tagi_cli.training import checkpoint
from tagi_cli.training.events import EpochEnded, TrainingStarted
from tagi_cli.training.interface import Prediction
from tagi_cli.training.trainer import FitResult, Trainer

Outcome = dict[str, Any]


def outcome(run: Trainer, result: FitResult) -> Outcome:
    """All that a training leaves behind, but for its duration."""
    rows = [{**row, "seconds": 0} for row in result.history]
    facts = (result.status, result.stopped_by, result.epochs, result.best_epoch, result.refitted)
    return {
        "facts": facts,
        "rows": rows,
        "valid": list(result.valid),
        "final": run.predict(dataset().valid),
    }


def assert_equal(found: Outcome, expected: Outcome) -> None:
    assert found["facts"] == expected["facts"]
    assert found["rows"] == expected["rows"]
    for key in ("valid", "final"):
        for one, other in zip(found[key], expected[key], strict=True):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a, b)


def resumed(folder: Path, **options: Any) -> Trainer:
    run = trainer(folder=folder, **options)
    run.restore(*checkpoint.read(folder / "last.safetensors", "training"))
    return run


def whole(**options: Any) -> Outcome:
    run = trainer(**options)
    return outcome(run, run.fit())


def interrupting(after: int, number: int = signal.SIGINT) -> Callable[[LinearLearner, int], None]:
    """Sends a signal when that many batches have begun."""
    batches = iter(range(1, 10**6))

    def before_rows(learner: LinearLearner, row: int) -> None:
        if next(batches) == after:
            interrupt(number)

    return before_rows


CASES: dict[str, dict[str, Any]] = {
    "refit": {"max_epochs": 30, "patience": 2},
    "no refit": {"max_epochs": 30, "patience": 2, "refit": False},
    "all epochs": {"max_epochs": 6},
    "own order": {"max_epochs": 6, "shuffle": False},
}


@pytest.mark.parametrize("case", CASES)
def test_stopped_anywhere(tmp_path: Path, case: str) -> None:
    """At every ninth batch of the search and of the refit: in epochs, between members, at ends."""
    options = CASES[case]
    count: list[int] = []
    run = trainer(before_rows=lambda *_: count.append(0), **options)
    expected = outcome(run, run.fit())
    stops = 0
    for after in range(1, len(count) + 1, 9):
        folder = tmp_path / str(after)
        folder.mkdir()
        # Nothing is saved but at the interruption and at the end of the search.
        stop = interrupting(after)
        result = trainer(folder=folder, every=1000, before_rows=stop, **options).fit()
        assert (result.status, result.stopped_by) == ("interrupted", "interruption")
        run = resumed(folder, every=1000, **options)
        assert_equal(outcome(run, run.fit()), expected)
        stops += 1
    assert stops > 10


def test_stopped_twice_before_the_first_epoch(tmp_path: Path) -> None:
    """There is no best yet, so none is saved."""
    trainer(folder=tmp_path, before_rows=interrupting(2)).fit()
    result = resumed(tmp_path, before_rows=interrupting(3)).fit()
    assert (result.status, result.epochs, result.best_epoch) == ("interrupted", 0, 0)
    assert not (tmp_path / "best.safetensors").exists()
    run = resumed(tmp_path)
    assert_equal(outcome(run, run.fit()), whole())


def test_stopped_again_and_again(tmp_path: Path) -> None:
    options = CASES["refit"]
    result = trainer(folder=tmp_path, before_rows=interrupting(13), **options).fit()
    stops = 0
    while result.status == "interrupted":
        stops += 1
        run = resumed(tmp_path, before_rows=interrupting(13), **options)
        result = run.fit()
    assert stops > 5
    assert_equal(outcome(run, result), whole(**options))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_save(tmp_path: Path, number: int) -> None:
    result = trainer(folder=tmp_path, before_rows=interrupting(34, number)).fit()
    assert result.status == "interrupted"
    state = checkpoint.read(tmp_path / "last.safetensors", "training")[1]["training"]
    # Ten batches per member and epoch: the fourth of the second member in the second epoch.
    assert (state["stage"], state["search"]["epoch"]) == ("search", 1)
    assert state["search"]["cursors"] == [37, 16]


def test_stopped_while_validating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each prediction in turn: of epochs, and of the best network before the refit."""
    options = {"max_epochs": 4}
    expected = whole(**options)
    predict = LinearLearner.predict
    stop = 0
    while True:
        stop += 1
        calls = iter(range(1, 1000))

        def interrupted(self: LinearLearner, x: np.ndarray, calls=calls, stop=stop) -> Prediction:
            if next(calls) == stop:
                interrupt()
            return predict(self, x)

        monkeypatch.setattr(LinearLearner, "predict", interrupted)
        folder = tmp_path / str(stop)
        folder.mkdir()
        result = trainer(folder=folder, **options).fit()
        monkeypatch.undo()
        if result.status == "completed":
            break
        run = resumed(folder, **options)
        assert_equal(outcome(run, run.fit()), expected)
    # Two members, four epochs and once for the best network.
    assert stop == 2 * 5 + 1


@pytest.mark.parametrize("every", [1, 3])
def test_killed_without_warning(tmp_path: Path, every: int) -> None:
    """What was saved last counts; epochs after it are trained again, and told of once more."""

    class Kill:
        def notify(self, event: Any) -> None:
            if isinstance(event, EpochEnded) and event.epoch == 5:
                raise MemoryError

    with pytest.raises(MemoryError):
        trainer(folder=tmp_path, every=every, observers=[Kill()]).fit()
    recorder = Recorder()
    run = resumed(tmp_path, every=every, observers=[recorder])
    found = outcome(run, run.fit())
    assert_equal(found, whole())
    saved = 5 // every * every
    assert [row["epoch"] for row in recorder.of(TrainingStarted)[0].history] == [
        *range(1, saved + 1)
    ]
    assert recorder.of(EpochEnded)[0].epoch == saved + 1


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("valid", [11, 0])
def test_more_epochs_after_the_end(tmp_path: Path, refit: bool, valid: int) -> None:
    """As if the run had had them from its start; the refit is done again."""
    data = dataset(valid=valid)
    trainer(data, folder=tmp_path, max_epochs=3, refit=refit).fit()
    run = resumed(tmp_path, data=data, max_epochs=9, refit=refit)
    found = outcome(run, run.fit())
    assert_equal(found, whole(data=data, max_epochs=9, refit=refit))
    best = checkpoint.read(tmp_path / "best.safetensors")[1]
    assert best == {
        "model": {},
        "epoch": found["facts"][3],
        "refitted": refit and valid > 0,
    }


def test_more_epochs_in_the_middle_of_the_refit(tmp_path: Path) -> None:
    result = trainer(folder=tmp_path, max_epochs=3, before_rows=interrupting(95)).fit()
    assert result.history[-1]["phase"] == "refit"
    run = resumed(tmp_path, max_epochs=9)
    assert_equal(outcome(run, run.fit()), whole(max_epochs=9))


def test_while_a_longer_search_is_on_its_best_counts(tmp_path: Path) -> None:
    """Not the network of the refit that it made obsolete."""
    trainer(folder=tmp_path, max_epochs=3).fit()
    assert checkpoint.read(tmp_path / "best.safetensors")[1]["refitted"] is True
    result = resumed(tmp_path, max_epochs=9, before_rows=interrupting(2)).fit()
    assert (result.status, result.refitted, result.epochs) == ("interrupted", False, 3)
    tensors, facts = checkpoint.read(tmp_path / "best.safetensors")
    assert facts == {"model": {}, "epoch": 3, "refitted": False}
    before_refit = trainer(max_epochs=3, refit=False, folder=(other := tmp_path / "other"))
    other.mkdir()
    before_refit.fit()
    expected = checkpoint.read(other / "best.safetensors")[0]
    assert all(np.array_equal(tensors[name], expected[name]) for name in expected)


def test_more_epochs_where_the_best_stays(tmp_path: Path) -> None:
    """The longer search finds nothing better: best and validation metrics are the earlier ones."""
    options = {"patience": 6}
    expected = whole(max_epochs=30, **options)
    best_epoch = expected["facts"][3]
    trainer(folder=tmp_path, max_epochs=best_epoch + 2, **options).fit()
    run = resumed(tmp_path, max_epochs=30, **options)
    assert_equal(outcome(run, run.fit()), expected)


def test_more_epochs_do_not_undo_early_stopping(tmp_path: Path) -> None:
    options = {"patience": 2}
    expected = whole(max_epochs=30, **options)
    assert expected["facts"][1] == "early_stopping"
    trainer(folder=tmp_path, max_epochs=30, **options).fit()
    run = resumed(tmp_path, max_epochs=60, **options)
    assert_equal(outcome(run, run.fit()), expected)


def test_a_completed_run_is_only_read(tmp_path: Path) -> None:
    first = trainer(folder=tmp_path)
    expected = outcome(first, first.fit())
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    made: list[LinearLearner] = []
    run = resumed(tmp_path, made=made)
    assert_equal(outcome(run, run.fit()), expected)
    assert not any(learner.calls for learner in made)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files


def test_time_limit_leaves_time_for_the_refit(tmp_path: Path) -> None:
    """An epoch takes 60 s here; the search stops so that the refit still fits."""
    clock = FakeClock()

    def work(learner: LinearLearner, row: int) -> None:
        clock.now += 3.0

    options = {"enabled": False, "before_rows": work, "clock": clock}
    run = trainer(folder=tmp_path, max_seconds=900, max_epochs=50, **options)
    result = run.fit()
    assert (result.status, result.stopped_by) == ("completed", "max_seconds")
    assert result.refitted
    assert 1 < result.best_epoch <= result.epochs < 15
    assert 800 < result.seconds < 960


def test_at_least_one_epoch_is_trained() -> None:
    result = trainer(max_seconds=0.5).fit()
    assert (result.epochs, result.best_epoch, result.stopped_by) == (1, 1, "max_seconds")


def test_more_time_after_the_limit(tmp_path: Path) -> None:
    """The search goes on in the middle of the epoch where time ran out."""
    result = trainer(folder=tmp_path, max_seconds=350.0).fit()
    assert result.stopped_by == "max_seconds"
    cursors = checkpoint.read(tmp_path / "last.safetensors")[1]["training"]["search"]["cursors"]
    assert any(cursors)
    run = resumed(tmp_path, max_seconds=None)
    assert_equal(outcome(run, run.fit()), whole())


def test_the_same_limit_changes_nothing(tmp_path: Path) -> None:
    first = trainer(folder=tmp_path, max_seconds=300.0)
    expected = outcome(first, first.fit())
    made: list[LinearLearner] = []
    run = resumed(tmp_path, max_seconds=300.0, made=made)
    assert_equal(outcome(run, run.fit()), expected)
    assert not any(learner.calls for learner in made)


def test_seconds_add_up(tmp_path: Path) -> None:
    before = trainer(folder=tmp_path, before_rows=interrupting(50)).fit().seconds
    assert before > 50
    after = resumed(tmp_path).fit()
    assert after.seconds > 2 * before
    seconds = [row["seconds"] for row in after.history]
    assert seconds == sorted(seconds)


def test_second_signal_stops_at_once(tmp_path: Path) -> None:
    """Without another save; the handlers of before are back."""
    before = signal.getsignal(signal.SIGINT)
    trainer(folder=tmp_path, before_rows=interrupting(30)).fit()
    saved = (tmp_path / "last.safetensors").read_bytes()

    def impatient(learner: LinearLearner, row: int) -> None:
        interrupt()
        interrupt()

    recorder = Recorder()
    run = resumed(tmp_path, before_rows=impatient, observers=[recorder])
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert recorder.events[-1].status == "failed"
    assert (tmp_path / "last.safetensors").read_bytes() == saved
    assert signal.getsignal(signal.SIGINT) is before


def stopped(folder: Path, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    trainer(folder=folder, before_rows=interrupting(60), **options).fit()
    return checkpoint.read(folder / "last.safetensors", "training")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"update_rule": "sum"}, r"trainer\.update_rule: sum here, information_capped in the run"),
        ({"patience": 7}, r"trainer\.early_stopping\.patience: 7 here, \d+ in the run"),
        ({"members": 3}, r"ensemble\.size: 3 here, 2 in the run"),
        ({"batch_size": 8}, r"data\.batch_size: 8 here, 4 in the run"),
        ({"seed": 6}, r"seed: 6 here, 5 in the run"),
        ({"shuffle": False}, r"data\.shuffle_train: False here, True in the run"),
        (
            {"mode": "inference"},
            r"data\.batch_sampling_mode: inference here, independent in the run",
        ),
        ({"stride": 2}, r"data\.slide_stride: 2 here, 1 in the run"),
        ({"data": dataset(train=36)}, r"training rows: 36 here, 37 in the run"),
        ({"max_epochs": 1}, r"trainer\.max_epochs: 1, but .* trained 3 epochs; .* only be raised"),
    ],
)
def test_other_changes_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    trainer(folder=tmp_path, max_epochs=3).fit()
    with pytest.raises(UserError, match=message):
        trainer(**{"max_epochs": 3, **change}).restore(
            *checkpoint.read(tmp_path / "last.safetensors", "training")
        )


def test_all_changes_are_told_at_once(tmp_path: Path) -> None:
    last = stopped(tmp_path)
    with pytest.raises(UserError, match=r"(?s)2 faults.*ensemble\.size.*seed"):
        trainer(members=3, seed=6).restore(*last)


def test_limits_may_change(tmp_path: Path) -> None:
    """The new ones are in force: it ends as if begun with them."""
    last = stopped(tmp_path, max_epochs=8)
    assert last[1]["training"]["search"]["epoch"] < 8
    for limits in ({"max_epochs": 15}, {"max_epochs": 15, "max_seconds": 1e6}):
        run = trainer(**limits, resume="runs/a")
        run.restore(*last)
        assert_equal(outcome(run, run.fit()), whole(max_epochs=15))
    run = trainer(max_epochs=15, max_seconds=5.0, clock=FakeClock(1.0), resume="runs/a")
    run.restore(*last)
    found = run.fit()
    assert found.stopped_by == "max_seconds"
    assert found.epochs < 15


def test_checkpoint_of_another_network(tmp_path: Path) -> None:
    tensors, metadata = stopped(tmp_path)
    tensors["member.1.line.mu"] = np.zeros(3)
    with pytest.raises(UserError, match=r"does not fit the network: line\.mu has shape \(3,\)"):
        trainer().restore(tensors, metadata)


@pytest.mark.parametrize("part", ["stage", "search", "stopping", "history"])
def test_checkpoint_that_lacks_a_part(tmp_path: Path, part: str) -> None:
    tensors, metadata = stopped(tmp_path)
    training = json.loads(json.dumps(metadata["training"]))
    training[part] = None
    if part != "search":
        del training[part]
    with pytest.raises(UserError, match="lacks a part"):
        trainer().restore(tensors, {**metadata, "training": training})


def test_equal_networks_are_saved_once(tmp_path: Path) -> None:
    """While the last epoch is the best, `best` is not stored beside it."""
    trainer(folder=tmp_path, max_epochs=1, refit=False).fit()
    tensors = checkpoint.read(tmp_path / "last.safetensors")[0]
    assert not any(name.startswith("best.") for name in tensors)
