"""The report of a run: that it says what was measured, and opens without a network."""

import base64
import html.parser
import io
import re

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from vislearn.training.fitting import train
from vislearn.training.report import _wilson, write_report

DIGITS = [f"digit {number}" for number in range(10)]


class Page(html.parser.HTMLParser):
    """Checks that tags close in order, and collects tags, attributes and the text of sections."""

    VOID = ("meta", "img", "link", "br", "hr", "input")

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.sections, self.heading = [], [], {}, None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if self.heading and tag in ("td", "th"):
            self.sections[self.heading] += " "

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h1", "h2"):
            self.heading = data
        self.sections[self.heading] = self.sections.get(self.heading, "") + data

    def text(self, heading: str) -> str:
        return " ".join(self.sections[heading].split())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def history(epochs=3):
    return [
        {"epoch": n + 1, "loss": 2.0 / (n + 1), "val_loss": 2.1 / (n + 1), "accuracy": 0.5 + n / 10}
        for n in range(epochs)
    ]


def arguments(class_count=3, count=12, side=8, mistakes=2, **changes):
    """A report's worth of made-up data; the first images are the ones misread."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % class_count
    predicted = labels.copy()
    predicted[:mistakes] = (predicted[:mistakes] + 1) % class_count
    scores = np.full((count, class_count), 0.2 / class_count)
    scores[np.arange(count), predicted] += 0.8
    return {
        "title": "lenet5 on digits",
        "facts": {"Model": "lenet5", "Seed": "7"},
        "history": history(),
        "classes": [f"class {number}" for number in range(class_count)],
        "labels": labels,
        "scores": scores,
        "images": rng.integers(0, 256, (count, side, side, 3), dtype="uint8"),
        "metrics": {"accuracy": float(np.mean(predicted == labels))},
        "notes": [],
        **changes,
    }


def written(tmp_path, **values) -> Page:
    path = tmp_path / "report.html"
    write_report(path, **values)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def digits():
    """A real classifier's answers to held-out digits."""
    data = load_digits()
    images = (data.images * 255 / 16).round().astype("uint8")[..., None]
    flat = images.reshape(len(images), -1)
    model = LogisticRegression(C=1e-6, max_iter=1000).fit(flat[:1200], data.target[:1200])
    return images[1200:], data.target[1200:], model.predict_proba(flat[1200:])


def test_report_of_a_real_classifier(tmp_path, digits):
    images, labels, scores = digits
    accuracy = float(np.mean(scores.argmax(axis=1) == labels))
    assert 0.8 < accuracy < 1
    wrong = int(np.sum(scores.argmax(axis=1) != labels))
    page = written(
        tmp_path,
        **arguments(
            class_count=10,
            images=images,
            labels=labels,
            scores=scores,
            metrics={"accuracy": accuracy, "top5_accuracy": 0.98765, "loss": 0.12345},
            notes=["Skipped a.jpg: truncated"],
        ),
    )
    top = page.text("lenet5 on digits")
    assert f"accuracy {100 * accuracy:.2f}%" in top
    assert "98.77%" in top
    assert "0.1235" in top
    assert f"mistakes {wrong} of {len(labels)}" in top
    assert "Model lenet5 Seed 7" in top
    assert f"16 of {wrong}, the surest first" in page.text("Most confident mistakes")
    assert page.text("Notes") == "Notes Skipped a.jpg: truncated"
    assert len(page.all("img")) == 2 + 16 + 16


def test_surest_mistakes_come_first_with_their_true_class(tmp_path):
    values = arguments(class_count=3, count=9, mistakes=3)
    values["scores"][1] = [0.0, 0.01, 0.99]  # image 1, of class 1, is taken for class 2
    page = written(tmp_path, **values)
    numbers = re.findall(r"Image (\d+)", " ".join(image["alt"] for image in page.all("img")[2:5]))
    assert numbers == ["1", "0", "2"]
    assert "✗ class 2 is class 1" in page.text("Most confident mistakes")


def test_class_table_has_the_textbook_figures(tmp_path):
    labels = np.array([0, 0, 0, 1, 1, 3])
    predicted = np.array([0, 0, 1, 1, 0, 3])
    values = arguments(class_count=4, count=6, labels=labels, scores=np.eye(4)[predicted])
    text = written(tmp_path, **values).text("Classes")
    # class 0: precision 2/3, recall 2/3; class 1: 1/2, 1/2; class 2 has no image and no answer.
    assert "class 0 0.667 0.667 0.667 3" in text
    assert "class 1 0.500 0.500 0.500 2" in text
    assert "class 2 – – – 0" in text  # noqa: RUF001
    assert "class 3 1.000 1.000 1.000 1" in text
    pairs = written(tmp_path, **values).text("Confusions")
    assert "class 0 class 1 1 33% class 1 class 0 1 50%" in pairs


