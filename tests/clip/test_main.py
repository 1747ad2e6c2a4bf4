import re
import subprocess
import sys

import pytest
from few_clip import few_clip
from few_emoji import few_emoji
from PIL import Image

from a3.clip.__main__ import contact_sheet, main, rank_images


@pytest.fixture(autouse=True)
def with_the_few(monkeypatch, tmp_path):
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("a3.clip.__main__.load_model", lambda *_: few_clip())


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    emoji = few_emoji()
    for concept, pixels in list(zip(emoji.concepts, emoji.images[:, 1], strict=True))[:6]:
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{concept.name}.png")
    return folder


def test_all_images_are_ranked_the_most_alike_first(folder):
    ranking, refused = rank_images(few_clip(), "a red disc", folder, progress=False)
    values = [value for _, value in ranking]
    assert len(ranking) == 6 and not refused
    assert values == sorted(values, reverse=True) and -1 <= values[-1] <= values[0] <= 1


def test_a_damaged_file_is_named_and_the_rest_is_ranked(folder, capsys, tmp_path):
    (folder / "broken.png").write_bytes(b"\x89PNG")
    sheet = tmp_path / "sheet.png"
    arguments = ["a red disc", "--images", str(folder), "--sheet", str(sheet), "--top", "3"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "6 images by small CLIP (seed 0), the most like 'a red disc' first:" in out
    assert len([line for line in out.splitlines() if line.endswith(".png")]) == 3
    assert f"left out {folder / 'broken.png'}: it is not a PNG, JPEG or WebP image" in err
    with Image.open(sheet) as drawn:
        assert drawn.format == "PNG" and drawn.size == (3 * 160, 186)


def test_the_contact_sheet_shows_the_images(folder, tmp_path):
    ranking, _ = rank_images(few_clip(), "a red disc", folder, progress=False)
    contact_sheet(ranking, tmp_path / "sheet.png", columns=4)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (640, 2 * 186)
        tile = sheet.crop((10, 10, 150, 150))
    with Image.open(ranking[0][0]) as image:
        colours = {pixel for _, pixel in image.convert("RGB").getcolors()}
    assert colours <= {pixel for _, pixel in tile.getcolors(100_000)}
    with pytest.raises(ValueError, match="expected images to show, got none"):
        contact_sheet([], tmp_path / "none.png")


def said(capsys):
    """Lines of standard error, without those of the progress bar."""
    lines = re.split(r"[\r\n]", capsys.readouterr().err)
    return [line for line in lines if line.strip() and not line.startswith("images:")]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["", "--images", "{}"], "error: a caption is empty"),
        (["giraffe", "--images", "{}"], "error: the small CLIP knows no word of .*'giraffe'"),
        (["a red disc", "--images", "{}/nowhere"], "nowhere is not a folder"),
        (["a red disc", "--images", "{}", "--sheet", "{}/no/sheet.png"], "error: .*No such file"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said_in_one_line(folder, capsys, arguments, reason):
    assert main([argument.replace("{}", str(folder)) for argument in arguments]) == 2
    (line,) = said(capsys)
    assert re.search(reason, line)


def test_notes_are_lines_not_warnings(folder, capsys, tmp_path):
    arguments = ["a red giraffe", "--images", str(folder), "--sheet", str(tmp_path / "s.png")]
    assert main(arguments) == 0
    assert said(capsys) == ["note: unknown words, left out: 'giraffe' of 'a red giraffe'"]


def test_options_that_make_no_sense_are_refused(folder, capsys):
    with pytest.raises(SystemExit):
        main(["a red disc", "--images", str(folder), "--top", "0"])
    assert "--top must be at least 1, got 0" in capsys.readouterr().err


def test_the_command_runs_as_a_module(tmp_path):
    command = [sys.executable, "-m", "a3.clip", "fish", "--images", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "is not a folder" in done.stderr
    assert "Traceback" not in done.stderr and "RuntimeWarning" not in done.stderr
