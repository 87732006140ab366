"""gpuyard's stack: ML-ready Kubernetes on the cloud that `Pulumi.<stack>.yaml` names, read from top to bottom."""

from stack import changes, environment, on, outputs, providers, sharing

# The whole config is checked first: a wrong value stops the program here, before anything is created.
env = environment.load()
cloud = on.cloud(env.config.cloud)
account = cloud.providers(env)
env = changes.compared(env, account)
cloud.preflight(env, account)

network = cloud.network(env, account)
cluster = cloud.cluster(env, account, network)
python = providers.python()
holds = sharing.holds(env, python, cluster)
node_pools = cloud.node_pools(env, account, network, cluster, holds)

kubernetes = providers.kubernetes(env, cluster.kubeconfig, cluster.cluster_name)
storage = cloud.storage(env, [*account, kubernetes], network, cluster, node_pools)
addons = cloud.addons(env, [*account, kubernetes], cluster, node_pools, storage)
queued = sharing.share(env, [kubernetes, python], cluster, node_pools, holds)
teams = cloud.teams(env, [*account, kubernetes], network, cluster, queued)
cloud.watch(env, [*account, kubernetes], addons, queued, teams)
cloud.cleanup(env, python, cluster, node_pools, storage, addons, teams)

outputs.export(env, network=network, cluster=cluster, storage=storage, addons=addons, teams=teams)
