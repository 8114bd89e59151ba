"""Fifty visitors at once, and clients that go away in the middle of a run."""

from __future__ import annotations

import io
import json
import threading
import time
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tools.trust.server import Server, say

PATIENCE_S = 1500.0


def disc(number: int, side: int = 96) -> bytes:
    """A disc of a colour of its own on nothing, as PNG."""
    picture = Image.new("RGBA", (side, side))
    colour = (40 + 4 * number, 230 - 4 * number, 40 + number * 37 % 200, 255)
    ImageDraw.Draw(picture).ellipse((20, 20, 75, 75), fill=colour)
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


@dataclass
class Visit:
    """What became of one visitor: whether the result was theirs, how often the queue was full, and what was told."""

    right: bool = False
    swapped: bool = False
    full: int = 0
    place_told: bool = False
    sentence: str = ""
    seconds: float = 0.0


def visit(address: str, number: int, folder: Path) -> Visit:
    """One visitor, who comes back as long as the queue is full."""
    from gradio_client import Client, handle_file

    found, begin = Visit(), time.perf_counter()
    mine = folder / f"{number}.png"
    mine.write_bytes(disc(number))
    client = Client(address, verbose=False, download_files=str(folder / str(number)), httpx_kwargs={"timeout": 300.0})
    while time.perf_counter() - begin < PATIENCE_S:
        job = client.submit(
            pictures=[handle_file(str(mine))], cameras=[{"azimuth_deg": float(number), "elevation_deg": 10.0}],
            coarse_steps=1, resolution=64, seed=number, api_name="/generate",
        )  # fmt: skip
        while not job.done():
            status = job.status()
            found.place_told |= status.rank is not None or "Waiting" in str(job.outputs()[-1:])
            time.sleep(0.3)
        try:
            _, _, bundle = job.result(timeout=1)
        except Exception as error:  # what a visitor is told
            found.sentence = str(error)
            if "queue is full" not in found.sentence.lower():
                break
            found.full += 1
            time.sleep(5.0)
            continue
        found.right = own(bundle, number)
        found.swapped = not found.right
        break
    found.seconds = time.perf_counter() - begin
    return found


def own(bundle: str, number: int) -> bool:
    """Whether a bundle is of that visitor: seed, camera and the colour of the picture."""
    with zipfile.ZipFile(bundle) as archive:
        facts = json.loads(archive.read("bundle.json"))
        picture = np.asarray(Image.open(io.BytesIO(archive.read("pictures/0.png"))).convert("RGBA"))
    sent = np.asarray(Image.open(io.BytesIO(disc(number))))[48, 48].astype(int)
    same = np.abs(picture[len(picture) // 2, picture.shape[1] // 2].astype(int) - sent).max() < 6
    turned = abs(facts["cameras"][0]["azimuth_deg"] - number) < 1e-3
    return bool(facts["settings"]["seed"] == number and turned and same)


def visitors(server: Server, count: int) -> str:
    """How many got their own result, somebody else's or none, and how many were told their place or that it is full."""
    warnings.simplefilter("ignore")
    visits: dict[int, Visit] = {}
    begin = time.perf_counter()

    def one(number: int) -> None:
        visits[number] = visit(server.address, number, server.folder)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, all_of_them = time.perf_counter() - begin, list(visits.values())
    right, swapped = sum(each.right for each in all_of_them), sum(each.swapped for each in all_of_them)
    for each in all_of_them:
        if not each.right:
            say(f"  {each}")
    retries, told = sum(each.full for each in all_of_them), sum(each.place_told for each in all_of_them)
    return (
        f"{count} visitors in {took:.0f} s: {count - right - swapped} lost, {swapped} swapped, {right} right; told "
        f"that the queue is full {retries} times, {told} told their place or that they wait; peak "
        f"{server.peak / 1e9:.2f} GB, server alive {server.alive}, {server.cpu_s():.0f} s of processor"
    )


def gone(server: Server, count: int) -> str:
    """How long the accelerator is taken after a client vanished, in its clock, and beside it the length of a step."""
    picture = server.upload("disc.png", disc(3))
    long = {"pictures": [picture], "cameras": [{"azimuth_deg": 30.0}], "steps": 50}
    after, steps = [], []
    for _ in range(count):
        leaving = server.begin("generate", long)
        times = [time.perf_counter() for _ in zip(range(4), (f for f in facts(leaving) if f["step"]), strict=False)]
        next_one = server.begin("generate", {**long, "steps": 1, "resolution": 64})
        stream = facts(next_one)
        waiting = next(fact for fact in stream if "Waiting" in fact["message"])
        begin = time.perf_counter()
        leaving.close()
        while "Waiting" in waiting["message"]:
            waiting = next(stream)
        after.append(time.perf_counter() - begin)
        steps.append(max(np.diff(times)))
        say(f"  free after {after[-1]:.2f} s; the longest of three steps took {steps[-1]:.2f} s")
        for _ in stream:
            pass
        next_one.close()
    above = [one - step for one, step in zip(after, steps, strict=True)]
    return (
        f"{count} clients vanished: the accelerator was free after {np.median(after):.2f} s (median), "
        f"{max(after):.2f} s (longest); above one step {np.median(above):.2f} s and {max(above):.2f} s; "
        f"server alive {server.alive}"
    )


def facts(stream: Any) -> Any:
    """The progress that a call streams, one after another."""
    for line in stream:
        if line.startswith(b"data: ") and (data := json.loads(line[6:])):
            yield data[0]
