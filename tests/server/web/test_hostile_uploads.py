"""Files that are two things at once, names that are paths, zips that lie, checkpoints that are none."""

import io
import json
import random
import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

import attention
from attention.build import build
from attention.data.files import samples
from attention.data.folder import DataFolder
from attention.data.intake.inventory import check
from attention.errors import AttentionError
from attention.network import describe
from attention.spec import Variant
from attention.storage.folder import FolderStore
from attention.weights.find import Checkpoints
from server.app import create_app
from server.settings import Settings
from server.web.forms import plain_name
from tests import mutations
from tests.mutations import picture, saved

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

# ---------------------------------------------------------------- photos

PICTURE = saved(picture(), "PNG")
ID = samples()[0].id
SCRIPT = b"<html><script>alert(document.cookie)</script></html>"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("uploads")
    with TestClient(create_app(Settings(data=folder, device="cpu", threads=1, jobs=0))) as client:
        yield client


def zipped(names: list[str], content: bytes | None = None, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these names, each another picture unless they shall all be the same."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for number, name in enumerate(names):
            archive.writestr(name, saved(picture(37 + number, 29), "PNG") if content is None else content)
    return out.getvalue()


@pytest.mark.full
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (saved(picture(), "JPEG") + zipped(["cat/1.png"]), "image/jpeg"),
        (PICTURE + SCRIPT, "image/png"),
        (saved(picture(), "GIF", comment=SCRIPT), "image/gif"),
        (saved(picture(), "JPEG", comment=SCRIPT), "image/jpeg"),
        (saved(picture(), "BMP") + b"%PDF-1.7\n" + SCRIPT, "image/bmp"),
    ],
    ids=["jpeg and zip", "png and page", "gif and page", "jpeg and page", "bmp, pdf and page"],
)
def test_a_file_that_is_two_things_is_given_back_as_the_picture(client: TestClient, data: bytes, kind: str) -> None:
    answer = client.post("/v1/images?name=page.html", content=data, headers={"Content-Type": "image/svg+xml"})
    assert answer.status_code == 201, answer.text
    file = client.get(f"{answer.headers['Location']}/file")
    assert (file.content, file.headers["Content-Type"]) == (data, kind)
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    thumbnail = client.get(f"{answer.headers['Location']}/file?size=64")
    assert thumbnail.headers["Content-Type"] == "image/jpeg" and b"script" not in thumbnail.content


@pytest.mark.parametrize("data", [SCRIPT, b"<svg xmlns='http://www.w3.org/2000/svg'/>", zipped(["a"]), b"\x80\x04N."])
def test_what_is_no_picture_is_not_kept_whatever_it_is_called(client: TestClient, data: bytes) -> None:
    before = client.get("/v1/images").json()
    answer = client.post("/v1/images", files={"image": ("cat.jpg", data, "image/jpeg")})
    assert answer.status_code == 422 and answer.json()["type"] == "/problems/bad-image"
    assert client.get("/v1/images").json() == before


NAMES = [
    ("../../etc/passwd", "passwd"),
    ("..\\..\\windows\\win.ini", "win.ini"),
    ("/etc/cron.d/", "unnamed"),
    ("..", ".."),
    ("a\0b.png", "ab.png"),
    ("cat\r\nSet-Cookie: x=1.png", "catSet-Cookie: x=1.png"),
    ("photo\u202egpj.exe", "photogpj.exe"),
    ("\u200b\u2066\ufeff", "unnamed"),
    ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
    ("n" * 900 + ".png", "n" * 251 + ".png"),
    ("猫" * 300, "猫" * 255),
    ("", "unnamed"),
]


@pytest.mark.parametrize(("sent", "kept"), NAMES, ids=lambda name: repr(name)[:16])
def test_a_name_is_one_printable_word_and_no_path(client: TestClient, sent: str, kept: str) -> None:
    assert plain_name(sent) == kept
    found = client.post("/v1/images", params={"name": sent}, content=PICTURE).json()
    assert found["name"] == kept and "/" not in kept and kept.isprintable() and len(kept) <= 255
    assert client.get(f"/v1/images/{found['id']}").json()["name"] == kept


@pytest.mark.full
def test_files_lie_under_the_hash_of_their_bytes_alone(client: TestClient) -> None:
    client.post("/v1/images", params={"name": "../../../outside"}, content=PICTURE)
    app: Any = client.app
    root = app.state.service.settings.folder
    assert all(len(path.name) == 64 for path in (root / "images").rglob("*") if path.is_file())
    assert not list(root.parent.rglob("outside*"))


@pytest.mark.full
def test_damaged_pictures_are_kept_or_refused(client: TestClient) -> None:
    seen = set()
    for name, data in mutations.damaged(60, seed=30):
        answer = client.post("/v1/images", content=data)
        seen.add(answer.status_code)
        assert answer.status_code in (201, 413, 422), name
        if answer.status_code == 201:
            for size in ("", "?size=32"):
                assert client.get(f"{answer.headers['Location']}/file{size}").status_code == 200, name
    assert seen >= {201, 422}


# ---------------------------------------------------------------- zips of data sets

