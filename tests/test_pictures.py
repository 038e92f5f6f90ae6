"""Pictures: what they show, and what they refuse."""

import base64
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from vislearn import pictures

CLASSES = ["cat", "dog", "frog", "toad"]


def images(count=3, side=8, channels=3):
    shape = (count, side, side, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


def scores(*best, classes=4):
    """A row for each class number, which gets 70% of the mass."""
    rows = np.full((len(best), classes), 0.3 / (classes - 1))
    rows[np.arange(len(best)), best] = 0.7
    return rows


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def colours(figure) -> dict[str, str]:
    return {text.get_text(): text.get_color() for axes in figure.axes for text in axes.texts}


def history(epochs=4):
    return [
        {
            "epoch": epoch + 1,
            "accuracy": 0.5 + 0.1 * epoch,
            "loss": 2.0 - 0.3 * epoch,
            "val_accuracy": 0.4 + 0.1 * epoch,
            "val_loss": 2.1 - 0.3 * epoch,
            "learning_rate": 0.1 / (epoch + 1),
            "seconds": 3.0,
        }
        for epoch in range(epochs)
    ]


def test_pictures_load_neither_keras_nor_tensorflow_nor_pyplot():
    code = (
        "import sys, numpy as np; from vislearn import pictures as p;"
        "f = p.prediction_grid(np.zeros((1, 8, 8, 3), 'uint8'), np.eye(2)[:1], ['a', 'b']);"
        "p.to_data_uri(f);"
        "print({'keras', 'tensorflow', 'matplotlib.pyplot'} & set(sys.modules) or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"


def test_grid_tells_right_from_wrong_by_mark_and_colour():
    figure = pictures.prediction_grid(images(), scores(0, 1, 2), CLASSES, labels=[0, 3, None])
    found = colours(figure)
    assert found["✓ cat"] == pictures.RIGHT
    assert found["✗ dog, is toad"] == pictures.WRONG
    assert found["frog"] not in (pictures.RIGHT, pictures.WRONG)
    assert texts(figure).count("70%") == 3


def test_grid_shows_the_likeliest_classes_in_order():
    rows = np.array([[0.1, 0.05, 0.25, 0.6]])
    figure = pictures.prediction_grid(images(1), rows, CLASSES, top=3)
    assert texts(figure) == ["toad", "toad", "60%", "frog", "25%", "cat", "10%"]
    widths = [bar.get_width() for axes in figure.axes for bar in axes.patches]
    assert widths == [0.6, 0.25, 0.1]


def test_grid_without_bars_says_the_score_in_the_headline():
    figure = pictures.prediction_grid(images(1), scores(1), CLASSES, labels=[1], top=0)
    assert texts(figure) == ["✓ dog 70%"]


def test_grid_draws_the_very_pixels():
    """Small images grow without smoothing, grey ones are grey, and sizes may differ."""
    mixed = [images(1, 8)[0], images(1, 8, 1)[0], images(1, 200)[0], images(1, 9)[0, :, :, 0]]
    figure = pictures.prediction_grid(mixed, scores(0, 1, 2, 3), CLASSES)
    shown = [image for axes in figure.axes for image in axes.images]
    for image, artist in zip(mixed, shown, strict=True):
        np.testing.assert_array_equal(np.squeeze(image), np.asarray(artist.get_array()))
    methods = [artist.get_interpolation() for artist in shown]
    assert methods == ["nearest", "nearest", "antialiased", "nearest"]
    assert shown[1].get_cmap().name == "gray"
    assert shown[1].get_clim() == (0, 255)  # not stretched to the darkest and brightest pixel


def test_grid_shortens_long_names_and_takes_dollars_literally(tmp_path):
    long = "an exceedingly long name of a class that fits nowhere"
    figure = pictures.prediction_grid(
        images(2), scores(0, 1), [long, "$5 bill$", "c", "d"], labels=[1, 1], titles=[long, "b.jpg"]
    )
    assert max(map(len, texts(figure))) <= 32
    assert "✓ $5 bill$" in texts(figure)
    pictures.save(figure, tmp_path / "grid.png")


def test_grid_arranges_rows_and_columns():
    figure = pictures.prediction_grid(images(5), scores(*[0] * 5), CLASSES, columns=2, top=0)
    corners = [axes.get_position() for axes in figure.axes if axes.images]
    assert len({round(box.x0, 4) for box in corners}) == 2
    assert len({round(box.y0, 4) for box in corners}) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": []}, "images is empty"),
        ({"scores": scores(0, 1)}, r"scores has the shape \(2, 4\)"),
        ({"classes": CLASSES[:3]}, r"need \(3, 3\)"),
        ({"labels": [0, 1]}, "labels has 2 entries for 3 images"),
        ({"labels": [0, 1, 4]}, "labels holds 4"),
        ({"labels": [0, 1, -1]}, "labels holds -1"),
        ({"titles": ["a"]}, "titles has 1 entries"),
        ({"columns": 0}, "columns=0"),
        ({"top": -1}, "top=-1"),
        ({"images": images().astype("float32")}, "float32; images must be uint8"),
        ({"images": images(channels=4)}, r"\(8, 8, 4\)"),
    ],
)
def test_grid_refuses_what_does_not_fit(change, message):
    arguments = {"images": images(), "scores": scores(0, 1, 2), "classes": CLASSES, **change}
    with pytest.raises(ValueError, match=message):
        pictures.prediction_grid(**arguments)


