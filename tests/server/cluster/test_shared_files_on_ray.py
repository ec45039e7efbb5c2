"""Ray and an S3 store of files together. The cluster needs the store's address in its environment."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from tests.attention.storage.file_stores import s3
from tests.server.api.data.test_data_sets import SPLIT, upload, zipped
from tests.server.api.http.test_problems import problem
from tests.server.cluster.clusters import cluster
from tests.server.conftest import photo
from tests.server.store.test_shared_files import VARIANTS, conducted, give

__all__ = ["cluster", "s3"]


@pytest.mark.slow
def test_on_ray_replicas_and_runs_find_their_files_in_the_store(s3: str, cluster: Any, tmp_path: Path) -> None:
    folder, database = tmp_path / "a", f"sqlite:///{tmp_path / 'shared.db'}"
    chosen = {"engine": "ray", "ray_address": cluster.address, "ray_replica_cpus": 0.5, "ray_job_cpus": 0.5}
    settings = Settings(data=folder, files=f"{s3}/ray", database=database, device="cpu", threads=1, **chosen)
    question = {"images": [], "variants": ["resnet20/se"]}
    with TestClient(create_app(settings)) as client:
        assert upload(client, zipped(SPLIT)).status_code == 201
        image = give(client, photo(6))
        asked = client.post("/v1/compare", json={**question, "images": [image]})
        assert asked.status_code == 200, asked.text
        report = conducted(client)
        name = report["runs"][0]["weights"]
        trained = client.post(
            "/v1/compare", json={"images": [image], "variants": [f"{VARIANTS[0]}?classes=2&weights={name}"]}
        )
        assert trained.status_code == 200, trained.text
        client.delete(f"/v1/images/{image}")
        problem(client.post("/v1/compare", json={"images": [image], "variants": ["resnet20/eca"]}), 404, "no image")
    assert {path.name for path in folder.iterdir()} <= {"copies", "hub"}
