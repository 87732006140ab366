"""The programs, their sources, and which versions on the machine are accepted.

The pinned version of each is the first `require` of its folder's go.mod, with the checksums of everything in go.sum;
nothing is pinned twice. To change a version: change that line, run `go mod tidy` in the folder, then `python -m tools
NAME`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent

Version = tuple[int, ...]


@dataclass(frozen=True)
class Tool:
    """One program.

    package: the command's path in the module that is pinned, or below `folder` ("./name") for a command of this
        repository that uses it.
    minimum, below: versions that are taken from PATH, `minimum <= version < below` (no bound where it is empty).
    probe: arguments that make it print its version.
    companions: other tools that it includes, which are only used from PATH if they are in the same folder.
    extra_files: files (path inside the pinned module) that must be in the program's folder.
    assets: also looked for in $KUBEBUILDER_ASSETS.
    sibling: the tool whose official release includes this one. This one is taken from PATH if it is next to an accepted
        copy of that tool.
    on_demand: few environments need it, so it is provided only by name, when something needs it: the language hosts of
        the examples, and the controllers that run where their chart is installed (sandbox/controllers).
    edits: what the build changes in its source: file in the pinned module, text, replacement. Programs that are only
        published as images have some paths and addresses of their container fixed.
    released: whether its project publishes a file of it (releases.yaml); where it does not, it is always built.
    seconds: a cold build on 2 cores, dependencies included, for the "usually" of the progress lines. For programs that
        share a folder: what each adds to those before it.
    """

    name: str
    folder: str
    package: str
    what: str
    minimum: Version
    probe: tuple[str, ...]
    seconds: int
    below: Version = ()
    ldflags: str = ""
    companions: tuple[str, ...] = ()
    extra_files: tuple[str, ...] = ()
    assets: bool = False
    sibling: str = ""
    on_demand: bool = False
    released: bool = True
    edits: tuple[tuple[str, str, str], ...] = ()

    def accepts(self, version: Version) -> bool:
        return version >= self.minimum and (not self.below or version < self.below)

    @property
    def module(self) -> Path:
        return HERE / self.folder

    @property
    def pinned(self) -> str:
        """The version that is built, for example `v1.36.3`."""
        return requirement(self.module)[1]

    @property
    def linker_flags(self) -> str:
        major, minor = self.pinned.lstrip("v").split(".")[:2]
        client = kubernetes_of(self.module)
        stamped = self.ldflags.format(
            version=self.pinned, major=major, minor=minor, kubernetes_major=client[0], kubernetes_minor=client[1]
        )
        return f"-s -w {stamped}".strip()


def requirement(module: Path) -> tuple[str, str]:
    """Module path and version of the first `require` in a go.mod."""
    found = re.search(r"^require (\S+) (\S+)", (module / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise ValueError(f"{module}/go.mod has no single-line require")
    return found[1], found[2]


def kubernetes_of(module: Path) -> tuple[int, int]:
    """The Kubernetes version of a go.mod's client-go (its v0.37.0 is Kubernetes 1.37); (0, 0) if it does not use
    client-go."""
    found = re.search(r"^\s*(?:require )?k8s\.io/client-go v0\.(\d+)\.", (module / "go.mod").read_text(), re.MULTILINE)
    return (1, int(found[1])) if found else (0, 0)


def go_line(module: Path) -> Version:
    """The Go version that a go.mod asks for."""
    found = re.search(r"^go (\S+)", (module / "go.mod").read_text(), re.MULTILINE)
    return parse(found[1]) if found else (1, 0)


def parse(text: str) -> Version:
    """The first version number in a text; () if there is none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in found.groups() if part is not None) if found else ()


# Clients and servers of Kubernetes fail on a version that was not stamped in.
_STAMP = " ".join(
    f"-X k8s.io/component-base/version.{key}={{{value}}}"
    for key, value in (("gitVersion", "version"), ("gitMajor", "major"), ("gitMinor", "minor"))
)
# As in helm's own Makefile: unstamped, `helm template` and `helm lint` assume Kubernetes 1.20 for every cluster and
# refuse charts that need a newer one.
_HELM_STAMP = "-X helm.sh/helm/v3/internal/version.version={version} " + " ".join(
    f"-X helm.sh/helm/v3/pkg/{package}.k8sVersion{part}={{kubernetes_{part.lower()}}}"
    for package in ("chartutil", "lint/rules")
    for part in ("Major", "Minor")
)


def _kubernetes(
    name: str, what: str, assets: bool = False, minimum: Version = (1, 36), below: Version = (1, 38)
) -> Tool:
    # The parts of a control plane may differ by at most one minor version, hence the narrow bounds.
    probe = ("version", "--client") if name == "kubectl" else ("--version",)
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Tool(name, "kubernetes", package, what, minimum, probe, 100, below, _STAMP, assets=assets)


