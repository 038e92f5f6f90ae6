"""The HTTP server: packages that come, change and go, and what its keeper sees."""

import concurrent.futures
import json
import logging
import shutil
import subprocess
import sys
import threading

import httpx
import pytest
from serving import answer_of, running, same, until
from vislearn_serve.packages import find_packages, load
from vislearn_serve.settings import Settings
from vislearn_serve.telemetry import JsonFormatter, Metrics

from vislearn.export import PackageError

pytestmark = pytest.mark.tensorflow  # which exports the packages


def test_packages_are_found(tmp_path):
    made = ("one", "many/1", "many/12", "vae/encoder", ".hidden", "with space", "many/old")
    for name in made:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "model.json").write_text("{}")
    assert sorted(find_packages(tmp_path).packages) == [
        ("many", "1"),
        ("many", "12"),
        ("many_old", "1"),
        ("one", "1"),
        ("vae_encoder", "1"),
    ]
    assert [*find_packages(tmp_path / "one").packages] == [("one", "1")]


def test_reload(exported, tmp_path, pixels, expected):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    with running(tmp_path) as client:
        assert same(answer_of(client, pixels), expected["1"])

        # A broken file, in place, under the running model: it goes on, and says so.
        (place / "model.tflite").write_bytes(b"broken")
        until(lambda: client.get("/models").json()["models"][0]["errors"])
        assert "sha256" in client.get("/models").json()["models"][0]["errors"]["1"]
        (state,) = client.get("/v1/models/letters").json()["model_version_status"]
        assert state["state"] == "AVAILABLE" and "sha256" in state["status"]["error_message"]
        assert 'vislearn_model_loads_total{model="letters",outcome="failed",version="1"} 1.0' in (
            client.get("/metrics").text
        )
        assert same(answer_of(client, pixels), expected["1"])

        # A whole one in its place, and a newer version.
        shutil.rmtree(place)
        shutil.copytree(exported / "second", place)
        until(lambda: same(answer_of(client, pixels), expected["2"]))
        shutil.rmtree(place)
        shutil.copytree(exported / "second", place / "1")
        shutil.copytree(exported / "first", place / "2")
        until(lambda: same(answer_of(client, pixels), expected["1"]))
        until(lambda: client.get("/v2/models/letters").json()["versions"] == ["2", "1"])

        # Gone.
        shutil.rmtree(place)
        until(lambda: client.get("/v1/models/letters").status_code == 404)
        assert client.get("/v2/health/ready").status_code == 503


def test_replacing_a_package_under_load_loses_no_request(exported, tmp_path, pixels, expected):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    end = threading.Event()

    def ask(url) -> list[str]:
        """Which package answered, request by request."""
        found = []
        with httpx.Client(base_url=url, timeout=60) as client:
            while not end.is_set():
                answer = answer_of(client, pixels)
                found += [version for version in "12" if same(answer, expected[version])] or ["?"]
        return found

    with (
        running(tmp_path) as client,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        asked = [pool.submit(ask, client.base_url) for _ in range(4)]
        for name, version in (("second", "2"), ("first", "1"), ("second", "2")):
            shutil.copytree(exported / name, tmp_path / ".new")
            place.rename(tmp_path / ".old")
            (tmp_path / ".new").rename(place)
            shutil.rmtree(tmp_path / ".old")
            until(lambda version=version: same(answer_of(client, pixels), expected[version]))
        end.set()
        answered = [future.result() for future in asked]
    assert {*"".join(map("".join, answered))} == {"1", "2"}


def test_no_room_for_the_copy_keeps_the_old_one(exported, tmp_path, pixels, expected, monkeypatch):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    with running(tmp_path) as client:

        def full(*paths):
            raise OSError(28, "No space left on device")

        shutil.copytree(exported / "second", tmp_path / ".new")
        monkeypatch.setattr("vislearn_serve.packages.shutil.copyfile", full)
        place.rename(tmp_path / ".old")
        (tmp_path / ".new").rename(place)
        until(lambda: client.get("/models").json()["models"][0]["errors"])
        assert "No space" in client.get("/models").json()["models"][0]["errors"]["1"]
        assert same(answer_of(client, pixels), expected["1"])


def test_a_package_can_name_no_file_outside(exported, tmp_path):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    manifest = json.loads((place / "model.json").read_text())
    manifest["files"]["savedmodel/1/../../../outside"] = {"size": 1, "sha256": "0"}
    (place / "model.json").write_text(json.dumps(manifest))
    settings = Settings(tmp_path, format="savedmodel")
    with pytest.raises(PackageError, match="outside', which is not in the package"):
        load(("letters", "1"), place, settings, Metrics())


def test_empty_folder_is_filled_later(exported, tmp_path, pixels, expected):
    with running(tmp_path) as client:
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/models").json() == {"models": []}
        shutil.copytree(exported / "first", tmp_path / "letters")
        until(lambda: same(answer_of(client, pixels), expected["1"]))
        assert client.get("/v2/health/ready").status_code == 200


# Operation


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
        ({"queue": 0}, "queue=0"),
        ({"deadline": 0.0}, "deadline=0.0"),
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
