"""The table of Google's machine types, from an excerpt of the source."""

from __future__ import annotations

import csv

from tools.gke_machine_types import COLUMNS, TARGET, rows, table

SOURCE = """
	A3 = RegisterMachineFamily(MachineFamily{
		name:               "a3",
		systemArchitecture: gce.Amd64,
		autoprovisionedMachineTypes: onboardMachineType(
			// A comment with a type: NewMachineTypeInfo("a3-none-1g", 1, 1).
			NewMachineTypeInfo("a3-edgegpu-8g", 208, 1872).
				withGpuOverride(NvidiaH100_80gb, 8).
				withAutomaticEphemeralLocalSsdCount(16).
				withInstancePriceOverride(84.94).
				withDwsDisabled(),
			NewMachineTypeInfo("a3-ultragpu-8g", 224, 2952).
				withSupportedDisksOverride([]string{DiskTypeHyperdiskBalanced}).
				withGpuOverride(NvidiaH200Ultra_141gb, 8).
				withAutomaticEphemeralLocalSsdCount(32),
		),
		supportCompactPlacement:  true,
		maxCompactPlacementNodes: int64(96),
		supportedBootDiskTypes: map[string]bool{
			DiskTypeSSD:      true,
			DiskTypeBalanced: true,
		},
		supportedAttachDiskTypes: map[string]ConfidentialMode{
			DiskTypeHyperdiskBalanced: ConfidentialOnlyMode,
			DiskTypeHyperdiskMl:       NonConfidentialOnlyMode,
			DiskTypeBalanced:          UnspecifiedMode,
		},
	})
	C4A = RegisterMachineFamily(MachineFamily{
		name:               "c4a",
		systemArchitecture: gce.Arm64,
		autoprovisionedMachineTypes: onboardMachineType(
			NewMachineTypeInfo("custom-48-184320", 48, 180),
			NewMachineTypeInfo("c4a-standard-1", 1, 3.75).
				withAllowedEphemeralLocalSsdCounts(1, 2, 4),
		),
		otherMachineTypes: onboardMachineType(
			NewMachineTypeInfo("c4a-shared", 1, 1),
		),
		supportedBootDiskTypes: map[string]bool{
			"hyperdisk-balanced": true,
		},
	})
	CT6E = RegisterMachineFamily(MachineFamily{
		name:               "ct6e",
		autoprovisionedMachineTypes: onboardMachineType(
			NewMachineTypeInfo("ct6e-standard-4t", 180, 720),
		),
	})
"""


def test_a_type_has_the_facts_of_its_family_and_its_line() -> None:
    found = {row["type"]: {key: str(value) for key, value in row.items()} for row in rows(SOURCE)}
    assert list(found) == ["a3-edgegpu-8g", "a3-ultragpu-8g", "c4a-standard-1"]
    edge, ultra, arm = found.values()
    assert (edge["gpus"], edge["gpu"], edge["nvme_gb"]) == ("8", "nvidia-h100-80gb", "6000")
    assert edge["boot_disks"] == "pd-balanced pd-ssd" and edge["disks"] == "pd-balanced hyperdisk-ml"
    assert (edge["compact"], edge["gpudirect"], edge["flex"], edge["on_demand"]) == ("96", "4", "", "1")
    assert (ultra["boot_disks"], ultra["flex"], ultra["on_demand"]) == ("hyperdisk-balanced", "1", "")
    assert (arm["arch"], arm["memory_mib"], arm["local_ssds"], arm["compact"]) == ("arm64", "3840", "1 2 4", "")
    assert arm["boot_disks"] == arm["disks"] == "hyperdisk-balanced"


def test_the_table_in_the_library_has_these_columns_and_a_boot_disk_for_every_type() -> None:
    assert table(SOURCE).splitlines()[0] == ",".join(COLUMNS)
    with TARGET.open(newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames or ()) == COLUMNS
        assert [row["type"] for row in reader if not row["boot_disks"] or not row["disks"]] == []
