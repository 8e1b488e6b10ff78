"""`tagi tune`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagi_cli.cli.arguments import flags
from tagi_cli.errors import UserError, UserErrors

if TYPE_CHECKING:
    from tagi_cli.experiment.settings import Settings
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

_SHOWN = 10


def run(arguments: list[str]) -> int:
    """Search, and say what was found; 130 where the user interrupted, 2 where no trial was good."""
    _, rest = flags(arguments, ())
    command = shlex.join(["tagi", "tune", *arguments])
    from tagi_cli.cli.sweep import result_of, words_of
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

        with Interruption() as interruption:
            search.run(interruption.is_requested, tell)
            interrupted = interruption.is_requested()
        return _conclude(search, folder, interrupted)


def _conclude(search: Search, folder: Path, interrupted: bool) -> int:
    from tagi_cli.cli.sweep import show_outcomes
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
        print(f"\ntagi tune tune.resume={shlex.quote(str(from_here(folder)))}")
    path = search.write_best()
    if best is None or path is None:
        print("no trial was completed", file=sys.stderr)
    else:
        print(f"\nbest: trial {best[0]}, valid_nll {best[1]:.4g}")
        print(f"tagi train config={shlex.quote(str(from_here(path)))}")
        print(f"tagi compare {shlex.quote(str(from_here(folder)))}")
    return 130 if interrupted else 2 if best is None else 0


def _resumes(arguments: Sequence[str]) -> bool:
    return any(argument.lstrip("+").startswith("tune.resume=") for argument in arguments)


def _begun(arguments: Sequence[str]) -> tuple[TuneOptions, None, list[str]]:
    """The options of a new search, and the arguments of all its trials."""
    from tagi_cli import config
    from tagi_cli.experiment.settings import registries
    from tagi_cli.experiment.sweeps.tune_options import TuneOptions

    tree, rest = config.tune_section(registries(), arguments)
    options = config.check(TuneOptions, {}, tree, where="tune")
    return options, None, rest


def _resumed(arguments: Sequence[str]) -> tuple[TuneOptions, Path, list[str]]:
    """The options of a search that is resumed, its folder, and the arguments of its trials."""
    from tagi_cli import config
    from tagi_cli.errors import listing
    from tagi_cli.experiment.settings import registries
    from tagi_cli.experiment.sweeps.tune import CONFIG, STORAGE
    from tagi_cli.experiment.sweeps.tune_options import TuneOptions
    from tagi_cli.paths import user_path

    allowed = ("tune.trials", "tune.workers")
    keys = [argument.lstrip("+~").partition("=")[0] for argument in arguments]
    faults = [
        f"{key}: cannot change while a search is continued. Allowed: {listing(allowed)}"
        for key in keys
        if key not in (*allowed, "tune.resume")
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


def _space(options: TuneOptions, base: Sequence[str]) -> Any:
    """The dimensions, after the config without them was found in order."""
    from tagi_cli.config.schema import arms, walk
    from tagi_cli.experiment.settings import Settings, registries
    from tagi_cli.experiment.sweeps.space import check_space, dimensions

    whole = {
        path: float not in arms(option.type)
        for path, option in walk(Settings, registries())
        if int in arms(option.type) or float in arms(option.type)
    }
    space = dimensions(options.space, whole)
    _settings(base)
    check_space(space, lambda own: _settings([*base, *own]))
    return space


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
