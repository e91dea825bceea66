# c1, c2 on one wire with outside, by macvlan on parent0
conf='{"type": "macvlan", "master": "parent0", "mode": "bridge",
    "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "rangeStart": "10.9.0.10"}}'

container outside c1 c2
ip link add parent0 type veth peer name eth0 netns outside
ip link set parent0 up
inside outside ip address add 10.9.0.2/24 dev eth0
inside outside ip link set eth0 up

attach c1 "$conf"
attach c2 "$conf"
c2=$(address c2)
pings c1 10.9.0.2
pings c1 "$c2"
inside c1 ip -details link show eth0 | grep -q 'macvlan mode bridge'
detach c1 "$conf"
detach c2 "$conf"
refute inside c1 ip link show eth0
refute inside outside busybox ping -c 1 -W 1 "$c2"
