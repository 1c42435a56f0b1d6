"""The committed script is what its source builds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "static"
NPM = shutil.which("npm")


@pytest.mark.skipif(NPM is None, reason="npm is not installed, so the canvas script cannot be built again")
def test_building_the_canvas_again_gives_the_same_bytes(tmp_path: Path) -> None:
    assert NPM
    copy = tmp_path / "canvas"
    shutil.copytree(STATIC / "canvas", copy, ignore=shutil.ignore_patterns("node_modules"))

    for command in (["ci", "--prefer-offline", "--no-audit", "--no-fund"], ["run", "build"]):
        done = subprocess.run([NPM, *command], cwd=copy, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    built = tmp_path / "dist" / "flow_canvas.js"
    assert built.read_bytes() == (STATIC / "dist" / "flow_canvas.js").read_bytes(), "run `npm run build` and commit it"
