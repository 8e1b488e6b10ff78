"""Class probabilities: the layer that makes them, and what an observed class says about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Array, Backend
from tagi_cli.nn.layers.hrc_softmax import SLOPE
from tagi_cli.options import Kind
from tagi_cli.training.noise import AutoOptions, HeteroscedasticOptions, Host, LearnedOptions, Noise
from tagi_cli.training.noise import registry as noises

SHARES = ("softmax", "remax", "closed_form_softmax")
"""Heads that make probabilities of as many logits."""

REMAX_ERROR = 0.01
"""Variance of what the probabilities of `remax` are off by."""

TREE = "hrc"
"""The head whose units are the decisions of a binary tree of classes."""

HEADS = (*SHARES, TREE)


WEIGHTS = "noise.class_weights"
"""Their name in the state of a network."""


def class_noise(
    head: str, kind: Kind, options: Any, weights: Host | None = None
) -> tuple[Kind, Any]:
    """The noise of classes, as a `Learner` takes it.

    Args:
        head: one of `HEADS`.
        kind: noise of the config.
        options: its options.
        weights: `(K,)` how often a label of each class counts; None for once.
    """

    def build(options: Any, backend: Backend, outputs: int) -> Noise:
        units = nn.HRCSoftmax(outputs).len if head == TREE else outputs
        inner: Noise | None = kind.build(options, backend, units)
        if head == TREE:
            assert inner is not None
            return TreeNoise(backend, outputs, inner, weights)
        if isinstance(options, AutoOptions):
            inner = None
        return ShareNoise(backend, outputs, head, inner, weights)

    return Kind(kind.name, kind.options, build, kind.summary), options


def faults(head: str, options: Any) -> list[str]:
    """What stands between the noise of a config and classes, one message each."""
    if isinstance(options, HeteroscedasticOptions):
        allowed = ", ".join(name for name in noises if name != "heteroscedastic")
        return [
            f"noise: found 'heteroscedastic', which classes have no use for. Allowed: {allowed}"
        ]
    if head == TREE or not isinstance(options, AutoOptions):
        return []
    default = LearnedOptions()
    return [
        f"noise.{name}: found {getattr(options, name):g}, which has no effect on classes with "
        f"task.head={head}, whose variance follows from their probabilities. Leave it out, or "
        "choose noise=learned or noise=constant"
        for name in ("sigma_v", "sigma_v_min")
        if getattr(options, name) != getattr(default, name)
    ]


class ClassNoise(Noise):
    """What heads have in common: labels that count more or less than once.

    Args:
        backend: where it runs.
        inner: error of observations as if they were real numbers; None where there is none.
        weights: `(K,)` as in `class_noise`.
    """

    def __init__(self, backend: Backend, inner: Noise | None, weights: Host | None) -> None:
        self._backend = backend
        self._inner = inner
        self._weights = None if weights is None else backend.asarray(weights)

    @property
    def sums(self) -> Sequence[Array]:
        """Those of the error."""
        return () if self._inner is None else self._inner.sums

    def start_epoch(self, epoch: int) -> None:
        """See `Noise.start_epoch`."""
        if self._inner is not None:
            self._inner.start_epoch(epoch)

    def emit_step(self, plan: nn.Plan) -> None:
        """See `Noise.emit_step`."""
        if self._inner is not None:
            self._inner.emit_step(plan)

    def weigh(self, plan: nn.Plan, reached: nn.Value, y: Array) -> None:
        """Emit a call that makes the innovations just sent those of labels with their weights."""
        if self._weights is None:
            return
        d_mu, d_var = reached.innovation()
        (B, K), U = y.shape, nn.flat_size(reached.shape)
        plan.call("weigh_labels", d_mu, d_var, reached.var, y, self._weights, B, K, U)

    def state_dict(self) -> dict[str, Host]:
        """That of the error, and the weights."""
        weights = {} if self._weights is None else {WEIGHTS: self._backend.to_host(self._weights)}
        return weights | ({} if self._inner is None else self._inner.state_dict())

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over that of the error, and the weights of a network that goes on."""
        if self._weights is not None:
            self._backend.write(self._weights, values[WEIGHTS])
        if self._inner is not None:
            self._inner.load_state_dict(values)