SOUND = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(3)]
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def refused(path: Path, data: bytes) -> str:
    """Why a zip is refused, in a sentence; empty if it is not."""
    path.write_bytes(data)
    try:
        check(DataFolder(FolderStore(path.parent)).preview(path, "pets").inventory, "pets")
    except AttentionError as error:
        assert str(error).endswith(".") and str(path) not in str(error)
        return str(error)
    return ""


def damaged_zips(count: int, seed: int) -> Iterator[bytes]:
    """Small data sets, damaged anywhere, and on purpose where the directory is."""
    sound = [zipped(SOUND, method=method) for method in METHODS]
    for number in range(count):
        dice = random.Random(f"{seed} {number}")
        data = bytearray(sound[number % len(sound)])
        if number % 3:
            for mutation in dice.choices(mutations.MUTATIONS[:8], k=dice.choice((1, 1, 2))):
                data = bytearray(mutation(bytes(data) or b"\0", dice))
        else:
            start = data.rindex(b"PK\5\6") if dice.random() < 0.3 else data.index(b"PK\1\2")
            for _ in range(dice.randint(1, 6)):
                data[min(start + dice.randrange(60), len(data) - 1)] = dice.choice((0, 1, 127, 255))
        yield bytes(data)


@pytest.mark.full
def test_damaged_zips_are_read_or_refused(tmp_path: Path) -> None:
    told = [refused(tmp_path / "z.part", data) for data in damaged_zips(300, seed=1)]
    assert 0.02 < told.count("") / len(told) < 0.9


@pytest.mark.slow
def test_thousands_of_damaged_zips_are_read_or_refused(tmp_path: Path) -> None:
    for data in damaged_zips(4_000, seed=2):
        refused(tmp_path / "z.part", data)
    assert [path.name for path in tmp_path.iterdir()] == ["z.part"]


@pytest.mark.parametrize("name", ["../cat/9.png", "/cat/9.png", "C:/cat/9.png", "cat\\..\\..\\9.png", "//host/9.png"])
def test_a_file_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    assert "points outside of it" in refused(tmp_path / "z.part", zipped([*SOUND, name]))


@pytest.mark.parametrize(
    "name", [".", "./cat/9.png", "cat/" + "n" * 60_000 + ".png", "cat/\x07.png", "cat/9.png/8.png"]
)
def test_a_file_of_a_strange_name_does_no_harm(tmp_path: Path, name: str) -> None:
    assert refused(tmp_path / "z.part", zipped([*SOUND, name])) == ""
    assert [path.name for path in tmp_path.rglob("*")] == ["z.part"]


def test_a_link_in_a_zip_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(PICTURE)
    out = io.BytesIO(zipped([name for name in SOUND if not name.startswith("dog")]))
    with zipfile.ZipFile(out, "a") as archive:
        link = zipfile.ZipInfo("dog/0.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(tmp_path / "secret.png"))
    assert "only the class folder 'cat'" in refused(tmp_path / "z.part", out.getvalue())
    inventory = DataFolder(FolderStore(tmp_path)).preview(tmp_path / "z.part", "pets").inventory
    assert [(left.what, left.examples) for left in inventory.left_out] == [("link", ("dog/0.png",))]


def test_a_zip_with_a_password_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped(SOUND))
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + place] |= 1  # encrypted
            at = data.find(mark, at + 4)
    assert "without a password" in refused(tmp_path / "z.part", bytes(data))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_there_twice_is_two_files(tmp_path: Path) -> None:
    folder = DataFolder(FolderStore(tmp_path))
    folder.folder.mkdir()
    path = folder.folder / ".x.part"
    path.write_bytes(zipped([*SOUND, *SOUND]))
    assert folder.adopt(path, "pets").images == 12


