"""`tagi tune`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagi_cli.cli.arguments import flags
from tagi_cli.errors import UserError, UserErrors, listing

if TYPE_CHECKING:
    from tagi_cli.experiment.settings import Settings
    from tagi_cli.experiment.sweeps.space import Dimension
    from tagi_cli.experiment.sweeps.tune import Search
    from tagi_cli.experiment.sweeps.tune_options import TuneOptions

HELP = """
Search for the options with the lowest validation NLL.

usage: tagi tune config=<preset|file.yaml> [tune.trials=50] [tune.workers=2] [key=value ...]
       tagi tune tune.resume=<folder> [tune.trials=100] [tune.workers=2]

  tune.space       what varies; best in the file, under tune: {space: }
                     arch.width: {low: 8, high: 256, log: true}
                     arch.activation: [relu, tanh]
  tune.trials      trials in all (50); those of a search that is resumed count
  tune.workers     trials at a time (1)
  tune.sampler     tpe or random
  tune.pruner      median, hyperband or none: trials that look bad are stopped early
  tune.resume      go on with an earlier search, which keeps its own config

The folder of the search holds best.yaml, ready for `tagi train config=`, and a run folder per
trial, for `tagi compare`. Trials skip the refit and the report; best.yaml has them as configured.

examples:
  tagi tune config=tune
  tagi tune config=my.yaml tune.trials=100 tune.workers=4
  tagi tune config=quickstart 'tune.space={arch.width: {low: 8, high: 64, log: true}}'
  tagi tune tune.resume=outputs/tune/2026-01-31_12-00-00-1f3a tune.trials=200
