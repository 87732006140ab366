"""System settings of GKE nodes: kernel parameters, huge pages, the kubelet's CPU manager, secondary boot disks.

Sources: container.v1beta1 (LinuxNodeConfig, NodeKubeletConfig, SecondaryBootDisk); GKE's "Customizing node system
configuration" and "Use secondary boot disks to preload data or container images", 2026.
"""

import re
from collections.abc import Iterator
from typing import Any

import pulumi_gcp as gcp

from .. import arguments, checks
from ..checks import Problem
from .pool_spec import GkePool, HugePages

_TEXT = """
net.core.busy_poll net.core.busy_read net.core.netdev_max_backlog net.core.rmem_max net.core.rmem_default
net.core.wmem_default net.core.wmem_max net.core.optmem_max net.core.somaxconn net.ipv4.neigh.default.gc_thresh1
net.ipv4.neigh.default.gc_thresh2 net.ipv4.neigh.default.gc_thresh3 net.ipv4.tcp_rmem net.ipv4.tcp_wmem
net.ipv4.tcp_tw_reuse net.ipv4.tcp_mtu_probing net.ipv4.tcp_max_orphans net.ipv4.tcp_max_tw_buckets
net.ipv4.tcp_syn_retries net.ipv4.tcp_ecn net.ipv4.tcp_congestion_control net.netfilter.nf_conntrack_max
net.netfilter.nf_conntrack_buckets net.netfilter.nf_conntrack_tcp_timeout_close_wait
net.netfilter.nf_conntrack_tcp_timeout_time_wait net.netfilter.nf_conntrack_tcp_timeout_established
net.netfilter.nf_conntrack_acct kernel.keys.maxkeys kernel.keys.maxbytes kernel.shmmni kernel.shmmax kernel.shmall
kernel.core_pattern kernel.perf_event_paranoid kernel.sched_rt_runtime_us kernel.softlockup_panic
kernel.yama.ptrace_scope kernel.kptr_restrict kernel.dmesg_restrict kernel.sysrq fs.aio-max-nr fs.file-max
fs.inotify.max_user_instances fs.inotify.max_user_watches fs.nr_open vm.dirty_background_ratio
vm.dirty_background_bytes vm.dirty_expire_centisecs vm.dirty_ratio vm.dirty_bytes vm.dirty_writeback_centisecs
vm.max_map_count vm.overcommit_memory vm.overcommit_ratio vm.vfs_cache_pressure vm.swappiness
vm.watermark_scale_factor vm.min_free_kbytes
"""
SYSCTLS = frozenset(_TEXT.split())
# All others take one number; GKE refuses anything else (the same page, "Sysctl configuration options").
WORDS = frozenset({"kernel.core_pattern", "net.ipv4.tcp_congestion_control"})
_THREE = frozenset({"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"})
_BELOW_NONE = frozenset({"kernel.perf_event_paranoid", "kernel.sched_rt_runtime_us"})
CPU_MANAGERS = ("none", "static")
DISK_MODES = {"container_images": "CONTAINER_IMAGE_CACHE", "data": None}
# Most huge pages as a share of a node's memory; 0.6 below 30 GiB.
_SHARE, _SMALL_SHARE, _SMALL_MIB = 0.8, 0.6, 30 * 1024
# Series with pages of 1 GiB.
_GIGANTIC = ("a3-", "a4-", "c2d-", "c3-", "c3d-", "c4-", "c4a-", "c4d-", "h3-", "m2-", "m3-", "m4-", "z3-")
_PAGE_MIB = {"two_mib": 2, "one_gib": 1024}
_IMAGE = re.compile(r"projects/[^/]+/global/images/(family/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def problems(made: GkePool) -> Iterator[Problem]:
    """What is wrong with `sysctls`, `huge_pages`, `cpu_manager` and `secondary_boot_disk`."""
    spec = made.spec
    for key, value in spec.get("sysctls", {}).items():
        if key not in SYSCTLS:
            yield Problem(
                f"sysctls.{key}", value, "not a kernel parameter that GKE sets", ", ".join(sorted(SYSCTLS)),
                "correct its name, or set it in a pod's securityContext",
            )  # fmt: skip
        else:
            form, allowed = _form(key)
            if not re.fullmatch(form, value, re.ASCII):
                yield Problem(f"sysctls.{key}", value, "not a valid value", allowed, "correct it")
    yield from _huge_pages(made)
    if "cpu_manager" in spec:
        yield from checks.one_of("cpu_manager", spec["cpu_manager"], CPU_MANAGERS)
    yield from _disk(made)


def _form(key: str) -> tuple[str, str]:
    """The form of a kernel parameter's value, as a pattern and in words."""
    if key in WORDS:
        return r"[A-Za-z0-9|/%._-]+", "one word"
    if key in _THREE:
        return r"\d+([ \t]\d+){2}", "three numbers separated by blanks"
    return (r"-1|\d+", "a number, or -1") if key in _BELOW_NONE else (r"\d+", "a number")


def _huge_pages(made: GkePool) -> Iterator[Problem]:
    machine = made.machine
    pages: dict[str, Any] = arguments.cleaned(HugePages, made.spec.get("huge_pages", {}))
    for size, count in pages.items():
        if count < 0:
            yield Problem(f"huge_pages.{size}", count, "must not be negative", "0 or more", "write 0")
    if pages["one_gib"] and not machine.name.startswith(_GIGANTIC):
        yield Problem(
            "huge_pages.one_gib", pages["one_gib"], f"{machine.name} has no pages of 1 GiB",
            f"machines of the series {', '.join(name[:-1] for name in _GIGANTIC)}",
            f"write `two_mib: {pages['one_gib'] * 512}`",
        )  # fmt: skip
    share = _SMALL_SHARE if machine.memory_mib < _SMALL_MIB else _SHARE
    taken = sum(_PAGE_MIB[size] * count for size, count in pages.items())
    if taken > share * machine.memory_mib:
        yield Problem(
            "huge_pages", pages, f"{taken:,} MiB of {machine.memory_mib:,}: GKE reserves a part for the system",
            f"up to {int(share * machine.memory_mib):,} MiB in total", "lower the number of pages",
        )  # fmt: skip


def _disk(made: GkePool) -> Iterator[Problem]:
    disk = made.spec.get("secondary_boot_disk")
    if disk is None:
        return
    if not _IMAGE.fullmatch(disk["image"]):
        yield Problem(
            "secondary_boot_disk.image", disk["image"], "not a valid name of a disk image",
            "projects/PROJECT/global/images/IMAGE", "see `gcloud compute images list --no-standard-images`",
        )  # fmt: skip
    mode = disk["mode"]
    yield from checks.one_of("secondary_boot_disk.mode", mode, DISK_MODES)
    if mode == "container_images" and not made.spec["image_streaming"]:
        yield Problem(
            "image_streaming", False, "a secondary boot disk of container images is read by image streaming", "true",
            "remove it, or the secondary boot disk",
        )  # fmt: skip


def linux(made: GkePool) -> gcp.container.NodePoolNodeConfigLinuxNodeConfigArgs | None:
    """Kernel parameters and huge pages; None where the pool sets neither, so that GKE's defaults apply."""
    sysctls = made.spec.get("sysctls")
    pages: HugePages = arguments.cleaned(HugePages, made.spec.get("huge_pages", {}))
    some = any(pages.values())
    if not sysctls and not some:
        return None
    hugepages = gcp.container.NodePoolNodeConfigLinuxNodeConfigHugepagesConfigArgs(
        hugepage_size2m=pages["two_mib"] or None,
        hugepage_size1g=pages["one_gib"] or None,
    ) if some else None  # fmt: skip
    return gcp.container.NodePoolNodeConfigLinuxNodeConfigArgs(sysctls=sysctls, hugepages_config=hugepages)


def boot_disks(made: GkePool) -> list[gcp.container.NodePoolNodeConfigSecondaryBootDiskArgs] | None:
    """The disk. There is one at most: of several, the provider sends only the first (node_config.go,
    expandNodeConfig)."""
    disk = made.spec.get("secondary_boot_disk")
    if disk is None:
        return None
    mode = DISK_MODES[disk["mode"]]
    return [gcp.container.NodePoolNodeConfigSecondaryBootDiskArgs(disk_image=disk["image"], mode=mode)]
