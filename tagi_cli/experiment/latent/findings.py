"""What a latent regression has found, in the units of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagi_cli.arch.latent.layout import Layout
from tagi_cli.arch.latent.model import LatentRegModel
from tagi_cli.arch.latent.options import LatentRegressionOptions
from tagi_cli.arch.latent.subspaces import principal_angles
from tagi_cli.data import Encoder
from tagi_cli.data.bundled.latent import synthetic_truth
from tagi_cli.data.inputs import NumberInput
from tagi_cli.experiment.latent import networks as latent
from tagi_cli.experiment.settings import Settings
from tagi_cli.latent_truth import Truth
from tagi_cli.training.latent_learner import LatentLearner
from tagi_cli.training.restarts import Restarts

Host = np.ndarray[Any, Any]

# Of the central difference that singular values are taken from; a linear map does not depend on it.
_STEP = 0.25


@dataclass(frozen=True)
class Findings:
    """Of one network.

    Attributes:
        inputs: names of the variables of each input group.
        outputs: names of the variables of each output group.
        spaces: by `p.<group>` and `u.<group>` a matrix (variables, latents) whose columns span the
            subspace that the latents see, or move.
        psi: by output group the error variances `(d_out,)`.
        couplings: by (input group, output group) means and standard deviations of direct couplings.
        singular: by (input group, output group) the singular values, at the mean of the inputs, of
            the way through the latents, in standard deviations of inputs and outputs.
    """

    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    spaces: Mapping[str, Host]
    psi: Mapping[str, Host]
    couplings: Mapping[tuple[str, str], tuple[Host, Host]]
    singular: Mapping[tuple[str, str], Host]


def network_of(learner: object) -> LatentLearner:
    """The network of a member; of restarts the best one."""
    best = learner.best if isinstance(learner, Restarts) else learner
    assert isinstance(best, LatentLearner)
    return best


def findings(options: LatentRegressionOptions, encoder: Encoder, learner: object) -> Findings:
    """What a member of the ensemble has found."""
    member = network_of(learner)
    model, layout = member.model, member.layout
    x_scales, y_scales = scales(encoder, layout)
    columns = [i % layout.features for i in layout.inputs]
    spaces: dict[str, Host] = {}
    found = model.subspaces()
    for g, name in enumerate(options.inputs):
        spaces[f"p.{name}"] = found[f"p{g}"] / x_scales[g][:, None]
    for h, (name, group) in enumerate(options.outputs.items()):
        # Behind layers of its own, u is in no units of the outputs.
        unit = np.ones_like(y_scales[h]) if group.s else y_scales[h]
        spaces[f"u.{name}"] = found[f"u{h}"] * unit[:, None]
    names_in, names_out = list(options.inputs), list(options.outputs)
    psi = {
        name: moments.mu * y_scales[h] ** 2
        for h, (name, moments) in enumerate(zip(names_out, model.moments("psi"), strict=True))
        if moments is not None
    }
    couplings = {}
    for (g, h), moments in zip(model.direct_pairs, model.moments("direct_mappings"), strict=True):
        assert moments is not None
        factor = y_scales[h] / x_scales[g]
        couplings[names_in[g], names_out[h]] = moments.mu * factor, np.sqrt(moments.var) * factor
    return Findings(
        {
            name: tuple(encoder.features[i] for i in index)
            for name, index in zip(names_in, columns, strict=True)
        },
        {
            name: tuple(encoder.outputs[i] for i in index)
            for name, index in zip(names_out, layout.outputs, strict=True)
        },
        spaces,
        psi,
        couplings,
        _singular(model, names_in, names_out),
    )


def scales(encoder: Encoder, layout: Layout) -> tuple[list[Host], list[Host]]:
    """Units of the data per scaled unit, for each input group and each output group."""
    features = np.concatenate(
        [
            np.full(len(c.features), c.scale if isinstance(c, NumberInput) else 1.0)
            for c in encoder.columns
        ]
    )
    x = [features[index % layout.features] for index in layout.inputs]
    return x, [encoder.scale_y[index] for index in layout.outputs]


def _singular(
    model: LatentRegModel, inputs: Sequence[str], outputs: Sequence[str]
) -> dict[tuple[str, str], Host]:
    """Singular values of the slope of outputs over inputs, less direct couplings."""
    groups = model.core.groups
    size = sum(groups.d_in)
    rows = _STEP * np.eye(size)
    slope = (model.core.outputs(rows).mu - model.core.outputs(-rows).mu) / (2 * _STEP)
    ends_in, ends_out = np.cumsum(groups.d_in), np.cumsum(groups.d_out)
    direct = dict(zip(groups.direct_pairs, model.moments("direct_mappings"), strict=True))
    found = {}
    for g, name in enumerate(inputs):
        for h, other in enumerate(outputs):
            block = slope[
                ends_in[g] - groups.d_in[g] : ends_in[g],
                ends_out[h] - groups.d_out[h] : ends_out[h],
            ]
            coupling = direct.get((g, h))
            if coupling is not None:
                block = block - np.diag(coupling.mu)
            count = min(groups.d_proj[g], groups.d_trans[h], *block.shape)
            found[name, other] = np.linalg.svd(block, compute_uv=False)[:count]
    return found


def truth_of(settings: Settings) -> Truth | None:
    """What the data of a run were drawn from, where it is known and of the run's groups."""
    data = settings.data
    if not latent.is_latent(settings.arch) or data.path or data.name != "latent_synthetic":
        return None
    truth = synthetic_truth(data.seed)
    options = settings.arch
    columns = [group.columns for group in options.inputs.values()]
    columns += [group.columns for group in options.outputs.values()]
    return truth if columns == [("a*",), ("b*",), ("y*",)] else None


def against_truth(
    settings: Settings, encoder: Encoder, learners: Sequence[object]
) -> dict[str, float]:
    """`noise_floor`, the least RMSE a model can have, and `max_angle_deg`, in original units.

    The angle is the largest principal angle between a subspace found, of any network, and the true
    one. Nothing where the truth is not known.
    """
    truth = truth_of(settings)
    if truth is None:
        return {}
    assert latent.is_latent(settings.arch)
    angles = [
        float(principal_angles(space, true).max())
        for learner in learners
        for space, true in zip(
            findings(settings.arch, encoder, learner).spaces.values(),
            [*truth.p, *truth.u],
            strict=True,
        )
    ]
    return {"noise_floor": truth.noise_floor(), "max_angle_deg": max(angles)}
