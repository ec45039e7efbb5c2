"""Lists of labels as people write them: CSV with and without a header, tabs, JSON lines, one-hot columns."""

from collections.abc import Mapping, Sequence

import pytest

from attention.data.intake.label_lists import Listing, is_list, read_list

PHOTOS = ["images/a1.jpg", "images/b2.jpg", "images/c3.jpg"]
PLAIN = {"images/a1.jpg": "cat", "images/b2.jpg": "dog", "images/c3.jpg": "cat"}

LISTS = {
    "header": ("labels.csv", "filename,label\na1.jpg,cat\nb2.jpg,dog\nc3.jpg,cat\n"),
    "ids without ending": ("train.csv", "id,breed\na1,cat\nb2,dog\nc3,cat\n"),
    "no header": ("labels.csv", "images/a1.jpg,cat\nimages/b2.jpg,dog\nimages/c3.jpg,cat\n"),
    "semicolons": ("labels.csv", "width;file;class\n3;./images/a1.jpg;cat\n3;images/b2.jpg;dog\n3;images/c3.jpg;cat\n"),
    "paths of Windows": (
        "labels.csv",
        "Datei;Klasse\r\nimages\\a1.jpg;cat\r\nimages\\b2.jpg;dog\r\n.\\images\\c3.jpg;cat\r\n",
    ),
    "tabs": ("labels.tsv", "file\tclass\na1.jpg\tcat\nb2.jpg\tdog\nc3.jpg\tcat\n"),
    "boxes behind the class": ("val.txt", "a1.jpg\tcat\t0\t0\t9\nb2.jpg\tdog\t1\t2\t9\nc3.jpg\tcat\t0\t1\t9\n"),
    "spaces": ("list.txt", "a1.jpg cat\nb2.jpg dog\nc3.jpg cat\n"),
    "byte order mark and quotes": (
        "l.csv",
        '\ufeff"image","label"\r\n"a1.jpg","cat"\r\n"b2.jpg","dog"\r\n"c3.jpg","cat"\r\n',
    ),
    "JSON lines": (
        "images/metadata.jsonl",
        '{"file_name": "a1.jpg", "label": "cat"}\n{"file_name": "b2.jpg", "label": "dog"}\n'
        '{"file_name": "c3.jpg", "label": "cat", "box": [1, 2]}\n',
    ),
    "JSON object": ("labels.json", '{"a1.jpg": "cat", "b2.jpg": "dog", "c3.jpg": "cat"}'),
    "JSON list": (
        "labels.json",
        '[{"image": "a1.jpg", "class": "cat"}, {"image": "b2.jpg", "class": "dog"},'
        ' {"image": "c3.jpg", "class": "cat"}]',
    ),
    "one hot": ("truth.csv", "image,cat,dog,owl\na1,1.0,0.0,0.0\nb2,0.0,1.0,0.0\nc3,1.0,0.0,0.0\n"),
}


def listings_of(path: str, content: bytes, photos: Sequence[str]) -> Mapping[str, Listing]:
    return read_list(path, content, photos).listings


@pytest.mark.parametrize("name", LISTS)
def test_file_and_class_are_found_in_the_columns(name: str) -> None:
    path, text = LISTS[name]
    assert {photo: said.label for photo, said in listings_of(path, text.encode(), PHOTOS).items()} == PLAIN


def test_a_backslash_separates_folders_in_paths_and_stays_in_classes() -> None:
    listings = listings_of("labels.csv", b"file,label\nimages\\a1.jpg,A\\B\nimages\\b2.jpg,C\n", PHOTOS)
    assert {photo: said.label for photo, said in listings.items()} == {PHOTOS[0]: "A\\B", PHOTOS[1]: "C"}


