"""Latent regression with the names of janelia_core, by closed-form Gaussian inference.

Arguments and methods are those of `janelia_core.ml.latent_regression.subject_models`; arrays are
NumPy's. What is learnt are Gaussians: where that package returns a tensor, means are returned, and
`predict`, `project` and `moments` give variances, too. Maps between the latents are in
`tagi_cli.arch.latent.group_maps`, data with known truth in `tagi_cli.arch.latent.synthetic`.
"""

from __future__ import annotations

from tagi_cli.arch.latent import group_maps as group_maps
from tagi_cli.arch.latent.model import LatentRegModel as LatentRegModel
from tagi_cli.arch.latent.predictor import Prediction as Prediction
from tagi_cli.arch.latent.shared_model import SharedMLatentRegModel as SharedMLatentRegModel
from tagi_cli.arch.latent.shrinkage import ARD as ARD
from tagi_cli.arch.latent.shrinkage import Lasso as Lasso
from tagi_cli.arch.latent.subjects import fit_subjects as fit_subjects
from tagi_cli.arch.latent.subspaces import canonical as canonical
from tagi_cli.arch.latent.subspaces import principal_angles as principal_angles
from tagi_cli.arch.latent.synthetic import synthetic as synthetic
