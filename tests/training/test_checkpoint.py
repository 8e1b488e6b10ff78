"""Checkpoints: what is written comes back; damage and other versions are told; nothing is lost."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tagi_cli.errors import UserError
from tagi_cli.training import checkpoint
from tagi_cli.training.checkpoint_folder import CheckpointFolder
from tagi_cli.training.options import CheckpointOptions

TENSORS = {
    "a.mu": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "b.var": np.array(0.1),
    "count": np.array([], dtype=np.int32),
}
METADATA = {"epoch": 3, "names": ["x", "é"], "value": 0.1}


def write(path: Path, **changes: object) -> None:
    checkpoint.write(path, TENSORS, METADATA | changes)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    write(path)
    tensors, metadata = checkpoint.read(path)
    assert metadata == METADATA
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        np.testing.assert_array_equal(tensors[name], tensor)


def test_tensors_are_written_and_read_one_by_one(tmp_path: Path) -> None:
    """So that saving takes no memory for a second copy of the networks."""
    tensors = {f"layer.{i}": np.full((500, 500), i, np.float32) for i in range(8)}
    path, size = tmp_path / "best.safetensors", tensors["layer.0"].nbytes
    tracemalloc.start()
    try:
        checkpoint.write(path, tensors, {})
        written, _ = tracemalloc.get_traced_memory()[1], tracemalloc.reset_peak()
        found, _ = checkpoint.read(path)
        read = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written < size
    assert read < (len(tensors) + 2) * size
    assert all((found[name] == tensor).all() for name, tensor in tensors.items())


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", ">f4", "float16"])
def test_types_and_order_of_bytes_come_back(tmp_path: Path, dtype: str) -> None:
    tensors = {"odd": np.arange(3, dtype=np.uint8), "x": np.arange(6).reshape(2, 3).astype(dtype)}
    checkpoint.write(tmp_path / "a.safetensors", tensors, {})
    found = checkpoint.read(tmp_path / "a.safetensors")[0]["x"]
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(found, tensors["x"])


def test_no_other_file_is_left(tmp_path: Path) -> None:
    write(tmp_path / "best.safetensors")
    write(tmp_path / "best.safetensors")
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["best.safetensors", "best.safetensors.sha256"]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_sha256sum_checks_the_file(tmp_path: Path) -> None:
    for epoch in (1, 2):
        write(tmp_path / "best.safetensors", epoch=epoch)
    command = ["sha256sum", "--check", "--strict", "best.safetensors.sha256"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    write(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"best\.safetensors: is damaged or incomplete"):
        checkpoint.read(path)


def test_every_flipped_byte(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    write(path)
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(UserError, match=r"best\.safetensors: is damaged"):
            checkpoint.read(path)


def test_missing_file_names_the_others(tmp_path: Path) -> None:
    write(tmp_path / "last.safetensors")
    with pytest.raises(UserError, match=r"best\.safetensors: no such.* has last\.safetensors"):
        checkpoint.read(tmp_path / "best.safetensors")


@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n", b"\x10" + b"\0" * 30])
def test_not_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"data\.csv: is not a checkpoint of tagi"):
        checkpoint.read(path)


def test_safetensors_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"w": np.zeros(3)}, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"model\.safetensors: is not a checkpoint of tagi"):
        checkpoint.read(path)


def test_without_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    write(path)
    checkpoint.digest_path(path).unlink()
    with pytest.raises(UserError, match=r"best\.safetensors\.sha256 is missing beside it"):
        checkpoint.read(path)


def test_other_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.safetensors"
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    write(path)
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"best\.safetensors: checkpoint format 2.*reads format 1"):
        checkpoint.read(path)


def test_other_kind(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    write(path)
    with pytest.raises(UserError, match=r"holds a model only, no state.*needed is a model and"):
        checkpoint.read(path, "training")
    assert checkpoint.read(path, "model")[1] == METADATA


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        write(tmp_path / "best.safetensors")


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"best\.safetensors: .* there is no folder"):
        write(tmp_path / "gone" / "best.safetensors")


def test_full_disk_keeps_the_previous_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the flushes fails first."""
    path = tmp_path / "last.safetensors"
    write(path, epoch=1)
    fsync = os.fsync
    for failing in range(3):
        calls = iter(range(10))

        def full(descriptor: int, calls=calls, failing: int = failing) -> None:
            if next(calls) == failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match=r"no space left on the disk.*untouched"):
            write(path, epoch=2)
        monkeypatch.undo()
        assert checkpoint.read(path)[1]["epoch"] == 1
        assert not list(tmp_path.glob(".*"))
    write(path, epoch=3)
    assert checkpoint.read(path)[1]["epoch"] == 3