def test_a_split_stands_in_a_column_or_in_the_name_of_the_list() -> None:
    column = b"file,label,split\na1.jpg,cat,train\nb2.jpg,dog,valid\nc3.jpg,cat,test\n"
    assert [said.split for said in listings_of("l.csv", column, PHOTOS).values()] == ["train", "validation", "test"]
    assert listings_of("test.csv", b"file,label\na1.jpg,cat\nb2.jpg,dog\n", PHOTOS)["images/a1.jpg"] == Listing(
        "cat", "test"
    )


def test_a_list_of_names_alone_says_their_split() -> None:
    assert listings_of("meta/test.txt", b"images/a1\nimages/c3\n", [*PHOTOS, "other/a1.jpg"]) == {
        "images/a1.jpg": Listing("", "test"),
        "images/c3.jpg": Listing("", "test"),
    }


@pytest.mark.parametrize(
    "text", [b"", b"hello\n", b"a,b\n1,2\n", b"{}", b"\xff\xfe\0", b"name,price\nrose,2\nlily,3\n"]
)
def test_another_table_is_no_list_of_photos(text: bytes) -> None:
    assert listings_of("prices.csv", text, PHOTOS) == {}


def test_numbers_that_are_names_of_photos_too_are_classes() -> None:
    photos = ["Meta/0.png", "Meta/1.png", "Test/00000.png", "Test/00001.png", "Test/00002.png"]
    rows = b"Width,ClassId,Path\n9,0,Test/00000.png\n9,1,Test/00001.png\n9,1,Test/00002.png\n"
    assert [said.label for said in listings_of("Test.csv", rows, photos).values()] == ["0", "1", "1"]


def test_a_name_that_two_photos_have_is_not_guessed() -> None:
    photos = ["a/1.jpg", "b/1.jpg", "b/2.jpg"]
    assert set(listings_of("l.csv", b"file,label\n1.jpg,x\n2.jpg,y\n", photos)) == {"b/2.jpg"}


def test_a_form_to_be_filled_in_is_no_list_of_labels() -> None:
    """Of a contest's sample_submission.csv every row has the same made-up class, or any."""
    assert not is_list("sample_submission.csv") and not is_list("Submission_Format.csv") and is_list("train.csv")


def test_the_boxes_of_one_photo_are_no_list_of_photos() -> None:
    assert listings_of("labels/0.txt", b"0 0.5 0.5 1 1\n", ["images/0.png", "images/1.png"]) == {}
    assert listings_of("labels.csv", b"only.png,cat\n", ["only.png"]) == {"only.png": Listing("cat")}


def test_a_list_without_a_header_may_have_spaces_in_its_cells() -> None:
    photos = ["a 1 x.jpg", "b 2 x.jpg"]
    rows = listings_of("labels.csv", b"a 1 x.jpg,green apple\nb 2 x.jpg,red apple\n", photos)
    assert {path: said.label for path, said in rows.items()} == {photos[0]: "green apple", photos[1]: "red apple"}


@pytest.mark.parametrize(
    ("encoding", "said", "read_as"),
    [("gbk", None, "gbk"), ("gbk", "gbk", "gbk"), ("shift_jis", "shift_jis", "shift_jis"), ("utf-16", None, "utf-16")],
)
def test_a_list_is_read_in_the_encoding_it_looks_like_or_is_said_to_have(
    encoding: str, said: str | None, read_as: str
) -> None:
    text = "filename,label\na1.jpg,花火\nb2.jpg,大山\nc3.jpg,花火\n"
    found = read_list("labels.csv", text.encode(encoding), PHOTOS, said)
    assert [listing.label for listing in found.listings.values()] == ["花火", "大山", "花火"]
    assert found.encoding == read_as


def test_files_that_a_list_names_in_vain_are_told() -> None:
    found = read_list("labels.csv", b"filename,label\na1.jpg,cat\nb2.jpg,dog\nlost.jpg,owl\n,owl\n", PHOTOS)
    assert set(found.listings) == set(PHOTOS[:2]) and found.absent == ["lost.jpg"]
