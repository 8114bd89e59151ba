"""The page as people run it, `python app.py`, and what a measurement reads of it: answers, seconds, memory, handles."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """The running page, its address, and the most memory that it and its children have had so far."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.folder = Path(tempfile.mkdtemp(prefix="trust-"))
        told = {"GRADIO_SERVER_PORT": str(port), "OMP_NUM_THREADS": "1", "TMPDIR": str(self.folder)}
        log = self.folder / "log"
        self.process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env={**os.environ, **told},
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
        )
        self.address = f"http://127.0.0.1:{port}/"
        self.peak = 0
        threading.Thread(target=self._watch, daemon=True).start()
        while True:
            try:
                urllib.request.urlopen(self.address, timeout=20).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(log.read_text()) from None
                time.sleep(0.5)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def memory(self) -> int:
        """Resident bytes of the server and all that it started, now."""
        return sum(self._read(lambda each: each.memory_info().rss))

    def handles(self) -> int:
        """Open files and connections of the server, now."""
        return psutil.Process(self.process.pid).num_fds()

    def stored(self) -> int:
        """Bytes of the files that it keeps, now."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def cpu_s(self) -> float:
        """Seconds of the processor that the server has used, and its children that have ended."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def _read(self, value: Any) -> Iterator[Any]:
        root = psutil.Process(self.process.pid)
        for each in [root, *root.children(recursive=True)]:
            try:
                yield value(each)
            except psutil.NoSuchProcess:
                continue

    def _watch(self) -> None:
        while self.alive:
            self.peak = max(self.peak, self.memory())
            time.sleep(0.2)

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """A file on the server, as an argument of an endpoint."""
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        request = urllib.request.Request(f"{self.address}gradio_api/upload", head + content + b"\r\n--x--\r\n", kind)
        with urllib.request.urlopen(request, timeout=120) as answer:
            (path,) = json.load(answer)
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def begin(self, endpoint: str, arguments: dict[str, Any]) -> Any:
        """The stream of what a call says, open."""
        body, kind = json.dumps(arguments).encode(), {"Content-Type": "application/json"}
        place = f"{self.address}gradio_api/call"
        with urllib.request.urlopen(urllib.request.Request(f"{place}/v2/{endpoint}", body, kind), timeout=60) as begun:
            event = json.load(begun)["event_id"]
        return urllib.request.urlopen(f"{place}/{endpoint}/{event}", timeout=600)

    def call(self, endpoint: str, arguments: dict[str, Any]) -> str:
        """All that a call streams; an error where nothing comes in ten minutes."""
        with self.begin(endpoint, arguments) as answer:
            return answer.read().decode()

    def close(self) -> None:
        """Stop it and remove its folder; print the first tracebacks of its log."""
        self.process.terminate()
        self.process.wait(60)
        log = (self.folder / "log").read_text(errors="replace")
        for place in [each.start() for each in re.finditer("Traceback", log)][:5]:
            say(f"  the server said: {log[place : place + 2000]}")
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Tally:
    """What calls came to so far: how many answered and refused, and the longest."""

    server: Server
    answered: int = 0
    refused: int = 0
    longest_s: float = 0.0
    most_cpu_s: float = 0.0
    over: list[str] = field(default_factory=list)

    def call(self, what: str, endpoint: str, arguments: dict[str, Any]) -> None:
        """Make one call; what: its name, printed where it took long."""
        begin, before = time.perf_counter(), self.server.cpu_s()
        try:
            said = self.server.call(endpoint, arguments)
        except (urllib.error.URLError, OSError) as error:
            said = f"event: error\ndata: {error}"
        took, worked = time.perf_counter() - begin, self.server.cpu_s() - before
        failed = "event: error" in said
        self.refused += failed
        self.answered += not failed
        if worked > 30.0:
            self.over.append(what)
        self.longest_s, self.most_cpu_s = max(self.longest_s, took), max(self.most_cpu_s, worked)
        if worked > 8.0 or took > 30.0:
            say(f"  {took:6.1f} s  {worked:5.1f} s of processor  {what}: {said[-120:].strip()!r}")
        if (self.answered + self.refused) % 5 == 0:
            say(f"  so far {self}")

    def __str__(self) -> str:
        return (
            f"{self.answered + self.refused} calls, {self.refused} refused, server alive {self.server.alive}, longest "
            f"{self.longest_s:.1f} s, most {self.most_cpu_s:.1f} s of processor, peak {self.server.peak / 1e9:.2f} GB"
        )


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
