"""The HTTP server: its protocols, and the pictures that it takes and gives."""

import io

import numpy as np
import pytest
from PIL import Image
from serving import CLASSES, picture, scores, text
from vislearn_serve import images
from vislearn_serve.memory import Memory, Share
from vislearn_serve.packages import Model
from vislearn_serve.tensors import from_base64

import vislearn
from vislearn.pictures import to_png
from vislearn.tasks import Detection, SemanticSegmentation

pytestmark = pytest.mark.tensorflow  # which exports the packages


# TensorFlow Serving


def test_predict_by_row_and_by_column(client, pixels, expected):
    rows = [{"image": image} for image in pixels.tolist()]
    named = client.post("/v1/models/letters:predict", json={"instances": rows})
    bare = client.post("/v1/models/letters:predict", json={"instances": pixels.tolist()})
    column = client.post(
        "/v1/models/letters/versions/1:predict", json={"inputs": {"image": pixels.tolist()}}
    )
    np.testing.assert_allclose(
        scores(named.json()["predictions"]), expected["2"]["scores"], atol=1e-6
    )
    assert named.json()["predictions"][0]["class_id"] == expected["2"]["class_id"][0]
    assert named.json() == bare.json()
    found = column.json()["outputs"]
    np.testing.assert_allclose(found["scores"], expected["1"]["scores"], atol=1e-6)
    assert found["class_id"] == expected["1"]["class_id"].tolist()


@pytest.mark.parametrize("wrapped", [True, False])
def test_pictures_in_base64(client, pixels, expected, wrapped):
    values = [{"b64": text(picture(image))} for image in pixels]
    rows = [{"image": value} for value in values] if wrapped else values
    found = client.post("/v1/models/letters:predict", json={"instances": rows})
    np.testing.assert_allclose(
        scores(found.json()["predictions"]), expected["2"]["scores"], atol=1e-6
    )


def test_classify(client, pixels, expected):
    found = client.post(
        "/v1/models/letters:classify", json={"examples": [{"image": pixels[0].tolist()}]}
    )
    (result,) = found.json()["result"]
    assert [label for label, _ in result] == [
        CLASSES[number] for number in np.argsort(-expected["2"]["scores"][0])
    ]
    assert result[0][1] == pytest.approx(expected["2"]["scores"][0].max(), abs=1e-6)


