"""A score matrix of any size needs little memory: it is on disk, and goes to the store part by part."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.evaluator.settings import EvaluatorSettings
from tests.support.servers import S3Server

pytestmark = pytest.mark.integration

ROWS, COLUMNS = 40_000, 1_000
MATRIX_MIB = ROWS * COLUMNS * 4 / 2**20
MOST_MIB = 80
"""Two parts of the upload and a batch or two of scores; the matrix has 153 MiB."""

CODE = """
import json, sys
from pathlib import Path
import numpy as np
from services.evaluator.artefacts import Artefacts
from services.evaluator.scoring.matrix import ScoreMatrix
from services.evaluator.settings import EvaluatorSettings
from services.runtime.objectstore import ObjectStore
folder, rows, columns = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
store = ObjectStore(EvaluatorSettings())
store.put("reports", "warm", bytes(6_000_000))
order = np.random.default_rng(1).permutation(rows).tolist()
scores = np.random.default_rng(2).random((250, columns), np.float32)
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
before = peak()
matrix = ScoreMatrix(folder, {}, order, columns, "float32")
for first in range(0, rows, 250):
    matrix.add(scores)
    if first % 5000 == 0:
        matrix.keep()
matrix.keep()
ref = Artefacts.of_evaluation(store, "001", "memory").put_scores(matrix.path)
print(json.dumps({"grown": peak() - before, "size": ref.size}))
"""


async def test_a_matrix_is_never_in_memory_as_a_whole(weed: S3Server, tmp_path: Path) -> None:
    await asyncio.to_thread(weed.store)  # makes the buckets
    reach = weed.settings
    settings = EvaluatorSettings(
        s3_endpoint=reach.s3_endpoint, s3_access_key=reach.s3_access_key, s3_secret_key=reach.s3_secret_key
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CODE, str(tmp_path), str(ROWS), str(COLUMNS)],
        env=os.environ | settings.child_env(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["size"] > MATRIX_MIB * 2**20
    assert told["grown"] < MOST_MIB, told
