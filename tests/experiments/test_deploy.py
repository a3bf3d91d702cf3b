"""What deploy/ says fits the published schema where there is one here, and is of one version."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
LAUNCHED = ("laptop.yaml", "lab.yaml", "machines.yaml")
KUBERNETES = ("kuberay/raycluster.yaml", "kuberay/rayjob.yaml", "kuberay/network-chaos.yaml")


def documents(name: str) -> list[Any]:
    yaml = pytest.importorskip("yaml", reason="it comes with Ray, which is not installed")
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def pinned() -> str:
    found = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("name", LAUNCHED)
def test_the_launcher_takes_the_file(name: str) -> None:
    """The schema is Ray's own, of the version that is installed."""
    jsonschema = pytest.importorskip("jsonschema", reason="it comes with Ray")
    spec = find_spec("ray")
    if spec is None or spec.origin is None:
        pytest.skip("Ray is not installed")
    schema = Path(spec.origin).parent / "autoscaler" / "ray-schema.json"
    jsonschema.validate(documents(name)[0], json.loads(schema.read_text()))


def test_a_laptop_and_a_lab_differ_in_their_kind_only() -> None:
    laptop, lab = (documents(f"{kind}.yaml")[0] for kind in ("laptop", "lab"))
    assert (laptop.pop("cluster_name"), lab.pop("cluster_name")) == ("laptop", "lab")
    assert (laptop["provider"].pop("kind"), lab["provider"].pop("kind")) == ("laptop", "lab")
    assert laptop == lab


@pytest.mark.parametrize("name", KUBERNETES)
def test_kubernetes_files_say_what_they_are(name: str) -> None:
    for one in documents(name):
        assert {"apiVersion", "kind", "metadata", "spec"} == set(one)


def test_everything_is_of_the_version_of_ray_that_is_pinned() -> None:
    assert f"FROM rayproject/ray:{pinned()}-py311\n" in (DEPLOY / "Dockerfile").read_text()
    cluster = documents("kuberay/raycluster.yaml")[0]["spec"]
    job = documents("kuberay/rayjob.yaml")[0]["spec"]["rayClusterSpec"]
    for spec in (cluster, job):
        assert spec["rayVersion"] == pinned()
        assert spec["authOptions"] == {"mode": "token"}


def test_what_is_copied_into_the_image_is_there() -> None:
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            for word in line.split()[2:-1]:
                assert (ROOT / word).exists(), word
