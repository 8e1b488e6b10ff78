"""What each default is worth: the defaults, and each of them changed by itself, on UCI splits.

python benchmarks/ablations.py --data <folder of sets> [--sets yacht] [--splits 10] [--only noise]

Splits and seeds are those of `uci.py`, so that differences are taken split by split.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import environment
from results import add_save, destination, keep
from uci import FIGURES, average, read, run_tagi

CHANGED: dict[str, dict[str, list[str]]] = {
    "activation": {
        "relu": ["arch.activation=relu"],
        "mixture_relu": ["arch.activation=mixture_relu"],
    },
    "network": {"1 x 50": ["arch.depth=1", "arch.width=50"], "3 x 100": ["arch.depth=3"]},
    "prior gain": {"0.5": ["arch.gain_weight=0.5"]},
    "noise": {"learned": ["noise=learned"]},
    "calibration": {"none": ["trainer.calibrate=false"]},
    "batch": {"32": ["data.batch_size=32"]},
    "update rule": {"capped": ["trainer.update_rule=capped"]},
    "stopping": {
        "patience 20": ["trainer.early_stopping.patience=20"],
        "a tenth for validation": ["data.valid_portion=0.1"],
        "no refit": ["trainer.refit=false"],
    },
    "ensemble": {"1": ["ensemble.size=1"], "5": ["ensemble.size=5"]},
}
"""By what is changed, the alternatives to its default."""


def measure(
    folder: Path, splits: int, only: list[str] | None
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Figures of the defaults on a set, and of each alternative beside them."""
    table = read(folder)

    def trained(overrides: list[str]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as scratch:
            figures, _, _ = run_tagi(table, splits, overrides, Path(scratch))
        return {name: figure for name, figure in average(figures).items() if name in FIGURES}

    defaults = trained([])
    before = np.array(defaults["nll"]["splits"])
    changed: dict[str, dict[str, Any]] = {}
    for what, alternatives in CHANGED.items():
        if only and what not in only:
            continue
        changed[what] = {}
        for label, overrides in alternatives.items():
            found = trained(overrides)
            gain = before - np.array(found["nll"]["splits"])
            error = gain.std(ddof=1) / len(gain) ** 0.5
            found["gain"] = {"mean": float(gain.mean()), "se": float(error)}
            changed[what][label] = found | {"overrides": overrides}
            rmse, share = found["rmse"]["mean"], found["coverage_90"]["mean"]
            print(
                f"{table.name} {what}: {label:<24} log-likelihood {gain.mean():+.3f}±{error:.3f}, "
                f"RMSE {rmse:.4g} ({defaults['rmse']['mean']:.4g}), 90 % intervals {share:.3f}, "
                f"{found['seconds']['mean']:.2f} s",
                flush=True,
            )
    return defaults, changed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("UCI_DATA"), help="or $UCI_DATA"
    )
    sets = ["bostonHousing", "energy", "yacht"]
    parser.add_argument("--sets", nargs="*", default=sets, help="names of folders")
    parser.add_argument("--splits", type=int, default=10, help="first splits only, at least 2")
    parser.add_argument("--only", nargs="*", choices=list(CHANGED), help="what is changed")
    add_save(parser)
    options = parser.parse_args()
    if options.splits < 2:
        parser.error(f"--splits {options.splits}: a standard error needs at least 2")
    if options.data is None:
        parser.error("--data: the folder of UCI sets, or set UCI_DATA")
    target = destination(parser, options, "ablations", free={"data"})
    for name in options.sets:
        folder = Path(options.data) / name
        if not (folder / "data.txt").exists():
            parser.error(f"--data {options.data}: no set {name}")
        load = os.getloadavg()[0]
        defaults, changed = measure(folder, options.splits, options.only)
        record = {
            "environment": environment(),
            "load_average": [load, os.getloadavg()[0]],
            "splits": options.splits,
            "defaults": defaults,
            "changed": changed,
        }
        keep(target, record, "sets", name)


if __name__ == "__main__":
    main()
