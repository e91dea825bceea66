# c1 --- br0 host --- outside, with IPv6 beside IPv4
bridge='{"type": "bridge", "bridge": "br0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.9.0.0/24"}], [{"subnet": "fd00:9::/64"}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}'
portmap='{"type": "portmap", "capabilities": {"portMappings": true}, "runtimeConfig": {"portMappings":
    [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}'

container outside c1
ip link add out0 type veth peer name eth0 netns outside
ip address add 192.0.2.1/24 dev out0
ip address add 2001:db8::1/64 dev out0 nodad
ip link set out0 up
inside outside ip address add 192.0.2.2/24 dev eth0
inside outside ip address add 2001:db8::2/64 dev eth0 nodad
inside outside ip link set eth0 up

attach c1 "$bridge" "$portmap"
serve c1 80
serve outside 9000
for pair in "192.0.2.1 192.0.2.2" "[2001:db8::1] [2001:db8::2]"; do
    read -r host outside <<<"$pair"
    seen=$(probe outside tcp "$host:8080")
    same "${seen%:* *}" "$outside"
    seen=$(probe c1 tcp "$outside:9000")
    same "${seen%:* *}" "$host"
    # its own published port
    probe c1 tcp "$host:8080"
done
detach c1 "$bridge" "$portmap"