class ShareNoise(ClassNoise):
    """Probabilities by an activation of the last layer; a class observes 1 or 0 of each.

    Args:
        backend: where it runs.
        classes: number of classes.
        head: one of `SHARES`.
        inner: error of these observations as if they were real numbers; None takes the variance of
            an indicator with the predicted probability, of `remax` `REMAX_ERROR` more.
        weights: `(K,)` as in `class_noise`.
    """

    def __init__(
        self,
        backend: Backend,
        classes: int,
        head: str,
        inner: Noise | None,
        weights: Host | None = None,
    ) -> None:
        super().__init__(backend, inner, weights)
        self._head = nn.registry[head]
        self._unused = backend.zeros((classes, 3), np.float64)

    def head(self) -> list[nn.Layer]:
        """The activation."""
        return [self._head.build(self._head.options())]

    def emit(self, plan: nn.Plan, y: Array, scores: Array) -> None:
        """See `Noise.emit`; `y (B, K)` is one-hot, scores are those of `class_score`."""
        output = plan.output
        plan.call("class_score", scores, output.mu, y, *y.shape)
        if self._inner is not None:
            self._inner.emit(plan, y, self._unused)
            self.weigh(plan, output, y)
            return
        if self._head.name == "remax":
            d_mu, d_var, _ = output.send()
            plan.call(
                "categorical_update",
                *(d_mu, d_var, output.mu, output.var, y, REMAX_ERROR, *y.shape),
            )
            self.weigh(plan, output, y)
            return
        # Past a softmax, whose Jacobian vanishes where a row is as good as decided; and past one of
        # log-normals, whose variance is no longer one of probabilities where that of logits is not
        # small, and would leave nothing of what a label says.
        logits = output.source
        assert logits is not None
        var = output.var if self._head.name == "softmax" else None
        d_mu, d_var, _ = logits.send()
        plan.call("softmax_update", d_mu, d_var, output.mu, var, y, *y.shape)
        self.weigh(plan, logits, y)

    def split(self, mu: Host, var: Host) -> tuple[Host, Host, Host]:
        """Probabilities, their variance, and that of an observed indicator less that variance."""
        total = mu.sum(axis=1, keepdims=True)
        p = mu / total
        return _shared(p, var / total**2)


class TreeNoise(ClassNoise):
    """Probabilities of binary decisions; a class observes +1 or -1 on its way, see `HRCSoftmax`.

    Args:
        backend: where it runs.
        classes: number of classes.
        inner: error of these observations.
        weights: `(K,)` as in `class_noise`.
    """

    def __init__(
        self, backend: Backend, classes: int, inner: Noise, weights: Host | None = None
    ) -> None:
        super().__init__(backend, inner, weights)
        self._tree = nn.HRCSoftmax(classes)
        self._error = inner
        self._codes = backend.asarray(self._tree.codes)
        self._unused = backend.zeros((self._tree.len, 3), np.float64)

    def width(self, outputs: int) -> int:
        """The units of the tree."""
        return self._tree.len

    def emit(self, plan: nn.Plan, y: Array, scores: Array) -> None:
        """See `Noise.emit`; `y (B, K)` is one-hot, scores are those of `class_score`."""
        (B, K), U, output = y.shape, self._tree.len, plan.output
        p, target = plan.empty((B, K)), plan.empty((B, U))
        plan.call("tree_probabilities", p, output.mu, output.var, self._codes, SLOPE**-2, B, K, U)
        plan.call("class_score", scores, p, y, B, K)
        plan.call("tree_targets", target, y, self._codes, B, K, U)
        self._error.emit(plan, target, self._unused)
        self.weigh(plan, output, y)

    def split(self, mu: Host, var: Host) -> tuple[Host, Host, Host]:
        """Probabilities, their variance, and that of an observed indicator less that variance.

        A decision of probability `Phi(z / s)`, `z ~ N(m, v)`, has the mean `Phi(h)` with
        `h = m / sqrt(s^2 + v)`, and the second moment `Phi(h) - 2 T(h, sqrt(s^2 / (s^2 + 2 v)))`
        with Owen's T; decisions are independent.
        """
        from scipy.special import ndtr, owens_t

        spread, codes = SLOPE**-2, self._tree.codes
        first, second = np.ones((2, len(mu), len(codes)))
        ratio = np.sqrt(spread / (spread + 2 * var))
        height = mu / np.sqrt(spread + var)
        for unit in range(self._tree.len):
            tail = 2 * owens_t(height[:, unit], ratio[:, unit])
            for sign in (1, -1):
                chosen = codes[:, unit] == sign
                p = ndtr(sign * height[:, unit])
                first[:, chosen] *= p[:, None]
                second[:, chosen] *= (p - tail)[:, None]
        return _shared(first, second - first**2)


def _shared(p: Host, var: Host) -> tuple[Host, Host, Host]:
    """Probabilities, and the two parts of the variance `p (1 - p)` of an indicator."""
    total = p * (1 - p)
    epistemic = np.clip(var, 0, total)
    return p, epistemic, total - epistemic
