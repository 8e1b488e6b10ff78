"""Compiling kernels on first use: the cache, its safety, and what happens without a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import broken_compiler
import numpy as np
import pytest
from kernel_harness import needs_compiler

from tagi_cli.backend import Call, select
from tagi_cli.backend.host import compiler
from tagi_cli.backend.host.backend import HostBackend


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no library loaded yet."""
    broken_compiler.forget(monkeypatch, tmp_path)
    return tmp_path / "tagi" / "kernels"


@needs_compiler
def test_first_use_compiles_and_says_so_later_uses_do_not(
    fresh_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = compiler.build(["rows"], double=False)
    assert "compiling kernels for this CPU (once)" in capfd.readouterr().err
    assert fresh_cache.stat().st_mode & 0o777 == 0o700
    stamp = first["rows"].stat().st_mtime_ns
    assert compiler.build(["rows"], double=False) == first
    assert capfd.readouterr().err == ""
    assert first["rows"].stat().st_mtime_ns == stamp
    assert [path.name for path in fresh_cache.iterdir()] == [first["rows"].name]


@needs_compiler
def test_only_what_a_network_uses_is_compiled(fresh_cache: Path) -> None:
    backend = HostBackend()
    cursor = np.zeros(1, np.int32)
    backend.bind([Call("advance", (cursor, np.int32(3)))]).run(2)
    assert cursor[0] == 6
    assert {path.name.split("-")[0] for path in fresh_cache.iterdir()} == {"runtime", "rows"}


@needs_compiler
def test_flags_precision_and_sources_make_another_library(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = compiler.build(["rows"], double=False)["rows"]
    assert compiler.build(["rows"], double=True)["rows"] != plain
    monkeypatch.setenv("TAGI_CXXFLAGS", "-O1")
    assert compiler.build(["rows"], double=False)["rows"] != plain


def test_a_source_contains_its_headers() -> None:
    assert "struct FlushDenormals" in compiler._source("linear", double=False)
    assert '#include "' not in compiler._source("linear", double=False)


@needs_compiler
def test_processes_may_build_at_the_same_time(fresh_cache: Path) -> None:
    code = "from tagi_cli.backend.host import compiler; compiler.build(['rows', 'scores'], False)"
    command = [sys.executable, "-c", code]
    running = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(8)
    ]
    for process in running:
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
    assert {path.suffix for path in fresh_cache.iterdir()} == {".so"}
    assert len(list(fresh_cache.iterdir())) == 2


@pytest.mark.parametrize(("mode", "kept"), [(0o777, False), (0o720, False), (0o755, True)])
def test_a_cache_open_to_others_is_closed_and_not_trusted(
    fresh_cache: Path, mode: int, kept: bool
) -> None:
    fresh_cache.mkdir(parents=True)
    (fresh_cache / "rows-0.so").touch()
    fresh_cache.chmod(mode)
    assert compiler.cache_folder().stat().st_mode & 0o777 == 0o700
    assert (fresh_cache / "rows-0.so").exists() == kept


def test_folders_above_the_cache_are_closed_to_others(fresh_cache: Path) -> None:
    before = os.umask(0)
    try:
        compiler.cache_folder()
    finally:
        os.umask(before)
    assert fresh_cache.parent.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(compiler.CompilerError, match=r"no cache for compiled kernels: .*directory"):
        compiler.cache_folder()


def empty(library: Path) -> None:
    os.truncate(library, 0)


def cut_in_half(library: Path) -> None:
    os.truncate(library, library.stat().st_size // 2)


def flip_a_byte(library: Path) -> None:
    data = bytearray(library.read_bytes())
    data[len(data) // 2] ^= 1
    library.write_bytes(data)


def let_others_write(library: Path) -> None:
    library.chmod(0o722)


def link_elsewhere(library: Path) -> None:
    library.rename(library.with_suffix(".kept"))
    library.symlink_to(library.with_suffix(".kept"))


@needs_compiler
@pytest.mark.parametrize(
    "damage", [empty, cut_in_half, flip_a_byte, let_others_write, link_elsewhere]
)
def test_a_library_that_is_not_as_it_was_made_is_compiled_anew(
    fresh_cache: Path, damage: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """Loading half a library would end the process, not raise."""
    library = compiler.build(["rows"], double=False)["rows"]
    library.chmod(0o700)
    damage(library)
    assert compiler.build(["rows"], double=False)["rows"] == library
    assert capfd.readouterr().err.count("compiling kernels") == 1  # said once per process
    assert library.lstat().st_mode == 0o100500
    cursor = np.zeros(1, np.int32)
    HostBackend().bind([Call("advance", (cursor, np.int32(3)))]).run(2)
    assert cursor[0] == 6


def hanging(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """A compiler that starts a process and waits for it for ever; the file with their numbers."""
    script, numbers = folder / "hanging-c++", folder / "numbers"
    script.write_text(
        f"""#!/bin/sh
sleep 1000 &
echo $$ $! > "{numbers}.new"
mv "{numbers}.new" "{numbers}"
wait
"""
    )
    script.chmod(0o700)
    monkeypatch.setattr(compiler, "compiler", lambda: (str(script), "hanging 1.0"))
    return numbers


def running(numbers: Path) -> list[str]:
    """Those of the processes that have not ended."""
    states = {}
    for number in numbers.read_text().split():
        with suppress(FileNotFoundError):
            states[number] = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    return [number for number, state in states.items() if state not in "ZX"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_compiler_that_hangs_is_ended_with_all_it_started(
    fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    numbers = hanging(monkeypatch, tmp_path)
    communicate = subprocess.Popen.communicate

    def wait(process: subprocess.Popen[str], timeout: float) -> object:
        while not numbers.exists():
            time.sleep(0.01)
        if interrupted:
            raise KeyboardInterrupt
        return communicate(process, timeout=0.01)

    monkeypatch.setattr(subprocess.Popen, "communicate", wait)
    with pytest.raises(KeyboardInterrupt if interrupted else compiler.CompilerError) as caught:
        compiler.build(["rows"], double=False)
    assert interrupted or "hanging-c++ did not finish within 300 s" in str(caught.value)
    for _ in range(500):
        if not running(numbers):
            break
        time.sleep(0.01)
    assert running(numbers) == []
    assert list(fresh_cache.iterdir()) == []


@needs_compiler
def test_what_a_killed_process_left_behind_is_cleared_away(fresh_cache: Path) -> None:
    old, new = fresh_cache / "tmp-old", fresh_cache / "tmp-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "rows.cpp").touch()
    fresh_cache.chmod(0o700)
    os.utime(old, (1e9, 1e9))
    compiler.build(["rows"], double=False)
    assert not old.exists()
    assert new.exists()


def days_ago(library: Path, days: float) -> None:
    os.utime(library, 2 * (time.time() - days * 86400,))


@needs_compiler
def test_libraries_that_nobody_uses_any_more_are_dropped(fresh_cache: Path) -> None:
    fresh_cache.mkdir(parents=True, mode=0o700)
    old, recent = fresh_cache / "rows-0.so", fresh_cache / "rows-1.so"
    for library, days in ((old, 31), (recent, 29)):
        library.touch()
        days_ago(library, days)
    used = compiler.build(["rows"], double=False)["rows"]
    assert not old.exists()
    assert recent.exists()
    days_ago(used, 31)
    compiler.build(["rows"], double=False)  # which is a use
    days_ago(recent, 31)
    compiler.build(["scores"], double=False)
    assert used.exists()
    assert not recent.exists()


@needs_compiler
def test_a_library_that_is_dropped_before_it_is_loaded_is_compiled_anew(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, build, built = HostBackend(), compiler.build, []

    def drop_first(names: Iterable[str], double: bool) -> dict[str, Path]:
        found = build(names, double)
        if not built:
            for path in found.values():
                path.unlink()
        built.append(found)
        return found

    monkeypatch.setattr(compiler, "build", drop_first)
    cursor = np.zeros(1, np.int32)
    backend.bind([Call("advance", (cursor, np.int32(3)))]).run()
    assert cursor[0] == 3
    assert len(built) == 2


def test_a_cache_of_someone_else_is_not_trusted(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler.os, "getuid", lambda: 12345)
    with pytest.raises(compiler.CompilerError, match="does not belong to you"):
        compiler.cache_folder()


def test_a_linked_cache_is_not_trusted(fresh_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    fresh_cache.parent.mkdir(parents=True)
    fresh_cache.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(compiler.CompilerError, match="does not belong to you"):
        compiler.cache_folder()


@needs_compiler
def test_a_compiler_that_fails_leaves_nothing_and_says_why(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGI_CXXFLAGS", "-fno-such-flag-exists")
    with pytest.raises(compiler.CompilerError, match=r"failed on kernel file rows.*no-such-flag"):
        compiler.build(["rows"], double=False)
    assert list(fresh_cache.iterdir()) == []


def test_without_a_compiler_numpy_takes_over_with_one_line(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert [select().name, select().name] == ["numpy", "numpy"]
    errors = capfd.readouterr().err
    assert errors.count("\n") == 1
    assert "kernels run on NumPy" in errors
    assert "no C++ compiler: 'no-such-compiler' is not on the PATH" in errors
    with pytest.raises(compiler.CompilerError):
        select(kernels="host")


@needs_compiler
def test_a_kernel_that_does_not_compile_runs_on_numpy_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = broken_compiler.install(monkeypatch, tmp_path, compiles="runtime.cpp")
    backend, cursor = select(), np.zeros(1, np.int32)
    assert backend.name == "host"
    for _ in range(2):
        backend.bind([Call("advance", (cursor, np.int32(3)))]).run(2)
    assert cursor[0] == 12
    assert (backend.name, backend.describe()[:5]) == ("numpy", "NumPy")
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "tagi: compiling kernels for this CPU (once)"
    assert lines[1].startswith("tagi: kernels run on NumPy, which is slower: ")
    assert lines[1].endswith("failed on kernel file rows: error: no memory left")
    assert len(lines) == 2
    assert [path.name.partition("-")[0] for path in folder.iterdir()] == ["runtime"]
    with pytest.raises(compiler.CompilerError):
        select(kernels="host").bind([Call("advance", (cursor, np.int32(3)))])


@needs_compiler
def test_a_cache_that_cannot_be_written_is_told_and_left_clean(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiler.os, "replace", full)
    with pytest.raises(compiler.CompilerError, match=r"cannot be compiled: .* No space left"):
        compiler.build(["rows", "scores"], double=False)
    assert list(fresh_cache.iterdir()) == []


@needs_compiler
def test_denormals_are_flushed_inside_and_kept_outside(fresh_cache: Path) -> None:
    tiny = np.array([1e-30], np.float32)
    out = np.ones(1, np.float32)
    arguments = (out, out.copy(), tiny, tiny, tiny, np.int32(1), np.int32(0))
    HostBackend().bind([Call("jacobian_backward", arguments)]).run()
    assert out[0] == 0
    assert tiny[0] * tiny[0] * np.float32(1e20) == 0  # underflows in any mode
    assert np.float32(1e-40) != 0
    assert np.float32(1e-20) * np.float32(1e-20) != 0


@needs_compiler
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kernels_stay_inside_their_arrays(tmp_path: Path) -> None:
    """The kernel tests again, with the address sanitizer compiled in."""
    found = subprocess.run(
        [os.environ.get("CXX", "c++"), "-print-file-name=libasan.so"],
        capture_output=True,
        text=True,
    )
    library = os.path.realpath(found.stdout.strip())
    if not Path(library).is_file():
        pytest.skip("the compiler has no address sanitizer")
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path),
        "TAGI_CXXFLAGS": "-fsanitize=address -O0",
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    tests = sorted(str(path) for path in Path(__file__).parent.glob("test_kernels*.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
