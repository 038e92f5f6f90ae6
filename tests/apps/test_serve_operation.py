"""The HTTP server as its keeper sees it: page, description, logs, settings, command line."""

import json
import logging
import math
import re
import socket
import subprocess
import sys

import pytest
from serving import running, until
from vislearn_serve import server
from vislearn_serve.server import make_server
from vislearn_serve.settings import Settings
from vislearn_serve.telemetry import JsonFormatter

pytestmark = pytest.mark.tensorflow  # which exports the packages


def test_page_needs_nothing_from_elsewhere(client):
    found = client.get("/")
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert "http://" not in found.text and "https://" not in found.text


def test_openapi_names_the_routes(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {
        "/v1/models/{name}:predict",
        "/v2/models/{name}/versions/{version}/infer",
        "/answer/{name}",
        "/metrics",
    } <= paths.keys()
    assert "requestBody" in paths["/v1/models/{name}:predict"]["post"]


def test_openapi_promises_what_is_sent(client, exported):
    description = client.get("/openapi.json").json()
    assert "securitySchemes" not in description["components"]
    for path, operations in description["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"] and "default" in operation["responses"]
            names = [one["name"] for one in operation["parameters"]]
            assert "X-Request-Timeout" in names and len({*names}) == len(names)
            assert {*re.findall(r"{(\w+)}", path)} <= {*names}
    infer = description["paths"]["/v2/models/{name}/infer"]["post"]["requestBody"]
    (tensor,) = infer["content"]["application/json"]["example"]["inputs"]
    assert len(tensor["data"]) == math.prod(tensor["shape"])
    with running(exported / "first", api_key="secret") as closed:
        key = {"X-API-Key": "secret"}
        description = closed.get("/openapi.json", headers=key).json()
        assert description["security"] == [{"bearer": []}, {"header": []}]
        assert {*description["components"]["securitySchemes"]} == {"bearer", "header"}
        assert description["paths"]["/v2/health/live"]["get"]["security"] == []


def test_logs_are_json_with_the_request(client, caplog):
    logger = logging.getLogger("vislearn.serve")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, "vislearn.serve"):
        found = client.post("/v1/models/letters:predict", headers={"X-Request-ID": "abc"})
        until(lambda: caplog.records)
    logger.removeHandler(caplog.handler)
    assert found.headers["x-request-id"] == "abc"
    line = json.loads(JsonFormatter().format(caplog.records[-1]))
    assert line["event"] == "request" and line["level"] == "info"
    assert (line["request"], line["status"], line["model"]) == ("abc", 400, "letters")
    assert line["reason"] == found.json()["error"]


def test_neither_keras_nor_tensorflow_is_loaded(exported):
    program = f"""
import sys
sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
import numpy as np
from pathlib import Path
from serving import picture, running, text
with running(Path({str(exported)!r})) as client:
    file = picture(np.zeros((9, 9, 1), np.uint8))
    for path in ("/answer/first", "/answer/first?picture=true"):
        assert client.post(path, content=file).status_code == 200
    assert client.post("/generate/maker?count=2").status_code == 200
print([name for name in ("keras", "tensorflow", "jax") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"format": "tflite"}, "format='tflite' must be one of"),
        ({"batch_sizes": (0, 1)}, "batch_sizes"),
        ({"batch_sizes": (1, 99_999_999)}, "at most 4096"),
        ({"queue": 0}, "queue=0"),
        ({"deadline": 0.0}, "deadline=0.0"),
        ({"deadline": math.inf}, "deadline=inf"),
        ({"poll": math.nan}, "poll=nan"),
        ({"api_key": ""}, "api_key"),
        ({"threads": 0}, "threads=0"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, options, reason):
    with pytest.raises(ValueError, match=reason):
        Settings(tmp_path, **options)


def test_command_line_says_what_is_wrong(tmp_path):
    from typer.testing import CliRunner

    from vislearn.cli import app

    missing = CliRunner().invoke(app, ["serve", str(tmp_path / "nothing")])
    assert isinstance(missing.exception, FileNotFoundError)
    wrong = CliRunner().invoke(app, ["serve", str(tmp_path), "--batch-sizes", "1;2"])
    assert isinstance(wrong.exception, ValueError) and "--batch-sizes" in str(wrong.exception)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--deadline", "inf"),
        ("--poll", "nan"),
        ("--max-body", "inf"),
        ("--max-body", "nan"),
        ("--max-pixels", "1e400"),
        ("--max-held", "1e308"),
    ],
)
def test_numbers_that_are_not_finite_name_their_option(tmp_path, flag, value):
    from typer.testing import CliRunner

    from vislearn.cli import app

    wrong = CliRunner().invoke(app, ["serve", str(tmp_path), flag, value])
    assert isinstance(wrong.exception, ValueError)
    assert str(wrong.exception) == f"{flag} {float(value)} must be a finite number."


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_ports_are_16_bits(tmp_path, port):
    from typer.testing import CliRunner

    from vislearn.cli import app

    wrong = CliRunner().invoke(app, ["serve", str(tmp_path), "--port", port])
    assert wrong.exit_code == 2 and "Invalid value" in wrong.output
    with pytest.raises(ValueError, match=f"port={port} must be"):
        make_server(Settings(tmp_path), port=int(port))


def test_a_port_is_taken_before_a_model_is_loaded(tmp_path, monkeypatch):
    def refuse(*args):
        raise AssertionError("The application was made.")

    monkeypatch.setattr(server, "create_app", refuse)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"^--port {port} is in use.$"):
            make_server(Settings(tmp_path), port=port)
    for host in ("192.0.2.1", "no.such.host.invalid"):
        with pytest.raises(OSError, match=f"^--host {host} is no address"):
            make_server(Settings(tmp_path), host, 0)


def test_the_log_tells_a_free_port(tmp_path, caplog):
    logger = logging.getLogger("vislearn.serve")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, "vislearn.serve"), running(tmp_path) as client:
        assert f"running on http://127.0.0.1:{client.port}" in caplog.messages
    logger.removeHandler(caplog.handler)
