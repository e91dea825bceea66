# c1 --- br0 host --- outside
bridge='{"type": "bridge", "bridge": "br0", "isGateway": true,
    "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}'
portmap='{"type": "portmap", "capabilities": {"portMappings": true}, "runtimeConfig": {"portMappings":
    [{"hostPort": 8080, "containerPort": 80, "protocol": "sctp"}]}}'

listens() {
    inside c1 ss -Sln '( sport = :80 )' | grep -q LISTEN
}

container outside c1
ip link add out0 type veth peer name eth0 netns outside
ip address add 192.0.2.1/24 dev out0
ip link set out0 up
inside outside ip address add 192.0.2.2/24 dev eth0
inside outside ip link set eth0 up

modprobe sctp
attach c1 "$bridge" "$portmap"
inside c1 socat -u SCTP4-LISTEN:80,fork STDOUT >/run/heard &
within 10 listens
echo hello | inside outside timeout 10 socat -u STDIN SCTP4:192.0.2.1:8080
within 5 grep -q hello /run/heard
detach c1 "$bridge" "$portmap"
echo again | refute inside outside timeout 2 socat -u STDIN SCTP4:192.0.2.1:8080