"""

_CHANGEABLE = ("tune.trials", "tune.workers")
_SHOWN = 10


def run(arguments: list[str]) -> int:
    """Search, and say what was found.

    Returns:
        0, or 130 where the user interrupted; where no trial was completed 2, or 1 where it was not
        by the user's mistake.
    """
    _, rest = flags(arguments, ())
    command = shlex.join(["tagi", "tune", *arguments])
    from tagi_cli.cli.sweep import exit_code, result_of, words_of
    from tagi_cli.experiment.folder import RunFolder, from_here
    from tagi_cli.experiment.sweeps.engines import require
    from tagi_cli.experiment.sweeps.tune import Search
    from tagi_cli.training.signals import Interruption

    require("optuna")
    options, folder, base = _resumed(rest) if _resumes(rest) else _begun(rest)
    space = _space(options, base)
    if folder is None:
        folder = _make_folder(base, options)
    with RunFolder(folder).locked():
        search = Search(folder, options, space, _settings, command)
        print(
            f"{search.done()} of {options.trials} trials done, in {from_here(folder)}", flush=True
        )

        def tell(number: int) -> None:
            one = search.outcomes[number]
            best = search.best()
            so_far = "" if best is None else f"; best {best[1]:.4g}, trial {best[0]}"
            words = f"{words_of(one)}: {result_of(one)}{so_far}"
            print(f"[{search.done()}/{options.trials}] {words}", flush=True)

        try:
            with Interruption() as interruption:
                search.run(interruption.is_requested, tell)
                interrupted = interruption.is_requested()
        except UserErrors as error:
            # The mistake of whoever wrote what all trials failed by, which may be ours.
            print(f"tagi tune: {error}", file=sys.stderr)
            return exit_code(search.outcomes)
        given = [word for word in rest if _key(word) in _CHANGEABLE] if _resumes(rest) else []
        return _conclude(search, folder, interrupted, given)


def _conclude(search: Search, folder: Path, interrupted: bool, given: Sequence[str]) -> int:
    from tagi_cli.cli.sweep import exit_code, show_outcomes
    from tagi_cli.experiment.folder import from_here
    from tagi_cli.experiment.sweeps.sweep import FAILURES
    from tagi_cli.training.progress_text import counted

    failed = sum(one.status in FAILURES for one in search.outcomes)
    completed = [i for i, one in enumerate(search.outcomes) if one.status == "completed"]
    completed.sort(key=lambda i: search.outcomes[i].metrics["valid_nll"])
    shown = completed[:_SHOWN]
    print()
    if shown:
        show_outcomes([search.outcomes[i] for i in shown], shown, "trial")
    best = search.best()
    if failed:
        print(
            f"\n{counted(failed, 'trial')} failed; see {from_here(folder)}/sweep.csv",
            file=sys.stderr,
        )
    if interrupted:
        print(f"\n{shlex.join(['tagi', 'tune', f'tune.resume={from_here(folder)}', *given])}")
    path = search.write_best()
    if best is None or path is None:
        print("no trial was completed", file=sys.stderr)
    else:
        print(f"\nbest: trial {best[0]}, valid_nll {best[1]:.4g}")
        print(f"tagi train config={shlex.quote(str(from_here(path)))}")
        print(f"tagi compare {shlex.quote(str(from_here(folder)))}")
    if interrupted:
        return 130
    return 0 if best is not None else exit_code(search.outcomes) or 2


def _resumes(arguments: Sequence[str]) -> bool:
    return "tune.resume" in map(_key, arguments)


def _key(argument: str) -> str:
    return argument.lstrip("+~").partition("=")[0]


def _begun(arguments: Sequence[str]) -> tuple[TuneOptions, None, list[str]]:
    """The options of a new search, and the arguments of all its trials."""
    from tagi_cli import config
    from tagi_cli.experiment.settings import registries
    from tagi_cli.experiment.sweeps.tune_options import TuneOptions

    launching = [key for key in map(_key, arguments) if key.split("/")[0].split(".")[0] == "hydra"]
    if launching:
        raise UserErrors(
            f"{key}: not taken here. A search runs its trials on this machine, "
            "tune.workers=<number> at a time"
            for key in launching
        )
    tree, rest = config.tune_section(registries(), arguments)
    options = config.check(TuneOptions, {}, tree, where="tune")
    return options, None, rest


def _resumed(arguments: Sequence[str]) -> tuple[TuneOptions, Path, list[str]]:
    """The options of a search that is resumed, its folder, and the arguments of its trials."""
    from tagi_cli import config
    from tagi_cli.experiment.settings import registries
    from tagi_cli.experiment.sweeps.tune import CONFIG, STORAGE
    from tagi_cli.experiment.sweeps.tune_options import TuneOptions
    from tagi_cli.paths import user_path

    faults = [
        f"{key}: cannot change while a search is continued. Allowed: {listing(_CHANGEABLE)}"
        for key in map(_key, arguments)
        if key not in (*_CHANGEABLE, "tune.resume")
    ]
    if faults:
        raise UserErrors(faults)
    given, _ = config.tune_section(registries(), arguments)
    found = config.check(TuneOptions, {}, given, where="tune").resume
    folder = user_path(str(found)).resolve()
    if not folder.is_dir():
        raise UserError(f"tune.resume: folder '{found}' does not exist")
    missing = next((name for name in (CONFIG, STORAGE) if not (folder / name).is_file()), None)
    if missing:
        raise UserError(f"tune.resume: '{found}' is no folder of a search: it has no {missing}")
    base = [f"config={folder / CONFIG}"]
    tree, _ = config.tune_section(registries(), [*base, *arguments])
    return config.check(TuneOptions, {}, tree, where="tune"), folder, base


def look_through(tree: Mapping[str, Any], base: Sequence[str]) -> tuple[list[str], list[str]]:
    """What `tagi check` says of a search.

    Args:
        tree: the section `tune`; empty where there is no search.
        base: the arguments of a run without it.

    Returns:
        the faults of the search alone, and a line about it where it is in order.
    """
    from tagi_cli import config
    from tagi_cli.experiment.sweeps.tune_options import TuneOptions

    if not tree:
        return [], []
    try:
        options = config.check(TuneOptions, {}, tree, where="tune")
        space = _dimensions(options)
    except UserErrors as error:
        return error.faults, []
    try:
        _settings(base)
    except UserError:
        return [], []
    try:
        _check(space, base)
    except UserErrors as error:
        return error.faults, []
    return [], [f"search: {options.trials} trials over {listing(one.path for one in space)}"]


def _space(options: TuneOptions, base: Sequence[str]) -> list[Dimension]:
    """The dimensions, after the config without them was found in order."""
    space = _dimensions(options)
    _settings(base)
    _check(space, base)
    return space


def _check(space: Sequence[Dimension], base: Sequence[str]) -> None:
    from tagi_cli.experiment.sweeps.space import check_space

    check_space(space, lambda own: _settings([*base, *own]))


def _dimensions(options: TuneOptions) -> list[Dimension]:
    from tagi_cli.config.schema import arms, walk
    from tagi_cli.experiment.settings import Settings, registries
    from tagi_cli.experiment.sweeps.space import dimensions

    whole = {
        path: float not in arms(option.type)
        for path, option in walk(Settings, registries())
        if int in arms(option.type) or float in arms(option.type)
    }
    return dimensions(options.space, whole)


def _settings(arguments: Sequence[str]) -> Settings:
    from tagi_cli.cli.configuration import settings_from

    settings = settings_from(arguments)
    if settings.trainer.resume is not None:
        raise UserError("trainer.resume: a search begins new runs")
    return settings


def _make_folder(base: Sequence[str], options: TuneOptions) -> Path:
    """A folder for a new search, with its config."""
    import dataclasses

    from omegaconf import OmegaConf

    from tagi_cli import atomic
    from tagi_cli.experiment.folder import fresh_folder
    from tagi_cli.experiment.settings import dump_settings
    from tagi_cli.experiment.sweeps.tune import CONFIG

    settings = _settings(base)
    folder = fresh_folder(Path("outputs") / str(settings.name)).resolve()
    own = {key: value for key, value in dataclasses.asdict(options).items() if key != "resume"}
    text = OmegaConf.to_yaml(OmegaConf.create({"tune": own}))
    atomic.write_text(folder / CONFIG, dump_settings(settings) + text)
    return folder
