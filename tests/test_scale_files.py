"""What docs/kuberay.yaml and the compose profile `scale` name is there, and fits together."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from server.settings import Settings

ROOT = Path(__file__).parents[1]
FIELDS: dict[str, Any] = {
    "rayVersion": None,
    "enableInTreeAutoscaling": None,
    "headGroupSpec": {"rayStartParams": None, "template": None, "serviceType": None, "headService": None},
    "workerGroupSpecs": {
        "groupName": None,
        "replicas": None,
        "minReplicas": None,
        "maxReplicas": None,
        "numOfHosts": None,
        "rayStartParams": None,
        "template": None,
    },
}
"""Fields of a RayCluster's spec that are used here, after ray.io/v1:
https://ray-project.github.io/kuberay/reference/api/"""


def kuberay() -> dict[str, Any]:
    """The documents of docs/kuberay.yaml by kind."""
    found = list(YAML(typ="safe").load_all((ROOT / "docs" / "kuberay.yaml").read_text("utf-8")))
    return {one["kind"]: one for one in found}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text("utf-8"))
    services: dict[str, Any] = found["services"]
    return {name: one for name, one in services.items() if one.get("profiles") == ["scale"]}


def known(fields: Any, value: Any, where: str) -> None:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(fields, dict):
            assert set(one) <= set(fields), f"{where}: {set(one) - set(fields)}"
            for name, inside in one.items():
                known(fields[name], inside, f"{where}.{name}")


def test_the_cluster_has_only_fields_that_the_operator_knows() -> None:
    cluster = kuberay()["RayCluster"]
    assert cluster["apiVersion"] == "ray.io/v1"
    known(FIELDS, cluster["spec"], "spec")
    for group in (cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())  # a map of strings in Go
    for group in cluster["spec"]["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_every_pod_has_one_image_and_the_versions_are_those_of_the_project() -> None:
    documents = kuberay()
    spec = documents["RayCluster"]["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"], documents["Deployment"]["spec"]]
    images = {pod["image"] for group in groups for pod in group["template"]["spec"]["containers"]}
    assert len(images) == 1
    pins = (ROOT / "constraints.txt").read_text("utf-8")
    assert f"ray=={spec['rayVersion']}\n" in pins
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for group in groups
        for volume in group["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {"attention-data"}  # the same files for all


def test_replicas_and_jobs_share_a_gpu_without_waiting_for_each_other_for_ever() -> None:
    (container,) = kuberay()["Deployment"]["spec"]["template"]["spec"]["containers"]
    values = {one["name"]: one["value"] for one in container["env"] if one["name"].startswith("ATTENTION_RAY")}
    settings = Settings.model_validate(
        {name.removeprefix("ATTENTION_").lower(): value for name, value in values.items()}
    )
    (gpu,) = kuberay()["RayCluster"]["spec"]["workerGroupSpecs"]
    cores = float(gpu["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    assert settings.ray_replicas_min * settings.ray_replica_gpus + settings.ray_job_gpus <= 1  # on the first node
    assert settings.ray_replicas_min * settings.ray_replica_cpus + settings.ray_job_cpus <= cores
    assert settings.ray_replicas_max * settings.ray_replica_gpus <= gpu["maxReplicas"]


@pytest.mark.parametrize("name", ["kuberay", "compose"])
def test_every_setting_is_one(name: str) -> None:
    text = (ROOT / ("docs/kuberay.yaml" if name == "kuberay" else "docker-compose.yml")).read_text("utf-8")
    settings = set(re.findall(r"ATTENTION_([A-Z_]+)", text)) - {
        *("API", "API_KEY", "BIND", "DASHBOARD_PORT", "POSTGRES_PASSWORD", "RAY_WORKERS")
    }
    assert settings <= {field.upper() for field in Settings.model_fields}


def test_the_compose_profile_is_one_image_with_two_settings_changed() -> None:
    services = compose()
    assert set(services) == {"postgres", "ray-head", "ray-worker", "api-scale", "dashboard-scale"}
    nodes = [services[name] for name in ("ray-head", "ray-worker", "api-scale")]
    assert {node["image"] for node in nodes} == {"attention-lab-scale"}
    assert all("data:/data" in node["volumes"] for node in nodes)
    assert all(node["environment"]["RAY_USAGE_STATS_ENABLED"] == "0" for node in nodes)
    api = services["api-scale"]["environment"]
    changed = {name for name in api if not name.startswith(("ATTENTION_RAY", "ATTENTION_LOG"))}
    assert {"ATTENTION_ENGINE", "ATTENTION_DATABASE"} <= changed
    assert not [one for name in ("ray-head", "ray-worker", "postgres") for one in services[name].get("ports") or []]
