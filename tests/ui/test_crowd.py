"""Twenty users at once: everyone gets an own result, and who finds the queue full is told so."""

import json
import threading
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file

USERS = 20

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # gradio warns about itself


def run_as_user(address: str, picture: Path, folder: Path, seed: int) -> int | str:
    """The seed in the bundle that this user's call gave, or what the server said instead."""
    try:
        client = Client(address, verbose=False, download_files=str(folder / str(seed)))
        call: dict[str, Any] = {"pictures": [handle_file(str(picture))], "coarse_steps": 1 + seed % 4, "seed": seed}
        progress, mesh, bundle = client.predict(**call, api_name="/generate")
        assert Path(mesh).stat().st_size > 0
        assert progress["faces"] > 0
        with zipfile.ZipFile(bundle) as archive:
            settings = json.loads(archive.read("bundle.json"))["settings"]
        assert settings["coarse_steps"] == call["coarse_steps"]
        return int(settings["seed"])
    except Exception as error:  # what a user is shown
        return str(error)


def crowd(address: str, picture: Path, folder: Path) -> list[int | str]:
    """What each of the users got, in their order."""
    results: dict[int, int | str] = {}

    def one(seed: int) -> None:
        results[seed] = run_as_user(address, picture, folder, seed)

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(USERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    return [results.get(seed, "no answer") for seed in range(USERS)]


def test_no_result_is_lost_or_swapped(served: str, pictures: list[Path], pipeline: Any, tmp_path: Path) -> None:
    pipeline.pause_s = 0.05
    assert crowd(served, pictures[0], tmp_path) == list(range(USERS))
    assert len(pipeline.calls) == USERS


@pytest.fixture
def short_queue(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("wavemesh.ui.app.MAX_WAITING", 6)
    return 6


def test_a_full_queue_says_so(
    short_queue: int, served: str, pictures: list[Path], pipeline: Any, tmp_path: Path
) -> None:
    pipeline.pause_s = 0.5
    results = crowd(served, pictures[0], tmp_path)
    kinds = Counter(type(result) for result in results)
    assert kinds[int] >= short_queue
    assert kinds[str] > 0
    assert all(result == seed for seed, result in enumerate(results) if isinstance(result, int))
    refusals = {result for result in results if isinstance(result, str)}
    assert all("queue is full" in words.lower() for words in refusals), refusals
