// An EKS cluster with one CPU pool and one GPU pool that starts at zero nodes.

import * as pulumi from "@pulumi/pulumi";
import * as gpuyard from "@pulumi/gpuyard";

const clusterName = "gpuyard-typescript";
const kubernetesVersion = "1.35";
const zones = ["us-east-1a", "us-east-1b"];

const network = new gpuyard.AwsNetwork("network", {
    cidr: "10.0.0.0/16",
    zones,
    clusterName,
    deletionProtection: false,
});

// Zones are known before the network exists, the ids of its subnets are not.
function byZone(ids: pulumi.Output<Record<string, string>>): Record<string, pulumi.Output<string>> {
    return Object.fromEntries(zones.map((zone) => [zone, ids.apply((found) => found[zone])]));
}

const cluster = new gpuyard.EksCluster(
    "cluster",
    {
        clusterName,
        version: kubernetesVersion,
        networkId: network.networkId,
        privateSubnetIds: byZone(network.privateSubnetIds),
        publicSubnetIds: byZone(network.publicSubnetIds),
        // Narrow this to your office or VPN.
        publicAccessCidrs: ["0.0.0.0/0"],
        deletionProtection: false,
    },
    { dependsOn: network },
);

const pools: Record<string, gpuyard.types.input.EksNodePoolSpecArgs> = {
    "cpu-workers": { machineTypes: ["m5.2xlarge"], min: 2, max: 20 },
    "gpu-workers": {
        machineTypes: ["g6.2xlarge"],
        min: 0,
        max: 10,
        capacity: ["spot", "on_demand"],
        // Bottlerocket has NVIDIA's device plugin. With al2023, add the component NvidiaDevicePlugin.
        image: "bottlerocket",
        labels: { workload: "gpu-training" },
    },
};

const made = Object.entries(pools).map(
    ([name, pool]) =>
        new gpuyard.EksNodePool(
            name,
            {
                pool,
                subnetIds: byZone(network.privateSubnetIds),
                cluster: cluster.clusterName,
                kubernetesVersion,
                nodeRoleArn: cluster.nodeRoleArn,
            },
            { dependsOn: [network, cluster] },
        ),
);

// Pods resolve names by it. To scale the GPU pool from zero, add ClusterAutoscaler with a provider for the cluster.
new gpuyard.EksAddon(
    "coredns",
    { addon: "coredns", cluster: cluster.clusterName, kubernetesVersion },
    { dependsOn: made },
);

export const connectCommand = cluster.connectCommand;
export const kubeconfig = pulumi.secret(cluster.kubeconfig);
export const nodeGroups = pulumi.all(made.map((pool) => pool.nodeGroupNames)).apply((names) => names.flat());
