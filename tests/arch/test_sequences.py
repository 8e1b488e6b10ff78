"""Architectures on windows: what sees what, and what each option changes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli import arch, nn
from tagi_cli.arch.internal_state import InternalStateOptions
from tagi_cli.config import check, dump, load
from tagi_cli.errors import UserError
from tagi_cli.options import option

from .windows import learn, network

B, T, C = 4, 7, 3
KINDS = ("mlp", "lstm", "slstm", "cnn1d", "tcn")


def windows(seed: int = 1, rows: int = B, steps: int = T) -> Any:
    return np.random.default_rng(seed).normal(size=(rows, steps, C))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(C,), (T, C)])
def test_rows_and_windows_give_the_units_asked_for(kind: str, shape: tuple[int, ...]) -> None:
    net = network(kind, shape, 14, rows=B)
    x = np.random.default_rng(1).normal(size=(B, *shape))
    mu, var = net(x)
    assert mu.shape == var.shape == (B, 14)
    assert (var > 0).all()
    before = abs(mu - 1).mean()
    learn(net, x, np.ones((B, 14)))
    assert abs(net(x).mu - 1).mean() < before


@pytest.mark.parametrize("kind", ["lstm", "cnn1d", "tcn"])
@pytest.mark.parametrize("head", ["flatten", "last", "step"])
def test_a_row_of_a_table_is_a_window_of_one_step(kind: str, head: str) -> None:
    x = windows(steps=1)
    row, window = (network(kind, shape, 2, head=head) for shape in ((C,), (1, C)))
    np.testing.assert_array_equal(row(x[:, 0]), window(x))


def test_lstm_is_the_network_from_code() -> None:
    options: dict[str, Any] = {"width": 5, "depth": 2, "bidirectional": True, "dropout": 0.2}
    mine = network("lstm", (T, C), 2, **options, head="last", output_activation="tanh")
    layer = nn.LSTM(0, 5, depth=2, bidirectional=True, dropout=0.2, output="last")
    want = nn.Network(
        nn.Sequential(layer, nn.Linear(0, 2), nn.Tanh()), (T, C), rng=np.random.default_rng(0),
        backend=mine.backend,
    )  # fmt: skip
    np.testing.assert_array_equal(mine(windows()), want(windows()))


def test_windows_are_the_features_of_one_step_of_slstm() -> None:
    x = windows()
    steps = x.reshape(B, 1, T * C)
    mine = network("slstm", (T, C), 2, rows=B, width=5, depth=2)
    layers = [nn.SLSTM(T * C, 5), nn.SLSTM(5, 5), nn.SLinear(5, 2)]
    want = nn.Network(
        nn.Sequential(*layers), (1, T * C), rng=np.random.default_rng(0), backend=mine.backend,
        parameters=nn.Parameters(mine.backend, B),
    )  # fmt: skip
    for _ in range(2):  # the second call goes on from the first
        for got, expected in zip(mine(x), want(steps), strict=True):
            np.testing.assert_array_equal(got, expected[:, 0])


CAUSAL: list[dict[str, Any]] = [
    {"kind": "tcn"},
    {"kind": "tcn", "normalization": "layer", "dropout": 0.3},
    {"kind": "tcn", "residual_connect": False, "kernel_size": 4, "depth": 3},
    {"kind": "tcn", "kernel_size": 2, "dilation_base": 3, "activation": "tanh"},
    {"kind": "lstm", "depth": 2, "dropout": 0.3},
    {"kind": "slstm", "window": "steps", "depth": 2},
]


def per_step(options: dict[str, Any], steps: int, rows: int = B) -> nn.Network:
    options = dict(options)
    kind = options.pop("kind")
    head = {} if kind == "slstm" else {"head": "step"}
    return network(kind, (steps, C), 2 * steps, rows=rows, **options, **head)


@pytest.mark.parametrize("options", CAUSAL, ids=str)
def test_a_later_input_never_changes_an_earlier_output(options: dict[str, Any]) -> None:
    x = windows()
    changed = x.copy()
    changed[:, 4] += 10
    before, after = (
        np.stack(per_step(options, T)(one)).reshape(2, B, T, 2) for one in (x, changed)
    )
    np.testing.assert_array_equal(before[:, :, :4], after[:, :, :4])
    assert (before[:, :, 4] != after[:, :, 4]).all()


@pytest.mark.parametrize("options", [{"kind": "cnn1d"}, {"kind": "lstm", "bidirectional": True}])
def test_others_look_ahead(options: dict[str, Any]) -> None:
    x = windows()
    changed = x.copy()
    changed[:, 4] += 10
    before, after = (per_step(options, T)(one).mu.reshape(B, T, 2) for one in (x, changed))
    assert (before[:, 3] != after[:, 3]).all()


@pytest.mark.parametrize("options", CAUSAL, ids=str)
def test_padding_without_targets_teaches_nothing(options: dict[str, Any]) -> None:
    """Segments of 5 steps, as they are and padded to 8, leave the same posterior."""
    options = {"depth": 2, **options}
    x, y = windows(steps=5), np.random.default_rng(2).normal(size=(B, 5, 2))
    short, long = per_step(options, 5), per_step(options, 8)
    x_long, y_long = np.zeros((B, 8, C)), np.full((B, 8, 2), np.nan)
    x_long[:, :5], y_long[:, :5] = x, y
    learn(short, x, y.reshape(B, -1))
    learn(long, x_long, y_long.reshape(B, -1))
    want, got = short.state_dict(), long.state_dict()
    parameters = [name for name in want if name.endswith((".mu", ".var"))]
    assert parameters
    for name in parameters:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", ["tcn", "cnn1d"])
@pytest.mark.parametrize(
    ("kernel_size", "dilation_base", "steps", "layers"),
    [(3, 2, 7, 2), (3, 2, 8, 3), (2, 2, 9, 4), (3, 1, 9, 4), (5, 3, 17, 2), (1, 2, 9, 1)],
)
def test_depth_is_what_it_takes_to_see_the_window(
    kind: str, kernel_size: int, dilation_base: int, steps: int, layers: int
) -> None:
    made = arch.registry[kind].options(kernel_size=kernel_size, dilation_base=dilation_base)
    assert made.layers(steps) == layers
    if kind == "cnn1d" or kernel_size == 1:
        return
    x = windows(steps=steps)
    changed = x.copy()
    changed[:, 0] += 10
    for depth, sees in ((layers, True), (layers - 1, False)):
        if depth:
            options = dataclasses.replace(made, depth=depth, head="last")
            net = network(kind, (steps, C), 1, **_values(options))
            assert (net(x).mu != net(changed).mu).all() == sees


def _values(options: Any) -> dict[str, Any]:
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}


HEADED = {"head": "last", "output_activation": "tanh"}
CONVOLUTIONS = {
    "num_filters": 5, "kernel_size": 2, "depth": 1, "dilation_base": 1, "activation": "tanh",
    "normalization": "layer", "dropout": 0.2, "residual_connect": False, **HEADED,
}  # fmt: skip
PRIOR = {
    "bias": False, "gain_weight": 0.5, "gain_bias": 0.5, "gain_mean": 0.5, "init_method": "Xavier",
    "init": nn.InitOptions("kaiming_truncated_normal"),
}  # fmt: skip
CELL = {"covariance": "peer", "forget_bias": 2.0, "state_var": 0.1}
RANDOM = InternalStateOptions(init_hidden_state="random", init_cell_state="random")
TRACKING = InternalStateOptions(tracking=True)
CHANGED = {
    "mlp": {"width": 5, "depth": 1, "activation": "tanh", "output_activation": "tanh"},
    "lstm": {
        "width": 5, "depth": 2, "bidirectional": True, "recurrent": False,
        "internal_state": RANDOM, **CELL, **HEADED,
    },
    "slstm": {"width": 5, "depth": 2, "window": "steps", "output_activation": "tanh", **CELL},
    "tcn": CONVOLUTIONS,
    "cnn1d": CONVOLUTIONS,
}  # fmt: skip
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("lstm", "dropout"): {"depth": 2},
    ("lstm", "carry"): {"internal_state": TRACKING},
}
MORE = [("lstm", "dropout", 0.2), ("lstm", "carry", "prior"), ("lstm", "internal_state", TRACKING)]
CASES = [
    *((kind, name, value) for kind in KINDS for name, value in (CHANGED[kind] | PRIOR).items()),
    *MORE,
]


@pytest.mark.parametrize(("kind", "name", "value"), CASES, ids=lambda v: str(v)[:20])
def test_every_option_changes_what_is_learnt(kind: str, name: str, value: Any) -> None:
    beside = BESIDE.get((kind, name), {})
    outcomes = []
    for options in (beside, beside | {name: value}):
        net = network(kind, (T, C), 2 * T, rows=B, **options)
        for seed in range(2):
            learn(net, windows(seed), np.ones((B, 2 * T)))
        outcomes.append(np.stack(net(windows(9))))
    assert (outcomes[0] != outcomes[1]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_no_option_is_left_out(kind: str) -> None:
    tested = {name for one, name, _ in CASES if one == kind}
    assert {field.name for field in dataclasses.fields(arch.registry[kind].options)} == tested


def test_random_states_are_drawn_in_training_and_a_variance_in_prediction() -> None:
    options = {"width": 400, "head": "last", "internal_state": RANDOM}
    net = network("lstm", (1, C), 400, rows=B, **options)
    layer = net.layer[0]  # type: ignore[index]
    initial = []
    for _ in range(2):
        net(windows(steps=1))
        ((_, window),) = net.current.plan.recurrences.items()
        assert layer.recurrences == list(net.current.plan.recurrences)
        initial.append(np.array(window.initial).reshape(B, 2, 2, 400))
    means, variances = initial[0][:, :, 0], initial[0][:, :, 1]
    assert (initial[0] != initial[1]).any()
    assert (variances == 0).all()
    assert abs(means).max() <= 0.1 * np.sqrt(3)
    # The sd of 3200 uniform draws has a standard error of 0.45 / sqrt(n) of itself.
    assert means.std() == pytest.approx(0.1, rel=6 * 0.45 / np.sqrt(means.size))
    net.eval()
    net(windows(steps=1))
    ((_, window),) = net.current.plan.recurrences.items()
    predicted = np.array(window.initial).reshape(B, 2, 2, 400)
    assert (predicted[:, :, 0] == 0).all()
    np.testing.assert_allclose(predicted[:, :, 1], 0.01)


@dataclass(frozen=True)
class Root:
    """Only the architecture."""

    arch: Any = option(doc="Architecture.")


REGISTRIES = {"arch": arch.registry}


def checked(tree: dict[str, Any]) -> Any:
    return check(Root, REGISTRIES, {"arch": tree}).arch


def test_a_config_is_read_and_written_back(tmp_path: Path) -> None:
    tree = {
        "kind": "lstm", "width": 40, "internal_state": {"init_cell_state": None, "tracking": True},
    }  # fmt: skip
    settings = check(Root, REGISTRIES, {"arch": tree})
    assert settings.arch.internal_state == InternalStateOptions("zeros", None, True)
    path = tmp_path / "config.yaml"
    path.write_text(dump(settings, REGISTRIES))
    assert load(Root, REGISTRIES, path) == settings


def test_defaults_are_those_of_knowit_but_width_and_dropout() -> None:
    options = checked({"kind": "lstm"})
    assert (options.depth, options.bidirectional, options.output_activation) == (1, False, None)
    assert not options.internal_state.tracking
    assert (options.width, options.dropout) == (32, 0.0)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"dropout": 0.5}, "arch.dropout: found 0.5, which acts between layers, beside arch.depth"),
        ({"internal_state": {"tracking": True}, "bidirectional": True}, "nothing to track"),
        ({"recurrent": False, "state_var": 1.0}, "arch.recurrent: found false beside a state"),
        ({"recurrent": False, "internal_state": {"tracking": True}}, "arch.recurrent: found false"),
        ({"carry": "prior"}, "arch.carry: found 'prior', which is kept by tracking alone"),
        ({"internal_state": {"init_cell_state": "random"}}, "Allowed: the same for both"),
        ({"internal_state": {"init_cell_state": "ones"}}, "found 'ones'. Allowed: one of zeros"),
        ({"head": "lst"}, "arch.head: found 'lst'. Did you mean 'last'"),
        ({"output_activation": "relu"}, "output_activation: found 'relu'"),
        ({"bidirektional": True}, "unknown option .* Did you mean 'bidirectional'"),
    ],
)
def test_mistakes_are_told(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked({"kind": "lstm", **tree})


@pytest.mark.parametrize(
    ("kind", "options", "hint"),
    [
        ("lstm", {"head": "step"}, "arch.head=flatten"),
        ("tcn", {"head": "step"}, "arch.head=flatten"),
        ("slstm", {"window": "steps"}, "arch.window=features"),
    ],
)
def test_steps_that_do_not_share_the_outputs_are_told(
    kind: str, options: dict[str, Any], hint: str
) -> None:
    with pytest.raises(UserError, match=f"each of the 7 steps .* needs 9 in all. Set {hint}"):
        network(kind, (T, C), 9, **options)


@pytest.mark.parametrize("kind", ["lstm", "slstm", "cnn1d", "tcn"])
def test_rows_that_are_no_windows_are_told(kind: str) -> None:
    with pytest.raises(UserError, match=rf"arch: {kind} takes windows .* are \(1, 28, 28\)"):
        network(kind, (1, 28, 28), 2)


@pytest.mark.parametrize(
    ("tree", "task", "message"),
    [
        (
            {"output_activation": "softmax"},
            "regression",
            "the task is regression. Allowed: null, s",
        ),
        ({"output_activation": "tanh"}, "classification", "gives no class probabilities. Allowed"),
        ({"head": "flatten"}, "vl_regression", "arch.head: found 'flatten'. Allowed: null, step"),
        ({"bidirectional": True}, "vl_regression", "arch.bidirectional: found true"),
        ({"kind": "mlp"}, "vl_regression", "'mlp' sees all steps of a window at once"),
        ({"kind": "cnn1d"}, "vl_regression", "'cnn1d' looks ahead"),
        ({"kind": "slstm"}, "vl_regression", "arch.window: found 'features'"),
        ({"kind": "tcn", "normalization": "batch"}, "vl_regression", "found 'batch', which would"),
    ],
)
def test_what_does_not_suit_the_task_is_told(tree: dict[str, Any], task: str, message: str) -> None:
    options = checked({"kind": "lstm", **tree})
    (fault,) = arch.faults(options, task)
    assert message in fault
    assert not arch.faults(checked({"kind": "lstm"}), task)


def test_the_task_decides_what_is_left_to_it() -> None:
    options = checked({"kind": "lstm", "output_activation": "remax"})
    assert arch.for_task(options, "classification").output_activation is None
    assert arch.for_task(checked({"kind": "tcn"}), "vl_regression").head == "step"
    for kind in KINDS:
        options = checked({"kind": kind})
        assert arch.for_task(options, "regression") is options
    layers = checked({"kind": "sequential", "layers": [{"kind": "linear", "output_size": 1}]})
    assert arch.for_task(layers, "vl_regression") is layers
    assert not arch.faults(layers, "vl_regression")
