import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from recpipe import delta
from recpipe.arriving import SealedFile, arriving_files, sealed_files
from recpipe.cli import app
from recpipe.errors import UserError
from recpipe.images import file_name, format_of, item_of, land_pictures
from recpipe.tables import ARRIVALS, MAX_INT, PICTURE_FORMATS
from tests.lakes import empty_lake
from tests.pictures import gif, png
from tests.raw_lines import landed, review_2023
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival


def put(landing, day, **pictures):
    folder = landing / "images" / f"arrived_on={day}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pictures.items():
        (folder / f"{name}.png").write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("item_id", "name"),
    [
        ("B00A", "B00A.jpg"),
        ("a/b:c", "a%2Fb%3Ac.jpg"),
        ("_1", "%5F1.jpg"),
        ("..", "%2E..jpg"),
        ("100%", "100%25.jpg"),
        ("Tasse 茶", "Tasse 茶.jpg"),
        ("", None),
        ("x" * 256, None),
        ("茶" * 90, None),
        ("a\nb", None),
    ],
)
def test_an_item_names_its_picture(item_id, name):
    assert file_name(item_id, "jpeg") == name


@given(st.text(max_size=60), st.sampled_from(PICTURE_FORMATS))
def test_a_name_that_an_item_gives_leads_back_to_it(item_id, format_):
    name = file_name(item_id, format_)
    if name is not None:
        assert item_of(name) == (item_id.strip(" ") or None)
        assert name[0] not in "_."
        assert "/" not in name


@given(st.text(max_size=20))
def test_any_name_tells_an_item_or_none(name):
    item_of(name)


@pytest.mark.parametrize("name", ["I1", "I1.bmp", ".png", "I1.png.txt", "%0A.png", "%FF.png", "%20.png"])
def test_a_name_without_an_item_or_an_extension_tells_none(name):
    assert item_of(name) is None


@pytest.mark.parametrize(
    ("start", "format_"),
    [
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (png(), "png"),
        (gif(), "gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"<svg xmlns=", None),
        (b"", None),
    ],
)
def test_a_format_is_told_by_the_first_bytes(start, format_):
    assert format_of(start) == format_


def test_pictures_land_whole_and_once(tmp_path):
    files = [tmp_path / "I1.png", tmp_path / "I2.GIF"]
    for file, content in zip(files, (png(), gif()), strict=True):
        file.write_bytes(content)
    landing = tmp_path / "landing"
    assert land_pictures(files[:1], landing, MONDAY, None, MAX_INT) == "1 pictures on 2024-01-01"
    assert land_pictures(files, landing, MONDAY, None, MAX_INT) == (
        "2 pictures on 2024-01-01; 1 of them had landed before"
    )
    folder = landing / "images" / "arrived_on=2024-01-01"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"I1.png": png(), "I2.GIF": gif()}
    files[0].write_bytes(png(3))
    with pytest.raises(UserError, match=r"expected no other file at .*I1\.png, found one"):
        land_pictures(files, landing, MONDAY, None, MAX_INT)
    empty_lake(tmp_path / "lake")
    delta.append(tmp_path / "lake", ARRIVALS, [arrival()])
    with pytest.raises(UserError, match="expected a day after 2024-01-01"):
        land_pictures(files, landing, MONDAY, tmp_path / "lake", MAX_INT)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("I1.png", b"<html>", "expected a picture .* found b'<html>' at its start"),
        ("I1.txt", png(), "expected an item id and one of jpg, png, webp, gif as the name"),
        (
            "I1.png",
            png() + b"x" * 500,
            "expected at most 500 bytes in .*; shrink it or raise RECPIPE_IMAGES__MAX_BYTES",
        ),
        ("_I1.png", png(), "expected a printable file name not starting with _"),
    ],
)
def test_what_is_no_picture_does_not_land(tmp_path, name, content, message):
    good, bad = tmp_path / "I2.png", tmp_path / name
    good.write_bytes(png())
    bad.write_bytes(content)
    with pytest.raises(UserError, match=message):
        land_pictures([good, bad], tmp_path / "landing", MONDAY, None, 500)
    assert not (tmp_path / "landing" / "images").exists()


def test_the_command_lands_pictures_of_a_day(tmp_path, monkeypatch):
    monkeypatch.setenv("RECPIPE_HOME", str(tmp_path))
    empty_lake(tmp_path / "lake")
    (tmp_path / "I1.png").write_bytes(png())
    command = ["land", str(tmp_path / "I1.png"), "--format", "images"]
    done = CliRunner().invoke(app, [*command, "--arrived-on", "2024-01-01"])
    assert (done.exit_code, done.output) == (0, "1 pictures on 2024-01-01\n")
    done = CliRunner().invoke(app, [*command, "--replay-from", "2024-01-01"])
    assert "expected --arrived-on DAY for pictures" in str(done.exception)


def test_the_pictures_of_a_day_arrive_as_one_entry(tmp_path):
    put(tmp_path, MONDAY, I2=png(), I1=png(3))
    landed(tmp_path, "reviews", "2024-01-02", "r.json", review_2023())
    arriving = arriving_files(tmp_path, set(), TUESDAY)
    [pictures] = arriving.files_of("images")
    assert (pictures.arrived_on, pictures.file, pictures.pictures) == (MONDAY, "images", ("I1.png", "I2.png"))
    assert (arriving.first, arriving.days_without_files()) == (MONDAY, [])
    put(tmp_path, MONDAY, I2=png(shade=1))
    [changed] = arriving_files(tmp_path, set(), TUESDAY).files_of("images")
    assert changed.sha256 != pictures.sha256


def test_pictures_that_show_up_in_a_sealed_day_are_not_read(tmp_path):
    put(tmp_path, MONDAY, I1=png(), I2=png())
    late = put(tmp_path, TUESDAY, I1=png(), I2=png(), I3=png())
    put(tmp_path, WEDNESDAY, I1=png())
    sealed = {SealedFile(day, "images", "images", pictures=2) for day in (MONDAY, TUESDAY)}
    arriving = arriving_files(tmp_path, sealed, WEDNESDAY)
    assert (arriving.not_read, [file.arrived_on for file in arriving.files]) == ([late], [WEDNESDAY])


def test_a_seal_tells_how_many_pictures_it_stands_for(tmp_path):
    empty_lake(tmp_path)
    delta.append(tmp_path, ARRIVALS, [arrival(), arrival(kind="images", file="images", format="", lines_read=3)])
    assert sealed_files(tmp_path) == {
        SealedFile(MONDAY, "reviews", "a.json", "0", format="amazon-2023"),
        SealedFile(MONDAY, "images", "images", "0", pictures=3),
    }
