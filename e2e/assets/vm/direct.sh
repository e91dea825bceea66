# A host with netd, without a cluster, and a neighbour on the wires at its eth0 and eth1: what the checks
# of containers on a parent begin with.
#
#     netd WORDS...         the command
#     agent                 starts netd, and waits; its process is $agent
#     join NETWORK NAME...  puts namespaces on a network
#     route NAME            the default route there, without who made it
there=/opt/e2e/netd

netd() {
    "$there" "$@"
}

agent() {
    "$there" run --standalone --healthz-ip 127.0.0.1 --healthz-port 8081 >>/run/netd.log 2>&1 &
    agent=$!
    within 60 served
}

served() {
    netd network ls >/dev/null
}

join() {
    local network=$1 name
    shift
    for name in "$@"; do netd network connect "$network" "netns:/run/netns/$name"; done
}

route() {
    inside "$1" ip -4 route show default | sed 's/ proto [a-z]*//; s/ *$//'
}

trap 'cat /run/netd.log >&2' ERR
mkdir -p /run/netd /var/lib/netd /etc
printf '%032d\n' 1 >/etc/machine-id
container wire c1 c2
for link in eth0 eth1; do
    ip link add "$link" type veth peer name "$link" netns wire
    ip link set "$link" up
    inside wire ip link set "$link" up
done
agent