@pytest.mark.parametrize(
    ("classes", "mistakes", "epochs"),
    [(2, 0, 1), (2, 3, 3), (100, 3, 1), (101, 0, 3), (1000, 3, 1)],
)
def test_any_number_of_classes_mistakes_and_epochs(tmp_path, classes, mistakes, epochs):
    values = arguments(classes, count=20, mistakes=mistakes, history=history(epochs))
    page = written(tmp_path, **values)
    matrices = [image for image in page.all("img") if "Confusion matrix" in image["alt"]]
    assert len(matrices) == (classes <= 100)
    nothing = "None: all 20 images were recognised."
    assert (nothing in page.text("Most confident mistakes")) == (mistakes == 0)
    assert len(page.all("details")) == (classes > 30)
    rows = [row for row in page.all("th") if row.get("scope") == "row"]
    assert len(rows) >= classes


def test_page_asks_for_nothing_and_runs_nothing(tmp_path):
    page = written(tmp_path, **arguments())
    path = tmp_path / "report.html"
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset"):
                assert value.startswith("data:image/")
    assert not re.search(r"url\(|@import|https?://", path.read_text(encoding="utf-8"))
    policies = [meta for meta in page.all("meta") if "http-equiv" in meta]
    assert policies[0]["content"].startswith("default-src 'none'")


def test_names_from_outside_are_text_and_never_markup(tmp_path):
    evil = "<script>alert(1)</script>\"' onerror=x $a$ & é"
    values = arguments(
        title=evil, classes=[evil, evil + "2", "dog"], facts={evil: evil}, notes=[evil]
    )
    page = written(tmp_path, **values)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert page.text("Notes") == f"Notes {evil}"


def test_page_is_accessible(tmp_path):
    page = written(tmp_path, **arguments())
    assert page.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in page.all("img"))
    assert all("scope" in header for header in page.all("th"))
    curves = page.all("img")[0]["alt"]
    assert "over 3 epochs" in curves
    assert "loss from 2 to 0.6667" in curves
    css = (tmp_path / "report.html").read_text(encoding="utf-8")
    for query in ("prefers-color-scheme: dark", "@media print", "width=device-width"):
        assert query in css


@pytest.mark.parametrize("channels", [1, 3])
def test_small_images_are_embedded_pixel_for_pixel(tmp_path, channels):
    values = arguments(mistakes=0)
    values["images"] = values["images"][..., :channels]
    page = written(tmp_path, **values)
    for attributes in page.all("img")[2:]:
        number = int(re.search(r"Image (\d+)", attributes["alt"])[1])
        data = base64.b64decode(attributes["src"].split(",")[1])
        with Image.open(io.BytesIO(data)) as picture:
            shown = np.asarray(picture).reshape(8, 8, channels)
        np.testing.assert_array_equal(shown, values["images"][number])


def test_large_images_are_shrunk(tmp_path):
    values = arguments(count=4, side=300)
    page = written(tmp_path, **values)
    for attributes in page.all("img")[2:]:
        data = base64.b64decode(attributes["src"].split(",")[1])
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.size == (160, 160)


def bad_scores():
    scores = arguments()["scores"]
    scores[5, 1] = np.nan
    return scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"history": []}, "history is empty"),
        ({"classes": ["one"]}, "at least two"),
        ({"labels": np.zeros(0, int)}, "at least one integer"),
        ({"labels": np.zeros(12)}, "type float64"),
        ({"labels": np.full(12, 3)}, "labels holds 3 to 3, and the classes are 0 to 2"),
        ({"labels": np.full(12, -1)}, "labels holds -1"),
        ({"scores": np.zeros((12, 4))}, r"need \(12, 3\)"),
        ({"scores": bad_scores()}, "scores of image 5 are not all finite"),
        ({"images": np.zeros((12, 8, 8, 3))}, "float64; it must be uint8"),
        ({"images": np.zeros((12, 8, 8), "uint8")}, r"\(12, 8, 8\)"),
        ({"images": np.zeros((11, 8, 8, 3), "uint8")}, "11 images for 12 labels"),
        ({"metrics": {"accuracy": float("nan")}}, r"metrics\['accuracy'\]=nan"),
    ],
)
def test_unfit_arguments_are_refused_and_leave_no_file(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "report.html", **arguments(**change))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_report_before(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(ValueError, match="history"):
        write_report(path, **arguments(history=[]))
    assert path.read_text() == "before"


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    # Published examples: 81 of 263 (Newcombe 1998, table I, method 3), 0 of 20, and 15 of 148.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_interval_is_wilsons(right, count, low, high):
    assert _wilson(right / count, count) == pytest.approx((low, high), abs=5e-5)


def test_a_run_without_images_to_hold_out_ends_with_a_report(tmp_path):
    """One image a class: all of them train, and nothing is measured."""
    for number, name in enumerate("abc"):
        path = tmp_path / "photos" / name / "1.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full((8, 8, 3), 80 * number, np.uint8)).save(path)
    run = train("mlp", data=tmp_path / "photos", out=tmp_path / "run", epochs=1, quiet=True)
    assert run.metrics() == {}
    assert (run.folder / "report.html").is_file()
