// An EKS cluster with a CPU pool, and a GPU pool that starts at zero nodes, with the add-ons that it needs.

import * as aws from "@pulumi/aws";
import * as gpuyard from "@pulumi/gpuyard";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

const publicAccessCidrs = new pulumi.Config().requireObject<string[]>("publicAccessCidrs");
const clusterName = "gpuyard-typescript";
const kubernetesVersion = "1.35";
const region = "us-east-1";
const zones = ["us-east-1a", "us-east-1b"];

// The version of the AWS provider that the library is tested with. The npm package may be older or newer.
const account = new aws.Provider("aws", { region }, { version: "7.51.1" });

const network = new gpuyard.AwsNetwork(
    "network",
    { cidr: "10.0.0.0/16", zones, clusterName, deletionProtection: false },
    { providers: [account] },
);

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
        publicAccessCidrs,
        deletionProtection: false,
    },
    { providers: [account], dependsOn: network },
);

const specs: Record<string, gpuyard.types.input.EksNodePoolSpecArgs> = {
    "cpu-workers": { machineTypes: ["m7i.xlarge"], min: 2, max: 20 },
    "gpu-workers": {
        machineTypes: ["g6.2xlarge"],
        min: 0,
        max: 10,
        capacity: ["spot", "on_demand"],
        labels: { workload: "gpu-training" },
    },
};

const pools = Object.entries(specs).map(
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
            // As long as a node exists, it needs its route to the internet, its role's permissions and its CNI.
            { providers: [account], dependsOn: [network, cluster] },
        ),
);

const api = new kubernetes.Provider("kubernetes", {
    kubeconfig: cluster.kubeconfig,
    clusterIdentifier: cluster.clusterName,
});

// Add-ons are created after the pools and deleted before them: the autoscaler would undo the removal of nodes.
const afterPools = { providers: [account, api], dependsOn: pools };

new gpuyard.EksAddon(
    "coredns",
    { addon: "coredns", cluster: cluster.clusterName, kubernetesVersion },
    afterPools,
);
new gpuyard.ClusterAutoscaler(
    "cluster-autoscaler",
    { cluster: cluster.clusterName, kubernetesVersion, region, nodePools: specs },
    afterPools,
);
new gpuyard.NvidiaDevicePlugin("nvidia-device-plugin", { nodePools: specs }, afterPools);

export const connectCommand = cluster.connectCommand;
export const kubeconfig = cluster.kubeconfig;
export const nodeGroups = pulumi.all(pools.map((pool) => pool.nodeGroupNames)).apply((names) => names.flat());
