conf='{"type": "bridge", "bridge": "cni0", "vlan": 7, "isGateway": true,
    "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}'

container c1
attach c1 "$conf"
# the gateway is on an interface of the VLAN, not on the bridge
same "$(ip -brief -4 address show dev cni0.7 | tr -s ' ' | cut -d' ' -f3)" 10.9.0.1/24
same "$(ip -brief -4 address show dev cni0)" ""
grep -q '"name": *"cni0.7"\|"name": *"cni0"' /run/results/c1
pings c1 10.9.0.1
pings host "$(address c1)"
detach c1 "$conf"
refute inside c1 ip link show eth0
