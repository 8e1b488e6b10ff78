"""What a latent regression has found, in the units of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tagi_cli.arch.latent.model import LatentRegModel
from tagi_cli.arch.latent.options import LatentRegressionOptions
from tagi_cli.arch.latent.subspaces import principal_angles
from tagi_cli.data import Encoder
from tagi_cli.data.bundled.latent import synthetic_truth
from tagi_cli.experiment.latent import networks as latent
from tagi_cli.experiment.latent.units import Units
from tagi_cli.experiment.settings import Settings
from tagi_cli.latent_truth import Truth
from tagi_cli.training.latent_learner import LatentLearner
from tagi_cli.training.latent_subjects import Subjects
from tagi_cli.training.restarts import Restarts

Host = np.ndarray[Any, Any]

# Of the central difference that singular values are taken from; a linear map does not depend on it.
_STEP = 0.25


class Coupling(NamedTuple):
    """Direct couplings of n variables: from which, to which, and their posterior, `(n,)` each.

    Standard deviations count each row once, however often it was learnt.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    mean: Host
    sd: Host


@dataclass(frozen=True)
class Findings:
    """Of one network.

    Attributes:
        inputs: names of the variables of each input group, of those that it has learnt from.
        outputs: names of the variables of each output group, likewise.
        spaces: by `p.<group>` and `u.<group>` a matrix (variables, latents) whose columns span the
            subspace that the latents see, or move.
        psi: by output group the error variances `(d_out,)`.
        couplings: by (input group, output group) the direct couplings.
        singular: by (input group, output group) the singular values, at the mean of the inputs, of
            the way through the latents, in standard deviations of inputs and outputs.
    """

    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    spaces: Mapping[str, Host]
    psi: Mapping[str, Host]
    couplings: Mapping[tuple[str, str], Coupling]
    singular: Mapping[tuple[str, str], Host]


def subjects_of(learner: object) -> tuple[str, ...]:
    """Names of the subjects of a member; a nameless one where all rows are of one."""
    best = learner.best if isinstance(learner, Restarts) else learner
    return best.layout.subjects if isinstance(best, Subjects) else ("",)


def network_of(learner: object, subject: int = 0) -> LatentLearner:
    """The network of a member, of the subject of that number; of restarts the best one."""
    best = learner.best if isinstance(learner, Restarts) else learner
    if isinstance(best, Subjects):
        return best.network(subject)
    assert isinstance(best, LatentLearner)
    return best


def findings(
    options: LatentRegressionOptions, encoder: Encoder, learner: object, subject: int = 0
) -> Findings:
    """What a member of the ensemble has found, of the subject of that number."""
    member = network_of(learner, subject)
    model, layout = member.model, member.layout
    units = Units.of(encoder, subjects_of(learner)[subject])
    names_in, names_out = list(options.inputs), list(options.outputs)
    own = {
        name: _Group(encoder.features, index % layout.features, seen, units.scale_x)
        for name, index, seen in zip(names_in, layout.inputs, member.seen_inputs, strict=True)
    }
    other = {
        name: _Group(encoder.outputs, index, seen, units.scale_y)
        for name, index, seen in zip(names_out, layout.outputs, member.seen_outputs, strict=True)
    }
    spaces: dict[str, Host] = {}
    found = model.subspaces()
    for g, (name, group) in enumerate(own.items()):
        spaces[f"p.{name}"] = (found[f"p{g}"] / group.scale[:, None])[group.seen]
    for h, (name, group) in enumerate(other.items()):
        # Behind layers of its own, u is in no units of the outputs.
        unit = np.ones_like(group.scale) if options.outputs[name].s else group.scale
        spaces[f"u.{name}"] = (found[f"u{h}"] * unit[:, None])[group.seen]
    psi = {
        name: (moments.mu * other[name].scale ** 2)[other[name].seen]
        for name, moments in zip(names_out, model.moments("psi"), strict=True)
        if moments is not None
    }
    couplings = {}
    tensors = model.core.tensors.parameters("direct_mappings")
    for (g, h), tensor in zip(model.direct_pairs, tensors, strict=True):
        mean = model.core.network.backend.to_host(tensor.mu)
        a, b = own[names_in[g]], other[names_out[h]]
        both, factor = a.seen & b.seen, b.scale / a.scale
        couplings[names_in[g], names_out[h]] = Coupling(
            tuple(name for name, known in zip(a.all_names, both, strict=True) if known),
            tuple(name for name, known in zip(b.all_names, both, strict=True) if known),
            (mean * factor)[both],
            (np.sqrt(member.seen_once(tensor)) * factor)[both],
        )
    return Findings(
        {name: group.names for name, group in own.items()},
        {name: group.names for name, group in other.items()},
        {name: space for name, space in spaces.items() if len(space)},
        psi,
        couplings,
        _singular(model, own, other),
    )


class _Group:
    """The variables of a group: their names and scales, and which of them were learnt from."""

    def __init__(self, names: Sequence[str], index: Host, seen: Host, scales: Host) -> None:
        self.all_names = tuple(names[i] for i in index)
        self.seen = seen
        self.scale = scales[index]

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that were learnt from."""
        return tuple(name for name, known in zip(self.all_names, self.seen, strict=True) if known)


def _singular(
    model: LatentRegModel, inputs: Mapping[str, _Group], outputs: Mapping[str, _Group]
) -> dict[tuple[str, str], Host]:
    """Singular values of the slope of outputs over inputs, less direct couplings."""
    groups = model.core.groups
    size = sum(groups.d_in)
    rows = _STEP * np.eye(size)
    slope = (model.core.outputs(rows).mu - model.core.outputs(-rows).mu) / (2 * _STEP)
    ends_in, ends_out = np.cumsum(groups.d_in), np.cumsum(groups.d_out)
    direct = dict(zip(groups.direct_pairs, model.moments("direct_mappings"), strict=True))
    found = {}
    for g, (name, own) in enumerate(inputs.items()):
        for h, (target, other) in enumerate(outputs.items()):
            block = slope[
                ends_in[g] - groups.d_in[g] : ends_in[g],
                ends_out[h] - groups.d_out[h] : ends_out[h],
            ]
            coupling = direct.get((g, h))
            if coupling is not None:
                block = block - np.diag(coupling.mu)
            block = block[own.seen][:, other.seen]
            count = min(groups.d_proj[g], groups.d_trans[h], *block.shape)
            found[name, target] = np.linalg.svd(block, compute_uv=False)[:count]
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
