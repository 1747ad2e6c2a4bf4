import io
import struct
import zlib

import numpy as np
import pytest
import torch
from few_clip import few_clip
from few_emoji import few_emoji
from PIL import Image

import a3.clip.folder
from a3.clip.folder import encode_folder, find_images, open_image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """A PNG, a JPEG and a WebP image; one of them in a folder below."""
    folder = tmp_path / "images"
    (folder / "below").mkdir(parents=True)
    for number, name in enumerate(["a.png", "b.JPG", "below/c.webp"]):
        image(number).save(folder / name, quality=95)
    (folder / "notes.txt").write_text("not an image")
    return folder


def image(number, size=32):
    return Image.fromarray(few_emoji().images[number, 0].permute(1, 2, 0).numpy()).resize(
        (size, size)
    )


def content(image, format="PNG", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png_of(width, height):
    """A PNG file of a few bytes whose head claims a size."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 1_000))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


def test_images_of_three_kinds_are_found_also_in_folders_below(folder):
    names = [path.name for path in find_images(folder)]
    assert names == ["a.png", "b.JPG", "c.webp"]


def test_a_folder_without_images_or_none_at_all_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ValueError, match=r"has no image: no file ends in .png, .jpg, .jpeg, .webp"):
        find_images(tmp_path)
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="notes.txt is not a folder"):
        find_images(tmp_path / "notes.txt")


def test_an_image_is_what_was_saved():
    assert np.array_equal(np.array(open_image(content(image(0)))), np.array(image(0)))


def test_a_photograph_taken_sideways_is_set_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    wide = image(0).resize((40, 20))
    assert open_image(content(wide, "JPEG", exif=exif)).size == (20, 40)


def test_greys_of_16_bits_are_the_same_greys_in_8():
    greys = np.arange(256, dtype=np.uint16).reshape(16, 16)
    fine = Image.fromarray(257 * greys)
    assert fine.mode == "I;16"
    for opened in (open_image(content(fine)), a3.clip.folder._of_8_bits(fine.convert("I"))):
        assert opened.mode == "L" and np.array_equal(np.asarray(opened), greys)
    seen_through = open_image(content(fine, transparency=257 * 9))
    assert seen_through.mode == "LA"
    assert np.array_equal(np.asarray(seen_through)[..., 1] == 0, greys == 9)


@pytest.mark.parametrize(
    ("bytes_", "reason"),
    [
        (b"", "it is not a PNG, JPEG or WebP image"),
        (b"just a text", "it is not a PNG, JPEG or WebP image"),
        (b"\x89PNG\r\n\x1a\n", "it is not a PNG, JPEG or WebP image"),
        (content(image(0), "GIF"), "it is not a PNG, JPEG or WebP image"),
        (content(image(0))[:-60], "it is cut off or damaged"),
        (content(image(0), "JPEG")[:-200], "it is cut off or damaged"),
        (content(image(0, 1)), "it is 1 x 1 pixels: fewer than 8 a side"),
        (png_of(20_000, 20_000), "it has more than 100,000,000 pixels"),
        (png_of(20_000, 10), "it is 20,000 x 10 pixels: more than 16,384 a side"),
        (png_of(12_000, 12_000), "it is 12,000 x 12,000 pixels: more than .* 100,000,000 in all"),
    ],
    ids=str,
)
def test_what_is_no_image_to_use_is_refused(bytes_, reason):
    with pytest.raises(ValueError, match=reason):
        open_image(bytes_)


def test_a_bomb_is_not_decoded(monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match="pixels"):
        open_image(png_of(16_000, 16_000))


def test_the_rest_of_a_folder_is_encoded(folder):
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:-60])
    (folder / "text.jpeg").write_text("not an image")
    (folder / "dot.png").write_bytes(content(image(0, 1)))
    (folder / "bomb.png").write_bytes(png_of(20_000, 20_000))
    read = encode_folder(few_clip(), find_images(folder), progress=False)
    assert [path.name for path in read.paths] == ["a.png", "b.JPG", "c.webp"]
    assert {path.name: reason.split(":")[0] for path, reason in read.refused.items()} == {
        "cut.png": "it is cut off or damaged",
        "text.jpeg": "it is not a PNG, JPEG or WebP image",
        "dot.png": "it is 1 x 1 pixels",
        "bomb.png": "it has more than 100,000,000 pixels",
    }
    expected = few_clip().encode_image([open_image(path.read_bytes()) for path in read.paths])
    torch.testing.assert_close(read.features, expected)


def test_a_folder_of_which_nothing_can_be_used_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(ValueError, match="none of 1 images can be used: text.png: it is not a PNG"):
        encode_folder(few_clip(), find_images(tmp_path), progress=False)


def test_a_file_that_cannot_be_read_or_is_huge_is_refused(folder, monkeypatch):
    (folder / "gone.png").symlink_to(folder / "nowhere")
    monkeypatch.setattr("a3.clip.folder.GREATEST_FILE", 100)
    paths = [folder / "gone.png", folder / "a.png"]
    (folder / "tiny.png").write_bytes(content(Image.new("1", (8, 8))))
    read = encode_folder(few_clip(), [*paths, folder / "tiny.png"], progress=False)
    assert [path.name for path in read.paths] == ["tiny.png"]
    assert "No such file" in read.refused[paths[0]]
    assert "bytes: more than 100" in read.refused[paths[1]]


class Counted:
    """A CLIP that counts the images it encodes."""

    def __init__(self, clip, images=0):
        self.clip, self.images = clip, images

    def __getattr__(self, name):
        return getattr(self.clip, name)

    def encode_image(self, images):
        self.images += len(images)
        return self.clip.encode_image(images)


def test_features_are_kept_by_content_not_by_name(folder):
    clip = Counted(few_clip())
    first = encode_folder(clip, find_images(folder), progress=False)
    assert clip.images == 3
    (folder / "a.png").rename(folder / "z.png")
    (folder / "copy.png").write_bytes((folder / "z.png").read_bytes())
    again = encode_folder(clip, find_images(folder), progress=False)
    assert clip.images == 3 and len(again.paths) == 4
    by_name = dict(zip((path.name for path in again.paths), again.features, strict=True))
    assert torch.equal(by_name["z.png"], first.features[0])
    assert torch.equal(by_name["copy.png"], first.features[0])
    image(7).save(folder / "z.png")
    encode_folder(clip, find_images(folder), progress=False)
    assert clip.images == 4


def test_another_model_has_features_of_its_own(folder):
    clip, other = Counted(few_clip()), Counted(few_clip(steps=31))
    paths = find_images(folder)
    first, second = (encode_folder(c, paths, progress=False).features for c in (clip, other))
    assert other.images == 3 and not torch.allclose(first, second)


def test_features_of_files_that_were_read_otherwise_are_not_served(folder, monkeypatch):
    clip = Counted(few_clip())
    for reading in ("1", "2", "1"):
        monkeypatch.setattr("a3.clip.folder._READING", reading)
        encode_folder(clip, find_images(folder), progress=False)
    assert clip.images == 6


def test_what_was_encoded_before_an_interruption_is_kept(folder, monkeypatch):
    clip = Counted(few_clip())
    monkeypatch.setattr("a3.clip.folder._BATCH", 1)
    read, left = a3.clip.folder._read, [2]

    def unplugged(path):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return read(path)

    with monkeypatch.context() as patched:
        patched.setattr("a3.clip.folder._read", unplugged)
        with pytest.raises(KeyboardInterrupt):
            encode_folder(clip, find_images(folder), progress=False)
    assert clip.images == 2
    encode_folder(clip, find_images(folder), progress=False)
    assert clip.images == 3


def test_kept_features_that_are_damaged_are_made_again(folder, cache):
    first = encode_folder(few_clip(), find_images(folder), progress=False)
    (file,) = cache.glob("images-*.pt")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.warns(RuntimeWarning, match="it is made again"):
        again = encode_folder(few_clip(), find_images(folder), progress=False)
    torch.testing.assert_close(again.features, first.features)


def test_a_cache_that_cannot_be_written_is_no_obstacle(folder, cache, monkeypatch):
    cache.write_text("in the way")
    with pytest.warns(RuntimeWarning, match="cannot write"):
        assert len(encode_folder(few_clip(), find_images(folder), progress=False).paths) == 3


def test_large_photographs_wait_at_a_smaller_size(folder):
    large = Image.new("RGB", (4_000, 3_000), "red")
    assert min(a3.clip.folder._smaller(large, 32).size) in range(128, 256)
    assert a3.clip.folder._smaller(image(0), 32).size == (32, 32)