def _controller(
    name: str,
    folder: str,
    package: str,
    what: str,
    seconds: int,
    ldflags: str = "",
    edits: tuple[tuple[str, str, str], ...] = (),
) -> Tool:
    return Tool(
        name, folder, package, what, (), (), seconds, ldflags=ldflags, edits=edits, on_demand=True, released=False
    )


# The fixed paths of containers, below `root` in the folder in which their programs run (sandbox/controllers).
_KUEUE = (
    "-X sigs.k8s.io/kueue/pkg/version.GitVersion={version} -X sigs.k8s.io/kueue/pkg/visibility.certDir=root/visibility"
)
_JOBSET = tuple(
    ("pkg/util/cert/cert.go", f'"/{path}"', f'"root/{path}"')
    for path in ("tmp/k8s-webhook-server/serving-certs", "var/run/secrets/kubernetes.io/serviceaccount/namespace")
)
# Its metrics are open to everybody who reaches the port.
_KEDA_ADAPTER = (("cmd/adapter/main.go", 'fmt.Sprintf(":%v", metrics', 'fmt.Sprintf("127.0.0.1:%v", metrics'),)

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "pulumi",
            "pulumi",
            "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            "the engine",
            minimum=(3, 259, 0),
            below=(4,),
            probe=("version",),
            seconds=290,
            ldflags="-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",
            companions=("pulumi-language-python",),
        ),
        Tool(
            "pulumi-language-python",
            "pulumi-language-python",
            "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
            "runs Python programs for the engine",
            minimum=(),
            probe=(),
            seconds=50,
            extra_files=("python/cmd/pulumi-language-python-exec",),
        ),
        Tool(
            "pulumi-language-nodejs",
            "pulumi-language-nodejs",
            "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
            "runs TypeScript programs for the engine",
            minimum=(),
            probe=(),
            seconds=50,
            sibling="pulumi",
            on_demand=True,
        ),
        Tool(
            "pulumi-language-yaml",
            "pulumi-language-yaml",
            "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
            "runs YAML programs for the engine",
            minimum=(),
            probe=(),
            seconds=120,
            sibling="pulumi",
            on_demand=True,
        ),
        Tool(
            "nodejs-sdk",
            "pulumi",
            "./nodejs-sdk",
            "generates the TypeScript SDK of a schema",
            minimum=(),
            probe=(),
            seconds=20,
            on_demand=True,
        ),
        _kubernetes("kube-apiserver", "the cluster's API server", assets=True),
        _kubernetes("kube-scheduler", "the cluster's scheduler"),
        _kubernetes("kube-controller-manager", "the cluster's controllers"),
        _kubernetes("kubectl", "the cluster's command line", assets=True, minimum=(1, 28), below=()),
        Tool(
            "etcd",
            "etcd",
            "go.etcd.io/etcd/server/v3",
            "the cluster's database",
            minimum=(3, 5),
            below=(4,),
            probe=("--version",),
            seconds=60,
            assets=True,
        ),
        Tool(
            "kwok",
            "kwok",
            "sigs.k8s.io/kwok/cmd/kwok",
            "simulated nodes",
            minimum=(0, 7),
            below=(0, 9),
            probe=("--version",),
            seconds=90,
        ),
        Tool(
            "helm",
            "helm",
            "helm.sh/helm/v3/cmd/helm",
            "installs charts",
            minimum=(3, 13),  # `--labels`
            below=(4,),
            probe=("version", "--short"),
            seconds=75,
            ldflags=_HELM_STAMP,
        ),
        Tool(
            "promtool",
            "promtool",
            "github.com/prometheus/prometheus/cmd/promtool",
            "tests alert rules",
            minimum=(3, 0),
            below=(4,),
            probe=("--version",),
            seconds=250,
        ),
        Tool(
            "prometheus",
            "promtool",
            "github.com/prometheus/prometheus/cmd/prometheus",
            "evaluates alert rules",
            minimum=(3, 0),
            below=(4,),
            probe=("--version",),
            seconds=80,
            on_demand=True,
        ),
        _controller("kueue", "kueue", "sigs.k8s.io/kueue/cmd/kueue", "queues of jobs", 240, _KUEUE),
        # The versions of its dependencies are those of tools/kueue, so that what both use is compiled once.
        _controller("jobset", "jobset", "sigs.k8s.io/jobset", "sets of jobs", 20, "", _JOBSET),
        _controller("keda-operator", "keda", "github.com/kedacore/keda/v2/cmd/operator", "scales on metrics", 360),
        _controller(
            *("keda-adapter", "keda", "github.com/kedacore/keda/v2/cmd/adapter", "metrics for autoscalers", 60),
            edits=_KEDA_ADAPTER,
        ),
    )
}
