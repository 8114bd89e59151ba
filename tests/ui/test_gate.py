"""The gate: what is refused before gradio sees it, what every answer carries, and who has gone away."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import os
import threading
import time
import weakref
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from gradio.blocks import Blocks
from gradio_client import Client, handle_file

from tests.ui.conftest import serving
from wavemesh.ui import app, gate, quota
from wavemesh.ui.quota import Quota, sweep
from wavemesh.ui.studio import Studio
from wavemesh.ui.visitors import Visitors
from wavemesh.ui.workspace import KEPT_S

pytestmark = pytest.mark.filterwarnings("ignore")  # gradio and its client warn about themselves
EVIL = "https://evil.example"


def ask(
    address: str, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by lower-case name and body of an answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request(method, path, body or None, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, read


def private_event(served: str) -> int:
    """The number of an event that is the page's own and goes through the queue."""
    config = json.loads(ask(served, "GET", "/config")[2])
    return next(each["id"] for each in config["dependencies"] if each["api_visibility"] == "private" and each["queue"])


def test_nothing_runs_past_the_queue(served: str, pipeline: Any) -> None:
    body = json.dumps({"data": [[], []]}).encode()
    for name in ("generate", "reshape", "turntable", "render_views"):
        for route in (f"/gradio_api/run/{name}", f"/gradio_api/api/{name}"):
            assert ask(served, "POST", route, body)[0] == 404
    assert pipeline.calls == []


def test_private_events_answer_the_page_only(served: str) -> None:
    number = private_event(served)
    body = json.dumps({"data": [], "fn_index": number, "session_hash": "stranger"}).encode()
    for route in ("/gradio_api/queue/join", "/gradio_api/run/predict"):
        status, _, said = ask(served, "POST", route, body)
        assert status == 404
        assert b"page's own" in said
    own = {"Origin": served.rstrip("/")}
    assert ask(served, "POST", "/gradio_api/queue/join", body, own)[0] == 200
    odd = json.dumps({"data": [], "fn_index": [number], "session_hash": "stranger"}).encode()
    assert ask(served, "POST", "/gradio_api/queue/join", odd)[0] in (404, 422)


@pytest.mark.parametrize("host", [None, "studio.example"])
def test_a_foreign_origin_gets_no_credentials_and_no_upload(served: str, studio: Studio, host: str | None) -> None:
    headers = {"Origin": EVIL, **({"Host": host} if host else {})}
    for path in ("/", "/config", "/gradio_api/info"):
        status, told, _ = ask(served, "GET", path, headers=headers)
        assert status == 200
        assert not [name for name in told if name.startswith("access-control-")]
    status, told, _ = ask(
        served, "OPTIONS", "/gradio_api/upload", headers={**headers, "Access-Control-Request-Method": "POST"}
    )
    assert not [name for name in told if name.startswith("access-control-")]
    before = set(studio.workspace.rglob("*"))
    upload = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhello\r\n--x--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert ask(served, "POST", "/gradio_api/upload", upload, {**headers, **kind})[0] == 403
    assert set(studio.workspace.rglob("*")) == before
    assert ask(served, "POST", "/gradio_api/queue/join", b"{}", headers)[0] == 403
    assert ask(served, "POST", "/gradio_api/upload", upload, kind)[0] == 200


def test_every_answer_says_where_it_may_be_framed(served: str) -> None:
    for path in ("/", "/config", "/gradio_api/run/generate", "/nowhere"):
        told = ask(served, "GET", path)[1]
        assert told["x-content-type-options"] == "nosniff"
        assert told["content-security-policy"] == "frame-ancestors 'self'"


def test_bodies_are_bounded(served: str) -> None:
    large = b'{"data": ["' + b"a" * gate.MAX_BODY_BYTES + b'"]}'
    begin = time.perf_counter()
    with contextlib.suppress(ConnectionError):  # the server hangs up while we are sending
        assert ask(served, "POST", "/gradio_api/call/step", large)[0] == 413
    claimed = {"Content-Length": str(200 * 2**20)}
    assert ask(served, "POST", "/gradio_api/queue/join", b"{}", claimed)[0] == 413
    assert ask(served, "POST", "/gradio_api/queue/join", b"{}", {"Content-Length": "-1"})[0] in (400, 413)
    assert time.perf_counter() - begin < 20


