"""The folder that a run leaves behind: where everything lies, and who may write there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tagi_cli import atomic
from tagi_cli.errors import UserError
from tagi_cli.paths import user_path

FORMAT = 1
"""Version of the layout below; a reader refuses any other."""


@dataclass(frozen=True)
class RunFolder:
    """One run folder; the properties name its contents, which may not all be there yet."""

    path: Path

    @classmethod
    def create(cls, parent: Path) -> RunFolder:
        """A fresh folder `<date>_<time>-<short id>` in `parent`.

        Raises:
            UserError: the folder cannot be made.
        """
        folder = cls(fresh_folder(parent).resolve())
        with _as_user_error(folder.path):
            folder.checkpoints.mkdir()
            folder.predictions.mkdir()
            folder.figures.mkdir()
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run folder of this format.

        Raises:
            UserError: no such folder, not a run folder, or one of another version.
        """
        folder = cls(user_path(path).resolve())
        if folder.path.is_file():
            above = (cls(parent) for parent in folder.path.parents)
            inside = next((run.path for run in above if run.config.is_file()), None)
            whose = f"of the run folder {from_here(inside)}; name that" if inside else "and no run"
            raise UserError(f"run: '{path}' is a file {whose}")
        if not folder.path.is_dir():
            raise UserError(f"run folder '{path}' does not exist{_latest_hint(folder.path)}")
        if not folder.config.is_file() or not folder.environment.is_file():
            if is_sweep(folder.path):
                runs = runs_below(folder.path)
                raise UserError(
                    f"'{path}' holds {len(runs)} run{'s' * (len(runs) != 1)} and is none itself; "
                    f"name one, e.g. the newest, {from_here(runs[-1].path)}"
                )
            missing = folder.environment if folder.config.is_file() else folder.config
            hint = "" if folder.config.is_file() else _latest_hint(folder.path / "run")
            raise UserError(f"'{path}' is not a run folder: it has no {missing.name}{hint}")
        found = folder.read_environment().get("format")
        if found != FORMAT:
            raise UserError(
                f"{folder.environment}: run folder format {found}, but this version of tagi reads "
                f"format {FORMAT}. Use the version of tagi that wrote it"
            )
        return folder

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions, device, data hash, command line."""
        return self.path / "environment.json"

    @property
    def summary(self) -> Path:
        """Status and metrics of the finished run."""
        return self.path / "summary.json"

    @property
    def metrics_csv(self) -> Path:
        """One row per epoch."""
        return self.path / "metrics.csv"

    @property
    def metrics_jsonl(self) -> Path:
        """One JSON object per epoch."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """What the run said, line by line, with the time."""
        return self.path / "train.log"

    @property
    def checkpoints(self) -> Path:
        """Folder of `best.safetensors` and `last.safetensors`."""
        return self.path / "checkpoints"

    @property
    def predictions(self) -> Path:
        """Folder of `<split>.csv`."""
        return self.path / "predictions"

    @property
    def figures(self) -> Path:
        """Folder of the figures (PNG and SVG) and the numbers behind them."""
        return self.path / "figures"

    @property
    def report(self) -> Path:
        """The self-contained HTML report."""
        return self.path / "report.html"

    def read_environment(self) -> dict[str, Any]:
        """The content of environment.json."""
        return read_json(self.environment)

    def check_data(self, sha256: str, source: str, advice: str) -> None:
        """Make sure that the data are those of the run.

        Args:
            sha256: of the data as they are now.
            source: what they are called in the message.
            advice: what to do instead, the end of the message.

        Raises:
            UserError: they have changed.
        """
        if sha256 != self.read_environment().get("data_sha256"):
            raise UserError(
                f"data.path: {source} has changed since this run (its sha256 is not that in "
                f"{self.environment.name}), so its parts may be others. {advice}"
            )

    def read_summary(self) -> dict[str, Any] | None:
        """The content of summary.json; None while the run has not ended."""
        return read_json(self.summary) if self.summary.is_file() else None

    def results(self) -> dict[str, Any]:
        """The scalars of summary.json: `status`, `epochs`, `seconds`, and metrics by part."""
        summary = self.read_summary() or {"status": "unfinished"}
        found: dict[str, Any] = {}
        found |= {key: summary[key] for key in ("status", "epochs", "seconds") if key in summary}
        for split in ("prequential", "valid", "test"):
            for name, value in (summary.get(split) or {}).items():
                if isinstance(value, int | float):
                    found[f"{split}_{name}"] = value
        return found

    def checkpoint(self, which: str) -> Path:
        """The checkpoint called `best` or `last`, or a file or CSV folder of the user's.

        Raises:
            UserError: there is no such checkpoint.
        """
        if which in ("best", "last"):
            path = self.checkpoints / f"{which}.safetensors"
            if not path.is_file():
                raise UserError(f"checkpoint={which}: {path} does not exist{self._existing()}")
            return path
        path = user_path(which)
        if not path.exists():
            raise UserError(
                f"checkpoint={which}: no such file or folder. Allowed: best, last, or the path of "
                f"a .safetensors file or CSV folder{self._existing()}"
            )
        return path

    def _existing(self) -> str:
        names = sorted(path.name for path in self.checkpoints.glob("*.safetensors"))
        return f" (this run has {', '.join(names)})" if names else " (this run has none)"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against a second process that would write into it.

        The lock belongs to the open file, so that it ends with the process, however that ends.

        Raises:
            UserError: another process holds it.
        """
        path = self.path / ".lock"
        with contextlib.ExitStack() as stack:
            with _as_user_error(path):
                file = stack.enter_context(path.open("a+"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise UserError(
                    f"{self.path}: in use by another process (id {holder}); wait until it ends"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def fresh_folder(parent: Path) -> Path:
    """Make a folder `<date>_<time>-<short id>` in `parent`, which no one else has.

    Raises:
        UserError: the folder cannot be made.
    """
    while True:
        stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        path = parent / f"{stamp}-{secrets.token_hex(2)}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            # Another process drew the same id in the same second, or `parent` is a file.
            if path.is_dir():
                continue
            raise UserError(f"{parent}: is a file; run folders go there") from None
        except OSError as error:
            raise atomic.cannot_write(path, error) from error
        return path


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a run folder.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: does not exist") from None
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: a JSON object was expected, found {type(value).__name__}")
    return value


def runs_below(path: Path) -> list[RunFolder]:
    """The run folders directly inside `path`, by name."""
    return [
        RunFolder(child) for child in sorted(path.iterdir()) if (child / "config.yaml").is_file()
    ]


def is_sweep(path: Path) -> bool:
    """Whether `path` is a folder of run folders."""
    return path.is_dir() and not (path / "config.yaml").is_file() and bool(runs_below(path))


def from_here(path: Path) -> str:
    """The path from the working directory where it lies below that."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


@contextmanager
def _as_user_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise atomic.cannot_write(path, error) from error


def _latest_hint(path: Path) -> str:
    """The newest run near a path that does not exist, for the error message."""
    for parent in path.parents:
        if parent.is_dir():
            found = [*parent.glob("*/config.yaml")] or [*parent.glob("*/*/config.yaml")]
            found = found or [*parent.glob("outputs/*/*/config.yaml")]
            if not found:
                return ""
            newest = max((path.parent for path in found), key=lambda run: run.name)
            return f". The newest run near it: {from_here(newest)}"
    return ""
