"""The decorators: wide vectors only where they are asked for, and the same results with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from numba import njit

import expfam_game as eg
from expfam_game.kernels import random_words, samplers
from expfam_game.kernels.compiling import WideVectors


def scale(x, y):
    for j in range(x.size):
        y[j] = 3.0 * x[j] + 1.0


def compiled_for(**options) -> tuple[np.ndarray, str, str]:
    """Result, LLVM code and machine code of ``scale``, compiled anew."""
    function = njit(error_model="numpy", **options)(scale)
    x = np.linspace(-1.0, 1.0, 1001)
    y = np.empty_like(x)
    function(x, y)
    return y, next(iter(function.inspect_llvm().values())), next(iter(function.inspect_asm().values()))


def test_wide_vectors_are_asked_for_by_function():
    wide, ordinary = compiled_for(pipeline_class=WideVectors), compiled_for()
    assert '"prefer-vector-width"="512"' in wide[1]
    assert "prefer-vector-width" not in ordinary[1]
    assert np.array_equal(wide[0], ordinary[0])


@pytest.mark.skipif(not llvm.get_host_cpu_features().get("avx512f"), reason="the processor has no 512-bit registers")
def test_wide_vectors_are_used_where_they_exist():
    assert "zmm" in compiled_for(pipeline_class=WideVectors)[2]


def test_functions_in_place_leave_their_arrays_alive():
    """They do not count references: arrays made for one call must still be freed once, by the caller."""
    for _ in range(1000):
        state, words = np.zeros(random_words.STATE, np.uint64), np.empty(random_words.WORDS, np.uint64)
        random_words.open_stream(state, np.uint64(1), 0, 0, 0)
        first = random_words.next_word(words, state)
        assert random_words.tosses(10**5, words, state) > 0
        assert first == words_again()
    z = np.empty(64)
    samplers.fill_normal(z, words[:64], state)
    assert np.all(np.isfinite(z))


def words_again() -> int:
    """The first word of the same stream, in arrays of its own."""
    state, words = np.zeros(random_words.STATE, np.uint64), np.empty(random_words.WORDS, np.uint64)
    random_words.open_stream(state, np.uint64(1), 0, 0, 0)
    return int(random_words.next_word(words, state))


def test_a_change_in_any_kernel_makes_every_cached_kernel_stale(tmp_path):
    """One module calls a function of another; only that other one is edited (numba alone would not notice)."""
    package = tmp_path / "expfam_game"
    shutil.copytree(Path(eg.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "kernels" / "inner.py").write_text(
        "from expfam_game.kernels.compiling import compiled\n@compiled\ndef inner(x):\n    return x + 1\n"
    )
    (package / "kernels" / "outer.py").write_text(
        "from expfam_game.kernels.compiling import compiled\nfrom expfam_game.kernels.inner import inner\n"
        "@compiled\ndef outer(x):\n    return 10 * inner(x)\n"
    )
    code = "from expfam_game.kernels.outer import outer; print(outer(1), sum(outer.stats.cache_hits.values()))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def printed() -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert [printed(), printed()] == ["20 0", "20 1"]
    inner = package / "kernels" / "inner.py"
    inner.write_text(inner.read_text().replace("x + 1", "x + 2"))
    assert printed() == "30 0"
