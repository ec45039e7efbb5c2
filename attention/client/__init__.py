"""The Python client of the service: ask a question, get its typed report.

    from attention.client import Client
    from attention.reports.compare import CompareRequest

    client = Client("http://127.0.0.1:8000")
    report = client.ask(CompareRequest(images=client.photos("photo.jpg")))
    print(report.predictions[0].top[0].label)

What takes its time runs as a job, and `ask` waits for it. To do something else meanwhile: ``client.submit(request)``
gives the job, ``client.wait(job, progress=True)`` its end, ``client.report(job.id, StudyReport)`` what is known so far.
`attention.client.async_client.AsyncClient` has the same methods, to be awaited.

Whatever goes wrong at the service is a ServiceError whose text is a sentence for the person who can fix it.
"""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote

import httpx2
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from attention.photos import Photo, photo_bytes
from attention.progress import ProgressLine
from attention.reports.compare import Prediction
from attention.reports.parts.catalog import Catalog
from attention.reports.parts.inventory import AS_FOUND, Choices
from attention.reports.writing.document import Form
from attention.schemas import (
    SHIPPED,
    AskedAgain,
    Checkpoint,
    DataSet,
    DataSets,
    Health,
    Image,
    Images,
    Job,
    Jobs,
    Problem,
    Storage,
    StoredReport,
)
from attention.spec import Plain, Request

R = TypeVar("R", bound=Plain)

TIMEOUT_S = 120.0


class ServiceError(Exception):
    """The service refused, or did not answer; ``str(error)`` is the sentence to show.

    Args:
        sentence: what is wrong and what to do.
        status: the HTTP status; None if there was no answer.
        retry_after_s: when to try again, if the service said so.
        kind: which kind of problem it is, such as ``unknown-name``; empty if the service did not say.
    """

    def __init__(
        self, sentence: str, status: int | None = None, retry_after_s: float | None = None, kind: str = ""
    ) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.status = status
        self.retry_after_s = retry_after_s


class Unreachable(ServiceError):
    """Nobody answers at the address of the API."""


