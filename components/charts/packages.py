"""The package of a chart on this machine: in the folder that `charts.mirror` names, or fetched once into a cache.

The cache is in the user's cache folder (`XDG_CACHE_HOME`), readable by the user only. A package has a folder there, by
its name, version, source and digest, so another source or digest never gets a package that was fetched before.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import pulumi

from ..versions import Chart
from . import helm
from .source import ChartsArgs


def cache() -> Path:
    """The library's cache folder of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "gpuyard" / "charts"


def folder(*parts: str) -> Path:
    """A folder in the cache, created for this user only."""
    made = cache()
    made.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in parts:
        made = made / part
        made.mkdir(mode=0o700, exist_ok=True)
    return made


def package(chart: Chart, charts: ChartsArgs) -> Path:
    """The packed chart, or its folder if the mirror has it unpacked.

    Raises:
        pulumi.RunError: it cannot be fetched, or has another digest than the one in `charts.digests`.
    """
    mirror, digest = charts.get("mirror", ""), charts.get("digests", {}).get(chart.name, "")
    if mirror and "://" not in mirror:
        packed = Path(mirror) / f"{chart.name}-{chart.version}.tgz"
        found = packed if packed.exists() else Path(mirror) / chart.name
        _compare(chart, found, digest)
        return found
    pull = _pull(chart, mirror, digest)
    key = hashlib.sha256("\n".join([chart.name, chart.version, *pull, digest]).encode()).hexdigest()[:24]
    kept = cache() / key / f"{chart.name}-{chart.version}.tgz"
    if not kept.exists():
        _fetch(chart, pull, kept)
    if not any(part.startswith("oci://") for part in pull):
        _compare(chart, kept, digest)
    return kept


def _pull(chart: Chart, mirror: str, digest: str) -> list[str]:
    """The arguments of `helm pull`."""
    pin = f"@{digest}" if digest else ""
    if mirror.startswith("oci://"):
        return [f"{mirror.rstrip('/')}/{chart.name}{pin}", "--version", chart.version]
    if not mirror and chart.repository.startswith("oci://"):
        return [f"{chart.repository}{pin}", "--version", chart.version]
    return [chart.name, "--repo", mirror or chart.repository, "--version", chart.version]


def _fetch(chart: Chart, pull: list[str], kept: Path) -> None:
    # Pulled next to its place and then renamed: a second program never sees half a package.
    with tempfile.TemporaryDirectory(dir=folder(kept.parent.name)) as here:
        fix = (
            f"if this machine cannot reach {pull[0] if '://' in pull[0] else pull[2]}, set `charts.mirror` to a source "
            f"that has {chart.name} {chart.version}"
        )
        helm.run(_subject(chart), ["pull", *pull, "--destination", here], fix=fix)
        (pulled,) = Path(here).glob("*.tgz")
        os.replace(pulled, kept)


def _compare(chart: Chart, found: Path, digest: str) -> None:
    """Refuses a package with another digest. Helm itself compares digests of oci:// addresses only."""
    if not digest or not found.is_file():
        return
    real = hashlib.sha256(found.read_bytes()).hexdigest()
    if real != digest.removeprefix("sha256:"):
        raise pulumi.RunError(
            f"{_subject(chart)}: its package is another one: sha256:{real}, not {digest} as in `charts.digests`.\n"
            "    fix: find out which of the two is correct before you continue"
        )


def _subject(chart: Chart) -> str:
    return f"chart {chart.name} {chart.version}"
