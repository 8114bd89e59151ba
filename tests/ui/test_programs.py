"""The page for programs: documented endpoints, OpenAPI, tools for agents through MCP's own client, and docs/api.md."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trimesh
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from tests.ui.conftest import outcome
from wavemesh.errors import InputError
from wavemesh.ui.app import mcp_wanted
from wavemesh.ui.arguments import accept_file_lists

ROOT = Path(__file__).resolve().parents[2]
ENDPOINTS = {"/generate", "/step", "/edit_wavelets", "/reshape", "/turntable", "/render_views", "/compare"}
pytestmark = pytest.mark.filterwarnings("ignore")  # gradio and its client warn about themselves


def test_every_endpoint_says_what_it_takes(served: str) -> None:
    told = Client(served, verbose=False).view_api(return_format="dict")["named_endpoints"]
    assert set(told) == ENDPOINTS
    for endpoint in told.values():
        assert len(endpoint["description"]) > 30
        assert all(parameter["label"] for parameter in endpoint["parameters"])
    schema = json.load(urllib.request.urlopen(f"{served}gradio_api/openapi.json", timeout=10))
    for name in ENDPOINTS:
        assert f"/gradio_api/call/v2{name}" in schema["paths"]


async def _with_tools(address: str, use: Any) -> Any:
    async with streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _), ClientSession(read, write) as it:
        await it.initialize()
        return await use(it)


def test_agents_find_documented_tools(served: str) -> None:
    tools = outcome(_with_tools(served, lambda session: session.list_tools())).tools
    assert {f"/{tool.name}" for tool in tools} == ENDPOINTS
    for tool in tools:
        for name, schema in tool.inputSchema["properties"].items():
            assert len(schema.get("description", "")) > 5, f"{tool.name} does not say what {name} is"


def test_an_agent_makes_a_mesh(served: str, pictures: list[Path], pipeline: Any, tmp_path: Path) -> None:
    picture = "data:image/png;base64," + base64.b64encode(pictures[0].read_bytes()).decode()
    arguments = {"pictures": [picture], "cameras": [{"azimuth_deg": 50}], "seed": 9, "coarse_steps": 2}
    answer = outcome(_with_tools(served, lambda session: session.call_tool("generate", arguments)))
    assert not answer.isError, answer.content
    assert pipeline.calls[0]["seed"] == 9
    assert pipeline.calls[0]["views"][0].camera.azimuth_deg == 50.0
    (link,) = re.findall(r"http[^'\"]*\.glb", "".join(part.text for part in answer.content))
    urllib.request.urlretrieve(link, tmp_path / "mesh.glb")
    assert len(trimesh.load(tmp_path / "mesh.glb", force="mesh").faces) > 100


def test_files_in_lists_and_files_that_may_be_left_out_are_found() -> None:
    found: list[Any] = []
    server = SimpleNamespace(convert_strings_to_filedata=lambda value, places: found.extend(places))
    accept_file_lists(server)
    schema = [["one"], ["many", "items"], ["maybe", "oneOf", 1], ["absent"]]
    server.convert_strings_to_filedata({"one": "a", "many": ["b", "c"], "maybe": "d"}, schema)
    assert found == [["one"], ["many", 0], ["many", 1], ["maybe"]]


def test_an_agent_is_told_what_cannot_be_done(served: str) -> None:
    answer = outcome(_with_tools(served, lambda session: session.call_tool("generate", {"pictures": []})))
    assert answer.isError
    assert "No picture yet" in answer.content[0].text


def test_the_switch_for_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_MCP_SERVER", raising=False)
    assert mcp_wanted()
    monkeypatch.setenv("GRADIO_MCP_SERVER", "false")
    assert not mcp_wanted()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("GRADIO_MCP_SERVER")
    assert not mcp_wanted()
    monkeypatch.setenv("GRADIO_MCP_SERVER", "True")
    with pytest.raises(InputError, match="not installed"):
        mcp_wanted()


def documented_block(language: str) -> str:
    """The code of the API document's section for programs."""
    section = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").split("## As a program\n")[1].split("\n## ")[0]
    (block,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return block


def test_the_document_in_python(served: str, pipeline: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("gradio_client.client.DEFAULT_TEMP_DIR", str(tmp_path))
    code = documented_block("python")
    assert "http://127.0.0.1:7860" in code
    names: dict[str, Any] = {}
    exec(code.replace("http://127.0.0.1:7860", served.rstrip("/")), names)
    assert len(trimesh.load(names["mesh"], force="mesh").faces) == names["progress"]["faces"]
    assert Path(names["film"]).read_bytes()[:4] == b"GIF8"
    assert [view.camera.azimuth_deg for view in pipeline.calls[0]["views"]] == [30.0, 120.0]


def test_the_document_with_curl(served: str, pipeline: Any, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "examples").symlink_to(ROOT / "examples")
    code = documented_block("bash").replace("http://127.0.0.1:7860", served.rstrip("/"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code], cwd=checkout, capture_output=True, text=True, timeout=120,
        env={**os.environ, "no_proxy": "*"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(trimesh.load(checkout / "teapot.glb", force="mesh").faces) > 100
    assert pipeline.calls[0]["views"][0].camera.azimuth_deg == 30.0
