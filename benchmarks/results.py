"""Keeping what was measured: JSON that is tracked, and the tables of the documents made from it."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import tables
from machine import RESULTS


def add_save(parser: argparse.ArgumentParser) -> None:
    """The option that says where results go."""
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="default: the tracked results, unless on trial"
    )


def destination(
    parser: argparse.ArgumentParser, options: argparse.Namespace, name: str, free: set[str]
) -> Path | None:
    """The file that results go to, None for a trial: one without `--save`, with other settings.

    Args:
        parser: that gave the options, of which it knows the defaults.
        options: as given.
        name: of the tracked results.
        free: options that change what is measured, not how.
    """
    if options.save is not None:
        saved: Path = options.save
        return saved
    other = {k for k, v in vars(options).items() if v != parser.get_default(k)} - free
    if other:
        print(f"a trial, as {', '.join(sorted(other))} differ: nothing is kept without --save")
        return None
    return RESULTS / f"{name}.json"


def kept(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """What a file holds: that of `--save` if given, else the tracked one."""
    found: dict[str, Any] = json.loads((options.save or RESULTS / f"{name}.json").read_text())
    return found


def keep(path: Path | None, record: dict[str, Any], *keys: str) -> None:
    """Put a record at its place in the file, what else is there stays; None keeps nothing.

    Args:
        path: the file.
        record: what was measured.
        keys: names from the top of the file down to the record.
    """
    if path is None:
        return
    whole: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    place = whole
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    place[keys[-1]] = record
    write(path, whole)
    if path.parent == RESULTS:
        tables.refresh()


def write(path: Path, whole: dict[str, Any]) -> None:
    """Write JSON with a line for each innermost list or mapping."""
    text = json.dumps(whole, indent=1)
    flat = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda match: re.sub(r"\n\s*", " ", match[0]), text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(flat + "\n")