def test_real_limit_of_the_system(tmp_path: Path) -> None:
    """A file size limit, which the system enforces in the middle of the write."""
    path = tmp_path / "last.safetensors"
    write(path)
    program = f"""
        import pathlib, resource
        import numpy as np
        from tagi_cli.errors import UserError
        from tagi_cli.training import checkpoint
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            checkpoint.write(pathlib.Path({str(path)!r}), {{"w": np.zeros(100_000)}}, {{}})
        except UserError as error:
            print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "last.safetensors" in run.stdout
    assert "cannot be written" in run.stdout
    assert checkpoint.read(path)[1] == METADATA


def test_crash_between_the_two_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest file is new, the checkpoint still the old one: it reads, and can be replaced."""
    path = tmp_path / "last.safetensors"
    write(path, epoch=1)
    rename = os.replace

    def crash(source: Path, target: Path) -> None:
        if Path(target) == path:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write(path, epoch=2)
    monkeypatch.undo()
    assert checkpoint.read(path)[1]["epoch"] == 1
    for epoch in (3, 4):
        write(path, epoch=epoch)
        assert checkpoint.read(path)[1]["epoch"] == epoch


def test_folder_writes_what_the_options_ask_for(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, CheckpointOptions(csv=False), {"encoder": 1})
    for epoch in (1, 2):
        folder.save((TENSORS, {"stage": epoch}), (TENSORS, {"epoch": epoch}))
    folder.save((TENSORS, {"stage": "search"}))
    folder.export_csv(TENSORS, {"epoch": 2})
    best = checkpoint.read(tmp_path / "best.safetensors", "model")[1]
    assert best == {"model": {"encoder": 1}, "epoch": 2}
    last = checkpoint.read(tmp_path / "last.safetensors", "training")[1]
    assert last == {"model": {"encoder": 1}, "training": {"stage": "search"}}
    assert not (tmp_path / "csv").exists()
    asked = CheckpointFolder(tmp_path, CheckpointOptions(csv=True), {"encoder": 1})
    asked.export_csv(TENSORS, {"epoch": 2})
    assert checkpoint.read(tmp_path / "csv")[1] == best


def test_slow_saves_are_spread_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of 1 s and saves of 0.5 s: one in five is saved, so that a tenth of the time is."""
    now = [0.0]
    write = checkpoint.write

    def slow(*args: object, **options: object) -> str:
        now[0] += 0.5
        return write(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "write", slow)
    folder = CheckpointFolder(tmp_path, CheckpointOptions(), {}, clock=lambda: now[0])
    saved = []
    for epoch in range(1, 22):
        now[0] += 1
        if folder.is_due(epoch):
            folder.save((TENSORS, {}))
            saved.append(epoch)
    assert saved == [1, 6, 11, 16, 21]


def test_every_so_many_epochs(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, CheckpointOptions(every=3), {}, clock=lambda: 0.0)
    assert [epoch for epoch in range(1, 11) if folder.is_due(epoch)] == [3, 6, 9]


def test_digest_file_names_two_states_at_most(tmp_path: Path) -> None:
    """However often one process writes: the present state, and the one that it replaced."""
    folder = CheckpointFolder(tmp_path, CheckpointOptions(), {})
    for epoch in range(4):
        folder.save((TENSORS, {"epoch": epoch}))
    path = tmp_path / "last.safetensors"
    lines = checkpoint.digest_path(path).read_text().splitlines()
    assert len(lines) == 2
    assert lines[0] == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  last.safetensors"


def test_metadata_is_json_in_the_header(tmp_path: Path) -> None:
    """Other programs can read it."""
    path = tmp_path / "best.safetensors"
    write(path)
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    entry = json.loads(header["__metadata__"]["tagi"])
    assert entry == {"format": 1, "kind": "model", "metadata": METADATA}
