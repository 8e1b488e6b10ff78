"""Metrics and predictions of a trained model, on the parts of its data or on new rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagi_cli import atomic, data
from tagi_cli.data.images.encoder import takes_images
from tagi_cli.errors import UserError, nearest
from tagi_cli.experiment import laws, out_of_distribution, tasks
from tagi_cli.experiment.class_predictions import ClassPredictions
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.image_files import predict_images
from tagi_cli.experiment.latent import scores as latent_scores
from tagi_cli.experiment.latent.networks import has_subjects
from tagi_cli.experiment.latent.projection import encoded
from tagi_cli.experiment.laws import Law
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.new_file import new_file
from tagi_cli.experiment.report import page
from tagi_cli.training.interface import Values

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Evaluation:
    """The outcome of `evaluate`.

    Attributes:
        of: the part, or the file, that was evaluated.
        rows: its number of rows.
        metrics: as in summary.json.
        predictions: path of the table of predictions that was written; None where one was there.
        notices: remarks for the user.
        classes: precision, recall, F1 and support of each class; empty without classes.
        ood: how well rows of another kind are told apart, see `out_of_distribution.scored`; empty
            where none were given.
    """

    of: str
    rows: int
    metrics: dict[str, Any]
    predictions: Path | None
    notices: tuple[str, ...]
    classes: dict[str, Any]
    ood: dict[str, Any]


def evaluate(
    run: str | Path,
    checkpoint: str = "best",
    split: str = "test",
    data_path: str | None = None,
    ood_path: str | None = None,
) -> Evaluation:
    """Score a trained model on a part of its data, or on all rows of another file.

    Args:
        run: a run folder.
        checkpoint: `best`, `last`, or a checkpoint file or CSV folder.
        split: the part of the run's own data: `train`, `valid` or `test`.
        data_path: a file with the run's input and target columns, used as a whole.
        ood_path: a file with the run's input columns of another kind of rows, which a model of
            classes should be less sure of. What is found of `best` is shown in the report.

    Raises:
        UserError: no such run, checkpoint or part; the part is empty; the data have changed or
            do not fit; `ood_path` for a model of numbers.
    """
    if split not in SPLITS:
        raise UserError(
            f"split: unknown part '{split}'.{nearest(split, SPLITS)} Allowed: {', '.join(SPLITS)}"
        )
    folder = RunFolder.open(run)
    model = Model.load(run, checkpoint)
    notices: list[str] = []
    if ood_path is not None:
        out_of_distribution.check(model.classes)
    if data_path is None:
        law, x = _predict_part(folder, model, split, notices)
        name = split
    else:
        law, x = _predict_file(model, data_path, notices)
        name = Path(data_path).name
    if not laws.is_observed(law):
        raise UserError(f"{name}: there is no observed target to compare with")
    path = folder.predictions / f"{split}.csv"
    written = data_path is None and checkpoint == "best" and not path.exists()
    if written:
        with folder.locked():
            laws.write_csv(path, law)
    count, found = len(law.places), laws.metrics(law, model.settings.metrics)
    if x is not None:
        found |= latent_scores.by_subject(model.learners[0], x, law)
    classes = law.by_class() if isinstance(law, ClassPredictions) else {}
    ood = {}
    if ood_path is not None:
        other, own = _predict_inputs(model, ood_path, "ood.path", notices), Path(ood_path).name
        ood = out_of_distribution.scored(law, other, own)
        if checkpoint == "best":
            _show(folder, out_of_distribution.numbers(law, other, (name, own)))
    return Evaluation(name, count, found, path if written else None, tuple(notices), classes, ood)


def _show(folder: RunFolder, numbers: dict[str, Any]) -> None:
    """Keep the numbers of rows out of distribution, and draw them if there is a report."""
    with folder.locked():
        atomic.write_json(folder.figures / out_of_distribution.NUMBERS, numbers)
        if folder.report.exists():
            page.write_report(folder)


def _predict_part(
    folder: RunFolder, model: Model, split: str, notices: list[str]
) -> tuple[Law, Values | None]:
    """Predictions of a part, and its rows where they are of subjects."""
    dataset = tasks.load_data(model.settings, notices)
    folder.check_data(
        dataset.sha256,
        dataset.summary["source"],
        "To score the model on the file as it is now, give data.path",
    )
    part = getattr(dataset, split)
    if not len(part):
        raise UserError(f"split: the {split} part of this run is empty")
    if split == "train" or (split == "valid" and model.settings.trainer.refit):
        notices.append(f"the {split} rows were learnt; only unseen rows show how good a model is")
    law = model.predict_part(part, continues=True)
    x = part.x if has_subjects(model.settings.arch) else None
    return model.compared(law, part, tested=split == "test"), x


def _predict_file(model: Model, path: str, notices: list[str]) -> tuple[Law, Values | None]:
    """The same of all rows of a file."""
    if takes_images(model.encoder):
        try:
            return predict_images(model, path), None
        except UserError as error:
            raise UserError(f"data.path: {error}") from None
    try:
        table = data.read_table(path, notices)
        law = model.predict_table(table, notices)
    except UserError as error:
        raise UserError(f"data.path: {error}") from None
    if law.y is None:
        raise UserError(
            f"data.path: {table.source} has no column {', '.join(model.outputs)} to compare with; "
            "`tagi predict` needs none"
        )
    x = encoded(model.encoder, table, [])[0] if has_subjects(model.settings.arch) else None
    return law, x


def predict(
    run: str | Path,
    input: str | Path,
    output: str | Path,
    checkpoint: str = "best",
    *,
    overwrite: bool = False,
    notices: list[str] | None = None,
) -> Path:
    """Predict new rows: one line per row and output, with moments and 90 % interval.

    Args:
        run: a run folder.
        input: a table with the run's input columns, in any order, or images.
        output: the CSV file to write: row, component, mu, sd_epistemic, sd_noise, sd, lo_90, hi_90.
        checkpoint: `best`, `last`, or a checkpoint file or CSV folder.
        overwrite: replace `output` if it is there.
        notices: collects remarks for the user.

    Returns:
        the path written.

    Raises:
        UserError: a file is missing or does not fit, or `output` is there already.
    """
    path = new_file(output, overwrite=overwrite, source=input)
    model = Model.load(run, checkpoint)
    law = _predict_inputs(model, input, "input", notices)
    # Through a link, so that it stays one.
    laws.write_csv(path.resolve(), law)
    return path


def _predict_inputs(model: Model, path: str | Path, where: str, notices: list[str] | None) -> Law:
    """Predictions of all rows of a file, whether or not it has targets.

    Raises:
        UserError: the file is missing or does not fit; begins with `where`.
    """
    try:
        if takes_images(model.encoder):
            return predict_images(model, path, targets=False)
        return model.predict_table(data.read_table(path, notices), notices, targets=False)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
