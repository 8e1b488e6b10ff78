"""`tagi profile`."""

from __future__ import annotations

from tagi_cli.cli.table import show_table

HELP = """
Measure a training step: time per layer, and the machine's limit.

usage: tagi profile config=<preset|file.yaml> [key=value ...]

Takes a few seconds; learns from the config's data and writes nothing. GFLOP/s count matrix
products, GB/s each array of a call once. `% ceiling` compares a line with the machine, measured in
the same run: the least time that its work could take over the time that it took. Each call is
run over and over by itself, so a line whose arrays stay in a nearer cache than those of a whole
step do may come out above 100 %.

examples:
  tagi profile config=quickstart
  tagi profile config=quickstart data.batch_size=256 arch.width=1000 trainer.threads=1
"""


def run(arguments: list[str]) -> int:
    """Print the table of layers, the totals and the ceilings."""
    from tagi_cli.cli.configuration import settings_from
    from tagi_cli.experiment.tasks import load_data, network_in_force

    settings = network_in_force(settings_from(arguments))
    dataset = load_data(settings)
    from tagi_cli.experiment.profile import PASSES, profile
    from tagi_cli.experiment.summary import byte_words

    found = profile(settings, dataset)
    show_table(
        ["", "", *(f"{name} us" for name in PASSES), "us", "%", "GFLOP/s", "GB/s", "% ceiling"],
        [
            [
                line.name,
                line.what,
                *(_micro(line.seconds.get(name)) for name in PASSES),
                _micro(line.total),
                _percent(line.total / found.accounted),
                _rate(line.least.flops, line.total),
                _rate(line.least.bytes, line.total),
                _percent(found.share_of_ceiling(line)),
            ]
            for line in found.lines
        ],
    )
    print()
    outside = 1 - found.accounted / found.whole
    ceiling = found.ceiling
    for key, value in {
        "whole step": f"{_micro(found.whole):.6g} us for {found.batch} rows"
        + (f", for each of {found.members} networks" if found.members > 1 else ""),
        "not accounted for": f"{100 * outside:.1f} % (whole step against the sum of its calls)",
        "ceiling": f"{ceiling.flops / 1e9:.4g} GFLOP/s for matrix products, "
        f"{ceiling.bandwidth / 1e9:.4g} GB/s over {byte_words(ceiling.working_set)}, "
        "the memory of a step",
        "runs on": f"{found.backend}, threads: {found.threads}",
    }.items():
        print(f"{key + ':':<19}{value}")
    return 0


def _micro(seconds: float | None) -> float | None:
    """Microseconds, without decimals where they mean nothing."""
    if seconds is None:
        return None
    return seconds * 1e6 if seconds < 1e-3 else round(seconds * 1e6)


def _rate(count: int | None, seconds: float) -> float | None:
    return count / seconds / 1e9 if count and seconds else None


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)
