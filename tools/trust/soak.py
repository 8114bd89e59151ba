"""What visits and calls leave in the server: memory, files and handles."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
import uuid
from collections import Counter
from typing import Any

import trimesh

from tools.trust.bundles import example, packed
from tools.trust.server import Server, say
from tools.trust.visitors import disc

WARM = 5  # runs before the first figure: what is loaded once is loaded
SENT_S = 900.0  # a file is sent again after this time: sent for each call, it fills a visitor's bytes of an hour


def calls(server: Server, count: int) -> str:
    """What refused calls leave behind."""
    for _ in range(20):
        server.call("step", {"bundle": None, "number": 1})
    before = server.memory()
    for _ in range(count):
        server.call("step", {"bundle": None, "number": 1})
    kept = (server.memory() - before) / count
    return f"{count} refused calls keep {kept / 1e6:.3f} MB each; the server has {server.memory() / 1e9:.2f} GB"


def soak(server: Server, count: int, minutes: float) -> str:
    """Memory, stored files and handles after so many page visits and minutes of mixed calls, above those after five."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.9).export(file_type="glb")
    bundle, ended = packed(example()), Counter[str]()
    sent: dict[str, tuple[float, dict[str, Any]]] = {}

    def uploaded(name: str, content: bytes) -> dict[str, Any]:
        if name not in sent or time.perf_counter() - sent[name][0] > SENT_S:
            sent[name] = time.perf_counter(), server.upload(name, content)
        return sent[name][1]

    def run(number: int) -> None:
        picture = server.upload("disc.png", disc(number % 50))
        given = {"pictures": [picture], "cameras": [{"azimuth_deg": 20.0}], "seed": number, "steps": 1}
        said = server.call("generate", {**given, "resolution": 64 if number % 4 else 128})
        ended["failed" if "event: error" in said else "generate"] += 1
        if "event: error" in said:
            say(f"  generate {number}: {said[-200:]!r}")

    def tool(number: int) -> None:
        endpoint = ("step", "reshape", "edit_wavelets", "render_views", "turntable", "refused")[number % 6]
        given = {
            "step": {"number": 1}, "reshape": {"max_faces": 4000}, "edit_wavelets": {"threshold": 0.01},
            "turntable": {"max_faces": 2000, "film_suffix": ".gif"}, "refused": {"number": 99},
        }.get(endpoint, {})  # fmt: skip
        if endpoint == "render_views":
            said = server.call(endpoint, {"mesh": uploaded("ball.glb", ball), "views": 2})
        else:
            asked = {"bundle": uploaded("run.zip", bundle), **given}
            said = server.call("step" if endpoint == "refused" else endpoint, asked)
        failed = ("event: error" in said) != (endpoint == "refused")
        ended["failed" if failed else endpoint] += 1
        if failed:
            say(f"  {endpoint} {number}: {said[-200:]!r}")

    for number in range(WARM):
        run(number)
        tool(number)
    first = server.memory()
    say(f"  after {WARM} runs: {state(server)}")
    for _ in range(count):
        visit(server)
    visited = server.memory()
    say(f"  after {count} visits: {state(server)}")
    begin, told = time.perf_counter(), 0.0
    for number in itertools.count(WARM):
        if (passed := time.perf_counter() - begin) > 60.0 * minutes:
            break
        run(number)
        tool(2 * number)
        tool(2 * number + 1)
        if passed - told > 30.0:
            told = passed
            say(f"  after {passed / 60:.1f} minutes: {state(server)} {dict(ended)}")
    return (
        f"{count} visits and {minutes:.0f} minutes of calls, {dict(ended)}: {first / 1e9:.2f} GB after {WARM} runs, "
        f"{(visited - first) / 1e6:+.0f} MB after the visits, {(server.memory() - first) / 1e6:+.0f} MB at the end; "
        f"peak {server.peak / 1e9:.2f} GB; {state(server)}; server alive {server.alive}"
    )


def visit(server: Server) -> None:
    """What a browser asks for: the page, what it is made of, its heartbeat, and an event of a session of its own."""
    for path in ("", "gradio_api/info"):
        urllib.request.urlopen(server.address + path, timeout=120).close()
    with urllib.request.urlopen(f"{server.address}config", timeout=120) as answer:
        (event,) = (each["id"] for each in json.load(answer)["dependencies"] if each["api_name"] == "step")
    session, ours = uuid.uuid4().hex, {"Origin": server.address.rstrip("/"), "Content-Type": "application/json"}
    with urllib.request.urlopen(f"{server.address}gradio_api/heartbeat/{session}", timeout=120) as beating:
        beating.readline()
        body = json.dumps({"data": [None, 1], "fn_index": event, "session_hash": session}).encode()
        urllib.request.urlopen(
            urllib.request.Request(f"{server.address}gradio_api/queue/join", body, ours), timeout=120
        ).close()
        with urllib.request.urlopen(
            f"{server.address}gradio_api/queue/data?session_hash={session}", timeout=120
        ) as told:
            said = told.read().decode()
    if "process_completed" not in said:
        say(f"  a visit ended with {said[-200:]!r}")


def state(server: Server) -> str:
    """Memory, files, handles and work in words."""
    return (
        f"{server.memory() / 1e9:.2f} GB, {server.stored() / 1e6:.0f} MB of files, {server.handles()} handles, "
        f"{server.cpu_s():.0f} s of processor"
    )
