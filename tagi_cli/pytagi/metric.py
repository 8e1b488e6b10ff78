"""Measures of predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tagi_cli.pytagi.tagi_utils import Utils


class HRCSoftmaxMetric:
    """Errors of a network that ends in the units of a hierarchical softmax.

    Args:
        num_classes: number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.utils = Utils()
        self.hrc_softmax = self.utils.get_hierarchical_softmax(num_classes)

    def error_rate(
        self, m_pred: np.ndarray[Any, Any], v_pred: np.ndarray[Any, Any], label: Any
    ) -> float:
        """Share of wrong labels, from means and variances of the units."""
        return classification_error(self.get_predicted_labels(m_pred, v_pred), label)

    def get_predicted_labels(
        self, m_pred: np.ndarray[Any, Any], v_pred: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, Any]:
        """The most probable class of each row."""
        rows = np.size(m_pred) // self.hrc_softmax.len
        labels, _ = self.utils.get_labels(m_pred, v_pred, self.hrc_softmax, self.num_classes, rows)
        return labels


def mse(prediction: Any, observation: Any) -> float:
    """Mean squared error over the values that are not NaN."""
    return float(np.nanmean((np.asarray(prediction) - np.asarray(observation)) ** 2))


def log_likelihood(prediction: Any, observation: Any, std: Any) -> float:
    """Average Gaussian log-likelihood (natural logarithm) over the values that are not NaN."""
    std = np.asarray(std)
    error = (np.asarray(observation) - np.asarray(prediction)) / std
    return float(np.nanmean(-0.5 * np.log(2 * np.pi * std**2) - 0.5 * error**2))


def rmse(prediction: Any, observation: Any) -> float:
    """Root of the mean squared error over the values that are not NaN."""
    return math.sqrt(mse(prediction, observation))


def classification_error(prediction: Any, label: Any) -> float:
    """Share of predictions that differ from their label.

    Raises:
        ValueError: not as many predictions as labels.
    """
    prediction, label = np.ravel(prediction), np.ravel(label)
    if prediction.size != label.size:
        raise ValueError(f"{prediction.size} predictions for {label.size} labels")
    return float(np.mean(prediction != label))
