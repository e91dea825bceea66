# trunk carries VLANs 7 and 10 to 12 with tags, and VLAN 1 without; c7 is in VLAN 7, c13 in 13
trunk='{"type": "bridge", "bridge": "br0", "ipam": {},
    "vlanTrunk": [{"id": 7}, {"minID": 10, "maxID": 12}]}'
access() {
    echo '{"type": "bridge", "bridge": "br0", "vlan": '"$1"',
        "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "rangeStart": "10.9.0.10"}}'
}

# tagged ID ADDRESS: gives the trunk an interface with that tag
tagged() {
    inside trunk ip link add link eth0 name "eth0.$1" type vlan id "$1"
    inside trunk ip address add "$2" dev "eth0.$1"
    inside trunk ip link set "eth0.$1" up
}

container trunk c7 c13
attach trunk "$trunk"
attach c7 "$(access 7)"
attach c13 "$(access 13)"
port=$(port trunk) c7=$(address c7) c13=$(address c13)
ids=$(bridge -json vlan show dev "$port" | grep -o '"vlan":[0-9]*' | cut -d: -f2 | xargs)
same "$ids" "1 7 10 11 12"

inside trunk ip link set eth0 up
tagged 7 10.9.0.2/24
pings trunk "$c7"
refute pings trunk "$c13"
inside trunk ip link delete eth0.7
tagged 13 10.9.0.2/24
refute pings trunk "$c13"
detach trunk "$trunk"
refute ip link show "$port"
