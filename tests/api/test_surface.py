"""The stand-in has pytagi's names, arguments and defaults."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tagi_cli.pytagi as pytagi
from tagi_cli.pytagi import nn

FACTS = Path(__file__).with_name("pytagi_nn.txt")

# Where pytagi keeps what it has: scripts import from these modules, too.
MODULES = {
    "cuda": ["is_available", "get_device_count"],
    "metric": ["HRCSoftmaxMetric", "mse", "log_likelihood"],
    "nn.activation": [
        "ClosedFormSoftmax", "EvenExp", "LeakyReLU", "MixtureReLU", "MixtureSigmoid", "MixtureTanh",
        "ReLU", "Remax", "Sigmoid", "Softmax", "Softplus", "Tanh",
    ],
    "nn.attention": ["MultiheadAttention"],
    "nn.base_layer": ["BaseLayer"],
    "nn.batch_norm": ["BatchNorm2d"],
    "nn.conv2d": ["Conv2d"],
    "nn.convtranspose2d": ["ConvTranspose2d"],
    "nn.data_struct": ["BaseDeltaStates", "BaseHiddenStates", "HRCSoftmax"],
    "nn.ddp": ["DDPConfig", "DDPSequential"],
    "nn.embedding": ["Embedding"],
    "nn.layer_block": ["LayerBlock"],
    "nn.layer_norm": ["LayerNorm"],
    "nn.linear": ["Linear"],
    "nn.lstm": ["LSTM"],
    "nn.output_updater": ["OutputUpdater"],
    "nn.pooling": ["AvgPool2d", "MaxPool2d"],
    "nn.resnet_block": ["ResNetBlock"],
    "nn.sequential": ["Sequential"],
    "nn.slinear": ["SLinear"],
    "nn.slstm": ["SLSTM"],
    "tagi_utils": ["Normalizer", "Utils", "exponential_scheduler"],
}  # fmt: skip

# What there is besides what is documented, with its default.
OURS = {"LSTM": [("recurrent", True)], "get_lstm_states": [("time_step", -1)]}

FUNCTIONS = {
    "manual_seed": "(seed)",
    "exponential_scheduler": "(curr_v, min_v, decaying_factor, curr_iter)",
    "cuda.is_available": "()",
    "cuda.is_nccl_available": "()",
    "cuda.get_device_count": "()",
    "cuda.get_current_device": "()",
    "cuda.set_device": "(device_index)",
    "cuda.is_device_available": "(device_index)",
    "cuda.get_device_properties": "(device_index)",
    "cuda.get_device_memory": "(device_index)",
    "metric.mse": "(prediction, observation)",
    "metric.rmse": "(prediction, observation)",
    "metric.log_likelihood": "(prediction, observation, std)",
    "metric.classification_error": "(prediction, label)",
    "HRCSoftmaxMetric": "(num_classes)",
    "HRCSoftmaxMetric.error_rate": "(self, m_pred, v_pred, label)",
    "HRCSoftmaxMetric.get_predicted_labels": "(self, m_pred, v_pred)",
    "HRCSoftmax": "()",
    "Utils": "()",
    "Utils.label_to_obs": "(self, labels, num_classes)",
    "Utils.label_to_one_hot": "(self, labels, num_classes)",
    "Utils.load_mnist_images": "(self, image_file, label_file, num_images)",
    "Utils.load_cifar_images": "(self, image_file, num)",
    "Utils.get_labels": "(self, ma, Sa, hr_softmax, num_classes, batch_size)",
    "Utils.get_errors": "(self, ma, Sa, labels, hr_softmax, num_classes, batch_size)",
    "Utils.get_hierarchical_softmax": "(self, num_classes)",
    "Utils.obs_to_label_prob": "(self, ma, Sa, hr_softmax, num_classes)",
    "Utils.create_rolling_window": "(self, data, output_col, input_seq_len, output_seq_len, "
    "num_features, stride)",
    "Utils.get_upper_triu_cov": "(self, batch_size, num_data, sigma)",
    "Normalizer": "(method=None)",
    "Normalizer.standardize": "(data, mu, std)",
    "Normalizer.unstandardize": "(norm_data, mu, std)",
    "Normalizer.unstandardize_std": "(norm_std, std)",
    "Normalizer.max_min_norm": "(data, max_value, min_value)",
    "Normalizer.max_min_unnorm": "(norm_data, max_value, min_value)",
    "Normalizer.max_min_unnorm_std": "(norm_std, max_value, min_value)",
    "Normalizer.compute_mean_std": "(data)",
    "Normalizer.compute_max_min": "(data)",
}


READ_ONLY = {
    *((states, size) for states in ("BaseDeltaStates", "BaseHiddenStates")
      for size in ("size", "block_size", "actual_size")),
    ("Sequential", "layers"),
}  # fmt: skip


def lines() -> Iterator[tuple[str, str]]:
    """Class and line of every fact."""
    owner = ""
    for line in FACTS.read_text().splitlines():
        if line.startswith("#"):
            continue
        if not line.startswith(" "):
            owner = line.partition("(")[0]
        yield owner, line.strip()


def expected(arguments: str) -> list[tuple[str, Any]]:
    """Names and defaults of an argument list."""
    parsed = ast.parse(f"def f{arguments}: pass").body[0]
    assert isinstance(parsed, ast.FunctionDef)
    names = [a.arg for a in parsed.args.args]
    defaults = [ast.literal_eval(d) for d in parsed.args.defaults]
    required = [inspect.Parameter.empty] * (len(names) - len(defaults))
    pairs = list(zip(names, [*required, *defaults], strict=True))
    return pairs if parsed.args.vararg is None else [*pairs, (f"*{parsed.args.vararg.arg}", None)]


def found(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Names and defaults of a function as it is."""
    return [
        (f"*{p.name}", None) if p.kind is p.VAR_POSITIONAL else (p.name, p.default)
        for p in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize(("owner", "line"), list(lines()))
def test_nn(owner: str, line: str) -> None:
    cls = getattr(nn, owner)
    if line.startswith("."):
        name = line[1:]
        if owner == "HRCSoftmax":
            setattr(cls(), name, getattr(cls(), name))
        else:
            accessor = inspect.getattr_static(cls, name)
            assert isinstance(accessor, property)
            assert accessor.fset is not None or (owner, name) in READ_ONLY
        return
    name, parenthesis, arguments = line.partition("(")
    if name == owner:
        documented = expected(f"({arguments}" if parenthesis else "()")
        assert found(cls) == documented + OURS.get(owner, [])
    else:
        assert found(getattr(cls, name))[1:] == expected(f"({arguments}") + OURS.get(name, [])


@pytest.mark.parametrize("path", list(FUNCTIONS))
def test_the_rest(path: str) -> None:
    target: Any = pytagi
    for part in path.split("."):
        if not hasattr(target, part):
            importlib.import_module(f"tagi_cli.pytagi.{part}")
        target = getattr(target, part)
    assert found(target) == expected(FUNCTIONS[path])


@pytest.mark.parametrize("module", MODULES)
def test_submodules_hold_what_is_theirs(module: str) -> None:
    found = importlib.import_module(f"tagi_cli.pytagi.{module}")
    package = nn if module.startswith("nn.") else pytagi
    for name in MODULES[module]:
        item = getattr(found, name)
        assert item.__module__.startswith("tagi_cli.pytagi")
        # The same object wherever it is imported from.
        assert getattr(package, name, item) is item
        assert not module.startswith("nn.") or hasattr(nn, name)


def test_every_class_has_its_module() -> None:
    classes = {owner for owner, _ in lines()}
    assert classes == {n for m, names in MODULES.items() if m.startswith("nn.") for n in names} - {
        "Embedding", "MultiheadAttention"
    }  # fmt: skip


def test_every_layer_tells_its_name() -> None:
    layers = [c for c in vars(nn).values() if inspect.isclass(c) and issubclass(c, nn.BaseLayer)]
    assert len(layers) > 20
    for layer in layers:
        assert callable(layer.get_layer_info)
        assert callable(layer.get_layer_name)


def test_names_at_the_top() -> None:
    for name in ("manual_seed", "cuda", "HRCSoftmaxMetric", "HRCSoftmax", "Normalizer", "Utils",
                 "exponential_scheduler", "__version__"):  # fmt: skip
        assert hasattr(pytagi, name)
