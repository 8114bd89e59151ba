"""Weights and configurations of strangers, mutated as the tests mutate them, loaded in this process."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import test_hostile_weights as hostile
from wavemesh.errors import InputError
from wavemesh.machine import peak_resident_bytes


def weights(count: int) -> str:
    """What became of mutated folders; a sentence is all that they may end in, or a network of finite numbers."""
    ended: Counter[str] = Counter()
    most = [0.0, 0.0]

    def timed(loader: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def load(folder: Path) -> Any:
            begin, before = time.perf_counter(), time.process_time()
            try:
                loaded = loader(folder)
                ended["loaded"] += 1
                return loaded
            except InputError:
                ended["refused"] += 1
                raise
            except BaseException as error:
                ended[type(error).__name__] += 1
                raise
            finally:
                most[:] = max(most[0], time.perf_counter() - begin), max(most[1], time.process_time() - before)

        return load

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        originals = hostile.saved(folder / "originals")
        hostile.LOADERS.update({kind: timed(loader) for kind, loader in hostile.LOADERS.items()})
        before = peak_resident_bytes()
        for kind, path, value, _ in hostile.HUGE:
            files = hostile.contents(originals / kind)
            files["config.json"] = json.dumps(hostile.changed(json.loads(files["config.json"]), path, value)).encode()
            hostile.refused(hostile.LOADERS[kind], hostile.write(folder / "w", files))
        each = (count - len(hostile.HUGE)) // len(hostile.LOADERS) + 1
        for kind in hostile.LOADERS:
            sys.stdout.flush()
            hostile.fuzzed(originals, folder, kind, each)
    peak = peak_resident_bytes()
    return (
        f"{sum(ended.values())} folders: {dict(ended)}, every refusal one sentence; longest {most[0]:.1f} s, most "
        f"{most[1]:.1f} s of processor; peak {peak / 1e9:.2f} GB, {(peak - before) / 1e6:.0f} MB above that "
        "before the first"
    )