def test_calls_leave_no_state_behind(served: str, pictures: list[Path], tmp_path: Path) -> None:
    (holder,) = [each.state_holder for each in gc.get_objects() if isinstance(each, Blocks) and each.is_running]
    client = Client(served, verbose=False, download_files=str(tmp_path))
    client.submit(pictures=[handle_file(str(pictures[0]))], steps=1, api_name="/generate").result(timeout=120)
    call = json.loads(ask(served, "POST", "/gradio_api/call/step", b'{"data": [null, 1]}')[2])["event_id"]
    assert b"event: error" in ask(served, "GET", f"/gradio_api/call/step/{call}")[2]
    deadline = time.monotonic() + 10
    while holder.session_data and time.monotonic() < deadline:
        time.sleep(0.1)
    assert dict(holder.session_data) == {}


def test_a_closed_page_leaves_neither_threads_nor_memory(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, gradio_without_loops: None
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(studio.workspace))
    before = set(threading.enumerate())
    with serving(studio) as (page, address):
        assert ask(address, "GET", "/config")[0] == 200
        assert {each.name for each in set(threading.enumerate()) - before} > {"sweep"}
        left = weakref.ref(page)
        del page
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(threading.enumerate()) <= before
    gc.collect()
    assert left() is None


def test_who_went_away_frees_the_accelerator_within_one_step(
    served: str, studio: Studio, pictures: list[Path], pipeline: Any
) -> None:
    pipeline.pause_s = 0.5
    pipeline.finishing_s = 5.0  # a mesh that nobody waits for is not made
    upload = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        + pictures[0].read_bytes()
        + b"\r\n--x--\r\n"
    )
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    (sent,) = json.loads(ask(served, "POST", "/gradio_api/upload", upload, kind)[2])
    picture = {"path": sent, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"pictures": [picture], "coarse_steps": 50}).encode()
    call = json.loads(ask(served, "POST", "/gradio_api/call/v2/generate", body)[2])["event_id"]
    connection = http.client.HTTPConnection(urlsplit(served).netloc, timeout=30)
    connection.request("GET", f"/gradio_api/call/generate/{call}")
    answer = connection.getresponse()
    assert pipeline.running.wait(30)
    while pipeline.steps_done < 2:
        answer.fp.readline()
    answer.close()
    connection.close()
    begin = time.perf_counter()
    while not studio.accelerator._lock.acquire(blocking=False):
        assert time.perf_counter() - begin < 30
        time.sleep(0.01)
    studio.accelerator._lock.release()
    took = time.perf_counter() - begin
    assert took < pipeline.pause_s + 0.5
    assert pipeline.steps_done < 6
    assert not list((studio.workspace / "results").glob("*")) if (studio.workspace / "results").exists() else True
    assert not list((studio.workspace / "stops").glob("*"))


def test_another_sites_page_may_be_named(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    import gradio as gr

    monkeypatch.setenv(gate.ORIGINS, "https://lab.example, https://two.example/")

    async def nothing(*_: Any) -> None:
        pass

    made = gate.Gate(nothing, Visitors(gr.Blocks(), studio), Quota(), hosted=True)
    policy = dict(made.headers)[b"content-security-policy"].decode()
    assert policy == (
        "frame-ancestors 'self' https://lab.example https://two.example https://huggingface.co https://*.hf.space"
    )
    assert made.origins == {"https://lab.example", "https://two.example"}


def test_a_visitor_has_a_quota() -> None:
    quota = Quota(1000)
    for _ in range(3):
        assert quota.has_room("a")
        quota.take("a", 400)
    assert not quota.has_room("a")
    assert quota.has_room("b")


def test_nothing_is_kept_longer_than_the_page_says(tmp_path: Path) -> None:
    for age, name in enumerate(["a" * 64, "results/new", "b" * 64, "results/old"]):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(1000))
        os.utime(folder, (time.time() - (KEPT_S + 5) * (age // 2),) * 2)
    assert sweep(tmp_path) == 2000
    assert {path.parent.name for path in tmp_path.rglob("file")} == {"a" * 64, "new"}
    assert f"for {KEPT_S // 60} minutes at most" in app._KEPT
    assert quota.SWEEP_S <= 60


def test_what_is_kept_is_bounded_in_bytes(tmp_path: Path) -> None:
    for age, name in enumerate(["a" * 64, "results/new", "results/old", "stops", "somebody"]):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(1000))
        os.utime(folder, (time.time() - 100 * age,) * 2)
    assert sweep(tmp_path, 2500) == 2000
    assert not (tmp_path / "results/old").exists()
    assert (tmp_path / "results/new/file").exists()
    assert sweep(tmp_path, 10) == 0
    assert (tmp_path / "stops/file").exists()
    assert (tmp_path / "somebody/file").exists()
