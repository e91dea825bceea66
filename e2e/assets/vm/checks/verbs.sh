# CHECK tells what is right from what is not; DEL comes twice, the second time without a namespace.
bridge='{"type": "bridge", "bridge": "br0", "isGateway": true, "ipMasq": true,
    "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}'
portmap='{"type": "portmap", "capabilities": {"portMappings": true}, "runtimeConfig": {"portMappings":
    [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}'

container c1
attach c1 "$bridge" "$portmap"
result=$(cat /run/results/c1)
cni CHECK c1 "$bridge"
cni CHECK c1 "$portmap"
inside c1 ip address flush dev eth0
refute cni CHECK c1 "$bridge" 2>&1
ip netns delete c1
for _ in 1 2; do detach c1 "$bridge" "$portmap"; done
same "$(ip -brief link show type veth)" ""
