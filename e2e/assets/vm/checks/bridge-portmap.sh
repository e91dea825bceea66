# c1 --- br0 (10.9.0.1) host --- outside (192.0.2.2)
ipam='"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}'
bridge='{"type": "bridge", "bridge": "br0", "isGateway": true, "ipMasq": true, '$ipam'}'
portmap='{"type": "portmap", "capabilities": {"portMappings": true}, "runtimeConfig": {"portMappings":
    [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
     {"hostPort": 8080, "containerPort": 80, "protocol": "udp"}]}}'

container outside c1
ip link add out0 type veth peer name eth0 netns outside
ip address add 192.0.2.1/24 dev out0
ip link set out0 up
inside outside ip address add 192.0.2.2/24 dev eth0
inside outside ip link set eth0 up

attach c1 "$bridge" "$portmap"
serve c1 80
serve outside 9000
for proto in tcp udp; do
    # a published port: the container sees who asks
    seen=$(probe outside $proto 192.0.2.1:8080)
    same "${seen%%:*}" 192.0.2.2
    # the way out: masqueraded
    seen=$(probe c1 $proto 192.0.2.2:9000)
    same "${seen%%:*}" 192.0.2.1
done

detach c1 "$bridge" "$portmap"
refute inside c1 ip link show eth0
BOUND=700 refute probe outside tcp 192.0.2.1:8080
same "$(ls /var/lib/cni/networks/net | grep -c '^10\.' || true)" 0
# the bridge stays, nobody is on it
same "$(ip -brief link show master br0)" ""