def test_status_and_metadata(client):
    states = client.get("/v1/models/letters").json()["model_version_status"]
    assert [(state["version"], state["state"]) for state in states] == [
        ("2", "AVAILABLE"),
        ("1", "AVAILABLE"),
    ]
    assert client.get("/v1/models/letters/versions/1").json()["model_version_status"] == [states[1]]
    found = client.get("/v1/models/letters/versions/1/metadata").json()
    assert found["model_spec"]["version"] == "1"
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["image"]["dtype"] == "DT_UINT8"
    sizes = [dim["size"] for dim in signature["inputs"]["image"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "8", "8", "1"]


@pytest.mark.parametrize("verb", ["predict", "classify"])
def test_signatures_by_name(client, pixels, verb):
    rows = [{"image": pixels[0].tolist()}]
    key = "instances" if verb == "predict" else "examples"
    path = f"/v1/models/letters:{verb}"
    plain = client.post(path, json={key: rows})
    assert plain.status_code == 200
    for name in ("", "serving_default", "classify"):
        found = client.post(path, json={key: rows, "signature_name": name})
        assert found.json() == plain.json()
    found = client.post(path, json={key: rows, "signature_name": "detect"})
    assert found.status_code == 400 and "'detect' must be one of" in found.json()["error"]
    known = client.get("/v1/models/letters/metadata").json()["metadata"]["signature_def"]
    assert {*known["signature_def"]} == {"serving_default", "classify"}


def test_context_is_what_all_examples_share(client, pixels):
    path, image = "/v1/models/letters:classify", pixels[0].tolist()
    plain = client.post(path, json={"examples": [{"image": image}] * 2}).json()
    shared = client.post(path, json={"context": {"image": image}, "examples": [{}, {}]}).json()
    assert shared == plain
    for context, examples, reason in (
        ({"colour": 1}, [{"image": image}], "context must be an object of inputs"),
        ([], [{"image": image}], "context must be an object of inputs"),
        ({"image": image}, [{"image": image}], "Example 0 must be an object without"),
        ({"image": image}, [image], "Example 0 must be an object without"),
    ):
        found = client.post(path, json={"context": context, "examples": examples})
        assert found.status_code == 400 and reason in found.json()["error"]


def test_the_stable_version_is_the_newest(client, pixels, expected):
    found = client.post(
        "/v1/models/letters/labels/stable:predict", json={"instances": pixels.tolist()}
    )
    np.testing.assert_allclose(
        scores(found.json()["predictions"]), expected["2"]["scores"], atol=1e-6
    )
    (state,) = client.get("/v1/models/letters/labels/stable").json()["model_version_status"]
    assert state["version"] == "2"
    spec = client.get("/v1/models/letters/labels/stable/metadata").json()["model_spec"]
    assert spec["version"] == "2"
    for path in ("/v1/models/letters/labels/canary", "/v1/models/nothing/labels/stable"):
        found = client.get(path)
        assert found.status_code == 404 and found.json()["error"]


# Open Inference Protocol


def test_infer_in_json(client, pixels, expected):
    question = {"name": "image", "shape": [5, 8, 8, 1], "datatype": "UINT8"}
    for data in (pixels.ravel().tolist(), pixels.tolist()):
        body = {"id": "seven", "inputs": [{**question, "data": data}]}
        found = client.post("/v2/models/letters/versions/1/infer", json=body).json()
        assert (found["id"], found["model_name"], found["model_version"]) == (
            "seven",
            "letters",
            "1",
        )
        outputs = {output["name"]: output for output in found["outputs"]}
        assert outputs["scores"]["datatype"] == "FP32" and outputs["scores"]["shape"] == [5, 5]
        np.testing.assert_allclose(
            outputs["scores"]["data"], expected["1"]["scores"].ravel(), atol=1e-6
        )
        assert outputs["class_id"]["data"] == expected["1"]["class_id"].tolist()


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_works_unchanged(client, pixels, expected, binary):
    from tritonclient import http

    triton = http.InferenceServerClient(f"127.0.0.1:{client.port}")
    assert triton.is_server_live() and triton.is_server_ready()
    assert triton.is_model_ready("letters", "1") and not triton.is_model_ready("letters", "3")
    assert triton.get_model_metadata("letters")["versions"] == ["2", "1"]
    assert triton.get_model_config("letters")["input"][0]["dims"] == [8, 8, 1]
    index = triton.get_model_repository_index()
    assert {(row["name"], row["version"], row["state"]) for row in index} == {
        ("letters", "1", "READY"),
        ("letters", "2", "READY"),
        ("maker", "1", "READY"),
    }
    image = http.InferInput("image", pixels.shape, "UINT8")
    image.set_data_from_numpy(pixels, binary_data=binary)
    wanted = [
        http.InferRequestedOutput("class_id", binary_data=not binary),
        http.InferRequestedOutput("scores", binary_data=binary),
    ]
    found = triton.infer("letters", [image], outputs=wanted, request_id="8")
    np.testing.assert_array_equal(found.as_numpy("class_id"), expected["2"]["class_id"])
    np.testing.assert_allclose(found.as_numpy("scores"), expected["2"]["scores"], atol=1e-6)
    packed = triton.infer("letters", [image], request_compression_algorithm="gzip")
    np.testing.assert_array_equal(packed.as_numpy("class_id"), expected["2"]["class_id"])
    files = http.InferInput("image", [5], "BYTES")
    files.set_data_from_numpy(np.array([picture(image) for image in pixels], object))
    found = triton.infer("letters", [files], model_version="1")
    np.testing.assert_array_equal(found.as_numpy("class_id"), expected["1"]["class_id"])
    with pytest.raises(Exception, match="there are \\['letters', 'maker'\\]"):
        triton.infer("nothing", [image])


# Pictures


def test_uploads_of_every_kind_answer_alike(client, pixels, expected):
    file = picture(pixels[0])
    asked = [
        {"content": file},
        {"files": [("image", ("a.png", file))]},
        {"json": {"image": text(file)}},
        {"json": {"images": [f"data:image/png;base64,{text(file)}"]}},
    ]
    for question in asked:
        found = client.post("/answer/letters/versions/1?top=2", **question).json()
        (answer,) = found["answers"]
        assert answer["label"] == CLASSES[expected["1"]["class_id"][0]]
        assert answer["score"] == pytest.approx(expected["1"]["scores"][0].max(), abs=1e-6)
        assert len(answer["top"]) == 2


def test_every_file_of_a_form_is_answered(client, pixels):
    names = ("x (3)", "x", "x")
    files = [("image", (name, picture(pixels[i]))) for i, name in enumerate(names)]
    answers = client.post("/answer/letters", files=files).json()["answers"]
    assert [answer["file"] for answer in answers] == [*names]


def test_pictures_of_any_size_are_fitted_as_training_did(client, exported, tmp_path):
    photo = np.random.default_rng(1).integers(0, 256, (30, 50, 3), np.uint8)
    (tmp_path / "photo.png").write_bytes(picture(photo))
    predictor = vislearn.load_predictor(exported / "second")
    (expected,) = predictor.predict_files([tmp_path / "photo.png"])
    found = client.post("/answer/letters", content=picture(photo)).json()["answers"][0]
    assert found["score"] == pytest.approx(expected.top(1)[0][1], abs=1e-6)


def test_answer_as_a_picture(client, pixels):
    files = [("image", (name, picture(pixels[0]))) for name in ("a.png", "a.png")]
    found = client.post("/answer/letters", files=files, headers={"Accept": "image/png"})
    assert found.headers["content-type"] == "image/png"
    one = client.post("/answer/letters?picture=true", files=files[:1]).json()["picture"]
    assert one.startswith("data:image/svg+xml;base64,")
    drawn = Image.open(io.BytesIO(found.content))
    assert drawn.width > drawn.height  # two side by side


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("IMAGE/PNG", "image/png"),
        ("image/*", "image/png"),
        ("image/webp, image/*;q=0.8", "image/png"),
        ("application/json;q=0.5, image/png ; q=0.1", "image/png"),
        ("image/png;q=0", "application/json"),
        ("image/*, image/png; q=0.00", "application/json"),
        ("*/*", "application/json"),
        ("text/image/png", "application/json"),
    ],
)
def test_what_asks_for_a_picture(client, pixels, accept, media):
    found = client.post("/answer/letters", content=picture(pixels[0]), headers={"Accept": accept})
    assert found.headers["content-type"] == media