def test_curves_have_a_panel_a_metric_with_validation_beside():
    figure = pictures.curves(history())
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == ["loss", "accuracy", "learning rate"]
    assert [len(axes.lines) for axes in panels.values()] == [2, 2, 1]
    training, validation = panels["accuracy"].lines
    np.testing.assert_allclose(training.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(training.get_ydata(), [0.5, 0.6, 0.7, 0.8])
    np.testing.assert_allclose(validation.get_ydata(), [0.4, 0.5, 0.6, 0.7])
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "training",
        "validation",
    ]


def test_curves_of_one_epoch_are_visible_points():
    figure = pictures.curves(history(1))
    assert all(line.get_marker() == "o" for axes in figure.axes for line in axes.lines)


def test_curves_without_validation_have_no_legend():
    figure = pictures.curves([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}])
    assert len(figure.axes) == 1
    assert figure.axes[0].get_legend() is None


@pytest.mark.parametrize("rows", [[], [{"epoch": 1, "seconds": 2.0}]])
def test_curves_of_nothing_are_refused(rows):
    with pytest.raises(ValueError, match="history"):
        pictures.curves(rows)


def test_confusion_matrix_shows_shares_of_the_row_and_counts():
    matrix = np.array([[8, 2, 0], [0, 5, 0], [0, 0, 0]])
    figure = pictures.confusion_matrix(matrix, CLASSES[:3])
    shown = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shown, [[0.8, 0.2, 0], [0, 1, 0], [0, 0, 0]])
    assert texts(figure) == ["8", "2", "5"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == CLASSES[:3]


@pytest.mark.parametrize(("count", "named", "numbers"), [(20, 20, True), (100, 100, False)])
def test_confusion_matrix_keeps_names_legible(count, named, numbers):
    figure = pictures.confusion_matrix(np.eye(count, dtype=int), [f"c{i}" for i in range(count)])
    axes = figure.axes[0]
    assert len(axes.get_yticks()) == named
    assert bool(texts(figure)) == numbers
    # A name is no higher than the row that it stands in, and not too small to read.
    size = axes.get_yticklabels()[0].get_size()
    row = axes.get_position().height * figure.get_figheight() * 72 / count
    assert 5 <= size <= row


def test_confusion_matrix_of_many_classes_names_some():
    figure = pictures.confusion_matrix(np.eye(300, dtype=int), [f"c{i}" for i in range(300)])
    assert len(figure.axes[0].get_yticks()) == 100


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"shape \(3, 3\) for 4 classes"),
        (np.zeros((0, 0)), "shape"),
        (-np.eye(4), "negative"),
    ],
)
def test_confusion_matrix_refuses_what_does_not_fit(matrix, message):
    with pytest.raises(ValueError, match=message):
        pictures.confusion_matrix(matrix, CLASSES)


DETECTIONS = (
    np.array([[2, 10, 12, 20], [2, 11, 12, 21.0]]),
    np.array([0, 1]),
    np.array([0.9, 0.4]),
)


