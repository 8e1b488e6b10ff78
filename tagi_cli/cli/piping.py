"""`tagi predict` with standard input, standard output, or both."""

from __future__ import annotations

import os
import sys


def predict_on_pipes(
    run: str, input: str, output: str, checkpoint: str, notices: list[str]
) -> None:
    """Predict rows of standard input (`-`) or of a file, to standard output (`-`) or a new file.

    Raises:
        UserError: a row, file or run is at fault; what was answered before stays.
        BrokenPipeError: nobody reads the answers any more.
    """
    from tagi_cli import data
    from tagi_cli.errors import UserError
    from tagi_cli.experiment import pipe
    from tagi_cli.experiment.model import Model
    from tagi_cli.experiment.new_file import new_file

    path = None if output == "-" else new_file(output, overwrite=False)
    model = Model.load(run, checkpoint)
    if input != "-":
        try:
            law = model.predict_table(data.read_table(input, notices), notices, targets=False)
        except UserError as error:
            raise UserError(f"input: {error}") from None
        pipe.write_answers(law, sys.stdout.buffer)
        return

    def read(count: int) -> bytes:
        return os.read(sys.stdin.fileno(), count)

    if path is None:
        pipe.answer(model, read, sys.stdout.buffer, notices)
        return
    try:
        with path.open("xb") as file:
            pipe.answer(model, read, file, notices)
    except OSError as error:
        raise UserError(f"output: {path} cannot be written ({error.strerror})") from error
