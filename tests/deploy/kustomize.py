"""Renders a kustomization as `kubectl kustomize` would, for the few fields that ours use. Any other field is an error, so
that nothing is checked differently from what will be applied."""

from pathlib import Path

from project import documents


class NotRendered(Exception):
    """The kustomization asks for something this renderer does not do."""


def render(directory):
    """The resources of the kustomization in `directory`, in their order."""
    (kustomization,) = documents(directory / "kustomization.yaml")
    unknown = set(kustomization) - {"apiVersion", "kind", "resources", "patches"}
    if unknown:
        raise NotRendered(f"{directory}: {unknown}")
    resources = []
    for name in kustomization.get("resources", []):
        path = directory / name
        resources += render(path) if path.is_dir() else documents(path)
    if len({identity(resource) for resource in resources}) != len(resources):
        raise NotRendered(f"{directory}: a resource stands twice")
    for patch in kustomization.get("patches", []):
        if set(patch) != {"path"}:
            raise NotRendered(f"{directory}: {patch}")
        (change,) = documents(directory / patch["path"])
        (index,) = [i for i, resource in enumerate(resources) if identity(resource) == identity(change)]
        resources[index] = merged(resources[index], change)
    return resources


def identity(resource):
    return resource["apiVersion"], resource["kind"], resource["metadata"]["name"]


# Lists whose items Kubernetes' schemas tell apart by one field, so that a patch is merged into them; and one it replaces.
KEYS = {"containers": "name", "volumes": "name", "volumeMounts": "mountPath"}
REPLACED = {"command"}


def merged(resource, change):
    """`resource` with the maps of `change` merged in. How a list is merged depends on its schema; one not known is refused."""
    result = dict(resource)
    for key, value in change.items():
        if isinstance(value, list) and key in KEYS:
            result[key] = merged_list(result.get(key, []), value, KEYS[key])
            continue
        if (isinstance(value, list) and key not in REPLACED) or value is None:
            raise NotRendered(f"a patch of the list or removal of {key}")
        known = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if known else value
    return result


def merged_list(items, changes, key):
    """`items` with each change merged into the item of the same key. New ones go first, as kustomize puts them."""
    changed = {change[key]: change for change in changes}
    new = [change for name, change in changed.items() if name not in {item[key] for item in items}]
    return new + [merged(item, changed.get(item[key], {})) for item in items]


def files(directory):
    """Every file a kustomization names, itself included."""
    (kustomization,) = documents(directory / "kustomization.yaml")
    named = {directory / "kustomization.yaml"}
    for name in kustomization.get("resources", []):
        path = Path(directory / name).resolve()
        named |= files(path) if path.is_dir() else {path}
    return named | {directory / patch["path"] for patch in kustomization.get("patches", [])}
