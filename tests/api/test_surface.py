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

MODULES = [
    "cuda", "metric", "nn", "nn.activation", "nn.attention", "nn.base_layer", "nn.batch_norm",
    "nn.conv2d", "nn.convtranspose2d", "nn.data_struct", "nn.embedding", "nn.layer_block",
    "nn.layer_norm", "nn.linear", "nn.output_updater", "nn.pooling", "nn.resnet_block",
    "nn.sequential", "tagi_utils",
]  # fmt: skip

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
        assert found(cls) == expected(f"({arguments}" if parenthesis else "()")
    else:
        assert found(getattr(cls, name))[1:] == expected(f"({arguments}")


@pytest.mark.parametrize("path", list(FUNCTIONS))
def test_the_rest(path: str) -> None:
    target: Any = pytagi
    for part in path.split("."):
        if not hasattr(target, part):
            importlib.import_module(f"tagi_cli.pytagi.{part}")
        target = getattr(target, part)
    assert found(target) == expected(FUNCTIONS[path])


@pytest.mark.parametrize("module", MODULES)
def test_submodules(module: str) -> None:
    importlib.import_module(f"tagi_cli.pytagi.{module}")


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