def test_generate(client):
    drawn = [client.post(f"/generate/maker?count=4&seed={seed}") for seed in (0, 0, 1)]
    assert Image.open(io.BytesIO(drawn[0].content)).width > 100
    assert drawn[0].content == drawn[1].content != drawn[2].content
    refused = client.post("/generate/maker?label=cat")
    assert refused.status_code == 400 and "knows no classes" in refused.json()["error"]


def model_of(task, outputs, size, resize) -> Model:
    """A model that is described but can't be run."""
    inputs = [{"name": "image", "shape": [None, *size], "dtype": "uint8", "resize": resize}]
    manifest = {
        "task": task.name,
        "family": task.family,
        "task_options": {},
        "classes": list(task.classes),
        "inputs": inputs,
        "outputs": outputs,
        "shows": None,
    }
    return Model(("any", "1"), manifest)


def test_boxes_are_in_the_pixels_of_the_picture_that_was_sent():
    outputs = [{"name": "boxes", "shape": [None, 2, 4], "dtype": "float32"}]
    model = model_of(Detection(("cat", "dog"), "retinanet"), outputs, (32, 32, 3), "stretch")
    answers = {
        "boxes": np.array([[[4, 8, 16, 40], [0, 0, 1, 1]]], np.float32),
        "scores": np.array([[0.9, 0.0]], np.float32),
        "classes": np.array([[1, 0]], np.int32),
        "count": np.array([1], np.int32),
    }
    (record,) = images.records(model, [(64, 320)], answers, top=None)
    assert record["objects"] == [
        {"label": "dog", "score": pytest.approx(0.9), "box": [40.0, 16.0, 160.0, 64.0]}
    ]
    photo = np.zeros((64, 320, 3), np.uint8)
    pictures = images.Pictures(np.zeros((1, 32, 32, 3), np.uint8), [(64, 320)], [photo])
    drawn = images.draw(model, pictures, answers, ["a"], to_png, Share(Memory(10**8)))
    assert Image.open(io.BytesIO(drawn)).width > 100


def test_masks_come_as_grey_pictures_of_class_numbers():
    model = model_of(SemanticSegmentation(("background", "cat")), [], (4, 4, 3), "crop")
    mask = np.zeros((1, 4, 4), np.int32)
    mask[0, :2] = 1
    answers = {"mask": mask, "confidence": np.full((1, 4, 4), 0.75, np.float32)}
    (record,) = images.records(model, [(8, 8)], answers, top=5)
    assert record["shares"] == {"background": 0.5, "cat": 0.5}
    found = np.asarray(Image.open(io.BytesIO(from_base64(record["mask"]))))
    np.testing.assert_array_equal(found, mask[0])
    pictures = images.Pictures(np.zeros((1, 4, 4, 3), np.uint8), [(8, 8)])
    drawn = images.draw(model, pictures, answers, ["a"], to_png, Share(Memory(10**8)))
    assert Image.open(io.BytesIO(drawn)).width > 100
