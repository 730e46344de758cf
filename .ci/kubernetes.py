"""Judges the manifests in a folder; called by .ci/kubernetes.

Strict: a field that the schema does not know is an error. The schemas of the
operators' kinds are in kubernetes.json: what we use of them, and no more.
"""

import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

# The packages of .ci/kubernetes.txt: an isolated Python reads no PYTHONPATH.
sys.path.insert(0, sys.argv.pop(1))

import jsonschema
import kubernetes_validate
import yaml

# The oldest release the manifests are for, and the newest there are schemas of.
VERSIONS = ["1.32.0", "1.37.0"]
BUILT = ["base", "overlays/production", "overlays/kind"]
OWN = json.loads(Path(__file__).with_name("kubernetes.json").read_text())
KUSTOMIZE = {"kustomize.config.k8s.io/v1beta1/Kustomization",
             "kustomize.config.k8s.io/v1alpha1/Component"}


def main(folder):
    root, problems = Path(folder), []
    files = {path: documents(path.read_text()) for path in sorted(root.rglob("*.yaml"))}
    everything = [one for found in files.values() for one in found]
    validator_can_fail(everything)
    for path, found in files.items():
        problems += [f"{path}: {problem}" for one in found for problem in judge(one)]
        if path.name == "kustomization.yaml":
            problems += [f"{path}: {problem}" for problem in listing(path, found[0], everything)]
    builder = next((tool for tool in ("kustomize", "kubectl") if shutil.which(tool)), None)
    for name in BUILT if builder else []:
        problems += [f"{name}, built: {problem}" for problem in built(builder, root / name)]
    print(*problems, sep="\n", end="\n" if problems else "")
    how = f"built by {builder}" if builder else "NOT built: neither kustomize nor kubectl is here"
    print(f"{len(everything)} manifests in {len(files)} files, {how}: {len(problems)} problems")
    return 1 if problems else 0


def documents(text):
    return [one for one in yaml.safe_load_all(text) if one is not None]


def kind(manifest):
    return f"{manifest.get('apiVersion')}/{manifest.get('kind')}"


def judge(manifest):
    """What the schemas have against one manifest."""
    name = f"{manifest.get('kind')} {manifest.get('metadata', {}).get('name')}"
    if kind(manifest) in KUSTOMIZE:
        return []
    if kind(manifest) in OWN:
        validator = jsonschema.Draft202012Validator(OWN[kind(manifest)])
        return [f"{name}: {error.json_path}: {error.message}"
                for error in validator.iter_errors(manifest)]
    problems = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{name}: {version}: {error.path}: {error.message}")
        except Exception as error:  # no schema of that kind, for one
            problems.append(f"{name}: {version}: {error!r}")
    return problems


def listing(path, kustomization, everything):
    """Files that are named and not there, or there and not named; patches of nothing."""
    named = {*kustomization.get("resources", []), *kustomization.get("components", [])}
    there = {other.name for other in path.parent.glob("*.yaml")} - {path.name}
    missing = [name for name in sorted(named) if not (path.parent / name).exists()]
    problems = [f"{name} is not there" for name in missing]
    problems += [f"{name} is not named" for name in sorted(there - named)]
    for patch in kustomization.get("patches", []):
        target = patch["target"]
        hit = [one for one in everything if one.get("kind") == target["kind"]
               and re.fullmatch(target.get("name", ".*"), one["metadata"]["name"])]
        problems += [] if hit else [f"a patch changes nothing: {target}"]
    return problems


def built(builder, folder):
    command = ["kubectl", "kustomize"] if builder == "kubectl" else ["kustomize", "build"]
    made = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return [made.stderr.strip()]
    return [problem for one in documents(made.stdout) for problem in judge(one)]


def validator_can_fail(everything):
    """A schema that takes anything would find nothing: broken ones must be found."""
    def broken(kind, name, change):
        one = next(one for one in everything
                   if one["kind"] == kind and one.get("metadata", {}).get("name") == name)
        one = copy.deepcopy(one)
        change(one["spec"])
        if not judge(one):
            sys.exit(f"a broken {kind} passes: {change.__doc__ or 'see validator_can_fail'}")

    def pod(spec):
        return spec["template"]["spec"]

    broken("Deployment", "auth", lambda spec: pod(spec).update(terminationGracePeriod=45))
    broken("Deployment", "auth", lambda spec: pod(spec)["containers"][0].update(image=1))
    broken("Deployment", "auth", lambda spec: spec.pop("selector"))
    broken("Job", "setup", lambda spec: spec.update(backoffLimit="three"))
    broken("NetworkPolicy", "auth", lambda spec: spec["egress"][0].update(too=[]))
    broken("ScaledObject", "todo", lambda spec: spec.pop("triggers"))
    broken("ScaledObject", "relay", lambda spec: spec.update(maxReplicas=3))
    broken("PodMonitor", "onboard", lambda spec: spec["podMetricsEndpoints"][0].update(port=4001))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
