"""Other systems than Linux: Windows, simulated by taking away what only Unix has, and the container.

The simulation is a `sitecustomize`, so that it holds in every process that is started, too. Only the package's own
modules are cheated: libraries look at `sys.platform` and may use what is really there.
"""

from __future__ import annotations

import ast
import ctypes
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trimesh

from wavemesh import machine

ROOT = Path(__file__).resolve().parents[1]
WITHOUT_UNIX = """
import builtins, os, signal, types

GONE = {
    "os": ("getuid", "geteuid", "getgid", "getloadavg", "fork", "forkpty", "setsid", "getpgid", "setpgid", "killpg",
           "wait3", "wait4", "nice", "sync", "statvfs", "sysconf", "mkfifo", "chown", "uname", "sched_getaffinity",
           "register_at_fork", "openpty", "ttyname", "pread", "pwrite"),
    "signal": ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGPIPE", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGXCPU",
               "SIGXFSZ", "setitimer", "alarm", "pause", "pthread_kill", "pthread_sigmask", "sigwait"),
}
MISSING = ("resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix")


class WindowsModule(types.ModuleType):
    def __init__(self, module):
        super().__init__(module.__name__)
        self.__dict__["_real"] = module

    def __getattr__(self, name):
        if name in GONE[self.__name__]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return getattr(self._real, name)


cheated = {"os": WindowsModule(os), "signal": WindowsModule(signal)}
load = builtins.__import__


def imported(name, globals=None, locals=None, fromlist=(), level=0):
    module = (globals or {}).get("__name__", "")
    spec = (globals or {}).get("__spec__")
    if not (module if module != "__main__" else getattr(spec, "name", "")).startswith("wavemesh"):
        return load(name, globals, locals, fromlist, level)
    if name in MISSING:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return cheated.get(name) or load(name, globals, locals, fromlist, level)


builtins.__import__ = imported
"""
A_LITTLE = """
import contextlib, io, sys
import wavemesh
from wavemesh.cli import main
from wavemesh.cli.streams import prepare_streams

with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    main(["generate", "--help"])
assert "--azimuth" in said.getvalue()

from wavemesh.geometry.untrusted import read_untrusted_mesh
assert len(read_untrusted_mesh(sys.argv[1]).faces) == 12

import numpy as np
from PIL import Image
from wavemesh.imaging.grabcut import grabcut_alpha
picture = np.full((64, 64, 3), 255, np.uint8)
picture[16:48, 16:48] = 40
alpha = grabcut_alpha(picture)
assert alpha[32, 32] > 200 > 50 > alpha[2, 2]

from wavemesh.ui.workspace import new_result_folder, open_workspace
assert new_result_folder(open_workspace()).is_dir()
from wavemesh.machine import limit_process, load_average, peak_resident_bytes
assert load_average() is None and not limit_process(2**40, 60, 2**30) and peak_resident_bytes() > 0
print("all of it")
"""
EVERY_MODULE = """
import importlib, pkgutil
import wavemesh
for module in pkgutil.walk_packages(wavemesh.__path__, "wavemesh."):
    if not module.name.endswith(("__main__", "sparse.spconv")):
        importlib.import_module(module.name)
from pathlib import Path
from wavemesh.training.stopping import StopSignals
from wavemesh.ui.app import build
from wavemesh.ui.studio import open_studio
with StopSignals() as signals:
    assert not signals.asked
build(open_studio(Path.cwd()))
print("all of it")
"""


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process on what looks like Windows to the package."""
    folder = tmp_path_factory.mktemp("windows")
    (folder / "sitecustomize.py").write_text(WITHOUT_UNIX, encoding="utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "TMPDIR": str(folder)}


def run(program: str, environment: dict[str, str], folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "all of it\n"), done.stderr


def test_a_little_of_everything_runs_without_what_only_unix_has(windows: dict[str, str], tmp_path: Path) -> None:
    trimesh.creation.box((1, 2, 3)).export(tmp_path / "box.ply")
    run(A_LITTLE, windows, tmp_path, str(tmp_path / "box.ply"))


@pytest.mark.slow
def test_every_module_and_the_page_are_built_without_what_only_unix_has(
    windows: dict[str, str], tmp_path: Path
) -> None:
    run(EVERY_MODULE, windows, tmp_path)


def test_no_module_names_what_only_unix_has() -> None:
    """What the simulation does not come by; `machine.py` alone may, inside its functions."""
    names: dict[str, dict[str, tuple[str, ...]]] = {}
    exec(WITHOUT_UNIX.split("class ")[0], {}, names)
    gone = {f"{module}.{name}" for module, each in names["GONE"].items() for name in each}
    for path in sorted((ROOT / "wavemesh").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        asked_for = {
            f"{node.args[0].id}.{node.args[1].value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and ast.unparse(node.func) == "hasattr"
            and isinstance(node.args[0], ast.Name)
            and isinstance(node.args[1], ast.Constant)
        }
        assert not (used & gone) - asked_for, path
        if path.name != "machine.py":
            assert not imports & set(names["MISSING"]), path
            assert "os.kill" not in used, path


class Kernel:
    """What Windows' own library answers about three processes: 1 runs, 2 has ended, 3 is somebody else's."""

    def __init__(self) -> None:
        self.closed: list[int] = []

    def OpenProcess(self, access: int, inherit: bool, pid: int) -> int:
        return pid if pid in (1, 2) else 0

    def WaitForSingleObject(self, handle: int, milliseconds: int) -> int:
        return {1: 0x102, 2: 0}[handle]

    def CloseHandle(self, handle: int) -> None:
        self.closed.append(handle)


@pytest.mark.parametrize("pid, error, runs", [(1, 0, True), (2, 0, False), (3, 5, True), (4, 87, False)])
def test_windows_is_asked_about_a_process_without_a_signal(
    pid: int, error: int, runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda *_, **__: kernel, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: error, raising=False)
    monkeypatch.setattr(os, "kill", None)  # there it would be Ctrl-C
    assert machine.is_running(pid) is runs
    assert kernel.closed == ([pid] if pid in (1, 2) else [])


def test_processes_of_this_system_are_known() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert machine.is_running(os.getpid())
    assert not machine.is_running(child.pid)


def test_the_container_is_small_safe_and_whole() -> None:
    """A few rules of Dockerfiles, so that it need not be built to be judged."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    steps = [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    words = [word for word, _ in steps]
    said = dict(steps)
    assert said["FROM"] == "python:3.12-slim"
    assert words[0] == "FROM"
    assert words.count("CMD") == 1
    assert words[-1] == "CMD"
    assert "ADD" not in words
    assert not re.search(r"https?://|latest|sudo|chmod 777", text)
    assert not re.search(r"(?i)(token|secret|password|api_key)", text)
    assert said["USER"] not in ("root", "0")
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")
    assert said["EXPOSE"] == "7860"
    assert json.loads(said["CMD"]) == ["python", "app.py"]
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for source in [source for word, rest in steps if word == "COPY" for source in rest.split()[:-1]]:
        assert any(name == source or name.startswith(f"{source}/") for name in tracked), source
    copied = {source for word, rest in steps if word == "COPY" for source in rest.split()[:-1]}
    assert {"app.py", "wavemesh", "assets", "examples", "requirements.txt", "constraints.txt"} <= copied
    installs = [rest for word, rest in steps if word == "RUN" and "pip install" in rest]
    assert "torch==" in installs[0]
    assert all("--no-cache-dir" in rest for rest in installs)
    assert "rm -rf /var/lib/apt/lists" in next(rest for word, rest in steps if "apt-get" in rest)