def test_detection_grid_tells_right_wrong_and_missing_boxes():
    images = [np.zeros((32, 48, 3), "uint8"), np.zeros((32, 48), "uint8")]
    nothing = (np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    truth = [(np.array([[2, 10, 12, 20]]), [0]), (np.array([[5, 6, 15, 16]]), [1])]
    figure = pictures.detection_grid(
        images, [DETECTIONS, nothing], CLASSES, truth=truth, titles=["one", "two"]
    )
    assert len(figure.axes) == 2
    first, second = figure.axes
    # The surest last, and so on top; boxes lie between pixels, whose middles have whole numbers.
    wrong, right = first.patches
    assert [matplotlib_hex(patch) for patch in (wrong, right)] == [pictures.WRONG, pictures.RIGHT]
    assert (right.get_x(), right.get_y(), right.get_width()) == (1.5, 9.5, 10)
    assert [text.get_text() for text in first.texts] == [f"{CLASSES[1]} 40%", f"{CLASSES[0]} 90%"]
    assert [text.get_text() for text in second.texts] == [CLASSES[1]]
    assert second.patches[0].get_linestyle() not in ("-", "solid")


def matplotlib_hex(patch) -> str:
    from matplotlib.colors import to_hex

    return to_hex(patch.get_edgecolor()).upper()


def test_detection_grid_colours_classes_where_the_truth_is_not_known():
    figure = pictures.detection_grid([np.zeros((32, 48, 3), "uint8")], [DETECTIONS], CLASSES)
    assert len({matplotlib_hex(patch) for patch in figure.axes[0].patches}) == 2


def test_detection_grid_refuses_what_does_not_fit():
    image = np.zeros((32, 48, 3), "uint8")
    boxes, numbers, found = DETECTIONS
    for arguments, options, message in (
        (([], []), {}, "images is empty"),
        (([image], []), {}, "detections has 0 entries for 1"),
        (([image], [DETECTIONS]), {"titles": []}, "titles has 0 entries"),
        (([image], [DETECTIONS]), {"columns": 0}, "columns=0"),
        (([image], [(boxes[:1], numbers, found)]), {}, "for 2 classes"),
        (([image], [(boxes, numbers + 99, found)]), {}, r"holds \[99, 100\]"),
    ):
        with pytest.raises(ValueError, match=message):
            pictures.detection_grid(*arguments, CLASSES, **options)


def test_precision_bars():
    figure = pictures.precision_bars([0.5, np.nan, 0.9], [0.2, np.nan, 0.6], ["a", "b", "c"])
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["c", "a", "b"]
    assert [text.get_text() for text in axes.texts] == ["0.60  0.90", "0.20  0.50", "no object"]
    with pytest.raises(ValueError, match="for 2 classes"):
        pictures.precision_bars([0.5], [0.2], ["a", "b"])


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_save_writes_the_format_of_the_suffix_and_the_same_bytes_again(tmp_path, suffix, start):
    for name in ("a", "b"):
        pictures.save(pictures.curves(history()), tmp_path / (name + suffix))
    first = (tmp_path / f"a{suffix}").read_bytes()
    assert first.startswith(start)
    assert first == (tmp_path / f"b{suffix}").read_bytes()
    if suffix == ".png":
        with Image.open(tmp_path / "a.png") as picture:
            assert min(picture.size) > 200


def test_save_refuses_other_formats_and_makes_folders(tmp_path):
    figure = pictures.curves(history())
    with pytest.raises(ValueError, match=r"must end with one of"):
        pictures.save(figure, tmp_path / "picture.bmp")
    pictures.save(figure, tmp_path / "missing" / "picture.png")
    assert (tmp_path / "missing" / "picture.png").is_file()


def test_data_uri_is_svg_or_for_large_ones_png():
    small = pictures.to_data_uri(pictures.curves(history()))
    header, data = small.split(",")
    assert header == "data:image/svg+xml;base64"
    assert b"<svg" in base64.b64decode(data)
    noise = [np.random.default_rng(1).integers(0, 256, (400, 400, 3), dtype="uint8")] * 4
    large = pictures.to_data_uri(pictures.prediction_grid(noise, scores(0, 1, 2, 3), CLASSES))
    assert large.startswith("data:image/png;base64,")


def test_the_style_of_the_user_is_neither_used_nor_changed():
    import matplotlib

    with matplotlib.rc_context({"font.size": 30.0, "axes.spines.top": True}):
        before = dict(matplotlib.rcParams)
        figure = pictures.curves(history())
        assert dict(matplotlib.rcParams) == before
    assert not figure.axes[0].spines["top"].get_visible()


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0%"),
        (1e-9, "<1%"),
        (0.005, "<1%"),
        (0.006, "1%"),
        (0.994, "99%"),
        (0.995, ">99%"),
        (0.934, "93%"),
        (0.9999, ">99%"),
        (1, "100%"),
    ],
)
def test_percent_says_0_and_100_only_where_it_is_so(share, text):
    assert pictures.percent(share) == text