class Client:
    """The service over HTTP.

    Args:
        http: the address of the API, or an HTTP client that knows it (``base_url``) and how long to wait.
        key: an API key, where the service asks for one and ``http`` is an address.
    """

    def __init__(self, http: str | httpx2.Client, key: str | None = None) -> None:
        if isinstance(http, str):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            http = httpx2.Client(base_url=http, headers=headers, timeout=TIMEOUT_S)
        self.http = http

    def ask(self, request: Request[R]) -> R:
        """The report on a question: ``POST /v1/<analysis>``. A slow one is submitted as a job, and waited for."""
        return self.asked(request)[0]

    def asked(self, request: Request[R]) -> tuple[R, str | None]:
        """The report on a question, and the id it is stored under; None if it is not kept.

        Raises:
            ServiceError: the service refused, or the job of a slow question failed or was cancelled.
        """
        kind: type[R] = request.report  # type: ignore[assignment]
        if request.slow:
            job = self.wait(self.submit(request))
            if job.state != "done":
                raise ServiceError(job.error or f"The job {job.id} was {job.state} before it was done.")
            return self.report(job.id, kind), job.id
        body = request.model_dump(mode="json", exclude_defaults=True)  # so that an older service still understands it
        answer = self._send("POST", f"/v1/{request.analysis}", json=body)
        return self._read(kind, answer), answer.headers.get("report-id")

    def submit(self, request: Request[Any]) -> Job:
        """Ask for an answer in its own time, as a job."""
        body = {"analysis": request.analysis, "request": request.model_dump(mode="json", exclude_defaults=True)}
        return self._read(Job, self._send("POST", "/v1/jobs", json=body))

    def job(self, id: str) -> Job:
        """A job by its id: its state, progress and error."""
        return self._read(Job, self._send("GET", f"/v1/jobs/{quote(id, safe='')}"))

    def jobs(self) -> tuple[Job, ...]:
        """Jobs, newest first."""
        return self._read(Jobs, self._send("GET", "/v1/jobs")).jobs

    def cancel(self, id: str) -> Job:
        """Stop a job; what it found so far stays readable."""
        return self._read(Job, self._send("POST", f"/v1/jobs/{quote(id, safe='')}/cancel"))

    def events(self, id: str) -> Iterator[Job]:
        """A job as it is now, then each change of it, until it has ended or the service stops."""
        path = f"/v1/jobs/{quote(id, safe='')}/events"
        with self._sentences("GET", path), self.http.stream("GET", path) as answer:
            if not answer.is_success:
                answer.read()
                raise self._refusal("GET", path, answer)
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield Job.model_validate_json(line.removeprefix("data: "))

    def wait(self, job: Job | str, progress: bool = False) -> Job:
        """Wait until a job has ended, and give it; it may be done, failed or cancelled.

        Args:
            progress: whether a line on standard error says how far it is, once that takes longer than two seconds.
        """
        now = self.job(job if isinstance(job, str) else job.id)
        with ProgressLine() if progress else nullcontext() as line:
            while not now.ended:
                for event in self.events(now.id):
                    now = event
                    if line is not None:
                        line(now.done, now.total, now.note)
        return now

    def report(self, id: str, kind: type[R]) -> R:
        """What a job has found, as far as it is: a ``kind``, which is its request's ``report``."""
        return self._read(kind, self._send("GET", f"/v1/jobs/{quote(id, safe='')}/report"))

    def stored(self, id: str) -> StoredReport:
        """A report with the question that made it and its conditions, by the id of an answer or of a finished job."""
        return self._read(StoredReport, self._send("GET", f"/v1/reports/{quote(id, safe='')}"))

    def export(self, id: str, format: Form = "csv", table: str = "") -> str:
        """A stored report, or a finished job's, as text: a table, one HTML page, or the BibTeX of its modules.

        Args:
            table: its name; the report's main one if empty.
        """
        query = {"format": format, "table": table}
        return self._send("GET", f"/v1/reports/{quote(id, safe='')}", params=query).text

    def again(self, id: str) -> AskedAgain:
        """Ask the question of a stored report anew; says what is different. A job's is submitted anew instead."""
        return self._read(AskedAgain, self._send("POST", f"/v1/reports/{quote(id, safe='')}/again"))

    def dataset_list(self) -> DataSets:
        """Data sets that a study can name, with the room that is left and the largest archive that is taken."""
        first, *others = self._pages("/v1/datasets", DataSets)
        datasets = [*first.datasets, *(dataset for page in others for dataset in page.datasets)]
        return first.model_copy(update={"datasets": tuple(datasets)})

    def datasets(self) -> tuple[DataSet, ...]:
        """Data sets that a study can name."""
        return self.dataset_list().datasets

    def dataset(self, name: str) -> DataSet:
        """One data set with its inventory."""
        return self._read(DataSet, self._send("GET", f"/v1/datasets/{quote(name, safe='')}"))

    def upload_dataset(
        self,
        name: str,
        archive: IO[bytes],
        choices: Choices = AS_FOUND,
        *,
        dry_run: bool = False,
        replace: bool = False,
    ) -> DataSet:
        """Keep a zip or tar with a folder for each class as a data set; it is sent as it is read.

        Args:
            choices: how it is to be understood where more than one reading is possible.
            dry_run: only tell what it is, as its inventory; nothing is kept.
            replace: take the place of the data set of that name.
        """
        query = choices.model_dump(exclude_defaults=True) | {"name": name, "dry_run": dry_run, "replace": replace}
        kind = {"Content-Type": "application/octet-stream"}
        return self._read(DataSet, self._send("POST", "/v1/datasets", params=query, content=archive, headers=kind))

    def entries(self, kind: str) -> tuple[Mapping[str, Any], ...]:
        """All that is stored of a kind, as JSON, in the service's order; none where it lists no such kind.

        Args:
            kind: images, datasets, checkpoints, jobs or reports: the address of its list below ``/v1``.
        """
        entries: list[Mapping[str, Any]] = []
        path: str | None = f"/v1/{kind}"
        while path:
            try:
                answer = self._send("GET", path)
            except ServiceError as error:
                if error.status in (404, 405):
                    return ()
                raise
            entries += answer.json()[kind]
            path = answer.links.get("next", {}).get("url")
        return tuple(entries)

    def methods(self, kind: str, id: str) -> frozenset[str]:
        """What may be done with something that is stored, such as DELETE, and PATCH to rename it."""
        allowed = self._send("OPTIONS", _entry(kind, id)).headers.get("allow", "")
        return frozenset(method.strip() for method in allowed.split(","))

    def delete(self, kind: str, id: str) -> None:
        """Delete something that is stored."""
        self._send("DELETE", _entry(kind, id))

    def share(self, kind: str, id: str, shared: bool = True) -> None:
        """Let every API key see and use something that is stored, or its owner alone again."""
        self._send("PATCH", _entry(kind, id), params={"shared": shared})

    def storage(self) -> Storage:
        """What is kept, kind by kind, and the room that is left; with an API key, its own and its quota."""
        return self._read(Storage, self._send("GET", "/v1/storage"))

    def rename(self, kind: str, id: str, new_name: str) -> None:
        """Give something that is stored another name."""
        self._send("PATCH", _entry(kind, id), params={"new_name": new_name})

    def shipped(self, name: str) -> StoredReport | None:
        """The report of a name, such as study or sweep, that comes with the service; None if none does."""
        try:
            return self.stored(f"{SHIPPED}{name}")
        except ServiceError as error:
            if error.status == 404:
                return None
            raise

    def upload(self, photo: Photo, data: bytes | None = None) -> Image:
        """Store a photo; the same bytes always get the same id.

        Args:
            photo: a path, bytes, an array (H, W, 3) or a PIL image; or what the photo is called, beside its bytes.
            data: the bytes of a photo that is only called ``photo``.

        Raises:
            NotFound, BadImage: there is no such file, or it is no photo.
        """
        name = Path(photo).name if isinstance(photo, str | Path) else "photo"
        data = photo_bytes(photo) if data is None else data
        return self._read(Image, self._send("POST", "/v1/images", files={"image": (name, data)}))

    def photos(self, *photos: Photo) -> tuple[str, ...]:
        """Store photos, and give the ids by which requests name them."""
        return tuple(self.upload(photo).id for photo in photos)

    def images(self) -> tuple[Image, ...]:
        """Stored photos: samples first, then uploads, newest first."""
        return tuple(image for page in self._pages("/v1/images", Images) for image in page.images)

    def image_file(self, id: str, size: int | None = None) -> bytes:
        """A photo's file, or with ``size`` a picture of it that fits a square of so many pixels."""
        query = {} if size is None else {"size": size}
        return self._send("GET", f"/v1/images/{quote(id, safe='')}/file", params=query).content

    def checkpoint(self, name: str) -> bytes:
        """A stored network's weights, as safetensors."""
        return self._send("GET", f"/v1/checkpoints/{quote(name, safe='')}").content

    def save_file(self, job_id: str, out: str | Path) -> None:
        """Write the file that a job of export made to disk, as it comes."""
        path = f"/v1/jobs/{quote(job_id, safe='')}/file"
        with self._sentences("GET", path), self.http.stream("GET", path) as answer:
            if not answer.is_success:
                answer.read()
                raise self._refusal("GET", path, answer)
            with Path(out).open("wb") as file:
                for piece in answer.iter_bytes():
                    file.write(piece)

    def upload_checkpoint(self, name: str, weights: IO[bytes]) -> Checkpoint:
        """Keep a file of safetensors under a name; it is sent as it is read."""
        kind = {"Content-Type": "application/octet-stream"}
        answer = self._send("POST", "/v1/checkpoints", params={"name": name}, content=weights, headers=kind)
        return self._read(Checkpoint, answer)

    def catalog(self) -> Catalog:
        """All that can be asked for: modules, backbones, placements, shipped networks, analyses."""
        return self._read(Catalog, self._send("GET", "/v1/catalog"))

    def health(self) -> Health:
        """Whether the service lives, its version and its device."""
        return self._read(Health, self._send("GET", "/v1/health"))

    def _pages(self, path: str, kind: type[R]) -> Iterator[R]:
        """Every page of a list."""
        answer = self._send("GET", path)
        yield self._read(kind, answer)
        while following := answer.links.get("next"):
            answer = self._send("GET", following["url"])
            yield self._read(kind, answer)

    def _send(self, method: str, path: str, **kwargs: Any) -> httpx2.Response:
        with self._sentences(method, path):
            answer = self.http.request(method, path, **kwargs)
        if answer.is_success:
            return answer
        raise self._refusal(method, path, answer)

    @contextmanager
    def _sentences(self, method: str, path: str) -> Iterator[None]:
        """Say in a sentence why no answer came to what is asked inside."""
        try:
            yield
        except httpx2.TimeoutException:
            raise ServiceError(
                f"The API at {self._address} took too long over {method} {path}. "
                "It may be busy with other work: try again, or ask for fewer images and variants at once."
            ) from None
        except httpx2.TransportError:
            raise Unreachable(
                f"The API does not answer at {self._address}. Start it with `make run` or `python -m server`; "
                "if it runs elsewhere, set ATTENTION_API to its address and start the dashboard again."
            ) from None

    def _refusal(self, method: str, path: str, answer: httpx2.Response) -> ServiceError:
        kind = ""
        try:
            problem = Problem.model_validate_json(answer.content)
            sentence, kind = problem.detail, problem.type.rpartition("/")[2]
        except ValidationError:
            sentence = (
                f"{self._address} answered {method} {path} with {answer.status_code} {answer.reason_phrase}, and "
                "not in the API's own words. Is ATTENTION_API the address of this API, and is there a proxy in between?"
            )
        seconds = answer.headers.get("retry-after", "")
        return ServiceError(sentence, answer.status_code, float(seconds) if seconds.isdigit() else None, kind)

    def _read(self, kind: type[R], answer: httpx2.Response) -> R:
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError:
            raise ServiceError(
                f"{self._address} answered {answer.request.url.path} with something that is not a {kind.__name__}. "
                "Are the API and the dashboard of the same version?"
            ) from None

    @property
    def _address(self) -> str:
        return str(self.http.base_url).rstrip("/")


def _entry(kind: str, id: str) -> str:
    """The path of something that is stored."""
    return f"/v1/{kind}/{quote(id, safe='')}"


def gate_values(prediction: Prediction) -> Mapping[str, NDArray[np.float64]]:
    """Gate path -> its weights, flattened; empty if the request did not ask for gates; without those left out."""
    sent = [gate for gate in prediction.gates if gate.path not in prediction.left_out]
    names = [gate.path for gate in sent]
    if prediction.values is not None:
        rows = {gate.path: row for gate, row in zip(prediction.gates, prediction.values, strict=True)}
        return {name: np.asarray(rows[name], np.float64) for name in names}
    if prediction.values_base64 is None:
        return {}
    values = np.frombuffer(base64.b64decode(prediction.values_base64), "<f2").astype(np.float64)
    ends = np.cumsum([int(np.prod(gate.shape)) for gate in sent])
    return dict(zip(names, np.split(values, ends[:-1]), strict=True)) if names else {}