def test_files_that_overlap_are_no_bomb(tmp_path: Path) -> None:
    """David Fifield's bomb: many entries of the directory point at the same packed bytes."""
    whole = zipped(["cat/1.png", "dog/1.png"], bytes(4_000_000))
    start, end = whole.index(b"PK\1\2"), whole.rindex(b"PK\5\6")
    count = 200
    directory = whole[start:end] * (count // 2)
    sizes = struct.pack("<HHII", count, count, len(directory), start)
    made = whole[:start] + directory + whole[end : end + 8] + sizes + whole[end + 20 :]
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert len(archive.infolist()) == count  # 800 MB in 20 KB
    assert len(made) < 50_000
    assert "far more than photos do" in refused(tmp_path / "z.part", made)


# ---------------------------------------------------------------- checkpoints

SHIPPED = Path(attention.__file__).parent / "weights" / "shipped" / "resnet20-se.safetensors"


def parts() -> tuple[dict[str, Any], bytes]:
    """The header of a sound checkpoint, and its numbers."""
    data = SHIPPED.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def packed(header: bytes, numbers: bytes, says: int | None = None) -> bytes:
    return (len(header) if says is None else says).to_bytes(8, "little") + header + numbers


def damaged_checkpoints(count: int, seed: int) -> Iterator[bytes]:
    """A small checkpoint with a damaged header, or one that lies about a tensor."""
    header, numbers = parts()
    for number in range(count):
        dice = random.Random(f"{seed} {number}")
        if number % 2:
            mutation = dice.choice(mutations.MUTATIONS[:8])
            yield mutation(packed(json.dumps(header).encode(), b""), dice) + numbers
            continue
        lying = json.loads(json.dumps(header))
        key = dice.choice([name for name in lying if name != "__metadata__"])
        match dice.randrange(6):
            case 0:
                lying[key]["shape"] = [dice.choice((0, -1, 2**63, 10**30, 1.5, None, "a"))]
            case 1:
                lying[key]["data_offsets"] = [dice.choice((0, 10**18, -5, 2**64)), dice.choice((0, 10**18, 8))]
            case 2:
                lying[key]["dtype"] = dice.choice(("I64", "F64", "BOOL", "F8_E4M3", "XX", 3, None, "F16", "C64"))
            case 3:
                lying["__metadata__"] = {"a": "b" * dice.randrange(100_000)}
            case 4:
                lying[key + dice.choice(("\0", "\ud800", "x" * 5000, "/../../etc"))] = lying[key]
            case _:
                lying[key] = dice.choice(([], None, "x", {}, {"dtype": "F32"}))
        yield packed(json.dumps(lying).encode(), numbers)


def built(folder: Path, data: bytes) -> str:
    """Why a checkpoint is refused, in a sentence; empty if the network is built."""
    (folder / "x.safetensors").write_bytes(data)
    variant, checkpoints = Variant.parse("resnet20/se?weights=file:x"), Checkpoints(folder)
    try:
        describe(variant, checkpoints)
        build(variant, checkpoints)
    except AttentionError as error:
        assert len(str(error)) < 3000
        return str(error)
    return ""


def test_a_sound_checkpoint_is_read(tmp_path: Path) -> None:
    assert built(tmp_path, SHIPPED.read_bytes()) == ""


@pytest.mark.full
def test_checkpoints_that_lie_are_refused(tmp_path: Path) -> None:
    told = [built(tmp_path, data) for data in damaged_checkpoints(60, seed=1)]
    assert sum(map(bool, told)) > 40


@pytest.mark.slow
def test_many_checkpoints_that_lie_are_refused(tmp_path: Path) -> None:
    for data in damaged_checkpoints(300, seed=2):
        built(tmp_path, data)


@pytest.mark.parametrize("says", [0, 1, 2**31, 2**63, 2**64 - 1])
def test_a_header_of_another_length_than_it_says_is_refused(tmp_path: Path, says: int) -> None:
    header, numbers = parts()
    assert "The checkpoint x.safetensors" in built(tmp_path, packed(json.dumps(header).encode(), numbers, says))


@pytest.mark.parametrize(
    "header", [b"[" * 200_000, b'{"a":' * 100_000, b'{"a":' + b"[" * 100_000, b"{" + b" " * 20_000_000]
)
def test_a_header_without_bottom_is_refused(tmp_path: Path, header: bytes) -> None:
    assert "The checkpoint x.safetensors" in built(tmp_path, packed(header, b""))


@pytest.mark.parametrize("ending", ["pt", "pth", "bin", "pkl", "ckpt", "PT"])
def test_a_pickle_is_refused_over_http_before_anybody_looks(client: TestClient, ending: str) -> None:
    app: Any = client.app
    folder = app.state.service.settings.folder / "checkpoints"
    folder.mkdir(exist_ok=True)
    (folder / f"net.{ending}").write_bytes(b"cos\nsystem\n(S'touch /nowhere'\ntR.")
    answer = client.post("/v1/compare", json={"images": [ID], "variants": [f"resnet20/se?weights=file:net.{ending}"]})
    assert answer.status_code == 422 and "is a pickle" in answer.json()["detail"]
    assert client.get(f"/v1/checkpoints/net.{ending}").status_code == 422


def test_pickles_are_opened_nowhere() -> None:
    root = Path(attention.__file__).parent.parent
    sources = [path for part in ("attention", "server", "dashboard") for path in (root / part).rglob("*.py")]
    assert len(sources) > 100
    opening = (
        "import pickle",
        "from pickle",
        "pickle.load",
        "torch.load(",
        "joblib",
        "dill",
        "allow_pickle=True",
        "marshal",
    )
    found = {
        (path.name, word)
        for path in sources
        for line in path.read_text(encoding="utf-8").splitlines()
        for word in opening
        if word in line
        and "'" not in line.partition(word)[0]
        and '"' not in line.partition(word)[0]
        and "#" not in line
        and "weights_only=True" not in line  # tensors only, in the process of the user who converts a file
    }
    assert found == set(), found


def test_a_picture_is_not_opened_by_its_name(tmp_path: Path, client: TestClient) -> None:
    """Pillow's own reader of paths is nowhere near what a caller sends."""
    path = tmp_path / "x.png"
    Image.new("RGB", (4, 4)).save(path)
    answer = client.post("/v1/compare", json={"images": [str(path)], "variants": ["se"]})
    assert answer.status_code == 404 and "is not an image id" in answer.json()["detail"]
