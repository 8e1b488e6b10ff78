"""`tagi show`."""

from __future__ import annotations

from tagi_cli.cli.arguments import keyed
from tagi_cli.cli.table import show_table

HELP = """
Show a network: layers, shapes, parameters, memory, arithmetic.

usage: tagi show config=<preset|file.yaml> [key=value ...]
       tagi show run=<run folder>

The data are read for the sizes of input and output; nothing is written.

examples:
  tagi show config=quickstart arch.width=200
  tagi show data.path=houses.csv data.out_components=price
  tagi show run=outputs/quickstart/2026-01-31_12-00-00-1f3a
"""


def run(arguments: list[str]) -> int:
    """Print the table of layers and the totals."""
    from tagi_cli.experiment.members import backend_to_open, make_backend
    from tagi_cli.experiment.summary import byte_words, summarise

    if any(argument.startswith("run=") for argument in arguments):
        given = keyed(arguments, ["run"])
        from tagi_cli.experiment.model import Model

        model = Model.load(given["run"])
        settings, encoder = model.settings, model.encoder
        backend = backend_to_open(settings)
    else:
        from tagi_cli.cli.configuration import settings_from
        from tagi_cli.experiment.tasks import load_data, network_in_force

        settings = network_in_force(settings_from(arguments))
        encoder, backend = load_data(settings).encoder, make_backend(settings)
    summary = summarise(settings, encoder, backend)
    rows = summary.rows()
    show_table(list(rows[0]), [list(row.values()) for row in rows])
    print()
    for key, value in {
        "networks": summary.members,
        "parameters of one": f"{summary.parameters:,} (a mean and a variance each)",
        "memory": f"{byte_words(summary.parameter_bytes)} for parameters, "
        f"{byte_words(summary.activation_bytes)} for a step of {summary.batch_size} rows; "
        f"up to {byte_words(summary.run_bytes)} in a run, while it saves",
        "FLOPs per step": f"{summary.flops:,}",
        "runs on": summary.backend,
    }.items():
        print(f"{key + ':':<19}{value}")
    return 0
