"""How the members of an ensemble are made, and made again for the refit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tagi_cli.training.history import REFIT, SEARCH
from tagi_cli.training.interface import Dataset, Learner, MakeLearner
from tagi_cli.training.phase import Phase
from tagi_cli.training.sampling import Sampler
from tagi_cli.training.seeds import Purpose, Seeds

_ORDER = {SEARCH: Purpose.ORDER, REFIT: Purpose.REFIT_ORDER}


@dataclass(frozen=True)
class Ensemble:
    """What its members have in common; see `Trainer` for the attributes."""

    make_learner: MakeLearner
    seeds: Seeds
    members: int
    sampler: Sampler

    def learners(self) -> list[Learner]:
        """Fresh members, always with the same initial values."""
        return [
            self.make_learner(member, self.seeds.generator(Purpose.INIT, member))
            for member in range(self.members)
        ]

    def phase(self, name: str, dataset: Dataset) -> Phase:
        """A phase of training at its beginning: fresh members, and the rows that they learn."""
        rows = dataset.train if name == SEARCH else dataset.merged()
        generators = [self.seeds.generator(_ORDER[name], i) for i in range(self.members)]
        return Phase(name, self.learners(), rows, generators, self.sampler)

    def fingerprint(self, dataset: Dataset) -> dict[str, Any]:
        """What must not change when a training is resumed, by config path."""
        return {
            "ensemble.size": self.members,
            "data.batch_size": self.sampler.batch_size,
            "data.shuffle_train": self.sampler.shuffle,
            "data.batch_sampling_mode": self.sampler.mode,
            "data.slide_stride": self.sampler.stride,
            "seed": self.seeds.seed,
            "training rows": len(dataset.train),
            "validation rows": len(dataset.valid),
        }
