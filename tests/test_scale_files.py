"""What docs/kuberay.yaml and the compose profile `scale` name is there, and fits together."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from server.settings import Settings

ROOT = Path(__file__).parents[1]
KUBERNETES = "1.37"
CRD = os.environ.get("KUBERAY_CRD")
"""A file with KubeRay's definition of a RayCluster, for whoever has one; without it, `RAY_CLUSTER` has to do."""

STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
RAY_CLUSTER: dict[str, Any] = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayCluster"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "required": ["headGroupSpec"],
            "properties": {
                "rayVersion": {"type": "string"},
                "enableInTreeAutoscaling": {"type": "boolean"},
                "headGroupSpec": {
                    "type": "object",
                    "required": ["template"],
                    "properties": {
                        "rayStartParams": STRINGS,
                        "serviceType": {"type": "string"},
                        "template": {"type": "object"},
                    },
                },
                "workerGroupSpecs": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["groupName", "maxReplicas", "minReplicas", "template"],
                        "properties": {
                            "groupName": {"type": "string"},
                            "idleTimeoutSeconds": COUNT,
                            "replicas": COUNT,
                            "minReplicas": COUNT,
                            "maxReplicas": COUNT,
                            "numOfHosts": COUNT,
                            "rayStartParams": STRINGS,
                            "template": {"type": "object"},
                        },
                    },
                },
            },
        },
    },
}
"""The fields of a RayCluster that are used here or are near to it; what is in a ``template`` is Kubernetes' own.

After helm-chart/kuberay-operator/crds/ray.io_rayclusters.yaml of https://github.com/ray-project/kuberay at commit
017710c025a86af5225c0e68cd78fb06e2918296, version ray.io/v1.
"""


def kuberay() -> dict[str, Any]:
    """The documents of docs/kuberay.yaml by kind."""
    found = list(YAML(typ="safe").load_all((ROOT / "docs" / "kuberay.yaml").read_text("utf-8")))
    return {one["kind"]: one for one in found}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text("utf-8"))
    services: dict[str, Any] = found["services"]
    return {name: one for name, one in services.items() if one.get("profiles") == ["scale"]}


def strict(schema: Any) -> Any:
    """A schema that takes no field it does not name: Kubernetes would drop it without a word."""
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(inside) for name, inside in schema.items()}
    if "properties" in closed:
        closed["properties"] = {name: strict(inside) for name, inside in schema["properties"].items()}
        closed.setdefault("additionalProperties", False)
    return closed


def ray_cluster() -> Any:
    """What a RayCluster may be: all that KubeRay says where its file is at hand, else what is written down above."""
    if CRD is None:
        return strict(RAY_CLUSTER)
    definition = YAML(typ="safe").load(Path(CRD).read_text("utf-8"))
    (v1,) = (one for one in definition["spec"]["versions"] if one["name"] == "v1")
    schema = strict(v1["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def faults(schema: Any, value: Any) -> list[str]:
    return [f"{one.json_path}: {one.message}" for one in Draft202012Validator(schema).iter_errors(value)]


def test_the_cluster_is_one_that_the_operator_takes() -> None:
    cluster = kuberay()["RayCluster"]
    assert faults(ray_cluster(), cluster) == []
    for group in cluster["spec"]["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("spec.rayVersoin", "2.60.0"),
        ("spec.rayVersion", 2.6),
        ("spec.enableInTreeAutoscaling", "true"),
        ("spec.headGroupSpec.replicas", 1),
        ("spec.headGroupSpec.rayStartParams.num-cpus", 0),
        ("spec.workerGroupSpecs.0.maxReplicas", "8"),
        ("spec.workerGroupSpecs.0.name", "gpu"),
        ("apiVersion", "ray.io/v1alpha1"),
    ],
)
def test_the_operator_would_not_take_a_cluster_with_a_slip_in_it(place: str, wrong: Any) -> None:
    cluster = kuberay()["RayCluster"]
    *way, last = place.split(".")
    inside = cluster
    for step in way:
        inside = inside[int(step)] if step.isdigit() else inside[step]
    inside[last] = wrong
    if CRD is None or place != "apiVersion":  # which the definition leaves to Kubernetes
        assert len(faults(ray_cluster(), cluster)) == 1


def pods() -> list[dict[str, Any]]:
    """Every pod of the file, as Kubernetes calls a template of one on its own."""
    documents = kuberay()
    spec = documents["RayCluster"]["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [{"apiVersion": "v1", "kind": "PodTemplate", "template": group["template"]} for group in groups]


@pytest.mark.full
def test_every_pod_and_all_else_is_what_kubernetes_takes() -> None:
    validate = pytest.importorskip("kubernetes_validate").validate
    documents = kuberay()
    for one in (*pods(), documents["Deployment"], documents["Service"]):
        validate(one, KUBERNETES, strict=True)
    (container,) = (bad := pods()[0])["template"]["spec"]["containers"]
    container["volumeMount"] = container.pop("volumeMounts")
    with pytest.raises(Exception, match="volumeMount"):
        validate(bad, KUBERNETES, strict=True)


def test_with_a_store_for_files_no_volume_has_to_be_shared() -> None:
    text = (ROOT / "docs" / "kuberay.yaml").read_text("utf-8")
    claim = re.compile(r"persistentVolumeClaim:\n\s+claimName: attention-data")
    assert len(claim.findall(text)) == 2  # as docs/scale.md says
    documents = {one["kind"]: one for one in YAML(typ="safe").load_all(claim.sub("emptyDir: {}", text))}
    spec = documents["RayCluster"]["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"], documents["Deployment"]["spec"]]
    for group in groups:
        pod = group["template"]["spec"]
        assert not any("persistentVolumeClaim" in volume for volume in pod["volumes"])
        (container,) = pod["containers"]
        assert {"secretRef": {"name": "attention-files", "optional": True}} in container["envFrom"]
    assert faults(ray_cluster(), documents["RayCluster"]) == []
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    (secret,) = re.findall(r"create secret generic attention-files (.*?)\nATTENTION_DATA", page, re.S)
    ours = {name.lower() for name in re.findall(r"--from-literal=ATTENTION_(\w+)=", secret)}
    assert ours == {"files", "keys"} <= set(Settings.model_fields)
    mounts = documents["Deployment"]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert "ATTENTION_KEYS=/keys/keys.json" in secret and "/keys" in {mount["mountPath"] for mount in mounts}


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
        *("API", "API_KEY", "BIND", "DASHBOARD_HOSTS", "DASHBOARD_PORT", "POSTGRES_PASSWORD", "RAY_WORKERS"),
        *("MEMORY_LIMIT", "DASHBOARD_MEMORY_LIMIT"),
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
