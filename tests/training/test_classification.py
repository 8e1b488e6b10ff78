"""How good predicted class probabilities are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from tagi_cli.errors import UserError
from tagi_cli.training import classification
from tagi_cli.training.classification import ClassificationTask, classification_metrics
from tagi_cli.training.interface import NumericalError, Prediction

Host = np.ndarray[Any, Any]


def example(n: int = 200, K: int = 4, seed: int = 0) -> tuple[Host, Host]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, K, n).astype(float), softmax(2 * rng.normal(size=(n, K)), axis=1)


def test_metrics_are_their_definitions() -> None:
    labels, p = example()
    found = classification_metrics(labels, p)
    rows = list(zip(labels.astype(int), p, strict=True))
    assert found["error_rate"] == pytest.approx(np.mean([int(q.argmax()) != k for k, q in rows]))
    assert found["nll"] == pytest.approx(np.mean([-np.log(q[k]) for k, q in rows]))
    brier = [sum((q[j] - (j == k)) ** 2 for j in range(4)) for k, q in rows]
    assert found["brier"] == pytest.approx(np.mean(brier))
    ece = 0.0
    for low in np.arange(15) / 15:
        inside = [(q.max(), q.argmax() == k) for k, q in rows if low <= q.max() < low + 1 / 15]
        if inside:
            ece += abs(sum(c for c, _ in inside) - sum(r for _, r in inside)) / len(rows)
    assert found["ece"] == pytest.approx(ece)


def test_missing_labels_take_no_part() -> None:
    labels, p = example()
    gaps = np.concatenate([labels, [np.nan, np.nan]])
    assert classification_metrics(gaps, np.vstack([p, p[:2]])) == classification_metrics(labels, p)
    nothing = classification_metrics(np.full(3, np.nan), p[:3])
    assert all(np.isnan(value) for value in nothing.values())


def test_certain_predictions_at_their_best_and_worst() -> None:
    p = np.eye(3)
    best = classification_metrics(np.arange(3.0), p)
    assert best == {"error_rate": 0, "nll": 0, "brier": 0, "ece": 0}
    worst = classification_metrics(np.array([1.0, 2, 0]), p)
    assert worst["error_rate"] == worst["ece"] == 1
    assert worst["brier"] == 2
    assert worst["nll"] == pytest.approx(126 * np.log(2))


@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 5))
def test_metrics_keep_their_ranges(K: int, n: int, seed: int) -> None:
    found = classification_metrics(*example(n, K, seed))
    assert 0 <= found["error_rate"] <= 1
    assert 0 <= found["ece"] <= 1
    assert 0 <= found["brier"] <= 2
    assert found["nll"] >= 0


def test_labels_drawn_from_the_predictions_are_calibrated() -> None:
    rng = np.random.default_rng(1)
    _, p = example(20_000, 3)
    labels = (rng.random((len(p), 1)) > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1).astype(float)
    assert classification_metrics(labels, p)["ece"] < 0.02
    sharper = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert classification_metrics(labels, sharper)["ece"] > 0.1


def test_reliability_counts_each_row_once() -> None:
    table = classification.reliability(np.array([0.0, 1 / 15, 0.5, 1.0, 1.0]), np.arange(5) > 2)
    assert table[:, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2]
    assert table[:, 1].sum() == pytest.approx(2.5 + 1 / 15)
    assert table[-1, 2] == 2


def test_of_many_classes_the_label_may_be_among_the_first_five() -> None:
    labels, p = example(300, 8)
    p[:50] = np.round(p[:50], 1)  # with ties, of which the first counts
    wrong = [
        int(k) not in sorted(range(8), key=lambda j: (-q[j], j))[:5]
        for k, q in zip(labels, p, strict=True)
    ]
    assert 0 < sum(wrong) < 300
    assert classification_metrics(labels, p)["top_5_error_rate"] == pytest.approx(np.mean(wrong))
    assert "top_5_error_rate" not in classification_metrics(*example(9, 5))
    assert np.isnan(classification_metrics(labels * np.nan, p)["top_5_error_rate"])


@given(st.integers(2, 6), st.integers(1, 30), st.integers(0, 20))
def test_each_class_has_its_precision_recall_and_f1(K: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, guess = rng.integers(0, K, n).astype(float), rng.integers(0, K, n)
    labels[rng.random(n) < 0.2] = np.nan
    counts = classification.confusion(labels, guess, K)
    pairs = [(int(a), int(b)) for a, b in zip(labels, guess, strict=True) if a == a]
    assert counts.tolist() == [[pairs.count((a, b)) for b in range(K)] for a in range(K)]
    precision, recall, f1, support = classification.per_class(counts)
    for k in range(K):
        right = sum(a == b == k for a, b in pairs)
        seen, taken = sum(a == k for a, _ in pairs), sum(b == k for _, b in pairs)
        assert support[k] == seen
        for found, part, whole in (
            (precision[k], right, taken), (recall[k], right, seen), (f1[k], 2 * right, seen + taken)
        ):  # fmt: skip
            assert np.isnan(found) if not whole else found == pytest.approx(part / whole)
        if right:
            harmonic = 2 / (1 / precision[k] + 1 / recall[k])
            assert f1[k] == pytest.approx(harmonic)


@given(st.lists(st.integers(-3, 3), max_size=20), st.lists(st.integers(-3, 3), max_size=20))
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(
    inside: list[int], outside: list[int]
) -> None:
    found = classification.auroc(np.array(inside, float), np.array(outside, float))
    pairs = [(b > a) + 0.5 * (b == a) for a in inside for b in outside]
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs))


def rows(y: Host) -> Any:
    return SimpleNamespace(y=y)


def predicted(*members: Host) -> list[Prediction]:
    return [Prediction(p, 0 * p, p * (1 - p)) for p in members]


def test_the_mixture_of_the_members_is_scored() -> None:
    labels, p = example()
    _, q = example(seed=1)
    y = np.eye(4)[labels.astype(int)]
    found = ClassificationTask().validate(rows(y), predicted(p, q))
    want = classification_metrics(labels, (p + q) / 2)
    assert found.score == found.metrics["nll"] == pytest.approx(want["nll"])
    assert found.metrics == {
        name: pytest.approx(want[name]) for name in ("nll", "error_rate", "brier")
    }


def test_weights_count_in_the_score() -> None:
    labels, p = example()
    labels[::9] = np.nan
    y = np.where(np.isnan(labels)[:, None], np.nan, np.eye(4)[np.nan_to_num(labels).astype(int)])
    weights = np.array([1.0, 0.5, 3.0, 2.0])
    found = ClassificationTask(weights).validate(rows(y), predicted(p))
    pairs = [
        (weights[int(k)], -np.log(q[int(k)])) for k, q in zip(labels, p, strict=True) if k == k
    ]
    want = sum(w * loss for w, loss in pairs) / sum(w for w, _ in pairs)
    assert found.score == found.metrics["nll_weighted"] == pytest.approx(want)
    assert found.metrics["nll"] == classification_metrics(labels, p)["nll"]


def test_a_validation_part_without_labels_is_told() -> None:
    _, p = example(3)
    with pytest.raises(UserError, match="no observed label to choose the epoch by"):
        ClassificationTask().validate(rows(np.full((3, 4), np.nan)), predicted(p))
    with pytest.raises(NumericalError, match="the NLL is NaN"):
        ClassificationTask().validate(rows(np.eye(4)[:3]), predicted(p * np.nan))


def test_training_metrics_average_members() -> None:
    def scores(count: list[float], nll: list[float], wrong: list[float]) -> Any:
        return {
            "count": np.array(count), "nll_sum": np.array(nll), "se_sum": np.array(wrong),
        }  # fmt: skip

    task = ClassificationTask()
    members = [scores([3, 1], [2, 2], [1, 1]), scores([3, 1], [4, 4], [0, 0])]
    found = task.train_metrics(members, rows(np.zeros((4, 2))))
    assert found == {"nll": 1.5, "error_rate": 0.25}
    empty = task.train_metrics([scores([0, 0], [0, 0], [0, 0])], rows(np.zeros((0, 2))))
    assert all(np.isnan(value) for value in empty.values())
